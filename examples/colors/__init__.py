"""A table that a build script writes, from a text file beside it."""

from .palette import names, rgb

__all__ = ["names", "rgb"]
