"""Crates: package folders that can be imported like a module, and are not changed."""

from __future__ import annotations

import random
import subprocess
import sysconfig
from pathlib import Path

import pytest
from rustimport import _cache

from tests.conftest import Place

MANIFEST = """\
# rustimport
[package]
name = "{name}"
version = "0.1.0"
edition = "2021"

[dependencies]
pyo3 = "0.30"
{more}
"""

LIBRARY = """\
use pyo3::prelude::*;
{items}
#[pymodule]
mod {name} {{
    use super::*;
    #[pyfunction]
    fn value() -> {type} {{ {value} }}
}}
"""

IMPORT = "import m; print(m.value())"


def write_crate(
    place: Place, value: str, folder: str = "m", items: str = "", more: str = "", kind: str = "i32"
) -> None:
    name = folder.rpartition("/")[2]
    place.write(f"{folder}/Cargo.toml", MANIFEST.format(name=name, more=more))
    place.write(f"{folder}/src/lib.rs", LIBRARY.format(name=name, value=value, items=items, type=kind))


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def check(place: Place, out: object, builds: int, because: str | None = None, code: str = IMPORT) -> str:
    run = place.python(code)
    assert (run.out, run.builds) == (str(out), builds), run.stderr
    if because is not None:
        separator = " " if because == "(first build)" else ": "
        assert f"building m{separator}{because}\n" in run.stderr
    return run.stderr


def test_a_crate(place: Place) -> None:
    write_crate(place, "part::VALUE", items="mod part;")
    place.write("m/src/part.rs", "pub const VALUE: i32 = 1;\n")
    before = files(place.folder)
    check(place, 1, 1, "(first build)")
    check(place, 1, 0)
    place.write("m/src/part.rs", "pub const VALUE: i32 = 2;\n")
    check(place, 2, 1, "`src/part.rs` changed")
    place.write("m/README.md", "nothing")
    check(place, 2, 0)
    place.write("m/src/part.rs", "pub const VALUE: i32 = 1;\n")
    check(place, 1, 0)
    place.write("m/Cargo.toml", MANIFEST.format(name="m", more="[features]\nx = []\n"))
    check(place, 1, 1, "`Cargo.toml` changed")
    # Nothing is written to the sources, not even a lock file.
    assert files(place.folder) - before == {"m/README.md"}


def test_markers(place: Place) -> None:
    write_crate(place, "1")
    manifest = place.folder / "m" / "Cargo.toml"
    manifest.write_text(manifest.read_text().replace("# rustimport\n", ""))
    assert "ModuleNotFoundError" in place.python(IMPORT.replace("import m;", "import m.x;")).stderr
    run = place.python("import m; print(hasattr(m, 'value'), m.__path__ is not None)")
    assert run.out == "False True"
    run = place.python("print(rustimport.imp('m').value(), rustimport.imp_from_path('./m/').value())")
    assert run.out == "1 1"
    place.write("m/.rustimport", "")
    check(place, 1, 0)
    (place.folder / "m" / ".rustimport").unlink()
    assert place.python("import m; print(hasattr(m, 'value'))").out == "False"


def test_order_within_a_folder(place: Place) -> None:
    """A package comes before a script, a crate and a `.py` file in one folder."""
    write_crate(place, "3")
    place.write("m.py", "def value(): return 5\n")
    check(place, 3, 1)
    place.write("m.rs", "// rustimport:pyo3\n#[pyfunction]\nfn value() -> i32 { 2 }\n")
    check(place, 2, 1)
    place.write("m/__init__.py", "def value(): return 1\n")
    check(place, 1, 0)


def test_lock_file_of_the_crate(place: Place) -> None:
    write_crate(place, "1", more='itoa = "1"')
    lock = """\
version = 4

[[package]]
name = "itoa"
version = "1.0.9"
source = "registry+https://github.com/rust-lang/crates.io-index"
checksum = "af150ab688ff2122fcef229be89cb50dd66af9e01a4ff320cc137eecc9bacc38"
"""
    place.write("m/Cargo.lock", lock)
    check(place, 1, 1)
    entry = _cache.entry_folder(str(place.cache), _cache.entry_name(str(place.folder / "m")))
    assert 'name = "itoa"\nversion = "1.0.9"' in Path(entry, "package", "Cargo.lock").read_text()
    assert (place.folder / "m" / "Cargo.lock").read_text() == lock
    place.write("m/Cargo.lock", lock.replace("# x", "") + "\n")
    check(place, 1, 1, "`Cargo.lock` changed")


def test_template_in_a_crate(place: Place) -> None:
    place.write("m/Cargo.toml", '# rustimport\n[package]\nname = "m"\nversion = "0.1.0"\nedition = "2021"\n')
    place.write("m/src/lib.rs", "// rustimport:pyo3\nmod part;\n#[pyfunction]\nfn value() -> i32 { part::VALUE }\n")
    place.write("m/src/part.rs", "pub const VALUE: i32 = 6;\n")
    check(place, 6, 1)
    place.write("m/src/lib.rs", "// rustimport:pyo3\n#[pyfunction]\nfn value() -> i32 { 7 }\n")
    check(place, 7, 1, "`src/lib.rs` changed")


def test_members_of_a_workspace(place: Place) -> None:
    place.write(
        "ws/Cargo.toml",
        """
        [workspace]
        members = ["m", "deep/helper"]
        resolver = "2"
        [workspace.package]
        version = "1.2.3"
        edition = "2021"
        [workspace.dependencies]
        helper = { path = "deep/helper" }
        outside = { path = "../outside" }
        """,
    )
    inherits = "version.workspace = true\nedition.workspace = true\n[dependencies]\n"
    dependencies = 'pyo3 = "0.30"\nhelper.workspace = true\noutside.workspace = true\n'
    place.write("ws/m/Cargo.toml", f'# rustimport\n[package]\nname = "m"\n{inherits}{dependencies}')
    value = 'format!("{} {}", env!("CARGO_PKG_VERSION"), helper::value() + outside::value())'
    place.write("ws/m/src/lib.rs", LIBRARY.format(name="m", value=value, items="", type="String"))
    place.write("ws/deep/helper/Cargo.toml", f'[package]\nname = "helper"\n{inherits}')
    place.write("ws/deep/helper/src/lib.rs", "pub fn value() -> i32 { 1 }\n")
    place.write("outside/Cargo.toml", '[package]\nname = "outside"\nversion = "0.1.0"\nedition = "2021"\n')
    place.write("outside/src/lib.rs", "pub fn value() -> i32 { 10 }\n")
    code = "import sys; sys.path.insert(0, 'ws'); " + IMPORT
    check(place, "1.2.3 11", 1, code=code)
    check(place, "1.2.3 11", 0, code=code)
    place.write("ws/deep/helper/src/lib.rs", "pub fn value() -> i32 { 2 }\n")
    check(place, "1.2.3 12", 1, f"`{place.folder}/ws/deep/helper/src/lib.rs` changed", code=code)
    place.write("outside/src/lib.rs", "pub fn value() -> i32 { 20 }\n")
    check(place, "1.2.3 22", 1, f"`{place.folder}/outside/src/lib.rs` changed", code=code)
    manifest = place.folder / "ws" / "Cargo.toml"
    manifest.write_text(manifest.read_text().replace("1.2.3", "1.2.4"))
    check(place, "1.2.4 22", 1, f"`{manifest}` changed", code=code)
    assert not list(place.folder.rglob("Cargo.lock"))


def test_a_workspace_elsewhere(place: Place) -> None:
    """The root of a dependency's workspace, which its manifest names, is not above it."""
    write_crate(place, "helper::VERSION", more="helper = { path = '../helper' }", kind="&'static str")
    place.write("root/Cargo.toml", "[workspace]\nmembers = ['../helper']\n[workspace.package]\nversion = '1.0.0'\n")
    manifest = '[package]\nname = "helper"\nworkspace = "../root"\nversion.workspace = true\nedition = "2021"\n'
    place.write("helper/Cargo.toml", manifest)
    place.write("helper/src/lib.rs", 'pub const VERSION: &str = env!("CARGO_PKG_VERSION");\n')
    check(place, "1.0.0", 1)
    place.write("root/Cargo.toml", (place.folder / "root/Cargo.toml").read_text().replace("1.0.0", "2.0.0"))
    check(place, "2.0.0", 1)
    check(place, "2.0.0", 0)


def test_a_workspace_that_appears_above(place: Place) -> None:
    """Its profiles, patches and lock file apply to its members."""
    manifest = (
        '# rustimport\n[package]\nname = "m"\nversion = "0.1.0"\nedition = "2021"\n[dependencies]\npyo3 = "0.30"\n'
    )
    place.write("above/ws/m/Cargo.toml", manifest)
    library = LIBRARY.format(name="m", value="cfg!(debug_assertions)", items="", type="bool")
    place.write("above/ws/m/src/lib.rs", library)
    code = "import sys; sys.path.insert(0, 'above/ws'); " + IMPORT
    check(place, "True", 1, code=code)
    workspace = place.folder / "above" / "ws" / "Cargo.toml"
    workspace.write_text("[workspace]\nmembers = ['m']\n[profile.dev]\ndebug-assertions = false\n")
    check(place, "False", 1, f"`{workspace}` appeared", code=code)
    check(place, "False", 0, code=code)
    # Cargo searches no further.
    (workspace.parent.parent / "Cargo.toml").write_text("[workspace]\n")
    check(place, "False", 0, code=code)
    (workspace.parent.parent / "Cargo.toml").unlink()
    workspace.unlink()
    check(place, "True", 0, code=code)


def test_build_scripts_find_files_next_to_them(place: Place) -> None:
    write_crate(place, 'concat!(env!("TEXT"), include_str!("../data.txt"))', kind="&'static str")
    place.write("m/data.txt", "one")
    place.write(
        "m/build.rs",
        """
        fn main() {
            println!("cargo:rerun-if-changed=data.txt");
            println!("cargo:rustc-env=TEXT={}", std::fs::read_to_string("data.txt").unwrap());
        }
        """,
    )
    check(place, "oneone", 1)
    place.write("m/data.txt", "two")
    check(place, "twotwo", 1, "`data.txt` changed")
    check(place, "twotwo", 0)


def test_build_script_without_rerun_instructions(place: Place) -> None:
    """Every file of the package is an input, as for cargo."""
    write_crate(place, 'env!("TEXT")', kind="&'static str")
    place.write("m/config.txt", "one")
    place.write(
        "m/build.rs",
        'fn main() { println!("cargo:rustc-env=TEXT={}", std::fs::read_to_string("config.txt").unwrap()); }\n',
    )
    check(place, "one", 1)
    check(place, "one", 0)
    place.write("m/config.txt", "two")
    check(place, "two", 1, "`config.txt` changed")
    place.write("m/assets/new.txt", "x")
    check(place, "two", 1, "`assets/new.txt` appeared")
    # Caches are no sources.
    place.write("m/tests/__pycache__/x.pyc", "x")
    place.write("m/target/CACHEDIR.TAG", "x")
    place.write("m/target/debug/x", "x")
    check(place, "two", 0)


def test_dependencies_are_compiled_once(place: Place) -> None:
    """Other crates and scripts use the dependencies that one crate has compiled."""
    # A profile that pyo3 was never compiled with.
    more = f"[profile.dev.package.pyo3]\ncodegen-units = {random.randrange(1000, 1_000_000)}\n"
    for name in ("a", "b"):
        write_crate(place, "1", folder=name, more=more)
        run = place.python(f"import {name}; print({name}.value())", RUSTIMPORT_VERBOSE="1")
        assert run.out == "1"
        compiled = {line.split()[3] for line in run.stderr.splitlines() if "  Compiling " in line}
        assert ("pyo3" in compiled) == (name == "a"), compiled


def test_errors_name_the_users_file(place: Place) -> None:
    write_crate(place, "nonsense")
    run = place.python(
        """
        try: import m
        except ImportError as error: print(error.diagnostics[0].file, error.diagnostics[0].line, error.path)
        """
    )
    folder = place.folder / "m"
    assert run.out == f"{folder}/src/lib.rs 7 {folder}"


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ("# rustimport\n[package\n", "fix the manifest"),
        ("# rustimport\n[workspace]\n", "it is a workspace, not a crate"),
        ('# rustimport\n[package]\nname = "m"\nversion = "0.1.0"\n', "has no library"),
    ],
)
def test_folders_that_are_not_crates(place: Place, manifest: str, message: str) -> None:
    place.write("m/Cargo.toml", manifest)
    run = place.python("import m")
    assert message in run.stderr
    assert "ProjectError" in run.stderr
    assert run.builds == 0


def test_built_in_place(place: Place) -> None:
    """The library is next to the folder, where Python finds it."""
    write_crate(place, "4")
    run = place.python("result = rustimport.build('m'); print(result.artifact)")
    assert run.out == str(place.folder / f"m{sysconfig.get_config_var('EXT_SUFFIX')}")
    assert place.python(IMPORT, hook=False).out == "4"
    built, failed = place.python("print(*map(len, rustimport.build_all('.')))").out.split()
    assert (built, failed) == ("1", "0")


def test_what_git_ignores_is_no_input(place: Place) -> None:
    """Like cargo, if a build script declares no inputs."""
    place.write("m/Cargo.toml", '# rustimport\n[package]\nname = "m"\nversion = "0.1.0"\nedition = "2021"\n')
    place.write("m/src/lib.rs", '#[no_mangle]\npub extern "C" fn PyInit_m() { std::process::exit(7) }\n')
    place.write("m/build.rs", "fn main() {}\n")
    place.write("m/.gitignore", "*.log\nhtmlcov/\n")
    place.write("m/data.txt", "")

    def git(*arguments: str) -> None:
        subprocess.run(["git", *arguments], cwd=place.folder / "m", env=place.env, check=True)

    def check(reason: str | None) -> None:
        for expected in (reason, None):
            run = place.python("import m")
            assert run.returncode == 7
            assert (expected or "") in run.stderr, run.stderr
            assert ("building" in run.stderr) == (expected is not None), run.stderr

    git("init", "--quiet")
    git("add", ".")
    check("first build")
    place.write("m/run.log", "")
    place.write("m/htmlcov/index.html", "")
    check(None)
    place.write("m/run.log", "more")
    check(None)
    place.write("m/data.txt", "data")
    check("`data.txt` changed")
    place.write("m/new.txt", "")
    check("`new.txt` appeared")
