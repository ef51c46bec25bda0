"""Imports by an explicit call, for sources that need no marker."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from types import ModuleType

from . import _hook
from .errors import ProjectError


def imp(fullname: str, opt_in: bool, force_rebuild: bool) -> ModuleType:
    parent, _, name = fullname.rpartition(".")
    if fullname in sys.modules and not force_rebuild:
        return sys.modules[fullname]
    if parent:
        entries = list(getattr(importlib.import_module(parent), "__path__", ()))
    else:
        entries = [*sys.path, *_hook.included_folders()]
    for entry in entries:
        source = os.path.join(os.path.abspath(entry or os.getcwd()), f"{name}.rs")
        if os.path.isfile(source):
            return _load(source, fullname, opt_in, force_rebuild)
    where = f"the package {parent}" if parent else "sys.path"
    raise ModuleNotFoundError(f"there is no {name}.rs in {where}", name=fullname)


def imp_from_path(path: str, fullname: str | None, opt_in: bool, force_rebuild: bool) -> ModuleType:
    source = os.path.abspath(os.fspath(path))
    if not os.path.isfile(source):
        raise FileNotFoundError(f"there is no Rust source at {source}")
    name = fullname or os.path.splitext(os.path.basename(source))[0]
    known = sys.modules.get(name)
    if known is not None and getattr(known.__spec__, "loader_state", None) == source and not force_rebuild:
        return known
    return _load(source, name, opt_in, force_rebuild)


def _load(source: str, fullname: str, opt_in: bool, force_rebuild: bool) -> ModuleType:
    finder = _hook.installed(_hook.ScriptFinder) or _hook.ScriptFinder()
    # An explicit wish is granted every time.
    artifact = finder.artifact(fullname, source, opt_in=opt_in, force=force_rebuild)
    if artifact is None:
        enabled = _hook.is_enabled()
        raise ProjectError(
            f"{source} did not opt in to being imported" if enabled else "rustimport is switched off",
            hint="write `// rustimport` on its first line, or call with opt_in=False"
            if enabled
            else "unset RUSTIMPORT_ENABLED, or call with opt_in=False",
            name=fullname,
            path=source,
        )
    loader = _hook.ScriptLoader(fullname, artifact, finder, source)
    spec = importlib.util.spec_from_file_location(fullname, artifact, loader=loader)
    assert spec is not None
    spec.loader_state = source
    module = importlib.util.module_from_spec(spec)
    sys.modules[fullname] = module
    try:
        loader.exec_module(module)
    except BaseException:
        sys.modules.pop(fullname, None)
        raise
    parent, _, name = fullname.rpartition(".")
    if parent in sys.modules:
        setattr(sys.modules[parent], name, module)
    return module
