"""The life of scripts and crates on Windows."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.wine.conftest import PRINT, SCRIPT, Place, finish, running


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
    tools = Path(os.environ["RUSTIMPORT_MATURIN_EXECUTABLE"]).parent
    before, folders = running("maturin.exe"), set(tools.glob("forward-*"))
    process = place.start(PRINT, FORWARD_SLEEP="60")
    # A tool is created suspended, and what is killed until it runs may leave it so. It makes a folder when it runs.
    while not (running("maturin.exe") - before and set(tools.glob("forward-*")) - folders):
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


@pytest.mark.parametrize("how", ["_thread.interrupt_main()", "os.kill(0, signal.CTRL_C_EVENT)"])
def test_ctrl_c_during_a_build(place: Place, how: str) -> None:
    """The job ends with everything in it, and the next import builds."""
    place.write(7)
    before = running("maturin.exe")
    code = f"""
        import _thread, os, signal, threading
        threading.Timer(4, lambda: {how}).start()
        import m
    """
    run = finish(place.start(code, FORWARD_SLEEP="10"))
    if run.returncode == 0 and "kill" in how:
        pytest.skip("no console here")
    assert run.returncode != 0
    assert "KeyboardInterrupt" in run.stderr
    assert running("maturin.exe") <= before
    assert place.python().out == "7"


def test_a_remote_store(place: Place) -> None:
    """What was built in one folder is fetched in another, with a signature; paths of Windows are paths of a tree."""
    folder = place.folder
    env = {"RUSTIMPORT_CONFIG_DIR": str(folder / "config"), "RUSTIMPORT_REMOTE": (folder / "store").as_uri()}
    key = place.command("-q", "remote", "keygen", **env).out
    env["RUSTIMPORT_REMOTE_TRUST"] = key
    for name in ("one", "two"):
        (folder / name).mkdir()
        (folder / name / "m.rs").write_text(SCRIPT.format(7), encoding="utf-8")
    pushed = place.command("remote", "push", "one", **env, RUSTIMPORT_REMOTE_MODE="read-write")
    assert pushed.out == "1 written, 0 already there, 0 stay, 0 failed", pushed.stderr
    for store in Path(os.environ["RUSTIMPORT_CACHE_DIR"]).glob("v1/*/store"):
        shutil.rmtree(store)
    run = place.python(cwd=folder / "two", **env)
    assert (run.out, run.builds, "fetched m from file:///" in run.stderr) == ("7", 0, True), run.stderr
