"""What setuptools calls for every project that it builds where this package is installed. It loads nothing as long as
pyproject.toml has no table `[tool.rustimport.wheel]`."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def finalize(distribution: "Any") -> None:
    """Adds the command that compiles sources, if the project wants it."""
    try:
        with open("pyproject.toml", "rb") as file:
            text = file.read()
    except OSError:
        return
    if b"rustimport" not in text or b"wheel" not in text:
        return
    from . import setuptools

    setuptools.add_later(distribution)
