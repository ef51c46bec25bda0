"""Many imports, many files and much output leak nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Place

SCRIPT = "// rustimport:pyo3\n{}#[pyfunction]\nfn value() -> i32 {{ {} }}\n"

#: Counts what a process holds: open files, threads, children, memory in MB.
HELD = """
import os, threading
def held():
    with open("/proc/self/status") as file:
        memory = [line for line in file if line.startswith("VmRSS")]
    threads = os.listdir("/proc/self/task")
    with open("/proc/self/task/%d/children" % os.getpid()) as file:
        children = file.read().split()
    return len(os.listdir("/proc/self/fd")), len(threads), len(children), int(memory[0].split()[1]) / 1000
"""

needs_proc = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="reads /proc")


@needs_proc
def test_a_thousand_imports_leak_nothing(place: Place) -> None:
    """Imports of fresh scripts, and of scripts that the core has to check."""
    place.write("m.rs", SCRIPT.format("", 1))
    assert place.python("import m").returncode == 0
    run = place.python(
        HELD
        + """
import sys
def load(times, touch):
    for number in range(times):
        sys.modules.pop("m", None)
        if touch:
            os.utime("m.rs", (number, number))
        import m
        assert m.value() == 1
load(100, True)
before = held()
load(1000, False)
load(300, True)
after = held()
print(before[:3] == after[:3], after[3] - before[3] < 8)
"""
    )
    assert run.out == "True True"
    assert run.builds == 0


def test_cost_of_an_import_with_many_other_scripts(place: Place) -> None:
    """The number of system calls of an import does not depend on how many other scripts the folder contains."""
    for name in ("a", "b", "c"):
        place.write(f"{name}.rs", SCRIPT.format("", 1))
    assert place.python("import a, b, c").builds == 3
    code = """
    import os
    calls = 0
    def counting(function):
        def called(*arguments, **names):
            global calls
            calls += 1
            return function(*arguments, **names)
        return called
    for name in ("stat", "lstat", "open", "listdir", "scandir"):
        setattr(os, name, counting(getattr(os, name)))
    import a, b, c
    print(calls)
    """
    few = int(place.python(code).out)
    for number in range(500):
        place.write(f"other{number}.rs", SCRIPT.format("", number))
    run = place.python(code)
    assert (int(run.out), run.builds) == (few, 0)
    assert few >= 6


def test_one_changed_file_of_many_is_found(place: Place) -> None:
    """With 20,000 inputs, one change is found, and without changes nothing is built."""
    place.write("m.rs", SCRIPT.format("//d: data\n", 1))
    for number in range(20):
        folder = place.folder / "data" / str(number)
        folder.mkdir(parents=True)
        for name in range(1000):
            (folder / f"{name}.txt").write_bytes(b"x")
    code = "import m; print(m.value())"
    assert place.python(code).builds == 1
    assert place.python(code).builds == 0
    (place.folder / "data/7/700.txt").write_bytes(b"y")
    run = place.python(code)
    assert run.builds == 1
    assert "`data/7/700.txt` changed" in run.stderr


def test_a_build_with_much_output(place: Place, tmp_path: Path) -> None:
    place.write("m.rs", SCRIPT.format("", 1))
    maturin = tmp_path / "maturin"
    maturin.write_text(
        "#!/bin/sh\nyes 'a line of output that is long enough to count' | head -c 100000000 >&2\nexit 1\n"
    )
    maturin.chmod(0o755)
    run = place.python(
        """
        import resource
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        try:
            import m
        except ImportError as error:
            size = len(str(error))
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(size < 30_000_000, (after - before) / 1000 < 150, after - before)
        """,
        RUSTIMPORT_MATURIN_EXECUTABLE=str(maturin),
    )
    assert run.out.startswith("True True"), run.out
