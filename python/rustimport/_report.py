"""What is said while something is built: one line when it starts and one when it is done, through the
logger ``rustimport``; on a terminal and in a notebook a line in between that tells how far it is. Nothing when all is
fresh.
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

# The numbers of `logging`. It costs as much as a Python start, and is not loaded for what is said here: as long as
# nobody has loaded it, nobody has configured it.
DEBUG, INFO, WARNING, ERROR = 10, 20, 30, 40

_logger: Any = None
_handler: Any = None
#: The logger's level, as long as nobody else sets it.
_level = 0


def logger() -> Any:
    """The logger ``rustimport``, with a handler that writes to whatever ``sys.stderr`` is at that moment, as
    notebooks and test runners replace it."""
    global _logger, _handler, _level
    import logging

    if _logger is None:

        class Handler(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                # Who configured logging gets the record there.
                is_theirs = found.propagate and logging.getLogger().handlers
                if not is_theirs and (record.levelno >= WARNING or not _settings.log_is_reset):
                    _print_line(record.getMessage())

        found = logging.getLogger("rustimport")
        _handler = Handler()
        found.addHandler(_handler)
        _logger = found
    if _handler not in _logger.handlers:
        # Somebody has configured this logger: so be it.
        return _logger
    # What is shown, and where: from INFO on standard error, from DEBUG if verbose; or, where log records
    # propagate, what the root logger's configuration lets through, as soon as there is one.
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
    """Says what somebody else's import must not fail for, whatever state that import is in."""
    try:
        _say(WARNING, message)
    except Exception:
        # Nobody hears it then.
        return


def _has_logging() -> bool:
    """Whether somebody has loaded `logging`, whole: it may be what is being imported."""
    module = sys.modules.get("logging")
    spec = getattr(module, "__spec__", None)
    return module is not None and not getattr(spec, "_initializing", False)


class Bar:
    """How far many builds are, in the last line of a terminal. They run in threads of their own."""

    _WIDTH = 24

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0
        self._text = ""
        self._lock = allocate_lock()

    @classmethod
    def of(cls, total: int) -> Bar | None:
        """One for so many builds, where somebody sees it."""
        return cls(total) if total > 1 and _is_terminal() and _is_shown(INFO) else None

    def advance(self) -> None:
        """One more is done."""
        with self._lock:
            self._done += 1
            self._draw("")

    def show(self, text: str) -> None:
        """Says what one of them is doing."""
        with self._lock:
            self._draw(text)

    def aside(self, write: Callable[[], None]) -> None:
        """Lets something be written above."""
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
    """The callback that the core gives its events to, for one source. `bar`: what shows how far it is, among others."""

    #: The level of what is said of builds that begin and end.
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

    def __call__(self, event: str, **details: Any) -> None:
        getattr(self, f"_on_{event}")(**details)

    @property
    def is_cancelled(self) -> bool:
        """Asked often by the core: signals reach the main thread only. So the seconds go on where nothing happens."""
        if self._progress is not None and time.monotonic() - self._shown_at >= 1:
            self._show(*self._progress)
        return self._stop is not None and bool(self._stop.is_set())

    def close(self) -> None:
        self._progress = None
        self._clear()

    def _on_log(self, message: str) -> None:
        self._log(DEBUG, message)

    def _on_notice(self, message: str) -> None:
        self._log(INFO, f"{self._file}: {message}")

    def _on_waiting(self, what: str) -> None:
        self._log(INFO, f"{self._file} is waiting for {what}")

    def _on_started(self, reason: str) -> None:
        self._progress = None
        self._log(self._lifecycle, f"building {self._module}: {reason}")

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

    def _on_failed(self, seconds: float) -> None:
        level = ERROR if self._lifecycle == INFO else DEBUG
        self._log(level, f"building {self._module} failed after {seconds:.1f} s")

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
    """A line on the terminal that is written over, and leaves nothing."""

    def show(self, text: str, _done: int, _total: int) -> None:
        _write_over(text)

    def clear(self) -> None:
        _write_over("")


def _live_line() -> Any:
    """Where progress is shown, if it can be."""
    notebook = _notebook()
    if notebook is not None:
        return notebook.Progress()
    return _TerminalLine() if _is_terminal() else None


def _notebook() -> Any:
    """The module for notebooks, if this process is one's kernel."""
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
    """Puts as much of a text as there is room for in place of the terminal's last line."""
    _write(f"\r\x1b[K{text[: max(20, _columns() - 1)]}")


def _print(text: str) -> None:
    _write(text + "\n")


def _print_line(message: str) -> None:
    _print(f"rustimport: {message}")


def _write(text: str) -> None:
    # An application without a console has no standard error, but may show standard output; a stream that is closed is
    # no reason to fail.
    stream = sys.stdout if sys.stderr is None else sys.stderr
    try:
        stream.write(text)
        stream.flush()
    except UnicodeEncodeError:
        stream.write(text.encode("ascii", "backslashreplace").decode())
    except (AttributeError, OSError, ValueError):
        pass
