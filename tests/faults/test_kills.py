"""Processes killed at any moment: the next import is right, no lock is held, and nothing hangs."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from rustimport import _cache

from tests import projects
from tests.build.test_crates import write_crate
from tests.build.test_projects import Environment, developed
from tests.conftest import Place, Run
from tests.faults.conftest import Faults

SCRIPT = "// rustimport:pyo3\n#[pyfunction]\nfn value() -> i32 {{ {} }}\n"


class Subject:
    """Something with a value that can be edited and built, and an interpreter that imports it."""

    def __init__(self, place: Place, source: Path, write: Callable[[int], object], stem: str | None = None) -> None:
        self.place = place
        self.source = source
        self.write = write
        self.entry = Path(_cache.entry_folder(str(place.cache), _cache.entry_name(str(source), stem)))
        self.code = "import m; print(m.value())"
        self.executable = sys.executable

    @classmethod
    def script(cls, place: Place) -> Subject:
        return cls(place, place.folder / "m.rs", lambda value: place.write("m.rs", SCRIPT.format(value)))

    @classmethod
    def crate(cls, place: Place) -> Subject:
        return cls(place, place.folder / "m", lambda value: write_crate(place, str(value)))

    @classmethod
    def project(cls, place: Place) -> Subject:
        environment = Environment(place)
        layout, root = developed(environment, "flat")
        path = root / layout.edited
        text = path.read_text()
        subject = cls(
            place, root, lambda value: path.write_text(text.replace(projects.EDITED, str(value))), str(environment.site)
        )
        subject.code = f"import os; os.chdir('/'); {layout.code}"
        subject.executable = str(environment.bin / "python")
        return subject

    def start(self) -> subprocess.Popen[str]:
        return self.place.start(self.code, executable=self.executable)

    def run(self) -> Run:
        return self.place.python(self.code, executable=self.executable)

    def assert_unlocked(self) -> None:
        """Checks that no process holds a lock of the entry, of a project, of a build slot, or of the cache."""
        home, cache = self.entry.parent.parent, self.place.cache
        locks = [cache / "lock", *self.entry.glob("lock"), *home.glob("lanes/*.lock"), *cache.glob("projects/*.lock")]
        for lock in locks:
            with lock.open("rb+") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def children(process: int) -> list[int]:
    """All descendants of a process."""
    found: list[int] = []
    try:
        below = [task.read_text() for task in Path(f"/proc/{process}/task").glob("*/children")]
    except OSError:
        # The process has just ended.
        return found
    for child in " ".join(below).split():
        found += [int(child), *children(int(child))]
    return found


def find(process: subprocess.Popen[str], name: str) -> int | None:
    """Waits for a descendant with this name while the process runs."""
    while process.poll() is None:
        for child in children(process.pid):
            try:
                if Path(f"/proc/{child}/comm").read_text().strip() == name:
                    return child
            except OSError:
                pass
        time.sleep(0.001)
    return None


@pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="finds processes in /proc")
@pytest.mark.parametrize(("kind", "few", "many"), [("script", 20, 240), ("crate", 8, 80), ("project", 8, 80)])
def test_killed_at_any_moment(place: Place, faults: Faults, kind: str, few: int, many: int) -> None:
    subject: Subject = getattr(Subject, kind)(place)
    subject.write(0)
    assert subject.run().out == "0"
    subject.write(1)
    start = time.monotonic()
    assert subject.run().out == "1"
    # From before the hook is installed until after the import.
    longest = 1.2 * (time.monotonic() - start)
    kills = 0
    for number in range(10_000):
        if kills >= (many if faults.all else few):
            break
        victim = faults.random.choice(["python", "python", "python", "maturin", "cargo", "rustc"])
        # New content is built and old content comes from the store; each also without the entry or the store.
        value = faults.random.choice([1000 + number, 0]) if victim == "python" else 1000 + number
        match faults.random.randrange(6):
            case 0:
                shutil.rmtree(subject.entry, ignore_errors=True)
            case 1:
                place.forget()
        subject.write(value)
        process = subject.start()
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
            # Either it is built anyway, or the error says what happened.
            assert stdout.strip() == str(value) or "was killed" in stderr or "could not" in stderr, stderr
        assert "panicked" not in stderr
        run = subject.run()
        assert run.out == str(value), run.stderr
        subject.assert_unlocked()
    run = subject.run()
    assert run.builds == 0
    # Killed builds leave no files behind that accumulate.
    assert len(list(subject.entry.glob("*/*.so"))) <= 2
