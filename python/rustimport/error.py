"""Errors, under the names of ``maturin_import_hook.error``; all of them are in ``rustimport.errors``."""

from .errors import BuildError as MaturinError
from .errors import RustImportError as ImportHookError

__all__ = ["ImportHookError", "MaturinError"]
