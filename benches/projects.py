"""The rows about projects that are installed in editable mode, compared with CPython, cargo, `maturin develop` and the
predecessor. Each has its own project, environment and target folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench import Bench

#: Measures all of them alternately, for a number of rounds.
Rounds = Callable[[dict[str, Callable[[], float]], int], dict[str, list[float]]]

HERE = Path(__file__).parent

SOURCE = """\
use pyo3::prelude::*;
{modules}
#[pyfunction]
fn value() -> i32 {{
    {value}
}}

#[pymodule]
mod {name} {{
    #[pymodule_export]
    use super::value;
}}
"""


class Project:
    """One project in one environment."""

    def __init__(self, bench: Bench, who: str, layout: str, files: int = 1) -> None:
        self.bench = bench
        self.who = who
        self.layout = layout
        self.name = f"{layout}_project"
        self.folder = bench.new_folder() / "project"
        self.prefix = self.folder.parent / "venv"
        self.modules = "".join(f"mod m{number};\n" for number in range(files - 1))
        venv.create(self.prefix, with_pip=who == "mih", symlinks=True)
        self.python = self.prefix / "bin" / "python"
        site = next(self.prefix.glob("lib/python*/site-packages"))
        packages = {"ours": (HERE.parent / "python" / "rustimport",), "mih": tuple(mih_packages())}
        for package in packages.get(who, ()):
            (site / package.name).symlink_to(package)
        self.write(
            "Cargo.toml",
            f'[package]\nname = "{self.name}"\nversion = "0.1.0"\nedition = "2021"\n'
            '[lib]\ncrate-type = ["cdylib"]\n[dependencies]\npyo3 = "0.30"\n',
        )
        self.write(
            "pyproject.toml",
            '[build-system]\nrequires = ["maturin>=1,<2"]\nbuild-backend = "maturin"\n'
            f'[project]\nname = "{self.name}"\nversion = "0.1.0"\n',
        )
        if layout == "mixed":
            self.write(f"{self.name}/__init__.py", f"from .{self.name} import value\n")
        for number in range(files - 1):
            self.write(f"src/m{number}.rs", f"pub const M: u32 = {number};\n")
        self.edit(0)

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def edit(self, value: int) -> None:
        self.value = value
        self.write("src/lib.rs", SOURCE.format(modules=self.modules, value=value, name=self.name))

    @property
    def env(self) -> dict[str, str]:
        tools = Path(sys.executable).parent
        path = os.pathsep.join([str(self.prefix / "bin"), self.bench.env["PATH"], str(tools)])
        return {
            **self.bench.env,
            "VIRTUAL_ENV": str(self.prefix),
            "PATH": path,
            "RUSTIMPORT_MATURIN_EXECUTABLE": str(tools / "maturin"),
        }

    def run(self, command: list[str], **env: str) -> float:
        start = perf_counter()
        done = subprocess.run(
            command, cwd=self.folder, env={**self.env, **env}, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise RuntimeError(f"{self.who}: {done.stderr}")
        return perf_counter() - start

    def develop(self) -> float:
        return self.run(["maturin", "develop", "--uv"])

    def cargo(self) -> float:
        env = {"PYO3_PYTHON": str(self.python), "PYO3_BUILD_EXTENSION_MODULE": "1"}
        return self.run(["cargo", "rustc", "--quiet", "--lib"], **env)

    def imported(self, switch_on: str) -> float:
        return self.timed(switch_on, f"import {self.name}")

    def reloaded(self, switch_on: str) -> float:
        return self.timed(f"{switch_on}\nimport importlib, {self.name}", f"importlib.reload({self.name})")

    def timed(self, before: str, statement: str) -> float:
        code = (
            f"{before}\nfrom time import perf_counter\nstart = perf_counter()\n{statement}\n"
            f"seconds = perf_counter() - start\nassert {self.name}.value() == {self.value}\nprint('seconds', seconds)"
        )
        done = subprocess.run(
            [str(self.python), "-c", code], cwd="/", env=self.env, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise RuntimeError(f"{self.who}: {done.stderr}")
        line = next(line for line in done.stdout.splitlines() if line.startswith("seconds "))
        return float(line.split()[1])


def mih_packages() -> list[Path]:
    names = ("maturin_import_hook", "maturin_import_hook-", "filelock", "platformdirs")
    site = next((HERE / ".venvs" / "mih").glob("lib/python*/site-packages"))
    return [path for path in site.iterdir() if path.name.startswith(names)]


def warm(bench: Bench, switch_on: dict[str, str], in_turn: Rounds, files: int) -> None:
    """A fresh project, compared with CPython importing the same package."""
    projects = {who: Project(bench, who, "mixed", files) for who in ("bare", "ours", "mih")}
    for who, project in projects.items():
        project.develop()
        project.imported(switch_on[who])
    subprocess.run(["sleep", "0.1"], check=True)
    takes: dict[str, Callable[[], float]] = {who: partial(projects[who].imported, switch_on[who]) for who in projects}
    for once in takes.values():
        once()
    title = "warm import of a project" + (f" of {files} files" if files > 1 else "")
    bench.report(title, in_turn(takes, 15), "bare", "+5 ms", absolute=True)


def reload(bench: Bench, switch_on: dict[str, str], in_turn: Rounds) -> None:
    """`importlib.reload` of a fresh project, compared with CPython's."""
    projects = {who: Project(bench, who, "mixed") for who in ("bare", "ours")}
    for who, project in projects.items():
        project.develop()
        project.imported(switch_on[who])
    takes: dict[str, Callable[[], float]] = {
        who: partial(project.reloaded, switch_on[who]) for who, project in projects.items()
    }
    bench.report("reload of an unchanged project", in_turn(takes, 9), "bare", "2 ms")


def edit(bench: Bench, switch_on: dict[str, str], in_turn: Rounds, layout: str) -> None:
    """An edit and the import after it, compared with `cargo rustc` and with a manual `maturin develop`."""
    projects = {who: Project(bench, who, layout) for who in ("cargo", "ours", "develop", "mih")}

    def take(who: str) -> float:
        project = projects[who]
        project.edit(project.value + 1)
        if who == "cargo":
            return project.cargo()
        if who == "develop":
            return project.develop()
        return project.imported(switch_on[who])

    for who, project in projects.items():
        project.cargo() if who == "cargo" else project.develop()
        for _ in range(2):
            take(who)
    takes: dict[str, Callable[[], float]] = {who: partial(take, who) for who in projects}
    bench.report(f"an edit of a {layout} project", in_turn(takes, 9), "cargo", "1.9x")


def developed(bench: Bench, switch_on: dict[str, str], in_turn: Rounds) -> None:
    """The first import after `maturin develop`, compared with a later one. maturin does not run."""
    project = Project(bench, "ours", "mixed")
    project.develop()

    def first() -> float:
        project.edit(project.value + 1)
        project.develop()
        shutil.rmtree(bench.folder / "cache", ignore_errors=True)
        return project.imported(switch_on["ours"])

    takes = {"bare": lambda: project.imported(""), "first": first}
    measured = in_turn(takes, 5)
    bench.report("the first import after maturin develop", measured, "bare", "no maturin", absolute=True)
