"""Sources that `new` writes can be imported at once, and behave like the original script."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.build.test_command import command
from tests.build.test_projects import Environment
from tests.conftest import Place

SCRIPT = """\
// rustimport:pyo3
//
// Counts.
//: [dependencies]
//: helper = { path = "helper" }
//: [package]
//: build = "build.rs"
//d: tables/*.txt

/// How many.
#[pyfunction]
fn count() -> usize {
    include_str!("data.txt").trim().len() + helper::value() + part::value() + env!("FROM_BUILD").len()
}

mod part;
"""


def outgrown(place: Place) -> None:
    place.write("counts.rs", SCRIPT)
    place.write("part.rs", "pub fn value() -> usize { 10 }\n")
    place.write("data.txt", "xyz\n")
    place.write("tables/a.txt", "")
    place.write("build.rs", 'fn main() { println!("cargo::rustc-env=FROM_BUILD=abcd"); }\n')
    place.write("helper/Cargo.toml", '[package]\nname = "helper"\nversion = "0.1.0"\nedition = "2021"\n')
    place.write("helper/src/lib.rs", "pub fn value() -> usize { 100 }\n")


CODE = "import counts; print(counts.count(), counts.count.__doc__)"


def test_a_script_becomes_a_crate(place: Place) -> None:
    outgrown(place)
    assert place.python(CODE).out == "117 How many."
    run = command(place, "new", "inner/counts", "--from", "counts.rs")
    assert run.returncode == 2, "there is no folder `inner`"
    place.write("inner/keep", "")
    run = command(place, "new", "inner/counts", "--from", "counts.rs")
    assert run.returncode == 0, run.stderr
    code = "import sys; sys.path.insert(0, 'inner')\n" + CODE
    result = place.python(code)
    assert result.out == "117 How many.", result.stderr
    # The crate uses the script's files in their original places.
    place.write("part.rs", "pub fn value() -> usize { 20 }\n")
    assert place.python(code).out == "127 How many."
    place.write("tables/b.txt", "")
    assert "building counts" in place.python(code).stderr
    library = (place.folder / "inner/counts/src/lib.rs").read_text()
    assert "rustimport" not in library
    assert "//:" not in library
    assert '#[path = "../../../part.rs"] mod part;' in library
    assert command(place, "new", "inner/counts", "--from", "counts.rs").returncode == 2

    run = command(place, "new", "counts", "--from", "counts.rs")
    assert "remove counts.rs: as long as it exists, `import counts` imports it\n" in run.stdout
    (place.folder / "counts.rs").unlink()
    assert place.python(CODE).out == "127 How many."


def test_sources_that_new_refuses(place: Place) -> None:
    place.write("own.rs", "// rustimport\nuse pyo3::prelude::*;\n#[pymodule]\nmod own {}\n")
    run = command(place, "new", "other", "--from", "own.rs")
    assert (run.returncode, "declares the module `own`" in run.stderr) == (2, True)
    place.write("broken.rs", "// rustimport:pyo3\nfn (\n")
    run = command(place, "new", "broken", "--from", "broken.rs")
    assert (run.returncode, "cannot be read as Rust" in run.stderr) == (2, True)
    place.write("plain.rs", "fn main() {}\n")
    run = command(place, "new", "plain", "--from", "plain.rs")
    assert (run.returncode, "declares no Python module" in run.stderr) == (2, True)
    for arguments in (("x.rs", "--project"), ("x.rs", "--from", "own.rs"), ("x", "--from", "none.rs")):
        assert command(place, "new", *arguments).returncode == 2
    assert sorted(path.name for path in place.folder.iterdir()) == ["broken.rs", "own.rs", "plain.rs"]


def developed(environment: Environment, folder: str, stdout: str) -> None:
    """Runs the command that `new` prints as the next step."""
    (line,) = [line for line in stdout.splitlines() if line.startswith("install it:  ")]
    assert line == f"install it:  {sys.executable} -m pip install -e {folder}"
    environment.develop(environment.place.folder / folder)


def test_a_new_project(environment: Environment) -> None:
    place = environment.place
    run = command(place, "new", "fresh", "--project")
    assert run.returncode == 0, run.stderr
    files = ["src/lib.rs", "Cargo.toml", "python/fresh/__init__.py", ".gitignore", "pyproject.toml"]
    assert run.stdout.splitlines()[:5] == [f"wrote fresh/{file}" for file in files]
    developed(environment, "fresh", run.stdout)
    run = command(place, "new", "next", "--project", VIRTUAL_ENV=sys.prefix)
    assert "install it:  maturin develop -m next/Cargo.toml" in run.stdout
    code = "import fresh; print(fresh.say_hello())"
    result = environment.run(code)
    assert (result.out, result.builds) == ("Hello from fresh, implemented in Rust!", 0)
    library = place.folder / "fresh/src/lib.rs"
    library.write_text(library.read_text().replace("Hello from fresh", "Hi"))
    assert environment.run(code).out == "Hi, implemented in Rust!"
    # The project is not a crate, and none of its files are overwritten.
    before = {path: path.read_bytes() for path in Path(place.folder, "fresh").rglob("*.*") if path.is_file()}
    assert command(place, "new", "fresh", "--project").returncode == 2
    assert {path: path.read_bytes() for path in before} == before


def test_a_script_becomes_a_project(environment: Environment) -> None:
    place = environment.place
    outgrown(place)
    run = command(place, "new", "grown", "--project", "--from", "counts.rs")
    assert run.returncode == 0, run.stderr
    developed(environment, "grown", run.stdout)
    code = "import grown; print(grown.count(), grown.count.__doc__)"
    assert environment.run(code).out == "117 How many."
    place.write("part.rs", "pub fn value() -> usize { 20 }\n")
    assert environment.run(code).out == "127 How many."
    place.write("tables/b.txt", "")
    assert environment.run(code).builds == 1
