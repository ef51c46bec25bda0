"""The cache, as far as a fresh import needs it: where it is, whether it is private, and whether a stamp still holds.

The core writes stamps and indexes; here they are only compared (`src/freshness/stamp.rs` describes the format).
The core decides everything that requires more than names and stats.
"""

import _imp
import os
import sys

from ._settings import context, digest, environ, getenv, setting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._compat.maturin_settings import MaturinSettings


# ---------------------------------------------------------------------------------------------------
# Location.


def cache_root(chosen: "str | None" = None) -> str:
    """The cache folder: the given one, else that of the settings, else ``rustimport`` in the user's cache folder.

    Raises:
        rustimport.errors.CacheError: nothing is set, and the user has no home folder.
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
                # The variable is unset, or relative, which the specification says to ignore.
                base = f"{home}/.cache" if home else os.path.expanduser("~/.cache")
        root = base + os.sep + "rustimport"
        if root[:1] == "~":
            from .errors import CacheError

            hint = "set HOME, or RUSTIMPORT_CACHE_DIR to a folder that only you can write"
            raise CacheError("there is no place for the cache: HOME is not set, and this user has no home", hint=hint)
    root = os.fspath(root)
    # Usually the path is absolute already.
    if root[:1] != "/" or "/." in root or "//" in root or sys.platform == "win32":
        try:
            root = os.path.abspath(os.path.expanduser(root))
        except OSError as error:
            from .errors import CacheError

            hint = "change to a folder that exists, or set RUSTIMPORT_CACHE_DIR to an absolute path"
            raise CacheError(f"there is no working folder that the cache {root} could be in", hint=hint) from error
    return str(root)


def shared_cache_root() -> "str | None":
    """The cache that an administrator prepared for all users: that of the settings, else the system's folder; ``None``
    on systems that have no folder only an administrator can write to."""
    root = setting("shared_cache_dir")
    if root is None and sys.platform != "win32":
        root = "/Library/Caches/rustimport" if sys.platform == "darwin" else "/var/cache/rustimport"
    return None if root is None else os.path.abspath(os.path.expanduser(os.fspath(root)))


def _interpreter_key() -> str:
    """Implementation, version, ABI and platform, as in the suffix of extension modules, and the prefix: two
    interpreters of one version must not share what was linked for one of them."""
    name = _imp.extension_suffixes()[0].strip(".").rpartition(".")[0]
    if sys.platform == "darwin":
        name += "-" + os.uname().machine
    return f"{name}-{digest(sys.base_prefix)[:8]}"


INTERPRETER_KEY = _interpreter_key()


def is_free_threaded() -> bool:
    """Whether this Python can run without the GIL, whether or not it is enabled: it needs other libraries."""
    return "t" in _imp.extension_suffixes()[0].partition("-")[2].partition("-")[0]


def entry_name(source: str, stem: "str | None" = None) -> str:
    """The name of a source's folder in the cache: its own name, and a hash of its path. A source that is imported under
    another name than its own has an entry for each name, since the name is compiled in."""
    name = source.rpartition(os.sep)[2].partition(".")[0]
    return f"{name[:100]}-{digest(source if stem in (None, name) else f'{source}:{stem}')}"


def entry_folder(root: str, entry: str) -> str:
    return f"{root}{os.sep}v1{os.sep}{INTERPRETER_KEY}{os.sep}entries{os.sep}{entry}"


def index_file(root: str, folders: "list[str]") -> str:
    """The file that lists the projects installed in these site folders."""
    return f"{root}{os.sep}v1{os.sep}{INTERPRETER_KEY}{os.sep}projects{os.sep}{digest(repr(folders))}"


class Key:
    """What identifies a source in the cache, and its settings. The core receives the same (see
    `_core_client.request`).

    Attributes:
        source: The script, or the folder of the crate or project; absolute.
        chosen: Its ``MaturinSettings``, if any.
        files: The inputs that were declared for it, if any.
        cache: The cache folder.
        entry: The name of the source's folder in the cache.
        context: A hash of everything besides its inputs that its stamp depends on.
    """

    __slots__ = ("cache", "chosen", "context", "entry", "files", "source")

    def __init__(
        self,
        source: str,
        stem: "str | None" = None,
        cache_dir: "str | None" = None,
        chosen: "MaturinSettings | None" = None,
        files: "list[str] | None" = None,
    ) -> None:
        """`stem`: the last part of the module's name, if it may differ from the source's; of a project, the folder that
        it is installed in."""
        self.source = source
        self.chosen = chosen
        self.files = files
        self.cache = cache_root(cache_dir)
        self.entry = entry_name(source, stem)
        self.context = context(chosen, files)

    @property
    def stamp(self) -> str:
        """The path of the source's stamp."""
        return f"{entry_folder(self.cache, self.entry)}{os.sep}stamp"

    def fresh_artifact(self, marked: bool = True) -> "str | None":
        """The artifact, if its stamp is valid and only this user can have written the cache."""
        if not is_private(self.cache):
            return None
        return fresh_artifact(self.stamp, self.source, self.context, marked)


# ---------------------------------------------------------------------------------------------------
# Privacy.

#: Roots that were found private in this process: ``True``, or their stat if only they themselves were checked.
_private_roots: "dict[str, Any]" = {}


def is_private(root: str, to_load: bool = True) -> bool:
    """Whether only this user can have written the cache. If not, the core reports the reason.

    `to_load`: nor may anybody else be able to exchange the whole cache between a check and the loading of a library.
    """
    known = _private_roots.get(root)
    if known is True or (known and not to_load):
        return True
    try:
        found = known or os.lstat(root)
        is_link = found.st_mode & _KIND == _LINK
        folder = os.stat(root) if is_link else found
        if _is_exposed(folder):
            return False
        if not to_load:
            _private_roots[root] = found
            return True
        if _is_movable(root if is_link else root.rpartition(os.sep)[0]):
            return False
        # Other users cannot reach what is below a folder of mode 0700.
        if folder.st_mode & 0o011 and sys.platform != "win32":
            for below in ("", f"/{INTERPRETER_KEY}", f"/{INTERPRETER_KEY}/entries"):
                if _is_exposed(os.stat(f"{root}/v1{below}")):
                    return False
    except OSError:
        return False
    _private_roots[root] = True
    return True


_KIND, _LINK = 0o170000, 0o120000


def _is_foreign(found: "os.stat_result") -> bool:
    """Whether the file with this stat belongs to another user. Not checked on Windows, which has no such owners."""
    return sys.platform != "win32" and found.st_uid not in (os.geteuid(), 0)


def _is_exposed(found: "os.stat_result") -> bool:
    """Whether other users can have written the file with this stat."""
    return _is_foreign(found) or (sys.platform != "win32" and found.st_mode & 0o022 != 0)


def _is_movable(folder: str) -> bool:
    """Whether other users could exchange a folder, or one above it. Like ssh, this trusts what the user's home is in.
    In doubt they could: then the core decides (`src/base/owners.rs`)."""
    if sys.platform == "win32":
        return False
    home = getenv("HOME")
    while folder:
        found = os.lstat(folder)
        mode = found.st_mode
        if _is_foreign(found):
            return True
        if mode & _KIND == _LINK:
            if _is_movable(os.path.realpath(folder)):
                return True
        # Others may only add to a sticky folder. A group with the number of its user has no other members.
        elif not mode & 0o1000 and (mode & 0o002 or (mode & 0o020 and found.st_gid != found.st_uid)):
            return True
        if folder == home:
            break
        folder = folder.rpartition("/")[0]
    return False


# ---------------------------------------------------------------------------------------------------
# Stamps.


def fresh_artifact(stamp: str, source: str, context: str, marked: bool = True) -> "str | None":
    """Returns the artifact of a `stamp` that is still valid, or ``None`` if anything differs.

    Costs one read, and a stat for each input. `marked`: only if the source opted in.
    """
    try:
        data = read(stamp)
    except OSError:
        return None
    lines = sealed_lines(data)
    if len(lines) < 6 or unescape(lines[2]) != os.fsencode(source):
        return None
    home = os.fsencode(stamp).rpartition(_SEPARATOR)[0]
    if lines[0] != b"rustimport-stamp 2 " + home.rpartition(_SEPARATOR)[2]:
        return None
    known_context, _, was_marked = lines[1].partition(b" ")
    if known_context != context.encode() or (marked and was_marked != b"1"):
        return None
    # From 500 files on, the core is twice as fast, although loading it takes half a millisecond.
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
                    rest = unescape(rest)
                now = stat(rest)
                if stats != b"F %d %d %d" % (now.st_size, now.st_mtime_ns, now.st_ctime_ns):
                    return None
                if artifact is None:
                    artifact = rest
                    # Other users must not have written it. What is not in the cache may have any permissions.
                    if (_is_exposed if rest.startswith(home) else _is_foreign)(now):
                        return None
            elif tag == b"U":
                for name in rest.split(b"\t"):
                    if _variable(unescape(name)) in environ:
                        return None
            elif tag == b"V":
                name, _, value = rest.partition(b"=")
                if environ.get(_variable(unescape(name))) != _text(unescape(value)):
                    return None
            else:
                folder, *names = rest.split(b"\t")
                folder = unescape(folder)
                try:
                    now = stat(folder)
                    changed = stats != b"%b %d %d" % (tag, now.st_mtime_ns, now.st_ctime_ns)
                except OSError:
                    changed = True
                if changed:
                    if tag == b"L":
                        return None
                    for name in names:
                        if exists(folder + _SEPARATOR + unescape(name)):
                            return None
    except OSError:
        return None
    return os.fsdecode(artifact) if artifact is not None else None


def stamped_artifact(stamp: str) -> "str | None":
    """The artifact that a stamp names, whether or not the stamp is valid."""
    try:
        return os.fsdecode(unescape(read(stamp).split(b"\n")[3].partition(b"\t")[2]))
    except (IndexError, OSError, ValueError):
        return None


def stamped_paths(stamp: str) -> "list[str]":
    """Every path that a stamp names, including those that must not exist: the artifact first."""
    try:
        lines = sealed_lines(read(stamp))
    except OSError:
        return []
    paths = []
    for line in lines[3:-2]:
        path, *names = [os.fsdecode(unescape(part)) for part in line.split(b"\t")[1:]]
        if line[:1] == b"F":
            paths.append(path)
        elif line[:1] in (b"D", b"L"):
            paths += [os.path.join(path, name) for name in names or ["*"]]
    return paths


def _are_unchanged(stamp: bytes) -> bool:
    """Whether the core finds all files of a stamp unchanged. ``False`` also if the core cannot be loaded."""
    try:
        from . import _core
    except ImportError:
        return False
    return _core.files_are_unchanged(stamp)


def sealed_lines(data: bytes) -> "list[bytes]":
    """The lines of a file that the core wrote, as bytes, since decoding would cost more than everything but the stats.
    Empty if the file is damaged."""
    # The last line is a hash of everything before it.
    if data[-17:] != _imp.source_hash(0, data[:-17]).hex().encode() + b"\n":
        return []
    return data.split(b"\n")


def read(path: str) -> bytes:
    """A file's content, without the overhead of `open`."""
    descriptor = os.open(path, READ)
    try:
        data = chunk = os.read(descriptor, 1 << 16)
        while len(chunk) == 1 << 16:
            chunk = os.read(descriptor, 1 << 16)
            data += chunk
    finally:
        os.close(descriptor)
    return data


#: How files are opened. Opening a pipe must not wait for its writer.
READ = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
_SEPARATOR = os.sep.encode()
# A variable's name and value, as they are in `environ`.
_text: "Any" = os.fsdecode if environ is os.environ or sys.platform == "win32" else (lambda text: text)
_variable: "Any" = (lambda name: os.fsdecode(name).upper()) if sys.platform == "win32" else _text


def unescape(text: bytes) -> bytes:
    """A path or value of a stamp, in which ``%``, tabs and line ends are written as ``%XX``."""
    if b"%" not in text:
        return text
    head, *rest = text.split(b"%")
    return head + b"".join([bytes.fromhex(part[:2].decode()) + part[2:] for part in rest])


def exists(path: "str | bytes") -> bool:
    try:
        # `stat` raises for what is absent, which costs more than the check.
        return os.access(path, os.F_OK)
    except ValueError:
        return False
