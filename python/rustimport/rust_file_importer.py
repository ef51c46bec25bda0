"""The import hook for scripts and crates alone, and its class to derive from."""

from ._compat.rust_file_importer import (
    MaturinRustFileImporter,
    install,
    is_installed,
    uninstall,
)

__all__ = [
    "MaturinRustFileImporter",
    "install",
    "is_installed",
    "uninstall",
]
