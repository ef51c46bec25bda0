"""The command `build_rustimport` of setuptools, which runs as a part of `build` if pyproject.toml has a table
`[tool.rustimport.wheel]`. `entry.py` decides whether this is loaded."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any, ClassVar

from setuptools import Command, Distribution
from setuptools.errors import CompileError

from .. import _native
from ..errors import ProjectError, RustImportError
from . import modules
from .options import Options

TABLE = "[tool.rustimport.wheel]"
PYPROJECT = "pyproject.toml"


def add_later(distribution: Distribution) -> None:
    """Adds the command when setuptools has read its configuration, which replaces all commands."""
    found = json.loads(_native.core.pyproject_table(PYPROJECT, ["tool", "rustimport"]))
    if "wheel" not in found:
        return
    if not isinstance(found["wheel"], dict):
        hint = f"write {TABLE} on a line of its own"
        raise ProjectError(f"`wheel` in [tool.rustimport] of {PYPROJECT} is not a table", hint=hint, path=PYPROJECT)
    options = Options.of(found["wheel"], TABLE)
    read = distribution.parse_config_files

    def parse_config_files(*arguments: Any, **named: Any) -> None:
        read(*arguments, **named)
        if "build_rustimport" not in distribution.cmdclass:
            add(distribution, options)

    distribution.parse_config_files = parse_config_files


def add(distribution: Distribution, options: Options) -> None:
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
        self.remove_earlier_outputs()
        folders = self.folders()
        if not folders:
            self.warn("rustimport: there is no source with a marker in the packages")
            return
        try:
            files, tag = modules.build(folders, self.options)
        except RustImportError as error:
            raise CompileError(f"rustimport: {error}") from None
        python, abi, platform = tag.split("-")
        self.tag = python, abi, platform
        if not self.options.sources:
            for source, folder in folders.items():
                self.remove_copy(source, folder)
        for name, content, _ in files:
            path = os.path.join(self.build_lib, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(content)
            self.outputs.append(path)
        self.list_of_outputs.write_text("\n".join(self.outputs), encoding="utf-8")

    @property
    def list_of_outputs(self) -> Path:
        return Path(self.get_finalized_command("build").build_base) / "rustimport-outputs.txt"

    def remove_earlier_outputs(self) -> None:
        """setuptools builds in the project, and keeps what an earlier build has left."""
        if self.list_of_outputs.exists():
            for path in self.list_of_outputs.read_text(encoding="utf-8").splitlines():
                Path(path).unlink(missing_ok=True)

    def folders(self) -> dict[str, str]:
        """Absolute path of each source -> its module's folder in the wheel."""
        build_py = self.get_finalized_command("build_py")
        packages = {name: os.path.abspath(build_py.get_package_dir(name)) for name in build_py.packages or []}
        found = {}
        for source in modules.find(self.options.paths or packages.values()):
            folder = os.path.dirname(source)
            # The innermost package that contains it.
            around = [name for name, place in packages.items() if is_in(folder, place)]
            if around:
                package = max(around, key=lambda name: len(packages[name]))
                rest = os.path.relpath(folder, packages[package])
                if is_left_out(packages[package], rest):
                    continue
                place = os.path.normpath(os.path.join(package.replace(".", "/"), rest))
            else:
                place = os.path.relpath(folder, os.path.abspath(build_py.get_package_dir("")))
            found[source] = "" if place == "." else place.replace(os.sep, "/")
        return found

    def remove_copy(self, source: str, folder: str) -> None:
        """Removes a source that is part of the package's data: the import hook would take it for a module to be built
        there."""
        copy = os.path.join(self.build_lib, folder, os.path.basename(source))
        if os.path.isdir(copy):
            shutil.rmtree(copy)
        elif os.path.exists(copy):
            os.remove(copy)

    def get_source_files(self) -> list[str]:
        """What a source distribution needs, relative to the project: sources, and Rust files next to them."""
        found = set()
        for source in self.folders():
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


def is_left_out(package: str, rest: str) -> bool:
    """Whether a folder below a package is in a subpackage that is not part of the distribution."""
    while rest not in ("", os.curdir):
        if os.path.exists(os.path.join(package, rest, "__init__.py")):
            return True
        rest = os.path.dirname(rest)
    return False
