"""Finds and reloads all imported Rust modules that are stale. It builds nothing itself; the finders do."""

from __future__ import annotations

import builtins
import importlib
import sys
from functools import partial
from importlib.machinery import ModuleSpec
from types import ModuleType

from . import _finder, _projects

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any


def reload_changed(namespace: dict[str, Any] | None = None) -> list[ModuleType]:
    """Reloads every script, crate and project that was imported and is stale. Returns the modules.

    Functions and classes that other modules of the same package have imported from them are replaced by the new ones,
    and so are those in `namespace`.

    Raises:
        ImportError: the error of the first module that cannot be built, or panics. It stays unchanged; the others are
            reloaded.
    """
    reloaded: list[ModuleType] = []
    failure: Exception | None = None
    for modules, refresh in [*_loaded_sources(), *_loaded_projects()]:
        before = [dict(module.__dict__) for module in modules]
        try:
            if not refresh():
                continue
        except Exception as error:
            # Includes exceptions that a module raises while it is imported again.
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


def _loaded_sources() -> Iterator[tuple[list[ModuleType], Callable[[], bool]]]:
    """The loaded scripts and crates, each with a function that reloads it if it is stale."""
    for name in list(_finder.current):
        module = sys.modules.get(name)
        # After a reload that did not find the source, the module has no spec.
        loader = getattr(module, "__loader__", None)
        if module is not None and isinstance(loader, _finder.ScriptLoader) and loader.finder.enable_reloading:
            yield [module], partial(refresh, module)


def _loaded_projects() -> Iterator[tuple[list[ModuleType], Callable[[], bool]]]:
    """The same for projects: the extension module, and the packages by which the project is imported."""
    for finder, extension, packages, project in imported_projects():
        names = [extension, *packages]
        yield [sys.modules[name] for name in names], partial(_refresh_project, finder, names, project)


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
