"""The life of a project on Windows. What `maturin develop` installs is written here: the maturin that runs is that of
Linux, which cannot install into an environment of Windows.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import projects
from tests.wine.conftest import HOOK, Place, Run, finish

LAYOUT = projects.LAYOUTS["python-source"]
LIBRARY = "python/t_source/t_source.cp312-win_amd64.pyd"


class Project:
    def __init__(self, place: Place) -> None:
        self.place = place
        self.root = place.folder / "project"
        for file, text in LAYOUT.files.items():
            self.write(file, text.replace(projects.EDITED, "7"))
        #: Shared by all tests, so that pyo3 is compiled once.
        self.target = str(Path(os.environ["RUSTIMPORT_CACHE_DIR"]).with_name("target"))
        venv = place.folder / "venv"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
        self.python = venv / "Scripts" / "python.exe"
        self.site = venv / "Lib" / "site-packages"
        self.library = self.root / LIBRARY
        metadata = {
            "METADATA": "Metadata-Version: 2.4\nName: t-source\nVersion: 1.0\nRequires-Python: >=3.10\n",
            "WHEEL": "Wheel-Version: 1.0\nGenerator: maturin (1.16.0)\nRoot-Is-Purelib: false\n",
            "direct_url.json": json.dumps({"url": self.root.as_uri(), "dir_info": {"editable": True}}),
            "RECORD": "t_source.pth,,\nt_source-1.0.dist-info/RECORD,,\n",
        }
        (self.site / "t_source-1.0.dist-info").mkdir()
        for name, text in metadata.items():
            (self.site / "t_source-1.0.dist-info" / name).write_text(text, encoding="utf-8")
        (self.site / "t_source.pth").write_text(f"{self.root / 'python'}\n", encoding="utf-8")

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def edit(self, old: str, new: str) -> None:
        text = (self.root / "src/lib.rs").read_text(encoding="utf-8")
        assert old in text
        self.write("src/lib.rs", text.replace(old, new))

    def start(self, code: str = "import t_source; print(t_source.value())", **env: str) -> subprocess.Popen[str]:
        return self.place.spawn([str(self.python), "-c", HOOK + code], CARGO_TARGET_DIR=self.target, **env)

    def run(self, code: str = "import t_source; print(t_source.value())", **env: str) -> Run:
        return finish(self.start(code, **env))


@pytest.fixture
def project(place: Place) -> Project:
    return Project(place)


def test_first_import_fresh_import_edit_undo(project: Project) -> None:
    first = project.run()
    assert (first.out, "building t_source" in first.stderr, project.library.exists()) == ("7", True, True)
    fresh = project.run("import sys, t_source; print(t_source.value(), 'rustimport._core' in sys.modules)")
    assert (fresh.out, fresh.stderr) == ("7 False", "")
    project.edit("7", "8")
    edited = project.run()
    assert (edited.out, "building t_source" in edited.stderr) == ("8", True)
    assert (project.run().out, project.run().stderr) == ("8", "")
    project.edit("8", "7")
    undone = project.run()
    assert (undone.out, undone.builds) == ("7", 0)
    project.write("python/t_source/__init__.py", LAYOUT.files["python/t_source/__init__.py"] + "more = 1\n")
    assert (project.run().out, project.run().stderr) == ("7", "")


def test_an_edit_while_the_library_is_loaded(project: Project) -> None:
    """Windows does not let a loaded library be replaced: it is renamed, and another process loads the new one."""
    project.run()
    code = "import sys, t_source; print(t_source.value(), flush=True); sys.stdin.read(); print(t_source.value())"
    holder = subprocess.Popen(
        [str(project.python), "-c", HOOK + code],
        cwd=project.place.folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    project.place.started.append(holder)
    assert holder.stdout is not None
    assert holder.stdout.readline().strip() == "7"
    project.edit("7", "8")
    assert project.run().out == "8"
    out, err = holder.communicate(timeout=60)
    assert (out.strip(), holder.returncode) == ("7", 0), err
    assert project.run().out == "8"
    # What was renamed is removed as soon as nothing has it loaded.
    project.edit("8", "9")
    assert project.run().out == "9"
    assert [
        path.name for path in project.library.parent.iterdir() if path.suffix != ".py" and path.name != "__pycache__"
    ] == [project.library.name]


def test_reload_says_what_windows_cannot_do(project: Project) -> None:
    project.run()
    code = (
        "import importlib, t_source, pathlib\n"
        f"path = pathlib.Path({os.fspath(project.root / 'src/lib.rs')!r})\n"
        "path.write_text(path.read_text().replace('7', '8'))\n"
        "try:\n    importlib.reload(t_source)\nexcept ImportError as error:\n    print(error)\n"
    )
    run = project.run(code)
    assert "Windows keeps the library that is loaded" in run.out
    assert project.run().out == "8"


def test_two_processes_at_one_project(project: Project) -> None:
    both = [finish(process) for process in [project.start(), project.start()]]
    assert [run.out for run in both] == ["7", "7"]
    assert sum("building t_source" in run.stderr for run in both) == 1


def test_an_error_in_the_code(project: Project) -> None:
    project.edit("7", '"seven"')
    run = project.run()
    assert run.returncode != 0
    assert "src\\lib.rs:4" in run.stderr.replace("/", "\\")
    assert "mismatched types" in run.stderr
    project.edit('"seven"', "7")
    assert project.run().out == "7"
