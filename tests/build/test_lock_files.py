"""The lock file of a script: written on request, part of the inputs, and what a release is built from."""

from __future__ import annotations

import re
import subprocess

import pytest

from tests.build.test_command import command
from tests.conftest import Place

SCRIPT = """\
// rustimport:pyo3
//: [dependencies]
//: itoa = "{}"
#[pyfunction]
fn text(x: i32) -> String {{ itoa::Buffer::new().format(x).to_owned() }}
"""
BUILD = "python -m rustimport build --lock"


def locked(text: str) -> str:
    """The version of `itoa` in a lock file."""
    found = re.search(r'name = "itoa"\nversion = "(.*)"', text)
    assert found is not None, text
    return found[1]


def test_a_lock_file_and_what_follows_from_it(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    # Another script of the same cache has pinned an old version, and no other test a newer one.
    monkeypatch.setitem(place.env, "RUSTIMPORT_CACHE_DIR", str(place.cache))
    for known in place.cache.glob("v1/*/Cargo.lock"):
        known.unlink()
    place.write("pinned.rs", SCRIPT.format("=1.0.9"))
    place.write("m.rs", SCRIPT.format("1"))
    code = "import m; print(m.text(3))"
    assert place.python(f"import pinned; {code}").out == "3"
    entry = place.entry("m") / "package" / "Cargo.lock"

    # Without a lock file, a release gets the newest version, whatever the cache knows, and says so.
    assert locked(entry.read_text()) == "1.0.9"
    run = command(place, "build", "--release", "m.rs")
    assert (run.returncode, run.stdout) == (0, "1 built, 0 fresh, 0 failed\n")
    assert "m.rs: built with the newest versions" in run.stderr
    assert BUILD in run.stderr
    newest = locked(entry.read_text())
    assert newest != "1.0.9"
    missing = command(place, "build", "--locked", "m.rs")
    assert missing.returncode == 1
    assert "m.rs has no lock file" in missing.stderr
    assert BUILD in missing.stderr

    # It is written on request, and is an input from then on, for imports as for builds.
    assert command(place, "build", "--lock", "m.rs").stdout == "wrote m.lock\n1 built, 0 fresh, 0 failed\n"
    lock = place.folder / "m.lock"
    assert locked(lock.read_text()) == newest
    assert str(place.folder) not in lock.read_text()
    assert command(place, "build", "--lock", "--locked", "m.rs").stdout == "0 built, 1 fresh, 0 failed\n"
    place.write("m.lock", lock.read_text().replace(newest, "1.0.9").replace(checksum(lock.read_text()), OLD))
    imported = place.python(code)
    assert (imported.out, imported.builds) == ("3", 1)
    assert "`m.lock` changed" in imported.stderr
    assert locked(entry.read_text()) == "1.0.9"
    run = command(place, "build", "--locked", "--release", "m.rs")
    assert (run.returncode, "newest" in run.stderr) == (0, False), run.stderr
    assert locked(entry.read_text()) == "1.0.9"
    # The store has the library of each state: without the file, and with it.
    (place.folder / "m.lock").rename(place.folder / "kept.lock")
    assert place.python(code).builds == 0
    (place.folder / "kept.lock").rename(lock)
    assert place.python(code).builds == 0

    # A file that lacks something: an import goes on and says so, `--locked` does not.
    place.write("m.rs", SCRIPT.format('1"\n//: cfg-if = "1'))
    old = command(place, "build", "--locked", "m.rs")
    assert old.returncode == 1
    assert "m.lock does not match the dependencies" in old.stderr
    assert BUILD in old.stderr
    imported = place.python(code)
    assert imported.out == "3"
    assert "m.lock does not match the dependencies, and cargo has chosen" in imported.stderr
    assert command(place, "build", "--lock", "--locked", "m.rs").returncode == 0
    assert 'name = "cfg-if"' in lock.read_text()
    assert locked(lock.read_text()) == "1.0.9"

    # The same files elsewhere give the same versions.
    place.write("elsewhere/m.rs", (place.folder / "m.rs").read_text())
    place.write("elsewhere/m.lock", lock.read_text())
    assert command(place, "build", "--locked", "elsewhere").returncode == 0


OLD = "af150ab688ff2122fcef229be89cb50dd66af9e01a4ff320cc137eecc9bacc38"


def checksum(text: str) -> str:
    found = re.search(r'name = "itoa"\nversion = ".*"\nsource = ".*"\nchecksum = "(.*)"', text)
    assert found is not None
    return found[1]


def test_locked_crates(place: Place) -> None:
    manifest = place.write("c/Cargo.toml", '[package]\nname = "c"\nedition = "2021"\n[dependencies]\npyo3 = "0.30"\n')
    place.write("c/src/lib.rs", "use pyo3::prelude::*;\n#[pymodule]\nmod c {}\n")
    run = command(place, "build", "--locked", "c")
    assert run.returncode == 1
    assert "c has no lock file" in run.stderr
    hint = re.search(r"^hint: write it: (.*)", run.stderr, re.M)
    assert hint is not None
    subprocess.run(hint[1].split(), env=place.env, check=True, capture_output=True)
    assert command(place, "build", "--locked", "c").returncode == 0
    manifest.write_text(manifest.read_text() + 'cfg-if = "1"\n')
    old = command(place, "build", "--locked", "c")
    assert old.returncode == 1
    assert "--locked" in old.stderr
    assert "cfg-if" not in (place.folder / "c" / "Cargo.lock").read_text()


def test_files_of_others_are_no_lock_files(place: Place) -> None:
    place.write("m.rs", "// rustimport:pyo3\n#[pyfunction]\nfn f() -> i32 { 1 }\n")
    (place.folder / "m.lock").touch()
    assert place.python("import m; print(m.f())").out == "1"
    assert place.python("import m; print(m.f())").builds == 0
    run = command(place, "build", "--lock", "m.rs")
    assert run.returncode == 2
    assert "m.lock is there already, and is not the lock file of a script" in run.stderr
    place.write("m.lock", '<<<<<<< HEAD\n[[package]]\nname = "rustimport-script"\n')
    imported = place.python("import m")
    assert "m.lock is not a valid lock file" in imported.stderr
    assert "restore it" in imported.stderr
