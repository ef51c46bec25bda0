"""Builds the sources of a package, and returns the files to install."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from typing import NamedTuple

from .. import _build, _wheel
from ..errors import BuildError, RustImportError
from .options import Options


class Module(NamedTuple):
    """One source, built."""

    source: str
    files: dict[str, bytes]
    """What to install, with names relative to the root of the wheel."""


def find(paths: Iterable[str]) -> list[str]:
    """The scripts and crates with a marker at and below `paths`, as absolute paths."""
    return _build.discover([os.path.abspath(path) for path in paths], opt_in=True, are_named=False)


def build(places: dict[str, str], options: Options) -> tuple[list[Module], str]:
    """Builds sources, and returns them with the tag of a wheel that contains them all.

    Args:
        places: Absolute path of each source -> the folder in the wheel that its module is in; empty for the top level.

    Raises:
        RustImportError: a source cannot be built.
    """
    _wheel.show_tools()
    with tempfile.TemporaryDirectory() as wheels:
        results = _build.build(list(places), profile=options.profile, chosen=options.settings(), wheels=wheels)
        errors = [result.error for result in results if result.error is not None]
        if errors:
            raise joined(errors)
        built = {result.path: str(result.artifact) for result in results}
        modules = [Module(source, _wheel.files_of(source, built[source], place)) for source, place in places.items()]
        return modules, _wheel.common_tag(list(built.values()))


def joined(errors: list[RustImportError]) -> RustImportError:
    return errors[0] if len(errors) == 1 else BuildError("\n\n".join(str(error) for error in errors))
