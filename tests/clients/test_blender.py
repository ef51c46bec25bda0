"""The real Blender, in background mode. `make test-pythons PYTHONS=blender` runs it in a Debian chroot."""

from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests import projects
from tests.build.test_projects import Environment, edit
from tests.conftest import ROOT, Place, Run

BLENDER = shutil.which("blender")
SOURCE = "// rustimport:pyo3\n#[pyfunction]\nfn value() -> i32 {{ {} }}\n"
EXAMPLE = ROOT / "examples" / "hosts" / "blender.py"

pytestmark = pytest.mark.skipif(BLENDER is None, reason="there is no Blender")


class Blender:
    """Blender, started as from a menu: without a shell's variables."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.place = place = environment.place
        self.file = place.folder / "scene.blend"
        self.scripts = place.folder / "scripts"
        (self.scripts / "startup").mkdir(parents=True)
        self.env = {name: place.env[name] for name in ("RUSTIMPORT_CACHE_DIR", "MATURIN_LOG", "CARGO_TARGET_DIR")}
        self.env |= {"HOME": place.env["HOME"], "BLENDER_USER_SCRIPTS": str(self.scripts), "PATH": "/usr/bin:/bin"}
        version = self.run("import sys; print('.'.join(map(str, sys.version_info[:2])))").out
        if version != f"{sys.version_info[0]}.{sys.version_info[1]}":
            pytest.skip(f"Blender has Python {version}")
        self.run(f"import bpy; bpy.ops.wm.save_as_mainfile(filepath={str(self.file)!r})")
        assert self.file.exists()

    def run(self, code: str, *files: Path, startup: bool = False) -> Run:
        """Opens the files, then runs the code like `--python`."""
        script = self.place.write(
            "run.py", f"import sys\nsys.path.append({str(self.place.folder)!r})\n{_printing(code)}"
        )
        place = self.scripts / "startup" / EXAMPLE.name
        if startup:
            shutil.copy(EXAMPLE, place)
        else:
            place.unlink(missing_ok=True)
        before = self.place.builds
        command: list[str | Path] = [
            BLENDER or "",
            "--background",
            *files,
            "--python-exit-code",
            "3",
            "--python",
            script,
        ]
        done = subprocess.run(command, env=self.env, cwd="/", capture_output=True, text=True, check=False, timeout=300)
        printed = "\n".join(line[2:] for line in done.stdout.splitlines() if line.startswith("> "))
        return Run(printed, done.stdout + done.stderr, done.returncode, self.place.builds - before)


def _printing(code: str) -> str:
    """Marks what the code prints, because Blender prints as well."""
    return "import builtins\ndef print(*words, **options): builtins.print('>', *words, **options)\n" + textwrap.dedent(
        code
    )


@pytest.fixture
def blender(place: Place) -> Blender:
    """Blender with a virtual environment, `.venv` next to the file, as the guide describes."""
    environment = Environment(place)
    (environment.bin / "maturin").symlink_to(place.env["RUSTIMPORT_MATURIN_EXECUTABLE"])
    (place.folder / ".venv").symlink_to(environment.prefix)
    return Blender(environment)


def test_editing_a_script_within_a_session(blender: Blender) -> None:
    """The script is built, edited and reloaded, broken and repaired; then the hook is turned off."""
    blender.place.write("m.rs", SOURCE.format(1))
    run = blender.run(
        f"""
        import pathlib, runpy, importlib
        example = runpy.run_path({str(EXAMPLE)!r}, run_name="__main__")
        import rustimport
        source = pathlib.Path({str(blender.place.folder / "m.rs")!r})
        import m
        print(m.value())
        source.write_text({SOURCE.format(2)!r})
        importlib.reload(m)
        print(m.value())
        source.write_text({SOURCE.format('"no number"')!r})
        try:
            importlib.reload(m)
        except rustimport.BuildError as error:
            print(error.diagnostics[0].line, m.value())
        source.write_text({SOURCE.format(3)!r})
        importlib.reload(m)
        print(m.value())
        example["unregister"]()
        print(any("rustimport" in type(finder).__module__ for finder in sys.meta_path))
        """,
        blender.file,
    )
    assert run.out.splitlines() == ["1", "2", "3 2", "3", "False"], run.stderr


def test_a_startup_script(blender: Blender) -> None:
    """It receives the path of each file that is opened. Without a file it prints nothing."""
    blender.place.write("m.rs", SOURCE.format(1))
    run = blender.run("import m; print(m.value())", blender.file, startup=True)
    assert run.out == "1", run.stderr
    # Without a file, a `.venv` in the working folder is not used.
    without = blender.run("print('rustimport' in sys.modules)", startup=True)
    assert without.out == "False", without.stderr
    assert EXAMPLE.name not in run.stderr + without.stderr


def test_a_project(blender: Blender) -> None:
    layout = projects.LAYOUTS["python-source"]
    root = blender.environment.project(layout)
    blender.environment.develop(root)
    first = blender.run(layout.code, blender.file, startup=True)
    assert (first.out, first.builds) == ("1", 0), first.stderr
    edit(root / layout.edited, projects.EDITED, "2")
    second = blender.run(layout.code, blender.file, startup=True)
    assert (second.out, second.builds) == ("2", 1), second.stderr
