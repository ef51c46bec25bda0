"""Wrong clocks and coarse times do not matter: content decides."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Place

SCRIPT = "// rustimport:pyo3\n#[pyfunction]\nfn value() -> i32 {{ {} }}\n"
IMPORT = "import m; print(m.value())"
YEAR = 365 * 24 * 3600


@pytest.mark.parametrize("offset", [-YEAR, YEAR])
def test_wrong_clock(place: Place, failing: str, offset: int) -> None:
    """The clock of the processes differs from the clock of the file system."""
    wrong = {"LD_PRELOAD": failing, "FAULT_CLOCK": str(offset)}
    for value in range(3):
        place.write("m.rs", SCRIPT.format(value))
        assert place.python(IMPORT, **wrong).out == str(value)  # type: ignore[arg-type]
    run = place.python(IMPORT, **wrong)  # type: ignore[arg-type]
    assert (run.out, run.builds) == ("2", 0)
    # Without the wrong clock.
    run = place.python(IMPORT)
    assert (run.out, run.builds) == ("2", 0)
    place.write("m.rs", SCRIPT.format(3))
    assert place.python(IMPORT).out == "3"


@pytest.mark.parametrize("age", [0, -10 * YEAR, YEAR])
def test_edits_with_equal_times_are_noticed(place: Place, age: int) -> None:
    """The time is the present, long ago or in the future."""
    source = place.write("m.rs", SCRIPT.format(1))
    time = source.stat().st_mtime_ns + age * 10**9
    for value in (1, 2, 3):
        # A checkout replaces files like this. Here the new file has the same time and size.
        other = place.write("other", SCRIPT.format(value))
        os.utime(other, ns=(time, time))
        other.rename(source)
        assert place.python(IMPORT).out == str(value)
    assert place.python(IMPORT).builds == 0


def test_edits_within_the_clock_tick_of_the_build_are_noticed(place: Place) -> None:
    """Edits right after an import in the same process, also within one tick of the file system's clock."""
    place.write("m.rs", SCRIPT.format(1))
    run = place.python(
        """
        import importlib, m
        text = open("m.rs").read()
        wrong = 0
        for value in range(2, 8):
            with open("m.rs", "w") as file:
                file.write(text.replace("{ 1 }", f"{{ {value} }}"))
            importlib.reload(m)
            wrong += m.value() != value
        print(wrong)
        """
    )
    assert run.out == "0"


@pytest.fixture
def whole_seconds(tmp_path: Path) -> Iterator[Path]:
    """A file system that stores times in whole seconds."""
    image, folder = tmp_path / "image", tmp_path / "seconds"
    image.write_bytes(b"")
    os.truncate(image, 8 << 20)
    folder.mkdir()
    commands = [["mkfs.ext4", "-q", "-I", "128", str(image)], ["mount", "-o", "loop", str(image), str(folder)]]
    try:
        if os.geteuid() != 0:
            raise OSError("only root can mount")
        for command in commands:
            subprocess.run(command, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(str(error))
    yield folder
    subprocess.run(["umount", str(folder)], check=False)


def check_edits(place: Place, **env: str) -> None:
    """Several edits within each tick of the file system's clock."""
    for value in range(6):
        place.write("m.rs", SCRIPT.format(value))
        assert place.python(IMPORT, **env).out == str(value)  # type: ignore[arg-type]
    # Also edit a module of the script, without changing its size.
    place.write("m.rs", SCRIPT.format("part::VALUE").replace("pyo3\n", "pyo3\nmod part;\n"))
    for value in range(6):
        place.write("part.rs", f"pub const VALUE: i32 = {value};\n")
        assert place.python(IMPORT, **env).out == str(value)  # type: ignore[arg-type]
    assert place.python(IMPORT, **env).builds == 0  # type: ignore[arg-type]


def test_file_system_with_times_in_whole_seconds(place: Place, whole_seconds: Path) -> None:
    place.folder = whole_seconds
    source = place.write("m.rs", SCRIPT.format(0))
    assert source.stat().st_mtime_ns % 10**9 == 0
    check_edits(place)


def test_file_systems_with_times_in_steps_of_two_seconds(place: Place, failing: str) -> None:
    """The sources and the cache are on such file systems."""
    check_edits(place, LD_PRELOAD=failing, FAULT_GRAIN="2")
