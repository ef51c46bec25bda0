"""`test`, `clippy` and `rust-analyzer` for scripts and crates."""

from __future__ import annotations

import json
import re
import subprocess
import sysconfig
from pathlib import Path

import pytest
from rustimport._cli import rust_tools
from rustimport.errors import ToolchainError

from tests.build.test_command import command
from tests.conftest import Place

IS_SHARED = bool(sysconfig.get_config_var("Py_ENABLE_SHARED"))


def has_libpython() -> bool:
    try:
        rust_tools._check_libpython()
    except ToolchainError:
        return False
    return True


#: With pyo3's `extension-module`, nothing but Python could load the library, and no test could be linked.
TESTED = """\
    // rustimport:pyo3
    //! ```
    //! assert_eq!(1 + 1, 2);
    //! ```
    //: [dependencies]
    //: pyo3 = { version = "0.30", features = ["extension-module"] }
    use pyo3::prelude::*;

    #[pyfunction]
    fn double(x: i64) -> i64 { 2 * x }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn doubles() { assert_eq!(double(2), 4); }
{calls}    }
"""

#: Only with a shared libpython does pyo3 start Python by itself.
CALLS = """
        #[test]
        fn calls_python() {
            let found: i64 = Python::attach(|py| {
                py.eval(c"__import__('math').gcd(4, 6)", None, None).unwrap().extract().unwrap()
            });
            assert_eq!(found, 2);
        }
"""


@pytest.mark.skipif(not has_libpython(), reason="this Python comes without libpython")
def test_rust_tests_of_scripts(place: Place) -> None:
    source = place.write("tested.rs", TESTED.replace("{calls}", CALLS if IS_SHARED else ""))
    # It relies on the template for the prelude.
    place.write(
        "quick.rs",
        "// rustimport:pyo3\n#[pyfunction]\nfn one() -> i32 { 1 }\n#[test]\nfn is_one() { assert_eq!(one(), 1); }\n",
    )
    place.write(
        "krate/Cargo.toml",
        '[package]\nname = "krate"\nversion = "0.1.0"\nedition = "2021"\n[lib]\ncrate-type = ["cdylib", "rlib"]\n',
    )
    place.write("krate/.rustimport", "")
    place.write("krate/src/lib.rs", "#[test]\nfn in_a_crate() {}\n")
    run = command(place, "test")
    assert run.returncode == 0, run.stderr
    for name in ("tests::doubles", *["tests::calls_python"] * IS_SHARED, "is_one", "in_a_crate"):
        assert f"test {name} ... ok" in run.stdout
    assert re.search("test .*tested.rs - .* ok", run.stdout)
    # Nothing is left next to a crate.
    assert sorted(path.name for path in (place.folder / "krate").iterdir()) == [".rustimport", "Cargo.toml", "src"]

    # Arguments and the exit status are cargo's.
    text = source.read_text()
    source.write_text(text.replace("assert_eq!(double(2), 4)", "assert_eq!(double(2), 5)"))
    run = command(place, "test", "tested.rs", "--", "--quiet", "doubles")
    assert run.returncode == 101
    assert "tested.rs:" in run.stdout
    assert "calls_python" not in run.stdout
    # What is imported is built as before.
    source.write_text(text)
    assert place.python("import tested; print(tested.double(2))").out == "4"


def test_clippy(place: Place) -> None:
    place.write(
        "linted.rs",
        """\
        // rustimport:pyo3
        use pyo3::prelude::*;
        #[pyfunction]
        fn same(x: bool) -> bool { if x == true { true } else { false } }
        """,
    )
    run = command(place, "clippy", "linted.rs", "--", "--quiet")
    if "is not installed" in run.stderr or "no such command" in run.stderr:
        pytest.skip("no clippy")
    assert run.returncode == 0
    assert "needless_bool" in run.stderr
    assert "linted.rs:4:" in run.stderr
    assert "never used" not in run.stderr


def test_rust_analyzer_gets_a_package_for_each_script(place: Place) -> None:
    source = place.write(
        "analyzed.rs",
        """\
        // rustimport:pyo3
        //: [dependencies]
        //: once_cell = "1"
        use pyo3::prelude::*;
        #[pyfunction]
        fn one() -> i32 { 1 }
        """,
    )
    settings = place.folder / ".vscode" / "settings.json"
    assert command(place, "rust-analyzer", "--check").returncode == 1
    assert not settings.exists()
    place.write(".vscode/settings.json", '{"editor.fontSize": 12, "rust-analyzer.linkedProjects": ["Cargo.toml"]}')
    run = command(place, "rust-analyzer")
    assert (run.returncode, run.stdout.startswith("wrote .vscode/settings.json: 1 source.")) == (0, True), run.stderr
    # What was written for a script that was never built is not old.
    assert command(place, "cache", "prune", "--days", "30").returncode == 0
    assert command(place, "rust-analyzer", "--check").returncode == 0
    written = json.loads(settings.read_text())
    assert written["editor.fontSize"] == 12
    other, manifest = written["rust-analyzer.linkedProjects"]
    assert other == "Cargo.toml"
    assert command(place, "rust-analyzer", "--check").returncode == 0

    # The package is what rust-analyzer asks cargo for.
    def metadata() -> dict[str, object]:
        words = ["cargo", "metadata", "--format-version", "1", "--no-deps", "--manifest-path", manifest]
        found = subprocess.run(words, capture_output=True, env=place.env, check=True).stdout
        (package,) = json.loads(found)["packages"]
        (target,) = package["targets"]
        return {"path": target["src_path"], "names": {found["name"] for found in package["dependencies"]}}

    assert metadata() == {"path": str(source), "names": {"once_cell", "pyo3"}}
    # A build updates it.
    source.write_text(source.read_text().replace('//: once_cell = "1"', '//: memchr = "2"'))
    assert place.python("import analyzed; print(analyzed.one())").out == "1"
    assert metadata()["names"] == {"memchr", "pyo3"}

    # What somebody wrote with comments is not changed.
    settings.write_text('{\n  // mine\n  "editor.fontSize": 12\n}')
    run = command(place, "rust-analyzer")
    assert (run.returncode, "is not plain JSON" in run.stderr) == (2, True)
    assert "// mine" in settings.read_text()
    run = command(place, "rust-analyzer", "--print")
    assert json.loads(run.stdout) == {"rust-analyzer.linkedProjects": [manifest]}
    Path(source).unlink()
    assert command(place, "rust-analyzer").returncode == 2
