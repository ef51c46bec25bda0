"""The command `build_rustimport` of setuptools, which runs as a part of `build` if pyproject.toml has a table
`[tool.rustimport.wheel]`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, ClassVar

from setuptools import Command, Distribution
from setuptools.errors import CompileError

from ..errors import RustImportError
from . import modules
from .options import Options

TABLE = "[tool.rustimport.wheel]"
PYPROJECT = "pyproject.toml"


def finalize(distribution: Distribution) -> None:
    """Called by setuptools for every project that it builds where this package is installed."""
    try:
        text = Path(PYPROJECT).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return
    # Without the core, as long as it is not needed.
    if "rustimport" not in text:
        return
    import json

    from .. import _native

    table = json.loads(_native.core.pyproject_table(PYPROJECT, ["tool", "rustimport"])).get("wheel")
    if table is None:
        return
    add_command(distribution, Options.of(table, TABLE))


def add_command(distribution: Distribution, options: Options) -> None:
    build: Any = distribution.get_command_class("build")
    bdist_wheel: Any = distribution.get_command_class("bdist_wheel")

    class Build(build):
        sub_commands = (*build.sub_commands, ("build_rustimport", None))

    class BdistWheel(bdist_wheel):
        def get_tag(self) -> Any:
            return self.get_finalized_command("build_rustimport").tag or super().get_tag()

    command = type("build_rustimport", (BuildModules,), {"options": options})
    distribution.cmdclass |= {"build": Build, "bdist_wheel": BdistWheel, "build_rustimport": command}
    # The wheel is for one platform.
    distribution.has_ext_modules = lambda: True


class BuildModules(Command):
    """Compiles the scripts and crates of the packages."""

    description = "compile the Rust sources of the packages"
    user_options: ClassVar[list[tuple[str, str | None, str]]] = []
    options: Options

    def initialize_options(self) -> None:
        self.build_lib: str = ""
        self.editable_mode = False
        self.tag: tuple[str, str, str] | None = None
        self.outputs: list[str] = []

    def finalize_options(self) -> None:
        self.build_lib = self.get_finalized_command("build_py").build_lib

    def run(self) -> None:
        # The import hook builds them.
        if self.editable_mode:
            return
        places = self.places()
        if not places:
            self.warn("rustimport: there is no source with a marker in the packages")
            return
        try:
            built, tag = modules.build(places, self.options)
        except RustImportError as error:
            raise CompileError(f"rustimport: {error}") from None
        python, abi, platform = tag.split("-")
        self.tag = python, abi, platform
        for module in built:
            for name, content in module.files.items():
                path = os.path.join(self.build_lib, name)
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, "wb") as file:
                    file.write(content)
                self.outputs.append(path)
            if not self.options.sources:
                self.remove_copy(module.source, places[module.source])

    def places(self) -> dict[str, str]:
        """Absolute path of each source -> its module's folder in the wheel."""
        build_py = self.get_finalized_command("build_py")
        packages = {name: os.path.abspath(build_py.get_package_dir(name)) for name in build_py.packages or []}
        found = {}
        for source in modules.find(self.options.paths or packages.values()):
            folder = os.path.dirname(source)
            # The innermost package that contains it.
            around = [name for name, place in packages.items() if is_in(folder, place)]
            if around:
                package = max(around, key=len)
                rest = os.path.relpath(folder, packages[package])
                place = os.path.normpath(os.path.join(package.replace(".", "/"), rest))
            else:
                place = os.path.relpath(folder, os.path.abspath(build_py.get_package_dir("")))
            found[source] = "" if place == "." else place.replace(os.sep, "/")
        return found

    def remove_copy(self, source: str, place: str) -> None:
        """Removes a source that is part of the package's data: the import hook would take it for a module to be built
        there."""
        import shutil

        copy = os.path.join(self.build_lib, place, os.path.basename(source))
        if os.path.isdir(copy):
            shutil.rmtree(copy)
        elif os.path.exists(copy):
            os.remove(copy)

    def get_source_files(self) -> list[str]:
        """What a source distribution needs, relative to the project: sources, and Rust files next to them."""
        found = set()
        for source in self.places():
            folder = Path(source) if os.path.isdir(source) else Path(source).parent
            pattern = "**/*" if os.path.isdir(source) else "*.rs"
            for path in folder.glob(pattern):
                parts = path.relative_to(folder).parts
                if path.is_file() and parts[0] != "target" and path.suffix not in (".so", ".pyd"):
                    found.add(os.path.relpath(path))
        return sorted(found)

    def get_outputs(self) -> list[str]:
        return self.outputs

    def get_output_mapping(self) -> dict[str, str]:
        return {}


def is_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder + os.sep)
