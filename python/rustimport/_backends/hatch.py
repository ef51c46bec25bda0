"""The build hook `rustimport` of hatchling: `[tool.hatch.build.hooks.rustimport]`."""

from __future__ import annotations

import os
import tempfile
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.plugin import hookimpl

from ..errors import RustImportError
from . import modules
from .options import Options

#: Options of every build hook, for hatchling itself.
_HATCHS_OWN = ("dependencies", "enable-by-default", "require-runtime-dependencies", "require-runtime-features", "path")


class RustImportBuildHook(BuildHookInterface[Any]):
    """Compiles the sources of the packages that hatchling puts into a wheel."""

    PLUGIN_NAME = "rustimport"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before it collects files."""
        if self.target_name != "wheel" or version == "editable":
            return
        table = {name: value for name, value in self.config.items() if name not in _HATCHS_OWN}
        try:
            self.add_modules(Options.of(table, "[tool.hatch.build.hooks.rustimport]"), build_data)
        except RustImportError as error:
            self.app.abort(f"rustimport: {error}")

    def add_modules(self, options: Options, build_data: dict[str, Any]) -> None:
        folders = self.folders(options)
        if not folders:
            self.app.display_warning("rustimport: there is no source with a marker in the packages")
            return
        files, build_data["tag"] = modules.build(folders, options)
        build_data["pure_python"] = False
        if modules.needs_cffi(folders):
            build_data["dependencies"].append("cffi")
        self.folder = tempfile.TemporaryDirectory()
        for number, (name, content, place) in enumerate(files):
            path = os.path.join(self.folder.name, str(number))
            with open(path, "wb") as file:
                file.write(content)
            # hatchling translates the paths of the project to those in the wheel.
            relative = os.path.relpath(place, self.root)
            if self.in_wheel(relative) != name:
                self.app.abort(
                    f"rustimport: hatchling would install {relative} as {self.in_wheel(relative)}, not {name}"
                )
            build_data["force_include"][path] = relative
        if not options.sources:
            self.leave_out(list(folders))

    def in_wheel(self, path: str) -> str:
        """The name in the wheel of a path that is relative to the project."""
        return str(self.build_config.get_distribution_path(path)).replace(os.sep, "/")

    def folders(self, options: Options) -> dict[str, str]:
        """The sources, each with its module's folder in the wheel."""
        config = self.build_config
        if options.paths:
            searched = list(options.paths)
        else:
            only = [path for path in config.only_include if path.endswith(".rs") or self.is_folder(path)]
            searched = only if config.only_include else [""]
        folders = {}
        for source in modules.find(os.path.join(self.root, path) for path in searched):
            relative = os.path.relpath(source, self.root)
            # A pattern such as `*.rs` excludes a source, but not its module.
            neighbour = os.path.join(os.path.dirname(relative), "__init__.py")
            if options.paths or (config.path_is_included(relative) and not config.path_is_excluded(neighbour)):
                folders[source] = os.path.dirname(self.in_wheel(relative))
        return folders

    def is_folder(self, path: str) -> bool:
        return os.path.isdir(os.path.join(self.root, path))

    def leave_out(self, sources: list[str]) -> None:
        """Leaves the sources out of the wheel: the import hook would take them for modules to be built there."""
        files = [path for source in sources for path in files_of(source)]
        # hatchling does not collect what a hook is known to provide.
        self.build_config.build_reserved_paths.update(
            self.build_config.get_distribution_path(os.path.relpath(path, self.root)) for path in files
        )

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Called by hatchling after the wheel was written."""
        if hasattr(self, "folder"):
            self.folder.cleanup()


def files_of(source: str) -> list[str]:
    """A script, or everything in the folder of a crate."""
    if os.path.isfile(source):
        return [source]
    return [os.path.join(folder, name) for folder, _, names in os.walk(source) for name in names]


@hookimpl
def hatch_register_build_hook() -> type[RustImportBuildHook]:
    return RustImportBuildHook
