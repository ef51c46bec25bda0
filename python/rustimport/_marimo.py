"""marimo's module autoreloading for Rust modules. It is loaded only if marimo runs.

marimo compares the times of `.py` files. For a Rust module, it gets one time for all its inputs instead, and reloads it
in our way: marimo's own empties the module first, and puts new methods into old classes. When cells become stale and
run again is marimo's decision. This replaces two functions of marimo that are internal: they are left as they are if
they do not have the expected form.
"""

from __future__ import annotations

import importlib
import inspect
import os
import sys
import time
import traceback
from functools import partial
from types import ModuleType

from . import _cache, _finder, _projects, _reload, _report

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

RELOADER = "marimo._runtime.reload.autoreload"

#: marimo's own functions, while they are replaced.
_original: tuple[Any, Any] | None = None
_is_unknown = False


def follow() -> None:
    """From now on, marimo sees changes of Rust modules."""
    global _original, _is_unknown
    if _original is not None or _is_unknown:
        return
    autoreload: Any = sys.modules[RELOADER]
    if not _is_known(autoreload):
        _is_unknown = True
        _report.warn(
            "this version of marimo reloads modules in an unknown way, so edits of Rust files do not mark "
            "cells as stale: call rustimport.reload_changed() in a cell"
        )
        return
    find_time, superreload = _original = autoreload.ModuleReloader.filename_and_mtime, autoreload.superreload

    def filename_and_mtime(self: Any, module: Any) -> Any:
        own = find_time(self, module)
        try:
            is_new = module.__name__ not in _seen
            # Of a project's package, also the Python file counts.
            changed_at = _changed_at(module, 0.0 if own is None else own.mtime)
        except Exception:
            # Nothing of ours must end marimo's thread.
            changed_at = None
        if changed_at is None:
            return own
        if is_new:
            # The kernel and the watcher compare with what each sees first, which may be after the other's reload.
            for times in (self.modules_mtimes, getattr(self, "watcher_modules_mtimes", {})):
                times.setdefault(module.__name__, changed_at)
        return autoreload.ModuleMTime(name=module.__name__ if own is None else own.name, mtime=changed_at)

    def reload(module: ModuleType, old_objects: Any) -> ModuleType:
        if _stamp(module, module.__name__) is None:
            return superreload(module, old_objects)  # type: ignore[no-any-return]
        before = dict(module.__dict__)
        try:
            module = importlib.reload(module)
        except Exception as error:
            # The cells run with what was loaded before. marimo itself says nothing.
            if isinstance(error, ImportError):
                sys.stderr.write(f"{type(error).__name__}: {error}\n")
            else:
                traceback.print_exc()
            raise
        _reload.replace_in_package(module, before)
        return module

    autoreload.ModuleReloader.filename_and_mtime, autoreload.superreload = filename_and_mtime, reload


def _is_known(autoreload: Any) -> bool:
    try:
        autoreload.ModuleMTime(name="", mtime=0.0)
        functions = autoreload.ModuleReloader.filename_and_mtime, autoreload.superreload
        found = [list(inspect.signature(function).parameters) for function in functions]
    except (AttributeError, TypeError):
        return False
    return found == [["self", "module"], ["module", "old_objects"]]


def leave() -> None:
    """Puts marimo's own functions back."""
    global _original
    if _original is not None:
        autoreload: Any = sys.modules[RELOADER]
        autoreload.ModuleReloader.filename_and_mtime, autoreload.superreload = _original
        _original = None


#: Module name -> the state that it was last found stale with, and the time that marimo gets for it.
_seen: dict[str, tuple[Any, float]] = {}


def _changed_at(module: Any, own: float) -> float | None:
    """A time that is later after each change of a module's inputs; ``None`` if it is no Rust module. `own`: the time of
    its Python file, if it has one."""
    name = getattr(module, "__name__", None)
    if not isinstance(name, str):
        return None
    stamp = _stamp(module, name)
    if stamp is None:
        return None
    if name not in _seen:
        # marimo compares with what it sees first, which may be after an edit.
        _seen[name] = None, 1.0
        return max(own, 1.0)
    stale, changed_at = _seen[name]
    path, is_loaded = stamp
    state = _state(path)
    # A stamp whose artifact is not the loaded one belongs to a build of another process.
    if state is not None and (state[1] != state[2] or not is_loaded(state[0])) and state != stale:
        changed_at = max(time.time(), changed_at + 0.001)
        _seen[name] = state, changed_at
    return max(own, changed_at)


def _state(stamp: str) -> tuple[str, list[bytes], list[bytes]] | None:
    """The artifact of a stamp, and the stats of the other files: as recorded, and as they are now."""
    try:
        lines = [line for line in _cache.sealed_lines(_cache.read(stamp))[3:-2] if line[:1] == b"F"]
    except OSError:
        return None
    if not lines:
        return None
    written = os.stat(stamp).st_mtime_ns
    artifact, *inputs = [_cache.unescape(line.partition(b"\t")[2]) for line in lines]
    recorded, now = [], []
    for path, line in zip(inputs, lines[1:], strict=True):
        stats = line.partition(b"\t")[0]
        try:
            found = os.stat(path)
            current = b"F %d %d %d" % (found.st_size, found.st_mtime_ns, found.st_ctime_ns)
            if stats == b"F -" and found.st_ctime_ns <= written:
                # Edited just before the build: its times could not tell it from a later edit in the same tick.
                stats = current
        except OSError:
            current = b""
        recorded.append(stats)
        now.append(current)
    return os.fsdecode(artifact), recorded, now


def _stamp(module: Any, name: str) -> tuple[str, Any] | None:
    """The stamp of a module's source, and a function that tells whether an artifact is the loaded one."""
    loader = getattr(module, "__loader__", None)
    if isinstance(loader, _finder.ScriptLoader) and loader.finder.enable_reloading:
        return loader.finder.key(name, loader.source).stamp, lambda artifact: artifact == _finder.current.get(name)
    found = _projects_by_module().get(name)
    if found is None:
        return None
    finder, extension, project = found
    return _projects.key_of(finder, extension, project).stamp, partial(_is_loaded, extension)


def _is_loaded(extension: str, artifact: str) -> bool:
    return _projects.state_of(artifact) == _projects.loaded.get(extension)


#: When it was made, and what `_projects_by_module` returns: marimo asks for every module, every second.
_known_projects: tuple[float, dict[str, tuple[Any, str, Any]]] = (0.0, {})


def _projects_by_module() -> dict[str, tuple[Any, str, Any]]:
    """Module -> the project that it belongs to, with its finder and extension module: of each project that is imported,
    its package, or the extension module if there is none. To reload the package reloads both."""
    global _known_projects
    now = time.monotonic()
    if now - _known_projects[0] > 0.2:
        found: dict[str, tuple[Any, str, Any]] = {}
        for finder, extension, packages, project in _reload.imported_projects():
            found |= dict.fromkeys(packages or [extension], (finder, extension, project))
        _known_projects = now, found
    return _known_projects[1]
