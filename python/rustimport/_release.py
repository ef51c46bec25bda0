"""Release mode: finds artifacts without any check, and never builds. Python itself finds libraries that `build` has put
next to their sources; for other sources, the last artifact in the cache is used."""

import _imp
import os

from . import _cache, _marker


def artifact(fullname: str, source: str, opt_in: bool, cache_dir: "str | None") -> "str | None":
    """Returns the artifact next to a source, or else its last one in the cache, unchecked; ``None`` without a marker.

    Raises:
        rustimport.errors.RustImportError: there is none.
    """
    name = fullname.rpartition(".")[2]
    beside = f"{source.rpartition(os.sep)[0]}{os.sep}{name}{_imp.extension_suffixes()[0]}"
    if _cache.exists(beside):
        return beside
    try:
        if opt_in and not _marker.has_opted_in(source, os.stat(source)):
            return None
    except OSError:
        return None
    last = last_artifact(_cache.entry_name(source, name), cache_dir)
    if last is not None:
        from . import _advice

        _advice.tell_of_release_mode(source, last)
        return last
    from .errors import RustImportError

    raise RustImportError(
        f"there is no library for {source}, and release mode builds nothing",
        hint=f"run `python -m rustimport build --release {source}` where Rust is installed, or unset "
        "RUSTIMPORT_RELEASE_MODE",
        name=fullname,
        path=source,
    )


def last_artifact(entry: str, cache_dir: "str | None") -> "str | None":
    """The last artifact of an entry, unchecked."""
    for root in (_cache.cache_root(cache_dir), _cache.shared_cache_root()):
        if root is None or not _cache.is_private(root):
            continue
        artifact = _cache.stamped_artifact(_cache.entry_folder(root, entry) + os.sep + "stamp")
        if artifact and _cache.exists(artifact):
            return artifact
    return None
