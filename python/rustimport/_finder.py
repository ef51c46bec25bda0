"""The finder of scripts and crates, and the base class of the finder of projects.

`find_spec` may run while other modules are half imported: nothing is imported here that a bare interpreter
has not already loaded (``tests/unit`` checks that), and the core is not loaded before something is stale.
"""

import _imp
import os
import sys
from _frozen_importlib import ModuleSpec
from _frozen_importlib_external import ExtensionFileLoader, FileFinder, PathFinder
from _thread import allocate_lock, get_ident
from time import time

from . import _settings
from ._cache import Key, exists
from ._settings import LOCK_TIMEOUT, environ, is_enabled, is_true, setting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import ModuleType
    from typing import Any, TypeVar

    _F = TypeVar("_F")

    from ._compat.maturin_settings import MaturinSettings
    from ._request import Request

#: Called after the import of a module written in Rust.
on_import: "Callable[[], None] | None" = None

#: Those of paths: on Windows, an entry of `sys.path` may have either.
_SEPARATORS = os.sep + (os.altsep or "")
#: Systems whose file systems find `m.rs` as `M.rs`. Python's modules are case-sensitive there, too.
_IGNORES_CASE = sys.platform in ("win32", "cygwin", "darwin")

#: Artifacts that this process has loaded.
loaded: "set[str]" = set()

#: Module -> the artifact that it was last loaded from.
current: "dict[str, str]" = {}

#: Artifact -> the source, the module and the place of the type stubs that are written once it is loaded.
stubs: "dict[str, tuple[str, str, str]]" = {}

#: Sources whose forced build was made in this process.
forced: "set[str]" = set()

#: Artifacts that this process got from a remote store.
fetched: "set[str]" = set()

_INCLUDE_PATHS: "Any" = "RUSTIMPORT_INCLUDE_PATHS"
_RELEASE_MODE: "Any" = "RUSTIMPORT_RELEASE_MODE"
if environ is not os.environ and sys.platform != "win32":
    _INCLUDE_PATHS, _RELEASE_MODE = _INCLUDE_PATHS.encode(), _RELEASE_MODE.encode()


def left_out_of_tracebacks(function: "_F") -> "_F":
    """A decorator for what importlib calls. Python leaves frames of importlib out of the traceback of an
    ``ImportError``, and recognises them by this file name."""
    called: Any = function
    called.__code__ = called.__code__.replace(co_filename="<frozen importlib._bootstrap>")
    return function


# ---------------------------------------------------------------------------------------------------
# Loading.


class Loader(ExtensionFileLoader):
    """Python's own loader of extension modules, with two differences: a panic becomes an error of this package, which
    ``except Exception`` catches, and the traceback of such an error ends at the import."""

    def __init__(self, name: str, path: str, source: str) -> None:
        super().__init__(name, path)
        self.source = source

    @left_out_of_tracebacks
    def create_module(self, spec: "ModuleSpec") -> "ModuleType":
        try:
            return self._create(spec)
        except BaseException as error:
            ours = self._as_ours(error)
            if ours is None:
                raise
            raise ours from ours.__cause__

    @left_out_of_tracebacks
    def exec_module(self, module: "ModuleType") -> None:
        try:
            self._exec(module)
        except BaseException as error:
            ours = self._as_ours(error)
            if ours is None:
                raise
            raise ours from ours.__cause__

    def _create(self, spec: "ModuleSpec") -> "ModuleType":
        return super().create_module(spec)

    def _exec(self, module: "ModuleType") -> None:
        super().exec_module(module)

    def _as_ours(self, error: BaseException) -> "BaseException | None":
        if is_ours(error):
            return error.with_traceback(None)
        from .errors import of_loading

        return of_loading(error, self.name, self.path, self.source)


def is_ours(error: BaseException) -> bool:
    """Whether an error is one of this package."""
    # The module of errors is not loaded before there is one.
    errors = sys.modules.get("rustimport.errors")
    return errors is not None and isinstance(error, errors.RustImportError)


class ScriptLoader(Loader):
    """The loader of scripts and crates. If the artifact is removed between the check and the load, or comes from a
    remote store and does not load, it is built again; a reload loads a new artifact."""

    def __init__(self, name: str, path: str, finder: "ScriptFinder", source: str) -> None:
        super().__init__(name, path, source)
        self.finder = finder
        self._module: ModuleType | None = None

    def _create(self, spec: "ModuleSpec") -> "ModuleType":
        has_gil = getattr(sys, "_is_gil_enabled", _has_gil)
        had_gil = has_gil()
        flags = _settings.assigned().get("rtld_flags")
        if flags is not None:
            before = sys.getdlopenflags()
            sys.setdlopenflags(flags)
        try:
            self._module = self._open(spec)
        finally:
            if flags is not None:
                sys.setdlopenflags(before)
            # The library of a module that panicked counts as loaded, too.
            loaded.add(self.path)
        if not had_gil and has_gil():
            self._tell_of_gil()
        if on_import is not None:
            on_import()
        return self._module

    def _tell_of_gil(self) -> None:
        from . import _report

        _report.warn(
            f"loading {os.path.basename(self.source)} has switched the GIL on; if its code needs no GIL, "
            "declare it with `#[pymodule(gil_used = false)]`, or use pyo3 0.28 or later"
        )

    def _open(self, spec: "ModuleSpec") -> "ModuleType":
        try:
            return super()._create(spec)
        except ImportError as error:
            is_there = exists(self.path)
            if is_there and self.path not in fetched:
                raise
            if is_there:
                from . import _report

                _report.warn(f"what was fetched for {os.path.basename(self.source)} does not load here: {error}")
        self.path = spec.origin = self.finder.artifact(self.name, self.source, again=True, force=is_there)
        return super()._create(spec)

    def _exec(self, module: "ModuleType") -> None:
        described = module
        if module is self._module:
            super()._exec(module)
        else:
            # A reload. Each build has a separate path, so its library is loaded next to the old one. The existing
            # module object then receives the new names.
            if self.path == current.get(self.name):
                return
            if self.path in loaded:
                # The library next to the source is fresh again, but only a new path can be loaded again.
                self.path = self.finder.artifact(self.name, self.source, again=True, in_place=False)
            with Kept(self.name):
                fresh = self._create(ModuleSpec(self.name, self, origin=self.path))
                super()._exec(fresh)
            take_over(module, fresh)
            # Without the names that only the earlier build has.
            described = fresh
        # If this fails, the module stays stale.
        current[self.name] = self.path
        wanted = stubs.pop(self.path, None) if stubs else None
        if wanted is not None:
            from . import _stubs

            source, name, folder = wanted
            _stubs.update(source, self.path, folder, name, described)


def _has_gil() -> bool:
    """Before 3.13, every Python has one."""
    return True


class Kept:
    """Keeps the existing module object in ``sys.modules``: CPython replaces it when it creates a module without
    multi-phase initialisation, as older versions of pyo3 make."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        self._module = sys.modules.get(self._name)

    def __exit__(self, *_: object) -> None:
        if self._module is not None:
            sys.modules[self._name] = self._module


def take_over(module: "ModuleType", fresh: "ModuleType") -> None:
    """Copies the names of a newly loaded module into the existing module object."""
    kept = ("__name__", "__loader__", "__package__", "__spec__", "__file__")
    module.__dict__.update({name: value for name, value in fresh.__dict__.items() if name not in kept})


# ---------------------------------------------------------------------------------------------------
# Finding.


class Finder:
    """The base class of the finders of scripts and projects.

    Args:
        cache_dir: The cache folder; takes precedence over the setting.
        force_rebuild: Build without any check, once for each source and process; takes precedence over the setting.
        lock_timeout: How many seconds to wait for another process's build; ``None`` waits for ever. `LOCK_TIMEOUT`
            counts from that process's last sign of life, any other number from when the wait began.
        show_warnings: Show the compiler's warnings.
        settings: A ``MaturinSettings``, or its command line.
        enable_reloading: ``importlib.reload`` loads what was rebuilt.
    """

    #: Its purpose. `put` replaces an earlier finder of the same role.
    role = ""
    #: Whether `put` placed it on ``sys.meta_path``.
    is_ours = False
    #: Whether `put` places it after all others.
    is_last = False

    def __init__(
        self,
        *,
        cache_dir: "str | None" = None,
        force_rebuild: "bool | None" = None,
        lock_timeout: "float | None" = LOCK_TIMEOUT,
        show_warnings: bool = True,
        settings: "MaturinSettings | str | None" = None,
        enable_reloading: bool = True,
    ) -> None:
        self.cache_dir = cache_dir
        self.force_rebuild = force_rebuild
        self.lock_timeout = lock_timeout
        self.show_warnings = show_warnings
        self.settings = settings
        self.enable_reloading = enable_reloading

    def knows(self, _: str) -> bool:
        """Whether a module comes from a project of this finder."""
        return False

    def chosen(self, name: str, source: str) -> "MaturinSettings | None":
        """The settings for maturin that apply to a module, if any."""
        # Users override this method to choose settings for each module.
        choose = getattr(self, "get_settings", None)
        if isinstance(self.settings, str):
            # Arguments from `site install --args` are parsed on first use, so that the start loads nothing for them.
            import shlex

            from ._compat.maturin_settings import MaturinSettings

            self.settings = MaturinSettings.from_args(shlex.split(self.settings))
        found: MaturinSettings | None = self.settings if choose is None else choose(name, as_path(source))
        return found

    def files(self, source: str) -> "list[str] | None":
        """The inputs that were declared for a source."""
        listed = getattr(self, "get_source_files", None)
        return None if listed is None else [os.path.abspath(file) for file in listed(as_path(source))]

    def key(self, fullname: str, source: str) -> Key:
        """What identifies a script or crate in the cache."""
        stem = fullname.rpartition(".")[2]
        return Key(source, stem, self.cache_dir, self.chosen(fullname, source), self.files(source))

    def maturin(self) -> "str | None":
        """The maturin to use, if a subclass chooses one."""
        find = getattr(self, "find_maturin", None)
        return None if find is None else str(find())

    def request(self, key: Key, fullname: str, **details: "Any") -> "Request":
        """The request to the core for a source (see `_core_client.request`), with the arguments of this finder."""
        from . import _core_client

        return _core_client.request(key, fullname, lock_timeout=self.lock_timeout, maturin=self.maturin(), **details)

    def is_forced(self, source: str) -> bool:
        """Whether a source is to be built without any check: once in each process."""
        force = self.force_rebuild
        if force is None:
            force = setting("force_rebuild")
        return force is not None and is_true(force) and source not in forced


def as_path(path: str) -> "Any":
    """A ``pathlib.Path``, for methods that users override."""
    from pathlib import Path

    return Path(path)


class ScriptFinder(Finder):
    """Finds standalone ``.rs`` files and crates, in Python's own order.

    It is directly before ``PathFinder``, calls that first, and then looks the name up in the folder listings that this
    search has just refreshed, up to the folder of Python's own hit. Within one folder a package comes before a script,
    a script before a crate, and a crate before everything else; a script without a marker comes after a ``.py`` file.
    """

    role = "scripts"

    def __init__(self, **arguments: "Any") -> None:
        super().__init__(**arguments)
        #: No folder was listed before this time.
        self._started = _python_started() or time()
        #: The thread and the name of a search that has just found nothing.
        self.missed: tuple[int, str] | None = None
        #: Importer of a folder -> the time of its last change, if every name in its listing is known to be there.
        self._settled: dict[Any, float] = {}
        #: ``sys.path`` at the time when all folders that were needed had been listed.
        self._listed: list[str] = []
        #: Listings of folders that have no `FileFinder`: folder -> (mtime, names).
        self._listings: dict[str, tuple[float, frozenset[str]]] = {}
        #: The last file of the right name that is not ours.
        self._passed: str | None = None

    def invalidate_caches(self) -> None:
        self.missed = None
        self._settled.clear()
        self._listed = []
        self._listings.clear()
        marker = sys.modules.get("rustimport._marker")
        if marker is not None:
            marker.forget()

    @left_out_of_tracebacks
    def find_spec(
        self, fullname: str, path: "Sequence[str] | None" = None, target: "ModuleType | None" = None
    ) -> "ModuleSpec | None":
        if self.missed is not None:
            missed, self.missed = self.missed, None
            if missed == (get_ident(), fullname) and target is None:
                return None
        if target is not None:
            loader = getattr(target, "__loader__", None)
            if not self.enable_reloading and isinstance(loader, ScriptLoader):
                return target.__spec__
            if not isinstance(loader, ScriptLoader) and any(
                isinstance(finder, Finder) and finder.knows(fullname) for finder in sys.meta_path
            ):
                # A module that was imported from a project is reloaded from there.
                return None
        try:
            if target is not None and isinstance(loader, ScriptLoader):
                state = getattr(target.__spec__, "loader_state", None)
                if state == loader.source:
                    # It was imported by its path.
                    spec = self._spec(fullname, loader.source, opt_in=False)
                    if spec is not None:
                        spec.loader_state = state
                    return spec
            entries = sys.path if path is None else list(path)
            parent, _, name = fullname.rpartition(".")
            if _is_standard(parent, entries) if parent else name in sys.stdlib_module_names:
                if not parent and entries and name + ".rs" in _names_in(entries[0]):
                    with ImportUnlocked():
                        from . import _advice
                    _advice.tell_of_standard(name, os.path.join(os.path.abspath(entries[0]), name + ".rs"))
                return None
            if entries == self._listed or len(entries) == 1:
                # These folders have listings, so one search in Python's own order is enough.
                spec, is_done = self._search(fullname, entries, name, target)
                if not is_done and path is None:
                    spec = self._included(fullname, name) or spec
                if spec is None:
                    self._missing(fullname, name, entries)
                return spec
            # A folder that contains the file, or has no listing yet, is searched together with the entries before it
            # only. So the import of a script does not wait until all later folders are listed.
            importers = sys.path_importer_cache
            file = name + ".rs"
            searched = 0
            here = ""
            for index, entry in enumerate(entries):
                try:
                    importer: Any = importers[entry or (here := _working_folder())]
                    names = importer._path_cache
                    if file not in names and name not in names and importer._path_mtime != -1:
                        continue
                except (AttributeError, OSError, TypeError):
                    continue
                except KeyError:
                    pass
                spec, is_done = self._search(fullname, entries[searched : index + 1], name, target, here)
                if is_done:
                    if path is None and spec is not None and type(spec.loader) is not ScriptLoader:
                        # Python found the module, so most folders are listed now.
                        self._listed = entries[:]
                    return spec
                searched = index + 1
            if path is None:
                self._listed = entries[:]
            spec, is_done = self._search(fullname, entries[searched:], name, target, here)
            if is_done:
                return spec
            if searched:
                # Python combines the parts of a namespace itself.
                spec = None
            if path is None:
                spec = self._included(fullname, name) or spec
            if spec is None:
                self._missing(fullname, name, entries)
            return spec
        except ImportError as error:
            if not is_ours(error):
                raise
            # The frames within this package do not help the user.
            raise error.with_traceback(None) from error.__cause__

    def _search(
        self, fullname: str, entries: "list[str]", name: str, target: "ModuleType | None", here: str = ""
    ) -> "tuple[ModuleSpec | None, bool]":
        """Searches some entries in Python's order. Returns what was found, and whether that ends the search:
        the parts of a namespace do not. `here`: the working folder, if it is known."""
        found = PathFinder.find_spec(fullname, entries, target)
        # The folder of Python's hit, and whether the hit is a package: only in that folder, a script comes second.
        hit: str | None = None
        is_package = False
        if found is not None and found.origin is not None and found.loader is not None:
            hit = found.origin.rpartition(os.sep)[0]
            if found.submodule_search_locations is not None:
                is_package = True
                hit = hit.rpartition(os.sep)[0]
        importers = sys.path_importer_cache
        settled = self._settled
        file = name + ".rs"
        # Every import pays for this loop.
        for entry in entries:
            if is_package and entry == hit:
                break
            try:
                importer: Any = importers[entry or here or _working_folder()]
                names = importer._path_cache
                there = file in names
                if not there and settled.get(importer) != importer._path_mtime:
                    there = self._is_new(importer, file)
            except (BytesWarning, KeyError, OSError, TypeError):
                continue
            except AttributeError:
                if importer is None:
                    continue
                names = self._listing(entry)
                there = file in names
            # Like Python, ignore entries that are not text.
            if (there or name in names) and isinstance(entry, str) and _comes_first(entries, entry, hit):
                folder = (importer.path if isinstance(importer, FileFinder) else entry).rstrip(_SEPARATORS)
                if folder == hit and found is not None:
                    if is_package:
                        break
                    # A `.py` file here yields only to a script with a marker: Rust code of a package may be next to it.
                    there = there and (
                        isinstance(found.loader, ExtensionFileLoader) or _is_marked(folder + os.sep + file)
                    )
                # If both exist, the script comes first.
                is_crate = name in names and exists(folder + os.sep + name + os.sep + "Cargo.toml")
                for found_name, is_there in ((file, there), (name, is_crate)):
                    spec = self._spec(fullname, folder + os.sep + found_name) if is_there else None
                    if spec is not None:
                        return spec, True
                if there:
                    self._passed = folder + os.sep + file
            if entry == hit:
                break
        return found, hit is not None

    def _included(self, fullname: str, name: str) -> "ModuleSpec | None":
        """Searches the folders that come after ``sys.path``."""
        if _INCLUDE_PATHS not in environ and "rustimport.settings" not in sys.modules:
            return None
        for folder in _settings.included_folders():
            for found_name in (name + ".rs", name):
                source = os.path.join(folder, found_name)
                spec = self._spec(fullname, source) if _has(folder, found_name) else None
                if spec is not None:
                    return spec
        return None

    def _missing(self, fullname: str, name: str, entries: "list[str]") -> None:
        """A module that was not found. If there is a Rust file that could be meant, says why it is not imported, once
        in each process. Only memory is searched for one."""
        global _has_advised
        if _has_advised:
            return
        importing = _importing_folder()
        if importing is None:
            return
        first = entries[0] if entries and isinstance(entries[0], str) else ""
        names, file = _names_in(first), name + ".rs"
        hyphenated = file.replace("_", "-")
        place = source = None
        if self._passed is not None and self._passed.rpartition(os.sep)[2] == file:
            source, self._passed = self._passed, None
        elif hyphenated != file and hyphenated in names:
            place, file = first, hyphenated
        elif file in _names_in(importing):
            place = importing
        elif "src" in names and exists(os.path.join(first, "src", file)):
            place = os.path.join(first, "src")
        if source is None and place is None:
            return
        with ImportUnlocked():
            from . import _advice
        source = source or os.path.join(os.path.abspath(place or ""), file)
        _has_advised = _advice.tell_of_missing(self, fullname, source, importing)

    def _is_new(self, importer: "Any", file: str) -> bool:
        """Checks for a file in a folder whose listing may be older than its content: both changed within one
        tick of the file system's clock (two seconds, at the coarsest)."""
        mtime = importer._path_mtime
        if mtime == -1:
            return _has(importer.path, file)
        if mtime >= self._started - 2.1:
            if time() - mtime <= 2.1:
                return _has(importer.path, file)
            # A listing made from now on is complete. Request one, once.
            importer.invalidate_caches()
            self._settled[importer] = mtime
            return _has(importer.path, file)
        # The folder has not changed since well before its first listing.
        self._settled[importer] = mtime
        return False

    def _listing(self, folder: str) -> "frozenset[str]":
        """The names in a folder that is handled by another kind of finder (a zip file has none)."""
        try:
            mtime = os.stat(folder).st_mtime
        except OSError:
            return frozenset()
        known = self._listings.get(folder)
        if known is not None and known[0] == mtime:
            return known[1]
        try:
            names = frozenset(os.listdir(folder))
        except OSError:
            names = frozenset()
        if time() - mtime > 2.1:
            self._listings[folder] = mtime, names
        return names

    def _spec(self, fullname: str, source: str, opt_in: bool = True) -> "ModuleSpec | None":
        artifact = self.artifact(fullname, source, opt_in=opt_in)
        if artifact is None:
            return None
        spec = ModuleSpec(fullname, ScriptLoader(fullname, artifact, self, source), origin=artifact)
        spec.has_location = True
        return spec

    def artifact(
        self,
        fullname: str,
        source: str,
        *,
        opt_in: bool = True,
        again: bool = False,
        in_place: bool = True,
        force: bool = False,
    ) -> "Any":
        """Returns the path of the source's fresh artifact, or ``None`` if the source is not ours.

        `opt_in`: only if the source opted in. `again`: ignore the stamp. `in_place`: it may be next to the source.
        `force`: build without any check.

        Raises:
            rustimport.errors.RustImportError: the source cannot be built.
        """
        if not is_enabled() and opt_in:
            return None
        # Rarely set, so the cheap test comes first.
        if (_RELEASE_MODE in environ or "rustimport.settings" in sys.modules) and _settings.is_release_mode():
            from . import _release

            return _release.artifact(fullname, source, opt_in, self.cache_dir)
        try:
            key = self.key(fullname, source)
        except Exception:
            # Not even what is wrong with the cache, or with somebody's settings, concerns a source that is not ours.
            if opt_in and not _has_opted_in(source):
                return None
            raise
        force = force or self.is_forced(source)
        if not again and not force:
            artifact = key.fresh_artifact(marked=opt_in)
            if artifact is not None:
                return artifact
        try:
            stat = os.stat(source)
        except (OSError, ValueError):
            if opt_in:
                return None
            raise
        with ImportUnlocked():
            from . import _marker

        marked = _marker.has_opted_in(source, stat)
        if opt_in and not marked:
            return None
        with ImportUnlocked():
            from . import _core_client

        request = self.request(key, fullname, marked=marked, in_place=in_place, force=force)
        outcome = _core_client.ensure(request, show_warnings=self.show_warnings)
        if force:
            forced.add(source)
        if outcome["origin"] == "fetched":
            fetched.add(str(outcome["artifact"]))
        if outcome["stubs"] is not None:
            stubs[str(outcome["artifact"])] = source, fullname, outcome["stubs"]
        return outcome["artifact"]


def _has_opted_in(source: str) -> bool:
    from . import _marker

    try:
        return _marker.has_opted_in(source, os.stat(source))
    except (OSError, ValueError):
        return False


def _is_marked(source: str) -> bool:
    with ImportUnlocked():
        from . import _marker

    return _marker.is_marked_script(source)


class ImportUnlocked:
    """Releases the lock that importlib holds while it calls finders. Another thread may wait for it, and hold the lock
    of the module that is imported here."""

    def __enter__(self) -> None:
        self._depth = 0
        while _imp.lock_held():
            try:
                _imp.release_lock()
            except RuntimeError:
                # Another thread holds it.
                break
            self._depth += 1

    def __exit__(self, *_: object) -> None:
        for _time in range(self._depth):
            _imp.acquire_lock()


#: Whether this process was told about a file that is not imported.
_has_advised = False


_last_working_folder = ""


def _working_folder() -> str:
    """The folder that an empty entry of the path means."""
    global _last_working_folder
    _last_working_folder = os.getcwd()
    return _last_working_folder


def _names_in(entry: str) -> "Any":
    """The names in a folder when Python last listed it."""
    try:
        importer = sys.path_importer_cache[entry or _last_working_folder or _working_folder()]
    except (KeyError, OSError, TypeError):
        return ()
    return importer._path_cache if isinstance(importer, FileFinder) else ()  # type: ignore[attr-defined]


def _importing_folder() -> "str | None":
    """The folder of the code whose import runs; ``None`` if no import runs, but somebody asks what can be imported."""
    frame = sys._getframe(2)
    while frame is not None:
        name = frame.f_globals.get("__name__", "")
        if name in ("importlib.util", "pkgutil"):
            return None
        if not name.startswith(("importlib", "rustimport.", "_frozen_importlib")):
            return str(frame.f_globals.get("__file__", "")).rpartition(os.sep)[0]
        frame = frame.f_back  # type: ignore[assignment]
    return None


def _is_standard(package: str, entries: "list[str]") -> bool:
    """Whether a package with these folders is one of the standard library."""
    if package.partition(".")[0] not in sys.stdlib_module_names:
        return False
    home = getattr(os, "__file__", "").rpartition(os.sep)[0]
    return entries[:1] == [home + os.sep + package.replace(".", os.sep)]


def _folder_of(entry: str) -> str:
    """The folder of an entry of the path, as in the origin of what Python finds there."""
    try:
        importer = sys.path_importer_cache.get(entry or _working_folder())
    except OSError:
        return entry
    return importer.path if isinstance(importer, FileFinder) else entry


def _comes_first(entries: "list[Any]", entry: str, hit: "str | None") -> bool:
    """Whether an entry is the folder of Python's hit, or before it. If no entry is that folder, it is unknown which
    came first."""
    if hit is None:
        return True
    is_passed = False
    for other in entries:
        if isinstance(other, str):
            is_passed = is_passed or other == entry
            if _folder_of(other).rstrip(_SEPARATORS) == hit.rstrip(_SEPARATORS):
                return is_passed
    return False


# ---------------------------------------------------------------------------------------------------
# On `sys.meta_path`.


def put(finder: "Any") -> None:
    """Puts a finder directly before ``PathFinder``, and removes an earlier one of its role. The finder of projects
    comes before that of scripts, which replaces ``PathFinder``."""
    open_gates()
    if _python_started() is None:
        # A listing made before now could be older than its folder (see `_is_new`).
        for importer in list(sys.path_importer_cache.values()):
            if isinstance(importer, FileFinder):
                importer.invalidate_caches()
    with _changing:
        path: Any = sys.meta_path
        earlier = _put(finder.role)
        place = len(path) if finder.is_last or PathFinder not in path else path.index(PathFinder)
        if finder.role == "projects":
            place = min([index for index, other in enumerate(path) if isinstance(other, ScriptFinder)] + [place])
        finder.is_ours = True
        # The new one first, so that an import in another thread finds one of them.
        path.insert(place, finder)
        for other in earlier:
            path.remove(other)


def take_off(role: "str | None" = None, spared: "Sequence[Finder]" = ()) -> None:
    """Takes the finders of a role, or all but those spared, off ``sys.meta_path`` that `put` placed there; others
    stay."""
    open_gates()
    with _changing:
        for finder in _put(role):
            if finder not in spared:
                sys.meta_path.remove(finder)


#: Held by who changes ``sys.meta_path``: two threads may install the hook at once.
_changing = allocate_lock()


def _put(role: "str | None") -> "list[Any]":
    """The finders of a role, or all, that `put` placed on ``sys.meta_path``."""
    return [
        finder
        for finder in sys.meta_path
        if isinstance(finder, Finder) and finder.is_ours and role in (None, finder.role)
    ]


def installed(*roles: str) -> "Any":
    """The first finder of the given roles (any, if none is given) on ``sys.meta_path``, or ``None``."""
    open_gates()
    for finder in sys.meta_path:
        if isinstance(finder, Finder) and (not roles or finder.role in roles):
            return finder
    return None


def open_gates() -> None:
    """Installs the hook now if `site install` has only put a gate in place (`site/gate.py`)."""
    for gate in _gates():
        gate.open()


def _gates() -> "list[Any]":
    return [finder for finder in sys.meta_path if getattr(finder, "is_rustimport_gate", False)]


def _python_started() -> "float | None":
    """When this interpreter started, and some seconds more, in seconds since the epoch; ``None`` if the hook is not
    being installed by the gate, which is put in place at the start."""
    gates = _gates()
    return gates[0].since - 10 if gates else None


def _has(folder: str, name: str) -> bool:
    """Whether a folder contains a name, in this case."""
    return exists(folder + os.sep + name) and (not _IGNORES_CASE or name in os.listdir(folder))
