"""Content decides: what is rebuilt and when, and the reason that is reported."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.conftest import Place, Run

VALUE = "// rustimport:pyo3\n#[pyfunction]\nfn value() -> {type} {{ {value} }}\n"
IMPORT = "import m; print(m.value())"


def script(value: object, kind: str = "i32") -> str:
    return VALUE.format(value=value, type=kind)


def settle(*paths: Path) -> None:
    """Makes files old enough for their stats to be trusted."""
    for path in paths:
        os.utime(path, (1_000_000_000, 1_000_000_000.5))
    time.sleep(0.05)


def reason(run: Run) -> str:
    line = next(line for line in run.stderr.splitlines() if line.startswith("rustimport: building m"))
    return line.removeprefix("rustimport: building m").removeprefix(":").strip()


def check(place: Place, out: object, builds: int = 0, because: str | None = None, **env: str | None) -> Run:
    run = place.python(IMPORT, **env)  # type: ignore[arg-type]
    assert (run.out, run.builds) == (str(out), builds), run.stderr
    if because is not None:
        assert reason(run) == because
    return run


def test_edits_and_touches(place: Place) -> None:
    path = place.write("m.rs", script(1))
    check(place, 1, 1, "(first build)")
    place.write("m.rs", script(2))
    check(place, 2, 1, "`m.rs` changed")
    os.utime(path)
    check(place, 2, 0)
    path.chmod(0o600)
    check(place, 2, 0)
    shutil.copy(path, place.folder / "copy")
    os.replace(place.folder / "copy", path)
    time.sleep(0.05)
    check(place, 2, 0)
    place.write("README.md", "nothing")
    place.write("other.py", "nothing")
    run = place.python(IMPORT + "; import sys; print('rustimport._core' in sys.modules)")
    assert run.out == "2\nFalse"


def test_edits_within_a_clock_tick_are_noticed(place: Place) -> None:
    """Writes follow each other faster than the file system's clock ticks."""
    for value in range(3, 8):
        place.write("m.rs", script(value))
        check(place, value, 1)


@pytest.mark.parametrize("where", ["script", "helper", "dependency"])
def test_a_file_restored_with_its_old_time(place: Place, where: str) -> None:
    """Cargo alone would compile nothing, and return the newer artifact."""
    place.write("crates/helper/Cargo.toml", '[package]\nname = "helper"\nversion = "0.1.0"\nedition = "2021"\n')
    dependency = place.write("crates/helper/src/lib.rs", "pub fn value() -> i32 { 1 }\n")
    helper = place.write("part.rs", "pub fn value() -> i32 { 10 }\n")
    body = "helper::value() + part::value() + 100"
    header = '// rustimport:pyo3\n//: [dependencies]\n//: helper = { path = "crates/helper" }\nmod part;\n'
    source = place.write("m.rs", script(body).replace("// rustimport:pyo3\n", header))
    path, old, new, changed = {
        "script": (source, "100", "200", 211),
        "helper": (helper, "10", "20", 121),
        "dependency": (dependency, "{ 1 }", "{ 2 }", 112),
    }[where]
    settle(source, helper, dependency)
    check(place, 111, 1)
    backup = place.folder / "backup"
    shutil.copy2(path, backup)
    path.write_text(path.read_text().replace(old, new))
    check(place, changed, 1)
    shutil.copy2(backup, path)
    place.forget()
    check(place, 111, 1)
    check(place, 111, 0)


DEPENDENT = '// rustimport:pyo3\n//: [dependencies]\n//: helper = { path = "crates/helper" }\n'


def write_helper(place: Place, value: int) -> Path:
    place.write("crates/helper/Cargo.toml", '[package]\nname = "helper"\nversion = "0.1.0"\nedition = "2021"\n')
    return place.write("crates/helper/src/lib.rs", f"pub fn value() -> i32 {{ {value} }}\n")


def test_a_dependency_restored_after_a_failed_build(place: Place) -> None:
    """The failed build has compiled the newer dependency, which no record contains."""
    helper = write_helper(place, 1)
    source = script("helper::value()").replace("// rustimport:pyo3\n", DEPENDENT)
    place.write("m.rs", source)
    check(place, 1, 1)
    backup = helper.rename(place.folder / "backup")
    write_helper(place, 2)
    place.write("m.rs", source + "broken")
    assert "BuildError" in place.python(IMPORT).stderr
    backup.rename(helper)
    place.write("m.rs", source + "// fixed\n")
    assert place.python(IMPORT).out == "1"
    check(place, 1, 0)


def test_a_restored_dependency_that_another_script_compiled(place: Place) -> None:
    helper = write_helper(place, 1)
    source = script("helper::value()").replace("// rustimport:pyo3\n", DEPENDENT)
    place.write("m.rs", source)
    settle(helper)
    check(place, 1, 1)
    backup = Path(shutil.copy2(helper, place.folder / "backup"))
    write_helper(place, 2)
    check(place, 2, 1)
    shutil.copy2(backup, helper)
    place.write("other.rs", source)
    assert place.python("import other; print(other.value())").out == "1"


def test_build_scripts_that_name_folders_and_missing_files(place: Place) -> None:
    write_helper(place, 1)
    place.write("crates/helper/data/x.txt", "one")
    place.write(
        "crates/helper/build.rs",
        """
        fn main() {
            println!("cargo:rerun-if-changed=data");
            println!("cargo:rerun-if-changed=local.txt");
            let read = |path| std::fs::read_to_string(path).unwrap_or_default();
            println!("cargo:rustc-env=HELPER_TEXT={}{}", read("data/x.txt"), read("local.txt"));
        }
        """,
    )
    place.write("crates/helper/src/lib.rs", 'pub const TEXT: &str = env!("HELPER_TEXT");\n')
    place.write("m.rs", script("helper::TEXT", "&'static str").replace("// rustimport:pyo3\n", DEPENDENT))
    # Cargo would run the build script at every build, since one file is missing.
    notice = f"the build script of helper names `{place.folder}/crates/helper/local.txt` in rerun-if-changed"
    assert notice in check(place, "one", 1).stderr
    check(place, "one", 0)
    place.write("crates/helper/data/x.txt", "two")
    assert notice not in check(place, "two", 1, "`crates/helper/data/x.txt` changed").stderr
    place.write("crates/helper/local.txt", "!")
    check(place, "two!", 1, "`crates/helper/local.txt` appeared")
    check(place, "two!", 0)


def test_one_source_under_two_names(place: Place) -> None:
    place.write("m.rs", script(1))
    check(place, 1, 1)
    code = "m = rustimport.imp_from_path('m.rs', 'other'); print(m.value(), m.__name__)"
    run = place.python(code)
    assert (run.out, run.builds) == ("1 other", 1)
    assert place.python(code).builds == 0
    check(place, 1, 0)


def test_reload(place: Place) -> None:
    place.write("m.rs", script(1))
    run = place.python(
        """
        import importlib, m
        from m import value
        m.added = True
        assert importlib.reload(m) is m and m.value() == 1
        text = open("m.rs").read()
        open("m.rs", "w").write(text.replace("{ 1 }", "{ 2 }"))
        importlib.reload(m)
        print(m.value(), value(), m.added, m.__file__ == m.__spec__.origin)
        open("m.rs", "w").write(text.replace("{ 1 }", "{ nonsense }"))
        try:
            importlib.reload(m)
        except ImportError:
            print(m.value())
        open("m.rs", "w").write(text)
        print(importlib.reload(m).value())
        """
    )
    assert run.out.splitlines() == ["2 1 True True", "2", "1"]


def test_an_edit_that_makes_the_running_build_fail(place: Place, tmp_path: Path) -> None:
    """The generated files were made for the old source. The user does not see the error."""
    source = place.write("m.rs", script(1))
    maturin = tmp_path / "maturin"
    real = place.env["RUSTIMPORT_MATURIN_EXECUTABLE"]
    maturin.write_text(f'#!/bin/sh\nsed -i s/value/renamed/ {source}\nexec {real} "$@"\n')
    maturin.chmod(0o755)
    run = place.python("import m; print(m.renamed())", RUSTIMPORT_MATURIN_EXECUTABLE=str(maturin))
    assert run.out == "1"


def test_files_that_the_compiler_read(place: Place) -> None:
    place.write(
        "m.rs",
        script('helper::value() + include_str!("data.txt").len() as i32').replace("pyo3\n", "pyo3\nmod helper;\n"),
    )
    place.write("helper.rs", "pub fn value() -> i32 { 1 }\n")
    place.write("data.txt", "ab")
    check(place, 3, 1)
    place.write("helper.rs", "pub fn value() -> i32 { 5 }\n")
    check(place, 7, 1, "`helper.rs` changed")
    place.write("data.txt", "abc")
    check(place, 8, 1, "`data.txt` changed")
    (place.folder / "data.txt").unlink()
    run = place.python(IMPORT)
    assert "`data.txt` disappeared" in run.stderr
    assert "BuildError" in run.stderr
    place.write("data.txt", "abc")
    check(place, 8, 0)


def test_manifests_of_path_dependencies(place: Place) -> None:
    manifest = '[package]\nname = "helper"\nversion = "{}"\nedition = "2021"\n'
    place.write("crates/helper/Cargo.toml", manifest.format("1.0.0"))
    place.write(
        "crates/helper/src/lib.rs",
        'pub const VERSION: &str = env!("CARGO_PKG_VERSION");\npub const MADE: bool = cfg!(made);\n',
    )
    header = '// rustimport:pyo3\n//: [dependencies]\n//: helper = { path = "crates/helper" }\n'
    place.write(
        "m.rs",
        script('format!("{} {}", helper::VERSION, helper::MADE)', "String").replace("// rustimport:pyo3\n", header),
    )
    check(place, "1.0.0 false", 1)
    place.write("crates/helper/Cargo.toml", manifest.format("1.0.1"))
    check(place, "1.0.1 false", 1, "`crates/helper/Cargo.toml` changed")
    place.write("crates/helper/build.rs", 'fn main() { println!("cargo:rustc-cfg=made"); }\n')
    check(place, "1.0.1 true", 1, "`crates/helper/build.rs` appeared")
    check(place, "1.0.1 true", 0)


def test_files_that_build_scripts_name(place: Place) -> None:
    place.write("crates/helper/Cargo.toml", '[package]\nname = "helper"\nversion = "0.1.0"\nedition = "2021"\n')
    place.write(
        "crates/helper/build.rs",
        """
        fn main() {
            println!("cargo:rerun-if-changed=input.txt");
            println!("cargo:rerun-if-env-changed=HELPER_VARIABLE");
            let text = std::fs::read_to_string("input.txt").unwrap();
            let variable = std::env::var("HELPER_VARIABLE").unwrap_or_default();
            println!("cargo:rustc-env=HELPER_TEXT={}{variable}", text.trim());
        }
        """,
    )
    text = place.write("crates/helper/input.txt", "one")
    place.write("crates/helper/src/lib.rs", 'pub const TEXT: &str = env!("HELPER_TEXT");\n')
    header = '// rustimport:pyo3\n//: [dependencies]\n//: helper = { path = "crates/helper" }\n'
    place.write("m.rs", script("helper::TEXT", "&'static str").replace("// rustimport:pyo3\n", header))
    settle(text)
    check(place, "one", 1)
    check(place, "one", 0)
    backup = shutil.copy2(text, place.folder / "backup")
    place.write("crates/helper/input.txt", "two")
    check(place, "two", 1, "`crates/helper/input.txt` changed")
    check(place, "twoX", 1, "`HELPER_VARIABLE` changed", HELPER_VARIABLE="X")
    shutil.copy2(backup, text)
    place.forget()
    check(place, "one", 1)


def test_variables(place: Place) -> None:
    expression = 'format!("{} {:?}", env!("FEATURE"), option_env!("MAYBE"))'
    place.write("m.rs", script(expression, "String"))
    check(place, "a None", 1, FEATURE="a")
    check(place, "a None", 0, FEATURE="a", UNRELATED="x", RUST_LOG="info")
    check(place, "b None", 1, "`FEATURE` changed", FEATURE="b")
    check(place, 'b Some("1\\n%")', 1, "`MAYBE` changed", FEATURE="b", MAYBE="1\n%")
    check(place, 'b Some("1\\n%")', 0, FEATURE="b", MAYBE="1\n%")
    check(place, "b None", 0, FEATURE="b")


def test_variables_that_cargo_sets_for_build_scripts_only(place: Place) -> None:
    place.write("m.rs", script('option_env!("DEBUG").unwrap_or("unset")', "&'static str"))
    check(place, "unset", 1)
    check(place, "one", 1, "`DEBUG` changed", DEBUG="one")


def test_variables_that_cargo_reads(place: Place) -> None:
    place.write("m.rs", script("cfg!(custom)", "bool"))
    check(place, False, 1)
    run = check(place, True, 1, RUSTFLAGS="--cfg custom --check-cfg cfg(custom)")
    assert reason(run) == "`RUSTFLAGS` changed"
    check(place, False, 0)


def test_cargo_configuration(place: Place) -> None:
    """It applies to its folder and those below, and is noticed when it appears, changes and disappears."""
    place.write("inner/m.rs", script('option_env!("CONFIGURED").unwrap_or("no")', "&'static str"))
    code = "import sys; sys.path.insert(0, 'inner'); " + IMPORT

    def check(out: str, builds: int, because: str = "") -> None:
        run = place.python(code)
        assert (run.out, run.builds) == (out, builds), run.stderr
        if because:
            assert reason(run) == because

    check("no", 1)
    (place.folder / ".cargo").mkdir()
    check("no", 0)
    config = place.write(".cargo/config.toml", '[env]\nCONFIGURED = "one"\n')
    check("one", 1, f"`{config}` appeared")
    check("one", 0)
    place.write(".cargo/config.toml", '[env]\nCONFIGURED = "two"\n[build]\ntarget-dir = "elsewhere"\n')
    check("two", 1, f"`{config}` changed")
    assert not list(place.folder.rglob("elsewhere"))
    config.unlink()
    check("no", 0)
    place.write(".cargo/config.toml", '[env]\nCONFIGURED = "three"\n')
    check("three", 1, f"`{config}` appeared")
    place.forget()
    config.unlink()
    check("no", 1, f"`{config}` disappeared")


def test_included_configuration(place: Place) -> None:
    version = subprocess.run(["cargo", "--version"], env=place.env, capture_output=True, text=True, check=True).stdout
    if int(version.split(".")[1]) < 94:
        pytest.skip(f"{version.strip()} includes no files")
    place.write("m.rs", script('env!("WORD")', "&'static str"))
    place.write(".cargo/config.toml", 'include = ["flags.toml", { path = "more.toml", optional = true }]\n')
    flags = place.write(".cargo/flags.toml", '[env]\nWORD = "one"\n')
    check(place, "one", 1)
    check(place, "one", 0)
    place.write(".cargo/flags.toml", '[env]\nWORD = "two"\n')
    check(place, "two", 1, "`.cargo/flags.toml` changed")
    place.write(".cargo/more.toml", '[env]\nOTHER = "x"\n')
    check(place, "two", 1, "`.cargo/more.toml` appeared")
    assert flags.exists()


def test_patterns(place: Place) -> None:
    place.write("m.rs", script(1).replace("pyo3\n", "pyo3\n//d: data/**/*.json\n//d: ./*.toml\n"))
    (place.folder / "data" / "deep").mkdir(parents=True)
    check(place, 1, 1)
    place.write("data/deep/x.json", "{}")
    check(place, 1, 1, "`data/deep/x.json` appeared")
    place.write("data/deep/x.json", "[]")
    check(place, 1, 1, "`data/deep/x.json` changed")
    place.write("data/deep/x.txt", "[]")
    check(place, 1, 0)
    (place.folder / "data" / "deep" / "x.json").unlink()
    check(place, 1, 0)
    place.write("a.toml", "")
    check(place, 1, 1, "`a.toml` appeared")


def test_missing_or_damaged_artifact(place: Place) -> None:
    place.write("m.rs", script(1))
    check(place, 1, 1)
    (artifact,) = place.entry("m").glob("*/m.*.so")
    artifact.unlink()
    check(place, 1, 0)
    place.forget()
    artifact = max(place.entry("m").glob("*/m.*.so"))
    artifact.write_bytes(artifact.read_bytes()[:-10] + b"0123456789")
    check(place, 1, 1, "the built library is missing or damaged")
    shutil.rmtree(place.entry("m"))
    check(place, 1, 0)
    shutil.rmtree(place.entry("m"))
    place.forget()
    check(place, 1, 1, "(first build)")


def test_an_artifact_deleted_between_check_and_load(place: Place) -> None:
    place.write("m.rs", script(1))
    check(place, 1, 1)
    run = place.python(
        """
        import importlib.util, os
        spec = importlib.util.find_spec("m")
        os.unlink(spec.origin)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        print(module.value())
        """
    )
    assert (run.out, run.builds) == ("1", 0)


def test_artifacts_get_new_paths(place: Place) -> None:
    paths = set()
    for value in (1, 2, 1):
        place.write("m.rs", script(value))
        paths.add(place.python("import m; print(m.__file__)").out)
    assert len(paths) == 3


def test_a_repaired_source_needs_no_build(place: Place) -> None:
    place.write("m.rs", script(1))
    check(place, 1, 1)
    place.write("m.rs", script("nonsense"))
    assert "BuildError" in place.python(IMPORT).stderr
    place.write("m.rs", script(1))
    check(place, 1, 0)


def test_force(place: Place) -> None:
    place.write("m.rs", script(1))
    check(place, 1, 1)
    code = """
        import m, sys
        del sys.modules["m"]
        import m
        print(m.value())
    """
    run = place.python(code, RUSTIMPORT_FORCE_REBUILD="true")
    assert (run.out, run.builds) == ("1", 1)
    assert reason(run) == "rebuild requested"
    run = place.python("import rustimport; rustimport.install(force_rebuild=True); import m", hook=False)
    assert run.builds == 1
    run = place.python("rustimport.imp('m', force_rebuild=True)")
    assert run.builds == 1


def test_an_edit_during_the_build_is_stale_afterwards(place: Place, tmp_path: Path) -> None:
    """The edit is made while maturin runs: before or after the compiler reads the files."""
    place.write("m.rs", script("helper::VALUE + 10").replace("pyo3\n", "pyo3\nmod helper;\n"))
    place.write("helper.rs", "pub const VALUE: i32 = 1;\n")
    maturin = Path(place.env["RUSTIMPORT_MATURIN_EXECUTABLE"])
    for moment in ("before", "after"):
        edit = f"sleep 0.1; sed -i 's/= 1/= 2/' {place.folder}/helper.rs; sed -i 's/+ 10/+ 20/' {place.folder}/m.rs\n"
        run = f'"{maturin}" "$@"\nstatus=$?\n'
        wrapper = tmp_path / f"maturin-{moment}"
        wrapper.write_text("#!/bin/sh\n" + (edit + run if moment == "before" else run + edit) + "exit $status\n")
        wrapper.chmod(0o755)
        shutil.rmtree(place.entry("m"), ignore_errors=True)
        place.forget()
        place.write("m.rs", script("helper::VALUE + 10").replace("pyo3\n", "pyo3\nmod helper;\n"))
        place.write("helper.rs", "pub const VALUE: i32 = 1;\n")
        first = place.python(IMPORT, RUSTIMPORT_MATURIN_EXECUTABLE=str(wrapper))
        assert first.out in ("11", "22")
        last = place.python(IMPORT)
        assert last.out == "22"
        if moment == "after":
            assert last.builds == 1
        check(place, 22, 0)


@pytest.mark.parametrize("kind", ["first", "warning"])
def test_an_edit_before_cargo_repeats_its_messages(place: Place, tmp_path: Path, kind: str) -> None:
    """Cargo compiles again then; what it compiles is not what maturin put into the wheel."""
    place.write("m.rs", script('include_str!("data.txt")', "&'static str"))
    data = place.write("data.txt", "one")
    if kind == "warning":
        check(place, "one", 1)
        place.write("m.rs", script('include_str!("data.txt")', "&'static str") + "fn unused() {}\n")
    maturin = tmp_path / "maturin"
    real = place.env["RUSTIMPORT_MATURIN_EXECUTABLE"]
    edit = f"test -e {tmp_path}/done || printf two > {data}; touch {tmp_path}/done"
    maturin.write_text(f'#!/bin/sh\n"{real}" "$@"\nstatus=$?\nsleep 0.05\n{edit}\nexit $status\n')
    maturin.chmod(0o755)
    place.python(IMPORT, RUSTIMPORT_MATURIN_EXECUTABLE=str(maturin))
    assert (tmp_path / "done").exists()
    assert place.python(IMPORT).out == "two"


@pytest.mark.parametrize("edited", ["data.txt", "m.rs"])
def test_an_edit_that_is_undone_during_the_build(place: Place, tmp_path: Path, edited: str) -> None:
    place.write("m.rs", script('concat!("a ", include_str!("data.txt"))', "&'static str"))
    place.write("data.txt", "a")
    check(place, "a a", 1)
    place.write("m.rs", script('concat!("a ", include_str!("data.txt"), "")', "&'static str"))
    path = place.folder / edited
    shutil.copy(path, tmp_path / "before")
    maturin = tmp_path / "maturin"
    real = place.env["RUSTIMPORT_MATURIN_EXECUTABLE"]
    wrong = f"sed 's/^a$/b/; s/\"a /\"b /' {tmp_path}/before > {path}"
    maturin.write_text(f'#!/bin/sh\n{wrong}\n"{real}" "$@"\nstatus=$?\ncp {tmp_path}/before {path}\nexit $status\n')
    maturin.chmod(0o755)
    run = place.python(IMPORT, RUSTIMPORT_MATURIN_EXECUTABLE=str(maturin))
    assert "b" in run.out
    check(place, "a a", 1)
    check(place, "a a", 0)


def test_a_folder_that_is_created_later(place: Place) -> None:
    place.write("m.rs", script(1).replace("pyo3\n", "pyo3\n//d: assets\n//d: a/b/**/*.x\n"))
    check(place, 1, 1)
    time.sleep(0.1)
    check(place, 1, 0)
    place.write("a/b/c/d.x", "one")
    check(place, 1, 1, "`a/b/c/d.x` appeared")
    place.write("a/b/c/d.x", "two")
    check(place, 1, 1, "`a/b/c/d.x` changed")
    place.write("assets/deep/x.txt", "one")
    check(place, 1, 1, "`assets/deep/x.txt` appeared")
    # A link that leads up.
    (place.folder / "assets" / "deep" / "up").symlink_to("..")
    check(place, 1, 0)
    place.write("assets/deep/x.txt", "two")
    check(place, 1, 1, "`assets/deep/x.txt` changed")


def test_a_dependency_of_several_scripts_is_replaced_by_an_older_one(place: Place) -> None:
    """Renaming a folder changes no times, and cargo compares nothing else."""
    for version in ("v1", "v2"):
        place.write(f"{version}/Cargo.toml", '[package]\nname = "helper"\nversion = "0.1.0"\nedition = "2021"\n')
        place.write(f"{version}/src/lib.rs", f'pub const VALUE: &str = "{version}";\n')
    current = place.folder / "current"
    (place.folder / "v1").rename(current)
    for name in ("m", "n"):
        code = script("helper::VALUE", "&'static str").replace(
            "pyo3\n", "pyo3\n//: [dependencies]\n//: helper = { path = 'current' }\n"
        )
        place.write(f"{name}.rs", code)
    check(place, "v1", 1)
    current.rename(place.folder / "v1")
    (place.folder / "v2").rename(current)
    assert place.python("import n; print(n.value())").out == "v2"
    check(place, "v2", 1)
    # What another script has compiled from the present content is used.
    place.write("m.rs", (place.folder / "m.rs").read_text() + "// edited\n")
    run = place.python(IMPORT, RUSTIMPORT_VERBOSE="1")
    assert (run.out, run.builds) == ("v2", 1)
    assert "treated stale packages as fresh" not in run.stderr


@pytest.mark.parametrize("declared", ["", 'println!("cargo:rerun-if-changed=data");'])
def test_a_dependency_whose_build_script_reads_a_folder(place: Place, declared: str) -> None:
    """The file is replaced by one that is older than the build."""
    place.write("helper/Cargo.toml", '[package]\nname = "helper"\nversion = "0.1.0"\nedition = "2021"\n')
    place.write("helper/src/lib.rs", 'pub const VALUE: &str = env!("VALUE");\n')
    text = 'std::fs::read_to_string("data/value").unwrap()'
    place.write("helper/build.rs", f'fn main() {{ {declared} println!("cargo:rustc-env=VALUE={{}}", {text}); }}\n')
    value = place.write("helper/data/value", "one")
    for name in ("m", "n"):
        code = script("helper::VALUE", "&'static str")
        header = "pyo3\n//: [dependencies]\n//: helper = { path = 'helper' }\n"
        place.write(f"{name}.rs", code.replace("pyo3\n", header))
    code = "import m, n; print(m.value(), n.value())"
    assert place.python(code).out == "one one"
    for text in ("two", "six"):
        value.write_text(text)
        os.utime(value, (1_500_000_000, 1_500_000_000))
        assert place.python(code).out == f"{text} {text}"


@pytest.mark.skipif(shutil.which("git") is None, reason="there is no git")
def test_files_that_a_build_script_of_a_dependency_reads(place: Place, tmp_path: Path) -> None:
    config = tmp_path / "config.txt"
    config.write_text("one")
    package = tmp_path / "reads"
    (package / "src").mkdir(parents=True)
    (package / "Cargo.toml").write_text('[package]\nname = "reads"\nversion = "0.1.0"\nedition = "2021"\n')
    (package / "src" / "lib.rs").write_text('pub const TEXT: &str = env!("TEXT");\n')
    (package / "build.rs").write_text(
        f"""
        fn main() {{
            println!("\\n    cargo:rerun-if-changed={config}\\n");
            println!("cargo:rustc-env=TEXT={{}}", std::fs::read_to_string("{config}").unwrap());
        }}
        """
    )
    git = ["git", "-C", str(package), "-c", "user.name=x", "-c", "user.email=x@x"]
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", "x"]):
        subprocess.run([*git, *arguments], check=True)
    place.write(
        "m.rs",
        f"//: [dependencies]\n//: reads = {{ git = 'file://{package}' }}\n" + script("reads::TEXT", "&'static str"),
    )
    text = (place.folder / "m.rs").read_text()
    place.write("m.rs", "// rustimport:pyo3\n" + text.replace("// rustimport:pyo3\n", ""))
    check(place, "one", 1)
    config.write_text("two")
    check(place, "two", 1, f"`{config}` changed")


def test_another_toolchain(place: Place, tmp_path: Path) -> None:
    """A rustc that reports another version causes a rebuild; the same rustc in another folder does not."""
    place.write("m.rs", script(1))
    check(place, 1, 1)
    real = shutil.which("cargo", path=place.env["PATH"])
    assert real is not None
    tools = tmp_path / "bin"
    tools.mkdir()
    rustc = os.path.join(os.path.dirname(real), "rustc")
    for name in ("cargo", "rustc"):
        (tools / name).write_text(f'#!/bin/sh\nexec "{os.path.join(os.path.dirname(real), name)}" "$@"\n')
        (tools / name).chmod(0o755)
    path = f"{tools}:{place.env['PATH']}"
    check(place, 1, 0, PATH=path)
    lie = f'"{rustc}" -vV | sed "s/^LLVM version: .*/LLVM version: 22.9.9/"'
    other = f'if [ "$1" = -vV ]; then {lie}; else exec "{rustc}" "$@"; fi'
    (tools / "rustc").write_text(f"#!/bin/sh\n{other}\n")
    run = check(place, 1, 1, PATH=path)
    assert reason(run) == "rustc changed"


def test_ctrl_c_ends_the_build_and_all_its_children(place: Place, tmp_path: Path) -> None:
    place.write("m.rs", script(1))
    maturin = tmp_path / "maturin"
    maturin.write_text(f"#!/bin/sh\n(sleep 2; touch {tmp_path}/survived) &\ntouch {tmp_path}/started\nsleep 600\n")
    maturin.chmod(0o755)
    process = place.start("import m", RUSTIMPORT_MATURIN_EXECUTABLE=str(maturin))
    while not (tmp_path / "started").exists():
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert "KeyboardInterrupt" in stderr
    time.sleep(2.5)
    assert not (tmp_path / "survived").exists()
    check(place, 1, 1)


def test_other_threads_continue_during_a_build(place: Place) -> None:
    place.write("m.rs", script(1))
    run = place.python(
        """
        import threading, time
        ticks = []
        def tick():
            while not done.wait(0.005):
                ticks.append(time.monotonic())
        done = threading.Event()
        thread = threading.Thread(target=tick)
        thread.start()
        import m
        done.set()
        print(len(ticks) > 10, m.value())
        """
    )
    assert run.out == "True 1"


def test_many_threads_import_many_scripts(place: Place) -> None:
    for index in range(4):
        place.write(f"m{index}.rs", script(index))
    run = place.python(
        """
        import importlib, threading
        results = []
        def load(index):
            results.append(importlib.import_module(f"m{index % 4}").value())
        threads = [threading.Thread(target=load, args=(index,)) for index in range(12)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        print(sorted(results))
        """
    )
    assert (run.out, run.builds) == ("[0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]", 4)


def test_disabled(place: Place) -> None:
    place.write("m.rs", script(1))
    for name in ("RUSTIMPORT_ENABLED", "MATURIN_IMPORT_HOOK_ENABLED"):
        run = place.python("import m", **{name: "0"})  # type: ignore[arg-type]
        assert "ModuleNotFoundError" in run.stderr
        assert run.builds == 0


def test_activating_the_environment_rebuilds_nothing(place: Place) -> None:
    place.write("m.rs", script(1))
    check(place, 1, 1)
    path = f"/somewhere/bin:{place.env['PATH']}"
    check(place, 1, 0, VIRTUAL_ENV="/somewhere", PATH=path)
    place.write("m.rs", script(2))
    run = check(place, 2, 1, VIRTUAL_ENV="/somewhere", CONDA_PREFIX="/else", PATH=path, RUSTIMPORT_VERBOSE="1")
    assert run.stderr.count(" Compiling ") == 1


def test_both_halves_read_a_stamp_alike(place: Place) -> None:
    """The core writes stamps. What Python and the core read in them is the same, for every input."""
    helper = place.write("helper.txt", "1")
    place.write(
        "m.rs", '// rustimport:pyo3\n#[pyfunction]\nfn value() -> &\'static str { include_str!("helper.txt") }\n'
    )
    assert place.python("import m; print(m.value())").out == "1"
    time.sleep(0.1)
    assert place.python("import m").builds == 0
    stamp = place.entry("m") / "stamp"
    source = place.folder / "m.rs"
    code = f"""
        import sys
        from rustimport import _cache, _native
        data = _cache.read({str(stamp)!r})
        context = _cache.sealed_lines(data)[1].split()[0].decode()
        artifact = _cache.fresh_artifact({str(stamp)!r}, {str(source)!r}, context)
        print(artifact is not None, _native.core.files_are_unchanged(data))
        print(*_cache.stamped_paths({str(stamp)!r}), sep="\\n")
    """
    first = place.python(code, hook=False).out.splitlines()
    assert first[0] == "True True"
    inputs = [Path(line) for line in first[1:] if Path(line).is_file()]
    assert {helper, source} <= set(inputs)
    for path in inputs:
        if place.folder not in path.parents and place.cache not in path.parents:
            continue
        before = path.stat()
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1000))
        assert place.python(code, hook=False).out.splitlines()[0] == "False False", path
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        # The time of the last change of its properties cannot be set back.
        assert place.python("import m").builds == 0
