"""Settings, as attributes of this module. Assigned values take precedence over the environment. Both are
read whenever an import needs them.

====================== ============================ =================================================
attribute              environment                  meaning
====================== ============================ =================================================
cache_dir              RUSTIMPORT_CACHE_DIR         folder for everything that is built
cargo_executable       RUSTIMPORT_CARGO_EXECUTABLE  the cargo to use
compile_release_bin... RUSTIMPORT_RELEASE_BINARIES  short for the profile ``release``
config_dir             RUSTIMPORT_CONFIG_DIR        folder for what the user configures for every project
enabled                RUSTIMPORT_ENABLED           0: the hook does nothing
force_rebuild          RUSTIMPORT_FORCE_REBUILD     build past every check, once a source and process
include_paths          RUSTIMPORT_INCLUDE_PATHS     folders to search for scripts after ``sys.path``
maturin_executable     RUSTIMPORT_MATURIN_EXECUTABLE  the maturin to use
profile                RUSTIMPORT_PROFILE           dev, release, fast, small, or any Cargo profile
pyo3                   RUSTIMPORT_PYO3              version of pyo3 for sources that name none
python                 RUSTIMPORT_PYTHON            the interpreter that the command ``build`` builds for
release_mode           RUSTIMPORT_RELEASE_MODE      no checks, no compiler: what was built is imported
remote                 RUSTIMPORT_REMOTE            URL of a store with what other machines built
remote_mode            RUSTIMPORT_REMOTE_MODE       ``read`` (default) or ``read-write``
remote_revoked         RUSTIMPORT_REMOTE_REVOKED    public keys that are no longer trusted
remote_trust           RUSTIMPORT_REMOTE_TRUST      public keys that may sign for this machine
remote_variables       RUSTIMPORT_REMOTE_VARIABLES  variables whose values may leave this machine
rtld_flags                                          flags for ``dlopen`` (``sys.setdlopenflags``)
shared_cache_dir       RUSTIMPORT_SHARED_CACHE_DIR  a cache that was prepared for all users, only read
verbose                RUSTIMPORT_VERBOSE           show what is run and why
====================== ============================ =================================================
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

from . import _cache, _settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._compat.maturin_settings import MaturinSettings as MaturinSettings

cache_dir: str | None
cargo_executable: str | None
compile_release_binaries: bool
config_dir: str
enabled: bool
force_rebuild: bool
include_paths: str | list[str] | None
maturin_executable: str | None
profile: str | None
pyo3: str | None
python: str | None
release_mode: bool
remote: str | None
remote_mode: str | None
remote_revoked: str | list[str] | None
remote_trust: str | list[str] | None
remote_variables: str | list[str] | None
rtld_flags: int | None = None
shared_cache_dir: str | None
verbose: bool

#: No longer has an effect: inputs are hashed with SHA-256.
checksum_hasher: Any = None

_SWITCHES = {"compile_release_binaries", "force_rebuild", "release_mode", "verbose"}

#: The names that can be assigned.
_NAMES = (*_settings.VARIABLES, "rtld_flags", "checksum_hasher")


class _Settings(ModuleType):
    """Refuses unknown settings: a misspelt one would have no effect."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in _NAMES and not name.startswith("_"):
            raise _unknown(name)
        if name in self.__dict__ and name in _settings.VARIABLES:
            # Assigned again: if it is what it would be unassigned, a tool puts back what it found.
            del self.__dict__[name]
            if getattr(self, name) == value:
                return
        super().__setattr__(name, value)

    def __reduce__(self) -> Any:
        return import_module, (self.__name__,)


def _unknown(name: str) -> AttributeError:
    from difflib import get_close_matches

    similar = get_close_matches(name, _NAMES, 1)
    meant = f"; did you mean {similar[0]!r}?" if similar else f": there are {', '.join(sorted(_NAMES))}"
    return AttributeError(f"rustimport has no setting {name!r}{meant}")


sys.modules[__name__].__class__ = _Settings

if not TYPE_CHECKING:
    # Type checkers see the names above, and report those that do not exist.
    def __getattr__(name):
        if name == "MaturinSettings":
            from ._compat.maturin_settings import MaturinSettings

            return MaturinSettings
        # Settings that were not assigned come from the environment.
        if name not in _settings.VARIABLES:
            raise AttributeError(name) if name.startswith("__") else _unknown(name)
        if name == "cache_dir":
            return _cache.cache_root()
        if name == "config_dir":
            from . import _core_client

            return _core_client.configuration_folder()
        if name == "shared_cache_dir":
            return _cache.shared_cache_root()
        if name == "enabled":
            return _settings.is_enabled()
        value = _settings.setting(name)
        return _settings.is_true(value) if name in _SWITCHES else value

    def __dir__():
        return [*_NAMES, "MaturinSettings"]
