"""What happens when an import enters an editable project: it is looked at, once a process and again at each reload;
rebuilt if it is stale; and at a reload its extension module is loaded anew."""

import os
import sys
from _frozen_importlib import ModuleSpec
from _frozen_importlib_external import EXTENSION_SUFFIXES, ExtensionFileLoader, PathFinder

from . import _hook

# What is not imported here is loaded where it is needed: of what a look costs, most would be that.

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType
    from typing import Any

#: Projects that were looked at.
_seen: set[str] = set()

#: Extension module -> the state of the artifact that it was loaded from.
_loaded: "dict[str, Any]" = {}


def enter(
    finder: _hook.ProjectFinder,
    name: str,
    path: "Sequence[str] | None",
    target: "ModuleType | None",
    projects: list[_hook.Project],
) -> "ModuleSpec | None":
    """Has the projects rebuilt that an import of `name` enters. Returns a spec where the search need not be repeated.

    Raises:
        rustimport.errors.RustImportError: a project cannot be built.
    """
    if target is not None:
        return _enter_again(finder, name, path, target, projects)
    scripts = _hook.installed(_hook.ScriptFinder)
    # What Python would import: what stands first on its path.
    found: ModuleSpec | None = (scripts or PathFinder).find_spec(name, path)
    if found is not None and isinstance(found.loader, _hook.ScriptLoader):
        return found
    _check_claims(name, projects)
    is_fresh = True
    for project in projects:
        if project.root not in _seen and _leads_into(found, project):
            is_fresh = _ensure(finder, name, project)[1] and is_fresh
    order = sys.meta_path
    is_next = scripts is not None and finder in order and order[order.index(finder) + 1 :][:1] == [scripts]
    return found if is_fresh and is_next else None


def _enter_again(
    finder: _hook.ProjectFinder,
    name: str,
    path: "Sequence[str] | None",
    target: "ModuleType",
    projects: list[_hook.Project],
) -> "ModuleSpec | None":
    """The same at a reload, which stays with what the module was imported from."""
    is_script = isinstance(getattr(target, "__loader__", None), _hook.ScriptLoader)
    if is_script or not finder.enable_reloading or finder is not _first_to_know(name):
        return None
    _check_claims(name, projects)
    found = PathFinder.find_spec(name, path)
    spec = None
    for project in projects:
        if _leads_into(found, project):
            spec = _reload(finder, name, project) or spec
    return spec


def _first_to_know(name: str) -> _hook.ProjectFinder | None:
    """Of several finders, each with settings of its own, the first has its way."""
    finders = (finder for finder in sys.meta_path if isinstance(finder, _hook.ProjectFinder))
    return next((finder for finder in finders if finder.known(name)), None)


def _check_claims(name: str, projects: list[_hook.Project]) -> None:
    """Two projects may share a package; but each has its extension module for itself."""
    claims: dict[str, str] = {}
    for project in projects:
        other = claims.setdefault(project.module, project.root)
        if other != project.root:
            from .errors import ProjectError

            raise ProjectError(
                f"two editable projects have the module `{project.module}`: {other} and {project.root}",
                hint="uninstall one of them with `pip uninstall`, or give it another name",
                name=name,
                path=project.root,
            )


def _leads_into(found: "ModuleSpec | None", project: _hook.Project) -> bool:
    """Whether what Python would import is the project's, and not something that comes before it."""
    if found is None or found.origin is None or found.loader is None:
        return True
    origin = os.path.normcase(found.origin)
    folders = [project.root, project.site]
    if any(origin.startswith(os.path.normcase(folder) + os.sep) for folder in folders):
        return True
    # Where links lead.
    origin = os.path.realpath(found.origin)
    return any(origin.startswith(os.path.realpath(folder) + os.sep) for folder in folders)


def _ensure(finder: _hook.ProjectFinder, name: str, project: _hook.Project) -> tuple[str, bool]:
    """Returns the project's fresh artifact, built if need be; and whether its stamp said that it was fresh."""
    chosen = finder.chosen(name, project.root)
    files = _listed(finder, name, project)
    state = _hook.context(chosen, files)
    root = _hook.cache_root(finder.cache_dir)
    entry = _hook.entry_name(project.root, project.site)
    force = finder.is_forced(project.root)
    artifact = None
    if not force and _hook._is_private(root):
        stamp = _hook.entry_folder(root, entry) + os.sep + "stamp"
        artifact = _hook.fresh_artifact(stamp, project.root, state)
    is_fresh = artifact is not None
    if artifact is None:
        from . import _load

        asked = _request(finder, name, project, chosen, files, force)
        outcome = _load.ensure(asked, show_warnings=finder.show_warnings)
        artifact = str(outcome["artifact"])
        # Python reads `.pth` files at its start only.
        missing = [root for root in outcome["roots"] if root not in sys.path and os.path.isdir(root)]
        if missing:
            sys.path.extend(missing)
        if outcome["built"]:
            # What is installed may have other names now.
            finder.invalidate_caches()
        # What was built has to be found, although it came within the clock's tick.
        for known in sys.meta_path:
            if hasattr(known, "invalidate_caches") and not isinstance(known, _hook.ProjectFinder):
                known.invalidate_caches()
        if force:
            _hook._forced.add(project.root)
    module = _module_of(artifact)
    if module is not None:
        # So that reloading it leads here.
        finder.modules[module] = project
        if module not in sys.modules:
            _loaded[module] = _state(artifact)
    _seen.add(project.root)
    if "IPython.core.interactiveshell" in sys.modules:
        from . import _ipython

        _ipython.follow_autoreload()
    return artifact, is_fresh


def _request(
    finder: _hook.ProjectFinder, name: str, project: _hook.Project, chosen: "Any", files: list[str] | None, force: bool
) -> "dict[str, Any]":
    return finder.request(
        project.root,
        name,
        marked=True,
        in_place=False,
        force=force,
        chosen=chosen,
        files=files,
        project=project,
        automatic=finder.automatic,
    )


def _listed(finder: _hook.ProjectFinder, name: str, project: _hook.Project) -> list[str] | None:
    """The project's inputs, if somebody else says which they are."""
    if finder.file_searcher is None:
        return None
    from . import _load

    asked = _request(finder, name, project, None, None, False)
    folders = [_hook._as_path(os.fspath(folder)) for folder in _load.core().local_packages(asked, _silent)]
    root = _hook._as_path(project.root)
    top = name.partition(".")[0]
    found = PathFinder.find_spec(top)
    places = list(getattr(found, "submodule_search_locations", None) or [])
    package = _hook._as_path(places[0] if places else getattr(found, "origin", None) or os.path.join(project.site, top))
    files = finder.file_searcher.get_source_paths(root, [folder for folder in folders if folder != root], package)
    return [os.path.abspath(os.fspath(file)) for file in files]


def _silent(*_: "Any", **__: "Any") -> None:
    """Where nobody wants to know of events."""


def _module_of(artifact: str) -> str | None:
    """The full name under which Python finds an extension module."""
    suffix = next((suffix for suffix in EXTENSION_SUFFIXES if artifact.endswith(suffix)), None)
    folders = [entry.rstrip(os.sep) + os.sep for entry in sys.path if isinstance(entry, str) and entry]
    inside = max((folder for folder in folders if artifact.startswith(folder)), key=len, default=None)
    if suffix is None or inside is None:
        return None
    return artifact[len(inside) : -len(suffix)].replace(os.sep, ".")


def _state(artifact: str) -> tuple[int, int, int] | None:
    """The stat of an artifact, as far as it tells one build from another."""
    try:
        found = os.stat(artifact)
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns, found.st_ino


# ---------------------------------------------------------------------------------------------------
# Reloading. `docs/concepts/reloading.md` says what it does and what it cannot do.


class ReloadingLoader(ExtensionFileLoader):
    """Loads an extension module from a copy of its library, into the module that everybody holds."""

    def __init__(self, name: str, path: str, project: _hook.Project, finder: _hook.ProjectFinder) -> None:
        super().__init__(name, path)
        self._project = project
        self._finder = finder

    def exec_module(self, module: "ModuleType") -> None:
        _load_anew(self._finder, module, self._project, self.path)


def _reload(finder: _hook.ProjectFinder, name: str, project: _hook.Project) -> "ModuleSpec | None":
    artifact, _ = _ensure(finder, name, project)
    module = _module_of(artifact)
    if module is None:
        return None
    if module == name:
        spec = ModuleSpec(name, ReloadingLoader(name, artifact, project, finder), origin=artifact)
        spec.has_location = True
        return spec
    loaded = sys.modules.get(module)
    if loaded is not None:
        _load_anew(finder, loaded, project, artifact)
    return None


def _load_anew(finder: _hook.ProjectFinder, module: "ModuleType", project: _hook.Project, artifact: str) -> None:
    name = module.__name__
    state = _state(artifact)
    if _loaded.get(name) == state:
        return
    if sys.platform == "win32":
        from .errors import ProjectError

        raise ProjectError(
            f"`{name}` was rebuilt, but Windows keeps the library that is loaded",
            hint="start Python anew",
            name=name,
            path=artifact,
        )
    from . import _load

    # A path that is loaded already would give the library that is loaded already.
    asked = _request(finder, name, project, finder.chosen(name, project.root), None, False)
    copy = str(_load.core().copy_installed(asked, artifact, _silent))
    loader = _hook.Loader(name, copy, project.root)
    with _hook.Kept(name):
        fresh = loader.create_module(ModuleSpec(name, loader, origin=copy))
        loader.exec_module(fresh)
    _hook.take_over(module, fresh)
    _loaded[name] = state
