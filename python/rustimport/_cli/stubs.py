"""`stubs`: writes type stubs."""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Sequence
from functools import partial

from .. import _native
from .._build import Result
from .._sources import Source
from ..errors import RustImportError
from .output import say, say_failures, tell

#: Where pyright and its kin look by default.
DEFAULT = "typings"


def run(options: argparse.Namespace) -> int:
    from .. import _sources, _watch

    if options.watch:
        if options.check:
            options.parser.error("--check writes nothing, and cannot be used with --watch")
        if not options.verbose:
            logging.getLogger("rustimport").setLevel(logging.CRITICAL)
        _watch.run(options.paths, [], options.quiet, partial(_refresh, options=options))
        return 0
    sources = _sources.find(options.paths or [os.curdir], are_named=bool(options.paths))
    results = _sources.ensure(sources, stubs=True)
    failed = say_failures(results)
    changed, errors = _write(options, sources, results)
    for error in errors:
        say(f"{error}\n")
    problems = len(failed) + len(errors)
    if options.check:
        for path in changed:
            say(f"{os.path.relpath(path)}: outdated")
        return 1 if problems or changed else 0
    count = len(sources) - problems
    tell(options, f"stubs of {count} module{'' if count == 1 else 's'}: {len(changed)} written, {problems} failed")
    return 1 if problems else 0


def _refresh(sources: Sequence[Source], options: argparse.Namespace) -> list[Result]:
    """Builds stale sources, and writes their stubs."""
    from .. import _sources

    results = _sources.ensure(sources, stubs=True)
    _, errors = _write(options, sources, results)
    refused = {error.path: error for error in errors}
    return [result._replace(error=refused.get(result.path, result.error)) for result in results]


def _write(
    options: argparse.Namespace, sources: Sequence[Source], results: Sequence[Result]
) -> tuple[list[str], list[RustImportError]]:
    """Writes the stubs of what was built, or with ``--check`` only compares them. Returns the files that were not up to
    date, and errors."""
    changed: list[str] = []
    errors: list[RustImportError] = []
    for source, result in zip(sources, results, strict=True):
        if result.artifact is None:
            continue
        try:
            changed += _write_one(options, source, result.artifact)
        except RustImportError as error:
            error.path = error.path or source.path
            errors.append(error)
    return changed, errors


def _write_one(options: argparse.Namespace, source: Source, artifact: str) -> list[str]:
    from .. import _stubs

    folder = _folder(options, source)
    if source.project is not None:
        _stubs.check_types(source.project, artifact)
        # Those that the user or maturin has written are kept.
        stubs = [stub for stub in _stubs.of_project(source.project, artifact) if not stub.is_users()]
    else:
        stubs = _stubs.of_script(source.path, artifact, folder)
    if options.check:
        return [stub.path for stub in stubs if not stub.is_written()]
    is_new = source.project is None and folder != _stubs.BESIDE and not os.path.exists(folder)
    if source.project is not None:
        written = _stubs.save_project(stubs, source.project)
    else:
        written = _stubs.save(stubs, source.path)
    for path in written:
        tell(options, f"wrote {os.path.relpath(path)}")
    if is_new:
        tell(options, f'mypy finds them with `mypy_path = "{os.path.relpath(folder)}"` in its configuration')
    return written


def _folder(options: argparse.Namespace, source: Source) -> str:
    """Where the stubs of a source belong."""
    from .. import _stubs

    if options.output is not None:
        return _stubs.BESIDE if options.output == _stubs.BESIDE else os.path.abspath(options.output)
    found = _native.core.project_settings(os.path.dirname(source.path))
    base = os.getcwd() if found is None else os.path.dirname(os.fspath(found[0]))
    return _stubs.folder_of(source.path) or os.path.join(base, DEFAULT)
