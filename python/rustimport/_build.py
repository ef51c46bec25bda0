"""Explicit builds, as for the command `build`: several sources at once, with their artifacts next to them. Builds at an
import are in the finders."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import partial
from threading import Event
from typing import Any, NamedTuple

from . import _cache, _core_client, _native, _report
from ._compat.maturin_settings import MaturinSettings
from .errors import ProjectError, RustImportError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._request import Request


class Result(NamedTuple):
    """The result for one source."""

    path: str
    """Absolute path of the source."""
    artifact: str | None
    """Absolute path of the library; ``None`` if there is no usable one."""
    built: bool = False
    """Whether this call built it."""
    seconds: float = 0.0
    """Wall time."""
    reason: str | None = None
    """Why it was stale; ``None`` if it was fresh."""
    error: RustImportError | None = None
    origin: str | None = None
    """Where the library came from: ``fresh``, ``built``, ``restored`` from the cache, or ``fetched`` from a remote
    store; ``None`` if there is none."""

    def as_dict(self) -> dict[str, Any]:
        return {**self._asdict(), "error": None if self.error is None else str(self.error)}


def discover(paths: Iterable[str | os.PathLike[str]], opt_in: bool, are_named: bool = True) -> list[str]:
    """The sources among `paths`, and in the folders among them (`commands/discover.rs`). If not `are_named`, the paths
    are folders to search: a crate needs its marker even if its folder is one of them.

    Raises:
        ProjectError: a path does not exist, or is not a source.
    """
    return [os.fspath(path) for path in _native.core.discover([os.fspath(path) for path in paths], opt_in, are_named)]


def passed_over(paths: Iterable[str | os.PathLike[str]]) -> list[tuple[str, str]]:
    """The scripts in folders among `paths` that `discover` does not find because they did not opt in, though they look
    as if they were for Python; each with what is missing."""
    from . import _advice

    found = [os.fspath(path) for path in _native.core.passed_over([os.fspath(path) for path in paths])]
    return [(path, why) for path in found if (why := _advice.why_not(path)) is not None]


def build(
    sources: Sequence[str],
    *,
    jobs: int | None = None,
    force: bool = False,
    profile: str | None = None,
    chosen: MaturinSettings | None = None,
    in_place: bool = True,
    wheels: str | None = None,
    newest: bool | None = None,
    locked: bool = False,
) -> list[Result]:
    """Builds every source, and continues after failures. `jobs`: the number of concurrent builds, by default the number
    of processors. `in_place`: puts artifacts next to the sources, not only into the cache. `wheels`: a folder for
    wheels, which are then the artifacts if maturin builds the source. `newest`: without a lock file, a script gets the
    newest versions of its dependencies, not those that other scripts use; by default in a wheel or with the profile
    ``release``. `locked`: fail without a lock file that matches."""
    bar = _report.Bar.of(len(sources))
    if newest is None:
        newest = wheels is not None or profile == "release"
    one = partial(build_one, force=force, profile=profile, chosen=chosen, in_place=in_place, wheels=wheels, bar=bar)
    try:
        results = each(sources, partial(one, newest=newest, locked=locked), jobs)
    finally:
        if bar:
            bar.close()
    if newest:
        _tell_of_versions([result.path for result in results if result.built and not has_lock(result.path)])
    return results


def has_lock(source: str) -> bool:
    """Whether there is a lock file for a source, or it is a crate, which cargo handles."""
    return not source.endswith(".rs") or os.path.isfile(f"{source.removesuffix('.rs')}.lock")


def _tell_of_versions(scripts: list[str]) -> None:
    if scripts:
        first = os.path.basename(scripts[0])
        names = first if len(scripts) == 1 else f"{first} and {len(scripts) - 1} more"
        _report.note(
            f"{names}: built with the newest versions of the dependencies, since there is no lock file; "
            "`python -m rustimport build --lock` writes one, for the same versions in every build"
        )


def lock(source: str, *, newest: bool = False) -> bool:
    """Writes the lock file of a script, or completes it; if `newest`, all versions are chosen again. Returns whether it
    had to be changed.

    Raises:
        RustImportError: cargo finds no versions, or the file cannot be written.
    """
    asked = _core_client.request(_cache.Key(source))
    with _named(asked):
        return _native.core.write_lock(asked, newest, _report.Reporter(asked["module"], source, show_warnings=False))


@contextmanager
def _named(asked: Request) -> Iterator[None]:
    try:
        yield
    except RustImportError as error:
        _core_client.name_module(error, asked)
        raise


def each(sources: Sequence[Any], one: Callable[..., Result], jobs: int | None = None) -> list[Result]:
    """Calls `one` for every source, `jobs` at once, with an event `stop` that cancels the build."""
    count = jobs or min(len(sources), os.cpu_count() or 1) or 1
    stop = Event()
    with ThreadPoolExecutor(count) as pool:
        try:
            futures = [pool.submit(one, source, stop=stop) for source in sources]
            # With a timeout, since a signal that arrives just before a wait does not interrupt it.
            while wait(futures, timeout=0.1).not_done:
                pass
            return [future.result() for future in futures]
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise


def check_name(source: str, fullname: str | None = None) -> None:
    """Refuses a top-level module with the name of a standard one: its library would replace that for every program
    that runs in this folder.

    Raises:
        ProjectError: it has such a name.
    """
    folder, file = os.path.split(source)
    name = fullname or file.removesuffix(".rs")
    if name not in sys.stdlib_module_names or (
        fullname is None and os.path.isfile(os.path.join(folder, "__init__.py"))
    ):
        return
    raise ProjectError(
        f"{source} has the name of a module of the standard library, `{name}`",
        hint="rename it: a library of that name breaks every program that runs in its folder. In a package, a folder "
        "with an `__init__.py`, the name is possible",
        name=name,
        path=source,
    )


def build_one(
    source: str,
    fullname: str | None = None,
    *,
    force: bool = False,
    profile: str | None = None,
    chosen: MaturinSettings | None = None,
    in_place: bool = True,
    may_build: bool = True,
    wheels: str | None = None,
    newest: bool | None = None,
    locked: bool = False,
    stop: Event | None = None,
    bar: _report.Bar | None = None,
) -> Result:
    """Builds one source. Errors are in the result, not raised."""
    own = None if wheels is None else tempfile.mkdtemp(dir=wheels)
    try:
        check_name(source, fullname)
        stem = None if fullname is None else fullname.rpartition(".")[2]
        key = _cache.Key(source, stem, chosen=chosen)
        force = force or own is not None
        if newest is None:
            newest = profile == "release"
        asked = _core_client.request(
            key, fullname, force=force, may_build=may_build, profile=profile, wheels=own, newest=newest
        )
        if locked:
            asked["settings"]["run_arguments"] = [*asked["settings"]["run_arguments"], "--locked"]
            with _named(asked):
                _native.core.check_lock(asked, lambda *_, **__: None)
        outcome = _core_client.ensure(asked, in_place=in_place and own is None, stop=stop, bar=bar)
    except RustImportError as error:
        return Result(source, None, error=error)
    finally:
        if bar:
            bar.advance()
    artifact = os.fspath(outcome["artifact"])
    # A library for another platform cannot be loaded.
    if outcome["stubs"] is not None and not (chosen and chosen.target):
        from . import _stubs

        _stubs.update(source, artifact, outcome["stubs"], fullname)
    if own is not None:
        artifact = next((entry.path for entry in os.scandir(own) if entry.name.endswith(".whl")), artifact)
    return Result(source, artifact, outcome["built"], outcome["seconds"], outcome["reason"], origin=outcome["origin"])


def check(sources: Sequence[str]) -> list[Result]:
    """Checks for every source whether the library next to it is fresh, and builds nothing."""
    results = []
    for source in sources:
        asked = _core_client.request(_cache.Key(source))
        try:
            with _named(asked):
                reason = _native.core.check_in_place(asked, lambda *_, **__: None)
        except RustImportError as error:
            results.append(Result(source, None, error=error))
        else:
            results.append(Result(source, None, reason=reason))
    return results
