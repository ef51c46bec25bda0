"""Many processes import one source at once: there is one build, and all of them load it."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from tests.build.test_carrying import BARE
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


@pytest.mark.skipif(sys.platform == "win32", reason="fcntl is Unix's")
def test_an_import_that_waits_for_a_clear_builds(place: Place, tmp_path: Path) -> None:
    import fcntl

    cache = tmp_path / "cache"
    cache.mkdir(0o700)
    place.write("m.rs", BARE.format(name="m"))
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = place.start("import m", RUSTIMPORT_CACHE_DIR=str(cache))
        assert process.stderr is not None
        assert "which is clearing the cache" in process.stderr.readline()
        # What `cache clear` removes.
        shutil.rmtree(cache / "v1", ignore_errors=True)
    _, stderr = process.communicate(timeout=120)
    assert "SystemError" in stderr, stderr
