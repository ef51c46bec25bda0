"""Explains what happens if a module is imported: who finds it, which library Python loads, what that was built from,
and whether it would be built now. Nothing is imported, built or written.

The core knows the builds (`src/commands/explain.rs`); here the module is searched for, as the hook would.
"""

from __future__ import annotations

import json
import os
import sys
from importlib.machinery import PathFinder

from . import _core_client, _finder, _marker, _native, _projects, _settings
from ._cache import Key
from .errors import ProjectError, RustImportError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

    from ._projects import Project

#: The files next to a Python package that name its build backend.
_BUILD_FILES = ("pyproject.toml", "setup.py", "setup.cfg")


class _Search(_finder.ScriptFinder):
    """Finds scripts and crates in the same order as the hook, and builds none."""

    def artifact(self, fullname: str, source: str, *, opt_in: bool = True, **_: Any) -> str | None:  # noqa: ARG002
        return source if not opt_in or _marker.has_opted_in(source, os.stat(source)) else None


def explain(name: str) -> dict[str, Any]:
    """Everything about a module that is known without an import or a build.

    Raises:
        ProjectError: there is no such module, or its source cannot be read.
    """
    hits = list(_search(name))
    specs = [spec for _, spec in hits]
    by, spec = hits[-1] if len(hits) == name.count(".") + 1 else (None, None)
    entered = _entered(name, specs)
    if spec is None and not entered:
        raise ProjectError(
            f"there is no module `{name}` on sys.path",
            hint="run the command in the folder in which you start Python; a script needs the line `// rustimport`",
            name=name,
        )
    found: dict[str, Any] = {
        "module": name,
        "kind": None,
        "source": None,
        "finder": by,
        "origin": None if spec is None else _origin(spec),
        "library": None,
        "warnings": _general_warnings(),
    }
    if spec is not None and isinstance(spec.loader, _finder.ScriptLoader):
        _explain_source(found, name, spec.loader.source)
    elif entered:
        _explain_project(found, specs, entered)
    else:
        found["library"] = found["origin"] if _is_library(found["origin"]) else None
        found["warnings"] += _why_not_ours(name, spec)
    return found


def inputs(module: ModuleType | str) -> list[str]:
    """See `rustimport.inputs`."""
    if _settings.is_release_mode():
        return []
    name = module if isinstance(module, str) else module.__name__
    loader = getattr(module, "__loader__", None)
    if isinstance(loader, _finder.ScriptLoader):
        # It may have been imported by its path.
        found = _asked(loader.finder.request(loader.finder.key(name, loader.source), name, marked=True))
        source = loader.source
    else:
        found = explain(name)
        source = found["source"]
    if source is None:
        raise ProjectError(f"`{name}` is not built by rustimport", hint="it has no inputs to watch", name=name)
    known = [path for path in found["inputs"] if os.path.isfile(path)]
    return sorted({*known, *([source] if os.path.isfile(source) else [])})


def _search(name: str) -> Iterator[tuple[str, ModuleSpec]]:
    """The specs of a module and of the packages that it is in, the outermost first, each with the finder's name."""
    path: list[str] | None = None
    parts = name.split(".")
    for count in range(1, len(parts) + 1):
        found = _find(".".join(parts[:count]), path)
        if found is None:
            return
        yield found
        places: Any = found[1].submodule_search_locations
        # A namespace's own object looks its parent up in `sys.modules`.
        path = None if places is None else list(getattr(places, "_path", places))
        if path is None:
            return


def _find(fullname: str, path: list[str] | None) -> tuple[str, ModuleSpec] | None:
    ours = _Search()
    for finder in [*sys.meta_path]:
        is_scripts = isinstance(finder, _finder.ScriptFinder)
        if isinstance(finder, _projects.ProjectFinder) or getattr(finder, "is_rustimport_gate", False):
            continue
        if is_scripts or finder is PathFinder:
            # The search of scripts passes over names of the standard library.
            spec = ours.find_spec(fullname, path) or PathFinder.find_spec(fullname, path)
        else:
            find: Any = getattr(finder, "find_spec", None)
            spec = find(fullname, path, None) if find else None
        if spec is not None:
            is_script = isinstance(spec.loader, _finder.ScriptLoader)
            kind = _finder.installed("scripts") or ours if is_script else finder
            kind = PathFinder if isinstance(kind, _finder.ScriptFinder) and not is_script else kind
            return _name_of(kind), spec
    return None


def _name_of(finder: Any) -> str:
    kind = finder if isinstance(finder, type) else type(finder)
    module = kind.__module__
    for prefix, public in (("rustimport.", "rustimport"), ("_frozen_importlib", "importlib.machinery")):
        module = public if module.startswith(prefix) else module
    return f"{module}.{'ScriptFinder' if kind is _Search else kind.__qualname__}"


def _origin(spec: ModuleSpec) -> str | None:
    if spec.origin is None and spec.submodule_search_locations is not None:
        places: Any = spec.submodule_search_locations
        return os.pathsep.join(getattr(places, "_path", places))
    return spec.origin


def _general_warnings() -> list[str]:
    if not _settings.is_enabled():
        return ["RUSTIMPORT_ENABLED switches the hook off: nothing is built"]
    if _settings.is_release_mode():
        return ["release mode: libraries are loaded without a check, and nothing is built"]
    if _finder.installed() is None:
        return [
            "the hook is not switched on for this environment (`python -m rustimport site install`): this is what "
            "happens in a program that switches it on"
        ]
    return []


# ---------------------------------------------------------------------------------------------------
# Scripts and crates.


def _explain_source(found: dict[str, Any], name: str, source: str) -> None:
    finder = _finder.installed("scripts") or _finder.ScriptFinder()
    found["kind"] = "script" if os.path.isfile(source) else "crate"
    found["source"] = found["origin"] = source
    found.update(_asked(finder.request(finder.key(name, source), name, marked=True)))
    found["library"] = found["artifact"]


def _asked(request: Any) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(_native.core.explain(request, lambda *_, **__: None))
    return answer


# ---------------------------------------------------------------------------------------------------
# Projects.


def _installed_projects() -> dict[str, list[Project]]:
    """As the hook knows them, without writing its index."""
    finder = _finder.installed("projects")
    folders = _settings.site_folders()
    if finder is not None and finder.automatic:
        return _projects.projects_in(_core_client.index_all_projects(folders).split(b"\n"))
    return _projects.projects_in(_core_client.index_projects(folders, "").split(b"\n")) if folders else {}


def _entered(name: str, specs: list[ModuleSpec]) -> list[tuple[str, Project, bool]]:
    """The projects that an import enters, with the name by which it does, and whether Python finds that in the
    project."""
    if any(isinstance(spec.loader, _finder.ScriptLoader) for spec in specs[:1]):
        return []
    projects = _installed_projects()
    parts = name.split(".")
    entered = []
    for count in range(1, len(parts) + 1):
        prefix = ".".join(parts[:count])
        spec = specs[count - 1] if count <= len(specs) else None
        entered += [(prefix, project, _projects.leads_into(spec, project)) for project in projects.get(prefix, [])]
    return entered


def _explain_project(found: dict[str, Any], specs: list[ModuleSpec], entered: list[tuple[str, Project, bool]]) -> None:
    # Of several projects in one namespace, the last prefix is the most specific.
    prefix, project, leads = next((item for item in reversed(entered) if item[2]), entered[-1])
    if not leads:
        found["warnings"].append(
            f"Python finds `{prefix}` in {_origin(specs[prefix.count('.')])}, which is not in the project "
            f"{project.root}: the project is not rebuilt"
        )
        return
    finder = _finder.installed("projects") or _projects.ProjectFinder()
    found["kind"], found["source"] = "project", project.root
    found["finder"] = f"{_name_of(finder)}, then {found['finder'] or 'importlib.machinery.PathFinder'}"
    key = Key(project.root, project.site, finder.cache_dir, finder.chosen(prefix, project.root))
    try:
        found.update(_asked(_projects.request(finder, key, prefix, project)))
    except RustImportError as error:
        found["warnings"].append(f"{error.message}; {error.hint}")
    built = found.get("artifact")
    extension = _projects.module_of(built) if built else None
    loads = [spec for _, spec in _search(extension)] if extension else []
    if extension and len(loads) == extension.count(".") + 1 and _is_library(_origin(loads[-1])):
        found["library"] = _origin(loads[-1])
    if found["library"] and built and not _is_same(found["library"], built):
        found["warnings"].append(f"Python loads {found['library']}, but what was built is {built}: remove the former")


def _is_library(path: str | None) -> bool:
    return path is not None and path.endswith((".so", ".pyd"))


def _is_same(one: str, other: str) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)


# ---------------------------------------------------------------------------------------------------
# What is not ours.


def _why_not_ours(name: str, spec: ModuleSpec | None) -> list[str]:
    origin = getattr(spec, "origin", None)
    if not origin or not os.path.isabs(origin):
        return []
    folder = os.path.dirname(origin)
    while folder != os.path.dirname(folder):
        for file in _BUILD_FILES:
            text = _read(os.path.join(folder, file))
            if "setuptools-rust" in text or "setuptools_rust" in text:
                return [
                    f"{folder} uses setuptools-rust, which the hook does not call: run `pip install -e {folder}` after "
                    "an edit of its Rust code, or use maturin"
                ]
        if "site-packages" in os.path.basename(folder) or _read(os.path.join(folder, "pyproject.toml")):
            break
        folder = os.path.dirname(folder)
    script = os.path.join(os.path.dirname(origin), name.rpartition(".")[2] + ".rs")
    if os.path.isfile(script):
        return [f"{script} is not imported: it has no line `// rustimport`, or a package of its name comes first"]
    return []


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
