"""What the user is told about Rust files that an import or `build` has passed over. Nothing here needs a compiler."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import Place

MARKED = "// rustimport:pyo3\n#[pyfunction]\nfn f() {}\n"
WRITE = "write `// rustimport:pyo3` on its first line"


def told(stderr: str) -> list[str]:
    return [line.removeprefix("rustimport: ") for line in stderr.splitlines() if line.startswith("rustimport: ")]


@pytest.mark.parametrize(
    ("files", "module", "expected"),
    [
        ({"m.rs": "#[pyfunction]\nfn f() {}\n"}, "m", f"m.rs is not imported as `m`: it has no marker: {WRITE}"),
        ({"m.rs": f"// code\n{MARKED}"}, "m", "its marker is on line 2: move it to the first line"),
        ({"m.rs": "// rust-import:pyo3\n"}, "m", f"`// rust-import:pyo3` is not a marker: {WRITE}"),
        ({"m.rs": "# rustimport:pyo3\n"}, "m", f"`# rustimport:pyo3` is not a marker: {WRITE}"),
        ({"m.rs": ""}, "m", f"it is empty: {WRITE}"),
        ({"my-code.rs": MARKED}, "my_code", "the name of a module has no `-`: rename the file to my_code.rs"),
        ({"src/m.rs": MARKED}, "m", "src is not on sys.path: move the file"),
        ({"p/__init__.py": "", "p/a.py": "import m", "p/m.rs": MARKED}, "p.a", "write `from . import m`"),
        ({"p/__init__.py": "", "p/m.rs": "#[pymodule] mod x {}"}, "p.m", f"it has no marker: {WRITE}"),
        ({"m.rs": "fn main() {}\n"}, "m", None),
        ({}, "m", None),
    ],
)
def test_a_missing_module(place: Place, files: dict[str, str], module: str, expected: str | None) -> None:
    for name, text in files.items():
        place.write(name, text)
    code = f"for _ in range(2):\n    try: import {module}\n    except ModuleNotFoundError as error: print(error)"
    run = place.python(code)
    assert run.out.startswith("No module named ")
    lines = told(run.stderr)
    if expected is None:
        assert lines == []
    else:
        assert [expected in line for line in lines] == [True], run.stderr


def test_imports_that_are_not_ours_stay_silent(place: Place) -> None:
    """A question is no import; another finder may have the module; other people's packages are theirs."""
    unmarked = "#[pyfunction]\nfn f() {}\n"
    for file in ("m.rs", "site-packages/p/m.rs"):
        place.write(file, unmarked)
    place.write("site-packages/p/__init__.py", "try: from . import m\nexcept ImportError: pass")
    code = """
    import importlib.machinery, importlib.util, sys
    assert importlib.util.find_spec("m") is None
    class Late:
        def find_spec(self, name, path, target=None):
            return importlib.machinery.ModuleSpec(name, self) if name == "m" else None
        def create_module(self, spec): return None
        def exec_module(self, module): pass
    sys.meta_path.append(Late())
    import m
    sys.path.insert(0, "site-packages")
    import p
    """
    assert told(place.python(code).stderr) == []


def test_a_script_with_the_name_of_a_standard_module(place: Place) -> None:
    """It is not imported; `build` refuses to put a library next to it that all programs would import from there."""
    for name in ("random.rs", "pkg/random.rs", "colorsys.rs"):
        place.write(name, MARKED)
    place.write("pkg/__init__.py", "")
    place.write("colorsys.rs", "// no script\n")
    run = place.python("import colorsys, random; print(random.random.__name__)")
    assert run.out == "random"
    [line] = told(run.stderr)
    assert "random.rs is not imported: `random` is a module of the standard library" in line
    command = [sys.executable, "-m", "rustimport", "build", "."]
    built = subprocess.run(command, cwd=place.folder, env=place.env, capture_output=True, text=True, check=False)
    assert (built.returncode, built.stdout) == (1, "1 built, 0 fresh, 1 failed\n")
    assert "random.rs has the name of a module of the standard library, `random`\nhint: rename it" in built.stderr
    assert not list(place.folder.glob("random*.so"))
    assert list((place.folder / "pkg").glob("random*.so"))
    assert place.python("from pkg import random; print(random.f())", hook=False).out == "None"
    refused = place.python("import rustimport; rustimport.imp_from_path('random.rs')", hook=False)
    assert "ProjectError" in refused.stderr
    named = place.python("import rustimport; print(rustimport.imp_from_path('random.rs', 'mine').f())", hook=False)
    assert named.out == "None"


def test_release_mode_says_that_it_is_no_optimisation(place: Place) -> None:
    """A newcomer sets it for speed, and then edits."""
    place.write("m.rs", MARKED)
    place.write("n.rs", MARKED)
    assert place.python("import m, n").returncode == 0
    [line] = told(place.python("import m, n", RUSTIMPORT_RELEASE_MODE="1").stderr)
    assert "imports m.rs as it was built with the profile dev, which is not optimised; to build optimised" in line
    place.write("m.rs", f"{MARKED}// edited")
    [line] = told(place.python("import m", RUSTIMPORT_RELEASE_MODE="1").stderr)
    assert "which is not optimised, and before the source was changed; " in line
    assert place.python("import m", RUSTIMPORT_PROFILE="release").returncode == 0
    assert told(place.python("import m", RUSTIMPORT_RELEASE_MODE="1").stderr) == []


def test_unknown_variables(place: Place) -> None:
    place.write("m.rs", MARKED)
    for name, meant in (
        ("RUSTIMPORT_RELEASE", "RUSTIMPORT_PROFILE=release"),
        ("RUSTIMPORT_CACHE", "RUSTIMPORT_CACHE_DIR"),
    ):
        first, *_ = told(place.python("import m", **{name: "1"}).stderr)  # type: ignore[arg-type]
        assert first == f"{name} is not a variable of rustimport, and has no effect; did you mean {meant}?"
    assert told(place.python("import m", SOME_RUSTIMPORT_NAME="1").stderr) == []


def test_build_names_what_it_has_passed_over(place: Place) -> None:
    for name, text in {"a.rs": "#[pyfunction]\nfn f() {}\n", "main.rs": "fn main() {}\n", "b.rs": ""}.items():
        place.write(name, text)
    place.write("c/Cargo.toml", "[package]\nname = 'c'\n")
    place.write("c/src/lib.rs", "#[pymodule]\nmod c {}\n")
    command = [sys.executable, "-m", "rustimport", "build", "."]
    run = subprocess.run(command, cwd=place.folder, env=place.env, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout) == (0, "0 built, 0 fresh, 0 failed\n")
    first, second, *rest = run.stderr.splitlines()
    assert first == f"a.rs is not built: it has no marker: {WRITE}, or name the file itself"
    assert second.startswith("b.rs is not built: it is empty")
    assert rest == ["there is no source with a marker (`// rustimport:pyo3` on its first line) in ."]


def test_a_script_that_exports_nothing(place: Place) -> None:
    place.write("m.rs", "// rustimport:pyo3\npub fn square(x: i32) -> i32 { x * x }\n")
    run = place.python("import m")
    assert run.returncode == 0
    assert "m.rs: it exports nothing to Python: write #[pyfunction] above `fn square`" in told(run.stderr)


def test_tracebacks_end_in_the_users_code(place: Place) -> None:
    place.write("m.rs", "// rustimport:pyo3\n#[pyfunction]\nfn f() -> i32 { missing }\n")
    place.write(
        "n.rs",
        f"{MARKED}#[pymodule]\nmod n {{\n#[pymodule_init]\nfn i(_: &Bound<'_, PyModule>) -> PyResult<()> {{\n"
        'panic!("no")\n}\n}\n',
    )
    for name in "mn":
        run = place.python(f"import {name}")
        assert run.returncode == 1
        assert run.stderr.count('  File "') == 1, run.stderr
