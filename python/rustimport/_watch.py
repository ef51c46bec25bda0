"""``python -m rustimport watch``: what is edited is built at once, so that the next import finds it fresh."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence

from . import _cache, _native, _sources
from ._build import Result
from ._sources import Source
from .errors import BuildError, RustImportError

#: How many seconds a command has to end when it is asked to.
PATIENCE = 10.0

#: What files looked like: path, size, mtime.
State = set[tuple[str, int, int]]


def run(paths: Sequence[str], command: Sequence[str], quiet: bool) -> None:
    """Watches until it is interrupted or terminated.

    Args:
        paths: Sources, and folders to search; the working folder if there are none.
        command: Started when everything has been looked at, and again whenever something has become fresh.
        quiet: Say nothing but what cannot be built.

    Raises:
        RustImportError: a path is no source, or the system cannot watch.
    """
    watch = Watch(paths, Command(command) if command else None, quiet)
    # So that the command ends with us.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        _native.core.watch(watch.look)
    except KeyboardInterrupt:
        # A terminal interrupts the command as well: it may have something to put in order.
        if watch.command:
            watch.command.wait()
        raise
    finally:
        if watch.command:
            watch.command.stop()


class Command:
    """A program that runs beside the watch."""

    def __init__(self, words: Sequence[str]) -> None:
        self._words = words
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.stop()
        try:
            self._process = subprocess.Popen(self._words)
        except OSError as error:
            _say(f"{self._words[0]} cannot be started: {error.strerror}")

    def stop(self) -> None:
        """Ends it, if it runs; by force, if it does not end by itself."""
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def wait(self) -> None:
        """Waits a moment for its end."""
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(1.0)

    def tell_end(self) -> None:
        """Says, once, that it has ended by itself."""
        if self._process is not None and self._process.poll() is not None:
            _say(f"{self._words[0]} ended with status {self._process.returncode}; it starts again after the next build")
            self._process = None


class Watch:
    def __init__(self, paths: Sequence[str], command: Command | None, quiet: bool) -> None:
        self._paths = [os.path.abspath(path) for path in paths]
        self.command = command
        self._quiet = quiet
        #: Source that could not be built -> what its files looked like.
        self._failed: dict[str, State] = {}
        #: Source -> what was said of it last.
        self._said: dict[str, str] = {}
        self._looks = 0

    def look(self) -> list[str]:
        """Builds what is stale. Returns the folders in which a source could become stale, or a new one appear."""
        sources = self._find()
        # Of what could not be built, only what was edited since.
        failed = [source for source in sources if source.path in self._failed]
        waiting = {source.path for source in failed if _state(source) == self._failed[source.path]}
        pending = [source for source in sources if source.path not in waiting]
        # What changes while it is built is tried again.
        before = {source.path: _state(source) for source in pending if source.fresh_artifact() is None}
        results = _sources.ensure(pending)
        self._failed = {path: state for path, state in self._failed.items() if path in waiting}
        self._failed |= {result.path: before.get(result.path, set()) for result in results if result.error is not None}
        changed = any(result.reason is not None or self._is_good_again(result) for result in results)
        self._tell(sources, results)
        if self.command:
            self.command.tell_end()
            if self._looks == 0 or changed:
                self.command.start()
        self._looks += 1
        folders = self._paths or [os.getcwd()]
        return sorted({folder for folder in folders if os.path.isdir(folder)}.union(*map(_folders, sources)))

    def _find(self) -> list[Source]:
        if not self._paths:
            return _sources.find([os.getcwd()], are_named=False)
        # One that is being replaced is back in a moment.
        there = self._paths if self._looks == 0 else [path for path in self._paths if os.path.exists(path)]
        return _sources.find(there)

    def _is_good_again(self, result: Result) -> bool:
        """Whether it could not be built before. If the edit was undone, there was nothing to build."""
        return result.error is None and result.path in self._said

    def _tell(self, sources: list[Source], results: list[Result]) -> None:
        for result in [] if self._quiet else results:
            if result.built:
                _say(f"built {os.path.relpath(result.path)} in {result.seconds:.1f} s: {result.reason}")
            elif result.reason is not None or self._is_good_again(result):
                _say(f"{os.path.relpath(result.path)} is as it was built before")
        errors = {result.path: _first_error(result.error) for result in results if result.error is not None}
        new = {path: error for path, error in errors.items() if self._said.get(path) != error}
        for path in errors:
            _say(f"{os.path.relpath(path)} {'cannot' if path in new else 'still cannot'} be built")
        for error in list(new.values())[:1]:
            print(error, file=sys.stderr, flush=True)
        self._said = {path: error for path, error in self._said.items() if path in self._failed} | errors
        if self._looks == 0 and not self._quiet:
            count = f"{len(sources)} source{'' if len(sources) == 1 else 's'}"
            _say(f"watching {count}; Ctrl-C ends it" if sources else "there is no source yet; watching for one")


def _first_error(error: RustImportError) -> str:
    """The compiler's first error alone: the others mostly follow from it."""
    errors = [found for found in error.diagnostics if found.level == "error"] if isinstance(error, BuildError) else []
    if not errors:
        return str(error)
    more = f"\nand {len(errors) - 1} more" if len(errors) > 1 else ""
    return errors[0].rendered.rstrip() + more


def _folders(source: Source) -> set[str]:
    """The folders in which a change could make a source stale."""
    return {os.path.dirname(path) for path in _cache.stamped_paths(source.stamp)}.union(_own_folders(source))


def _own_folders(source: Source) -> Iterator[str]:
    """Of a script, the one that it stands in; of others also those below, but not what is hidden or made by tools."""
    if not os.path.isdir(source.path):
        yield os.path.dirname(source.path)
        return
    for folder, folders, files in os.walk(source.path):
        if "CACHEDIR.TAG" in files or "pyvenv.cfg" in files:
            folders.clear()
            continue
        folders[:] = [name for name in folders if not name.startswith(".") and name != "__pycache__"]
        yield folder


def _state(source: Source) -> State:
    """What a source's files look like: those that it was made of, and the Rust files in its folders that it could be
    made of. Of other files there only the names: a log may grow there, ours among them."""
    paths = set(_cache.stamped_paths(source.stamp))
    found: State = set()
    for folder in _own_folders(source):
        # What is hidden is mostly an editor's.
        with contextlib.suppress(OSError):
            for name in os.listdir(folder):
                path = os.path.join(folder, name)
                if name.endswith((".rs", "Cargo.toml", "build.rs")):
                    paths.add(path)
                elif not name.startswith(".") and not os.path.isdir(path):
                    found.add((path, 0, 0))
    for path in paths:
        with contextlib.suppress(OSError):
            status = os.stat(path)
            # A build leaves folders.
            if not stat.S_ISDIR(status.st_mode):
                found.add((path, status.st_size, status.st_mtime_ns))
    return found


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {text}", flush=True)
