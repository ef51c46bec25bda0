"""Projects that are installed in editable mode: what is edited is what is imported, and maturin runs for nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import textwrap
from pathlib import Path

import pytest

from tests import projects
from tests.conftest import ROOT, Place, Run

SCRIPTS = Path(sysconfig.get_path("scripts"))
#: Fixed, since cargo compiles pyo3 anew for another python.
HOME = ROOT / "target" / "test-projects" / f"{sys.version_info[0]}.{sys.version_info[1]}"


class Environment:
    """A venv without pip, not activated, and what is developed in it."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.prefix = HOME / "venv"
        shutil.rmtree(self.prefix, ignore_errors=True)
        subprocess.run([SCRIPTS / "uv", "venv", "--quiet", "--python", sys.executable, self.prefix], check=True)
        self.bin = self.prefix / "bin"
        self.site = next(self.prefix.glob("lib/python*/site-packages"))
        (self.site / "rustimport").symlink_to(ROOT / "python" / "rustimport")
        #: Of every project: pyo3 is compiled once.
        self.place.env["CARGO_TARGET_DIR"] = str(HOME / "target")
        # Where uv is.
        self.place.env["PATH"] += os.pathsep + str(SCRIPTS)

    @property
    def activated(self) -> dict[str, str]:
        path = os.pathsep.join([str(self.bin), str(SCRIPTS), self.place.env["PATH"]])
        return {**self.place.env, "VIRTUAL_ENV": str(self.prefix), "PATH": path}

    def install(self, *packages: str) -> None:
        command = [SCRIPTS / "uv", "pip", "install", "--quiet", "--python", self.bin / "python", *packages]
        subprocess.run(command, check=True, env=self.place.env)

    def develop(self, folder: Path, *arguments: str) -> str:
        """`maturin develop`, as it is typed in the activated environment."""
        command = [SCRIPTS / "maturin", "develop", "--uv", *arguments]
        done = subprocess.run(command, cwd=folder, env=self.activated, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stderr

    def project(self, layout: projects.Layout, name: str = "project") -> Path:
        """Writes a project, and returns its folder."""
        for file, text in layout.files.items():
            self.place.write(f"{name}/{file}", text)
        return self.place.folder / name

    def run(self, code: str, **env: str | None) -> Run:
        """Runs code in a fresh interpreter, away from every project."""
        (self.place.folder / "elsewhere").mkdir(exist_ok=True)
        code = "import os; os.chdir('elsewhere')\n" + textwrap.dedent(code)
        return self.place.python(code, executable=str(self.bin / "python"), **env)


@pytest.fixture
def environment(place: Place) -> Environment:
    return Environment(place)


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def developed(environment: Environment, name: str = "pure") -> tuple[projects.Layout, Path]:
    layout = projects.LAYOUTS[name]
    root = environment.project(layout)
    environment.develop(root / layout.folder)
    return layout, root


@pytest.mark.parametrize("name", projects.LAYOUTS)
def test_every_layout(environment: Environment, name: str) -> None:
    layout = projects.LAYOUTS[name]
    if layout.needs:
        environment.install(*layout.needs)
    root = environment.project(layout, name)
    environment.develop(root / layout.folder)

    # What was built by hand is taken as it is.
    first = environment.run(layout.code)
    assert (first.out, first.builds, first.stderr) == ("1", 0, "")
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file() and path.suffix in (".py", ".toml")}

    edit(root / layout.edited, projects.EDITED, "2")
    second = environment.run(layout.code)
    assert (second.out, second.builds) == ("2", 1), second.stderr
    third = environment.run(layout.code)
    assert (third.out, third.builds, third.stderr) == ("2", 0, "")
    assert {path: path.read_bytes() for path in before} == before
