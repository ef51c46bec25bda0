"""Builds the sources of a package, and returns the files to install."""

from __future__ import annotations

import os
import posixpath
import tempfile
from collections.abc import Iterable
from typing import NamedTuple

from .. import _build, _native, _wheel
from ..errors import BuildError, ProjectError
from .options import Options


class File(NamedTuple):
    """A file to install."""

    name: str
    """In the wheel, with `/`."""
    content: bytes
    place: str
    """Where it would be in the project: next to its source, or in a folder above or below."""


def find(paths: Iterable[str]) -> list[str]:
    """The scripts and crates with a marker at and below `paths`, as absolute paths."""
    return _build.discover([os.path.abspath(path) for path in paths], opt_in=True, are_named=False)


def build(folders: dict[str, str], options: Options) -> tuple[list[File], str]:
    """Builds sources, and returns the files of all, and the tag of a wheel that contains them.

    Args:
        folders: Absolute path of each source -> the folder in the wheel that its module is in; empty for the top level.

    Raises:
        RustImportError: a source cannot be built, or two would be installed as one.
    """
    for source, folder in folders.items():
        if folder.split("/")[0] == "..":
            hint = "sources have to be in the folder that packages are in"
            raise ProjectError(f"{source} would be outside of the wheel", hint=hint, path=source)
    _wheel.show_tools()
    with tempfile.TemporaryDirectory() as wheels:
        results = _build.build(list(folders), profile=options.profile, chosen=options.settings(), wheels=wheels)
        errors = [result.error for result in results if result.error is not None]
        if errors:
            raise errors[0] if len(errors) == 1 else BuildError("\n\n".join(str(error) for error in errors))
        built = {result.path: str(result.artifact) for result in results}
        files: dict[str, File] = {}
        for source, folder in folders.items():
            for name, content in _wheel.files_of(source, built[source], folder).items():
                place = os.path.normpath(os.path.join(os.path.dirname(source), posixpath.relpath(name, folder or ".")))
                is_python = name.endswith(_wheel.PYTHON_FILES)
                if is_python and os.path.isfile(place):
                    # What is in the project comes first.
                    with open(place, "rb") as file:
                        content = file.read()
                if name in files and not is_python:
                    raise _wheel.same_name(source, name)
                files.setdefault(name, File(name, content, place))
        return list(files.values()), _wheel.common_tag(list(built.values()))


def needs_cffi(sources: Iterable[str]) -> bool:
    return any(_native.core.template(source) == "cffi" for source in sources)
