"""The core, in Rust. Used through the rest of the package."""

from collections.abc import Callable
from os import PathLike
from typing import Any, Final

__all__ = ["__version__", "ensure", "is_module"]

__version__: Final[str]

def ensure(request: dict[str, Any], on_event: Callable[..., None]) -> dict[str, Any]:
    """Returns the artifact of a source, built if it was stale."""

def is_module(path: str | PathLike[str]) -> bool:
    """Whether a script without a marker is a module named like its file, and no part of a crate."""
