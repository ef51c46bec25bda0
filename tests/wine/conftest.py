"""These tests run on Windows, or under Wine: `make test-windows WINDOWS=life`. The compiler is that of the Linux system
around it (`forward.rs`)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

collect_ignore_glob = [] if sys.platform == "win32" else ["test_*.py"]

SCRIPT = "// rustimport:pyo3\n#[pyfunction]\nfn value() -> i32 {{ {} }}\n"
HOOK = "import rustimport; rustimport.install()\n"
PRINT = "import m; print(m.value())"


@dataclass
class Run:
    stdout: str
    stderr: str
    returncode: int

    @property
    def out(self) -> str:
        assert self.returncode == 0, self.stderr
        return self.stdout.strip()

    @property
    def builds(self) -> int:
        return self.stderr.count("rustimport: built ")


class Place:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started: list[subprocess.Popen[str]] = []

    def write(self, value: int, name: str = "m") -> Path:
        path = self.folder / f"{name}.rs"
        path.write_text(SCRIPT.format(value), encoding="utf-8")
        return path

    def start(self, code: str, cwd: Path | str | None = None, **env: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", HOOK + textwrap.dedent(code)]
        return self.spawn(command, cwd, **env)

    def spawn(self, command: list[str], cwd: Path | str | None = None, **env: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            command,
            cwd=cwd or self.folder,
            env={**os.environ, **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
        )
        self.started.append(process)
        return process

    def python(self, code: str = PRINT, cwd: Path | str | None = None, **env: str) -> Run:
        return finish(self.start(code, cwd, **env))

    def command(self, *arguments: str, **env: str) -> Run:
        return finish(self.spawn([sys.executable, "-m", "rustimport", *arguments], **env))


def finish(process: subprocess.Popen[str]) -> Run:
    stdout, stderr = process.communicate(timeout=120)
    return Run(stdout, stderr, process.returncode)


def running(name: str) -> set[str]:
    """The numbers of the processes of a program."""
    lines = subprocess.run(["tasklist"], capture_output=True, text=True, check=False).stdout.splitlines()
    return {line.split()[1] for line in lines if line.startswith(name)}


@pytest.fixture
def place(tmp_path: Path) -> Any:
    folder = tmp_path / "place"
    folder.mkdir()
    place = Place(folder)
    # What an earlier test built of the same content is not used.
    for store in Path(os.environ["RUSTIMPORT_CACHE_DIR"]).glob("v1/*/store"):
        shutil.rmtree(store)
    yield place
    for process in place.started:
        process.kill()
        process.wait()
