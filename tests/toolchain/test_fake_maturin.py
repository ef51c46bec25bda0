"""A maturin that misbehaves: it hangs, is killed, fills its pipes, or leaves no library. No compiler is needed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Place

SCRIPT = "// rustimport:pyo3\n#[pyfunction]\nfn value() -> i32 {{ {} }}\n"
CATCH = """
try:
    import m
except ImportError as e:
    print(type(e).__name__)
    print(e.message)
    print(e.hint)
"""


@pytest.fixture
def fake(place: Place, tmp_path: Path) -> object:
    """Puts a shell script in the place of maturin, and imports a script."""
    place.write("m.rs", SCRIPT.format(1))

    def write(body: str) -> str:
        path = tmp_path / "fake-maturin"
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)
        place.env["RUSTIMPORT_MATURIN_EXECUTABLE"] = str(path)
        run = place.python(CATCH)
        assert not list(place.entry("m").glob("*/m.*.so"))
        assert not (place.entry("m") / "record.toml").exists()
        return run.out

    return write


def test_no_artifact(fake: object) -> None:
    out = fake("exit 0").splitlines()  # type: ignore[operator]
    assert out[:2] == ["BuildError", "maturin built m.rs without an error, but left no library"]
    assert out[2].startswith("it printed nothing: check that ")
    assert out[2].endswith("/fake-maturin --version`")
    assert "check the output of " in fake("echo unknown >&2").splitlines()[-1]  # type: ignore[operator]


def test_an_empty_wheel(fake: object) -> None:
    out = fake('while [ "$1" != --out ]; do shift; done; touch "$2/m.whl"').splitlines()  # type: ignore[operator]
    assert out[:2] == ["BuildError", "maturin built m.rs without an error, but left no library"]


def test_killed(fake: object) -> None:
    out = fake("kill -9 $$").splitlines()  # type: ignore[operator]
    assert out[:2] == ["BuildError", "m.rs could not be built: maturin was killed by signal 9"]


def test_binary_output_that_fills_both_pipes(fake: object) -> None:
    body = (
        "head -c 30000000 /dev/urandom; head -c 30000000 /dev/urandom >&2; printf '\\nerror: \\377 gone\\n' >&2; exit 1"
    )
    out = fake(body).splitlines()  # type: ignore[operator]
    assert out[0] == "BuildError"
    assert "could not be built: " in out[1]


def test_too_old(fake: object) -> None:
    body = """
    if [ "$1" = --version ]; then echo maturin 0.14.0; exit; fi
    echo "error: unexpected argument '--compression-method' found" >&2
    exit 2
    """
    out = fake(body)  # type: ignore[operator]
    assert out.splitlines()[0] == "ToolchainError"
    assert "fake-maturin (maturin 0.14.0) does not accept the arguments that rustimport passes to it" in out
    assert "maturin 1.9.6 or later" in out


def test_disk_full(fake: object) -> None:
    out = fake("echo 'error: failed to write x: No space left on device (os error 28)' >&2; exit 1")  # type: ignore[operator]
    assert out.splitlines()[0] == "CacheError"
    assert "the disk is full: free some space" in out


def test_no_network(fake: object) -> None:
    out = fake("echo 'error: failed to download from `https://index.crates.io/config.json`' >&2; exit 1")  # type: ignore[operator]
    assert "the registry could not be reached" in out


def test_waiting_for_cargo_is_reported(place: Place, tmp_path: Path) -> None:
    place.write("m.rs", SCRIPT.format(2))
    path = tmp_path / "fake-maturin"
    path.write_text("#!/bin/sh\nprintf '    Blocking waiting for file lock on build directory\\n' >&2\nexit 1\n")
    path.chmod(0o755)
    run = place.python("import m", RUSTIMPORT_MATURIN_EXECUTABLE=str(path))
    assert "rustimport: m.rs is waiting for another build to release cargo's build directory" in run.stderr


def test_a_library_without_the_entry_point(place: Place, tmp_path: Path) -> None:
    """Detected after the build, because the source does not show it."""
    place.write(
        "m.rs", "// rustimport\n//: [dependencies]\n//: pyo3 = '0.30'\nmacro_rules! nothing { () => {} }\nnothing!();\n"
    )
    run = place.python(CATCH)
    assert run.out.splitlines()[0] == "ProjectError"
    assert "does not define the module `m` (no `PyInit_m` in the library)" in run.out
