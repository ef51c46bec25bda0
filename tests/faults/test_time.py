"""Whatever clocks say, content decides."""

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
def test_a_clock_that_is_wrong(place: Place, failing: str, offset: int) -> None:
    """The processes' clock is not the file system's."""
    wrong = {"LD_PRELOAD": failing, "FAULT_CLOCK": str(offset)}
    for value in range(3):
        place.write("m.rs", SCRIPT.format(value))
        assert place.python(IMPORT, **wrong).out == str(value)  # type: ignore[arg-type]
    run = place.python(IMPORT, **wrong)  # type: ignore[arg-type]
    assert (run.out, run.builds) == ("2", 0)
    # It is set right again.
    run = place.python(IMPORT)
    assert (run.out, run.builds) == ("2", 0)
    place.write("m.rs", SCRIPT.format(3))
    assert place.python(IMPORT).out == "3"


@pytest.mark.parametrize("age", [0, -10 * YEAR, YEAR])
def test_every_edit_has_the_same_time(place: Place, age: int) -> None:
    """Of now, of long ago, of the future."""
    source = place.write("m.rs", SCRIPT.format(1))
    time = source.stat().st_mtime_ns + age * 10**9
    for value in (1, 2, 3):
        # Beside its place, with the time it had, and of one size: what a checkout does.
        other = place.write("other", SCRIPT.format(value))
        os.utime(other, ns=(time, time))
        other.rename(source)
        assert place.python(IMPORT).out == str(value)
    assert place.python(IMPORT).builds == 0


def test_an_edit_in_the_tick_of_the_build(place: Place) -> None:
    """Right after the import, within the same process: as soon as a file system can tell, and sooner."""
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
    """A file system that keeps whole seconds."""
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
    """Several in each of its ticks."""
    for value in range(6):
        place.write("m.rs", SCRIPT.format(value))
        assert place.python(IMPORT, **env).out == str(value)  # type: ignore[arg-type]
    # A helper too, of one size.
    place.write("m.rs", SCRIPT.format("part::VALUE").replace("pyo3\n", "pyo3\nmod part;\n"))
    for value in range(6):
        place.write("part.rs", f"pub const VALUE: i32 = {value};\n")
        assert place.python(IMPORT, **env).out == str(value)  # type: ignore[arg-type]
    assert place.python(IMPORT, **env).builds == 0  # type: ignore[arg-type]


def test_a_file_system_that_keeps_whole_seconds(place: Place, whole_seconds: Path) -> None:
    place.folder = whole_seconds
    source = place.write("m.rs", SCRIPT.format(0))
    assert source.stat().st_mtime_ns % 10**9 == 0
    check_edits(place)


def test_file_systems_that_keep_every_other_second(place: Place, failing: str) -> None:
    """That of the sources, and that of the cache."""
    check_edits(place, LD_PRELOAD=failing, FAULT_GRAIN="2")
