"""Imports Rust from a string: a notebook's cell, or the argument of `rustimport.inline`.

The core writes the string to a script in the cache, named by its content (`sources/cell.rs`), which is built like any
other script. Messages use the author's name for it, such as `In[3]`, and the author's line numbers.
"""

from __future__ import annotations

import importlib.util
import json
import keyword
import os
import sys
from importlib.machinery import PathFinder
from types import ModuleType

from . import _cache, _core_client, _finder, _native, _release, _report, _settings
from .errors import BuildError, Diagnostic, ProjectError, RustImportError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from ._request import Request

#: Artifact -> the module that was loaded from it: Rust initialises each library once.
_modules: dict[str, ModuleType] = {}


def load(
    text: str,
    label: str,
    *,
    name: str | None = None,
    dependencies: Mapping[str, Any] | None = None,
    profile: str | None = None,
    force: bool = False,
) -> ModuleType:
    """Returns the module of a string of Rust, built if necessary.

    `label`: its name in messages. `name`: the name of the module, by which others can import it; by default the name
    that the string declares, or one derived from the content. `dependencies`: as in Cargo.toml. `profile`: by default
    that of the settings.

    Raises:
        rustimport.errors.RustImportError: it cannot be built, or exports nothing to Python.
    """
    if not text.strip():
        raise ProjectError(f"{label} is empty", hint="write a function with #[pyfunction] above it", path=label)
    if name is not None:
        _check_name(name)
    finder = _finder.installed("scripts") or _finder.ScriptFinder()
    manifest = _toml(dependencies or {})
    written, declared = _native.core.write_cell(_cache.cache_root(finder.cache_dir), text, manifest)
    source = str(written)
    stem = os.path.basename(source)[: -len(".rs")]
    force = force or finder.is_forced(source)
    fullname = name or declared or stem
    folder = _working_folder(source)
    # The same text can mean different things in two folders.
    key = _cache.Key(source, f"{fullname}:{folder}", finder.cache_dir, finder.chosen(fullname, source))
    asked = finder.request(
        key,
        fullname,
        marked=True,
        in_place=False,
        force=force,
        profile=profile,
        cell={"folder": folder, "manifest": manifest},
    )
    typings = None
    try:
        if _settings.is_release_mode():
            artifact = _released(asked, label, finder.cache_dir)
        else:
            reporter = _Reporter(source, label, finder.show_warnings)
            outcome = _core_client.ensure(asked, reporter=reporter)
            artifact = os.fspath(outcome["artifact"])
            typings = outcome["stubs"]
            if force:
                _finder.forced.add(source)
        module = _modules.get(artifact) or _import(asked["module"], artifact, source)
        if typings and name:
            from . import _stubs

            # The text has no file that would be its origin.
            _stubs.update(os.path.join(folder, label), artifact, typings, name, module)
    except RustImportError as error:
        _call(error, source, label)
        raise error.with_traceback(None) from error.__cause__
    if not public_names(module):
        main = "`fn main` is not run: " if "fn main" in text else ""
        raise ProjectError(
            f"{label} compiles, but exports nothing to Python",
            hint=f"{main}write #[pyfunction] above a function, or #[pyclass] above a struct",
            name=module.__name__,
            path=label,
        )
    _modules[artifact] = module
    if name or not declared:
        # So that other modules can import it, and pickle can find it.
        sys.modules[module.__name__] = module
    return module


def public_names(module: ModuleType) -> list[str]:
    """What ``from module import *`` imports."""
    names = module.__dict__.get("__all__")
    return [name for name in module.__dict__ if name[0] != "_"] if names is None else list(names)


def _working_folder(source: str) -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:
        # The folder was deleted, so nothing can refer to it.
        return os.path.dirname(source)


def _check_name(name: str) -> None:
    """Raises an error for a name that is invalid or taken by another module."""
    if not (name.isascii() and name.isidentifier()) or keyword.iskeyword(name):
        raise ProjectError(
            f"`{name}` cannot be the name of a Rust module",
            hint="use ASCII letters, digits and `_`, with a letter or `_` first, and no keyword of Python",
            name=name,
        )
    known = sys.modules.get(name)
    if known is None:
        # Python would also import a folder, as a namespace package. That does not take the name.
        found = PathFinder.find_spec(name)
        is_taken = found is not None and found.origin is not None
    else:
        is_taken = known not in _modules.values()
    if is_taken or name in sys.stdlib_module_names:
        raise ProjectError(f"there is already a module `{name}`", hint="choose another name", name=name)


def _released(asked: Request, label: str, cache_dir: str | None) -> str:
    artifact = _release.last_artifact(asked["entry"], cache_dir)
    if artifact is None:
        raise RustImportError(
            f"there is no library for {label}, and release mode builds nothing",
            hint="run it once without RUSTIMPORT_RELEASE_MODE, in the same folder and with the same cache",
            name=asked["module"],
        )
    return artifact


def _import(name: str, artifact: str, source: str) -> ModuleType:
    loader = _finder.Loader(name, artifact, source)
    spec = importlib.util.spec_from_file_location(name, artifact, loader=loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def _toml(dependencies: Mapping[str, Any]) -> str:
    """The table of dependencies as lines of Cargo.toml."""

    def value(given: Any) -> str:
        if isinstance(given, dict):
            return "{" + ", ".join(f"{key(name)} = {value(inner)}" for name, inner in given.items()) + "}"
        if isinstance(given, (list, tuple)):
            return "[" + ", ".join(map(value, given)) + "]"
        if isinstance(given, (str, bool)):
            return json.dumps(given, ensure_ascii=False)
        raise TypeError(f"a dependency is a version, or a table as in Cargo.toml, not {given!r}")

    def key(name: str) -> str:
        return json.dumps(name, ensure_ascii=False)

    if not dependencies:
        return ""
    return "[dependencies]\n" + "".join(f"{key(name)} = {value(given)}\n" for name, given in dependencies.items())


# ---------------------------------------------------------------------------------------------------
# Messages, with the author's name for the string.


class _Reporter(_report.Reporter):
    """Shows only warnings and progress, since the user who runs a cell knows that it is built."""

    _lifecycle = _report.DEBUG

    def __init__(self, source: str, label: str, show_warnings: bool) -> None:
        super().__init__(label, label, show_warnings)
        self._source = source

    def _on_progress(self, done: int, total: int, what: str) -> None:
        is_own = what.startswith(os.path.basename(self._source)[: -len(".rs")])
        super()._on_progress(done, total, self._file if is_own else what)

    def _on_warning(self, diagnostic: Diagnostic) -> None:
        super()._on_warning(_called(diagnostic, self._source, self._file))


def _named(text: str, source: str, label: str) -> str:
    return text.replace(source, label).replace(os.path.basename(source), label)


def _called(diagnostic: Diagnostic, source: str, label: str) -> Diagnostic:
    return diagnostic._replace(
        message=_named(diagnostic.message, source, label),
        file=label if diagnostic.file == source else diagnostic.file,
        rendered=_named(diagnostic.rendered, source, label),
        rendered_ansi=_named(diagnostic.rendered_ansi, source, label),
    )


def _call(error: RustImportError, source: str, label: str) -> None:
    error.args = (_named(error.message, source, label),)
    error.msg = error.message
    error.hint = _named(error.hint, source, label)
    error.path = label if error.path in (source, None) else error.path
    if isinstance(error, BuildError):
        error.rendered = _named(error.rendered, source, label)
        error.diagnostics = [_called(diagnostic, source, label) for diagnostic in error.diagnostics]
