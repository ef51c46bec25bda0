"""Many processes on one source: exactly one build, and all of them load it."""

from __future__ import annotations

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
