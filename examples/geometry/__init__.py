"""A script with a crate beside it, as a dependency by its path."""

from .distance import between

__all__ = ["between"]
