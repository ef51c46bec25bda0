"""The import hook for scripts alone, and its class for subclassing, with the names of
``maturin_import_hook.rust_file_importer``."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .. import _cache, _finder, _marker, _settings
from .importer import Importer
from .maturin_settings import MaturinSettings

__all__ = ["MaturinRustFileImporter", "install", "is_installed", "uninstall"]


class MaturinRustFileImporter(Importer, _finder.ScriptFinder):
    """The finder of scripts and crates. An instance of this class or a subclass works as soon as it is on
    ``sys.meta_path``, and takes precedence over the one that ``install`` added."""

    def __init__(
        self,
        *,
        settings: MaturinSettings | None = None,
        build_dir: str | os.PathLike[str] | None = None,
        lock_timeout_seconds: float | None = 120,
        enable_reloading: bool = True,
        force_rebuild: bool | None = None,
        show_warnings: bool = True,
    ) -> None:
        super().__init__(
            settings=settings,
            build_dir=build_dir,
            lock_timeout_seconds=lock_timeout_seconds,
            enable_reloading=enable_reloading,
            force_rebuild=force_rebuild,
            show_warnings=show_warnings,
        )

    def get_source_files(self, source_path: Path) -> Iterator[Path]:
        """Additional inputs of a script, besides those that the compiler reports. Subclasses can override it."""
        yield source_path

    def generate_project_for_single_rust_file(
        self, module_path: str, project_dir: Path, rust_file: Path, settings: MaturinSettings
    ) -> Path:
        """Writes the Cargo package of a script, and returns its folder. Subclasses can override it, and call this one.
        If it is not overridden, the hook generates a different package, which compiles the script without a copy.

        Args:
            module_path: The full name of the module that is imported.
            project_dir: A folder for the package, which does not exist yet.
            rust_file: The script.
            settings: The result of `get_settings`.
        """
        if project_dir.exists():
            shutil.rmtree(project_dir)
        (project_dir / "src").mkdir(parents=True)
        name = module_path.rpartition(".")[2]
        features = [feature for feature in settings.features or [] if "/" not in feature]
        declared = "".join(f"{feature} = []\n" for feature in features)
        pyo3 = _settings.setting("pyo3") or ">=0.23, <0.31"
        # Dependencies come last, as with maturin_import_hook, so that subclasses can append some.
        manifest = f'''\
[package]
name = "{name}"
version = "0.1.0"
edition = "2021"

[lib]
name = "{name}"
crate-type = ["cdylib"]

[features]
{declared}
[dependencies]
pyo3 = "{pyo3}"
'''
        (project_dir / "Cargo.toml").write_text(manifest, encoding="utf-8")
        shutil.copy(rust_file, project_dir / "src" / "lib.rs")
        return project_dir

    def artifact(self, fullname: str, source: str, **arguments: Any) -> Any:
        """Returns the path of the source's fresh artifact; if `generate_project_for_single_rust_file` is overridden,
        that of the generated package.

        Raises:
            rustimport.errors.RustImportError: the source cannot be built.
        """
        own = MaturinRustFileImporter.generate_project_for_single_rust_file
        if type(self).generate_project_for_single_rust_file is own or os.path.isdir(source):
            return super().artifact(fullname, source, **arguments)
        if arguments.get("opt_in", True):
            try:
                if not (_settings.is_enabled() and _marker.has_opted_in(source, os.stat(source))):
                    return None
            except (OSError, ValueError):
                # It was removed, or is a link that leads nowhere.
                return None
        package = self._generate(fullname, Path(source))
        return super().artifact(fullname, str(package), **{**arguments, "opt_in": False, "in_place": False})

    def _generate(self, fullname: str, source: Path) -> Path:
        """The package for the current content of a script, written if it does not exist yet."""
        settings = self.get_settings(fullname, source) or MaturinSettings.default()
        digest = hashlib.sha256(repr((fullname, settings)).encode())
        for file in dict.fromkeys([source, *self.get_source_files(source)]):
            digest.update(Path(file).read_bytes())
        entry = _cache.entry_folder(_cache.cache_root(self.cache_dir), _cache.entry_name(str(source)))
        folder = Path(entry, "generated", digest.hexdigest()[:16])
        done = folder / "done"
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True, mode=0o700)
            package = self.generate_project_for_single_rust_file(fullname, folder / source.stem, source, settings)
            done.write_text(str(package), encoding="utf-8")
        return Path(done.read_text(encoding="utf-8"))


def install(
    *,
    settings: MaturinSettings | None = None,
    build_dir: str | os.PathLike[str] | None = None,
    enable_reloading: bool = True,
    force_rebuild: bool | None = None,
    lock_timeout_seconds: float | None = 120,
    show_warnings: bool = True,
) -> Any:
    """Enables the hook for scripts and crates, with the arguments of `rustimport.install`. The hook for projects is not
    changed. Returns the finder."""
    finder = MaturinRustFileImporter(
        settings=settings,
        build_dir=build_dir,
        lock_timeout_seconds=lock_timeout_seconds,
        enable_reloading=enable_reloading,
        force_rebuild=force_rebuild,
        show_warnings=show_warnings,
    )
    _finder.put(finder)
    return finder


def uninstall() -> None:
    """Disables the hook for scripts and crates."""
    _finder.take_off("scripts")


def is_installed() -> bool:
    """Whether the hook for scripts and crates is enabled."""
    return _finder.installed("scripts") is not None
