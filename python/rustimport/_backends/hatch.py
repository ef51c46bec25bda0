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


class RustImportBuildHook(BuildHookInterface[Any]):
    """Compiles the sources of the packages that hatchling puts into a wheel."""

    PLUGIN_NAME = "rustimport"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before it collects files."""
        if self.target_name != "wheel" or version == "editable":
            return
        try:
            options = Options.of(self.config_without_hatchs_own(), "[tool.hatch.build.hooks.rustimport]")
            self.add(options, build_data)
        except RustImportError as error:
            self.app.abort(f"rustimport: {error}")

    def config_without_hatchs_own(self) -> dict[str, Any]:
        own = ("dependencies", "enable-by-default", "require-runtime-dependencies", "require-runtime-features", "path")
        return {name: value for name, value in self.config.items() if name not in own}

    def add(self, options: Options, build_data: dict[str, Any]) -> None:
        config = self.build_config
        searched = options.paths or config.only_include or [""]
        places = {}
        for source in modules.find(os.path.join(self.root, path) for path in searched):
            relative = os.path.relpath(source, self.root)
            # By default, all of the project is searched: also what is not part of the wheel.
            if options.paths or config.path_is_included(relative):
                places[source] = os.path.dirname(config.get_distribution_path(relative)).replace(os.sep, "/")
        if not places:
            self.app.display_warning("rustimport: there is no source with a marker in the packages")
            return
        built, build_data["tag"] = modules.build(places, options)
        build_data["pure_python"] = False
        self.folder = tempfile.TemporaryDirectory()
        for number, (name, content) in enumerate(item for module in built for item in module.files.items()):
            path = os.path.join(self.folder.name, str(number))
            with open(path, "wb") as file:
                file.write(content)
            build_data["force_include"][path] = name
        if not options.sources:
            self.leave_out([os.path.relpath(source, self.root) for source in places])

    def leave_out(self, sources: list[str]) -> None:
        """Excludes the sources from the wheel: the import hook would take them for modules to be built there."""
        config = self.build_config
        chosen = config.target_config if "exclude" in config.target_config else config.build_config
        excluded = [*chosen.get("exclude", []), *("/" + source.replace(os.sep, "/") for source in sources)]
        config.target_config["exclude"] = excluded
        # A documented way does not exist. If hatchling has read its configuration before, this had no effect.
        kept = [source for source in sources if not config.path_is_excluded(source)]
        if kept:
            names = ", ".join(f'"/{source}"' for source in kept)
            self.app.abort(
                "rustimport: this version of hatchling does not let a plugin leave the sources out of the wheel: write "
                f"exclude = [{names}] into [tool.hatch.build.targets.wheel], or sources = true into this hook's table"
            )

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Called by hatchling after the wheel was written."""
        if hasattr(self, "folder"):
            self.folder.cleanup()


@hookimpl
def hatch_register_build_hook() -> type[RustImportBuildHook]:
    return RustImportBuildHook
