"""A script that depends on a crate in a folder next to it."""

from .distance import between

__all__ = ["between"]
