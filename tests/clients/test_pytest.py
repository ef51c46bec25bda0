"""The pytest plugin, with and without the workers of pytest-xdist."""

from __future__ import annotations

import importlib.metadata
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.conftest import ROOT, Place

SOURCE = "// rustimport:pyo3\n#[pyfunction]\nfn value() -> i32 { 42 }\n"
TEST = """
    import os, pathlib, sys
    import pytest

    @pytest.mark.parametrize("n", range(8))
    def test_value(n):
        import m
        assert m.value() == 42
        pathlib.Path(f"worker-{os.getpid()}").write_text(str("rustimport._core" in sys.modules))
"""


def run(place: Place, *arguments: str) -> str:
    """The output of pytest, followed by its exit status."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--strict-markers", *arguments]
    done = subprocess.run(command, cwd=place.folder, env=place.env, capture_output=True, text=True, check=False)
    return f"{done.stdout}{done.stderr}\nstatus {done.returncode}"


def write(place: Place, test: str = TEST, ini: str = "") -> None:
    place.write("m.rs", SOURCE)
    place.write("test_m.py", textwrap.dedent(test))
    place.write("pytest.ini", f"[pytest]\n{ini}")


def test_workers_without_a_build_before_them(place: Place) -> None:
    """Of the workers that import a stale source, one builds it. The others wait, and load the result."""
    write(place)
    place.write("conftest.py", "import rustimport\nrustimport.install()\n")
    out = run(place, "-n", "4")
    assert "8 passed" in out, out
    assert "rustimport:" not in out.partition("passed")[0].replace("rustimport: building", ""), out
    assert place.builds == 1


def test_a_build_before_the_workers(place: Place) -> None:
    write(place, ini="addopts = --rustimport-build\nrustimport_paths = m.rs sub\n")
    place.write("sub/n.rs", SOURCE)
    place.write("not_named.rs", SOURCE)
    out = run(place, "-n", "4")
    assert "8 passed" in out, out
    assert out.count("rustimport: 2 built, 0 fresh, in") == 1
    assert place.builds == 2
    # The workers only compared stamps.
    assert {path.read_text() for path in place.folder.glob("worker-*")} == {"False"}
    assert "rustimport: 0 built, 2 fresh, in" in run(place)


def test_a_failure_before_the_workers(place: Place) -> None:
    write(place)
    place.write("m.rs", SOURCE.replace("42", "nothing"))
    out = run(place, "--rustimport-build", "-n", "2")
    assert out.count("not found in this scope") == 1, out
    assert "ERROR: m.rs: " in out
    assert "INTERNALERROR" not in out
    assert "Traceback" not in out
    assert out.endswith("status 4")
    assert "rustimport_paths: " in run(place, "--rustimport-build", "-o", "rustimport_paths=gone.rs")


def test_marker_with_settings(place: Place) -> None:
    test = """
        import pytest
        from rustimport import settings

        pytestmark = pytest.mark.rustimport(profile="dev", verbose=True)

        @pytest.mark.rustimport(profile="release")
        def test_marked():
            assert (settings.profile, settings.verbose) == ("release", True)
            import m
            assert m.is_optimised()

        def test_restored():
            assert (settings.profile, settings.verbose) == ("dev", True)
    """
    write(place, test)
    optimised = "#[pyfunction]\nfn is_optimised() -> bool { !cfg!(debug_assertions) }\n"
    place.write("m.rs", f"// rustimport:pyo3\n{optimised}")
    place.write(
        "test_other.py", "def test_other():\n    from rustimport import settings\n    assert not settings.profile\n"
    )
    out = run(place, "--rustimport-build")
    assert "3 passed" in out, out
    place.write("test_m.py", "import pytest\n@pytest.mark.rustimport(profil='x')\ndef test_m(): pass\n")
    out = run(place)
    assert "test_m.py::test_m: @pytest.mark.rustimport: there is no setting `profil`; available: cache_dir, " in out
    assert "INTERNALERROR" not in out


def test_silent_when_unused(place: Place, tmp_path: Path) -> None:
    """Also if the package is installed and turned on at the start of Python, before pytest; and with a pytest older
    than version 7."""
    site = tmp_path / "site-packages"
    dist_info = site / "rustimport-2.0.0.dist-info"
    dist_info.mkdir(parents=True)
    shutil.copytree(ROOT / "python" / "rustimport", site / "rustimport", ignore=shutil.ignore_patterns("__pycache__"))
    entry_points = importlib.metadata.distribution("rustimport").read_text("entry_points.txt")
    assert entry_points is not None
    (dist_info / "entry_points.txt").write_text(entry_points)
    (dist_info / "METADATA").write_text("Metadata-Version: 2.1\nName: rustimport\nVersion: 2.0.0\n")
    (dist_info / "RECORD").write_text("".join(f"{path.relative_to(site)},,\n" for path in site.rglob("*.py")))
    write(place, "def test_nothing(): pass\n")
    place.env["PYTHONPATH"] = str(site)
    switched_on = f"import rustimport; assert rustimport.__file__.startswith({str(site)!r}); rustimport.install(); "
    older = "import pytest; del pytest.StashKey; "
    for start in ("", switched_on, older):
        code = f"{start}import pytest; raise SystemExit(pytest.main(['-p', 'no:cacheprovider', '-p', 'no:timeout']))"
        done = place.python(code, hook=False)
        assert "1 passed in" in done.out
        assert "warning" not in done.out
        assert [line for line in done.stdout.splitlines() if "rustimport" in line and "plugins:" not in line] == []
        assert done.stderr == ""


def test_entry_point() -> None:
    found = importlib.metadata.entry_points(group="pytest11", name="rustimport")
    assert [entry.value for entry in found] == ["rustimport._pytest"], "install the package again: `make .venv/.dev`"
    assert pytest.importorskip("rustimport._pytest").pytest_report_header
