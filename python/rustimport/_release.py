"""Release mode: no checks and no compiler. What `build` left beside its source, Python finds by itself."""

import _imp
import os
import sys
from _frozen_importlib import ModuleSpec

from . import _cache, _finder, _marker, _settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType


class ReleaseFinder(_finder.Finder):
    """For scripts that nobody else has found: it stands last."""

    role = "release"
    is_last = True

    def find_spec(
        self, fullname: str, path: "Sequence[str] | None" = None, _target: "ModuleType | None" = None
    ) -> "ModuleSpec | None":
        if not _settings.is_enabled():
            return None
        try:
            return self._search(fullname, sys.path + _settings.included_folders() if path is None else list(path))
        except ImportError as error:
            # Where in this package it was raised tells a user nothing.
            raise error.with_traceback(None) from error.__cause__

    def _search(self, fullname: str, entries: "list[str]") -> "ModuleSpec | None":
        name = fullname.rpartition(".")[2]
        for entry in entries:
            for file in (f"{name}.rs", name):
                source = os.path.join(os.path.abspath(entry), file)
                found = artifact(fullname, source, True, self.cache_dir) if _cache.exists(source) else None
                if found is not None:
                    spec = ModuleSpec(fullname, _finder.Loader(fullname, found, source), origin=found)
                    spec.has_location = True
                    return spec
        return None


def artifact(fullname: str, source: str, opt_in: bool, cache_dir: "str | None") -> "str | None":
    """Returns the artifact beside a source, else its entry's last one, unchecked; ``None`` if the source is not ours.

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
    """The artifact that an entry had last, unchecked."""
    for root in (_cache.cache_root(cache_dir), _cache.shared_cache_root()):
        if root is None or not _cache.is_private(root):
            continue
        paths = _cache.stamped_paths(_cache.entry_folder(root, entry) + os.sep + "stamp")
        if paths and _cache.exists(paths[0]):
            return paths[0]
    return None
