"""Debuggers, profilers and coverage show the user's own file and lines."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import HOOK, Place

SCRIPT = """\
// rustimport:pyo3
//: [profile.dev]
//: debug = true

#[pyfunction]
fn square(x: i64) -> i64 {
    let result = x * x;
    println!("{result}");
    result
}

#[pyfunction]
fn spin(times: u64) -> u64 {
    let mut sum = 0u64;
    for number in 0..times {
        sum = sum.wrapping_mul(31).wrapping_add(number);
    }
    sum
}
"""


def start(place: Place, code: str) -> None:
    """Builds the script, and writes a program that uses it."""
    place.write("somecode.rs", SCRIPT)
    place.write("app.py", HOOK + "import somecode\n" + code)
    assert place.python("import somecode").returncode == 0


def output(place: Place, *command: str | Path, **more: str) -> str:
    env = {**place.env, **more}
    run = subprocess.run(command, cwd=place.folder, env=env, capture_output=True, text=True, timeout=300, check=False)
    return run.stdout + run.stderr


@pytest.mark.skipif(shutil.which("gdb") is None, reason="no gdb")
def test_a_breakpoint_is_hit(place: Place) -> None:
    start(place, "print(somecode.square(7))\n")
    commands = ("set breakpoint pending on", "break somecode.rs:8", "run", "info args", "print result", "continue")
    words = [word for command in commands for word in ("-ex", command)]
    shown = output(place, "gdb", "-nx", "-q", "-batch", *words, "--args", sys.executable, "app.py")
    if "ptrace: Operation not permitted" in shown:
        pytest.skip("this user cannot trace processes")
    assert f"at {place.folder}/somecode.rs:8" in shown, shown
    assert "x = 7" in shown
    assert "$1 = 49" in shown


@pytest.mark.skipif(shutil.which("py-spy", path=str(Path(sys.executable).parent)) is None, reason="no py-spy")
def test_py_spy_shows_lines(place: Place) -> None:
    start(place, "somecode.spin(200_000_000)\n")
    spy = Path(sys.executable).with_name("py-spy")
    words = ("record", "--native", "--format", "raw", "--duration", "3", "--output", "profile.txt")
    shown = output(place, spy, *words, "--", sys.executable, "app.py")
    if "Permission Denied" in shown:
        pytest.skip("this user cannot trace processes")
    assert "somecode.rs:1" in (place.folder / "profile.txt").read_text(), shown


def test_coverage(place: Place) -> None:
    """An instrumented build counts lines; the build without instrumentation is used again afterwards."""
    start(place, "print(somecode.square(3), somecode.__file__)\n")
    flags = {"RUSTFLAGS": "-C instrument-coverage", "LLVM_PROFILE_FILE": str(place.folder / "cov.profraw")}
    shown = output(place, sys.executable, "app.py", **flags)
    library = next(line.partition(" ")[2] for line in shown.splitlines() if line.startswith("9 "))
    assert (place.folder / "cov.profraw").stat().st_size > 0, shown
    assert place.python("import somecode").builds == 0
    sysroot = Path(subprocess.check_output(["rustc", "--print", "sysroot"], env=place.env, text=True).strip())
    tools = {path.name: path for path in sysroot.glob("lib/rustlib/*/bin/llvm-*")}
    if "llvm-cov" not in tools:
        pytest.skip("no llvm-tools: rustup component add llvm-tools")
    output(place, tools["llvm-profdata"], "merge", "-sparse", "cov.profraw", "-o", "cov.profdata")
    words = ("show", "-instr-profile", "cov.profdata", library, "--sources", "somecode.rs")
    lines = output(place, tools["llvm-cov"], *words)
    assert "7|      1|    let result = x * x;" in lines
    assert "14|      0|    let mut sum = 0u64;" in lines
