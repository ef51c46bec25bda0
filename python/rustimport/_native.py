"""The extension module, as `core`: loaded when it is first used, and only where it works."""

from __future__ import annotations

import os
import sys

from . import _cache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from . import _core

    core = _core

#: Whether forked children release what belongs to their parent.
_is_guarded = False


def _load() -> Any:
    """Loads the extension module.

    Raises:
        rustimport.errors.ToolchainError: it cannot be loaded.
    """
    global _is_guarded
    try:
        if not _is_main_interpreter():
            raise ImportError("it is not made for subinterpreters")
        from . import _core
    except ImportError as error:
        from .errors import ToolchainError

        if _cache.is_free_threaded():
            reason = "this Python is built to run without the GIL, and rustimport's core for those that have one"
            hint = "use the ordinary build of Python, or a wheel of rustimport made for this one"
        elif "subinterpreters" in str(error):
            reason = "nothing can be built in a second interpreter of one process: pyo3 allows rustimport's core in one"
            hint = "import the module in the main interpreter first: what is fresh needs no core"
        else:
            reason = f"rustimport's core cannot be loaded: {error}"
            hint = "reinstall it with `python -m pip install --force-reinstall 'rustimport>=2'`"
        raise ToolchainError(reason, hint=hint) from error
    if not _is_guarded and hasattr(os, "register_at_fork"):
        _is_guarded = True
        os.register_at_fork(after_in_child=_leave_to_parent)
    return _core


if not TYPE_CHECKING:
    # `core` is the extension module, loaded when it is first used.
    def __getattr__(name):
        if name != "core":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()["core"] = loaded = _load()
        return loaded


def _is_main_interpreter() -> bool:
    """Whether this is the main interpreter. Until 3.11, CPython does not check whether a module supports others, and
    calls from Rust would go to the main one."""
    if sys.version_info >= (3, 12):
        # CPython itself refuses the import in other interpreters.
        return True
    try:
        import _xxsubinterpreters as interpreters  # type: ignore[import-not-found]
    except ImportError:
        return True
    return bool(interpreters.get_current() == interpreters.get_main())


def _leave_to_parent() -> None:
    """In a forked child: releases the locks and builds of its parent, which would otherwise outlive the parent."""
    from . import _core

    inherited = set(_core.inherited_files())
    for name in os.listdir("/dev/fd") if inherited else ():
        try:
            found = os.fstat(int(name))
            if (found.st_dev, found.st_ino) in inherited:
                os.close(int(name))
        except OSError:
            # The descriptor of the listing itself.
            continue
