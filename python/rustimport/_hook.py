"""The finder, and the check that an artifact is fresh: what runs at every start and every import.

Nothing is imported here that a bare interpreter has not loaded (``tests/unit`` guards that), and the
core is not loaded before something is stale. What this module decides, it decides from names in folder
listings and from stats; whatever needs more is `_load`'s.
"""

import _imp
import os
import sys
from _frozen_importlib import ModuleSpec
from _frozen_importlib_external import ExtensionFileLoader, FileFinder, PathFinder
from _thread import get_ident
from time import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from types import ModuleType
    from typing import Any

# ---------------------------------------------------------------------------------------------------
# Settings: what the user assigned, else what the environment says. Read at each owned import.

#: Attribute of ``rustimport.settings`` -> the environment variable that stands for it.
VARIABLES = {
    "cache_dir": "RUSTIMPORT_CACHE_DIR",
    "cargo_executable": "RUSTIMPORT_CARGO_EXECUTABLE",
    "compile_release_binaries": "RUSTIMPORT_RELEASE_BINARIES",
    "enabled": "RUSTIMPORT_ENABLED",
    "force_rebuild": "RUSTIMPORT_FORCE_REBUILD",
    "include_paths": "RUSTIMPORT_INCLUDE_PATHS",
    "maturin_executable": "RUSTIMPORT_MATURIN_EXECUTABLE",
    "profile": "RUSTIMPORT_PROFILE",
    "pyo3": "RUSTIMPORT_PYO3",
    "python": "RUSTIMPORT_PYTHON",
    "release_mode": "RUSTIMPORT_RELEASE_MODE",
    "shared_cache_dir": "RUSTIMPORT_SHARED_CACHE_DIR",
    "verbose": "RUSTIMPORT_VERBOSE",
}

#: The names under which the predecessors' users set the same.
OLDER_VARIABLES = {"cache_dir": "MATURIN_BUILD_DIR", "enabled": "MATURIN_IMPORT_HOOK_ENABLED"}

#: The beginnings of the names of all variables that may matter to a build: ours, cargo's and rustc's.
_PREFIXES = ("RUSTIMPORT_", "MATURIN_", "CARGO_", "RUSTC", "RUSTFLAGS", "RUSTUP_", "MACOSX_DEPLOYMENT_TARGET")

# `os.environ` encodes and decodes with every access. The bytes below, where there are any, do not.
_raw: "Any" = getattr(os.environ, "_data", os.environ)
_is_raw = sys.platform != "win32" and _raw is not os.environ
_encode: "Any" = os.fsencode if _is_raw else (lambda text: text)
_RAW_PREFIXES: "Any" = tuple([_encode(prefix) for prefix in _PREFIXES])


_PATH, _HOME, _INCLUDE_PATHS = _encode("PATH"), _encode("HOME"), _encode(VARIABLES["include_paths"])
_RELEASE_MODE = _encode(VARIABLES["release_mode"])


def getenv(name: str) -> "str | None":
    """``os.environ.get``, at a tenth of its price where the variable is not set."""
    value = _raw.get(_encode(name))
    return os.fsdecode(value) if _is_raw and value is not None else value


def setting(name: str) -> "Any":
    """Returns a setting as assigned to ``rustimport.settings``, else as text from the environment, else
    ``None``."""
    settings = sys.modules.get("rustimport.settings")
    if settings is not None and name in settings.__dict__:
        return settings.__dict__[name]
    value = getenv(VARIABLES[name])
    if value is None and name in OLDER_VARIABLES:
        value = getenv(OLDER_VARIABLES[name])
    return value or None


def is_true(value: "Any") -> bool:
    """Whether a setting is switched on: ``True``, or one of true, yes, on, 1 in any case."""
    if isinstance(value, str):
        return value.strip().lower() in ("true", "yes", "on", "1")
    return bool(value)


def included_folders() -> "list[str]":
    """The folders of ``include_paths``, absolute."""
    included = setting("include_paths") or ""
    if isinstance(included, (str, os.PathLike)):
        included = os.fspath(included).split(os.pathsep)
    return [os.path.abspath(folder) for folder in included if folder]


def is_enabled() -> bool:
    """Whether the hook may act (``RUSTIMPORT_ENABLED=0`` keeps it off)."""
    value = setting("enabled")
    return value is None or is_true(value)


def build_settings() -> "dict[str, str | None]":
    """The settings that the core needs, as far as arguments, assignments and environment say."""
    assigned = getattr(sys.modules.get("rustimport.settings"), "__dict__", {})
    profile = setting("profile")
    chosen = assigned.get("profile") if is_true(assigned.get("compile_release_binaries")) else profile
    if chosen is None and is_true(setting("compile_release_binaries")):
        profile = "release"
    values = {
        "profile": profile,
        "pyo3": setting("pyo3"),
        "cargo": setting("cargo_executable"),
        "maturin": setting("maturin_executable"),
    }
    return {name: None if value is None else str(value) for name, value in values.items()}


def context(chosen: "Any" = None, files: "list[str] | None" = None) -> str:
    """A hash of everything outside the inputs that a stamp depends on: settings, with those `chosen` for this source,
    the names of the `files` that somebody says it is made of, and environment. Where it differs from the stamp's, the
    core looks closer."""
    found = sorted([item for item in _raw.items() if item[0].startswith(_RAW_PREFIXES)])
    # That the module of settings is loaded is no difference, as long as nothing is assigned.
    settings = getattr(sys.modules.get("rustimport.settings"), "__dict__", {})
    assigned = [(name, settings[name]) for name in VARIABLES if name in settings]
    around = (found, _raw.get(_PATH), _raw.get(_HOME), assigned)
    return _hash(repr((around, chosen, files) if chosen or files else around))


def _hash(text: str) -> str:
    return _imp.source_hash(0, text.encode("utf-8", "surrogateescape")).hex()


#: Whether log records go to the root logger's handlers (`_report` looks here when there is something to say).
log_propagates = False

#: Whether nobody else shows them: `reset_logger` was called.
log_is_reset = False


# ---------------------------------------------------------------------------------------------------
# The cache, as far as a fresh import needs it.


def cache_root(chosen: "str | None" = None) -> str:
    """The cache folder: as chosen, as set, else ``rustimport`` in the user's cache folder.

    Raises:
        rustimport.errors.CacheError: nobody says where, and the user has no home.
    """
    root = chosen or setting("cache_dir")
    if root is None:
        if sys.platform == "win32":
            base = getenv("LOCALAPPDATA") or os.path.expanduser("~\\AppData\\Local")
        elif sys.platform == "darwin":
            base = os.path.expanduser("~/Library/Caches")
        else:
            home = getenv("HOME")
            base = getenv("XDG_CACHE_HOME") or ""
            if base[:1] != "/":
                # None, or one that the specification says to ignore.
                base = f"{home}/.cache" if home else os.path.expanduser("~/.cache")
        root = base + os.sep + "rustimport"
        if root[:1] == "~":
            from .errors import CacheError

            hint = "set HOME, or RUSTIMPORT_CACHE_DIR to a folder that only you can write"
            raise CacheError("there is no place for the cache: HOME is not set, and this user has no home", hint=hint)
    root = os.fspath(root)
    # Mostly there is nothing to do.
    if root[:1] != "/" or "/." in root or "//" in root or sys.platform == "win32":
        try:
            root = os.path.abspath(os.path.expanduser(root))
        except OSError as error:
            from .errors import CacheError

            hint = "change to a folder that exists, or set RUSTIMPORT_CACHE_DIR to an absolute path"
            raise CacheError(f"there is no working folder that the cache {root} could be in", hint=hint) from error
    return str(root)


def shared_cache_root() -> "str | None":
    """The folder of a cache that was prepared for all users: as set, else the system's; ``None`` where the system has
    none that only an administrator can write to."""
    root = setting("shared_cache_dir")
    if root is None and sys.platform != "win32":
        root = "/Library/Caches/rustimport" if sys.platform == "darwin" else "/var/cache/rustimport"
    return None if root is None else os.path.abspath(os.path.expanduser(os.fspath(root)))


def _interpreter_key() -> str:
    """Implementation, version, ABI and platform, as in the suffix of extension modules, and the prefix:
    two interpreters of one version must not share what was linked for one of them."""
    name = _imp.extension_suffixes()[0].strip(".").rpartition(".")[0]
    if sys.platform == "darwin":
        name += "-" + os.uname().machine
    return f"{name}-{_hash(sys.base_prefix)[:8]}"


INTERPRETER_KEY = _interpreter_key()

#: Roots that were found private in this process.
_private_roots: "set[str]" = set()


def _is_private(root: str) -> bool:
    """Whether nobody else can have put anything into the cache. The core says what is wrong if not."""
    if root in _private_roots:
        return True
    try:
        if _is_exposed(os.stat(root)):
            return False
    except OSError:
        return False
    _private_roots.add(root)
    return True


def _is_exposed(found: "os.stat_result") -> bool:
    """Whether other users can have written what has this stat; Windows keeps that elsewhere."""
    return sys.platform != "win32" and (found.st_uid not in (os.geteuid(), 0) or found.st_mode & 0o022 != 0)


def entry_name(source: str, stem: "str | None" = None) -> str:
    """The name of a source's folder in the cache: its own name, and a hash of its path. A source that is
    imported under another name than its own has an entry for each: the name is compiled in."""
    name = source.rpartition(os.sep)[2].partition(".")[0]
    return f"{name[:100]}-{_hash(source if stem in (None, name) else f'{source}:{stem}')}"


def entry_folder(root: str, entry: str) -> str:
    return f"{root}{os.sep}v1{os.sep}{INTERPRETER_KEY}{os.sep}entries{os.sep}{entry}"


def index_file(root: str, folders: "list[str]") -> str:
    """Where it is kept which projects are installed in these site folders."""
    return f"{root}{os.sep}v1{os.sep}{INTERPRETER_KEY}{os.sep}projects{os.sep}{_hash(repr(folders))}"


# ---------------------------------------------------------------------------------------------------
# Stamps. The core writes them (`src/freshness/stamp.rs` describes the format); here they are only compared.


def fresh_artifact(stamp: str, source: str, context: str, marked: bool = True) -> "str | None":
    """Returns the artifact that `stamp` vouches for, or ``None`` if anything is not as it was.

    Costs one read and a stat for each input. `marked`: only if the source opted in.
    """
    try:
        data = _read(stamp)
    except OSError:
        return None
    lines = _sealed_lines(data)
    if len(lines) < 6 or _unescape(lines[2]) != os.fsencode(source):
        return None
    home = os.fsencode(stamp).rpartition(_SEPARATOR)[0]
    if lines[0] != b"rustimport-stamp 2 " + home.rpartition(_SEPARATOR)[2]:
        return None
    known_context, _, was_marked = lines[1].partition(b" ")
    if known_context != context.encode() or (marked and was_marked != b"1"):
        return None
    # Of many files, the core looks at all at once: twice as fast, and it takes half a millisecond to load.
    if len(lines) > 500 and _are_unchanged(data):
        lines[4:] = [line for line in lines[4:] if line[:1] != b"F"]
    artifact = None
    stat = os.stat
    try:
        for line in lines[3:-2]:
            stats, _, rest = line.partition(b"\t")
            tag = line[:1]
            if tag == b"F":
                if b"%" in rest:
                    rest = _unescape(rest)
                now = stat(rest)
                if stats != b"F %d %d %d" % (now.st_size, now.st_mtime_ns, now.st_ctime_ns):
                    return None
                if artifact is None:
                    artifact = rest
                    # Nobody else may have put it there.
                    if rest.startswith(home) and _is_exposed(now):
                        return None
            elif tag == b"U":
                for name in rest.split(b"\t"):
                    if _key(_unescape(name)) in _raw:
                        return None
            elif tag == b"V":
                name, _, value = rest.partition(b"=")
                if _raw.get(_key(_unescape(name))) != _text(_unescape(value)):
                    return None
            else:
                folder, *names = rest.split(b"\t")
                folder = _unescape(folder)
                try:
                    now = stat(folder)
                    changed = stats != b"%b %d %d" % (tag, now.st_mtime_ns, now.st_ctime_ns)
                except OSError:
                    changed = True
                if changed:
                    if tag == b"L":
                        return None
                    for name in names:
                        if _exists(folder + _SEPARATOR + _unescape(name)):
                            return None
    except OSError:
        return None
    return os.fsdecode(artifact) if artifact is not None else None


def _are_unchanged(stamp: bytes) -> bool:
    """Whether the core finds all files of a stamp as they were; that it cannot be asked is no answer."""
    try:
        from . import _core
    except ImportError:
        return False
    return _core.files_are_unchanged(stamp)


def _sealed_lines(data: bytes) -> "list[bytes]":
    """The lines of what the core wrote, as bytes: decoding would cost more than everything else but the stats. None
    if it is damaged."""
    # The last line is a hash of all before.
    if data[-17:] != _imp.source_hash(0, data[:-17]).hex().encode() + b"\n":
        return []
    return data.split(b"\n")


def _read(path: str) -> bytes:
    """A file's content, without the layers that `open` puts around it."""
    descriptor = os.open(path, _READ)
    try:
        data = chunk = os.read(descriptor, 1 << 16)
        while len(chunk) == 1 << 16:
            chunk = os.read(descriptor, 1 << 16)
            data += chunk
    finally:
        os.close(descriptor)
    return data


# Of a pipe that somebody put there, nothing is expected.
_READ = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
_SEPARATOR = os.sep.encode()
# A variable's name and value, as they stand in `_raw`.
_text: "Any" = (lambda text: text) if _is_raw else os.fsdecode
_key: "Any" = _text if _is_raw else (lambda name: os.fsdecode(name).upper())


def _unescape(text: bytes) -> bytes:
    if b"%" not in text:
        return text
    head, *rest = text.split(b"%")
    return head + b"".join([bytes.fromhex(part[:2].decode()) + part[2:] for part in rest])


def _exists(path: "str | bytes") -> bool:
    try:
        # An exception for what is absent, as of `stat`, costs more than the look.
        return os.access(path, os.F_OK)
    except ValueError:
        return False


# ---------------------------------------------------------------------------------------------------
# Whose is a file?

#: Path -> (size, mtime, ctime, whether it opted in).
_opted_in: "dict[str, tuple[int, int, int, bool]]" = {}


def has_opted_in(source: str, stat: "os.stat_result") -> bool:
    """Whether a source is meant to be imported: a ``.rs`` file by the marker on its first line, or since it
    declares a module of its own name, which is decided from its bytes and remembered by its stat; a crate by its
    marker."""
    if stat.st_mode & 0o170000 == 0o040000:
        return is_marked_crate(source)
    if stat.st_mode & 0o170000 != 0o100000:
        # To open a pipe would be to wait for its writer.
        return False
    known = _opted_in.get(source)
    if known is not None and known[:3] == (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns):
        return known[3]
    try:
        with open(source, "rb") as file:
            data = file.read()
    except OSError:
        return False
    opted_in = has_marker(data)
    if not opted_in:
        # Cheap signs first: whether they mean what they seem to mean, the core knows.
        stem = os.path.basename(source).partition(".")[0].encode()
        if (b"pymodule" in data and stem in data) or b"PyInit_" + stem in data:
            from . import _load

            opted_in = _load.is_module(source)
    # An edit within the clock's tick would leave the stat as it is.
    if time() - max(stat.st_mtime, stat.st_ctime) > 2.1:
        _opted_in[source] = stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, opted_in
    return opted_in


def is_marked_crate(folder: str) -> bool:
    """Whether a folder is a crate that is meant to be imported: by a ``.rustimport`` file, or a comment with the word
    on the first line of its ``Cargo.toml``."""
    try:
        descriptor = os.open(folder + os.sep + "Cargo.toml", _READ)
        try:
            line = os.read(descriptor, 1000).partition(b"\n")[0]
        finally:
            os.close(descriptor)
    except OSError:
        return False
    return (line.startswith(b"#") and b"rustimport" in line) or _exists(folder + os.sep + ".rustimport")


def has_marker(data: bytes) -> bool:
    """Whether the first line that is not empty is a comment with the word ``rustimport``."""
    data = data.removeprefix(b"\xef\xbb\xbf")
    for index, line in enumerate(data[:65536].splitlines()):
        line = line.strip()
        if line and not (index == 0 and line.startswith(b"#!") and not line.startswith(b"#![")):
            return line.startswith((b"//", b"/*")) and b"rustimport" in line
    return False


# ---------------------------------------------------------------------------------------------------
# The finder.


class Loader(ExtensionFileLoader):
    """Python's own loader of extension modules; but a panic becomes an error of ours, which ``except Exception``
    catches, and errors of ours say where the import stands, not where in this package they were raised."""

    def __init__(self, name: str, path: str, source: str) -> None:
        super().__init__(name, path)
        self._source = source

    def create_module(self, spec: "ModuleSpec") -> "ModuleType":
        try:
            return self._create(spec)
        except BaseException as error:
            ours = self._as_ours(error)
            if ours is None:
                raise
            raise ours from ours.__cause__

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
        if hasattr(error, "hint"):
            return error.with_traceback(None)
        text = str(error)
        if "failed to map segment" in text and ("not permitted" in text or "Permission denied" in text):
            from .errors import CacheError

            return CacheError(
                f"the library of `{self.name}` cannot be loaded from {self.path}: {error}",
                hint="its file system is mounted `noexec`: set RUSTIMPORT_CACHE_DIR to a folder elsewhere",
                name=self.name,
                path=self._source,
            )
        if type(error).__name__ != "PanicException":
            return None
        from .errors import RustImportError

        return RustImportError(
            f"`{self.name}` panicked when it was imported: {error}",
            hint="look at what its #[pymodule_init] or #[pymodule] function does; RUST_BACKTRACE=1 shows where",
            name=self.name,
            path=self._source,
        )


class ScriptLoader(Loader):
    """Survives that the artifact was cleared away between the check and the load, and reloads."""

    def __init__(self, name: str, path: str, finder: "ScriptFinder", source: str) -> None:
        super().__init__(name, path, source)
        self._finder = finder
        self._module: ModuleType | None = None

    def _create(self, spec: "ModuleSpec") -> "ModuleType":
        settings = sys.modules.get("rustimport.settings")
        flags = getattr(settings, "rtld_flags", None)
        if flags is not None:
            before = sys.getdlopenflags()
            sys.setdlopenflags(flags)
        try:
            self._module = self._open(spec)
        finally:
            if flags is not None:
                sys.setdlopenflags(before)
            # Also the library of a module that panics.
            _loaded.add(self.path)
        if "IPython.core.interactiveshell" in sys.modules:
            from . import _ipython

            _ipython.follow_autoreload()
        return self._module

    def _open(self, spec: "ModuleSpec") -> "ModuleType":
        try:
            return super()._create(spec)
        except ImportError:
            if _exists(self.path):
                raise
        self.path = spec.origin = self._finder.artifact(self.name, self._source, again=True)
        return super()._create(spec)

    def _exec(self, module: "ModuleType") -> None:
        if module is self._module:
            super()._exec(module)
        else:
            # A reload. Each build has a path of its own, so that its library is loaded beside the old one;
            # the module that everybody holds takes over what is in the new one.
            if self.path == _current.get(self.name):
                return
            if self.path in _loaded:
                # The library beside the source has become right again; to be loaded anew it needs a new path.
                self.path = self._finder.artifact(self.name, self._source, again=True, in_place=False)
            with Kept(self.name):
                fresh = self._create(ModuleSpec(self.name, self, origin=self.path))
                super()._exec(fresh)
            take_over(module, fresh)
        # What fails stays stale.
        _current[self.name] = self.path


class Kept:
    """Keeps the module that everybody holds in ``sys.modules``, where CPython puts each one that is created and has no
    multi-phase initialisation, as those of older versions of pyo3."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        self._module = sys.modules.get(self._name)

    def __exit__(self, *_: object) -> None:
        if self._module is not None:
            sys.modules[self._name] = self._module


def take_over(module: "ModuleType", fresh: "ModuleType") -> None:
    """Puts what is in a module that was loaded anew into the one that everybody holds."""
    kept = ("__name__", "__loader__", "__package__", "__spec__", "__file__")
    module.__dict__.update({name: value for name, value in fresh.__dict__.items() if name not in kept})


#: Seconds after which a process that builds, and gives no sign of life, is waited for no longer.
LOCK_TIMEOUT = 120.0


class Finder:
    """What finders of scripts and of projects have in common.

    Args:
        cache_dir: The cache folder, before the setting.
        force_rebuild: Build past every check, once a source and process; before the setting.
        lock_timeout: How many seconds to wait for another process's build; for ever if ``None``. `LOCK_TIMEOUT` counts
            from that process's last sign of life, others from when it was found to hold the lock.
        show_warnings: Show the compiler's warnings.
        settings: A ``MaturinSettings``.
        enable_reloading: ``importlib.reload`` loads what was rebuilt.
    """

    #: Whether `install` put it on ``sys.meta_path``.
    is_ours = False
    #: Whether `install` puts it behind all others.
    is_last = False

    def __init__(
        self,
        *,
        cache_dir: "str | None" = None,
        force_rebuild: "bool | None" = None,
        lock_timeout: "float | None" = LOCK_TIMEOUT,
        show_warnings: bool = True,
        settings: "Any" = None,
        enable_reloading: bool = True,
    ) -> None:
        self.cache_dir = cache_dir
        self.force_rebuild = force_rebuild
        self.lock_timeout = lock_timeout
        self.show_warnings = show_warnings
        self.settings = settings
        self.enable_reloading = enable_reloading

    def chosen(self, name: str, source: str) -> "Any":
        """The settings for maturin that hold for a module, if there are any."""
        # Those who want to choose for each module override a method; nobody else pays for it.
        choose = getattr(self, "get_settings", None)
        if isinstance(self.settings, str):
            # As `site install --args` wrote them: nothing is loaded for them at the start.
            import shlex

            from ._maturin_settings import MaturinSettings

            self.settings = MaturinSettings.from_args(shlex.split(self.settings))
        return self.settings if choose is None else choose(name, _as_path(source))

    def files(self, source: str) -> "list[str] | None":
        """The files that somebody says a source is made of."""
        listed = getattr(self, "get_source_files", None)
        return None if listed is None else [os.path.abspath(file) for file in listed(_as_path(source))]

    def maturin(self) -> "str | None":
        """The maturin to use, if somebody says which."""
        find = getattr(self, "find_maturin", None)
        return None if find is None else str(find())

    def request(self, source: str, fullname: str, **details: "Any") -> "dict[str, Any]":
        """What the core is asked about a source (see `_load.request`), with what this finder says."""
        from . import _load

        return _load.request(
            source,
            fullname,
            cache_dir=self.cache_dir,
            lock_timeout=self.lock_timeout,
            maturin=self.maturin(),
            **details,
        )

    def is_forced(self, source: str) -> bool:
        """Whether a source is to be built past every check: once a process."""
        force = self.force_rebuild
        if force is None:
            force = setting("force_rebuild")
        return force is not None and is_true(force) and source not in _forced


class ScriptFinder(Finder):
    """Finds standalone ``.rs`` files, in Python's own order and without repeating its work.

    It stands directly before ``PathFinder``, asks that first, and then looks a name up in the folder
    listings that the search has just refreshed, up to where Python's own hit stands. In one folder a
    package comes before a script, a script before a crate, that before everything else.
    """

    def __init__(self, **arguments: "Any") -> None:
        super().__init__(**arguments)
        self._started = time()
        #: Folder -> the time of its last change, if every name in its listing is known to be there.
        self._settled: dict[str, float] = {}
        #: ``sys.path`` as it was when its folders had been listed, as far as anybody needed them.
        self._listed: list[str] = []
        #: Listings of folders that have no `FileFinder`: folder -> (mtime, names).
        self._listings: dict[str, tuple[float, frozenset[str]]] = {}

    def invalidate_caches(self) -> None:
        self._settled.clear()
        self._listed = []
        self._listings.clear()
        _opted_in.clear()

    def find_spec(
        self, fullname: str, path: "Sequence[str] | None" = None, target: "ModuleType | None" = None
    ) -> "ModuleSpec | None":
        if target is not None:
            loader = getattr(target, "__loader__", None)
            if not self.enable_reloading and isinstance(loader, ScriptLoader):
                return target.__spec__
            if _is_projects(fullname, target):
                # What was imported from a project is reloaded from there.
                return None
        try:
            if path is None:
                if fullname in sys.stdlib_module_names:
                    return None
                entries = sys.path
            else:
                entries = list(path)
                if _is_standard(fullname, entries):
                    return None
            file = fullname.rpartition(".")[2] + ".rs"
            if entries == self._listed:
                # These folders have listings: one search, in Python's own order, says everything.
                spec, is_done = self._search(fullname, entries, file, target)
                return spec if is_done or path is not None else self._included(fullname, file) or spec
            # A folder that has the file, or that nobody has listed yet, is searched with what stands before it
            # only: whoever imports a script does not wait until all the folders behind it are listed.
            importers = sys.path_importer_cache
            searched = 0
            for index, entry in enumerate(entries):
                try:
                    importer: Any = importers[entry or os.getcwd()]
                    names = importer._path_cache
                    if file not in names and file[:-3] not in names and importer._path_mtime != -1:
                        continue
                except (AttributeError, OSError, TypeError):
                    continue
                except KeyError:
                    pass
                spec, is_done = self._search(fullname, entries[searched : index + 1], file, target)
                if is_done:
                    if path is None and spec is not None and type(spec.loader) is not ScriptLoader:
                        # Others have found what they look for in the same folders: mostly all are listed now.
                        self._listed = entries[:]
                    return spec
                searched = index + 1
            if path is None:
                self._listed = entries[:]
            spec, is_done = self._search(fullname, entries[searched:], file, target)
            if is_done:
                return spec
            if searched:
                # The parts of a namespace are for Python to put together.
                spec = None
            return spec if path is not None else self._included(fullname, file) or spec
        except ImportError as error:
            if not hasattr(error, "hint"):
                raise
            # Where in this package it was raised tells a user nothing.
            raise error.with_traceback(None) from error.__cause__

    def _search(
        self, fullname: str, entries: "list[str]", file: str, target: "ModuleType | None"
    ) -> "tuple[ModuleSpec | None, bool]":
        """Searches some entries in Python's order. Returns what was found, and whether that ends the search:
        the parts of a namespace do not."""
        found = PathFinder.find_spec(fullname, entries, target)
        # The folder of Python's hit, and whether that is a package: only there, a script comes second.
        hit = slashed = None
        is_package = False
        if found is not None and found.origin is not None and found.loader is not None:
            hit = found.origin.rpartition(os.sep)[0]
            if found.submodule_search_locations is not None:
                is_package = True
                hit = hit.rpartition(os.sep)[0]
            # An entry of `sys.path` may end in a separator, and keeps it.
            slashed = hit + os.sep
        importers = sys.path_importer_cache
        settled = self._settled
        name = file[:-3]
        for entry in entries:
            try:
                importer: Any = importers[entry or os.getcwd()]
                folder = importer.path
                last = folder in (hit, slashed)
                names = importer._path_cache
                there = file in names
                is_folder = name in names
                if not there and settled.get(folder) != importer._path_mtime:
                    there = self._is_new(importer, folder, file)
            except (KeyError, OSError, TypeError):
                continue
            except AttributeError:
                if importer is None:
                    continue
                folder = entry
                last = folder in (hit, slashed)
                names = self._listing(folder)
                there = file in names
                is_folder = name in names
            if (there or is_folder) and not (last and is_package):
                place = folder.rstrip(os.sep) + os.sep
                if is_folder and not _exists(place + name + os.sep + "Cargo.toml"):
                    is_folder = False
                # Of names that are both, the script comes first.
                for found_name, is_there in ((file, there), (name, is_folder)):
                    if is_there and (last or hit is None or _leads_to(entries, hit)):
                        spec = self._spec(fullname, place + found_name)
                        if spec is not None:
                            return spec, True
            if last:
                break
        return found, hit is not None

    def _included(self, fullname: str, file: str) -> "ModuleSpec | None":
        """Searches the folders that come after ``sys.path``."""
        if _INCLUDE_PATHS not in _raw and "rustimport.settings" not in sys.modules:
            return None
        for folder in included_folders():
            for name in (file, file[:-3]):
                source = os.path.join(folder, name)
                spec = self._spec(fullname, source) if _exists(source) else None
                if spec is not None:
                    return spec
        return None

    def _is_new(self, importer: "Any", folder: str, file: str) -> bool:
        """Looks for a file in a folder whose listing may be older than the folder: both within one
        tick of the file system's clock (two seconds, at the coarsest)."""
        mtime = importer._path_mtime
        if mtime == -1:
            return _exists(folder + os.sep + file)
        if mtime >= self._started - 2.1:
            if time() - mtime <= 2.1:
                return _exists(folder + os.sep + file)
            # From now on a new listing holds every name: have one made, once.
            importer.invalidate_caches()
            self._settled[folder] = mtime
            return _exists(folder + os.sep + file)
        # Nothing happened there since well before the first listing.
        self._settled[folder] = mtime
        return False

    def _listing(self, folder: str) -> "frozenset[str]":
        """The names in a folder that only a finder of another kind looks after (a zip file has none)."""
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

    def _spec(self, fullname: str, source: str) -> "ModuleSpec | None":
        artifact = self.artifact(fullname, source)
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

        `opt_in`: only if the source opted in. `again`: past the stamp. `in_place`: it may be the one beside the source.
        `force`: past every check.

        Raises:
            rustimport.errors.RustImportError: the source cannot be built.
        """
        if not is_enabled() and opt_in:
            return None
        # Mostly nobody has asked for it.
        if (_RELEASE_MODE in _raw or "rustimport.settings" in sys.modules) and is_true(setting("release_mode")):
            from . import _release

            return _release.artifact(fullname, source, opt_in, self.cache_dir)
        chosen = self.chosen(fullname, source)
        files = self.files(source)
        state = context(chosen, files)
        root = cache_root(self.cache_dir)
        entry = entry_name(source, fullname.rpartition(".")[2])
        force = force or self.is_forced(source)
        if not again and not force and _is_private(root):
            stamp = entry_folder(root, entry) + os.sep + "stamp"
            artifact = fresh_artifact(stamp, source, state, marked=opt_in)
            if artifact is not None:
                return artifact
        try:
            stat = os.stat(source)
        except (OSError, ValueError):
            if opt_in:
                return None
            raise
        marked = has_opted_in(source, stat)
        if opt_in and not marked:
            return None
        from . import _load

        request = self.request(
            source, fullname, marked=marked, in_place=in_place, force=force, chosen=chosen, files=files
        )
        outcome = _load.ensure(request, show_warnings=self.show_warnings)
        if force:
            _forced.add(source)
        return outcome["artifact"]


def _is_standard(fullname: str, entries: "list[str]") -> bool:
    """Whether a submodule is looked for in a package of the standard library."""
    parent = fullname.rpartition(".")[0]
    if parent.partition(".")[0] not in sys.stdlib_module_names:
        return False
    home = getattr(os, "__file__", "").rpartition(os.sep)[0]
    return entries[:1] == [home + os.sep + parent.replace(".", os.sep)]


def _is_projects(fullname: str, module: "ModuleType") -> bool:
    """Whether a module was imported from a project."""
    if isinstance(getattr(module, "__loader__", None), ScriptLoader):
        return False
    return any(isinstance(finder, ProjectFinder) and finder.known(fullname) for finder in sys.meta_path)


class Project:
    """An editable project that maturin installed.

    Attributes:
        root: Its folder.
        dist_info: The folder that tells of its installation.
        module: The full name of its extension module, as far as it is known.
    """

    __slots__ = ("dist_info", "module", "root")

    def __init__(self, root: str, dist_info: str, module: str) -> None:
        self.root = root
        self.dist_info = dist_info
        self.module = module

    @property
    def site(self) -> str:
        """The folder that it is installed in."""
        return self.dist_info.rpartition(os.sep)[0]


class ProjectFinder(Finder):
    """Has editable projects rebuilt before Python finds them. What is imported, Python itself finds.

    Which names are theirs is known from an index of the site folders, which the core makes; here it is only
    compared, once a process and whenever ``sys.path`` has other site folders.
    """

    def __init__(self, *, file_searcher: "Any" = None, automatic: bool = False, **arguments: "Any") -> None:
        super().__init__(**arguments)
        self.file_searcher = file_searcher
        self.automatic = automatic
        self._path: list[str] = []
        self._folders: list[str] = []
        #: The threads that find out which projects there are.
        self._looking: set[int] = set()
        #: The full name of a module -> the projects that an import of it enters.
        self.projects: dict[str, list[Project]] = {}
        #: The full name of an extension module -> its project, as soon as that has been looked at.
        self.modules: dict[str, Project] = {}

    def known(self, fullname: str) -> "list[Project] | None":
        """The projects that an import of a module enters, or that a reload of it concerns."""
        found = self.projects.get(fullname)
        if found is None and fullname in self.modules:
            root = self.modules[fullname].root
            return [project for named in self.projects.values() for project in named if project.root == root][:1]
        return found

    def invalidate_caches(self) -> None:
        self._path = []
        self._folders = []

    def find_spec(
        self, fullname: str, path: "Sequence[str] | None" = None, target: "ModuleType | None" = None
    ) -> "ModuleSpec | None":
        if target is not None and self.known(fullname):
            # It may have been installed for good since.
            self.invalidate_caches()
        if sys.path != self._path:
            # Modules of the standard library may be half imported now, as `importlib` is when `python -m` begins.
            if fullname.partition(".")[0] in sys.stdlib_module_names:
                return None
            self.look_around()
        found = self.projects.get(fullname) if target is None else self.known(fullname)
        if not found:
            return None
        if not is_enabled() or is_true(setting("release_mode")):
            return None
        from . import _project

        try:
            return _project.enter(self, fullname, path, target, found)
        except ImportError as error:
            if not hasattr(error, "hint"):
                raise
            # Where in this package it was raised tells a user nothing.
            raise error.with_traceback(None) from error.__cause__

    def look_around(self) -> None:
        """Finds out which projects are installed, if ``sys.path`` has other site folders than before."""
        me = get_ident()
        # What is imported here is not ours.
        if me in self._looking or not is_enabled():
            return
        self._looking.add(me)
        path, folders = sys.path[:], site_folders()
        try:
            if folders != self._folders:
                self.projects = self._index(folders) if folders else {}
                self._folders = folders
            self._path = path
        except Exception as error:
            # Nobody's import fails for this.
            self._path, self._folders, self.projects = path, folders, {}
            from . import _report

            _report.warn(f"editable projects are not rebuilt: {error}")
        finally:
            self._looking.discard(me)

    def _index(self, folders: "list[str]") -> "dict[str, list[Project]]":
        if self.automatic:
            from . import _load

            return _read_index(_load.index_all_projects(folders).split(b"\n"))
        root = cache_root(self.cache_dir)
        file = index_file(root, folders)
        if _is_private(root):
            try:
                projects = _fresh_index(_read(file), file)
            except (OSError, ValueError):
                projects = None
            if projects is not None:
                return projects
        elif _exists(root):
            # Nothing is written where others can write; what is wrong with it is told when something is built.
            file = ""
        from . import _load

        return _read_index(_load.index_projects(folders, file).split(b"\n"))


def site_folders() -> "list[str]":
    """The folders of ``sys.path`` that distributions are installed in."""
    added = [os.path.abspath(folder) for folder in (getenv("PYTHONPATH") or "").split(os.pathsep) if folder]
    names = ("site-packages", "dist-packages")
    # Python passes over what is no text as well.
    texts = [entry for entry in sys.path if isinstance(entry, str)]
    return [entry for entry in texts if entry.rstrip(os.sep).rpartition(os.sep)[2] in names or entry in added]


def _fresh_index(data: bytes, file: str) -> "dict[str, list[Project]] | None":
    """The projects of the index in `file`, or ``None`` if anything that it was made of is not as it was."""
    lines = _sealed_lines(data)
    if not lines or lines[0] != b"rustimport-projects 2 " + os.fsencode(file.rpartition(os.sep)[2]):
        return None
    for line in lines:
        tag = line[:1]
        if tag == b"M" and _exists(_unescape(line[2:])):
            return None
        if tag in (b"L", b"F"):
            stats, _, path = line.partition(b"\t")
            now = os.stat(_unescape(path))
            if tag == b"L" and stats != b"L %d %d" % (now.st_mtime_ns, now.st_ctime_ns):
                return None
            if tag == b"F" and stats != b"F %d %d %d" % (now.st_size, now.st_mtime_ns, now.st_ctime_ns):
                return None
    return _read_index(lines)


def _read_index(lines: "list[bytes]") -> "dict[str, list[Project]]":
    projects: dict[str, list[Project]] = {}
    for line in lines:
        if line[:2] == b"P\t":
            root, dist_info, module, *names = line.split(b"\t")[1:]
            project = Project(os.fsdecode(_unescape(root)), os.fsdecode(_unescape(dist_info)), module.decode())
            for name in names:
                projects.setdefault(name.decode(), []).append(project)
    return projects


def _as_path(path: str) -> "Any":
    """For those who override methods: a ``pathlib.Path``."""
    from pathlib import Path

    return Path(path)


def _leads_to(entries: "Iterable[str]", hit: str) -> bool:
    """Whether one of the entries is the folder of Python's hit: otherwise nobody knows what came first."""
    importers = sys.path_importer_cache
    for entry in entries:
        try:
            folder = getattr(importers.get(entry or os.getcwd()), "path", entry)
        except OSError:
            continue
        if folder.rstrip(os.sep) == hit.rstrip(os.sep):
            return True
    return False


#: Artifacts that this process has loaded.
_loaded: "set[str]" = set()

#: Module -> the artifact that it was loaded from last.
_current: "dict[str, str]" = {}

#: Sources whose forced build has been made in this process.
_forced: "set[str]" = set()


# ---------------------------------------------------------------------------------------------------
# Installation.


def install(finder: "Any") -> None:
    """Puts a finder directly before ``PathFinder``, in place of an earlier one of its kind; that for projects before
    that for scripts, which answers for ``PathFinder``."""
    for kind in (ProjectFinder, ScriptFinder):
        if isinstance(finder, kind):
            uninstall(kind)
    # Listings made before this moment could be older than their folders (see `_is_new`).
    for importer in list(sys.path_importer_cache.values()):
        if isinstance(importer, FileFinder):
            importer.invalidate_caches()
    path = sys.meta_path
    place = len(path) if finder.is_last or PathFinder not in path else path.index(PathFinder)
    if isinstance(finder, ProjectFinder):
        place = min([index for index, other in enumerate(path) if isinstance(other, ScriptFinder)] + [place])
    finder.is_ours = True
    path.insert(place, finder)


def uninstall(kind: "Any" = Finder) -> None:
    """Takes the finders of a kind off ``sys.meta_path`` that `install` put there; those put there by hand stay."""
    sys.meta_path[:] = [finder for finder in sys.meta_path if not (isinstance(finder, kind) and finder.is_ours)]


def installed(kind: "Any" = Finder) -> "Any":
    """The first finder of a kind on ``sys.meta_path``, whoever put it there, or ``None``."""
    for finder in sys.meta_path:
        if isinstance(finder, kind):
            return finder
    return None
