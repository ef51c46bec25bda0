"""Editable projects: which are installed, and what happens when an import enters one. A project is checked once in each
process and at each reload. It is rebuilt if it is stale, and its extension module is loaded again at a reload.

Python itself finds the modules.
"""

import os
import sys
from _frozen_importlib import ModuleSpec
from _frozen_importlib_external import EXTENSION_SUFFIXES, ExtensionFileLoader, PathFinder
from _thread import get_ident

from . import _finder
from ._cache import Key, cache_root, exists, index_file, is_private, read, sealed_lines, unescape
from ._finder import (
    Finder,
    ImportUnlocked,
    Kept,
    Loader,
    ScriptFinder,
    ScriptLoader,
    as_path,
    is_ours,
    left_out_of_tracebacks,
    take_over,
)
from ._settings import is_enabled, is_release_mode, site_folders

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType
    from typing import Any

    from ._request import Request


class Project:
    """An editable project that maturin installed.

    Attributes:
        root: Its folder.
        dist_info: The folder of its installation's metadata.
        module: The full name of its extension module, if it is known.
        roots: Folders of its Python files that are not in `root`.
    """

    __slots__ = ("dist_info", "module", "root", "roots")

    def __init__(self, root: str, dist_info: str, module: str) -> None:
        self.root = root
        self.dist_info = dist_info
        self.module = module
        self.roots: list[str] = []

    @property
    def site(self) -> str:
        """The folder that it is installed in."""
        return self.dist_info.rpartition(os.sep)[0]


# ---------------------------------------------------------------------------------------------------
# The index of installed projects, which the core writes (`src/projects/index.rs`).


def fresh_index(data: bytes, file: str) -> "dict[str, list[Project]] | None":
    """The projects of the index in `file`, or ``None`` if the index is out of date."""
    lines = sealed_lines(data)
    if not lines or lines[0] != b"rustimport-projects 3 " + os.fsencode(file.rpartition(os.sep)[2]):
        return None
    for line in lines:
        tag = line[:1]
        if tag == b"M" and exists(unescape(line[2:])):
            return None
        if tag in (b"L", b"F"):
            stats, _, path = line.partition(b"\t")
            now = os.stat(unescape(path))
            if tag == b"L" and stats != b"L %d %d" % (now.st_mtime_ns, now.st_ctime_ns):
                return None
            if tag == b"F" and stats != b"F %d %d %d" % (now.st_size, now.st_mtime_ns, now.st_ctime_ns):
                return None
    return projects_in(lines)


def projects_in(lines: "list[bytes]") -> "dict[str, list[Project]]":
    """Full name of a module -> the projects that an import of it enters."""
    projects: dict[str, list[Project]] = {}
    for line in lines:
        if line[:2] == b"P\t":
            root, dist_info, module, *names = line.split(b"\t")[1:]
            project = Project(os.fsdecode(unescape(root)), os.fsdecode(unescape(dist_info)), module.decode())
            for name in names:
                projects.setdefault(name.decode(), []).append(project)
        elif line[:2] == b"R\t":
            project.roots.append(os.fsdecode(unescape(line[2:])))
    return projects


# ---------------------------------------------------------------------------------------------------
# The finder.


class ProjectFinder(Finder):
    """Rebuilds editable projects before Python finds them.

    The index of the site folders lists their names. It is compared once in each process, and whenever
    ``sys.path`` has other site folders.
    """

    role = "projects"

    def __init__(self, *, file_searcher: "Any" = None, automatic: bool = False, **arguments: "Any") -> None:
        super().__init__(**arguments)
        self.file_searcher = file_searcher
        self.automatic = automatic
        self._path: list[str] = []
        self._folders: list[str] = []
        #: The threads that are reading the index.
        self._reading: set[int] = set()
        #: The full name of a module -> the projects that an import of it enters.
        self.projects: dict[str, list[Project]] = {}
        #: The full name of an extension module -> its project, once that has been checked.
        self.modules: dict[str, Project] = {}

    def known(self, fullname: str) -> "list[Project] | None":
        """The projects that an import of a module enters, or that a reload of it concerns."""
        found = self.projects.get(fullname)
        if found is None and fullname in self.modules:
            root = self.modules[fullname].root
            return [project for named in self.projects.values() for project in named if project.root == root][:1]
        return found

    def knows(self, fullname: str) -> bool:
        return bool(self.known(fullname))

    def invalidate_caches(self) -> None:
        self._path = []
        self._folders = []

    @left_out_of_tracebacks
    def find_spec(
        self, fullname: str, path: "Sequence[str] | None" = None, target: "ModuleType | None" = None
    ) -> "ModuleSpec | None":
        if target is None:
            # The usual import, which does not concern any project, costs little.
            if fullname not in self.projects:
                if fullname in copies:
                    return _spec_of_copy(self, fullname)
                if sys.path == self._path:
                    return None
        elif self.known(fullname):
            # It may have been replaced by an installation that is not editable.
            self.invalidate_caches()
        try:
            return self._find(fullname, path, target)
        except ImportError as error:
            if not is_ours(error):
                raise
            # The frames within this package do not help the user.
            raise error.with_traceback(None) from error.__cause__

    def _find(self, fullname: str, path: "Sequence[str] | None", target: "ModuleType | None") -> "ModuleSpec | None":
        scripts = spec = None
        if sys.path != self._path:
            # Modules of the standard library may be half imported now, as `importlib` is when `python -m` begins.
            if fullname.partition(".")[0] in sys.stdlib_module_names:
                return None
            scripts = self.next_finder() if target is None else None
            if scripts is not None:
                # A script comes first on the path, even if a project has its name: it needs no index.
                spec = scripts.find_spec(fullname, path)
                if spec is not None and isinstance(spec.loader, ScriptLoader):
                    return spec
            self.read_index()
        found = self.projects.get(fullname) if target is None else self.known(fullname)
        if not found:
            if scripts is not None and spec is None:
                # The next finder is called anyway, and need not search again.
                scripts.missed = get_ident(), fullname
            return spec
        if not is_enabled() or is_release_mode():
            return None
        if target is not None:
            return _enter_again(self, fullname, path, target, found)
        return _enter(self, fullname, path, found, spec)

    def next_finder(self) -> "ScriptFinder | None":
        """The finder of scripts, if it is called directly after this one."""
        order = sys.meta_path
        after = order[order.index(self) + 1 :][:1] if self in order else []
        return after[0] if after and isinstance(after[0], ScriptFinder) else None

    def read_index(self) -> None:
        """Finds out which projects are installed, if ``sys.path`` has other site folders than before."""
        me = get_ident()
        # Imports that are made here are not handled.
        if me in self._reading or not is_enabled():
            return
        self._reading.add(me)
        path: list[str] = sys.path[:]
        folders: list[str] = []
        try:
            folders = site_folders()
            if folders != self._folders:
                self.projects = self._index(folders) if folders else {}
                self._folders = folders
            self._path = path
        except Exception as error:
            # A failure here must not affect third-party imports.
            self._path, self._folders, self.projects = path, folders, {}
            from . import _report

            _report.warn(f"editable projects are not rebuilt: {error}")
        finally:
            self._reading.discard(me)

    def _index(self, folders: "list[str]") -> "dict[str, list[Project]]":
        if self.automatic:
            with ImportUnlocked():
                from . import _core_client

            return projects_in(_core_client.index_all_projects(folders).split(b"\n"))
        try:
            root = cache_root(self.cache_dir)
        except ImportError:
            # The next build reports the reason.
            root = ""
        file = index_file(root, folders) if root else ""
        # What it names is checked again before it is loaded.
        if root and is_private(root, to_load=False):
            try:
                projects = fresh_index(read(file), file)
            except (OSError, ValueError):
                projects = None
            if projects is not None:
                return projects
        elif root and exists(root):
            # Do not write where other users can write; the next build reports the reason.
            file = ""
        with ImportUnlocked():
            from . import _core_client

        return projects_in(_core_client.index_projects(folders, file).split(b"\n"))


# ---------------------------------------------------------------------------------------------------
# Entering a project.

#: Folder of a project that was checked -> the names by which it was imported.
_checked: "dict[str, set[str]]" = {}

#: Folder of a project -> its artifact, whose type stubs are written once it is loaded, and whether the settings ask for
#: them, in place of any others.
stubs: "dict[str, tuple[str, bool]]" = {}

#: Extension module -> the state of the artifact that it was loaded from.
loaded: "dict[str, Any]" = {}

#: Extension module that was rebuilt after it was loaded, and removed from ``sys.modules`` -> its project, its artifact,
#: and the copy that is loaded: loading the same path again would return the old library.
copies: "dict[str, tuple[Project, str, str]]" = {}


def _enter(
    finder: ProjectFinder,
    name: str,
    path: "Sequence[str] | None",
    projects: "list[Project]",
    found: "ModuleSpec | None",
) -> "ModuleSpec | None":
    """Rebuilds the projects that an import of `name` enters, if necessary. `found`: Python's own result, if known.
    Returns a spec if the search need not be repeated.

    Raises:
        rustimport.errors.RustImportError: a project cannot be built.
    """
    scripts = _finder.installed("scripts")
    if found is None:
        # Python imports the first match on its path.
        found = (scripts or PathFinder).find_spec(name, path)
    if found is not None and isinstance(found.loader, ScriptLoader):
        return found
    _check_claims(name, projects)
    is_fresh = True
    for project in projects:
        names = _checked.get(project.root)
        # A name that was imported before has been removed from `sys.modules`, to be imported from scratch. The next of
        # several finders sees each name again.
        is_purged = names is not None and name in names and finder is _first_to_know(name)
        if (names is None or is_purged) and leads_into(found, project):
            artifact, was_fresh = ensure(finder, name, project)
            is_fresh = was_fresh and is_fresh
            extension = sys.modules.get(module_of(artifact) or "") if is_purged else None
            if extension is not None:
                _load_again(finder, extension, project, artifact)
        if project.root in _checked:
            _checked[project.root].add(name)
    if name in copies and name not in sys.modules:
        return _spec_of_copy(finder, name)
    is_next = scripts is not None and finder.next_finder() is scripts
    untyped = [project for project in projects if project.root in stubs]
    if untyped and is_next:
        found = scripts.find_spec(name, path)
        if found is not None and found.loader is not None:
            _then_write_stubs(found.loader, untyped)
        return found
    return found if is_fresh and is_next else None


def _then_write_stubs(loader: "Any", projects: "list[Project]") -> None:
    """Writes the type stubs of projects as soon as a loader has run, which loads their artifacts."""
    run = loader.exec_module

    def exec_module(module: "ModuleType") -> None:
        del loader.exec_module
        run(module)
        for project in projects:
            # Another import may have written them meanwhile.
            wanted = stubs.pop(project.root, None)
            if wanted is not None:
                _write_stubs(project, *wanted, sys.modules.get(module_of(wanted[0]) or ""))

    loader.exec_module = exec_module


def _write_stubs(project: Project, artifact: str, replace: bool, module: "ModuleType | None") -> None:
    from . import _stubs

    _stubs.update_project(project, artifact, module, replace)


def _enter_again(
    finder: ProjectFinder,
    name: str,
    path: "Sequence[str] | None",
    target: "ModuleType",
    projects: "list[Project]",
) -> "ModuleSpec | None":
    """The same for a reload, which keeps the module's origin."""
    is_script = isinstance(getattr(target, "__loader__", None), ScriptLoader)
    if is_script or not finder.enable_reloading or finder is not _first_to_know(name):
        return None
    _check_claims(name, projects)
    found = PathFinder.find_spec(name, path)
    spec = None
    for project in projects:
        if leads_into(found, project):
            spec = _reload(finder, name, project) or spec
    return spec


def _first_to_know(name: str) -> "ProjectFinder | None":
    """The first of several finders that knows the name decides, with its own settings."""
    finders = (finder for finder in sys.meta_path if isinstance(finder, ProjectFinder))
    return next((finder for finder in finders if finder.known(name)), None)


def _check_claims(name: str, projects: "list[Project]") -> None:
    """Two projects may share a package, but not an extension module."""
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


def leads_into(found: "ModuleSpec | None", project: Project) -> bool:
    """Whether Python would import the name from the project, and not from an earlier entry of the path."""
    if found is None or found.origin is None or found.loader is None:
        return True
    origin = os.path.normcase(found.origin)
    folders = [project.root, project.site, *project.roots]
    if any(origin.startswith(os.path.normcase(folder) + os.sep) for folder in folders):
        return True
    # Compare again with resolved links.
    origin = os.path.realpath(found.origin)
    return any(origin.startswith(os.path.realpath(folder) + os.sep) for folder in folders)


def ensure(finder: ProjectFinder, name: str, project: Project) -> "tuple[str, bool]":
    """Returns the project's fresh artifact, built if it was stale, and whether its stamp was valid."""
    key = key_of(finder, name, project)
    force = finder.is_forced(project.root)
    artifact = None if force else key.fresh_artifact()
    is_fresh = artifact is not None
    if artifact is None:
        with ImportUnlocked():
            from . import _core_client

        asked = request(finder, key, name, project, force)
        outcome = _core_client.ensure(asked, show_warnings=finder.show_warnings)
        artifact = os.fspath(outcome["artifact"])
        # Python reads `.pth` files only when it starts.
        missing = [root for root in outcome["roots"] if root not in sys.path and os.path.isdir(root)]
        if missing:
            sys.path.extend(missing)
        if outcome["built"]:
            # The installed modules may have changed.
            finder.invalidate_caches()
        # Make other finders list their folders again: the library may have been written within one tick of the clock.
        for known in sys.meta_path:
            if hasattr(known, "invalidate_caches") and not isinstance(known, ProjectFinder):
                known.invalidate_caches()
        if force:
            _finder.forced.add(project.root)
        if outcome["stubs"] is not None:
            stubs[project.root] = artifact, key.chosen is not None and key.chosen.generate_stubs
    module = module_of(artifact)
    if module is not None:
        # A reload of the extension module enters this project, too.
        finder.modules[module] = project
        if module not in sys.modules:
            state = state_of(artifact)
            if loaded.setdefault(module, state) != state:
                copies[module] = project, artifact, _copy(finder, module, project, artifact)
                loaded[module] = state
    _checked.setdefault(project.root, set())
    if _finder.on_import is not None:
        _finder.on_import()
    return artifact, is_fresh


def key_of(finder: ProjectFinder, name: str, project: Project) -> Key:
    """What identifies a project in the cache."""
    chosen = finder.chosen(name, project.root)
    files = None if finder.file_searcher is None else _declared_files(finder, name, project)
    return Key(project.root, project.site, finder.cache_dir, chosen, files)


def request(finder: ProjectFinder, key: Key, name: str, project: Project, force: bool = False) -> "Request":
    """The request to the core for a project."""
    return finder.request(
        key,
        name,
        marked=True,
        in_place=False,
        force=force,
        dist_info=project.dist_info,
        automatic=finder.automatic,
    )


def _declared_files(finder: ProjectFinder, name: str, project: Project) -> "list[str]":
    """The project's inputs, as declared by a ``file_searcher``."""
    from . import _native

    asked = request(finder, Key(project.root, project.site, finder.cache_dir), name, project)
    folders = [as_path(os.fspath(folder)) for folder in _native.core.local_packages(asked, _silent)]
    root = as_path(project.root)
    top = name.partition(".")[0]
    found = PathFinder.find_spec(top)
    places = list(getattr(found, "submodule_search_locations", None) or [])
    package = as_path(places[0] if places else getattr(found, "origin", None) or os.path.join(project.site, top))
    files = finder.file_searcher.get_source_paths(root, [folder for folder in folders if folder != root], package)
    return [os.path.abspath(os.fspath(file)) for file in files]


def _silent(*_: "Any", **__: "Any") -> None:
    """Ignores events."""


def module_of(artifact: str) -> "str | None":
    """The full name under which Python finds an extension module."""
    suffix = next((suffix for suffix in EXTENSION_SUFFIXES if artifact.endswith(suffix)), None)
    folders = [entry.rstrip(os.sep) + os.sep for entry in sys.path if isinstance(entry, str) and entry]
    inside = max((folder for folder in folders if artifact.startswith(folder)), key=len, default=None)
    if suffix is None or inside is None:
        return None
    return artifact[len(inside) : -len(suffix)].replace(os.sep, ".")


def state_of(artifact: str) -> "tuple[int, int, int] | None":
    """The part of an artifact's stat that identifies a build."""
    try:
        found = os.stat(artifact)
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns, found.st_ino


# ---------------------------------------------------------------------------------------------------
# Reloading. `docs/concepts/reloading.md` says what it does and what it cannot do.


class ReloadingLoader(ExtensionFileLoader):
    """Loads an extension module from a copy of its library, into the existing module object."""

    def __init__(self, name: str, path: str, project: Project, finder: ProjectFinder) -> None:
        super().__init__(name, path)
        self._project = project
        self._finder = finder

    def exec_module(self, module: "ModuleType") -> None:
        _load_again(self._finder, module, self._project, self.path)


def _reload(finder: ProjectFinder, name: str, project: Project) -> "ModuleSpec | None":
    artifact, _ = ensure(finder, name, project)
    module = module_of(artifact)
    if module is None:
        return None
    if module == name:
        spec = ModuleSpec(name, ReloadingLoader(name, artifact, project, finder), origin=artifact)
        spec.has_location = True
        return spec
    extension = sys.modules.get(module)
    if extension is not None:
        _load_again(finder, extension, project, artifact)
    return None


def _copy(finder: ProjectFinder, name: str, project: Project, artifact: str) -> str:
    """Copies an artifact to a path that was never loaded: loading the same path again returns the same library."""
    from . import _native

    asked = request(finder, Key(project.root, project.site, finder.cache_dir), name, project)
    return str(_native.core.copy_installed(asked, artifact, _silent))


def _spec_of_copy(finder: ProjectFinder, name: str) -> ModuleSpec:
    project, artifact, copy = copies[name]
    if not exists(copy):
        copy = _copy(finder, name, project, artifact)
        copies[name] = project, artifact, copy
    spec = ModuleSpec(name, Loader(name, copy, project.root), origin=copy)
    spec.has_location = True
    return spec


def _load_again(finder: ProjectFinder, module: "ModuleType", project: Project, artifact: str) -> None:
    name = module.__name__
    state = state_of(artifact)
    if loaded.get(name) == state:
        return
    if sys.platform == "win32":
        from .errors import ProjectError

        raise ProjectError(
            f"`{name}` was rebuilt, but Windows keeps the library that is loaded",
            hint="restart Python",
            name=name,
            path=artifact,
        )
    copy = _copy(finder, name, project, artifact)
    loader = Loader(name, copy, project.root)
    with Kept(name):
        fresh = loader.create_module(ModuleSpec(name, loader, origin=copy))
        loader.exec_module(fresh)
    take_over(module, fresh)
    loaded[name] = state
    wanted = stubs.pop(project.root, None)
    if wanted is not None:
        _write_stubs(project, *wanted, fresh)
