"""`rust-analyzer`, `test`, `clippy`: tools of Rust programmers for scripts, which are in no Cargo package."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import sysconfig
from typing import Any, NamedTuple

from .. import _cache, _core_client, _native, _settings
from .._build import discover
from .._cache import Key
from ..errors import ProjectError, ToolchainError
from .output import say, tell

#: The setting of rust-analyzer, and where VS Code and its kin look for it.
LINKED = "rust-analyzer.linkedProjects"
VSCODE = os.path.join(".vscode", "settings.json")


class Package(NamedTuple):
    """The Cargo package of a source."""

    source: str
    manifest: str
    is_root: bool
    """Whether the source itself is the root of its library."""
    cargo: str


def _packages(options: argparse.Namespace) -> list[Package]:
    sources = discover(options.paths or [os.curdir], opt_in=True, are_named=bool(options.paths))
    if not sources:
        raise ProjectError(
            "there is no script or crate at or below the paths",
            hint="scripts need a marker such as `// rustimport:pyo3` on the first line",
        )
    return [_package(source) for source in sources]


def _package(source: str) -> Package:
    asked = _core_client.request(Key(source))
    # pyo3 starts Python by itself only if libpython is a shared library.
    is_shared = bool(sysconfig.get_config_var("Py_ENABLE_SHARED") or sysconfig.get_config_var("PYTHONFRAMEWORK"))
    manifest, is_root, cargo = _native.core.write_for_rust_tools(
        asked, sys.executable, is_shared or sys.platform == "win32", lambda *_, **__: None
    )
    return Package(source, os.fspath(manifest), is_root, os.fspath(cargo))


# ---------------------------------------------------------------------------------------------------
# rust-analyzer.


def analyze(options: argparse.Namespace) -> int:
    packages = _packages(options)
    for package in packages:
        if not package.is_root:
            say(
                f"{os.path.relpath(package.source)}: rust-analyzer shows only the compiler's errors in it: for more, "
                "write `use pyo3::prelude::*;` below its header"
            )
    manifests = [package.manifest for package in packages]
    if options.print:
        print(json.dumps({LINKED: manifests}, indent=4))
        return 0
    known = _read_settings()
    linked = known.get(LINKED, [])
    # Those of deleted scripts are left out.
    ours = os.sep + "rust-tools" + os.sep
    kept = [path for path in linked if not (isinstance(path, str) and ours in path and not os.path.exists(path))]
    wanted = [*kept, *(path for path in manifests if path not in kept)]
    count = f"{len(packages)} source{'' if len(packages) == 1 else 's'}"
    if wanted == linked:
        tell(options, f"{VSCODE} is up to date: {count}")
        return 0
    if options.check:
        say(f"{VSCODE} is not up to date")
        return 1
    _native.core.write_file(
        os.path.abspath(VSCODE), json.dumps({**known, LINKED: wanted}, indent=4, ensure_ascii=False) + "\n"
    )
    tell(options, f"wrote {VSCODE}: {count}. In other editors, set {LINKED} to what --print prints")
    return 0


def _read_settings() -> dict[str, Any]:
    try:
        with open(VSCODE, encoding="utf-8") as file:
            found = json.load(file)
    except FileNotFoundError:
        return {}
    except ValueError:
        found = None
    if not isinstance(found, dict) or not isinstance(found.get(LINKED, []), list):
        raise ProjectError(
            f"{VSCODE} is not plain JSON, so it is not changed",
            hint="add what `python -m rustimport rust-analyzer --print` prints",
            path=os.path.abspath(VSCODE),
        )
    return found


# ---------------------------------------------------------------------------------------------------
# cargo.


def test(options: argparse.Namespace) -> int:
    _check_libpython()
    return _cargo("test", options)


def clippy(options: argparse.Namespace) -> int:
    return _cargo("clippy", options)


def _cargo(subcommand: str, options: argparse.Namespace) -> int:
    """Runs a subcommand for each source, and returns the first exit status that is not 0."""
    status = 0
    for package in _packages(options):
        # Cargo runs where the source is, so that the configuration there applies, too.
        own = os.path.join(os.path.dirname(package.manifest), ".cargo", "config.toml")
        config = ["--config", own] if os.path.exists(own) else []
        words = [package.cargo, *config, subcommand, "--manifest-path", package.manifest, *options.command]
        environ, unlocked = _environment(), []
        if os.path.isdir(package.source):
            # Nothing is left next to a crate.
            home = _cache.entry_folder(_cache.cache_root(), _cache.entry_name(package.source))
            environ.setdefault("CARGO_TARGET_DIR", os.path.join(home, "rust-tools"))
            lock = os.path.join(package.source, "Cargo.lock")
            unlocked = [] if os.path.exists(lock) else [lock]
        try:
            done = subprocess.run(words, cwd=os.path.dirname(package.source), env=environ, check=False)
        finally:
            for lock in filter(os.path.exists, unlocked):
                os.remove(lock)
        status = status or done.returncode
    return status


def _environment() -> dict[str, str]:
    environ = dict(os.environ)
    # What belongs to libraries for Python only.
    environ.pop("PYO3_BUILD_EXTENSION_MODULE", None)
    environ.pop(_settings.REMOTE_KEY, None)
    environ[_settings.VARIABLES["enabled"]] = "0"
    environ.setdefault("PYO3_PYTHON", sys.executable)
    # The program finds libpython and this environment's packages.
    libraries = "DYLD_LIBRARY_PATH" if sys.platform == "darwin" else "LD_LIBRARY_PATH"
    for name, folders in [
        (libraries, [sysconfig.get_config_var("LIBDIR") or ""]),
        ("PYTHONPATH", _settings.site_folders()),
    ]:
        paths = [*filter(None, [environ.get(name)]), *filter(None, folders)]
        environ[name] = os.pathsep.join(paths)
    return environ


def _check_libpython() -> None:
    if sys.platform == "win32":
        return
    names = [sysconfig.get_config_var("LDLIBRARY"), sysconfig.get_config_var("LIBRARY")]
    folders = [sysconfig.get_config_var("LIBDIR"), sysconfig.get_config_var("LIBPL"), sys.base_prefix]
    paths = [os.path.join(folder, name) for folder in folders if folder for name in names if name]
    # Debian keeps it in a folder of the architecture.
    multiarch = sysconfig.get_config_var("MULTIARCH")
    paths += [os.path.join("/usr/lib", multiarch, name) for name in names if name and multiarch]
    if not any(map(os.path.exists, paths)):
        version = "{}.{}".format(*sys.version_info)
        raise ToolchainError(
            f"Rust tests are programs that contain Python, but {sys.executable} comes without libpython",
            hint=f"install it (Debian, Ubuntu: `apt-get install libpython{version}-dev`), or use another Python",
        )
