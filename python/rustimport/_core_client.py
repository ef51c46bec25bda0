"""Requests to the core, made when something is stale or new."""

from __future__ import annotations

import os
import sys
from _frozen_importlib_external import EXTENSION_SUFFIXES

from . import _cache, _native, _report, _settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, Literal

    from ._request import Arguments, Cell, Interpreter, Outcome, Remote, Request

# `errors` is loaded only if an error occurs: it would take most of the time of a check.

#: All variables with this package's prefix.
KNOWN_VARIABLES = {*_settings.VARIABLES.values(), _settings.REMOTE_KEY}

#: The arguments of a source without settings.
_NO_ARGUMENTS: Arguments = {
    "cargo_arguments": [],
    "run_arguments": [],
    "build_arguments": [],
    "develop_arguments": [],
    "rustc_arguments": [],
    "target": None,
}


def request(
    key: _cache.Key,
    fullname: str | None = None,
    *,
    marked: bool = False,
    in_place: bool = True,
    wheels: str | None = None,
    newest: bool = False,
    force: bool = False,
    may_build: bool = True,
    lock_timeout: float | None = None,
    profile: str | None = None,
    maturin: str | None = None,
    dist_info: str | None = None,
    automatic: bool = False,
    cell: Cell | None = None,
    stubs: bool = False,
) -> Request:
    """The request for a source (see `src/env/request.rs`).

    `may_build`: whether it may be built, or only come from a store. `wheels`: where a forced build leaves the wheel.
    `newest`: without a lock file, choose the newest versions of the dependencies.
    `maturin`: the program to use. `dist_info`: a project's installed metadata. `automatic`: install it if necessary.
    `cell`: details of a script that is a string. `stubs`: whether the library has to contain what type stubs need.
    """
    arguments = key.chosen.parts() if key.chosen is not None else _NO_ARGUMENTS
    settings = _settings.build_settings()
    if key.chosen is not None:
        profile = profile or key.chosen.chosen_profile()
    kind: Literal["project", "crate", "script"] = "project" if dist_info else "script"
    if kind == "script" and os.path.isdir(key.source):
        kind = "crate"
    return {
        "kind": kind,
        "root": key.source,
        "module": fullname or os.path.basename(key.source).partition(".")[0],
        "installed": dist_info,
        "files": key.files,
        "cell": cell,
        "automatic": automatic,
        "cache": key.cache,
        "shared_cache": _cache.shared_cache_root(),
        "entry": key.entry,
        "context": key.context,
        "settings": {
            **arguments,
            "profile": profile or settings["profile"],
            "pyo3": settings["pyo3"],
            "cargo": settings["cargo"],
            "maturin": maturin or settings["maturin"],
            "stubs": stubs,
            "remote": remote_settings(),
        },
        "interpreter": describe_interpreter(),
        "marked": marked,
        "in_place": in_place,
        "wheels": wheels,
        "newest": newest,
        "force": force,
        "may_build": may_build,
        "lock_timeout": lock_timeout,
        # By default, wait as long as the other process shows signs of life.
        "lock_timeout_from_life": lock_timeout == _settings.LOCK_TIMEOUT,
    }


def remote_settings() -> Remote:
    """The settings of the remote store, from assignments and the environment."""
    words = {name: _words(_settings.setting(f"remote_{name}")) for name in ("trust", "revoked", "variables")}
    url, mode = _settings.setting("remote"), _settings.setting("remote_mode")
    return {
        "url": None if url is None else str(url),
        "mode": None if mode is None else str(mode),
        "trust": words["trust"],
        "revoked": words["revoked"],
        "variables": words["variables"],
        "configuration": configuration_folder(),
        "path": [entry for entry in sys.path if isinstance(entry, str) and entry.isprintable()],
        "script": os.path.join(os.path.dirname(os.path.abspath(__file__)), "_remote_child.py"),
        "cache": _cache.cache_root(),
    }


def describe_remote(is_tried: bool, folder: str | None = None) -> dict[str, Any]:
    """What is configured of the remote store for a folder, by default the working folder; if `is_tried`, it is also
    accessed."""
    where = folder or os.getcwd()
    return _native.core.remote_describe(
        remote_settings(), describe_interpreter(), where, is_tried, lambda *_, **__: None
    )


def _words(value: Any) -> list[str] | None:
    """The items of a list, or of a text, where spaces or commas separate them."""
    if value is None:
        return None
    return value.replace(",", " ").split() if isinstance(value, str) else [str(item) for item in value]


def configuration_folder() -> str:
    """The folder of the user's configuration; empty if it is not known. A relative one would be that of whoever wrote
    the working folder."""
    chosen = _settings.setting("config_dir")
    if chosen:
        return os.path.abspath(str(chosen))
    home = os.path.expanduser("~")
    if sys.platform == "win32":
        base = os.environ.get("APPDATA") or os.path.join(home, "AppData", "Roaming")
    elif sys.platform == "darwin":
        base = os.path.join(home, "Library", "Application Support")
    else:
        base = os.environ.get("XDG_CONFIG_HOME") or ""
        if not os.path.isabs(base):
            base = os.path.join(home, ".config")
    return os.path.join(base, "rustimport") if os.path.isabs(base) else ""


def find_maturin() -> os.PathLike[str]:
    """The path of the maturin that a build would use.

    Raises:
        rustimport.errors.ToolchainError: maturin was not found.
    """
    return _native.core.find_maturin(request(_cache.Key(os.path.abspath("maturin.rs"))))


def index_projects(folders: list[str], file: str) -> bytes:
    """The index of the editable projects in some site folders (see `src/projects/index.rs`)."""
    return _native.core.index_projects(folders, file, describe_interpreter())


def index_all_projects(folders: list[str], path: Iterable[str] | None = None) -> bytes:
    """The same, with all projects that could be installed: those around `path`, by default ``sys.path``."""
    path = sys.path if path is None else path
    entries = [os.path.abspath(entry) for entry in path if entry not in folders and os.path.isdir(entry or ".")]
    return _native.core.index_all_projects(folders, entries)


def ensure(
    asked: Request,
    *,
    in_place: bool = False,
    show_warnings: bool = True,
    stop: Any = None,
    bar: _report.Bar | None = None,
    reporter: _report.Reporter | None = None,
) -> Outcome:
    """Returns the outcome for a request. Its ``artifact`` is fresh: built if it was stale. `in_place`: next to the
    source. `stop`: an event that ends the build. `bar`: shows the progress of several builds. `reporter`: shows
    everything else.

    Raises:
        rustimport.errors.RustImportError: the source cannot be built.
    """
    if any(name.startswith("RUSTIMPORT_") and name not in KNOWN_VARIABLES for name in os.environ):
        from . import _advice

        _advice.tell_of_variables(KNOWN_VARIABLES)
    reporter = reporter or _report.Reporter(asked["module"], asked["root"], show_warnings, stop, bar)
    try:
        run = _native.core.ensure_in_place if in_place else _native.core.ensure
        return run(asked, reporter)
    except ImportError as error:
        name_module(error, asked)
        reporter.fail(error)
        raise
    finally:
        reporter.close()


def name_module(error: ImportError, asked: Request) -> None:
    """Adds the name of the module and the source to an error of this package."""
    from .errors import RustImportError

    if isinstance(error, RustImportError):
        error.name = asked["module"]
        error.path = error.path or asked["root"]


def describe_interpreter() -> Interpreter:
    """What a build needs to know about this interpreter, without starting it: `sys.executable` may be
    an application that embeds Python."""
    flags = {
        "Py_DEBUG": hasattr(sys, "gettotalrefcount"),
        "Py_REF_DEBUG": hasattr(sys, "gettotalrefcount"),
        "Py_TRACE_REFS": hasattr(sys, "getobjects"),
        "Py_GIL_DISABLED": _cache.is_free_threaded(),
    }
    names = {"cpython": "CPython", "pypy": "PyPy", "graalpy": "GraalVM"}
    return {
        "key": _cache.INTERPRETER_KEY,
        "implementation": names.get(sys.implementation.name, sys.implementation.name),
        "version": sys.version_info[:2],
        "extension_suffix": EXTENSION_SUFFIXES[0],
        "base_prefix": sys.base_prefix,
        "pointer_width": 64 if sys.maxsize > 2**32 else 32,
        "build_flags": [name for name, is_set in flags.items() if is_set],
        "script_folders": _script_folders(),
        "prefix": sys.prefix,
        "c_library": _c_library(),
        "pre_release": None if sys.version_info.releaselevel == "final" else f"{sys.hexversion:x}",
        "siphash13": sys.version_info >= (3, 11),
    }


def _c_library() -> str | None:
    """Its name and version, if reported: a library that is built here needs that version or a newer one."""
    try:
        return os.confstr("CS_GNU_LIBC_VERSION")
    except (AttributeError, OSError, ValueError):
        return None


def _script_folders() -> list[str]:
    """The folders that may contain this environment's executables, activated or not, the likeliest first."""
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
    # Environments whose packages were made importable by an application.
    levels = 2 if sys.platform == "win32" else 3
    for site in _settings.site_folders():
        for _ in range(levels):
            site = os.path.dirname(site)
        folders.append(os.path.join(site, scripts))
    user_base = getattr(sys.modules.get("site"), "USER_BASE", None)
    if user_base:
        folders.append(os.path.join(user_base, scripts))
    return [folder for folder in dict.fromkeys(folders) if folder]
