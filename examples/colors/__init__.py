"""A table that a build script generates from a text file next to it."""

from .palette import names, rgb

__all__ = ["names", "rgb"]
