"""Builds for other machines: wheels, compatible platforms, functions for C."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import pytest

from tests.build.test_command import SCRIPT, command
from tests.conftest import ROOT, Place


class Elsewhere:
    """A venv without this package or any other, on a machine without Rust."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
        self.python = folder / "bin" / "python"

    def install(self, wheel: Path, *more: str) -> None:
        pip = [sys.executable, "-m", "pip", "--python", str(self.python), "install", "--quiet"]
        subprocess.run([*pip, "--disable-pip-version-check", str(wheel), *more], check=True)

    def run(self, code: str) -> str:
        done = subprocess.run(
            [str(self.python), "-I", "-c", textwrap.dedent(code)],
            cwd=self.folder,
            env={"PATH": ""},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@pytest.fixture
def elsewhere(tmp_path: Path) -> Elsewhere:
    return Elsewhere(tmp_path / "elsewhere")


def wheel_in(folder: Path) -> Path:
    (wheel,) = folder.iterdir()
    return wheel


def headers(wheel: Path, file: str) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(f".dist-info/{file}")]
        return archive.read(name).decode().splitlines()


def test_wheel_of_the_examples(place: Place, elsewhere: Elsewhere) -> None:
    shutil.copytree(ROOT / "examples", place.folder / "examples", ignore=shutil.ignore_patterns("*.so*", "__pycache__"))
    if sys.version_info > (3, 11, 99):
        (place.folder / "examples" / "legacy.rs").unlink()
    before = sorted(place.folder.rglob("*"))
    run = command(
        place,
        "build",
        "--wheel",
        "../dist",
        "--profile",
        "dev",
        "--name",
        "Examples",
        "--version",
        "1.2rc1",
        "examples",
    )
    assert run.returncode == 0, run.stderr
    assert sorted(place.folder.rglob("*")) == before
    wheel = wheel_in(place.folder.parent / "dist")
    assert run.stdout.strip().endswith(wheel.name)
    version = "cp{}{}".format(*sys.version_info)
    assert wheel.name.startswith(f"examples-1.2rc1-{version}-{version}-")
    subprocess.run([sys.executable, "-m", "twine", "check", str(wheel)], check=True)
    elsewhere.install(wheel, "--no-deps")
    code = """
        import importlib.metadata, somecode, geometry.distance
        print(somecode.square(9), importlib.metadata.version("examples"), geometry.distance.__file__.startswith("{}"))
        try:
            import rustimport
        except ModuleNotFoundError:
            print("alone")
    """
    code = code.format(elsewhere.folder)
    assert elsewhere.run(code) == "81 1.2rc1 True\nalone"


def test_a_wheel_of_a_package_has_its_python_files(place: Place, elsewhere: Elsewhere) -> None:
    place.write(
        "src/pyproject.toml",
        """
        [project]
        name = "Mixed.Thing"
        version = "3.1"
        description = "of both"
        dependencies = ["packaging>=20"]
        """,
    )
    place.write("src/mixed/__init__.py", "from .inner import value\n")
    place.write("src/mixed/py.typed", "")
    place.write("src/mixed/inner.rs", SCRIPT.format(7))
    place.write("src/mixed/deep/__init__.py", "")
    place.write("src/mixed/deep/bottom.rs", SCRIPT.format(8))
    place.write("src/other/__init__.py", "")
    place.write("src/single.rs", SCRIPT.format(9))
    place.write("src/single.pyi", "def value() -> int: ...\n")
    dist = place.folder / "dist"
    arguments = ("build", "--wheel", str(dist), "--profile", "dev", "--abi3", "3.10", "src")
    run = command(place, *arguments)
    assert run.returncode == 0, run.stderr
    wheel = wheel_in(dist)
    assert wheel.name.startswith("mixed_thing-3.1-cp310-abi3-")
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if ".dist-info/" not in name]
    assert names == [
        "mixed/__init__.py",
        "mixed/deep/__init__.py",
        "mixed/deep/bottom.abi3.so",
        "mixed/inner.abi3.so",
        "mixed/py.typed",
        "single.abi3.so",
        "single.pyi",
    ]
    assert {"Name: Mixed.Thing", "Requires-Dist: packaging>=20", "Summary: of both"} <= set(headers(wheel, "METADATA"))
    elsewhere.install(wheel, "--no-deps")
    assert (
        elsewhere.run("import mixed.deep.bottom as b, mixed, single; print(mixed.value(), b.value(), single.value())")
        == "7 8 9"
    )
    # Building the same sources again gives the same bytes.
    first = wheel.read_bytes()
    assert command(place, *arguments).returncode == 0
    assert wheel.read_bytes() == first


def test_libraries_that_a_wheel_needs_are_in_it(place: Place, elsewhere: Elsewhere) -> None:
    libraries = place.folder / "libraries"
    libraries.mkdir()
    source = place.write("libraries/answer.c", "int answer(void) { return 42; }\n")
    library = libraries / "libanswer.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", str(library), "-Wl,-soname,libanswer.so", str(source)], check=True)
    place.write("package/__init__.py", "")
    place.write(
        "package/bound.rs",
        """
        // rustimport:pyo3
        #[link(name = "answer")]
        unsafe extern "C" { fn answer() -> i32; }
        #[pyfunction]
        fn value() -> i32 { unsafe { answer() } }
        """,
    )
    dist = place.folder / "dist"
    arguments = (
        "build",
        "--wheel",
        str(dist),
        "--profile",
        "dev",
        "--auditwheel",
        "repair",
        "--name",
        "bound",
        "package",
    )
    run = command(place, *arguments, LIBRARY_PATH=str(libraries), LD_LIBRARY_PATH=str(libraries))
    assert run.returncode == 0, run.stderr
    shutil.rmtree(libraries)
    elsewhere.install(wheel_in(dist))
    assert elsewhere.run("import package.bound; print(package.bound.value())") == "42"


def test_compatibility_is_verified(place: Place) -> None:
    place.write("m.rs", SCRIPT.format(1))
    run = command(place, "build", "--compatibility", "manylinux2014", "m.rs")
    # On a system that is this old, the build succeeds.
    if run.returncode != 0:
        assert "manylinux_2_17" in run.stderr
        assert "--zig" in run.stderr
    # A library that was built without these options is not reused.
    assert command(place, "build", "m.rs").returncode == 0
    assert "1 built" in command(place, "build", "--strip", "m.rs").stdout
    assert "1 fresh" in command(place, "build", "--strip", "m.rs").stdout
    # The library must match the requested options.
    assert "1 built" in command(place, "build", "m.rs").stdout


def test_options_that_need_maturin_are_refused_without_it(place: Place) -> None:
    shutil.copy(ROOT / "examples" / "bare.rs", place.folder)
    place.write("plain.rs", '// rustimport\n#[unsafe(no_mangle)] pub extern "C" fn PyInit_plain() -> usize { 0 }\n')
    run = command(place, "build", "--compatibility", "manylinux2014", "plain.rs")
    assert run.returncode == 1
    assert "--compatibility is not supported" in run.stderr
    run = command(
        place, "build", "--wheel", "dist", "--profile", "dev", "--target", "x86_64-unknown-linux-gnu", "plain.rs"
    )
    assert "--target is not supported" in run.stderr
    run = command(place, "build", "--wheel", "dist", "--profile", "dev", "--abi3", "3.10", "bare.rs")
    assert run.returncode == 1
    assert "--abi3 is for sources that use pyo3" in run.stderr
    assert "package 'bare'" in run.stderr


def test_windows_from_another_system(place: Place) -> None:
    """`make test-windows` imports such modules."""
    triple = "x86_64-pc-windows-gnu"
    sysroot = Path(subprocess.check_output(["rustc", "--print", "sysroot"], env=place.env, text=True).strip())
    if shutil.which("x86_64-w64-mingw32-gcc") is None or not (sysroot / "lib" / "rustlib" / triple).exists():
        pytest.skip("no linker or standard library for Windows")
    place.write("m.rs", SCRIPT.format(1))
    run = command(place, "build", "--wheel", "dist", "--profile", "dev", "--target", triple, "m.rs")
    assert run.returncode == 0, run.stderr
    (wheel,) = (place.folder / "dist").glob("*.whl")
    assert wheel.name.endswith("-win_amd64.whl")
    version = f"{sys.version_info[0]}{sys.version_info[1]}"
    assert f"m.cp{version}-win_amd64.pyd" in zipfile.ZipFile(wheel).namelist()


def test_missing_target(place: Place) -> None:
    place.write("m.rs", SCRIPT.format(1))
    run = command(
        place, "build", "--wheel", "dist", "--profile", "dev", "--target", "riscv64gc-unknown-linux-gnu", "m.rs"
    )
    assert run.returncode == 1
    assert "rustup target add" in run.stderr
    assert not (place.folder / "dist").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--compatibility", "manylinux2010"], "glibc 2.17"),
        (["--compatibility", "manylinux_2_12_x86_64"], "glibc 2.17"),
        (["--abi3"], "--abi3 requires --wheel"),
        (["--tag", "cp311-cp311-linux_x86_64"], "--tag requires --wheel"),
        (["--wheel", "dist", "--abi3", "three"], "not a version of Python"),
        (["--wheel", "dist", "--name", "-x"], "expected one argument"),
        (["--wheel", "dist", "--name", "x y"], "not a valid name for a distribution"),
        (["--wheel", "dist", "--version", "one"], "not a valid version such as 1.0"),
        (["--wheel", "dist", "--tag", "cp311"], "not a valid tag"),
        (["--wheel", "dist", "--check"], "cannot be used with --wheel"),
        (["--wheel", "dist", "empty"], "nothing to put into a wheel"),
        (["--header", "m.h"], "the path of one script"),
        (["--python", "/nowhere/python"], "/nowhere/python, the Python to build for, does not start"),
        (["--python", "/bin/true"], "is not Python 3.10 or later"),
    ],
)
def test_invalid_arguments_are_refused_before_a_build(place: Place, arguments: list[str], message: str) -> None:
    place.write("a.rs", SCRIPT.format(1))
    place.write("b.rs", SCRIPT.format(1))
    place.write("empty/readme.txt", "")
    before = sorted(place.folder.rglob("*"))
    run = command(place, "build", *arguments)
    assert run.returncode == 2
    assert message in run.stderr
    assert sorted(place.folder.rglob("*")) == before
    assert place.builds == 0


FUNCTIONS = """\
    // rustimport:cffi
    //! Inner documentation asks for a copy.
    pub const LIMIT: i32 = 7;
    pub const RATIO: f64 = 1.5;

    #[repr(C)]
    pub struct Point { pub x: f64, pub y: f64 }

    /// Doubles its input.
    #[unsafe(no_mangle)]
    pub extern "C" fn double_input(input: i32) -> i32 { input * 2 }

    #[unsafe(no_mangle)]
    pub extern "C" fn norm(point: Point) -> f64 { point.x.hypot(point.y) }

    /// # Safety
    /// `data` has `length` elements.
    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn total(data: *const f64, length: usize) -> f64 {
        unsafe { std::slice::from_raw_parts(data, length) }.iter().sum()
    }

    fn for_rust_alone() {}
"""


def test_functions_for_c(place: Place, elsewhere: Elsewhere) -> None:
    place.write("functions.rs", FUNCTIONS.replace("fn for_rust_alone() {}", ""))
    code = """
        import functions
        print(functions.double_input(21), functions.norm({"x": 3, "y": 4}), functions.LIMIT)
        numbers = functions.ffi.new("double[]", [1.5, 2.5])
        print(functions.total(numbers, 2), functions.lib.double_input(1), hasattr(functions, "for_rust_alone"))
    """
    assert place.python(code).out == "42 5.0 7\n4.0 2 False"
    place.write("functions.rs", FUNCTIONS.replace("fn for_rust_alone() {}", "").replace("input * 2", "input * 3"))
    assert place.python("import functions; print(functions.double_input(1))").out == "3"

    run = command(place, "build", "--header", "functions.h", "functions.rs")
    assert run.returncode == 0, run.stderr
    header = (place.folder / "functions.h").read_text()
    assert "int32_t double_input(int32_t input);" in header
    assert "Doubles its input." in header
    caller = place.write(
        "caller.c",
        """
        #include "functions.h"
        int main(void) { struct Point p = {3, 4}; return double_input(LIMIT) != 21 || sizeof p != 16; }
        """,
    )
    subprocess.run(["cc", "-fsyntax-only", str(caller)], check=True)
    # The user's cbindgen.toml takes precedence.
    place.write("cbindgen.toml", 'language = "C++"\ninclude_guard = "FUNCTIONS"\n')
    assert command(place, "build", "--header", "functions.h", "functions.rs").returncode == 0
    assert "#ifndef FUNCTIONS" in (place.folder / "functions.h").read_text()

    dist = place.folder / "dist"
    run = command(place, "build", "--wheel", str(dist), "--profile", "dev", "functions.rs")
    assert run.returncode == 0, run.stderr
    wheel = wheel_in(dist)
    assert "Requires-Dist: cffi" in headers(wheel, "METADATA")
    elsewhere.install(wheel, "--no-deps")
    assert elsewhere.run("""
        try:
            import functions
        except ImportError as error:
            print(error)
    """).startswith("functions is a module of C functions, and needs cffi: python -m pip install cffi")


def test_source_without_functions_for_c(place: Place) -> None:
    place.write("m.rs", "// rustimport:cffi\nfn f() {}\n")
    run = place.python("import m")
    assert "m.rs has no functions for C" in run.stderr
    assert 'pub extern "C" fn' in run.stderr
    assert place.builds == 0


def test_a_header_never_overwrites_other_files(place: Place) -> None:
    source = place.write("functions.rs", FUNCTIONS)
    place.write("mine.h", "int precious;\n")
    for header in ("mine.h", "functions.rs", "./functions.rs"):
        run = command(place, "build", "--header", header, "functions.rs")
        assert run.returncode == 2
        assert "rustimport did not write it" in run.stderr
    assert (place.folder / "mine.h").read_text() == "int precious;\n"
    assert source.read_text().startswith("// rustimport:cffi")
    deep = "fn f() -> i32 { " + "1+" * 200_000 + "1 }"
    place.write("deep.rs", f"// rustimport:cffi\n{deep}\n")
    run = command(place, "build", "--header", "deep.h", "deep.rs")
    assert run.returncode == 2
    assert "cannot be read as Rust" in run.stderr


def test_conflicting_names_in_a_wheel_are_refused(place: Place) -> None:
    place.write("a/x.rs", SCRIPT.format(1))
    place.write("b/x.rs", SCRIPT.format(2))
    run = command(place, "build", "--wheel", "dist", "--profile", "dev", "--name", "both", "a", "b")
    assert run.returncode == 2
    assert "would both be installed as x" in run.stderr
    assert not (place.folder / "dist").exists()
    place.write("a/pyproject.toml", '[project]\nname = "a"\ndynamic = ["version"]\n')
    run = command(place, "build", "--wheel", "dist", "--profile", "dev", "a")
    assert "set it with --version" in run.stderr


def test_killed_interpreter(place: Place) -> None:
    place.write("m.rs", SCRIPT.format(1))
    python = place.write(
        "python",
        """
        #!/bin/sh
        case "$*" in *version_info*) exit 10;; *) kill -KILL $$;; esac
    """.lstrip(),
    )
    python.write_text(python.read_text().lstrip())
    python.chmod(0o755)
    run = command(place, "build", "--python", str(python), "--", "m.rs")
    assert run.returncode == 137
    assert "was killed by signal 9" in run.stderr
    run = command(place, "build", "--python", sys.executable, "--", "m.rs")
    assert run.stdout == "1 built, 0 fresh, 0 failed\n"


def test_other_interpreters(place: Place) -> None:
    from tests.clients.test_environments import others

    pythons = others()
    if not pythons:
        pytest.skip("there is no other interpreter")
    place.write("m.rs", SCRIPT.format(5))
    run = command(place, "build", "--json", "--python", pythons[0], f"--python={sys.executable}", "m.rs")
    assert run.returncode == 0, run.stderr
    assert [Path(result["artifact"]).parent for result in json.loads(run.stdout)] == [place.folder] * 2
    for python in (pythons[0], sys.executable):
        done = subprocess.run(
            [python, "-c", "import m; print(m.value())"], cwd=place.folder, capture_output=True, text=True, check=False
        )
        assert done.stdout.strip() == "5", done.stderr
