"""Many processes on one source: exactly one build, and all of them load it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.conftest import Place

SCRIPT = "// rustimport:pyo3\n#[pyfunction]\nfn value() -> i32 {{ {} }}\n"


def test_eight_processes_build_once(place: Place) -> None:
    for value in (1, 2):
        place.write("m.rs", SCRIPT.format(value))
        before = place.builds
        processes = [place.start("import m; print(m.value())") for _ in range(8)]
        outputs = [process.communicate(timeout=120) for process in processes]
        assert [stdout.strip() for stdout, _ in outputs] == [str(value)] * 8, outputs
        assert place.builds - before == 1


@pytest.mark.parametrize("delay", [0.0, 0.02, 0.05, 0.1, 0.15, 0.2])
def test_killed_while_building(place: Place, delay: float) -> None:
    """Whatever a build left when it was killed, the next import is right."""
    place.write("m.rs", SCRIPT.format(1))
    assert place.python("import m; print(m.value())").out == "1"
    place.write("m.rs", SCRIPT.format(2))
    before = place.builds
    process = place.start("import m; print(m.value())")
    while place.builds == before:
        assert process.poll() is None
        time.sleep(0.001)
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert place.python("import m; print(m.value())").out == "2"
    assert place.python("import m; print(m.value())").builds == 0


def test_damaged_records(place: Place) -> None:
    """Cut, foreign, or replaced by something else: rebuilt, never crashed."""
    place.write("m.rs", SCRIPT.format(1))
    assert place.python("import m; print(m.value())").out == "1"
    entry = place.entry("m")
    for name in ("stamp", "record.toml"):
        whole = (entry / name).read_bytes()
        for content in (b"", whole[: len(whole) // 2], b"\xff" * 100, whole.replace(b"1", b"2", 3)):
            (entry / name).write_bytes(content)
            assert place.python("import m; print(m.value())").out == "1"
    for name in ("stamp", "record.toml"):
        (entry / name).unlink()
        (entry / name).symlink_to("nowhere")
        assert place.python("import m; print(m.value())").out == "1"
    assert place.python("import m").builds == 0


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="mounts need root")
def test_a_full_disk_loses_nothing(place: Place, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir(mode=0o700)
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m,mode=700", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mount.returncode != 0:
        pytest.skip("cannot mount here")
    try:
        source = place.write("m.rs", SCRIPT.format(1))
        run = place.python("import m", RUSTIMPORT_CACHE_DIR=str(disk))
        assert "CacheError" in run.stderr, run.stderr
        assert "hint: the disk is full: free some space" in run.stderr
        assert source.read_text() == SCRIPT.format(1)
    finally:
        subprocess.run(["umount", str(disk)], check=False)


def test_a_read_only_cache_is_used(place: Place) -> None:
    """What root prepared and nobody may write, such as a container's layer, serves fresh artifacts."""
    if os.geteuid() != 0:
        pytest.skip("needs another user")
    place.write("m.rs", SCRIPT.format(1))
    assert place.python("import m; print(m.value())").out == "1"
    code = "import os; os.setuid(12345); import m; print(m.value())"
    folders = [place.cache, *place.cache.rglob("*")]
    reachable = all(os.stat(parent).st_mode & 0o001 for parent in place.cache.parents)
    if not reachable:
        pytest.skip("the cache is below a private folder")
    assert folders
    assert place.python(code).builds == 0
