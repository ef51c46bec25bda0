"""The way to the core, taken when something is stale or new."""

from __future__ import annotations

import os
import sys

from . import _report
from ._hook import INTERPRETER_KEY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# `errors` is loaded when there is one: of what a look costs, most would be that.


def _core() -> Any:
    try:
        from . import _core
    except ImportError as error:
        from .errors import ToolchainError

        if not getattr(sys, "_is_gil_enabled", lambda: True)():
            reason = "this Python runs without the GIL, and rustimport's core is built for those with one"
            hint = "use the ordinary build of Python, or a wheel of rustimport made for this one"
        else:
            reason = f"rustimport's core cannot be loaded: {error}"
            hint = "reinstall it with `python -m pip install --force-reinstall rustimport`"
        raise ToolchainError(reason, hint=hint) from error
    return _core


def is_module(source: str) -> bool:
    """Whether a file without a marker declares the module it is named after."""
    try:
        return bool(_core().is_module(source))
    except ImportError:
        # Somebody else's import must not fail for want of our core.
        return False


def ensure(*, show_warnings: bool, **request: Any) -> str:
    """Returns the path of the fresh artifact for a request (see `src/request.rs`), built if need be.

    Raises:
        rustimport.errors.RustImportError: naming the module and what to do.
    """
    reporter = _report.Reporter(request["module"], request["root"], show_warnings)
    try:
        outcome = _core().ensure({"interpreter": describe_interpreter(), **request}, reporter)
    except ImportError as error:
        from .errors import RustImportError

        if isinstance(error, RustImportError):
            error.name = request["module"]
            error.path = error.path or request["root"]
        raise
    finally:
        reporter.close()
    return str(outcome["artifact"])


def describe_interpreter() -> dict[str, Any]:
    """What a build must know of this interpreter, found out without starting it: `sys.executable` may be
    an application that embeds Python."""
    suffix = _extension_suffix()
    flags = {
        "Py_DEBUG": hasattr(sys, "gettotalrefcount"),
        "Py_REF_DEBUG": hasattr(sys, "gettotalrefcount"),
        "Py_TRACE_REFS": hasattr(sys, "getobjects"),
        "Py_GIL_DISABLED": "t" in suffix.partition("-")[2].partition("-")[0],
    }
    names = {"cpython": "CPython", "pypy": "PyPy", "graalpy": "GraalVM"}
    return {
        "key": INTERPRETER_KEY,
        "implementation": names.get(sys.implementation.name, sys.implementation.name),
        "version": sys.version_info[:2],
        "extension_suffix": suffix,
        "base_prefix": sys.base_prefix,
        "pointer_width": 64 if sys.maxsize > 2**32 else 32,
        "build_flags": [name for name, is_set in flags.items() if is_set],
        "script_folders": _script_folders(),
        "siphash13": sys.version_info >= (3, 11),
    }


def _extension_suffix() -> str:
    from importlib.machinery import EXTENSION_SUFFIXES

    return EXTENSION_SUFFIXES[0]


def _script_folders() -> list[str]:
    """Where this environment keeps its executables, activated or not, the likeliest first."""
    scripts = "Scripts" if sys.platform == "win32" else "bin"
    package = os.path.dirname(os.path.abspath(__file__))
    # <prefix>/lib/python3.x/site-packages/rustimport; with `pip install --target` the folder above
    above = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(package))))
    folders = [
        os.path.join(sys.prefix, scripts),
        os.path.dirname(sys.executable or ""),
        os.path.join(above, scripts),
        os.path.join(os.path.dirname(package), scripts),
    ]
    user_base = getattr(sys.modules.get("site"), "USER_BASE", None)
    if user_base:
        folders.append(os.path.join(user_base, scripts))
    return [folder for folder in dict.fromkeys(folders) if folder]
