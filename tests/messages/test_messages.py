"""Every error that users can encounter, as it is shown. `UPDATE_SNAPSHOTS=1` rewrites the files."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, Place, Run

SNAPSHOTS = Path(__file__).parent / "snapshots"
SCRIPT = "// rustimport:pyo3\n#[pyfunction]\nfn value() -> i32 { 42 }\n"


def compare(name: str, place: Place, run: Run) -> None:
    """Compares the standard error of an interpreter with the snapshot. Paths and times are replaced first."""
    text = run.stderr
    for path, word in (
        (str(place.folder), "<place>"),
        (str(place.folder.parent), "<tmp>"),
        (str(ROOT), "<root>"),
        (sys.prefix, "<prefix>"),
    ):
        text = text.replace(path, word)
    text = re.sub(r"test-cache-gw\d+", "test-cache", text)
    text = re.sub(r"v1/cpython-[^/]*", "v1/<interpreter>", text)
    text = re.sub(r"\b(\w+)[-_][0-9a-f]{16}\b", r"\1-<hash>", text)
    text = re.sub(r"(after|in|waiting) \d+(\.\d+)? s", r"\1 <n> s", text)
    text = re.sub(r"process \d+", "process <pid>", text)
    text = re.sub(r"(building m.rs) \(.*\)", r"\1", text)
    text = re.sub(r'  File ".*\n(    .*\n)*', "", text)
    # How the compiler shows the source differs between versions, as does what it shows of std, if that is there.
    text = re.sub(
        r"(?m)^( *\d* *\||\s+= |help: |note: | *(?:-->|:::) /(?:rustc/|usr/src/rustc-|.*/rustlib/src/rust/)).*\n",
        "",
        text,
    )
    text = re.sub(r"(?m)^ +--> ", " --> ", text)
    text = re.sub(r"\(uid \d+\)", "(uid <n>)", text)
    snapshot = SNAPSHOTS / f"{name}.txt"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        snapshot.parent.mkdir(exist_ok=True)
        snapshot.write_text(text, encoding="utf-8")
    assert text == snapshot.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("compile_error", '// rustimport:pyo3\n#[pyfunction]\nfn value() -> i32 {\n    "No space left on device"\n}\n'),
        ("two_errors", "// rustimport:pyo3\n#[pyfunction]\nfn value() -> i32 {\n    one() + two()\n}\n"),
        ("broken_header", "// rustimport:pyo3\n//: [dependencies]\n//: rand = 0.8.5\n"),
        ("unknown_template", "// rustimport:numpy\n"),
        ("unknown_dependency", '// rustimport:pyo3\n//: [dependencies]\n//: no-such-crate-rustimport = "1"\n'),
        ("unknown_manifest_key", '// rustimport:pyo3\n//: [dependencies]\n//: helper = { path = "nowhere" }\n'),
        ("wrong_module_name", "// rustimport:pyo3\nuse pyo3::prelude::*;\n#[pymodule]\nmod other {}\n"),
        ("no_table", '// rustimport:pyo3\n//: rand = "0.8"\n'),
        ("unlinked_crate", "// rustimport:pyo3\nuse rand::Rng;\n"),
        ("no_module", "// rustimport\nfn main() {}\n"),
        ("syntax_error", "// rustimport:pyo3\nfn value( {\n"),
        ("missing_expression", "// rustimport:pyo3\n#[pyfunction]\nfn value() -> i32 { let x = ; 42 }\n"),
        ("not_utf8", b"// rustimport:pyo3\n// \xff\n#[pyfunction]\nfn value() -> i32 { 42 }\n"),
    ],
)
def test_sources(place: Place, name: str, source: str | bytes) -> None:
    data = source if isinstance(source, bytes) else source.encode()
    (place.folder / "m.rs").write_bytes(data)
    compare(name, place, place.python("import m"))


def test_unknown_profile(place: Place) -> None:
    place.write("m.rs", SCRIPT)
    compare("unknown_profile", place, place.python("import m", RUSTIMPORT_PROFILE="fastest"))


def test_without_rust(place: Place) -> None:
    place.write("m.rs", SCRIPT)
    run = place.python("import m", HOME=str(place.folder), PATH="/nowhere", CARGO_HOME=None)
    compare("without_rust", place, run)


def test_without_rustc(place: Place) -> None:
    place.write("m.rs", SCRIPT)
    cargo = place.write("bin/cargo", "#!/bin/sh\n")
    cargo.chmod(0o755)
    run = place.python("import m", PATH=str(cargo.parent), HOME=str(place.folder), CARGO_HOME=None)
    compare("without_rustc", place, run)


def test_without_maturin(place: Place) -> None:
    place.write("m.rs", SCRIPT)
    code = "from rustimport import _core_client; _core_client._script_folders = lambda: ['/nowhere/bin']; import m"
    cargo_only = place.folder / "bin"
    cargo_only.mkdir()
    path = os.environ["PATH"].split(os.pathsep)
    for folder in path:
        for tool in ("cargo", "rustc", "rustup"):
            if os.path.exists(f"{folder}/{tool}") and not (cargo_only / tool).exists():
                (cargo_only / tool).symlink_to(f"{folder}/{tool}")
    run = place.python(code, RUSTIMPORT_MATURIN_EXECUTABLE=None, PATH=str(cargo_only))
    compare("without_maturin", place, run)


@pytest.mark.parametrize("variable", ["RUSTIMPORT_MATURIN_EXECUTABLE", "RUSTIMPORT_CARGO_EXECUTABLE"])
def test_wrong_executable(place: Place, variable: str) -> None:
    place.write("m.rs", SCRIPT)
    compare(
        f"wrong_{variable.split('_')[1].lower()}",
        place,
        place.python("import m", **{variable: f"/no/such/{'cargo' if 'CARGO' in variable else 'maturin'}"}),  # type: ignore[arg-type]
    )


def test_unknown_toolchain(place: Place) -> None:
    place.write("m.rs", SCRIPT)
    rustup = subprocess.run(
        ["cargo", "--version"], env={**os.environ, "RUSTUP_TOOLCHAIN": "no-such"}, capture_output=True, check=False
    )
    if rustup.returncode == 0:
        pytest.skip("cargo is not rustup's")
    run = place.python("import m", RUSTUP_TOOLCHAIN="no-such")
    assert "ToolchainError: `" in run.stderr
    assert "toolchain 'no-such" in run.stderr
    assert "hint: install Rust from" in run.stderr


def test_cache_is_a_file(place: Place) -> None:
    place.write("m.rs", SCRIPT)
    place.write("file", "")
    compare("cache_is_a_file", place, place.python("import m", RUSTIMPORT_CACHE_DIR=str(place.folder / "file")))


def test_cache_writable_by_others(place: Place) -> None:
    place.write("m.rs", SCRIPT)
    cache = place.folder / "cache"
    cache.mkdir()
    cache.chmod(0o777)
    (cache / "planted").write_text("")
    run = place.python("import m", RUSTIMPORT_CACHE_DIR=str(cache))
    compare("cache_writable_by_others", place, run)
    (cache / "planted").unlink()
    broken = place.python("import m", RUSTIMPORT_CACHE_DIR=str(cache), RUSTIMPORT_MATURIN_EXECUTABLE="/no")
    assert "writable by other users" not in broken.stderr
    assert cache.stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give files away")
def test_files_of_other_users(place: Place) -> None:
    place.write("m.rs", SCRIPT)
    cache = place.folder / "cache"
    cache.mkdir(mode=0o700)
    os.chown(cache, 12345, 12345)
    compare("foreign_cache", place, place.python("import m", RUSTIMPORT_CACHE_DIR=str(cache)))
    config = place.write(".cargo/config.toml", "")
    os.chown(config, 12345, 12345)
    compare("foreign_configuration", place, place.python("import m"))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root can write everywhere")
def test_cache_not_writable(place: Place) -> None:
    place.write("m.rs", SCRIPT)
    cache = place.folder / "cache"
    cache.mkdir(mode=0o500)
    compare("cache_not_writable", place, place.python("import m", RUSTIMPORT_CACHE_DIR=str(cache / "x")))


def test_lock_timeout(place: Place) -> None:
    place.write("m.rs", SCRIPT)
    slow = place.write("slow-maturin", f"#!/bin/sh\ntouch {place.folder}/started\nsleep 60\n")
    slow.chmod(0o755)
    holder = place.start("import m", RUSTIMPORT_MATURIN_EXECUTABLE=str(slow))
    try:
        while not (place.folder / "started").exists():
            assert holder.poll() is None
        run = place.python("import rustimport; rustimport.install(lock_timeout_seconds=0.5); import m", hook=False)
        assert f"process {holder.pid}, " in run.stderr
        compare("lock_timeout", place, run)
    finally:
        holder.kill()
        holder.communicate()
