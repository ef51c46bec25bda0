"""Fault injection: a few faults with `make test`, many with `make test-faults`. The last lines of the output list what
was tried."""

from __future__ import annotations

import collections
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TRIED: collections.Counter[str] = collections.Counter()


class Faults:
    """Controls how much a test tries, and counts it.

    Attributes:
        all: Whether to try everything.
        random: Seeded; `FAULT_SEED` repeats a run.
    """

    def __init__(self) -> None:
        self.all = "FAULTS" in os.environ
        self.seed = int(os.environ.get("FAULT_SEED") or random.randrange(10**6))
        self.random = random.Random(self.seed)

    def count(self, what: str, number: int = 1) -> None:
        TRIED[what] += number


@pytest.fixture
def faults() -> Faults:
    faults = Faults()
    # Printed if the test fails.
    sys.stdout.write(f"FAULT_SEED={faults.seed}\n")
    return faults


@pytest.fixture(scope="session")
def failing(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A C library for `LD_PRELOAD` that fails on demand (see `failing.c`)."""
    compiler = shutil.which("cc")
    if compiler is None or os.uname().sysname != "Linux":
        pytest.skip("needs Linux and a C compiler")
    library = tmp_path_factory.mktemp("failing") / "failing.so"
    source = Path(__file__).parent / "failing.c"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
    return str(library)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if TRIED:
        wrong = sum("tests/faults" in report.nodeid for report in terminalreporter.stats.get("failed", []))
        tried = ", ".join(f"{what}: {number}" for what, number in sorted(TRIED.items()))
        terminalreporter.write_line(f"faults tried: {tried}; wrong results: {wrong}")
