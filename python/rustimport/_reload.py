"""Finds and reloads all imported Rust modules that are stale. It builds nothing itself; the finders do."""

from __future__ import annotations

import builtins
import importlib
import os
import sys
from functools import partial
from importlib.machinery import ModuleSpec
from types import ModuleType

from . import _cache, _finder, _projects
from ._cache import Key

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any


class Failures:
    """The sources that could not be built, with the state of their files at that time: as long as that stays, another
    attempt fails as well."""

    def __init__(self) -> None:
        #: Source -> the text of its error, its files, and their state before the attempt.
        self._known: dict[str, tuple[str, list[str], Any]] = {}

    def is_known(self, key: Key) -> bool:
        """Whether the last attempt failed, and nothing has changed since then."""
        known = self._known.get(key.source)
        return known is not None and known[2] == _state(key, known[1])

    def add(self, key: Key, before: Any, error: Exception) -> bool:
        """Adds a failure. `before`: the state of the stamp's files before the attempt. Returns whether its error is
        new."""
        files = {diagnostic.file for diagnostic in getattr(error, "diagnostics", ()) if diagnostic.file}
        paths = _paths(key)
        # A file that is missing may be added, which changes its folder.
        folders = {os.path.dirname(path) for path in [*files, key.source]}
        more = sorted((files | folders) - set(paths))
        known = self._known.get(key.source)
        self._known[key.source] = str(error), [*paths, *more], (*before, *_state(key, more)[1:])
        return known is None or known[0] != str(error)


def _paths(key: Key) -> list[str]:
    return [*_cache.stamped_paths(key.stamp), key.source]


def _state(key: Key, paths: list[str]) -> tuple[Any, ...]:
    def stat(path: str) -> Any:
        try:
            found = os.stat(path)
        except OSError:
            return None
        return found.st_size, found.st_mtime_ns, found.st_ino

    return key.context, *[stat(path) for path in paths]


def reload_changed(namespace: dict[str, Any] | None = None, failures: Failures | None = None) -> list[ModuleType]:
    """Reloads every script, crate and project that was imported and is stale. Returns the modules.

    Functions and classes that other modules of the same package have imported from them are replaced by the new ones,
    and so are those in `namespace`. `failures`: what failed before is not tried again, as long as nothing changes.

    Raises:
        ImportError: the error of the first module that cannot be built, or panics. It stays unchanged; the others are
            reloaded.
    """
    reloaded: list[ModuleType] = []
    failure: Exception | None = None
    for modules, refresh, key_of in [*_loaded_sources(), *_loaded_projects()]:
        before = [dict(module.__dict__) for module in modules]
        key = state = None
        try:
            if failures is not None:
                key = key_of()
                if failures.is_known(key):
                    continue
                state = _state(key, _paths(key))
            if not refresh():
                continue
        except Exception as error:
            # Includes exceptions that a module raises while it is imported again.
            if failures is None or key is None or failures.add(key, state, error):
                failure = failure or error
            continue
        reloaded += modules
        for module, old in zip(modules, before, strict=True):
            replace_in_package(module, old, namespace or {})
    if failure is not None:
        raise failure
    return reloaded


def replace_in_package(module: ModuleType, old: dict[str, Any], *more: dict[str, Any]) -> None:
    """Replaces functions and classes of a module that was reloaded, where the modules of its package, and other
    namespaces, hold the old ones. `old`: its namespace before."""
    for holder in [*more, *_namespaces_around(module)]:
        _replace(holder, old, module.__dict__)


def refresh(module: ModuleType) -> bool:
    """Reloads the module of a script or crate if that is stale. Returns whether it was."""
    name, known = module.__name__, module.__loader__
    assert isinstance(known, _finder.ScriptLoader)
    try:
        # A source that was already imported needs no marker.
        artifact = known.finder.artifact(name, known.source, opt_in=False)
    except FileNotFoundError:
        return False
    if artifact == _finder.current[name]:
        return False
    loader = _finder.ScriptLoader(name, artifact, known.finder, known.source)
    loader.exec_module(module)
    # Like `importlib.reload`.
    state = getattr(module.__spec__, "loader_state", None)
    module.__spec__ = ModuleSpec(name, loader, origin=loader.path, loader_state=state)
    module.__spec__.has_location = True
    module.__loader__, module.__file__ = loader, loader.path
    return True


def _loaded_sources() -> Iterator[tuple[list[ModuleType], Callable[[], bool], Callable[[], Key]]]:
    """The loaded scripts and crates, each with a function that reloads it if it is stale, and one for what identifies
    it in the cache."""
    for name in list(_finder.current):
        module = sys.modules.get(name)
        # After a reload that did not find the source, the module has no spec.
        loader = getattr(module, "__loader__", None)
        if module is not None and isinstance(loader, _finder.ScriptLoader) and loader.finder.enable_reloading:
            yield [module], partial(refresh, module), partial(loader.finder.key, name, loader.source)


def _loaded_projects() -> Iterator[tuple[list[ModuleType], Callable[[], bool], Callable[[], Key]]]:
    """The same for projects: the extension module, and the packages by which the project is imported."""
    for finder, extension, packages, project in imported_projects():
        names = [extension, *packages]
        key_of = partial(_projects.key_of, finder, extension, project)
        yield [sys.modules[name] for name in names], partial(_refresh_project, finder, names, project), key_of


def imported_projects() -> Iterator[tuple[_projects.ProjectFinder, str, list[str], _projects.Project]]:
    """The projects that are imported, each with its finder, its extension module and the other modules by which it is
    imported: its packages."""
    for finder in list(sys.meta_path):
        if not (isinstance(finder, _projects.ProjectFinder) and finder.enable_reloading and finder.modules):
            continue
        # Compared by path, since reading the index again creates new objects.
        names: dict[str, list[str]] = {}
        for name, projects in list(finder.projects.items()):
            for root in {project.root for project in projects}:
                names.setdefault(root, []).append(name)
        for extension, project in list(finder.modules.items()):
            if extension in sys.modules:
                named = names.get(project.root, [])
                packages = [name for name in named if name in sys.modules and name != extension]
                yield finder, extension, packages, project


def _refresh_project(finder: _projects.ProjectFinder, names: list[str], project: _projects.Project) -> bool:
    extension, *packages = names
    before = _projects.loaded.get(extension)
    if _projects.state_of(_projects.ensure(finder, extension, project)[0]) == before:
        return False
    for name in packages or [extension]:
        importlib.reload(sys.modules[name])
    return True


def _namespaces_around(module: ModuleType) -> list[dict[str, Any]]:
    """The namespaces of the modules in the same package."""
    package = module.__name__.partition(".")[0]
    found = [other for name, other in list(sys.modules.items()) if name.partition(".")[0] == package]
    return [other.__dict__ for other in found if isinstance(other, ModuleType)]


def _is_defined_in(package: str, value: Any) -> bool:
    """Whether this is a function or class of a package. Other values are not replaced: equal numbers and strings are
    often one object, and imported values belong to another module."""
    if not callable(value):
        return False
    module = getattr(value, "__module__", None)
    if module in (None, "builtins"):
        # Classes of pyo3 without a declared module are in `builtins`.
        return getattr(builtins, getattr(value, "__name__", ""), None) is not value
    return str(module).partition(".")[0] == package


def _replace(namespace: dict[str, Any], old: dict[str, Any], new: dict[str, Any]) -> None:
    """Replaces old functions and classes in a namespace by the new ones, under any name."""
    package = str(new["__name__"]).partition(".")[0]
    changed = {
        id(value): new[name]
        for name, value in old.items()
        if name in new and new[name] is not value and _is_defined_in(package, value)
    }
    for name, value in list(namespace.items()):
        if id(value) in changed:
            namespace[name] = changed[id(value)]
