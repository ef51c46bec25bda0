"""Reports builds: one line at the start and one at the end, through the logger ``rustimport``; on a terminal and in a
notebook, also a line with the progress. Fresh sources are not reported. Errors are raised, not reported here.
"""

from __future__ import annotations

import os
import sys
import time
from _thread import allocate_lock

from . import _settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .errors import Diagnostic

# The levels of `logging`. Loading it takes as long as a Python start, so messages are printed without it: as long as it
# is not loaded, it is not configured either.
DEBUG, INFO, WARNING, ERROR = 10, 20, 30, 40

_logger: Any = None
_handler: Any = None
#: The level that we have set. If the logger has another one, the user has set it.
_level = 0


def logger() -> Any:
    """The logger ``rustimport``, with a handler that writes to the current ``sys.stderr``, which notebooks and test
    runners replace."""
    global _logger, _handler, _level
    import logging

    if _logger is None:

        class Handler(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                # If logging is configured, the root logger's handlers write the record.
                is_theirs = found.propagate and logging.getLogger().handlers
                if not is_theirs and (record.levelno >= WARNING or not _settings.log_is_reset):
                    _print_line(record.getMessage())

        found = logging.getLogger("rustimport")
        _handler = Handler()
        found.addHandler(_handler)
        _logger = found
    if _handler not in _logger.handlers:
        # The user has configured this logger and removed the handler.
        return _logger
    # By default, INFO and above are shown on standard error, or DEBUG and above if verbose. If records propagate and
    # the root logger is configured, its configuration applies.
    default = _default_level()
    _handler.setLevel(default)
    _logger.propagate = _settings.log_propagates
    # Unless the user has set one.
    if _logger.level == _level:
        configured = _logger.propagate and _logger.root.handlers
        _level = 0 if configured and default == INFO else default
        _logger.setLevel(_level)
    return _logger


def _default_level() -> int:
    return DEBUG if _settings.is_true(_settings.setting("verbose")) else INFO


def _is_shown(level: int) -> bool:
    if _has_logging():
        return bool(logger().isEnabledFor(level))
    return level >= (WARNING if _settings.log_is_reset else _default_level())


def _say(level: int, message: str) -> None:
    if _has_logging():
        logger().log(level, "%s", message)
    else:
        _print_line(message)


def warn(message: str) -> None:
    """Prints a warning during an import. It never raises, so that imports of other modules do not fail."""
    try:
        _say(WARNING, message)
    except Exception:
        return


def note(message: str) -> None:
    """Prints a message about builds that are done."""
    if _is_shown(INFO):
        _say(INFO, message)


def _has_logging() -> bool:
    """Whether `logging` is completely loaded. It may be the module that is being imported."""
    module = sys.modules.get("logging")
    spec = getattr(module, "__spec__", None)
    return module is not None and not getattr(spec, "_initializing", False)


class Bar:
    """The common progress bar of several concurrent builds, in the last line of a terminal."""

    _WIDTH = 24

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0
        self._text = ""
        self._lock = allocate_lock()

    @classmethod
    def of(cls, total: int) -> Bar | None:
        """A bar for this number of builds, if it would be visible."""
        return cls(total) if total > 1 and _is_terminal() and _is_shown(INFO) else None

    def advance(self) -> None:
        """Counts a finished build."""
        with self._lock:
            self._done += 1
            self._draw("")

    def show(self, text: str) -> None:
        """Shows the progress of one of the builds."""
        with self._lock:
            self._draw(text)

    def aside(self, write: Callable[[], None]) -> None:
        """Calls `write`, whose output appears above the bar."""
        with self._lock:
            _write_over("")
            write()
            self._draw(self._text)

    def close(self) -> None:
        with self._lock:
            _write_over("")

    def _draw(self, text: str) -> None:
        self._text = text
        filled = self._WIDTH * self._done // self._total
        bar = "#" * filled + "-" * (self._WIDTH - filled)
        _write_over(f"rustimport: [{bar}] {self._done}/{self._total} {text}")


class Reporter:
    """The callback for the core's events about one source. `bar`: the common progress bar, if there are several
    builds."""

    #: The level of messages about the start and the end of a build.
    _lifecycle = INFO

    def __init__(self, module: str, source: str, show_warnings: bool, stop: Any = None, bar: Bar | None = None) -> None:
        self._stop = stop
        self._bar = bar
        self._module = module
        self._file = os.path.basename(source)
        self._show_warnings = show_warnings
        self._started = time.monotonic()
        self._line: Any = None
        self._shown_at = 0.0
        self._progress: tuple[int, int, str] | None = None
        self._failed_after: float | None = None

    def __call__(self, event: str, **details: Any) -> None:
        getattr(self, f"_on_{event}")(**details)

    @property
    def is_cancelled(self) -> bool:
        """Whether to cancel the build. The core checks it often, since signals reach the main thread only. Each check
        also updates the seconds in the progress line."""
        if self._progress is not None and time.monotonic() - self._shown_at >= 1:
            self._show(*self._progress)
        return self._stop is not None and bool(self._stop.is_set())

    def close(self) -> None:
        self._progress = None
        self._say_failed()
        self._clear()

    def fail(self, error: ImportError) -> None:
        """The error that is raised. Its first words are in the log, too: an ``except ImportError`` may hide it."""
        first = next((found for found in getattr(error, "diagnostics", ()) if "error" in found.level), None)
        if first is None:
            return
        place = f"{first.file}:{first.line}: " if first.file else ""
        self._say_failed(f": {place}{first.message}")

    def _say_failed(self, why: str = "") -> None:
        if self._failed_after is not None:
            level = ERROR if self._lifecycle == INFO else DEBUG
            self._log(level, f"building {self._module} failed after {self._failed_after:.1f} s{why}")
            self._failed_after = None

    def _on_log(self, message: str) -> None:
        self._log(DEBUG, message)

    def _on_notice(self, message: str) -> None:
        self._log(INFO, f"{self._file}: {message}")

    def _on_waiting(self, what: str) -> None:
        self._log(INFO, f"{self._file} is waiting for {what}")

    def _on_started(self, reason: str) -> None:
        self._progress = None
        self._say_failed()
        # `build --check` and the debug log show the reason itself.
        why = " (first build)" if reason == "never built" else f": {reason}"
        self._log(self._lifecycle, f"building {self._module}{why}")

    def _on_progress(self, done: int, total: int, what: str) -> None:
        self._progress = done, total, what
        if time.monotonic() - self._shown_at >= 0.1:
            self._show(done, total, what)

    def _show(self, done: int, total: int, what: str) -> None:
        now = time.monotonic()
        self._shown_at = now
        count = f"{done}/{total}: " if total else ""
        line = f"{self._module} {now - self._started:.0f} s, {count}{what}"
        if self._bar:
            self._bar.show(line)
            return
        self._line = self._line or _live_line()
        if self._line is not None:
            self._line.show(f"rustimport: {line}", done, total)

    def _on_warning(self, diagnostic: Diagnostic) -> None:
        if self._show_warnings:
            notebook = _notebook()
            if notebook is not None:
                text = notebook.coloured(diagnostic.rendered_ansi)
            else:
                text = diagnostic.rendered_ansi if _is_terminal() else diagnostic.rendered
            self._aside(lambda: _print(text.rstrip("\n")))

    def _on_finished(self, seconds: float) -> None:
        self._log(self._lifecycle, f"built {self._module} in {seconds:.1f} s")

    def _on_fetched(self, origin: str, seconds: float) -> None:
        self._log(self._lifecycle, f"fetched {self._module} from {origin} in {seconds:.1f} s")

    def _on_failed(self, seconds: float) -> None:
        self._failed_after = seconds

    def _log(self, level: int, message: str) -> None:
        if _is_shown(level):
            self._aside(lambda: _say(level, message))

    def _aside(self, write: Callable[[], None]) -> None:
        if self._bar:
            self._bar.aside(write)
        else:
            self._clear()
            write()

    def _clear(self) -> None:
        if self._line is not None:
            self._line.clear()
            self._line = None


class _TerminalLine:
    """A line on the terminal that is overwritten, and cleared at the end."""

    def show(self, text: str, _done: int, _total: int) -> None:
        _write_over(text)

    def clear(self) -> None:
        _write_over("")


class _MarimoSpinner:
    """A spinner in the output of the running cell, which is removed after the build. Short builds show none. Whatever
    marimo makes of it, the build goes on."""

    #: The seconds after which it is shown.
    _PATIENCE = 0.5

    def __init__(self, marimo: Any) -> None:
        self._since = time.monotonic()
        self._marimo = marimo
        self._context: Any = None
        self._spinner: Any = None

    def show(self, text: str, _done: int, _total: int) -> None:
        if self._context is None and time.monotonic() - self._since >= self._PATIENCE:
            self._context = _attempt(lambda: self._marimo.status.spinner(remove_on_exit=True))
            self._spinner = _attempt(lambda: self._context.__enter__())
        # It is Markdown.
        title = text.replace("<", "&lt;")
        if self._spinner is not None:
            _attempt(lambda: self._spinner.update(title=title))

    def clear(self) -> None:
        if self._spinner is not None:
            _attempt(lambda: self._context.__exit__(None, None, None))
            self._spinner = None


def _attempt(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Exception:
        return None


def _live_line() -> Any:
    """The place where progress is shown; ``None`` without a notebook or a terminal."""
    notebook = _notebook()
    if notebook is not None:
        return notebook.Progress()
    # Another module may have this name.
    marimo: Any = sys.modules.get("marimo")
    if marimo is not None and _attempt(lambda: marimo.running_in_notebook()):
        return _MarimoSpinner(marimo)
    return _TerminalLine() if _is_terminal() else None


def _notebook() -> Any:
    """The module `_notebook`, if this process is the kernel of a notebook."""
    if "ipykernel" not in sys.modules:
        return None
    from . import _notebook

    return _notebook if _notebook.is_notebook() else None


def _is_terminal() -> bool:
    try:
        return bool(sys.stderr.isatty()) and os.environ.get("TERM") != "dumb"
    except (AttributeError, ValueError):
        return False


def _columns() -> int:
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or 80
    except (AttributeError, OSError, ValueError):
        return 80


def _write_over(text: str) -> None:
    """Replaces the terminal's last line by a text, which is truncated to its width."""
    _write(f"\r\x1b[K{text[: max(20, _columns() - 1)]}")


def _print(text: str) -> None:
    _write(text + "\n")


def _print_line(message: str) -> None:
    _print(f"rustimport: {message}")


def _write(text: str) -> None:
    # An application without a console has no standard error, but may show standard output. A closed stream is not an
    # error.
    stream = sys.stdout if sys.stderr is None else sys.stderr
    try:
        stream.write(text)
        stream.flush()
    except UnicodeEncodeError:
        stream.write(text.encode("ascii", "backslashreplace").decode())
    except (AttributeError, OSError, ValueError):
        pass
