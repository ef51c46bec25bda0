"""Killed at any moment: whatever that leaves, the next import is right, no lock is held, nothing is stuck."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.conftest import Place
from tests.faults.conftest import Faults

SCRIPT = "// rustimport:pyo3\n#[pyfunction]\nfn value() -> i32 {{ {} }}\n"
IMPORT = "import m; print(m.value())"


def children(process: int) -> list[int]:
    """All processes below one."""
    found = []
    for task in Path(f"/proc/{process}/task").glob("*/children"):
        try:
            below = [int(child) for child in task.read_text().split()]
        except OSError:
            continue
        for child in below:
            found += [child, *children(child)]
    return found


def find(process: subprocess.Popen[str], name: str) -> int | None:
    """Waits for a child of this name, as long as the process runs."""
    while process.poll() is None:
        for child in children(process.pid):
            try:
                if Path(f"/proc/{child}/comm").read_text().strip() == name:
                    return child
            except OSError:
                pass
        time.sleep(0.001)
    return None


def assert_unlocked(place: Place) -> None:
    """Nobody holds a lock of the entry, of a lane, or of the cache."""
    home = place.entry("m").parent.parent
    for lock in [place.cache / "lock", place.entry("m") / "lock", *home.glob("lanes/*.lock")]:
        with open(lock, "rb+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="finds processes in /proc")
def test_killed_at_any_moment(place: Place, faults: Faults) -> None:
    place.write("m.rs", SCRIPT.format(0))
    start = time.monotonic()
    assert place.python(IMPORT).out == "0"
    # From before the hook is there until after the import is done.
    longest = 1.2 * (time.monotonic() - start)
    kills = 0
    for number in range(10_000):
        if kills >= (240 if faults.all else 30):
            break
        victim = faults.random.choice(["python", "python", "python", "maturin", "cargo", "rustc"])
        # New content is built, old content taken from the store; each also without what was known of it.
        value = faults.random.choice([1000 + number, 0]) if victim == "python" else 1000 + number
        match faults.random.randrange(6):
            case 0:
                shutil.rmtree(place.entry("m"), ignore_errors=True)
            case 1:
                place.forget()
        place.write("m.rs", SCRIPT.format(value))
        process = place.start(IMPORT)
        target: int | None = process.pid
        if victim == "python":
            time.sleep(faults.random.uniform(0, longest))
        else:
            target = find(process, victim)
            time.sleep(faults.random.uniform(0, longest / 3))
        try:
            if target is not None:
                os.kill(target, signal.SIGKILL)
                kills += 1
                faults.count(f"kills of {victim}")
        except ProcessLookupError:
            pass
        stdout, stderr = process.communicate(timeout=120)
        if victim != "python":
            # It is built in spite of that, or somebody is told.
            assert stdout.strip() == str(value) or "was killed" in stderr or "could not" in stderr, stderr
        assert "panicked" not in stderr
        run = place.python(IMPORT)
        assert run.out == str(value), run.stderr
        assert_unlocked(place)
    run = place.python(IMPORT)
    assert run.builds == 0
    # What killed builds leave does not pile up.
    assert len(list(place.entry("m").glob("*/m.*.so"))) <= 2
