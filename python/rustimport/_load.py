"""The way to the core, taken when something is stale or new."""

from __future__ import annotations

import os
import sys
from _frozen_importlib_external import EXTENSION_SUFFIXES

from . import _hook, _report

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# `errors` is loaded when there is one: of what a look costs, most would be that.


#: Whether forked children are told.
_is_guarded = False


def core() -> Any:
    """The extension module.

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

        if _is_free_threaded():
            reason = "this Python is built to run without the GIL, and rustimport's core for those that have one"
            hint = "use the ordinary build of Python, or a wheel of rustimport made for this one"
        elif "subinterpreters" in str(error):
            reason = "nothing can be built in a second interpreter of one process: pyo3 allows rustimport's core in one"
            hint = "import the module in the main interpreter first: what is fresh needs no core"
        else:
            reason = f"rustimport's core cannot be loaded: {error}"
            hint = "reinstall it with `python -m pip install --force-reinstall rustimport`"
        raise ToolchainError(reason, hint=hint) from error
    if not _is_guarded and hasattr(os, "register_at_fork"):
        _is_guarded = True
        os.register_at_fork(after_in_child=_leave_to_parent)
    return _core


def _is_main_interpreter() -> bool:
    """Whether this is the interpreter that a process begins with. Until 3.11 CPython does not ask modules whether they
    may be loaded in another, and there calls from Rust would go to the first."""
    if sys.version_info >= (3, 12):
        # There the import fails.
        return True
    try:
        import _xxsubinterpreters as interpreters  # type: ignore[import-not-found]
    except ImportError:
        return True
    return bool(interpreters.get_current() == interpreters.get_main())


def _leave_to_parent() -> None:
    """In a forked child: lets go of the locks and builds of its parent, which would outlive that."""
    from . import _core

    inherited = set(_core.inherited_files())
    for name in os.listdir("/dev/fd") if inherited else ():
        try:
            found = os.fstat(int(name))
            if (found.st_dev, found.st_ino) in inherited:
                os.close(int(name))
        except OSError:
            # That of the listing itself.
            continue


def is_module(source: str) -> bool:
    """Whether a file without a marker declares the module it is named after."""
    try:
        return bool(core().is_module(source))
    except ImportError:
        # Somebody else's import must not fail for want of our core.
        return False


def request(
    source: str,
    fullname: str | None = None,
    *,
    cache_dir: str | None = None,
    marked: bool = False,
    in_place: bool = True,
    wheels: str | None = None,
    force: bool = False,
    lock_timeout: float | None = None,
    profile: str | None = None,
    chosen: Any = None,
    maturin: str | None = None,
    files: list[str] | None = None,
    project: _hook.Project | None = None,
    automatic: bool = False,
    cell: dict[str, str] | None = None,
) -> dict[str, Any]:
    """What the core is asked about a source (see `src/env/request.rs`).

    `wheels`: where a forced build leaves the wheel that maturin makes. `chosen`: its ``MaturinSettings``.
    `maturin`: the program to use. `files`: its inputs, or more of them. `project`: the installation, if it is one.
    `automatic`: install it if need be. `cell`: what is known of a script that is a string, besides its text.
    """
    module = fullname or os.path.basename(source).partition(".")[0]
    settings = _hook.build_settings()
    arguments: dict[str, Any] = {f"{part}_arguments": [] for part in ("cargo", "build", "develop", "rustc")}
    arguments["target"] = None
    if chosen is not None:
        arguments.update(chosen.parts())
        profile = profile or chosen.chosen_profile()
    if maturin is not None:
        settings["maturin"] = maturin
    kind = "crate" if os.path.isdir(source) else "script"
    # One text in two folders can mean two things.
    stem = f"{module}:{cell['folder']}" if cell else module.rpartition(".")[2]
    return {
        "kind": "project" if project else kind,
        "root": source,
        "module": module,
        "installed": project and project.dist_info,
        "files": files,
        "cell": cell,
        "automatic": automatic,
        "cache": _hook.cache_root(cache_dir),
        "shared_cache": _hook.shared_cache_root(),
        "entry": _hook.entry_name(source, project.site if project else stem),
        "context": _hook.context(chosen, files),
        "settings": {**settings, **arguments, **({"profile": profile} if profile else {})},
        "interpreter": describe_interpreter(),
        "marked": marked,
        "in_place": in_place,
        "wheels": wheels,
        "force": force,
        "lock_timeout": lock_timeout,
        # Who lives is waited for, unless somebody says how long.
        "lock_timeout_from_life": lock_timeout == _hook.LOCK_TIMEOUT,
    }


def find_maturin() -> Any:
    """The path of the maturin that a build would use.

    Raises:
        rustimport.errors.ToolchainError: there is none.
    """
    found: Any = core().find_maturin(request(os.path.abspath("maturin.rs")))
    return found


def index_projects(folders: list[str], file: str) -> bytes:
    """The index of the editable projects in some site folders (see `src/projects/index.rs`)."""
    index: bytes = core().index_projects(folders, file, describe_interpreter())
    return index


def index_all_projects(folders: list[str]) -> bytes:
    """The same, with all projects that could be installed."""
    entries = [os.path.abspath(entry) for entry in sys.path if entry not in folders and os.path.isdir(entry or ".")]
    index: bytes = core().index_all_projects(folders, entries)
    return index


def ensure(
    asked: dict[str, Any],
    *,
    in_place: bool = False,
    show_warnings: bool = True,
    stop: Any = None,
    bar: _report.Bar | None = None,
    reporter: _report.Reporter | None = None,
) -> dict[str, Any]:
    """Returns the outcome for a request: its ``artifact`` is fresh, built if need be. `in_place`: beside the source.
    `stop`: an event that ends the build. `bar`: shows how far it is, among others. `reporter`: shows it all.

    Raises:
        rustimport.errors.RustImportError: naming the module and what to do.
    """
    reporter = reporter or _report.Reporter(asked["module"], asked["root"], show_warnings, stop, bar)
    run = core().ensure_in_place if in_place else core().ensure
    try:
        outcome: dict[str, Any] = run(asked, reporter)
    except ImportError as error:
        name_module(error, asked)
        raise
    finally:
        reporter.close()
    return outcome


def name_module(error: ImportError, asked: dict[str, Any]) -> None:
    """Lets an error of ours say which module and which source it is about."""
    from .errors import RustImportError

    if isinstance(error, RustImportError):
        error.name = asked["module"]
        error.path = error.path or asked["root"]


def describe_interpreter() -> dict[str, Any]:
    """What a build must know of this interpreter, found out without starting it: `sys.executable` may be
    an application that embeds Python."""
    suffix = _extension_suffix()
    flags = {
        "Py_DEBUG": hasattr(sys, "gettotalrefcount"),
        "Py_REF_DEBUG": hasattr(sys, "gettotalrefcount"),
        "Py_TRACE_REFS": hasattr(sys, "getobjects"),
        "Py_GIL_DISABLED": _is_free_threaded(),
    }
    names = {"cpython": "CPython", "pypy": "PyPy", "graalpy": "GraalVM"}
    return {
        "key": _hook.INTERPRETER_KEY,
        "implementation": names.get(sys.implementation.name, sys.implementation.name),
        "version": sys.version_info[:2],
        "extension_suffix": suffix,
        "base_prefix": sys.base_prefix,
        "pointer_width": 64 if sys.maxsize > 2**32 else 32,
        "build_flags": [name for name, is_set in flags.items() if is_set],
        "script_folders": _script_folders(),
        "prefix": sys.prefix,
        "c_library": _c_library(),
        "siphash13": sys.version_info >= (3, 11),
    }


def _is_free_threaded() -> bool:
    """Whether this Python can run without the GIL, be it switched off or not: other libraries fit it."""
    return "t" in _extension_suffix().partition("-")[2].partition("-")[0]


def _c_library() -> str | None:
    """Its name and version, where the system says so: what is built with one needs that or a newer one."""
    try:
        return os.confstr("CS_GNU_LIBC_VERSION")
    except (AttributeError, OSError, ValueError):
        return None


def _extension_suffix() -> str:
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
    # Environments whose packages an application has made importable.
    levels = 2 if sys.platform == "win32" else 3
    for site in _hook.site_folders():
        for _ in range(levels):
            site = os.path.dirname(site)
        folders.append(os.path.join(site, scripts))
    user_base = getattr(sys.modules.get("site"), "USER_BASE", None)
    if user_base:
        folders.append(os.path.join(user_base, scripts))
    return [folder for folder in dict.fromkeys(folders) if folder]
