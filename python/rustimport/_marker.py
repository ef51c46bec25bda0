"""Which files the hook owns: a script or crate is imported only if it opted in, by a marker or by declaring a module of
its own name. (`src/commands/discover.rs` applies the same rules to whole folders.)"""

import os
from time import time

from ._cache import READ, exists

#: Path -> (size, mtime, ctime, whether it opted in).
_known: "dict[str, tuple[int, int, int, bool]]" = {}


def forget() -> None:
    """Clears the remembered results."""
    _known.clear()


def has_opted_in(source: str, stat: "os.stat_result") -> bool:
    """Whether a source is meant to be imported.

    A crate is, by its marker; a ``.rs`` file by the marker on its first line, or because it declares a module named
    like the file and no crate uses it. The latter is decided from its bytes and remembered by its `stat`.
    """
    if stat.st_mode & 0o170000 == 0o040000:
        return is_marked_crate(source)
    if stat.st_mode & 0o170000 != 0o100000:
        # Opening a pipe would wait for its writer.
        return False
    known = _known.get(source)
    if known is not None and known[:3] == (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns):
        return known[3]
    try:
        with open(source, "rb") as file:
            data = file.read()
    except OSError:
        return False
    opted_in = has_marker(data)
    if not opted_in:
        # Check cheap signs first; the core then parses the source.
        stem = os.path.basename(source).partition(".")[0].encode()
        if (b"pymodule" in data and stem in data) or b"PyInit_" + stem in data:
            opted_in = _declares_module(source)
    # An edit within one tick of the clock would leave the stat unchanged.
    if time() - max(stat.st_mtime, stat.st_ctime) > 2.1:
        _known[source] = stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, opted_in
    return opted_in


def _declares_module(source: str) -> bool:
    from . import _native

    try:
        return bool(_native.core.is_module(source))
    except ImportError:
        # A failure to load the core must not affect third-party imports.
        return False


def is_marked_crate(folder: str) -> bool:
    """Whether a folder is a crate that opted in: by a ``.rustimport`` file, or a comment with that word on the first
    line of its ``Cargo.toml``."""
    try:
        descriptor = os.open(folder + os.sep + "Cargo.toml", READ)
        try:
            line = os.read(descriptor, 1000).partition(b"\n")[0]
        finally:
            os.close(descriptor)
    except OSError:
        return False
    return (line.startswith(b"#") and b"rustimport" in line) or exists(folder + os.sep + ".rustimport")


def is_marked_script(source: str) -> bool:
    """Whether a ``.rs`` file has the marker."""
    try:
        with open(source, "rb") as file:
            return has_marker(file.read())
    except OSError:
        return False


def has_marker(data: bytes) -> bool:
    """Whether the first non-empty line is a comment that contains the word ``rustimport``."""
    data = data.removeprefix(b"\xef\xbb\xbf")
    for index, line in enumerate(data[:65536].splitlines()):
        line = line.strip()
        if line and not (index == 0 and line.startswith(b"#!") and not line.startswith(b"#![")):
            return line.startswith((b"//", b"/*")) and b"rustimport" in line
    return False
