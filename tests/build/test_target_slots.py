"""A build that compiles new dependencies does not block builds that need none."""

from __future__ import annotations

import subprocess
import time
import uuid
from pathlib import Path

import pytest

from tests.conftest import Place

SCRIPT = "// rustimport:pyo3\n{header}#[pyfunction]\nfn value() -> i32 {{ {value} }}\n"
IMPORT = "import {0}; print({0}.value())"


def new_dependencies() -> str:
    """A header whose dependencies have never been compiled."""
    return f"//: [features]\n//: f{uuid.uuid4().hex} = []\n"


@pytest.fixture
def slow_maturin(place: Place, tmp_path: Path) -> Path:
    """Runs maturin as soon as the file `go` exists."""
    path = tmp_path / "slow-maturin"
    real = place.env["RUSTIMPORT_MATURIN_EXECUTABLE"]
    path.write_text(
        f'#!/bin/sh\ntouch {tmp_path}/began\nwhile [ ! -e {tmp_path}/go ]; do sleep 0.05; done\nexec {real} "$@"\n'
    )
    path.chmod(0o755)
    return path


def wait_for(path: Path) -> None:
    while not path.exists():
        time.sleep(0.01)


def start_heavy(place: Place, slow_maturin: Path, tmp_path: Path, header: str | None = None) -> subprocess.Popen[str]:
    """Starts a build of new dependencies, and waits until it holds the first slot. It continues when `go` exists."""
    place.write("heavy.rs", SCRIPT.format(header=header or new_dependencies(), value=2))
    heavy = place.start(IMPORT.format("heavy"), RUSTIMPORT_MATURIN_EXECUTABLE=str(slow_maturin))
    wait_for(tmp_path / "began")
    return heavy


def test_builds_without_new_dependencies_do_not_wait(place: Place, slow_maturin: Path, tmp_path: Path) -> None:
    place.write("first.rs", SCRIPT.format(header="", value=1))
    assert place.python(IMPORT.format("first")).out == "1"
    heavy = start_heavy(place, slow_maturin, tmp_path)
    for number in range(3):
        place.write(f"light{number}.rs", SCRIPT.format(header="", value=number))
        run = place.python(IMPORT.format(f"light{number}"))
        assert run.out == str(number)
        assert "waiting" not in run.stderr
    # Edit a script that was built in the first slot.
    place.write("first.rs", SCRIPT.format(header="", value=10))
    assert place.python(IMPORT.format("first")).out == "10"
    assert heavy.poll() is None

    place.write("second.rs", SCRIPT.format(header=new_dependencies(), value=3))
    second = place.start(IMPORT.format("second"))
    assert second.stderr is not None
    line = second.stderr.readline()
    expected = f"process {heavy.pid}, which is compiling dependencies for heavy.rs"
    assert line.startswith(f"rustimport: second.rs is waiting for {expected}")
    (tmp_path / "go").touch()
    assert heavy.communicate(timeout=120)[0].strip() == "2"
    assert second.communicate(timeout=120)[0].strip() == "3"
    # This is built in the first slot again, which contains an older version of it.
    place.write("first.rs", SCRIPT.format(header="", value=11))
    assert place.python(IMPORT.format("first")).out == "11"


def test_a_new_slot_reuses_dependencies(place: Place, slow_maturin: Path, tmp_path: Path) -> None:
    """Only the script is compiled in the other slot."""
    place.write("first.rs", SCRIPT.format(header="", value=1))
    assert place.python(IMPORT.format("first")).out == "1"
    heavy = start_heavy(place, slow_maturin, tmp_path)
    place.write("light.rs", SCRIPT.format(header="", value=3))
    run = place.python(IMPORT.format("light"), RUSTIMPORT_VERBOSE="1")
    assert run.out == "3"
    compiled = [line.split()[-3] for line in run.stderr.splitlines() if "  Compiling " in line]
    assert [name.rpartition("_")[0] for name in compiled] == ["light"]
    (tmp_path / "go").touch()
    assert heavy.communicate(timeout=120)[0].strip() == "2"


def test_a_compiled_path_dependency_is_not_new(place: Place, slow_maturin: Path, tmp_path: Path) -> None:
    manifest = '[package]\nname = "helper"\nversion = "0.1.0"\nedition = "2021"\n'
    place.write("helper/Cargo.toml", manifest)
    place.write("helper/src/lib.rs", "pub fn value() -> i32 { 7 }\n")
    header = '//: [dependencies]\n//: helper = { path = "helper" }\n'
    place.write("first.rs", SCRIPT.format(header=header, value="helper::value()"))
    assert place.python(IMPORT.format("first")).out == "7"
    heavy = start_heavy(place, slow_maturin, tmp_path)
    place.write("light.rs", SCRIPT.format(header=header, value="helper::value() + 1"))
    assert place.python(IMPORT.format("light")).out == "8"
    # A new feature of the helper counts as a new dependency.
    place.write("helper/Cargo.toml", manifest + f"[features]\nf{uuid.uuid4().hex} = []\n")
    waiting = place.start(IMPORT.format("light"))
    assert waiting.stderr is not None
    assert "is waiting for" in waiting.stderr.readline()
    (tmp_path / "go").touch()
    assert heavy.communicate(timeout=120)[0].strip() == "2"
    assert waiting.communicate(timeout=120)[0].strip() == "8"


def test_waiting_ends_when_needed_dependencies_are_compiled(place: Place, slow_maturin: Path, tmp_path: Path) -> None:
    """It needs what the first build compiles, and does not wait for a second one that compiles something else."""
    header = new_dependencies()
    heavy = start_heavy(place, slow_maturin, tmp_path, header)
    again = tmp_path / "again"
    again.write_text(slow_maturin.read_text().replace("/began", "/began2").replace("/go", "/go2"))
    again.chmod(0o755)
    place.write("other.rs", SCRIPT.format(header=new_dependencies(), value=4))
    other = place.start(IMPORT.format("other"), RUSTIMPORT_MATURIN_EXECUTABLE=str(again))
    place.write("light.rs", SCRIPT.format(header=header, value=3))
    light = place.start(IMPORT.format("light"))
    assert light.stderr is not None
    assert "is waiting for" in light.stderr.readline()
    (tmp_path / "go").touch()
    assert light.communicate(timeout=120)[0].strip() == "3"
    assert heavy.communicate(timeout=120)[0].strip() == "2"
    (tmp_path / "go2").touch()
    assert other.communicate(timeout=120)[0].strip() == "4"


def test_an_edit_while_waiting_is_built_at_once(place: Place, slow_maturin: Path, tmp_path: Path) -> None:
    heavy = start_heavy(place, slow_maturin, tmp_path)
    place.write("m.rs", SCRIPT.format(header=new_dependencies(), value=1))
    waiting = place.start(IMPORT.format("m"))
    assert waiting.stderr is not None
    assert "is waiting for" in waiting.stderr.readline()
    place.write("m.rs", SCRIPT.format(header="", value=5))
    (tmp_path / "go").touch()
    assert waiting.communicate(timeout=120)[0].strip() == "5"
    heavy.communicate(timeout=120)
    run = place.python(IMPORT.format("m"))
    assert (run.out, run.builds) == ("5", 0)
