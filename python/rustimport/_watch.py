"""``python -m rustimport watch``: builds each source as soon as it is edited, so that the next import finds it fresh.
The core reports changes in folders."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence

from . import _cache, _native, _sources
from ._build import Result
from ._sources import Source
from .errors import BuildError, RustImportError

#: The seconds that a command has to exit after it was terminated.
PATIENCE = 10.0

#: The state of files: path, size, mtime.
State = set[tuple[str, int, int]]


def run(
    paths: Sequence[str], command: Sequence[str], quiet: bool, ensure: Callable[[Sequence[Source]], list[Result]]
) -> None:
    """Watches until it is interrupted or terminated.

    Args:
        paths: Sources, and folders to search; the working folder if there are none.
        command: Started after the first check, and restarted whenever a source has become fresh.
        quiet: Print only errors.
        ensure: Builds the stale ones of some sources.

    Raises:
        RustImportError: a path is not a source, or the system cannot watch.
    """
    watch = Watch(paths, Command(command) if command else None, quiet, ensure)
    # So that the command ends with us.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        _native.core.watch(watch.look)
    except KeyboardInterrupt:
        # A terminal interrupts the command as well, which may have to clean up.
        if watch.command:
            watch.command.wait()
        raise
    finally:
        if watch.command:
            watch.command.stop()


class Command:
    """A program that runs while sources are watched."""

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
        """Terminates the program if it runs, and kills it if it does not exit."""
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
        """Waits up to a second until the program exits."""
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(1.0)

    def tell_end(self) -> None:
        """Reports, once, that the program has exited by itself."""
        if self._process is not None and self._process.poll() is not None:
            _say(f"{self._words[0]} exited with status {self._process.returncode}; it restarts after the next build")
            self._process = None


class Watch:
    def __init__(
        self,
        paths: Sequence[str],
        command: Command | None,
        quiet: bool,
        ensure: Callable[[Sequence[Source]], list[Result]],
    ) -> None:
        self._ensure = ensure
        self._paths = [os.path.abspath(path) for path in paths]
        self.command = command
        self._quiet = quiet
        #: Source that could not be built -> the state of its files.
        self._failed: dict[str, State] = {}
        #: Source -> the last error that was printed.
        self._said: dict[str, str] = {}
        self._looks = 0

    def look(self) -> list[str]:
        """Builds stale sources. Returns the folders in which a source could become stale, or a new one appear."""
        sources = self._find()
        # A source that could not be built is tried again only after an edit.
        failed = [source for source in sources if source.path in self._failed]
        waiting = {source.path for source in failed if _state(source) == self._failed[source.path]}
        pending = [source for source in sources if source.path not in waiting]
        # The state from before the build, so that an edit during a failed build causes another one.
        before = {source.path: _state(source) for source in pending if source.fresh_artifact() is None}
        results = self._ensure(pending)
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
        # A path may be missing for a moment while an editor replaces it.
        there = self._paths if self._looks == 0 else [path for path in self._paths if os.path.exists(path)]
        return _sources.find(there)

    def _is_good_again(self, result: Result) -> bool:
        """Whether a source that could not be built is fresh again, for example since the edit was undone."""
        return result.error is None and result.path in self._said

    def _tell(self, sources: list[Source], results: list[Result]) -> None:
        for result in [] if self._quiet else results:
            if result.built:
                _say(f"built {os.path.relpath(result.path)} in {result.seconds:.1f} s: {result.reason}")
            elif result.reason is not None or self._is_good_again(result):
                _say(f"{os.path.relpath(result.path)} is fresh again: an earlier build is used")
        errors = {result.path: _first_error(result.error) for result in results if result.error is not None}
        new = {path: error for path, error in errors.items() if self._said.get(path) != error}
        for path in errors:
            _say(f"{os.path.relpath(path)} {'cannot' if path in new else 'still cannot'} be built")
        for error in list(new.values())[:1]:
            print(error, file=sys.stderr, flush=True)
        self._said = {path: error for path, error in self._said.items() if path in self._failed} | errors
        if self._looks == 0 and not self._quiet:
            count = f"{len(sources)} source{'' if len(sources) == 1 else 's'}"
            _say(f"watching {count}; press Ctrl-C to stop" if sources else "no source found yet; watching for new ones")


def _first_error(error: RustImportError) -> str:
    """Only the compiler's first error, since the others often follow from it."""
    errors = [found for found in error.diagnostics if found.level == "error"] if isinstance(error, BuildError) else []
    if not errors:
        return str(error)
    more = f"\nand {len(errors) - 1} more" if len(errors) > 1 else ""
    return errors[0].rendered.rstrip() + more


def _folders(source: Source) -> set[str]:
    """The folders in which a change could make a source stale."""
    return {os.path.dirname(path) for path in _cache.stamped_paths(source.stamp)}.union(_own_folders(source))


def _own_folders(source: Source) -> Iterator[str]:
    """The folder of a script; for a crate or project, its folder and those below, except hidden and tools' folders."""
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
    """The state of a source's files: its recorded inputs, and the Rust files in its folders, which may be inputs. For
    other files in these folders only the names, so that a growing log file causes no build."""
    paths = set(_cache.stamped_paths(source.stamp))
    found: State = set()
    for folder in _own_folders(source):
        # Hidden files are ignored, since most of them belong to editors.
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
            # The mtimes of folders change when a build writes into them.
            if not stat.S_ISDIR(status.st_mode):
                found.add((path, status.st_size, status.st_mtime_ns))
    return found


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {text}", flush=True)
