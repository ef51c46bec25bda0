"""Built libraries are reused elsewhere: on another machine, and by other users of this one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.build.test_command import SCRIPT, command
from tests.conftest import Place

#: Needs no pyo3, so it compiles fast. Importing it fails.
BARE = """\
// rustimport
use std::ptr::null_mut;
#[no_mangle] pub extern "C" fn PyInit_{name}() -> *mut u8 {{ null_mut() }}
"""


def test_an_export_is_imported_elsewhere(place: Place, tmp_path: Path) -> None:
    """A machine with the same interpreter imports the export, and builds nothing."""
    place.write("m.rs", SCRIPT.format(7))
    assert place.python("import m; print(m.value())").out == "7"
    run = command(place, "cache", "export", "built.zip")
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("exported 1 library (")

    other_machine: dict[str, Any] = {"RUSTIMPORT_CACHE_DIR": str(tmp_path / "other_machine")}
    run = command(place, "cache", "import", "built.zip", **other_machine)
    assert run.stdout.startswith("imported 1 library ("), run.stderr
    imported = place.python("import m; print(m.value())", **other_machine)
    assert (imported.out, imported.builds, imported.stderr) == ("7", 0, "")

    bundle = place.folder / "built.zip"
    whole = bundle.read_bytes()
    bundle.write_bytes(whole.replace(b"\x7fELF", b"\x7fELV", 1))
    elsewhere: dict[str, Any] = {"RUSTIMPORT_CACHE_DIR": str(tmp_path / "elsewhere")}
    not_a_bundle = "is not an export of a cache"
    for file, words in (("built.zip", "is damaged"), ("m.rs", not_a_bundle), ("none", not_a_bundle)):
        run = command(place, "cache", "import", file, **elsewhere)
        assert run.returncode == 2
        assert words in run.stderr
        assert "hint: " in run.stderr
    run = command(place, "cache", "export", "m.rs")
    assert (run.returncode, "only an earlier export is replaced" in run.stderr) == (2, True)
    assert command(place, "cache", "export", "x.zip", **elsewhere).returncode == 2
    assert not Path(elsewhere["RUSTIMPORT_CACHE_DIR"]).exists()


def readable(folder: Path) -> bool:
    """Whether all files in a folder are readable by everyone, and writable only by their owner."""
    modes = [path.lstat().st_mode for path in (folder, *folder.rglob("*")) if not path.is_symlink()]
    return all(mode & 0o044 == 0o044 and not mode & 0o022 for mode in modes)


@pytest.mark.skipif(sys.platform == "win32", reason="needs Unix permissions")
def test_a_cache_for_all_users(place: Place, tmp_path: Path) -> None:
    """Nobody rebuilds what is in the shared cache, nothing is written to it, and it must not be writable by others."""
    shared, own = tmp_path / "shared", tmp_path / "own"
    env: dict[str, Any] = {"RUSTIMPORT_SHARED_CACHE_DIR": str(shared), "RUSTIMPORT_CACHE_DIR": str(own)}
    place.write("m.rs", SCRIPT.format(7))
    run = command(place, "cache", "warm", "--shared", ".", **env)
    assert run.stdout == "2 ready, 0 failed\n", run.stderr
    assert readable(shared)
    assert not own.exists()
    before = {path: path.lstat().st_mtime_ns for path in shared.rglob("*")}

    code = "import sys, m; print(m.value(), 'rustimport._core' in sys.modules, m.__file__)"
    first, second = place.python(code, **env), place.python(code, **env)
    assert first.out.split()[:2] == ["7", "True"]
    # The second import uses a stamp in the user's cache.
    assert second.out.split()[:2] == ["7", "False"]
    assert Path(second.out.split()[2]).is_relative_to(shared)
    assert (first.builds, second.builds, first.stderr, second.stderr) == (0, 0, "", "")

    empty = {**env, "RUSTIMPORT_CACHE_DIR": str(tmp_path / "empty"), "RUSTIMPORT_RELEASE_MODE": "1"}
    released = place.python(code, **empty)
    assert released.out.split()[2] == second.out.split()[2]

    # A new script uses the dependencies that are compiled in the shared cache.
    place.write("n.rs", SCRIPT.format(8))
    new = place.python("import n; print(n.value())", **env)
    assert (new.out, new.builds) == ("8", 1)
    compiled = {path.name: path.stat().st_mtime_ns for path in own.rglob("libpyo3-*.rlib")}
    assert compiled == {path.name: path.stat().st_mtime_ns for path in shared.rglob("libpyo3-*.rlib")} != {}

    # An edit, its undo, and a copy in another folder.
    place.write("m.rs", SCRIPT.format(9))
    assert place.python("import m; print(m.value())", **env).out == "9"
    place.write("m.rs", SCRIPT.format(7))
    assert place.python("import m; print(m.value())", **env).builds == 0
    place.write("moved/m.rs", SCRIPT.format(7))
    moved = place.python("import sys; sys.path.insert(0, 'moved'); import m; print(m.value())", **env)
    assert (moved.out, moved.builds) == ("7", 0)
    assert {path: path.lstat().st_mtime_ns for path in shared.rglob("*")}.keys() == before.keys()

    shared.chmod(0o777)
    place.write("n.rs", SCRIPT.format(10))
    run_again = place.python("import n; print(n.value())", **env)
    assert run_again.out == "10"
    assert "the shared cache is not used: " in run_again.stderr
    assert "is writable by other users" in run_again.stderr


def test_a_shared_cache_that_cannot_be_created(place: Place, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    run = command(place, "cache", "warm", "--shared", RUSTIMPORT_SHARED_CACHE_DIR=str(file / "cache"))
    assert run.returncode == 2
    assert "hint: run this as root, or set RUSTIMPORT_SHARED_CACHE_DIR" in run.stderr


def test_environments_that_use_a_cache_are_listed(place: Place, tmp_path: Path) -> None:
    env: dict[str, Any] = {"RUSTIMPORT_CACHE_DIR": str(tmp_path / "cache")}
    place.write("m.rs", BARE.format(name="m"))
    place.python("import m", **env)
    found = json.loads(command(place, "cache", "info", "-f", "json", **env).stdout)
    assert found["interpreters"][0]["environments"] == [sys.prefix]
    assert f"used by the environment {sys.prefix}\n" in command(place, "cache", "info", **env).stdout
    run = command(place, "cache", "clear", stdin="n\n", **env)
    assert f"is used by the environment {sys.prefix}\n" in run.stdout


def test_pruning_to_a_size(place: Place, tmp_path: Path) -> None:
    """Cheap and least recently used files are removed first, and dependencies with the last source that needs them."""
    cache = tmp_path / "cache"
    env: dict[str, Any] = {"RUSTIMPORT_CACHE_DIR": str(cache)}
    for name in ("old", "new"):
        place.write(f"{name}.rs", BARE.format(name=name))
        place.python(f"import {name}", **env)
    for path in cache.glob("v1/*/entries/old-*/*"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
    (profile,) = cache.glob("v1/*/target/*/debug")
    # A package that is in no source's lock file, in both layouts of cargo's build directory.
    for folder in (".fingerprint/left-0123456789abcdef", "deps", "build/left-/0123456789abcdef/fingerprint"):
        (profile / folder).mkdir(parents=True, exist_ok=True)
    (profile / "deps" / "libleft-0123456789abcdef.rlib").write_text("")
    assert command(place, "cache", "prune", **env).returncode == 0
    assert not list(cache.rglob("*left-*"))

    def sources() -> set[str]:
        found = json.loads(command(place, "cache", "info", "-f", "json", **env).stdout)
        return {Path(entry["source"]).name for entry in found["interpreters"][0]["sources"]}

    assert sources() == {"old.rs", "new.rs"}
    size = json.loads(command(place, "cache", "info", "-f", "json", **env).stdout)["bytes"]
    assert command(place, "cache", "prune", "--size", f"{size / 1e3:.3f}kB", **env).stdout == "removed 0 B\n"
    (old,) = cache.glob("v1/*/entries/old-*")
    store = sum(path.stat().st_size for path in cache.glob("v1/*/store/**/*"))
    left = json.loads(command(place, "cache", "info", "-f", "json", **env).stdout)["bytes"] - store - 1000
    assert old.exists()
    assert command(place, "cache", "prune", "--size", f"{left / 1e3:.3f}kB", **env).returncode == 0
    assert sources() == {"new.rs"}
    assert place.python("import new", **env).builds == 0
    assert command(place, "cache", "prune", "--size", "0MB", **env).returncode == 0
    assert not list(cache.glob("v1/*/target"))
    for size in ("5", "much", "-1MB"):
        assert command(place, "cache", "prune", f"--size={size}", **env).returncode == 2


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_a_killed_export_leaves_nothing(place: Place) -> None:
    place.write("m.rs", BARE.format(name="m"))
    assert "built m" in place.python("import m").stderr
    kill = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "inject=fdatasync:signal=SIGKILL"]
    export = [sys.executable, "-m", "rustimport", "cache", "export", "builds.zip"]
    before = sorted(place.folder.iterdir())
    killed = subprocess.run([*kill, *export], cwd=place.folder, env=place.env, capture_output=True, check=False)
    assert killed.returncode != 0
    assert sorted(place.folder.iterdir()) == before
