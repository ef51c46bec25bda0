"""Errors, under the names of ``maturin_import_hook.error``; all of them are in ``rustimport.errors``."""

from .errors import MaturinError
from .errors import RustImportError as ImportHookError

__all__ = ["ImportHookError", "MaturinError"]
