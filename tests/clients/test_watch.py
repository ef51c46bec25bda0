"""`python -m rustimport watch`, as it runs beside an editor."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import projects
from tests.build.test_projects import Environment, edit
from tests.conftest import Place

SOURCE = "// rustimport:pyo3\n#[pyfunction]\nfn value() -> i32 {{ {} }}\n"
#: A fresh import that loads no core can have started no process.
IMPORT = "import sys, m; print(m.value(), 'rustimport._core' in sys.modules)"


class Watch:
    """A watch that runs, and what it says."""

    def __init__(self, place: Place, *arguments: str | Path, executable: str = sys.executable) -> None:
        self.process = subprocess.Popen(
            [executable, "-m", "rustimport", "watch", *arguments],
            cwd=place.folder,
            env=place.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        self._new: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._new.put(line.rstrip("\n"))

    def expect(self, *texts: str) -> None:
        """Waits for lines with these texts, in this order."""
        for text in texts:
            while True:
                try:
                    line = self._new.get(timeout=60)
                except queue.Empty:
                    pytest.fail(f"{text!r} was not said: {self.lines}")
                self.lines.append(line)
                if text in line:
                    break

    def interrupt(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(60)


@pytest.fixture
def watches() -> Iterator[list[Watch]]:
    started: list[Watch] = []
    yield started
    for watch in started:
        watch.process.kill()


def test_the_next_import_finds_it_fresh(place: Place, watches: list[Watch]) -> None:
    place.write("m.rs", SOURCE.format(1))
    watch = Watch(place)
    watches.append(watch)
    watch.expect("built m.rs in", "watching 1 source")
    assert place.python(IMPORT).out == "1 False"
    place.write("m.rs", SOURCE.format(2))
    watch.expect("`m.rs` changed")
    assert place.python(IMPORT).out == "2 False"

    # Inputs that are not there yet: a module, cargo's configuration, another source in a new folder.
    place.write("m.rs", "mod helper;\n" + SOURCE.format("helper::VALUE + other"))
    place.write("m.rs", SOURCE.format("helper::VALUE") + "mod helper;\n")
    watch.expect("m.rs cannot be built", "error[E0583]: file not found for module `helper`")
    place.write("helper.rs", "pub const VALUE: i32 = 3;\n")
    watch.expect("built m.rs in")
    place.write("helper.rs", "pub const VALUE: i32 = 4;\n")
    watch.expect("`helper.rs` changed")
    assert place.python(IMPORT).out == "4 False"
    place.write(".cargo/config.toml", '[env]\nUNUSED = "1"\n')
    watch.expect("`.cargo/config.toml` appeared")
    assert place.python(IMPORT).out == "4 False"
    place.write("package/n.rs", SOURCE.format(5))
    watch.expect("built package/n.rs in")

    builds = place.builds
    (place.folder / "helper.rs").touch()
    place.write("README", "no input")
    assert watch.interrupt() == 130
    watch.process.wait()
    assert place.builds == builds
    assert not any("Traceback" in line for line in watch.lines), watch.lines


def test_a_failure_is_told_once(place: Place, watches: list[Watch]) -> None:
    place.write("m.rs", SOURCE.format("one + two"))
    place.write("n.rs", SOURCE.format(1))
    watch = Watch(place, "m.rs", "n.rs")
    watches.append(watch)
    watch.expect("m.rs cannot be built", "cannot find value `one`", "and 1 more", "watching 2 sources")
    place.write(".m.rs.swp", "an editor's")
    for value in (2, 3):
        place.write("n.rs", SOURCE.format(value))
        watch.expect("built n.rs in")
    # A neighbour could have been a part of it.
    watch.expect("m.rs still cannot be built")
    assert sum("cannot find value" in line for line in watch.lines) == 1, watch.lines
    place.write("m.rs", SOURCE.format(1))
    watch.expect("built m.rs in")


def test_a_log_in_the_folder(place: Place, watches: list[Watch]) -> None:
    """What grows there, as what the watch itself says may, is no reason to try a broken source again; an edit is."""
    place.write("m.rs", SOURCE.format("part::one()").replace("rustimport:pyo3\n", "rustimport:pyo3\nmod part;\n"))
    place.write("part.rs", "broken")
    place.write("n.rs", SOURCE.format(1))
    log = place.write("watch.log", "")
    watch = Watch(place, "m.rs", "n.rs")
    watches.append(watch)
    watch.expect("m.rs cannot be built", "watching 2 sources")
    builds = place.builds
    for value in (2, 3):
        with log.open("a") as file:
            file.write("more\n")
        place.write("n.rs", SOURCE.format(value))
        watch.expect("built n.rs in")
    # Of the sources beside it each could be a part, but for those that are known to be sources of their own.
    assert place.builds - builds <= 4
    with log.open("a") as file:
        file.write("more\n" * 1000)
    time.sleep(3)
    builds = place.builds
    with log.open("a") as file:
        file.write("more\n")
    time.sleep(3)
    assert place.builds == builds
    place.write("part.rs", "pub fn one() -> i32 { 1 }\n")
    watch.expect("built m.rs in")


def test_a_command_is_started_anew(place: Place, watches: list[Watch]) -> None:
    place.write("m.rs", SOURCE.format(1))
    say = "print('running', m.value(), os.getpid(), flush=True)"
    code = f"import rustimport.import_hook, m, os, time; {say}; time.sleep(600)"
    watch = Watch(place, "m.rs", "--", sys.executable, "-c", code)
    watches.append(watch)
    watch.expect("running 1")
    place.write("m.rs", SOURCE.format(2))
    watch.expect("running 2")
    # Built before, and a change for the command all the same.
    place.write("m.rs", SOURCE.format(1))
    watch.expect("an earlier build is used", "running 1")
    # An edit that did not compile is undone: nothing to build, and a command to start that could not import it.
    place.write("m.rs", SOURCE.format("one"))
    watch.expect("m.rs cannot be built")
    place.write("m.rs", SOURCE.format(1))
    watch.expect("m.rs is fresh again: an earlier build is used", "running 1")
    assert watch.interrupt() == 130
    assert place.builds == 3
    for line in watch.lines:
        if "running" in line:
            with pytest.raises(ProcessLookupError):
                os.kill(int(line.split()[-1]), 0)


def test_a_project(place: Place, watches: list[Watch]) -> None:
    environment = Environment(place)
    layout = projects.LAYOUTS["flat"]
    root = environment.project(layout)
    environment.develop(root)
    watch = Watch(place, root, executable=str(environment.bin / "python"))
    watches.append(watch)
    watch.expect("watching 1 source")
    edit(root / layout.edited, projects.EDITED, "2")
    watch.expect("built project in")
    after = environment.run(layout.code)
    assert (after.out, after.builds) == ("2", 0)


def test_what_cannot_be_watched(place: Place) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "rustimport", "watch", "missing.rs"],
        cwd=place.folder,
        env=place.env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "missing.rs does not exist" in done.stderr
    assert "Traceback" not in done.stderr
