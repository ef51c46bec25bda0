"""`python -m rustimport watch`, as it runs during editing."""

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
#: An import that does not load the core cannot have started a process.
IMPORT = "import sys, m; print(m.value(), 'rustimport._core' in sys.modules)"


class Watch:
    """A running `watch`, and its output."""

    def __init__(
        self, place: Place, *arguments: str | Path, executable: str = sys.executable, command: str = "watch"
    ) -> None:
        self.process = subprocess.Popen(
            [executable, "-m", "rustimport", command, *arguments],
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
                    pytest.fail(f"{text!r} was not printed: {self.lines}")
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


def test_imports_after_a_rebuild_are_fresh(place: Place, watches: list[Watch]) -> None:
    place.write("m.rs", SOURCE.format(1))
    watch = Watch(place)
    watches.append(watch)
    watch.expect("built m.rs in", "watching 1 source")
    assert place.python(IMPORT).out == "1 False"
    place.write("m.rs", SOURCE.format(2))
    watch.expect("`m.rs` changed")
    assert place.python(IMPORT).out == "2 False"

    # Inputs that do not exist yet: a module, cargo's configuration, another source in a new folder.
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


def test_an_error_is_reported_once(place: Place, watches: list[Watch]) -> None:
    place.write("m.rs", SOURCE.format("one + two"))
    place.write("n.rs", SOURCE.format(1))
    watch = Watch(place, "m.rs", "n.rs")
    watches.append(watch)
    watch.expect("m.rs cannot be built", "cannot find value `one`", "and 1 more", "watching 2 sources")
    place.write(".m.rs.swp", "an editor's")
    for value in (2, 3):
        place.write("n.rs", SOURCE.format(value))
        watch.expect("built n.rs in")
    # `m.rs` is tried again, because `n.rs` could be a module of it.
    watch.expect("m.rs still cannot be built")
    assert sum("cannot find value" in line for line in watch.lines) == 1, watch.lines
    place.write("m.rs", SOURCE.format(1))
    watch.expect("built m.rs in")


def test_a_growing_log_causes_no_builds(place: Place, watches: list[Watch]) -> None:
    """A log file, such as that of the watch itself, causes no rebuild of a broken source; an edit does."""
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
    # Only a file that is not known to be a separate source may be a module of the broken one.
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


def test_a_command_is_restarted(place: Place, watches: list[Watch]) -> None:
    place.write("m.rs", SOURCE.format(1))
    say = "print('running', m.value(), os.getpid(), flush=True)"
    code = f"import rustimport.import_hook, m, os, time; {say}; time.sleep(600)"
    watch = Watch(place, "m.rs", "--", sys.executable, "-c", code)
    watches.append(watch)
    watch.expect("running 1")
    place.write("m.rs", SOURCE.format(2))
    watch.expect("running 2")
    # This content was built before, but the command must be restarted all the same.
    place.write("m.rs", SOURCE.format(1))
    watch.expect("an earlier build is used", "running 1")
    # Undoing an edit that did not compile builds nothing, but the command is started: it could not import the module.
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


def test_stubs(place: Place, watches: list[Watch]) -> None:
    place.write("m.rs", SOURCE.format(1))
    watch = Watch(place, "--watch", "-o", "types", command="stubs")
    watches.append(watch)
    watch.expect("wrote types/m.pyi", "watching 1 source")
    place.write("m.rs", SOURCE.format(1).replace("fn value()", "fn value(more: i32)"))
    watch.expect("wrote types/m.pyi", "built m.rs in")
    assert "def value(more: SupportsIndex)" in (place.folder / "types" / "m.pyi").read_text()
    # A file of the user's, once.
    (place.folder / "types" / "m.pyi").write_text("mine\n")
    place.write("m.rs", SOURCE.format(2))
    watch.expect("m.rs cannot be built", "was not generated, so it is kept")
    assert watch.interrupt() == 130
    assert (place.folder / "types" / "m.pyi").read_text() == "mine\n"


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


def test_missing_source(place: Place) -> None:
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
