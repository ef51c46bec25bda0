"""Settings: values assigned to `rustimport.settings`, else those of environment variables. They are read whenever an
import of a Rust source needs them, never earlier.

Like everything that a fresh import runs, this file imports only what a bare interpreter has already loaded
(``tests/unit`` checks that).
"""

import _imp
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: Attribute of ``rustimport.settings`` -> its environment variable.
VARIABLES = {
    "cache_dir": "RUSTIMPORT_CACHE_DIR",
    "cargo_executable": "RUSTIMPORT_CARGO_EXECUTABLE",
    "compile_release_binaries": "RUSTIMPORT_RELEASE_BINARIES",
    "config_dir": "RUSTIMPORT_CONFIG_DIR",
    "enabled": "RUSTIMPORT_ENABLED",
    "force_rebuild": "RUSTIMPORT_FORCE_REBUILD",
    "include_paths": "RUSTIMPORT_INCLUDE_PATHS",
    "maturin_executable": "RUSTIMPORT_MATURIN_EXECUTABLE",
    "profile": "RUSTIMPORT_PROFILE",
    "pyo3": "RUSTIMPORT_PYO3",
    "python": "RUSTIMPORT_PYTHON",
    "release_mode": "RUSTIMPORT_RELEASE_MODE",
    "remote": "RUSTIMPORT_REMOTE",
    "remote_mode": "RUSTIMPORT_REMOTE_MODE",
    "remote_revoked": "RUSTIMPORT_REMOTE_REVOKED",
    "remote_trust": "RUSTIMPORT_REMOTE_TRUST",
    "remote_variables": "RUSTIMPORT_REMOTE_VARIABLES",
    "shared_cache_dir": "RUSTIMPORT_SHARED_CACHE_DIR",
    "verbose": "RUSTIMPORT_VERBOSE",
}

#: Seconds without a sign of life after which another process's build is no longer waited for.
LOCK_TIMEOUT = 120.0

#: The key that signs for a remote store, or its file. It is no setting: only the core reads it, since it is a secret.
REMOTE_KEY = "RUSTIMPORT_REMOTE_KEY"

#: The predecessors' variables for the same settings.
OLDER_VARIABLES = {"cache_dir": "MATURIN_BUILD_DIR", "enabled": "MATURIN_IMPORT_HOOK_ENABLED"}

#: The prefixes of all variables that can affect a build: ours, cargo's and rustc's.
_PREFIXES = ("RUSTIMPORT_", "MATURIN_", "CARGO_", "RUSTC", "RUSTFLAGS", "RUSTUP_", "MACOSX_DEPLOYMENT_TARGET")

# `os.environ` encodes and decodes on every access, which the underlying mapping of bytes does not need.
environ: "Any" = getattr(os.environ, "_data", os.environ)
_is_raw = sys.platform != "win32" and environ is not os.environ

if _is_raw:
    _RAW_PREFIXES: "Any" = tuple([prefix.encode() for prefix in _PREFIXES])
    _AROUND: "Any" = (b"PATH", b"HOME")
else:
    _RAW_PREFIXES = _PREFIXES
    _AROUND = ("PATH", "HOME")


def getenv(name: str) -> "str | None":
    """``os.environ.get``, at a tenth of its cost if the variable is not set."""
    if not _is_raw:
        return os.environ.get(name)
    value = environ.get(name.encode())
    return None if value is None else os.fsdecode(value)


def assigned() -> "dict[str, Any]":
    """The values in ``rustimport.settings``, among that module's other names."""
    # The module is loaded only if it is used.
    return getattr(sys.modules.get("rustimport.settings"), "__dict__", {})


def setting(name: str) -> "Any":
    """Returns a setting as assigned, else as text from the environment, else ``None``."""
    settings = sys.modules.get("rustimport.settings")
    if settings is not None and name in settings.__dict__:
        return settings.__dict__[name]
    value = getenv(VARIABLES[name])
    if value is None and name in OLDER_VARIABLES:
        value = getenv(OLDER_VARIABLES[name])
    return value or None


def is_true(value: "Any") -> bool:
    """Whether a setting is on: ``True``, or one of true, yes, on, 1 in any case."""
    if isinstance(value, str):
        return value.strip().lower() in ("true", "yes", "on", "1")
    return bool(value)


def is_enabled() -> bool:
    """Whether the hook may act (``RUSTIMPORT_ENABLED=0`` turns it off)."""
    value = setting("enabled")
    return value is None or is_true(value)


def is_release_mode() -> bool:
    """Whether checks and builds are turned off."""
    return is_true(setting("release_mode"))


def included_folders() -> "list[str]":
    """The folders of ``include_paths``, absolute."""
    included = setting("include_paths")
    if not included:
        return []
    if isinstance(included, (str, os.PathLike)):
        included = os.fspath(included).split(os.pathsep)
    try:
        return [os.path.abspath(folder) for folder in included if folder]
    except OSError:
        # There is no working folder that they could be relative to.
        return []


def site_folders() -> "list[str]":
    """The folders of ``sys.path`` that distributions are installed in."""
    try:
        added = [os.path.abspath(folder) for folder in (getenv("PYTHONPATH") or "").split(os.pathsep) if folder]
    except OSError:
        # There is no working folder that they could be relative to.
        added = []
    names = ("site-packages", "dist-packages")
    # Like Python, ignore entries that are not text.
    texts = [entry for entry in sys.path if isinstance(entry, str)]
    return [entry for entry in texts if entry.rstrip(os.sep).rpartition(os.sep)[2] in names or entry in added]


def build_settings() -> "dict[str, str | None]":
    """The settings that the core needs, from assignments and the environment."""
    settings = assigned()
    profile = setting("profile")
    chosen = settings.get("profile") if is_true(settings.get("compile_release_binaries")) else profile
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
    """A hash of everything besides its inputs that a stamp depends on: the environment, the settings, those `chosen`
    for this source, and the names of the `files` that were declared as its inputs. If it differs from the stamp's,
    the core has to check."""
    found = sorted([item for item in list(environ.items()) if item[0].startswith(_RAW_PREFIXES)])
    # Loading the module of settings without assigning anything makes no difference.
    settings = assigned()
    values = [(name, settings[name]) for name in VARIABLES if name in settings]
    path, home = _AROUND
    around = (found, environ.get(path), environ.get(home), values)
    return digest(repr((around, chosen, files) if chosen or files else around))


#: Whether log records go to the root logger's handlers (see `_report`).
log_propagates = False

#: Whether only those handlers show them: `reset_logger` was called.
log_is_reset = False


def digest(text: str) -> str:
    """A hash of 64 bits, by the one function that needs no module (SipHash, as for ``.pyc`` files)."""
    return _imp.source_hash(0, text.encode("utf-8", "surrogateescape")).hex()
