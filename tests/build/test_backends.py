"""Wheels of packages that hatchling and setuptools build: with the frontends that people use, installed where there is
no Rust."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.conftest import ROOT, Place

SCRIPTS = Path(sys.executable).parent

FAST = "// rustimport:pyo3\n#[pyfunction]\nfn value() -> i32 { 42 }\n"
CRATE = "use pyo3::prelude::*;\n\n#[pymodule]\nmod sums {\n    #[pymodule_export]\n    const TOTAL: i32 = 6;\n}\n"
NESTED = """\
use pyo3::prelude::*;

#[pymodule]
mod sums {
    use pyo3::prelude::*;

    #[pymodule]
    mod inner {
        #[pymodule_export]
        const ONE: i32 = 1;
    }
}
"""
CARGO = """\
[package]
name = "sums"
version = "0.1.0"
edition = "2024"
[lib]
crate-type = ["cdylib"]
[dependencies]
pyo3 = "0.30"
"""
HATCH = """\
[build-system]
requires = ["hatchling", "rustimport>=2"]
build-backend = "hatchling.build"
[project]
name = "packed"
version = "1.0"
[tool.hatch.build.targets.wheel]
packages = ["src/packed"]
[tool.hatch.build.hooks.rustimport]
"""
SETUPTOOLS = """\
[build-system]
requires = ["setuptools>=70.1", "rustimport>=2"]
build-backend = "setuptools.build_meta"
[project]
name = "packed"
version = "1.0"
[tool.setuptools.package-data]
packed = ["*.txt", "*.rs"]
[tool.rustimport.wheel]
"""
#: Not link-time optimisation, which takes long.
DEV = 'profile = "dev"\n'
TRIAL = "from packed import fast, sums; from packed.inner import deep; print(fast.value(), sums.TOTAL, deep.value())"


@pytest.fixture
def project(place: Place) -> Path:
    """A package with a script, a script in a subpackage, a crate, data, and a script that is not part of it."""
    place.write("src/packed/__init__.py", "")
    place.write("src/packed/data.txt", "data")
    place.write("src/packed/fast.rs", FAST)
    place.write("src/packed/inner/__init__.py", "")
    place.write("src/packed/inner/deep.rs", FAST)
    place.write("src/packed/sums/Cargo.toml", CARGO)
    place.write("src/packed/sums/.rustimport", "")
    place.write("src/packed/sums/src/lib.rs", CRATE)
    place.write("tests/helper.rs", FAST)
    place.write("README.md", "")
    return place.folder


@pytest.fixture(params=[HATCH, SETUPTOOLS], ids=["hatchling", "setuptools"])
def table(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def own_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a wheel of this package, for isolated builds."""
    folder = tmp_path_factory.mktemp("own")
    command: list[str | Path] = [
        SCRIPTS / "maturin",
        "build",
        "--release",
        "--quiet",
        "-i",
        sys.executable,
        "--out",
        folder,
    ]
    subprocess.run(command, cwd=ROOT, check=True, env={**os.environ, "VIRTUAL_ENV": sys.prefix})
    return folder


def run(place: Place, *command: str | Path, **more: str) -> str:
    # uv brings its own certificates, which a company's proxy is not among.
    env = {**place.env, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "UV_SYSTEM_CERTS": "1", **more}
    done = subprocess.run(command, cwd=place.folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def check_installed(place: Place, wheel: Path, *, abi: str | None = None) -> set[str]:
    """Imports the modules in a new environment, with nothing on the path. Returns the names of the wheel's files."""
    version = f"cp{sys.version_info[0]}{sys.version_info[1]}"
    assert wheel.name.startswith(f"packed-1.0-{abi or f'{version}-{version}'}-"), wheel.name
    venv = place.folder / "venv"
    run(place, sys.executable, "-m", "venv", venv)
    run(place, venv / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-index", wheel)
    nothing = {"PATH": "/nonexistent", "RUSTIMPORT_CACHE_DIR": "/nonexistent"}
    done = subprocess.run(
        [venv / "bin" / "python", "-c", TRIAL], cwd="/", env=nothing, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["42", "6", "42"], done.stderr
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


def only(folder: Path) -> Path:
    (wheel,) = folder.glob("*.whl")
    return wheel


def test_hatchling_isolated(place: Place, project: Path, own_wheel: Path) -> None:
    """With `python -m build`, which builds the wheel from a source distribution."""
    place.write("pyproject.toml", HATCH + DEV)
    run(place, sys.executable, "-m", "build", "--outdir", "dist", PIP_FIND_LINKS=str(own_wheel))
    files = check_installed(place, only(project / "dist"))
    assert not [name for name in files if name.endswith((".rs", ".toml")) or "helper" in name]
    assert "packed/data.txt" in files
    # Nothing is written next to the sources.
    assert not list((project / "src").rglob("*.so"))


def test_hatchling_with_options(place: Place, project: Path) -> None:
    """With the sources, without isolation; only what is on the given paths."""
    options = DEV + 'sources = true\npaths = ["src/packed/inner", "src/packed/fast.rs"]\n'
    place.write("pyproject.toml", HATCH + options)
    run(place, sys.executable, "-m", "pip", "wheel", "--quiet", "--no-build-isolation", "--no-deps", "-w", "dist", ".")
    with zipfile.ZipFile(only(project / "dist")) as archive:
        names = archive.namelist()
    assert {"packed/fast.rs", "packed/inner/deep.rs", "packed/sums/Cargo.toml"} < set(names)
    libraries = {name.split(".")[0] for name in names if name.endswith(".so")}
    assert libraries == {"packed/fast", "packed/inner/deep"}


def test_setuptools_isolated(place: Place, project: Path, own_wheel: Path) -> None:
    """With `uv build`, which builds the wheel from a source distribution; for all later versions of Python."""
    place.write("pyproject.toml", SETUPTOOLS + DEV + 'abi3 = "3.10"\n')
    words = ("--find-links", own_wheel, "--python", sys.executable, "--out-dir", "dist")
    run(place, SCRIPTS / "uv", "build", "--quiet", *words)
    files = check_installed(place, only(project / "dist"), abi="cp310-abi3")
    assert not [name for name in files if name.endswith((".rs", ".toml")) or "helper" in name]
    assert "packed/data.txt" in files


def test_setuptools_without_isolation(place: Place, project: Path) -> None:
    place.write("pyproject.toml", SETUPTOOLS + DEV)
    run(place, sys.executable, "-m", "pip", "wheel", "--quiet", "--no-build-isolation", "--no-deps", "-w", "dist", ".")
    check_installed(place, only(project / "dist"))


def test_editable_installations_are_left_to_the_hook(place: Place, project: Path, own_wheel: Path, table: str) -> None:
    place.write("pyproject.toml", table + DEV)
    uv, python = SCRIPTS / "uv", place.folder / "venv" / "bin" / "python"
    run(place, uv, "venv", "--quiet", "--python", sys.executable, "venv")
    run(place, uv, "pip", "install", "-q", "--python", python, "--find-links", own_wheel, "rustimport", "-e", ".")
    assert not list(project.rglob("packed/**/*.so"))
    for value in ("42", "43"):
        place.write("src/packed/fast.rs", FAST.replace("42", value))
        assert run(place, python, "-c", "import rustimport.import_hook; " + TRIAL).split() == [value, "6", "42"]


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ('colour = "red"\n', "unknown option `colour` in [tool."),
        ('zig = "yes"\n', "`zig = 'yes'` in [tool."),
        ("", "does not compile"),
    ],
)
def test_errors(place: Place, project: Path, table: str, broken: str, message: str) -> None:
    place.write("pyproject.toml", table + DEV + broken)
    place.write("src/packed/fast.rs", FAST.replace("42", '"text"'))
    words = ("-m", "pip", "wheel", "--no-build-isolation", "--no-deps", "-w", "dist", ".")
    done = subprocess.run(
        [sys.executable, *words], cwd=project, env=place.env, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert message in done.stdout + done.stderr


def names_of_wheel(place: Place, table: str, more: str = "") -> set[str]:
    """Builds the wheel without isolation. Returns the names of its files, libraries without their suffix."""
    place.write("pyproject.toml", table + DEV + more)
    run(place, sys.executable, "-m", "pip", "wheel", "--quiet", "--no-build-isolation", "--no-deps", "-w", "dist", ".")
    wheel = only(place.folder / "dist")
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if ".dist-info/" not in name]
    wheel.unlink()
    return {name.split(".")[0] + ".so" if name.endswith(".so") else name for name in names}


def test_stubs(place: Place, project: Path, table: str) -> None:
    """Of two modules and of a crate with a submodule; the user's own `py.typed` stays."""
    place.write("src/packed/py.typed", "partial\n")
    place.write("src/packed/sums/src/lib.rs", NESTED)
    names = names_of_wheel(place, table, '[tool.rustimport]\nstubs = "typings"\n')
    assert {"packed/fast.pyi", "packed/inner/deep.pyi", "packed/sums/inner.pyi", "packed/sums.so"} <= names
    assert "packed/sums/Cargo.toml" not in names


def test_what_the_project_leaves_out_is_left_out(place: Place, project: Path, table: str) -> None:
    place.write("src/packed/tests/__init__.py", "")
    place.write("src/packed/tests/helper.rs", FAST)
    if table is HATCH:
        table = table.replace("[tool.hatch.build.hooks", 'exclude = ["src/packed/tests"]\n[tool.hatch.build.hooks')
    else:
        table = table.replace(
            "[tool.rustimport",
            '[tool.setuptools.packages.find]\nwhere = ["src"]\nexclude = ["*.tests"]\n[tool.rustimport',
        )
    names = names_of_wheel(place, table)
    assert {name for name in names if name.endswith(".so")} == {
        f"packed/{name}.so" for name in ("fast", "sums", "inner/deep")
    }


def test_a_path_outside_of_the_packages_is_an_error(place: Place, project: Path, table: str) -> None:
    place.write("pyproject.toml", table + DEV + 'paths = ["tests"]\n')
    words = ("-m", "pip", "wheel", "--no-build-isolation", "--no-deps", "-w", "dist", ".")
    done = subprocess.run(
        [sys.executable, *words], cwd=project, env=place.env, capture_output=True, text=True, check=False
    )
    if table is HATCH:
        # Everything in the project can be part of its wheels.
        assert done.returncode == 0, done.stderr
    else:
        assert "helper.rs would be outside of the wheel" in done.stdout + done.stderr


def test_hatchlings_other_layouts(place: Place) -> None:
    """A project of one module, and packages that are installed below another name."""
    place.write("packed.py", "")
    place.write("_fast.rs", FAST)
    table = HATCH.replace('packages = ["src/packed"]', 'only-include = ["packed.py", "_fast.rs"]')
    assert names_of_wheel(place, table) == {"packed.py", "_fast.so"}
    place.write("lib/__init__.py", "")
    place.write("lib/fast.rs", FAST)
    sources = 'only-include = ["lib"]\n[tool.hatch.build.targets.wheel.sources]\n"lib" = "ns/packed"'
    table = HATCH.replace('packages = ["src/packed"]', sources)
    assert names_of_wheel(place, table) == {"ns/packed/__init__.py", "ns/packed/fast.so"}


def test_setuptools_other_commands_and_earlier_builds(place: Place, project: Path) -> None:
    """A command class in pyproject.toml replaces none of ours. What an earlier build has left is not packed."""
    place.write("src/own.py", "from setuptools.command.sdist import sdist\nclass Own(sdist): pass\n")
    table = SETUPTOOLS.replace("[tool.rustimport", '[tool.setuptools.cmdclass]\nsdist = "own.Own"\n[tool.rustimport')
    assert "packed/sums.so" in names_of_wheel(place, table)
    shutil.rmtree(project / "src" / "packed" / "sums")
    assert "packed/sums.so" not in names_of_wheel(place, table)


@pytest.mark.parametrize(
    ("more", "loaded"),
    [
        ("", {"rustimport._backends", "rustimport._backends.entry"}),
        ('[tool.rustimport]\nprofile = "dev"\n', {"rustimport._backends", "rustimport._backends.entry"}),
    ],
)
def test_other_projects_of_setuptools_are_left_alone(place: Place, more: str, loaded: set[str]) -> None:
    """Nothing but the entry point is loaded, and the wheel stays pure."""
    table = SETUPTOOLS.replace("[tool.rustimport.wheel]\n", "").replace(', "rustimport>=2"', "")
    place.write("pyproject.toml", table + more)
    place.write("src/packed/__init__.py", "")
    code = "import sys, setuptools.build_meta as b; b.build_wheel('.')\n"
    code += "print([name for name in sys.modules if name.startswith('rustimport.')])"
    found = run(place, sys.executable, "-c", code).splitlines()[-1]
    assert only(place.folder).name == "packed-1.0-py3-none-any.whl"
    assert set(ast.literal_eval(found)) == loaded
