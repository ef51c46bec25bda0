"""Type stubs: what is in them, when they are written, and what type checkers make of them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import pytest

from tests import projects
from tests.build.test_command import command
from tests.build.test_projects import Environment, edit
from tests.build.test_wheels import Elsewhere
from tests.conftest import ROOT, Place

#: Declared by our template: classes, enums, all kinds of parameters, containers.
DECLARED = """\
    // rustimport:pyo3
    //! About shapes.
    use pyo3::prelude::*;
    use pyo3::types::{PyDict, PyTuple};
    use std::collections::HashMap;
    use std::path::PathBuf;

    /// Adds numbers.
    #[pyfunction]
    #[pyo3(signature = (a, b = 2, *args, key = None, **kwargs))]
    fn add(a: i64, b: i64, args: &Bound<'_, PyTuple>, key: Option<String>, kwargs: Option<&Bound<'_, PyDict>>) -> i64 {
        let _ = (args, key, kwargs);
        a + b
    }

    #[pyfunction]
    fn find(path: PathBuf, sizes: HashMap<String, Vec<f64>>) -> PyResult<Option<PathBuf>> {
        Ok(Some(path).filter(|_| !sizes.is_empty()))
    }

    /// A point.
    #[pyclass]
    struct Point { #[pyo3(get, set)] x: f64 }

    #[pymethods]
    impl Point {
        #[new]
        #[pyo3(signature = (x = 0.0))]
        fn new(x: f64) -> Self { Point { x } }
        fn norm(&self) -> f64 { self.x.abs() }
        #[staticmethod]
        fn origin() -> Self { Point { x: 0.0 } }
        fn __add__(&self, other: PyRef<'_, Point>) -> Point { Point { x: self.x + other.x } }
        #[classattr]
        const DIM: usize = 1;
    }

    #[pyclass(eq, eq_int)]
    #[derive(PartialEq)]
    enum Color { Red, Green }

    #[pyfunction]
    fn color() -> Color { if cfg!(unix) { Color::Green } else { Color::Red } }
"""

#: Not declared, but filled at run time: pyo3 itself knows no member of it.
FILLED = """\
    // rustimport
    use pyo3::prelude::*;
    pyo3::create_exception!(filled, Broken, pyo3::exceptions::PyValueError, "What is broken.");

    /// Doubles a number.
    #[pyfunction]
    fn double(x: i64) -> PyResult<i64> {
        if x < 0 { Err(Broken::new_err("negative")) } else { Ok(hidden(x) * 2) }
    }

    #[pyfunction]
    fn hidden(x: i64) -> i64 { x }

    #[pyclass]
    struct Counter { #[pyo3(get)] n: u32 }

    #[pymethods]
    impl Counter {
        #[new]
        fn new() -> Self { Counter { n: 0 } }
        fn up(&mut self, by: u32) -> u32 { self.n += by; self.n }
    }

    #[pymodule]
    fn filled(m: &Bound<'_, PyModule>) -> PyResult<()> {
        m.add_function(wrap_pyfunction!(double, m)?)?;
        m.add("again", wrap_pyfunction!(double, m)?)?;
        m.add_class::<Counter>()?;
        m.add("Broken", m.py().get_type::<Broken>())?;
        m.add("VERSION", "1.0")?;
        m.add("lambda", 1)?;
        let inner = PyModule::new(m.py(), "inner")?;
        inner.add("LIMITS", (1, 2))?;
        inner.add_function(wrap_pyfunction!(hidden, &inner)?)?;
        m.add_submodule(&inner)
    }
"""

#: A declared module with an exception, about which pyo3 says nothing.
RAISING = """\
    // rustimport
    pyo3::create_exception!(raising, Broken, pyo3::exceptions::PyRuntimeError);

    #[pyo3::pymodule]
    mod raising {
        use pyo3::prelude::*;

        #[pymodule_export]
        use super::Broken;

        #[pyfunction]
        fn fail(why: &str) -> PyResult<()> { Err(Broken::new_err(why.to_owned())) }
    }
"""

#: Of an older pyo3, which has no type information. The same pyo3 if there is no older one for this Python.
OLD_PYO3 = "0.24" if sys.version_info < (3, 14) else "0.30"
OLD = """\
    // rustimport:pyo3
    //: [dependencies]
    //: pyo3 = "PYO3"

    /// Old.
    #[pyfunction]
    #[pyo3(signature = (a, /, b = 3, *, c = "x"))]
    fn old(a: i32, b: i32, c: &str) -> usize { (a + b) as usize + c.len() }

    #[pyclass]
    struct Keeper { #[pyo3(get)] n: i32 }

    #[pymethods]
    impl Keeper {
        #[new]
        fn new(n: i32) -> Self { Keeper { n } }
        fn plus(&self, k: i32) -> i32 { self.n + k }
        fn __len__(&self) -> usize { 1 }
    }
""".replace("PYO3", OLD_PYO3)

CORRECT = """\
    from pathlib import Path

    import boxed
    import declared
    import filled
    import filled.inner
    import old
    import raising

    number: int = declared.add(1, 2, 3, key="x", more=1) + filled.double(2) + filled.again(1) + boxed.twice(2)
    path: Path | None = declared.find("x", {"a": [1.0]})
    size: float = (declared.Point(1) + declared.Point()).norm() + filled.Counter().up(1) + declared.Point.DIM
    text: str = filled.VERSION
    limits: tuple[int, ...] = filled.inner.LIMITS
    try:
        raising.fail("x")
    except raising.Broken as error:
        print(error.args)
    broken: ValueError = filled.Broken()
    length: int = len(old.Keeper(1)) + old.old(1, 2, c="x") + old.Keeper(n=1).plus(1)
"""

#: Each line is a mistake.
MISTAKES = """\
    declared.add("x")
    declared.add()
    declared.ad(1)
    filled.double("x")
    filled.double()
    filled.doubel(1)
    raising.fail(1)
    raising.fail()
    raising.Brokn
    filled.hidden(1)
    filled.Counter().n = 1
    old.old()
    old.odl(1)
    boxed.twice("x")
    boxed.twice()
    boxed.twize(1)
"""


@pytest.fixture
def sources(place: Place) -> Place:
    place.write("pyproject.toml", '[tool.rustimport]\nstubs = "typings"\n')
    write_sources(place)
    return place


def write_sources(place: Place) -> None:
    for name, text in (("declared", DECLARED), ("filled", FILLED), ("raising", RAISING), ("old", OLD)):
        place.write(f"{name}.rs", text)
    place.write("boxed/Cargo.toml", '[package]\nname = "boxed"\nversion = "0.1.0"\nedition = "2021"\n')
    place.write("boxed/.rustimport", "")
    place.write("boxed/src/lib.rs", "// rustimport:pyo3\n#[pyfunction]\nfn twice(x: i64) -> i64 { 2 * x }\n")


def mypy(folder: Path, name: str, text: str, path: str = "typings", python: str = sys.executable) -> str:
    """What `mypy --strict` prints about a program. `python`: the interpreter of the environment that it is for."""
    (folder / name).write_text(textwrap.dedent(text))
    environ = {"MYPYPATH": path, "PATH": "/usr/bin:/bin", "HOME": str(folder)}
    words = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(folder.parent / "mypy-cache")]
    words += ["--python-executable", python, name]
    run = subprocess.run(words, cwd=folder, env=environ, capture_output=True, text=True, check=False)
    return run.stdout


def test_stubs_say_what_modules_have(sources: Place) -> None:
    wrote = command(sources, "stubs")
    assert wrote.stdout.splitlines()[-1] == "stubs of 5 modules: 6 written, 0 failed"
    assert wrote.stdout.count("mypy_path") == 1
    typings = sources.folder / "typings"

    declared = (typings / "declared.pyi").read_text()
    for line in (
        "# Generated by rustimport from ../declared.rs: changes made here are lost.",
        "About shapes.",
        "def add(a: SupportsIndex, b: SupportsIndex = 2, *args: Any, key: str | None = None, **kwargs: Any) -> int:",
        "Adds numbers.",
        "-> Path | None: ...",
        "class Point:",
        "    DIM: Final = 1",
        "    def x(self, /) -> float: ...",
        "    Green: Final[Color]",
    ):
        assert line in declared
    filled = (typings / "filled" / "__init__.pyi").read_text()
    for line in (
        "def double(x: SupportsIndex) -> int:",
        "class Broken(ValueError):",
        "What is broken.",
        "VERSION: str",
    ):
        assert line in filled
    assert re.search("__getattr__|hidden|lambda|Incomplete", filled) is None
    inner = (typings / "filled" / "inner.pyi").read_text()
    assert "LIMITS: tuple[Any, ...]" in inner
    assert "def hidden(x: SupportsIndex) -> int: ..." in inner
    old = (typings / "old.pyi").read_text()
    if OLD_PYO3 == "0.24":
        assert 'def old(a: Any, /, b: Any = 3, *, c: Any = "x") -> Any:' in old
        assert "def __new__(cls, /, n: Any) -> Self: ..." in old
    assert "Old." in old

    # What is written is what checkers need.
    assert "Success" in mypy(sources.folder, "correct.py", CORRECT)
    imports = "import boxed, declared, filled, raising, old\n"
    found = mypy(sources.folder, "mistakes.py", imports + textwrap.dedent(MISTAKES))
    lines = {int(line.split(":")[1]) for line in found.splitlines() if line.startswith("mistakes.py:")}
    assert lines == set(range(2, 2 + len(MISTAKES.strip().splitlines()))), found

    # And they are up to date.
    assert command(sources, "stubs", "--check").returncode == 0
    again = command(sources, "stubs")
    assert again.stdout == "stubs of 5 modules: 0 written, 0 failed\n"


def test_imports_keep_stubs_up_to_date(place: Place) -> None:
    place.write("pyproject.toml", '[tool.rustimport]\nstubs = "typings"\n')
    code = "// rustimport:pyo3\n#[pyfunction]\nfn value({}) -> i32 {{ 1 }}\n"
    source = place.write("fresh.rs", code.format(""))
    stub = place.folder / "typings" / "fresh.pyi"
    assert place.python("import fresh; print(fresh.value())").out == "1"
    first = stub.read_text()
    assert "def value() -> int: ..." in first
    time = stub.stat().st_mtime_ns

    # Only what changed is written.
    source.write_text(code.format("") + "// more\n")
    run = place.python("import fresh")
    assert (run.builds, stub.stat().st_mtime_ns) == (1, time)
    source.write_text(code.format("more: i32"))
    assert place.python("import fresh").returncode == 0
    assert "def value(more: SupportsIndex) -> int: ..." in stub.read_text()

    # A source that does not compile keeps its stub, and one that is undone gets it back without a build.
    source.write_text(code.format("less: Wrong"))
    assert place.python("import fresh").returncode == 1
    assert "more: SupportsIndex" in stub.read_text()
    source.write_text(code.format(""))
    run = place.python("import fresh, importlib; print(1)")
    assert (run.out, run.builds, stub.read_text()) == ("1", 0, first)

    # A reload, and an explicit build.
    edited = code.format("again: i32")
    run = place.python(
        f"""
        import importlib, pathlib, fresh
        pathlib.Path("fresh.rs").write_text({edited!r})
        importlib.reload(fresh)
        """
    )
    assert "again: SupportsIndex" in stub.read_text(), run.stderr
    source.write_text(code.format(""))
    assert command(place, "build").returncode == 0
    assert stub.read_text() == first

    # A file of the user's is kept, and says so; a fresh import says and writes nothing.
    stub.write_text("mine\n")
    source.write_text(code.format("last: i32"))
    run = place.python("import fresh; print(fresh.value(1))")
    assert (run.out, stub.read_text()) == ("1", "mine\n")
    assert "was not generated, so it is kept; remove it" in run.stderr
    assert place.python("import fresh").stderr == ""
    stub.unlink()
    assert place.python("import fresh").stderr == ""
    assert not stub.exists()


def test_nothing_is_written_that_was_not_asked_for(place: Place) -> None:
    place.write("plain.rs", "// rustimport:pyo3\n#[pyfunction]\nfn value() -> i32 { 1 }\n")
    assert place.python("import plain; print(plain.value())").out == "1"
    assert command(place, "build").returncode == 0
    assert not list(place.folder.rglob("*.pyi"))
    library = next(place.folder.glob("plain.*.so"))
    assert b'"type":"function"' not in library.read_bytes()


def test_places(place: Place) -> None:
    """Packages, `beside`, names that two sources have, and what cannot be written."""
    code = "// rustimport:pyo3\n#[pyfunction]\nfn value() -> i32 { 1 }\n"
    for name in ("pkg/inner/one.rs", "two.rs", "other/two.rs"):
        place.write(name, code)
    for folder in ("pkg", "pkg/inner"):
        place.write(f"{folder}/__init__.py", "")
    run = command(place, "stubs", "-o", "types")
    assert run.returncode == 1
    assert re.search(r"types/two.pyi is already the type stub of .*/two.rs", run.stderr)
    assert "write stubs next to their sources" in run.stderr
    assert (place.folder / "types" / "pkg" / "inner" / "one.pyi").exists()
    shutil.rmtree(place.folder / "types")

    assert command(place, "stubs", "--output", "beside", "--check").returncode == 1
    run = command(place, "stubs", "--output", "beside")
    assert (run.returncode, run.stdout.count("wrote ")) == (0, 3)
    assert "mypy_path" not in run.stdout
    one = place.folder / "pkg" / "inner" / "one.pyi"
    assert one.exists()
    assert "import" not in mypy(place.folder, "use.py", "from pkg.inner.one import value\nn: int = value()\n", ".")
    assert place.python("import pkg.inner.one, two; print(two.value())").out == "1"

    # A module that gets submodules has a package in place of a file.
    more = "#[pymodule]\nmod inner { #[pymodule_export] const N: i32 = 1; }\n"
    whole = f"// rustimport\nuse pyo3::prelude::*;\n#[pymodule]\nmod two {{ use pyo3::prelude::*;\n{more} }}\n"
    place.write("two.rs", whole)
    assert command(place, "stubs", "--output", "beside", "two.rs").returncode == 0
    assert not (place.folder / "two.pyi").exists()
    assert (place.folder / "two" / "inner.pyi").exists()
    assert place.python("import two; print(two.inner.N)").out == "1"
    place.write("two.rs", code)
    assert command(place, "stubs", "--output", "beside", "two.rs").returncode == 0
    assert (place.folder / "two.pyi").exists()
    assert not (place.folder / "two" / "__init__.pyi").exists()

    place.write("broken.rs", "// rustimport:pyo3\n#[pyfunction]\nfn value() -> i32 { no }\n")
    place.write(
        "lost.rs",
        """\
        // rustimport
        use pyo3::prelude::*;
        #[pymodule]
        fn lost(_m: &Bound<'_, PyModule>) -> PyResult<()> { Err(pyo3::exceptions::PyOSError::new_err("gone")) }
        """,
    )
    run = command(place, "stubs", "--output", "beside")
    assert run.returncode == 1
    assert "broken.rs does not compile" in run.stderr
    assert "lost.rs, since it cannot be loaded: gone" in run.stderr
    assert "2 failed" in run.stdout
    (place.folder / "file").write_text("")
    run = command(place, "stubs", "--output", "file/typings", "two.rs")
    assert (run.returncode, "cannot write" in run.stderr) == (1, True)


@pytest.mark.parametrize("name", ["pure", "python-source"])
def test_projects_that_declare_nothing(environment: Environment, name: str) -> None:
    """An imperative module of a project that enables pyo3's feature has its members in the stub, too."""
    layout = projects.LAYOUTS[name]
    root = environment.project(layout)
    edit(root / "Cargo.toml", 'pyo3 = "0.30"', 'pyo3 = { version = "0.30", features = ["experimental-inspect"] }')
    module = layout.code.split(";")[0].split()[-1]
    filled = f"""\
        use pyo3::prelude::*;
        #[pyfunction]
        fn value() -> i32 {{ 1 }}
        #[pyfunction]
        fn other(text: &str) -> usize {{ text.len() }}
        #[pymodule]
        fn {module}(m: &Bound<'_, PyModule>) -> PyResult<()> {{
            m.add_function(wrap_pyfunction!(value, m)?)?;
            m.add("LIMIT", 3)
        }}
        """
    environment.place.write(f"project/{layout.edited}", filled)
    environment.develop(root)
    stub = environment.site / module / "__init__.pyi" if name == "pure" else root / f"python/{module}/{module}.pyi"
    assert (environment.run(layout.code).out, stub.exists()) == ("1", True)
    text = stub.read_text()
    assert text.startswith("# Generated by rustimport")
    assert "def value() -> int: ..." in text
    assert "LIMIT: int" in text
    assert re.search("__getattr__|other", text) is None

    exported = "m.add_function(wrap_pyfunction!(other, m)?)?;\nm.add("
    edit(root / layout.edited, "m.add(", exported)
    assert environment.run(layout.code).builds == 1
    assert "def other(text: str) -> int: ..." in stub.read_text()
    assert environment.run(layout.code).stderr == ""

    if name == "python-source":
        program = """\
            import t_source.t_source as native
            n: int = native.other("x") + native.LIMIT
            native.other(1)
            native.other()
            native.othr("x")
            """
        found = mypy(environment.place.folder, "use.py", program, str(root / "python"))
        assert [line.split(":")[1] for line in found.splitlines() if line.startswith("use.py:")] == ["3", "4", "5"]

    # The command writes the same.
    stub.unlink()
    run = environment.run("from rustimport._cli import main; print(main(['stubs', '..']))")
    assert run.out.splitlines()[-2:] == ["stubs of 1 module: 1 written, 0 failed", "0"]
    assert "def other(text: str) -> int: ..." in stub.read_text()


def test_examples_match_their_stubs(place: Place) -> None:
    """`mypy.stubtest` compares the stubs of all examples with the modules."""
    shutil.copytree(ROOT / "examples", place.folder, dirs_exist_ok=True)
    if sys.version_info >= (3, 12):
        (place.folder / "legacy.rs").unlink()
    wrote = command(place, "stubs", "-o", "typings")
    assert wrote.returncode == 0, wrote.stderr
    names = [path.relative_to(place.folder / "typings") for path in (place.folder / "typings").rglob("*.pyi")]
    modules = sorted(".".join(name.with_suffix("").parts).removesuffix(".__init__") for name in names)
    # Python adds the reflected form of an operator itself.
    place.write("allowed.txt", r".*\.__r[a-z]+__" + "\n")
    run = place.python(
        f"""
        import sys
        from mypy.stubtest import parse_options, test_stubs
        sys.path.insert(0, "")
        sys.exit(test_stubs(parse_options(["--allowlist", "allowed.txt", "--ignore-unused-allowlist", *{modules!r}])))
        """,
        MYPYPATH="typings",
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_wheels_and_cells(place: Place, tmp_path: Path) -> None:
    """Wheels contain stubs where checkers find them; a cell with a name has one, too."""
    place.write("pyproject.toml", '[project]\nname = "typed"\nversion = "1.0"\n[tool.rustimport]\nstubs = "typings"\n')
    code = "// rustimport:pyo3\n#[pyfunction]\nfn value() -> i32 { 1 }\n"
    place.write("alone.rs", code)
    place.write("pkg/__init__.py", "")
    place.write("pkg/inner.rs", code)
    built = command(place, "build", "--wheel", "dist")
    assert built.returncode == 0, built.stderr
    (wheel,) = (place.folder / "dist").iterdir()
    with zipfile.ZipFile(wheel) as archive:
        stubs = {name for name in archive.namelist() if name.endswith((".pyi", "py.typed"))}
    assert stubs == {"alone-stubs/__init__.pyi", "pkg/inner.pyi", "pkg/py.typed"}
    elsewhere = Elsewhere(tmp_path / "elsewhere")
    elsewhere.install(wheel)
    assert elsewhere.run("import alone; print(alone.value())") == "1"
    (tmp_path / "use").mkdir()
    program = "import alone\nfrom pkg.inner import value\nn: int = alone.value() + value()\ns: str = value()\n"
    found = mypy(tmp_path / "use", "use.py", program, "", str(elsewhere.python))
    assert "use.py:4: error" in found
    assert "Found 1 error" in found

    # A stub that the user wrote is the one in the wheel.
    place.write("alone.pyi", "def value() -> int: ...  # mine\n")
    assert command(place, "build", "--wheel", "dist").returncode == 0
    with zipfile.ZipFile(wheel) as archive:
        assert b"mine" in archive.read("alone.pyi")
        assert "alone-stubs/__init__.pyi" not in archive.namelist()

    cell = "#[pyfunction]\nfn value({}) -> i32 {{ 1 }}"
    for parameter in ("", "more: i32"):
        run = place.python(f"rustimport.inline({cell.format(parameter)!r}, name='cell'); print(1)")
        assert (run.out, "stub" in run.stderr) == ("1", False)
        assert f"def value({parameter.partition(':')[0]}" in (place.folder / "typings" / "cell.pyi").read_text()
    before = sorted((place.folder / "typings").rglob("*"))
    assert place.python(f"rustimport.inline({cell.format('nameless: i32')!r}); print(1)").out == "1"
    assert sorted((place.folder / "typings").rglob("*")) == before


def test_no_import_fails_because_of_its_stubs(place: Place) -> None:
    """Odd modules: members that raise, modules in a circle, texts that are none, names that are no names."""
    place.write("pyproject.toml", '[tool.rustimport]\nstubs = "typings"\n')
    place.write(
        "odd.rs",
        """\
        // rustimport
        use pyo3::prelude::*;

        #[pyclass]
        struct Angry;

        #[pymethods]
        impl Angry {
            fn __getattr__(&self, name: &str) -> PyResult<u8> {
                Err(pyo3::exceptions::PyKeyError::new_err(name.to_owned()))
            }
        }

        #[pymodule]
        fn odd(m: &Bound<'_, PyModule>) -> PyResult<()> {
            let inner = PyModule::new(m.py(), "inner")?;
            inner.add("outer", m)?;
            inner.add("again", &inner)?;
            m.add_submodule(&inner)?;
            m.add("angry", Py::new(m.py(), Angry)?)?;
            m.add("Wrong", m.py().get_type::<pyo3::exceptions::PyValueError>())?;
            m.add("function", m.py().eval(c"lambda errors='\\\\udc80', top=float('inf'): 1", None, None)?)?;
            m.setattr("__doc__", 5)?;
            m.dict().set_item(7, 8)
        }
        """,
    )
    run = place.python("import odd; print(odd.function())")
    assert (run.out, "stub" in run.stderr) == ("1", False), run.stderr
    text = (place.folder / "typings" / "odd" / "__init__.pyi").read_text()
    assert "Wrong: type[ValueError]" in text
    assert "def function(errors" in text
    assert command(place, "stubs", "--check").returncode == 0

    # After a reload, a stub has no names of the earlier build.
    code = "// rustimport:pyo3\n#[pyfunction]\nfn {}() {{}}\n"
    place.write("again.rs", code.format("first"))
    edited = code.format("second")
    place.python(
        f"import again, importlib, pathlib; pathlib.Path('again.rs').write_text({edited!r}); importlib.reload(again)"
    )
    text = (place.folder / "typings" / "again.pyi").read_text()
    assert ("second" in text, "first" in text) == (True, False)
