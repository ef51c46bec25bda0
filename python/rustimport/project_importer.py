"""The import hook for editable projects alone, and its classes to derive from."""

from ._compat.project_importer import (
    DefaultProjectFileSearcher,
    MaturinProjectImporter,
    ProjectFileSearcher,
    install,
    is_installed,
    uninstall,
)

__all__ = [
    "DefaultProjectFileSearcher",
    "MaturinProjectImporter",
    "ProjectFileSearcher",
    "install",
    "is_installed",
    "uninstall",
]
