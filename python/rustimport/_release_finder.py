"""The finder of release mode, which imports existing artifacts. It never builds or checks sources."""

import os
import sys
from _frozen_importlib import ModuleSpec

from . import _cache, _finder, _release, _settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType


class ReleaseFinder(_finder.Finder):
    """Finds scripts and crates that no other finder has found. It is the last one on ``sys.meta_path``."""

    role = "release"
    is_last = True

    @_finder.left_out_of_tracebacks
    def find_spec(
        self, fullname: str, path: "Sequence[str] | None" = None, _target: "ModuleType | None" = None
    ) -> "ModuleSpec | None":
        if not _settings.is_enabled():
            return None
        try:
            return self._search(fullname, sys.path + _settings.included_folders() if path is None else list(path))
        except ImportError as error:
            # The traceback within this package does not help the user.
            raise error.with_traceback(None) from error.__cause__

    def _search(self, fullname: str, entries: "list[str]") -> "ModuleSpec | None":
        name = fullname.rpartition(".")[2]
        for entry in entries:
            # Like Python, ignore entries that are not text, and a working folder that was deleted.
            if not isinstance(entry, str):
                continue
            try:
                folder = os.path.abspath(entry)
            except OSError:
                continue
            for file in (f"{name}.rs", name):
                source = os.path.join(folder, file)
                found = _release.artifact(fullname, source, True, self.cache_dir) if _cache.exists(source) else None
                if found is not None:
                    spec = ModuleSpec(fullname, _finder.Loader(fullname, found, source), origin=found)
                    spec.has_location = True
                    return spec
        return None
