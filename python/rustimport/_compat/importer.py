"""The common base of `project_importer` and `rust_file_importer`: the arguments of maturin_import_hook, and its methods
to override."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import rustimport

from .. import _core_client, _finder
from .maturin_settings import MaturinSettings


class Importer(_finder.Finder):
    """A finder with the arguments of maturin_import_hook's importers."""

    def __init__(
        self,
        *,
        build_dir: str | os.PathLike[str] | None,
        lock_timeout_seconds: float | None,
        force_rebuild: bool | None,
        **arguments: Any,
    ) -> None:
        super().__init__(
            cache_dir=None if build_dir is None else os.fsdecode(build_dir),
            lock_timeout=lock_timeout_seconds,
            force_rebuild=force_rebuild or None,
            **arguments,
        )
        _finder.on_import = rustimport.follow_notebooks

    def get_settings(self, module_path: str, source_path: Path) -> MaturinSettings | None:
        """The settings for a source. Subclasses can override it.

        Args:
            module_path: The full name of the module that is imported.
            source_path: The script, or the folder of the crate or the project.
        """
        assert not isinstance(self.settings, str)
        return self.settings

    def find_maturin(self) -> Path:
        """The maturin to use. Subclasses can override it."""
        return Path(_core_client.find_maturin())
