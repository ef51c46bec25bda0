"""The import hook for editable projects alone, and its classes for subclassing, with the names of
``maturin_import_hook.project_importer``."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from .. import _finder, _projects, _settings
from .importer import Importer
from .maturin_settings import MaturinSettings

__all__ = [
    "DefaultProjectFileSearcher",
    "MaturinProjectImporter",
    "ProjectFileSearcher",
    "install",
    "is_installed",
    "uninstall",
]


class ProjectFileSearcher(ABC):
    """Determines which files are a project's inputs, instead of the compiler."""

    @abstractmethod
    def get_source_paths(
        self, project_dir: Path, all_path_dependencies: list[Path], installed_package_root: Path
    ) -> Iterator[Path]:
        """The inputs of a project.

        Args:
            project_dir: The project's folder.
            all_path_dependencies: The folders of the local packages that it depends on.
            installed_package_root: The folder or file that it is imported from.
        """

    def get_installation_paths(self, installed_package_root: Path) -> Iterator[Path]:
        """The installed files of a project. The hook does not call this, since it records what it installed."""
        return iter(())


class DefaultProjectFileSearcher(ProjectFileSearcher):
    """Every file of the project and of its local dependencies, except the output of builds and tools. It is meant for
    subclasses: without a searcher, the hook uses the inputs that the compiler reports."""

    DEFAULT_SOURCE_EXCLUDED_DIR_NAMES = frozenset(
        {
            ".cargo",
            ".eggs",
            ".git",
            ".hg",
            ".idea",
            ".mypy_cache",
            ".nox",
            ".pytest_cache",
            ".ruff_cache",
            ".svn",
            ".tox",
            ".venv",
            ".vscode",
            "__pycache__",
            "build",
            "dist",
            "node_modules",
            "target",
            "venv",
        }
    )
    DEFAULT_SOURCE_EXCLUDED_DIR_MARKERS = frozenset(
        {".maturin_hook_ignore", "CACHEDIR.TAG", "pyvenv.cfg", "conda-meta"}
    )
    DEFAULT_SOURCE_EXCLUDED_FILE_EXTENSIONS = frozenset(
        {".dll", ".dylib", ".egg", ".py", ".pyc", ".pyd", ".pyi", ".pyo", ".so", ".tar.gz", ".whl", ".md", ".rst"}
    )

    def __init__(
        self,
        *,
        source_excluded_dir_names: Iterable[str] | None = None,
        source_excluded_dir_markers: Iterable[str] | None = None,
        source_excluded_file_extensions: Iterable[str] | None = None,
    ) -> None:
        """
        Args:
            source_excluded_dir_names: Folders with these names are excluded.
            source_excluded_dir_markers: Folders that contain one of these names are excluded.
            source_excluded_file_extensions: Files with these extensions are excluded, ignoring case.
        """

        def chosen(names: Iterable[str] | None, default: frozenset[str]) -> frozenset[str]:
            return default if names is None else frozenset(names)

        self._folders = chosen(source_excluded_dir_names, self.DEFAULT_SOURCE_EXCLUDED_DIR_NAMES)
        self._markers = chosen(source_excluded_dir_markers, self.DEFAULT_SOURCE_EXCLUDED_DIR_MARKERS)
        endings = chosen(source_excluded_file_extensions, self.DEFAULT_SOURCE_EXCLUDED_FILE_EXTENSIONS)
        self._endings = tuple(ending.lower() for ending in endings)

    def get_source_paths(
        self, project_dir: Path, all_path_dependencies: list[Path], installed_package_root: Path
    ) -> Iterator[Path]:
        for root in (project_dir, *all_path_dependencies):
            found = self._files_in(root, installed_package_root, self._folders, self._markers, self._endings)
            yield from (path for path in found if path != installed_package_root)

    def get_installation_paths(self, installed_package_root: Path) -> Iterator[Path]:
        if installed_package_root.is_dir():
            yield from self._files_in(installed_package_root, None, frozenset({"__pycache__"}), frozenset(), (".pyc",))
        elif installed_package_root.is_file():
            yield installed_package_root

    @staticmethod
    def _files_in(
        root: Path, without: Path | None, folders: frozenset[str], markers: frozenset[str], endings: tuple[str, ...]
    ) -> Iterator[Path]:
        """The files below a folder, sorted.

        Raises:
            FileNotFoundError: there is no such folder.
        """
        if not root.is_dir():
            raise FileNotFoundError(f"there is no folder {root}")
        for folder, inside, files in os.walk(root):
            if not markers.isdisjoint([*inside, *files]) or Path(folder) == without:
                inside.clear()
                continue
            inside[:] = sorted(name for name in inside if name not in folders)
            yield from (Path(folder, name) for name in sorted(files) if not name.lower().endswith(endings))


class MaturinProjectImporter(Importer, _projects.ProjectFinder):
    """The finder that rebuilds editable projects. An instance of this class or a subclass works as soon as it is on
    ``sys.meta_path``, and takes precedence over the one that ``install`` added."""

    def __init__(
        self,
        *,
        settings: MaturinSettings | None = None,
        file_searcher: ProjectFileSearcher | None = None,
        build_dir: str | os.PathLike[str] | None = None,
        lock_timeout_seconds: float | None = 120,
        enable_reloading: bool = True,
        enable_automatic_installation: bool = False,
        force_rebuild: bool | None = None,
        show_warnings: bool = True,
    ) -> None:
        super().__init__(
            settings=settings,
            file_searcher=file_searcher,
            build_dir=build_dir,
            lock_timeout_seconds=lock_timeout_seconds,
            enable_reloading=enable_reloading,
            automatic=enable_automatic_installation,
            force_rebuild=force_rebuild,
            show_warnings=show_warnings,
        )


def install(
    *,
    settings: MaturinSettings | None = None,
    build_dir: str | os.PathLike[str] | None = None,
    enable_reloading: bool = True,
    force_rebuild: bool | None = None,
    lock_timeout_seconds: float | None = 120,
    show_warnings: bool = True,
    file_searcher: ProjectFileSearcher | None = None,
    enable_automatic_installation: bool = False,
) -> Any:
    """Enables the hook for projects, with the arguments of `rustimport.install`. The hook for scripts is not changed.
    Returns the finder."""
    finder = MaturinProjectImporter(
        settings=settings,
        file_searcher=file_searcher,
        build_dir=build_dir,
        lock_timeout_seconds=lock_timeout_seconds,
        enable_reloading=enable_reloading,
        enable_automatic_installation=enable_automatic_installation,
        force_rebuild=force_rebuild,
        show_warnings=show_warnings,
    )
    if _settings.is_release_mode():
        uninstall()
    else:
        # It replaces the earlier one, without a moment in which there is none.
        _finder.put(finder)
    return finder


def uninstall() -> None:
    """Disables the hook for projects."""
    _finder.take_off("projects")


def is_installed() -> bool:
    """Whether the hook for projects is enabled."""
    return _finder.installed("projects") is not None
