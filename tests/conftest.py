"""Fixtures: a folder of sources, and fresh interpreters that import them.

All tests share one cache below the repository's `target/`, so that pyo3 is compiled once.
Each test has its own sources, and therefore its own cache entries.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent

#: Set by `make test-toolchains`: the name of the rustup toolchain, and cargo's nested build directory.
TOOLCHAIN = {
    name: os.environ[name]
    for name in ("RUSTUP_TOOLCHAIN", "CARGO_UNSTABLE_BUILD_DIR_NEW_LAYOUT", "CARGO_RESOLVER_INCOMPATIBLE_RUST_VERSIONS")
    if name in os.environ
}
IS_NESTED = TOOLCHAIN.get("CARGO_UNSTABLE_BUILD_DIR_NEW_LAYOUT") == "true"

#: Test processes that run in parallel have separate caches: some tests empty the store.
WORKER = [os.environ["PYTEST_XDIST_WORKER"]] if "PYTEST_XDIST_WORKER" in os.environ else []

CACHE = ROOT / "target" / "-".join(["test-cache", *(Path(value).name for value in TOOLCHAIN.values()), *WORKER])

#: Runs in place of maturin, and writes one line to a log for each run.
COUNTING_MATURIN = """\
#!/bin/sh
echo "$*" >> "$MATURIN_LOG"
exec {maturin} "$@"
"""

HOOK = "import rustimport; rustimport.install()\n"


@dataclass
class Run:
    """The result of a fresh interpreter."""

    stdout: str
    stderr: str
    returncode: int
    builds: int
    """How often it ran maturin."""

    @property
    def out(self) -> str:
        assert self.returncode == 0, self.stderr
        return self.stdout.strip()


class Place:
    def __init__(self, folder: Path, maturin: Path) -> None:
        self.folder = folder
        self.log = folder.parent / f"{folder.name}.maturin.log"
        self.cache = CACHE
        #: All interpreters. They are killed at the end, because one that hangs would block the others.
        self.started: list[subprocess.Popen[str]] = []
        self.env = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("RUSTIMPORT_", "MATURIN_", "PYTHON", "VIRTUAL_ENV", "CARGO_", "RUST_", "RUSTFLAGS"))
        }
        self.env |= {
            name: os.environ[name] for name in ("CARGO_HOME", "RUSTUP_HOME", "CARGO_HTTP_CAINFO") if name in os.environ
        } | TOOLCHAIN
        self.env |= {
            "MATURIN_LOG": str(self.log),
            "RUSTIMPORT_CACHE_DIR": str(self.cache),
            "RUSTIMPORT_MATURIN_EXECUTABLE": str(maturin),
        }

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    @property
    def builds(self) -> int:
        return len(self.log.read_text().splitlines()) if self.log.exists() else 0

    def start(
        self,
        code: str,
        *,
        hook: bool = True,
        args: tuple[str, ...] = (),
        executable: str = sys.executable,
        **env: str | None,
    ) -> subprocess.Popen[str]:
        """Starts an interpreter in the folder, with the hook on. An `env` value of `None` unsets the variable."""
        environ: dict[str, Any] = {**self.env, **env}
        process = subprocess.Popen(
            [executable, *args, "-c", (HOOK if hook else "") + textwrap.dedent(code)],
            cwd=self.folder,
            env={name: value for name, value in environ.items() if value is not None},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # A shell ignores this signal in commands that it runs in the background.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        self.started.append(process)
        return process

    def python(
        self,
        code: str,
        *,
        hook: bool = True,
        args: tuple[str, ...] = (),
        executable: str = sys.executable,
        **env: str | None,
    ) -> Run:
        before = self.builds
        process = self.start(code, hook=hook, args=args, executable=executable, **env)
        try:
            stdout, stderr = process.communicate(timeout=600)
        finally:
            process.kill()
        return Run(stdout, stderr, process.returncode, self.builds - before)

    def forget(self) -> None:
        """Empties the store, for all tests. The last build of each entry stays."""
        for store in self.cache.glob("v1/*/store"):
            shutil.rmtree(store)

    def entry(self, module: str) -> Path:
        """The cache folder of the script with this name."""
        from rustimport import _cache

        path = self.folder / f"{module}.rs"
        return Path(_cache.entry_folder(str(self.cache), _cache.entry_name(str(path))))


@pytest.fixture(scope="session")
def counting_maturin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    maturin = Path(sysconfig.get_path("scripts")) / "maturin"
    path = tmp_path_factory.mktemp("bin") / "maturin"
    path.write_text(COUNTING_MATURIN.format(maturin=maturin))
    path.chmod(0o755)
    return path


@pytest.fixture
def place(tmp_path: Path, counting_maturin: Path) -> Iterator[Place]:
    folder = tmp_path / "place"
    folder.mkdir()
    place = Place(folder, counting_maturin)
    place.forget()
    yield place
    for process in place.started:
        process.kill()


def pytest_sessionfinish() -> None:
    """Removes what earlier runs left: otherwise the cache grows by gigabytes each day."""
    if CACHE.exists():
        command = [sys.executable, "-m", "rustimport", "cache", "prune"]
        subprocess.run(
            command, env={**os.environ, "RUSTIMPORT_CACHE_DIR": str(CACHE)}, check=False, capture_output=True
        )
