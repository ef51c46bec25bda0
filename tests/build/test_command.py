"""The command line: files, output and exit status."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rustimport import _cli

from tests.conftest import Place

SUFFIX = sysconfig.get_config_var("EXT_SUFFIX")
SCRIPT = "// rustimport:pyo3\n#[pyfunction]\nfn value() -> i32 {{ {} }}\n"


def command(place: Place, *arguments: str, stdin: str = "", **env: Any) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in {**place.env, **env}.items() if value is not None}
    return subprocess.run(
        [sys.executable, "-m", "rustimport", *arguments],
        cwd=place.folder,
        env=environ,
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )


def without_rust(place: Place) -> dict[str, Any]:
    """The environment of a machine without Rust, a cache or a writable home folder."""
    empty = place.folder.parent / "empty"
    empty.mkdir(exist_ok=True)
    return {
        "PATH": str(empty),
        "HOME": str(empty),
        "CARGO_HOME": str(empty),
        "RUSTIMPORT_CACHE_DIR": str(empty / "cache"),
        "RUSTIMPORT_MATURIN_EXECUTABLE": None,
    }


def test_help_at_every_level(place: Place) -> None:
    for arguments in ([], ["site"], ["cache"]):
        run = command(place, *arguments)
        assert (run.returncode, run.stdout) == (0, command(place, *arguments, "--help").stdout)
        assert "usage: rustimport" in run.stdout

    def helps(parser: argparse.ArgumentParser) -> Iterator[str]:
        assert parser.description
        yield parser.format_help()
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                listed = {choice.dest for choice in action._choices_actions}
                assert listed == set(action.choices)
                for inner in action.choices.values():
                    yield from helps(inner)
            elif action.help != argparse.SUPPRESS:
                assert action.help, f"{parser.prog}: {action.dest}"

    assert all(text.startswith("usage: rustimport") for text in helps(_cli._parser()))


def test_new_sources_can_be_imported_and_nothing_is_overwritten(place: Place) -> None:
    run = command(place, "new", "first.rs")
    assert run.stdout.splitlines()[0] == "wrote first.rs"
    assert place.python("import first; print(first.say_hello())").out == "Hello from first, implemented in Rust!"
    before = (place.folder / "first.rs").read_text()
    run = command(place, "new", "first.rs")
    assert (run.returncode, "existing files are not overwritten" in run.stderr) == (2, True)
    assert (place.folder / "first.rs").read_text() == before
    names = ("1st.rs", "with-dash.rs", "naïve.rs", "first.rs/sub", "no/where.rs", "json.rs", "class", "self", "foo.py")
    for name in names:
        run = command(place, "new", name)
        assert run.returncode == 2, name
        assert "hint: " in run.stderr
    assert sorted(path.name for path in place.folder.iterdir()) == ["first.rs"]
    run = command(place, "new", "second")
    written = [f"wrote second/{name}" for name in ("src/lib.rs", "Cargo.toml", ".rustimport")]
    assert run.stdout.splitlines()[:3] == written
    assert place.python("import second; print(second.say_hello())").out == "Hello from second, implemented in Rust!"
    assert command(place, "new", "second").returncode == 2
    (place.folder / "my dir").mkdir()
    assert f"cd '{place.folder}/my dir' && " in command(place, "new", "my dir/third.rs").stdout


def test_build_continues_after_a_failure(place: Place) -> None:
    place.write("good.rs", SCRIPT.format(1))
    place.write("package/__init__.py", "")
    place.write("package/bad.rs", SCRIPT.format("nonsense"))
    place.write("package/other.rs", SCRIPT.format(2))
    place.write("plain.rs", "fn main() {}\n")
    run = command(place, "build", "--json")
    assert run.returncode == 1
    results = {os.path.relpath(result["path"], place.folder): result for result in json.loads(run.stdout)}
    assert sorted(results) == ["good.rs", "package/bad.rs", "package/other.rs"]
    assert results["good.rs"]["artifact"] == str(place.folder / f"good{SUFFIX}")
    assert "cannot find value `nonsense`" in results["package/bad.rs"]["error"]
    run = command(place, "build")
    assert run.stdout == "0 built, 2 fresh, 1 failed\n"
    assert "package/bad.rs: package/bad.rs" not in run.stderr
    assert run.stderr.count("not found in this scope") == 1
    assert command(place, "build", "nowhere").returncode == 2
    assert command(place, "build", "--release", "--profile", "small").returncode == 2


def test_a_built_tree_imports_without_rust(place: Place) -> None:
    """Also in another folder and with other times, while the content of the sources is the same."""
    place.write("tree/data.txt", "ab")
    source = place.write("tree/m.rs", SCRIPT.format('include_str!("data.txt").len() as i32'))
    assert command(place, "build", "tree", "--release").returncode == 0
    assert sorted(path.name for path in (place.folder / "tree").iterdir()) == [
        f".rustimport-m{SUFFIX}.toml",
        "data.txt",
        f"m{SUFFIX}",
        "m.rs",
    ]
    moved = Path(shutil.move(place.folder / "tree", place.folder / "elsewhere"))
    for path in moved.iterdir():
        os.utime(path, (1_000_000_000, 1_000_000_000))
    code = "import sys; sys.path.insert(0, 'elsewhere'); import m; print(m.value(), m.__file__)"
    for _ in range(2):
        run = place.python(code, **without_rust(place))
        assert run.out == f"2 {moved}/m{SUFFIX}"
        assert run.stderr == ""
    (moved / "data.txt").write_text("abc")
    run = place.python(code, **without_rust(place))
    assert "ToolchainError" in run.stderr
    assert source.name == "m.rs"


def test_a_library_of_another_source_is_never_loaded(place: Place) -> None:
    place.write("m.rs", SCRIPT.format(1))
    place.write("n.rs", SCRIPT.format(2).replace("value", "other"))
    assert command(place, "build").returncode == 0
    # An empty library, one of another source, and a truncated one.
    for damage in (b"", (place.folder / f"n{SUFFIX}").read_bytes(), (place.folder / f"m{SUFFIX}").read_bytes()[:-1]):
        (place.folder / f"m{SUFFIX}").write_bytes(damage)
        assert place.python("import m; print(m.value())").out == "1"
    (place.folder / f".rustimport-m{SUFFIX}.toml").unlink()
    assert place.python("import m; print(m.value())").out == "1"


def test_check_builds_nothing(place: Place) -> None:
    place.write("m.rs", SCRIPT.format(1))
    run = command(place, "build", "--check")
    assert (run.returncode, run.stderr) == (1, "m.rs: never built\n")
    assert command(place, "build").stdout == "1 built, 0 fresh, 0 failed\n"
    assert command(place, "build", "--check").returncode == 0
    place.write("m.rs", SCRIPT.format(2))
    run = command(place, "build", "--check")
    assert (run.returncode, run.stderr) == (1, "m.rs: `m.rs` changed\n")
    # An import uses the library only if it is fresh.
    assert place.python("import m; print(m.value())").out == "2"


def test_profiles_in_place(place: Place) -> None:
    """A library that was built for production is used by imports that request no other profile."""
    place.write("m.rs", SCRIPT.format("cfg!(debug_assertions) as i32"))
    assert command(place, "build", "--release").returncode == 0
    shutil.rmtree(place.entry("m"))
    place.forget()
    run = place.python("import m; print(m.value())")
    assert (run.out, run.builds) == ("0", 0)
    run = place.python("import m; print(m.value())", RUSTIMPORT_PROFILE="small")
    assert (run.out, run.builds) == ("0", 1)


def test_cache(place: Place, tmp_path: Path) -> None:
    cache = str(tmp_path / "cache")
    text = (
        "// rustimport\nuse std::ptr::null_mut;\n"
        '#[no_mangle] pub extern "C" fn PyInit_{}() -> *mut u8 {{ null_mut() }}\n'
    )
    for name in ("m", "gone"):
        place.write(f"{name}.rs", text.format(name))
        place.python(f"import {name}", RUSTIMPORT_CACHE_DIR=cache)
    env: dict[str, Any] = {"RUSTIMPORT_CACHE_DIR": cache}
    (place.folder / "gone.rs").unlink()
    found = json.loads(command(place, "cache", "info", "-f", "json", **env).stdout)
    assert found["path"] == cache
    (interpreter,) = found["interpreters"]
    assert {Path(entry["source"]).name: entry["exists"] for entry in interpreter["sources"]} == {
        "m.rs": True,
        "gone.rs": False,
    }
    assert found["bytes"] > interpreter["lanes"] > interpreter["store"] > 0
    assert "gone.rs  (deleted)" in command(place, "cache", "info", **env).stdout

    assert command(place, "cache", "prune", **env).stdout.startswith("removed ")
    found = json.loads(command(place, "cache", "info", "-f", "json", **env).stdout)
    assert [Path(entry["source"]).name for entry in found["interpreters"][0]["sources"]] == ["m.rs"]
    assert not list((tmp_path / "cache").rglob("*gone_*"))

    run = command(place, "cache", "clear", stdin="n\n", **env)
    assert run.returncode == 1
    assert Path(cache, "v1").exists()
    assert command(place, "clear-cache", "--yes", **env).returncode == 0
    assert not list(Path(cache, "v1").iterdir())
    assert "there is no cache" in command(place, "cache", "clear", "-y", RUSTIMPORT_CACHE_DIR=f"{cache}2").stdout


def test_update(place: Place) -> None:
    """Dependencies from git move when they are updated, not before."""
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@t", "-C", str(place.folder / "tiny")]

    def commit(value: int) -> None:
        place.write("tiny/Cargo.toml", '[package]\nname = "tiny"\nversion = "1.0.0"\nedition = "2021"\n')
        place.write("tiny/src/lib.rs", f"pub const VALUE: i32 = {value};\n")
        for words in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message", "m"]):
            subprocess.run([*git, *words], env=place.env, check=True)

    commit(7)
    place.write(
        "m.rs",
        f"""
        // rustimport
        //: [dependencies]
        //: tiny = {{ git = "{(place.folder / "tiny").as_uri()}" }}
        #[no_mangle]
        pub extern "C" fn PyInit_m() {{ std::process::exit(tiny::VALUE) }}
        """,
    )
    assert place.python("import m").returncode == 7
    commit(8)
    run = place.python("import m", RUSTIMPORT_FORCE_REBUILD="1")
    assert run.returncode == 7, run.stderr
    assert "m.rs:\n    tiny: 1.0.0 (" in command(place, "update", "m.rs").stdout
    assert place.python("import m").returncode == 8
    assert command(place, "update", ".").stdout == "m.rs: nothing to update\n"
    # New scripts start from the version that was updated last.
    place.write("n.rs", (place.folder / "m.rs").read_text().replace("PyInit_m", "PyInit_n"))
    assert place.python("import n").returncode == 8


def test_warming(place: Place, tmp_path: Path) -> None:
    """The first import finds a library that was warmed, and warming again builds nothing."""
    place.write("m.rs", SCRIPT.format(7))
    before = place.builds
    assert command(place, "cache", "warm", ".").stdout == "2 ready, 0 failed\n"
    assert not list(place.folder.glob("*.so"))
    warmed = place.builds
    assert warmed > before
    assert command(place, "cache", "warm").stdout == "1 ready, 0 failed\n"
    assert place.builds == warmed
    assert place.python("import m; print(m.value())").builds == 0
    place.write("bad.rs", SCRIPT.format("nonsense"))
    assert command(place, "cache", "warm", ".").returncode == 1


def test_clearing_waits_for_builds(place: Place, tmp_path: Path) -> None:
    maturin = tmp_path / "maturin"
    maturin.write_text(
        f"#!/bin/sh\ntouch {tmp_path}/began\nwhile [ ! -e {tmp_path}/go ]; do sleep 0.05; done\nexit 1\n"
    )
    maturin.chmod(0o755)
    env: dict[str, Any] = {
        "RUSTIMPORT_CACHE_DIR": str(tmp_path / "cache"),
        "RUSTIMPORT_MATURIN_EXECUTABLE": str(maturin),
    }
    place.write("m.rs", SCRIPT.format(1))
    building = place.start("import m", **env)
    while not (tmp_path / "began").exists():
        assert building.poll() is None
    clearing = subprocess.Popen(
        [sys.executable, "-m", "rustimport", "cache", "clear", "-y"],
        env={**place.env, **env},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert clearing.stderr is not None
    assert clearing.stderr.readline() == "waiting for running builds to finish\n"
    (tmp_path / "go").touch()
    assert "BuildError" in building.communicate(timeout=60)[1]
    assert clearing.wait(timeout=60) == 0


def test_version_and_info(place: Place) -> None:
    found = json.loads(command(place, "version", "--format", "json").stdout)
    assert set(found) == {"rustimport", "maturin", "cargo", "rustc", "python", "platform"}
    assert all(found.values())
    place.write("pyproject.toml", '[tool.rustimport]\npyo3 = "0.30"\n')
    run = command(place, "info", "-f", "json", RUSTIMPORT_PROFILE="release", MY_SECRET_TOKEN="hunter2")
    settings = json.loads(run.stdout)["settings"]
    assert settings["profile"] == {"value": "release", "from": "RUSTIMPORT_PROFILE"}
    assert settings["pyo3"] == {"value": "0.30", "from": str(place.folder / "pyproject.toml")}
    assert settings["verbose"] == {"value": False, "from": "default"}
    assert "hunter2" not in run.stdout
    assert "rustc: rustc " in command(place, "version").stdout


BAD = [
    ["--nonsense"],
    ["nonsense"],
    ["site", "install", "--nonsense"],
    ["cache", "info", "-f", "xml"],
    ["cache", "prune", "--days", "-1"],
    ["cache", "export"],
    ["new"],
    ["build", "-j", "0"],
    ["build", "-j", "many"],
    ["build", "--wheel", ""],
    ["cache", "prune", "--size", "1e300GB"],
    ["cache", "prune", "--size", "MB"],
]


@pytest.mark.parametrize("arguments", BAD)
def test_bad_input(place: Place, arguments: list[str]) -> None:
    run = command(place, *arguments)
    assert run.returncode == 2
    assert "usage: rustimport" in run.stderr


def test_sources_that_build_finds(place: Place) -> None:
    """Members of a workspace and scripts in unmarked crates are found. If a script and a crate have one name, only the
    script is built, because an import prefers it."""
    manifest = '[package]\nname = "{}"\nversion = "0.1.0"\nedition = "2021"\n[dependencies]\npyo3 = "0.30"\n'
    library = "use pyo3::prelude::*;\n#[pymodule]\nmod {} {{}}\n"
    place.write("ws/Cargo.toml", '[workspace]\nmembers = ["k"]\n')
    place.write("ws/k/Cargo.toml", "# rustimport\n" + manifest.format("k"))
    place.write("ws/k/src/lib.rs", library.format("k"))
    place.write("plain/Cargo.toml", manifest.format("plain"))
    place.write("plain/python/fast.rs", SCRIPT.format(1))
    place.write("k.rs", SCRIPT.format(2))
    place.write("k/Cargo.toml", "# rustimport\n" + manifest.format("k"))
    place.write("k/src/lib.rs", library.format("k"))
    for _ in range(2):
        run = command(place, "build", "--json")
        assert run.returncode == 0, run.stderr
    found = {os.path.relpath(result["path"], place.folder): result["built"] for result in json.loads(run.stdout)}
    assert found == {"k.rs": False, "plain/python/fast.rs": False, "ws/k": False}
    inner = Place(place.folder / "plain", Path(place.env["RUSTIMPORT_MATURIN_EXECUTABLE"]))
    assert command(inner, "build").stdout == "0 built, 1 fresh, 0 failed\n"
    assert not list(place.folder.glob("plain*.so"))


def test_other_files_are_not_overwritten(place: Place) -> None:
    place.write("m.rs", SCRIPT.format(1))
    artifact = place.folder / f"m{SUFFIX}"
    theirs = place.write("theirs", "precious")
    artifact.symlink_to(theirs)
    run = command(place, "build")
    assert run.returncode == 1
    assert "is there already, and rustimport did not put it there" in run.stderr
    assert command(place, "build", "--force").returncode == 0
    assert not artifact.is_symlink()
    assert theirs.read_text() == "precious"
    # A description is next to it, but of another file.
    artifact.write_text("mine")
    place.write("m.rs", SCRIPT.format(2))
    assert command(place, "build").returncode == 1
    assert artifact.read_text() == "mine"


def test_build_and_check_agree(place: Place) -> None:
    place.write("m.rs", SCRIPT.format(1))
    assert command(place, "build", "--release").stdout == "1 built, 0 fresh, 0 failed\n"
    assert command(place, "build", "--check", "--release").returncode == 0
    # `--check` compares with the requested profile.
    check = command(place, "build", "--check")
    assert (check.returncode, check.stderr) == (1, "m.rs: profile changed from `release` to `dev`\n")
    # An import requests no profile.
    assert place.python("import m; print(m.__file__)").out == str(place.folder / f"m{SUFFIX}")
    assert command(place, "build").stdout == "1 built, 0 fresh, 0 failed\n"
    assert command(place, "build", "--check").returncode == 0
    assert command(place, "build").stdout == "0 built, 1 fresh, 0 failed\n"
    assert command(place, "build", "--check", "--release").returncode == 1
    assert command(place, "build", "--force", "--release").stdout == "1 built, 0 fresh, 0 failed\n"


def test_reload_of_what_is_built_in_place(place: Place) -> None:
    text = SCRIPT.format(1)
    place.write("m.rs", text)
    assert command(place, "build").returncode == 0
    shutil.rmtree(place.entry("m"))
    run = place.python(
        f"""
        import importlib, m
        print(m.value(), m.__file__.startswith({str(place.folder)!r}))
        text = open("m.rs").read()
        open("m.rs", "w").write(text.replace("{{ 1 }}", "{{ 2 }}"))
        print(importlib.reload(m).value())
        open("m.rs", "w").write(text)
        print(importlib.reload(m).value(), importlib.reload(m).value())
        """
    )
    assert run.out.split() == ["1", "True", "2", "1", "1"]


def test_an_interrupt_ends_builds(place: Place, tmp_path: Path) -> None:
    maturin = tmp_path / "maturin"
    maturin.write_text(f"#!/bin/sh\ntouch {tmp_path}/began\nsleep 600\n")
    maturin.chmod(0o755)
    for name in ("m", "n"):
        place.write(f"{name}.rs", SCRIPT.format(1))
    process = subprocess.Popen(
        [sys.executable, "-m", "rustimport", "build"],
        cwd=place.folder,
        env={**place.env, "RUSTIMPORT_MATURIN_EXECUTABLE": str(maturin)},
        stderr=subprocess.PIPE,
    )
    while not (tmp_path / "began").exists():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 130


RELEASE: dict[str, Any] = {"RUSTIMPORT_RELEASE_MODE": "1"}


def test_release_mode(place: Place) -> None:
    """Nothing is checked, no compiler or core is needed, and the error for a missing library names the command."""
    place.write("m.rs", SCRIPT.format(1))
    place.write("n.rs", SCRIPT.format(5))
    assert command(place, "build", "m.rs").returncode == 0
    place.write("m.rs", SCRIPT.format(2))
    code = "import sys, m; print(m.value(), type(m.__loader__).__name__, 'rustimport._core' in sys.modules)"
    run = place.python(code, **RELEASE)
    assert run.out == "1 ExtensionFileLoader False"
    run = place.python("import n", **RELEASE)
    assert f"there is no library for {place.folder}/n.rs, and release mode builds nothing" in run.stderr
    assert f"python -m rustimport build --release {place.folder}/n.rs" in run.stderr
    # A library that an import has built is used as well.
    assert place.python("import n; print(n.value())").out == "5"
    place.write("n.rs", SCRIPT.format(6))
    run = place.python("import n; print(n.value())", **RELEASE)
    assert (run.out, run.builds) == ("5", 0)
    run = place.python("rustimport.settings.release_mode = True; import n; print(n.value())")
    assert (run.out, run.builds) == ("5", 0)
    run = place.python("import sys; print([type(f).__name__ for f in sys.meta_path][-1])", **RELEASE)
    assert run.out == "ReleaseFinder"
    place.write("unmarked.rs", "fn main() {}\n")
    run = place.python("import unmarked", **RELEASE)
    assert "ModuleNotFoundError: No module named 'unmarked'" in run.stderr


def test_building_from_python(place: Place) -> None:
    place.write("m.rs", SCRIPT.format(1))
    place.write("package/__init__.py", "")
    place.write("package/sub.rs", SCRIPT.format(2))
    place.write("bad.rs", SCRIPT.format("nonsense"))
    place.write("unmarked.rs", SCRIPT.format(3).replace("// rustimport:pyo3", "use pyo3::prelude::*;"))
    run = place.python(
        """
        result = rustimport.build("package.sub")
        print(result.path, result.artifact, result.built)
        print(rustimport.build_filepath("m.rs", release=True).built, rustimport.build_filepath("m.rs").built)
        built, not_built = rustimport.build_all(".")
        print(sorted(r.path[-5:] for r in built), [r.path[-6:] for r in not_built])
        for attempt in (lambda: rustimport.build("nothing"), lambda: rustimport.build_filepath("nothing.rs"),
                        lambda: rustimport.build("bad"), lambda: rustimport.build_filepath("unmarked.rs", opt_in=True)):
            try: attempt()
            except Exception as error: print(type(error).__name__)
        rustimport.settings.rtld_flags = 2
        import os, m, sys
        print(m.value(), sys.getdlopenflags() == os.RTLD_NOW)
        """
    )
    folder = place.folder
    assert run.out.splitlines() == [
        f"{folder}/package/sub.rs {folder}/package/sub{SUFFIX} True",
        "True True",
        "['/m.rs', 'ub.rs'] ['bad.rs']",
        "ModuleNotFoundError",
        "FileNotFoundError",
        "BuildError",
        "ProjectError",
        "1 True",
    ]


def other_python() -> tuple[str, str] | None:
    """Another Python on this machine, and the suffix of its extension modules."""
    code = "import sys, sysconfig; print(sys.version_info >= (3, 10), sysconfig.get_config_var('EXT_SUFFIX'))"
    for python in (Path("/usr/bin/python3"), *Path.home().glob(".pyenv/versions/3.1[0-3]*/bin/python")):
        if python.exists():
            run = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=False)
            supported, _, suffix = run.stdout.strip().partition(" ")
            if supported == "True" and suffix != SUFFIX:
                return str(python), suffix
    return None


def test_build_for_another_python(place: Place) -> None:
    """RUSTIMPORT_PYTHON, whether or not this package is installed in it."""
    place.write("m.rs", '// rustimport\n#[no_mangle] pub extern "C" fn PyInit_m() -> *mut u8 { 0 as *mut u8 }\n')
    run = command(place, "build", RUSTIMPORT_PYTHON="/no/such/python")
    assert run.returncode == 2
    assert "/no/such/python, the Python to build for, does not start" in run.stderr
    assert "hint: set RUSTIMPORT_PYTHON to the path of a Python" in run.stderr
    assert command(place, "build", RUSTIMPORT_PYTHON=sys.executable).stdout == "1 built, 0 fresh, 0 failed\n"
    found = other_python()
    if found is None:
        pytest.skip("there is no other Python")
    python, suffix = found
    run = command(place, "build", RUSTIMPORT_PYTHON=python)
    assert run.stdout == "1 built, 0 fresh, 0 failed\n", run.stderr
    assert (place.folder / f"m{suffix}").exists()
    assert command(place, "build", "--check", "nowhere", RUSTIMPORT_PYTHON=python).returncode == 2


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
def test_a_bar_on_a_terminal(place: Place) -> None:
    import pty

    for name in ("a", "b", "c"):
        place.write(f"{name}.rs", SCRIPT.format(1))
    ours, theirs = pty.openpty()
    arguments = [sys.executable, "-m", "rustimport", "build"]
    process = subprocess.Popen(arguments, cwd=place.folder, env={**place.env, "TERM": "xterm"}, stderr=theirs)
    os.close(theirs)
    seen = b""
    while process.poll() is None or seen == b"":
        try:
            seen += os.read(ours, 65536)
        except OSError:
            break
    os.close(ours)
    assert process.wait() == 0
    for number in (1, 2, 3):
        assert f"] {number}/3 ".encode() in seen
    # The cursor is restored, and log lines do not run into the bar.
    assert seen.endswith(b"\r\x1b[K")
    lines = [line.rpartition(b"\x1b[K")[2] for line in seen.split(b"\r\n")]
    assert sum(line.startswith(b"rustimport: built ") for line in lines) == 3
    assert not any(b"[" in line for line in lines if line)
