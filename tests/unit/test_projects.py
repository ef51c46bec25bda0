"""Which projects are installed. An index that was made during an installation must not be used after the next step."""

from __future__ import annotations

import sys
import time
import urllib.request  # noqa: F401 - `Path.as_uri` needs it where `sys.path` has no standard library.
from collections.abc import Callable, Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest
from rustimport import _finder, _projects

WHEEL = "Wheel-Version: 1.0\nGenerator: maturin (1.16.0)\nRoot-Is-Purelib: false\n"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    site = tmp_path / "site-packages"
    site.mkdir()
    monkeypatch.setattr(sys, "path", [str(site)])
    return site


def installation(site: Path, project: Path) -> Iterator[None]:
    """The steps of pip and `maturin develop`. An existing installation is removed first."""
    dist_info = site / "my_project-1.0.dist-info"
    for file in dist_info.glob("*"):
        file.unlink()
        yield
    if dist_info.exists():
        dist_info.rmdir()
        yield
    direct_url = dist_info / "direct_url.json"
    archive = '{"url": "file:///tmp/x.whl", "archive_info": {}}'
    editable = f'{{"url": "{project.as_uri()}", "dir_info": {{"editable": true}}}}'
    steps: list[Callable[[], object]] = [
        dist_info.mkdir,
        lambda: (dist_info / "METADATA").write_text("Name: my-project\n"),
        lambda: (dist_info / "WHEEL").write_text(""),
        lambda: (dist_info / "WHEEL").write_text(WHEEL),
        lambda: direct_url.write_text(archive),
        lambda: direct_url.write_text(""),
        lambda: direct_url.write_text(editable),
        lambda: (dist_info / "RECORD").write_text("other.so,,\n"),
        lambda: (dist_info / "RECORD").write_text("my_project.pth,,\n"),
        lambda: (site / "my_project.pth").write_text("\n"),
        lambda: (site / "my_project.pth").write_text(f"{project}/python\n"),
    ]
    for step in steps:
        step()
        yield


@pytest.mark.parametrize("pause", [0, 0.05])
def test_index_is_right_after_every_step_of_an_installation(tmp_path: Path, site: Path, pause: float) -> None:
    project = tmp_path / "project"
    (project / "python" / "my_project").mkdir(parents=True)
    (project / "python" / "my_project" / "__init__.py").write_text("")
    (project / "Cargo.toml").write_text('[package]\nname = "my-project"\n')

    def known() -> set[str]:
        finder = _projects.ProjectFinder(cache_dir=str(tmp_path / "cache"))
        finder.read_index()
        return set(finder.projects)

    known()
    # The second time, the project is already in the index.
    for _ in range(2):
        for _ in installation(site, project):
            known()
            time.sleep(pause)
        assert known() == {"my_project"}
        time.sleep(0.05)
        assert known() == {"my_project"}


def test_standard_library_imports_do_not_read_the_index(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its modules may be half imported, and the hook may need them."""
    finder = _projects.ProjectFinder(cache_dir="/proc/nothing")
    monkeypatch.setattr(finder, "read_index", lambda: pytest.fail("the index was read"))
    for name in ("importlib", "importlib.machinery", "json.tool"):
        assert finder.find_spec(name) is None
        assert finder.find_spec(name, []) is None
        assert _finder.ScriptFinder().find_spec(name, []) is None


def test_failures_do_not_affect_other_imports(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even while `logging` itself is being imported."""
    finder = _projects.ProjectFinder(cache_dir="/proc/nothing")
    monkeypatch.setattr(finder, "_index", lambda _: 1 / 0)
    monkeypatch.setitem(sys.modules, "logging", type(sys)("logging"))
    sys.modules["logging"].__spec__ = ModuleSpec("logging", None)
    sys.modules["logging"].__spec__._initializing = True  # type: ignore[attr-defined]
    assert finder.find_spec("somebody_elses") is None
