"""Imports by an explicit call, for sources that need no marker."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from types import ModuleType

from . import _hook
from ._build import Result, build_one, discover
from ._build import build as build_sources
from .errors import ProjectError


def imp(fullname: str, opt_in: bool, force_rebuild: bool) -> ModuleType:
    if fullname in sys.modules and not force_rebuild:
        return sys.modules[fullname]
    return _load(_find(fullname), fullname, opt_in, force_rebuild)


def build(fullname: str, opt_in: bool, force_rebuild: bool | None, release: bool | None) -> Result:
    return _build_one(_find(fullname), fullname, opt_in, force_rebuild, release)


def build_filepath(
    path: str | os.PathLike[str], opt_in: bool, force_rebuild: bool | None, release: bool | None
) -> Result:
    source = _existing(path)
    return _build_one(source, None, opt_in, force_rebuild, release)


def build_all(
    root_directory: str | os.PathLike[str], opt_in: bool, force_rebuild: bool | None, release: bool | None
) -> tuple[list[Result], list[Result]]:
    sources = discover([root_directory], opt_in, are_named=False)
    results = build_sources(sources, force=_is_forced(force_rebuild), profile=_profile(release))
    return [result for result in results if result.error is None], [result for result in results if result.error]


def _build_one(
    source: str, fullname: str | None, opt_in: bool, force_rebuild: bool | None, release: bool | None
) -> Result:
    if opt_in and not _hook.has_opted_in(source, os.stat(source)):
        raise _not_ours(source, fullname)
    result = build_one(source, fullname, force=_is_forced(force_rebuild), profile=_profile(release))
    if result.error is not None:
        raise result.error
    return result


def _is_forced(force_rebuild: bool | None) -> bool:
    return _hook.is_true(_hook.setting("force_rebuild")) if force_rebuild is None else force_rebuild


def _profile(release: bool | None) -> str | None:
    """The profile that an argument asks for; ``None`` leaves it to the settings."""
    return None if release is None else "release" if release else "dev"


def _existing(path: str | os.PathLike[str]) -> str:
    source = os.path.abspath(path)
    if not os.path.isfile(source) and not _is_crate(source):
        raise FileNotFoundError(f"there is no Rust source at {source}")
    if os.path.isfile(source) and not source.endswith(".rs"):
        raise ProjectError(f"{source} is no Rust source", hint="give a .rs file, or the folder of a crate", path=source)
    return source


def _is_crate(folder: str) -> bool:
    return os.path.isfile(os.path.join(folder, "Cargo.toml"))


def _find(fullname: str) -> str:
    """The source of a module by its name."""
    parent, _, name = fullname.rpartition(".")
    if parent:
        entries = list(getattr(importlib.import_module(parent), "__path__", ()))
    else:
        entries = [*sys.path, *_hook.included_folders()]
    for entry in entries:
        place = os.path.abspath(entry or os.getcwd())
        if os.path.isfile(source := os.path.join(place, f"{name}.rs")) or _is_crate(
            source := os.path.join(place, name)
        ):
            return source
    where = f"the package {parent}" if parent else "sys.path"
    raise ModuleNotFoundError(f"there is no {name}.rs and no crate {name} in {where}", name=fullname)


def imp_from_path(path: str, fullname: str | None, opt_in: bool, force_rebuild: bool) -> ModuleType:
    source = _existing(path)
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
        raise _not_ours(source, fullname)
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


def _not_ours(source: str, fullname: str | None) -> ProjectError:
    enabled = _hook.is_enabled()
    return ProjectError(
        f"{source} did not opt in to being imported" if enabled else "rustimport is switched off",
        hint="write `// rustimport` on its first line, or call with opt_in=False"
        if enabled
        else "unset RUSTIMPORT_ENABLED, or call with opt_in=False",
        name=fullname,
        path=source,
    )
