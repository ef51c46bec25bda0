"""The life of scripts and crates on Windows. The compiler is that of the Linux system around it (`forward.rs`).

`watch` is not tested: changes of watched folders do not arrive under Wine.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

SCRIPT = "// rustimport:pyo3\n#[pyfunction]\nfn value() -> i32 {{ {} }}\n"
HOOK = "import rustimport; rustimport.install()\n"
PRINT = "import m; print(m.value())"


@dataclass
class Run:
    stdout: str
    stderr: str
    returncode: int

    @property
    def out(self) -> str:
        assert self.returncode == 0, self.stderr
        return self.stdout.strip()

    @property
    def builds(self) -> int:
        return self.stderr.count("rustimport: built ")


class Place:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started: list[subprocess.Popen[str]] = []

    def write(self, value: int, name: str = "m") -> Path:
        path = self.folder / f"{name}.rs"
        path.write_text(SCRIPT.format(value), encoding="utf-8")
        return path

    def start(self, code: str, cwd: Path | str | None = None, **env: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", HOOK + textwrap.dedent(code)]
        return self.spawn(command, cwd, **env)

    def spawn(self, command: list[str], cwd: Path | str | None = None, **env: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            command,
            cwd=cwd or self.folder,
            env={**os.environ, **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
        )
        self.started.append(process)
        return process

    def python(self, code: str = PRINT, cwd: Path | str | None = None, **env: str) -> Run:
        return finish(self.start(code, cwd, **env))

    def command(self, *arguments: str, **env: str) -> Run:
        return finish(self.spawn([sys.executable, "-m", "rustimport", *arguments], **env))


def finish(process: subprocess.Popen[str]) -> Run:
    stdout, stderr = process.communicate(timeout=120)
    return Run(stdout, stderr, process.returncode)


def running(name: str) -> set[str]:
    """The numbers of the processes of a program."""
    lines = subprocess.run(["tasklist"], capture_output=True, text=True, check=False).stdout.splitlines()
    return {line.split()[1] for line in lines if line.startswith(name)}


@pytest.fixture
def place(tmp_path: Path) -> Any:
    folder = tmp_path / "place"
    folder.mkdir()
    place = Place(folder)
    # What an earlier test built of the same content is not used.
    for store in Path(os.environ["RUSTIMPORT_CACHE_DIR"]).glob("v1/*/store"):
        shutil.rmtree(store)
    yield place
    for process in place.started:
        process.kill()
        process.wait()


def test_first_import_fresh_import_edit_undo(place: Place) -> None:
    place.write(7)
    code = "import sys, m; print(m.value(), 'rustimport._core' in sys.modules)"
    first = place.python(code)
    assert (first.out, first.builds) == ("7 True", 1)
    # Fresh: the core is not even loaded.
    fresh = place.python(code)
    assert (fresh.out, fresh.stderr) == ("7 False", "")
    place.write(8)
    assert (place.python().out, place.python().stderr) == ("8", "")
    place.write(7)
    undone = place.python()
    assert (undone.out, undone.builds) == ("7", 0)


def test_an_error_is_in_the_users_file(place: Place) -> None:
    path = place.write(7)
    path.write_text(path.read_text().replace("{ 7 }", '{ "seven" }'))
    run = place.python()
    assert run.returncode == 1
    assert "BuildError: m.rs does not compile (1 error)" in run.stderr
    assert "m.rs:3:" in run.stderr


def test_inputs(place: Place) -> None:
    """A module, an included file and a variable, with paths as this system writes them."""
    (place.folder / "part").mkdir()
    (place.folder / "part" / "mod.rs").write_text('pub const PART: &str = include_str!("data.txt");\n')
    (place.folder / "part" / "data.txt").write_text("one")
    (place.folder / "m.rs").write_text(
        "// rustimport:pyo3\nmod part;\n#[pyfunction]\n"
        'fn value() -> String { format!("{} {:?}", part::PART, option_env!("FLAVOUR")) }\n'
    )
    assert place.python().out == "one None"
    assert place.python().stderr == ""
    (place.folder / "part" / "data.txt").write_text("two")
    assert place.python().out == "two None"
    assert place.python(FLAVOUR="x").out == 'two Some("x")'
    (place.folder / "part" / "mod.rs").write_text('pub const PART: &str = "three";\n')
    assert place.python().out == "three None"


def test_line_ends(place: Place) -> None:
    text = SCRIPT.format(7).replace("pyo3\n", "pyo3\n//: [package]\n//: version = '3.2.1'\n").replace("\n", "\r\n")
    (place.folder / "m.rs").write_bytes(text.encode())
    run = place.python()
    assert (run.out, run.builds) == ("7", 1)
    assert place.python().stderr == ""


def test_crates(place: Place) -> None:
    crate = place.folder / "c"
    (crate / "src").mkdir(parents=True)
    (crate / ".rustimport").touch()
    (crate / "Cargo.toml").write_text(
        '[package]\nname = "c"\nversion = "1.0.0"\nedition = "2021"\n\n[dependencies]\npyo3 = "0.30"\n'
    )
    code = "use pyo3::prelude::*;\nmod part;\n#[pymodule] mod c {\n#[pyo3::pyfunction]\n"
    code += "fn value() -> i32 { super::part::PART }\n}\n"
    (crate / "src" / "lib.rs").write_text(code)
    (crate / "src" / "part.rs").write_text("pub const PART: i32 = 1;\n")
    show = "import c; print(c.value())"
    assert place.python(show).out == "1"
    assert place.python(show).stderr == ""
    (crate / "src" / "part.rs").write_text("pub const PART: i32 = 2;\n")
    assert place.python(show).out == "2"


def test_reload_while_the_old_library_is_loaded(place: Place) -> None:
    """A loaded library can be neither replaced nor removed here."""
    place.write(1)
    code = """
        import importlib, pathlib, m
        values, old = [m.value()], m.value
        for value in (2, 3, 1):
            path = pathlib.Path("m.rs")
            path.write_text(path.read_text().replace(f"{{ {values[-1]} }}", f"{{ {value} }}"))
            importlib.reload(m)
            values.append(m.value())
        print(values, old())
    """
    assert place.python(code).out == "[1, 2, 3, 1] 1"


def test_two_processes_at_one_source(place: Place) -> None:
    place.write(7)
    runs = [finish(process) for process in [place.start(PRINT) for _ in range(3)]]
    assert [run.out for run in runs] == ["7"] * 3
    assert sum(run.builds for run in runs) == 1


def test_waiting_for_a_lock(place: Place) -> None:
    place.write(7)
    slow = place.start(PRINT, FORWARD_SLEEP="6")
    time.sleep(3)
    code = "import rustimport; rustimport.install(lock_timeout_seconds=0.5); import m"
    run = place.python(code)
    assert run.returncode == 1
    assert "LockTimeout" in run.stderr
    waits = place.python()
    assert (waits.out, waits.builds) == ("7", 0)
    assert "m.rs is waiting for" in waits.stderr
    assert finish(slow).out == "7"


def test_kills_during_a_build(place: Place) -> None:
    """The next import is right, and no tool is left running."""
    for number, seconds in enumerate((0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.5)):
        place.write(number)
        process = place.start(PRINT, FORWARD_SLEEP="0.3")
        time.sleep(seconds)
        process.kill()
        process.wait()
        assert place.python().out == str(number)
    place.write(100)
    before = running("maturin.exe")
    process = place.start(PRINT, FORWARD_SLEEP="60")
    while not running("maturin.exe") - before:
        assert process.poll() is None
    process.kill()
    process.wait()
    for _ in range(50):
        if not running("maturin.exe") - before:
            break
        time.sleep(0.1)
    assert running("maturin.exe") - before == set()
    assert place.python().out == "100"


def test_next_to_the_source(place: Place) -> None:
    """Built, imported without the compiler, and built again while another process has the library loaded."""
    place.write(7)
    run = place.command("build", "m.rs")
    assert run.out == "1 built, 0 fresh, 0 failed", run.stderr
    release = {"RUSTIMPORT_RELEASE_MODE": "1"}
    assert place.python("import m; print(m.value(), m.__file__)", **release).out.startswith("7 " + str(place.folder))
    holder = place.start("import m, time; print(m.value(), flush=True); time.sleep(60)", **release)
    assert holder.stdout is not None
    assert holder.stdout.readline().strip() == "7"
    place.write(8)
    run = place.command("build", "m.rs")
    assert run.out == "1 built, 0 fresh, 0 failed", run.stderr
    assert place.python(**release).out == "8"
    holder.kill()
    holder.wait()
    place.write(9)
    assert place.command("build", "m.rs").out == "1 built, 0 fresh, 0 failed"
    assert [path.name for path in place.folder.glob("*.pyd")] == ["m.cp312-win_amd64.pyd"]


def test_clearing_the_cache_beside_a_loaded_library(place: Place, tmp_path: Path) -> None:
    own = {"RUSTIMPORT_CACHE_DIR": str(tmp_path / "cache")}
    place.write(7)
    assert place.python(**own).out == "7"
    holder = place.start("import m, time; print(m.value(), flush=True); time.sleep(60)", **own)
    assert holder.stdout is not None
    assert holder.stdout.readline().strip() == "7"
    run = place.command("cache", "clear", "-y", **own)
    assert "Traceback" not in run.stderr
    assert run.returncode == 0 or "hint: " in run.stderr
    holder.kill()
    holder.wait()
    assert place.command("cache", "clear", "-y", **own).returncode == 0
    assert not list((tmp_path / "cache").glob("v1/*/entries/*"))


@pytest.mark.parametrize("name", ["größe", "日本", "a b", "100%", "#1", "x" * 60])
def test_folders_with_any_name(place: Place, name: str) -> None:
    place.folder /= name
    place.folder.mkdir()
    place.write(7)
    run = place.python()
    assert (run.out, run.builds) == ("7", 1)
    assert place.python().stderr == ""
    place.write(8)
    assert place.python().out == "8"


def test_the_same_folder_by_other_names(place: Place) -> None:
    """A drive letter in the other case, the prefix of long paths, forward slashes, a mapped drive."""
    place.write(7)
    assert place.python().out == "7"
    text = str(place.folder)
    other = text[0].swapcase() + text[1:]
    for entry in (other, f"\\\\?\\{text}", text.replace("\\", "/"), text + "\\", text.upper()):
        code = f"import sys; sys.path[0] = {entry!r}; import m; print(m.value())"
        run = place.python(code, cwd=place.folder.parent)
        assert run.out == "7", entry
        again = place.python(code, cwd=place.folder.parent)
        assert (again.out, again.builds) == ("7", 0), entry


def test_a_mapped_drive(place: Place) -> None:
    place.write(7)
    if subprocess.run(["subst", "X:", str(place.folder)], check=False).returncode or not os.path.isdir("X:\\"):
        pytest.skip("no subst here")
    try:
        assert place.python(cwd="X:\\").out == "7"
    finally:
        subprocess.run(["subst", "X:", "/D"], check=False)


def test_names_are_case_sensitive(place: Place) -> None:
    place.write(7)
    run = place.python("import M")
    assert "ModuleNotFoundError: No module named 'M'" in run.stderr


def test_long_paths(place: Place) -> None:
    folder = Path("\\\\?\\" + str(place.folder), *["folder-of-thirty-characters-" + str(n) for n in range(8)])
    folder.mkdir(parents=True)
    (folder / "m.rs").write_text(SCRIPT.format(7))
    code = f"import sys; sys.path[0] = {str(folder)[4:]!r}; import m; print(m.value())"
    run = place.python(code)
    # Whether the compiler can read it is up to the system: what it says has to arrive.
    assert run.returncode == 0 or "hint: " in run.stderr, run.stderr


def test_a_missing_tool_is_said(place: Place) -> None:
    place.write(7)
    empty = place.folder.parent / "empty"
    empty.mkdir()
    env = {"PATH": str(empty), "CARGO_HOME": str(empty), "USERPROFILE": str(empty)}
    run = place.python(**env)
    assert "ToolchainError: cargo was found neither on PATH nor in ~/.cargo/bin" in run.stderr
