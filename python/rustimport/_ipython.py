"""IPython and Jupyter: the magics, errors as IPython shows them, progress in a notebook, and `%autoreload`.

Loaded by IPython, or where it runs.
"""

from __future__ import annotations

import html
import os
import sys
import traceback

from IPython.core.error import UsageError
from IPython.core.getipython import get_ipython
from IPython.core.magic import Magics, cell_magic, line_magic, magics_class
from IPython.core.magic_arguments import argument, magic_arguments, parse_argstring

from .errors import RustImportError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


# ---------------------------------------------------------------------------------------------------
# The magics.


@magics_class
class RustMagics(Magics):
    """``%%rustimport`` and ``%rustimport``."""

    def __init__(self, shell: Any) -> None:
        super().__init__(shell=shell)
        self._cell_id: str | None = None
        #: What a cell, known by its module's name or by the notebook, has put into the namespace.
        self._bound: dict[str, dict[str, Any]] = {}

    def note_cell(self, info: Any) -> None:
        """Before a cell runs: which one it is."""
        self._cell_id = getattr(info, "cell_id", None)

    @magic_arguments("%%rustimport")
    @argument("-r", "--release", action="store_true", help="compile with optimisation (the profile `release`)")
    @argument("-f", "--force", action="store_true", help="compile also what was compiled before")
    @argument("--name", metavar="MODULE", help="let other cells import it under this name")
    @argument("--module-path-variable", metavar="NAME", help="put the path of the library into this variable")
    @cell_magic("rustimport")
    def run_cell(self, line: str, cell: str) -> None:
        """Compiles the cell as Rust. What has #[pyfunction] or #[pyclass] lands in the notebook."""
        from . import _cell

        chosen = parse_argstring(self.run_cell, line)
        # The first line is the magic: so errors have the cell's line numbers.
        module = _cell.load(
            f"\n{cell}" if cell.strip() else "",
            _label(self.shell),
            name=chosen.name,
            profile="release" if chosen.release else None,
            force=chosen.force,
        )
        names = {name: getattr(module, name) for name in _cell.public_names(module)}
        known_as = chosen.name or self._cell_id
        if known_as is not None:
            # What the cell does not define any more goes, unless somebody has put something else there.
            self.shell.drop_by_id(self._bound.get(known_as, {}))
            self._bound[known_as] = names
        if chosen.module_path_variable:
            names = {**names, chosen.module_path_variable: module.__file__}
        self.shell.push(names)

    @magic_arguments("%rustimport")
    @argument("-f", "--force", action="store_true", help="compile also what was compiled before")
    @argument("--name", metavar="MODULE", help="import it under this name")
    @argument("path", help="a .rs file, or the folder of a crate")
    @line_magic("rustimport")
    def import_path(self, line: str) -> None:
        """Imports a Rust source by its path, as it is now; it needs no marker."""
        from . import _explicit, _reload

        chosen = parse_argstring(self.import_path, line)
        path = os.path.expanduser(chosen.path.strip("'\""))
        try:
            module = _explicit.imp_from_path(path, chosen.name, False, chosen.force)
        except FileNotFoundError as error:
            raise UsageError(str(error)) from None
        _reload.refresh(module)
        self.shell.push({module.__name__.rpartition(".")[2]: module})


def _label(shell: Any) -> str:
    """What IPython calls the cell that runs: `In[3]`. Its counter is ahead in some versions, so the frames tell."""
    for frame, _ in traceback.walk_stack(sys._getframe()):
        named = shell.compile.format_code_name(frame.f_code.co_filename)
        if named is not None:
            return str(named[1])
    return "cell"


_magics: RustMagics | None = None


def load(shell: Any) -> None:
    """Makes the magics known to a shell."""
    global _magics
    unload(shell)
    _magics = RustMagics(shell)
    shell.register_magics(_magics)
    shell.events.register("pre_run_cell", _magics.note_cell)
    follow_autoreload()


def unload(shell: Any) -> None:
    """Takes them away again."""
    global _magics
    if _magics is not None:
        shell.events.unregister("pre_run_cell", _magics.note_cell)
        for kind in ("line", "cell"):
            shell.magics_manager.magics[kind].pop("rustimport", None)
        _magics = None
        leave_autoreload()


# ---------------------------------------------------------------------------------------------------
# Errors.

_BOLD, _RED, _RESET = "\x1b[1m", "\x1b[31m", "\x1b[0m"
_HIDDEN = (os.path.dirname(os.path.abspath(__file__)), "<frozen importlib", "<decorator")


def render(error: RustImportError) -> list[str]:
    """An error as IPython shows it: the lines of the user's that led to it, and the compiler's words in their colours.
    A notebook makes HTML of that, in the colours of its theme."""
    shell = get_ipython()
    has_colours = str(getattr(shell, "colors", "nocolor")).lower() != "nocolor"
    lines = []
    for frame in traceback.extract_tb(error.__traceback__):
        if not _is_hidden(frame):
            lines += [f"{_place(shell, frame)}", f"    {frame.line}"]
    title, details = type(error).__name__, error._details()
    if has_colours:
        title, details = f"{_RED}{title}{_RESET}", coloured(getattr(error, "rendered_ansi", details))
    lines.append(f"{title}: {error.message}")
    if details:
        lines += ["", *details.splitlines(), ""]
    if error.hint:
        lines.append(f"{_BOLD}hint{_RESET}: {error.hint}" if has_colours else f"hint: {error.hint}")
    return lines


def coloured(text: str) -> str:
    """The compiler's words in colours that can be read where they are shown."""
    if is_notebook():
        # Bright and bold, red and blue are as dark as the background that JupyterLab's dark theme gives to errors.
        for colour in "14":
            for bright in (f"\x1b[1m\x1b[9{colour}m", f"\x1b[9{colour}m"):
                text = text.replace(bright, f"\x1b[3{colour}m")
    return text


def _is_hidden(frame: traceback.FrameSummary) -> bool:
    ipython = os.path.dirname(sys.modules["IPython"].__file__ or "")
    # What a cell with the magic was made to: its lines are in the compiler's words.
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
    """A bar below the cell that is gone when the build is done. Short builds show none."""

    #: Seconds from which on it shows.
    _PATIENCE = 0.5

    def __init__(self) -> None:
        from time import monotonic

        self._now = monotonic
        self._since = monotonic()
        self._handle: Any = None

    def show(self, text: str, done: int, total: int) -> None:
        if self._now() - self._since < self._PATIENCE:
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


# ---------------------------------------------------------------------------------------------------
# `%autoreload`.

_followed: Any = None


def follow_autoreload() -> None:
    """From now on, what is stale is reloaded before each cell, as long as `%autoreload` reloads everything."""
    global _followed
    shell = get_ipython()
    if shell is not None and shell is not _followed:
        _followed = shell
        shell.events.register("pre_run_cell", _before_cell)


def leave_autoreload() -> None:
    """From now on, `%autoreload` is not followed."""
    global _followed
    if _followed is not None:
        _followed.events.unregister("pre_run_cell", _before_cell)
        _followed = None


def _before_cell(_: Any) -> None:
    autoreload = _followed.magics_manager.registry.get("AutoreloadMagics")
    reloader = getattr(autoreload, "_reloader", None)
    if not (getattr(reloader, "enabled", False) and getattr(reloader, "check_all", False)):
        return
    from . import _reload

    try:
        _reload.reload_changed(_followed.user_ns)
    except Exception as error:
        # The cell runs all the same, with what there was before.
        lines = render(error) if isinstance(error, RustImportError) else [f"{type(error).__name__}: {error}"]
        sys.stderr.write("\n".join(lines) + "\n")
