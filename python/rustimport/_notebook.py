"""Shows errors and the progress of builds in IPython and notebooks. It is loaded only if IPython runs."""

from __future__ import annotations

import html
import os
import sys
import traceback
from time import monotonic

from IPython.core.getipython import get_ipython

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .errors import RustImportError

_BOLD, _RED, _RESET = "\x1b[1m", "\x1b[31m", "\x1b[0m"
_HIDDEN = (os.path.dirname(os.path.abspath(__file__)), "<frozen importlib", "<decorator")


def render(error: RustImportError) -> list[str]:
    """An error as IPython shows it: the user's lines that led to it, and the compiler's output with its colours. A
    notebook converts that to HTML, in the colours of its theme."""
    shell = get_ipython()
    has_colours = str(getattr(shell, "colors", "nocolor")).lower() != "nocolor"
    lines = []
    for frame in traceback.extract_tb(error.__traceback__):
        if not _is_hidden(frame):
            lines += [f"{_place(shell, frame)}", f"    {frame.line}"]
    title, details = type(error).__name__, error.details
    if has_colours:
        title, details = f"{_RED}{title}{_RESET}", coloured(getattr(error, "rendered_ansi", details))
    lines.append(f"{title}: {error.message}")
    if details:
        lines += ["", *details.splitlines(), ""]
    if error.hint:
        lines.append(f"{_BOLD}hint{_RESET}: {error.hint}" if has_colours else f"hint: {error.hint}")
    return lines


def coloured(text: str) -> str:
    """The compiler's output, in colours that are readable in notebooks."""
    if is_notebook():
        # In JupyterLab's dark theme, bright bold red and blue are not readable on the background of errors.
        for colour in "14":
            for bright in (f"\x1b[1m\x1b[9{colour}m", f"\x1b[9{colour}m"):
                text = text.replace(bright, f"\x1b[3{colour}m")
    return text


def _is_hidden(frame: traceback.FrameSummary) -> bool:
    ipython = os.path.dirname(sys.modules["IPython"].__file__ or "")
    # IPython's translation of the magic. The compiler's output shows the lines of the cell.
    is_magic = (frame.line or "").startswith(("get_ipython().run_cell_magic(", "get_ipython().run_line_magic("))
    return is_magic or frame.filename.startswith((*_HIDDEN, ipython + os.sep))


def _place(shell: Any, frame: traceback.FrameSummary) -> str:
    named = shell.compile.format_code_name(frame.filename) if shell is not None else None
    label, name = named or ("File", frame.filename)
    inside = "" if frame.name == "<module>" or named else f", in {frame.name}"
    return f"{label} {name}, line {frame.lineno}{inside}"


# ---------------------------------------------------------------------------------------------------
# Progress.


def is_notebook() -> bool:
    """Whether this process is a kernel, whose output a front end shows."""
    return hasattr(get_ipython(), "kernel")


class Progress:
    """A progress bar below the cell, which is removed after the build. Short builds show none."""

    #: The seconds after which it is shown.
    _PATIENCE = 0.5

    def __init__(self) -> None:
        self._since = monotonic()
        self._handle: Any = None

    def show(self, text: str, done: int, total: int) -> None:
        if monotonic() - self._since < self._PATIENCE:
            return
        bar = f'<progress value="{done}" max="{total}"></progress> ' if total else ""
        self._display({"text/plain": text, "text/html": f"{bar}<code>{html.escape(text)}</code>"})

    def clear(self) -> None:
        if self._handle is not None:
            self._display({"text/plain": "", "text/html": ""})

    def _display(self, content: dict[str, str]) -> None:
        from IPython.display import display

        if self._handle is None:
            self._handle = display(content, raw=True, display_id=True)
        else:
            self._handle.update(content, raw=True)
