"""The cost of the hook at Python's start, in numbers that vary little between runs: instructions (valgrind), system
calls (strace) and modules. Each is the difference between a whole process with the hook and bare CPython.
"""

from __future__ import annotations

import os
import re
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent

SCRIPT = "// rustimport:pyo3\n#[pyfunction]\nfn value() -> i32 { 1 }\n"

PROJECT = {
    "Cargo.toml": """\
[package]
name = "counted"
version = "0.1.0"
edition = "2021"

[lib]
name = "counted"
crate-type = ["cdylib"]

[dependencies]
pyo3 = "0.30"
""",
    "pyproject.toml": """\
[build-system]
requires = ["maturin>=1,<2"]
build-backend = "maturin"

[project]
name = "counted"
version = "0.1.0"
""",
    "src/lib.rs": """\
use pyo3::prelude::*;

#[pymodule]
mod counted {
    #[pymodule_export]
    const VALUE: i32 = 1;
}
""",
    "counted/__init__.py": "from .counted import VALUE as VALUE\n",
}


class Counts(NamedTuple):
    instructions: int
    calls: int
    modules: int

    def __sub__(self, other: Counts) -> Counts:
        return Counts(*(own - theirs for own, theirs in zip(self, other, strict=True)))


class Environment:
    """A virtual environment with this package, and with the hook if it is `hooked`."""

    def __init__(self, folder: Path, hooked: bool, env: dict[str, str]) -> None:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
        self.python = folder / "bin" / "python"
        self.env = {**env, "PYTHONHASHSEED": "0"}
        self.site = next(folder.glob("lib/python*/site-packages"))
        (self.site / "rustimport").symlink_to(ROOT / "python" / "rustimport")
        (self.site / "foreign.py").write_text("")
        (folder / "bin" / "maturin").symlink_to(Path(sys.executable).parent / "maturin")
        if hooked:
            self.run("-m", "rustimport", "site", "install")

    def run(self, *arguments: str, cwd: Path | None = None) -> str:
        command = [str(self.python), *arguments]
        return subprocess.run(command, env=self.env, cwd=cwd, capture_output=True, text=True, check=True).stdout

    def count(self, code: str, cwd: Path) -> Counts:
        """The cost of running code, after the first runs have compiled and written everything."""
        for changed in (self.site, cwd):
            os.utime(changed, (1_000_000_000, 1_000_000_000))
        for _ in range(3):
            modules = len(self.run("-c", f"{code}\nimport sys; print(*sys.modules)", cwd=cwd).split())
            time.sleep(0.05)
        tools = {
            "instructions": ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"],
            "calls": ["strace", "-f", "-qq", "-c"],
        }
        texts = {}
        for name, tool in tools.items():
            command = [*tool, str(self.python), "-c", code]
            done = subprocess.run(command, env=self.env, cwd=cwd, capture_output=True, text=True, check=True)
            texts[name] = done.stderr
        instructions = re.search(r"Collected : (\d+)", texts["instructions"])
        calls = re.search(r"(\d+)(?: +\d+)? total", texts["calls"])
        assert instructions is not None
        assert calls is not None
        return Counts(int(instructions[1]), int(calls[1]), modules)


def times(bare: Environment, hooked: Environment, folder: Path) -> None:
    """Wall time of an interpreter's start, measured alternately."""
    seconds: dict[Environment, list[float]] = {bare: [], hooked: []}
    for _ in range(100):
        for environment in (bare, hooked):
            start = time.perf_counter()
            environment.run("-c", "pass", cwd=folder)
            seconds[environment].append(time.perf_counter() - start)
    for what, take in (("minimum", min), ("median", statistics.median)):
        base, own = (take(seconds[environment]) * 1e3 for environment in (bare, hooked))
        print(f"start with `site install`, {what:8} {base:7.2f} ms {own:7.2f} ms {own / base:.3f}x")


def report(folder: Path, env: dict[str, str]) -> None:
    missing = [tool for tool in ("valgrind", "strace") if shutil.which(tool) is None]
    if missing:
        print(f"counts: skipped, there is no {' and no '.join(missing)}")
        return
    bare, hooked = (Environment(folder / name, name == "hooked", env) for name in ("bare", "hooked"))
    place = folder / "place"
    library = folder / "library"
    library.mkdir()
    (place / "counted").mkdir(parents=True)
    (place / "counted.rs").write_text(SCRIPT)
    artifact = hooked.run("-c", "import counted; print(counted.__file__)", cwd=place).strip()
    shutil.copy(artifact, library)
    project = folder / "project"
    for name, text in PROJECT.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(text)
    for environment in (bare, hooked):
        develop = [str(Path(sys.executable).parent / "maturin"), "develop", "--quiet", "--uv"]
        path = os.pathsep.join([str(Path(sys.executable).parent), environment.env["PATH"]])
        activated = {**environment.env, "VIRTUAL_ENV": str(environment.python.parent.parent), "PATH": path}
        subprocess.run(develop, cwd=project, env=activated, check=True, capture_output=True)
    rows = {
        "start": ("pass", folder, folder),
        "standard library": ("import colorsys", folder, folder),
        "third-party module": ("import foreign", folder, folder),
        "missing module": ("try: import missing\nexcept ImportError: pass", folder, folder),
        "fresh script": ("import counted", place, library),
        "fresh project": ("import counted", folder, folder),
    }
    times(bare, hooked, folder)
    print(f"{'whole process':20} {'bare':>14} {'with the hook':>16} {'system calls':>14} {'modules':>9}")
    for title, (code, ours, theirs) in rows.items():
        base = bare.count(code, theirs)
        more = hooked.count(code, ours) - base
        share = more.instructions / base.instructions
        print(
            f"{title:20} {base.instructions / 1e6:12.2f} M {more.instructions / 1e6:+9.2f} M {share:+.1%}"
            f" {more.calls:+14} {more.modules:+9}"
        )
