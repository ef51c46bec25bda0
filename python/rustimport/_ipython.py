"""The magics of IPython and Jupyter, and `%autoreload` for Rust modules. It is loaded only if IPython runs. Errors are
rendered in `_notebook`."""

from __future__ import annotations

import os
import sys
import traceback

from IPython.core.error import UsageError
from IPython.core.getipython import get_ipython
from IPython.core.magic import Magics, cell_magic, line_magic, magics_class
from IPython.core.magic_arguments import argument, magic_arguments, parse_argstring

from . import _api, _cell, _notebook, _reload
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
        #: The names that each cell, identified by its module's name or its id, has put into the namespace.
        self._bound: dict[str, dict[str, Any]] = {}

    def note_cell(self, info: Any) -> None:
        """Called before a cell runs. Remembers its id."""
        self._cell_id = getattr(info, "cell_id", None)

    @magic_arguments("%%rustimport")
    @argument("-r", "--release", action="store_true", help="compile with optimisation (the profile `release`)")
    @argument("-f", "--force", action="store_true", help="compile even if the cell is unchanged")
    @argument("--name", metavar="MODULE", help="let other cells import it under this name")
    @argument("--module-path-variable", metavar="NAME", help="put the path of the library into this variable")
    @cell_magic("rustimport")
    def run_cell(self, line: str, cell: str) -> None:
        """Compiles the cell as Rust, and defines its #[pyfunction] and #[pyclass] items in the notebook."""
        chosen = parse_argstring(self.run_cell, line)
        # An empty line in place of the magic, so that errors have the cell's line numbers.
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
            # Removes names that the cell no longer defines, unless they have been reassigned.
            self.shell.drop_by_id(self._bound.get(known_as, {}))
            self._bound[known_as] = names
        if chosen.module_path_variable:
            names = {**names, chosen.module_path_variable: module.__file__}
        self.shell.push(names)

    @magic_arguments("%rustimport")
    @argument("-f", "--force", action="store_true", help="compile even if the source is unchanged")
    @argument("--name", metavar="MODULE", help="import it under this name")
    @argument("path", help="a .rs file, or the folder of a crate")
    @line_magic("rustimport")
    def import_path(self, line: str) -> None:
        """Imports a Rust source by its path, and rebuilds it if it is stale; it needs no marker."""
        chosen = parse_argstring(self.import_path, line)
        path = os.path.expanduser(chosen.path.strip("'\""))
        try:
            module = _api.imp_from_path(path, chosen.name, False, chosen.force)
        except FileNotFoundError as error:
            raise UsageError(str(error)) from None
        _reload.refresh(module)
        self.shell.push({module.__name__.rpartition(".")[2]: module})


def _label(shell: Any) -> str:
    """IPython's name for the running cell, such as `In[3]`. It is read from the frames, since the counter is ahead in
    some versions."""
    for frame, _ in traceback.walk_stack(sys._getframe()):
        named = shell.compile.format_code_name(frame.f_code.co_filename)
        if named is not None:
            return str(named[1])
    return "cell"


_magics: RustMagics | None = None


def load(shell: Any) -> None:
    """Registers the magics."""
    global _magics
    unload(shell)
    _magics = RustMagics(shell)
    shell.register_magics(_magics)
    shell.events.register("pre_run_cell", _magics.note_cell)
    follow_autoreload()


def unload(shell: Any) -> None:
    """Removes the magics."""
    global _magics
    if _magics is not None:
        shell.events.unregister("pre_run_cell", _magics.note_cell)
        for kind in ("line", "cell"):
            shell.magics_manager.magics[kind].pop("rustimport", None)
        _magics = None
        leave_autoreload()


# ---------------------------------------------------------------------------------------------------
# `%autoreload`.

_followed: Any = None
#: What could not be built is tried again only after an edit, not before each cell.
_failures = _reload.Failures()


def follow_autoreload() -> None:
    """From now on, stale modules are reloaded before each cell, as long as `%autoreload` reloads everything."""
    global _followed
    shell = get_ipython()
    if shell is not None and shell is not _followed:
        _followed = shell
        shell.events.register("pre_run_cell", _before_cell)


def leave_autoreload() -> None:
    """From now on, `%autoreload` no longer affects Rust modules."""
    global _followed
    if _followed is not None:
        _followed.events.unregister("pre_run_cell", _before_cell)
        _followed = None


def _before_cell(_: Any) -> None:
    autoreload = _followed.magics_manager.registry.get("AutoreloadMagics")
    reloader = getattr(autoreload, "_reloader", None)
    if not (getattr(reloader, "enabled", False) and getattr(reloader, "check_all", False)):
        return
    try:
        _reload.reload_changed(_followed.user_ns, _failures)
    except Exception as error:
        # The cell still runs, with the modules loaded before.
        lines = _notebook.render(error) if isinstance(error, RustImportError) else [f"{type(error).__name__}: {error}"]
        sys.stderr.write("\n".join(lines) + "\n")
