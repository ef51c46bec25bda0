"""What was chosen outside a project's files stays: features and flags on maturin's command line, the suffix of its
library, the checkout. And inputs that only the user knows of."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests import projects
from tests.build.test_projects import Environment, developed, edit

FLAGGED = """\
use pyo3::prelude::*;

#[pyfunction]
fn value() -> String {
    let on = [(cfg!(feature = "base"), "base"), (cfg!(feature = "extra"), "extra"), (cfg!(by_hand), "by-hand")];
    let on: Vec<&str> = on.iter().filter(|(on, _)| *on).map(|(_, name)| *name).collect();
    format!("1 {}", on.join(" "))
}

#[pymodule]
mod t_flat {
    #[pymodule_export]
    use super::value;
}
"""


@pytest.fixture
def flagged(environment: Environment) -> tuple[projects.Layout, Path]:
    layout = projects.LAYOUTS["flat"]
    root = environment.project(layout)
    (root / "src/lib.rs").write_text(FLAGGED)
    with (root / "Cargo.toml").open("a") as file:
        file.write('[features]\ndefault = ["base"]\nbase = []\nextra = []\n')
    return layout, root


def goes_on(environment: Environment, root: Path, code: str, expected: str) -> None:
    """The choice survives an edit and its undoing, and the build says nothing of it."""
    first = environment.run(code)
    assert (first.out, first.builds, first.stderr) == (f"1 {expected}".strip(), 0, "")
    edit(root / "src/lib.rs", '"1 {}"', '"2 {}"')
    second = environment.run(code)
    assert (second.out, second.builds) == (f"2 {expected}".strip(), 1), second.stderr
    assert "flags" not in second.stderr
    edit(root / "src/lib.rs", '"2 {}"', '"1 {}"')
    third = environment.run(code)
    assert (third.out, third.builds) == (f"1 {expected}".strip(), 0), third.stderr


def test_features_on_the_command_line(environment: Environment, flagged: tuple[projects.Layout, Path]) -> None:
    layout, root = flagged
    environment.develop(root, "--features", "extra")
    goes_on(environment, root, layout.code, "base extra")
    environment.develop(root, "--no-default-features")
    goes_on(environment, root, layout.code, "")
    # The next command line replaces the choice.
    environment.develop(root)
    goes_on(environment, root, layout.code, "base")
    # What a table adds is added to what the command line chose.
    with (root / "pyproject.toml").open("a") as file:
        file.write('\n[tool.rustimport]\nfeatures = ["extra"]\n')
    run = environment.run(layout.code)
    assert (run.out, run.builds) == ("1 base extra", 1)


def test_features_for_some_versions_of_python(environment: Environment, flagged: tuple[projects.Layout, Path]) -> None:
    layout, root = flagged
    with (root / "pyproject.toml").open("a") as file:
        file.write(
            "\n[tool.maturin]\nfeatures = [\n"
            '    { feature = "extra", python-version = "<3.9" },\n'
            '    { feature = "base", python-version = ">=3.10" },\n]\n'
            '[tool.rustimport]\nfeatures = ["pyo3/macros"]\n'
        )
    environment.develop(root)
    goes_on(environment, root, layout.code, "base")


def test_flags_that_are_not_known(environment: Environment, flagged: tuple[projects.Layout, Path]) -> None:
    layout, root = flagged
    environment.develop(root, "--", "--cfg", "by_hand")
    assert environment.run(layout.code).out == "1 base by-hand"
    edit(root / "src/lib.rs", '"1 {}"', '"2 {}"')
    run = environment.run(layout.code)
    assert run.out == "2 base"
    assert "compiler flags that are not known here" in run.stderr
    # The library with the flag does not come back.
    edit(root / "src/lib.rs", '"2 {}"', '"1 {}"')
    assert environment.run(layout.code).out == "1 base"
    # The way that the message names.
    with (root / "pyproject.toml").open("a") as file:
        file.write('\n[tool.maturin]\nrustc-args = ["--cfg", "by_hand"]\n')
    assert environment.run(layout.code).out == "1 base by-hand"


def test_a_library_with_another_suffix(environment: Environment) -> None:
    layout, root = developed(environment, "flat")
    assert environment.run(layout.code).out == "1"
    (old,) = root.glob("t_flat/*.so")
    # Switched to the stable ABI: Python would still find the old library first.
    edit(root / "Cargo.toml", '"0.30"', '{ version = "0.30", features = ["abi3-py310"] }')
    edit(root / "src/lib.rs", projects.EDITED, "2")
    run = environment.run(layout.code)
    assert run.out == "2", run.stderr
    assert not old.exists()
    assert str(old) in run.stderr
    # The same after `maturin develop`, which leaves the old one, too.
    edit(root / "Cargo.toml", ', features = ["abi3-py310"]', "")
    next(root.glob("t_flat/*.abi3.so")).unlink()
    edit(root / "src/lib.rs", "{ 2 }", "{ 3 }")
    environment.develop(root)
    edit(root / "Cargo.toml", '"0.30"', '"0.30", features = ["abi3-py310"]')
    edit(root / "src/lib.rs", "{ 3 }", "{ 2 }")
    environment.develop(root)
    run = environment.run(layout.code)
    assert (run.out, run.builds) == ("2", 0)
    assert not old.exists()
    # What is the user's stays, and the error names both.
    old.write_bytes(b"by hand")
    edit(root / "src/lib.rs", "{ 2 }", "{ 3 }")
    run = environment.run(layout.code)
    assert "ProjectError" in run.stderr
    assert str(old) in run.stderr
    assert "t_flat.abi3.so" in run.stderr
    assert old.read_bytes() == b"by hand"
    old.unlink()
    assert environment.run(layout.code).out == "3"


def test_the_library_of_another_checkout(environment: Environment) -> None:
    """Cargo takes both for one package if they share a target folder (rust-lang/cargo#17312)."""
    layout = projects.LAYOUTS["nested-workspace"]
    root, other = environment.project(layout), environment.project(layout, "other")
    edit(root / layout.edited, projects.EDITED, "2")
    environment.develop(root)
    environment.develop(other)
    assert environment.run(layout.code).out == "1"
    # One whose library is its own is reused.
    subject = environment.project(projects.LAYOUTS["flat"], "own")
    environment.develop(subject)
    assert environment.run(projects.LAYOUTS["flat"].code).builds == 0


#: A build script, and a procedural macro, that say nothing of what they read.
UNDECLARED = {
    "build.rs": 'fn main() {\n    println!("cargo:rerun-if-changed=build.rs");\n'
    '    let text = std::fs::read_to_string("data/a.txt").unwrap();\n'
    '    println!("cargo:rustc-env=T_DATA={}", text.trim());\n}\n',
    "macros/Cargo.toml": '[package]\nname = "t-macros"\nversion = "1.0.0"\nedition = "2021"\n[lib]\nproc-macro=true\n',
    "macros/src/lib.rs": "#[proc_macro]\npub fn text(_: proc_macro::TokenStream) -> proc_macro::TokenStream {\n"
    '    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../data/a.txt");\n'
    '    format!("{:?}", std::fs::read_to_string(path).unwrap().trim()).parse().unwrap()\n}\n',
    "data/a.txt": "one\n",
}


def test_inputs_that_only_the_user_knows(environment: Environment) -> None:
    layout = projects.LAYOUTS["nested-workspace"]
    root = environment.project(layout)
    for name, text in UNDECLARED.items():
        environment.place.write(f"project/{name}", text)
    edit(root / "Cargo.toml", "[dependencies]\n", '[dependencies]\nt-macros = { path = "macros" }\n')
    edit(root / "src/lib.rs", "i64 {", "String {")
    edit(root / "src/lib.rs", "t_nested_helper::helped()", 'format!("{} {}", env!("T_DATA"), t_macros::text!())')
    with (root / "pyproject.toml").open("a") as file:
        file.write('\n[tool.rustimport]\ninputs = ["data/*.txt"]\n')
    environment.develop(root)
    assert environment.run(layout.code).out == "one one"
    for text, builds in (("two", 1), ("three", 1), ("two", 0)):
        (root / "data/a.txt").write_text(text)
        run = environment.run(layout.code)
        assert (run.out, run.builds) == (f"{text} {text}", builds), run.stderr
    # A script sees the same: its dependency has the build script.
    edit(root / "Cargo.toml", 'crate-type = ["cdylib"]', 'crate-type = ["cdylib", "rlib"]')
    (root / "src/lib.rs").write_text('pub const DATA: &str = env!("T_DATA");\n')
    environment.place.write(
        "m.rs",
        "// rustimport:pyo3\n//: [dependencies]\n//: t-nested = { path = 'project' }\n//d: project/data/*.txt\n"
        "#[pyfunction]\nfn value() -> &'static str { t_nested::DATA }\n",
    )
    code = "import m; print(m.value())"
    for text in ("two", "three"):
        (root / "data/a.txt").write_text(text)
        assert environment.place.python(code).out == text
    # Without the declaration, a forced build reads everything again.
    edit(environment.place.folder / "m.rs", "//d: project/data/*.txt\n", "")
    assert environment.place.python(code).out == "three"
    (root / "data/a.txt").write_text("four")
    assert environment.place.python(code, RUSTIMPORT_FORCE_REBUILD="1").out == "four"


def test_a_dependency_that_a_failed_build_compiled(environment: Environment) -> None:
    """Renaming a folder changes no times, and no record contains what the failed build compiled."""
    layout = projects.LAYOUTS["nested-workspace"]
    root = environment.project(layout)
    current, other = root / "helper", root.parent / "v2"
    environment.develop(root)
    assert environment.run(layout.code).out == "1"
    shutil.copytree(current, other)
    edit(other / "src/lib.rs", projects.EDITED, "2")
    edit(root / "src/lib.rs", "use pyo3", "// edited\nuse pyo3")
    assert environment.run(layout.code).out == "1"
    current.rename(root.parent / "v1")
    other.rename(current)
    edit(root / "src/lib.rs", "// edited", "broken")
    assert "BuildError" in environment.run(layout.code).stderr
    current.rename(other)
    (root.parent / "v1").rename(current)
    edit(root / "src/lib.rs", "broken", "// fixed")
    assert environment.run(layout.code).out == "1"
    run = environment.run(layout.code)
    assert (run.out, run.builds) == ("1", 0)
