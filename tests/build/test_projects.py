"""Projects in editable mode: imports use the current sources, and maturin runs only if they changed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests import projects
from tests.conftest import CACHE, ROOT, Place, Run

SCRIPTS = Path(sysconfig.get_path("scripts"))
SITE = Path(sysconfig.get_path("purelib"))
#: A fixed path, because cargo recompiles pyo3 for another interpreter.
HOME = ROOT / "target" / CACHE.name.replace("cache", "projects") / f"{sys.version_info[0]}.{sys.version_info[1]}"


class Environment:
    """A venv without pip and without activation, and the projects that are installed in it."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.prefix = HOME / "venv"
        shutil.rmtree(self.prefix, ignore_errors=True)
        subprocess.run([SCRIPTS / "uv", "venv", "--quiet", "--python", sys.executable, self.prefix], check=True)
        self.bin = self.prefix / "bin"
        self.site = next(self.prefix.glob("lib/python*/site-packages"))
        (self.site / "rustimport").symlink_to(ROOT / "python" / "rustimport")
        #: Shared by all projects, so that pyo3 is compiled once.
        self.place.env["CARGO_TARGET_DIR"] = str(HOME / "target")
        # The folder that contains uv.
        self.place.env["PATH"] += os.pathsep + str(SCRIPTS)

    @property
    def activated(self) -> dict[str, str]:
        path = os.pathsep.join([str(self.bin), str(SCRIPTS), self.place.env["PATH"]])
        return {**self.place.env, "VIRTUAL_ENV": str(self.prefix), "PATH": path}

    def install(self, *packages: str) -> None:
        """Runs `pip install`, with a pip that is not in the environment."""
        if not packages:
            return
        pip: list[Any] = [sys.executable, "-m", "pip", "--python", self.bin / "python", "install", "--quiet"]
        done = subprocess.run([*pip, *packages], env=self.place.env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def uninstall(self, package: str) -> None:
        pip: list[Any] = [sys.executable, "-m", "pip", "--python", self.bin / "python", "uninstall", "--quiet", "-y"]
        subprocess.run([*pip, package], env=self.place.env, check=True)

    def develop(self, folder: Path, *arguments: str) -> str:
        """Runs `maturin develop` in the activated environment."""
        command: list[Any] = [SCRIPTS / "maturin", "develop", "--uv", *arguments]
        done = subprocess.run(command, cwd=folder, env=self.activated, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return str(done.stderr)

    def project(self, layout: projects.Layout, name: str = "project") -> Path:
        """Writes a project, and returns its folder."""
        for file, text in layout.files.items():
            self.place.write(f"{name}/{file}", text)
        return self.place.folder / name

    def own_target(self, root: Path) -> None:
        """Gives a project a target folder of its own, for cargo, in which pyo3 is compiled all the same."""
        self.place.env.pop("CARGO_TARGET_DIR", None)
        (HOME / "target").mkdir(parents=True, exist_ok=True)
        (root / "target").symlink_to(HOME / "target")

    def run(self, code: str, **env: Any) -> Run:
        """Runs code in a fresh interpreter, in a folder outside all projects."""
        (self.place.folder / "elsewhere").mkdir(exist_ok=True)
        code = "import os; os.chdir('elsewhere')\n" + textwrap.dedent(code)
        return self.place.python(code, executable=str(self.bin / "python"), **env)


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def developed(
    environment: Environment, name: str = "pure", *, own_target: bool = False
) -> tuple[projects.Layout, Path]:
    layout = projects.LAYOUTS[name]
    root = environment.project(layout)
    if own_target:
        environment.own_target(root)
    environment.develop(root / layout.folder)
    return layout, root


@pytest.mark.parametrize("name", projects.LAYOUTS)
def test_every_layout(environment: Environment, name: str) -> None:
    layout = projects.LAYOUTS[name]
    environment.install(*layout.needs)
    root = environment.project(layout, name)
    environment.develop(root / layout.folder)

    # The library that `maturin develop` built is reused.
    first = environment.run(layout.code)
    assert (first.out, first.builds, first.stderr) == ("1", 0, "")
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file() and path.suffix in (".py", ".toml")}

    edit(root / layout.edited, projects.EDITED, "2")
    second = environment.run(layout.code)
    assert (second.out, second.builds) == ("2", 1), second.stderr
    third = environment.run(layout.code)
    assert (third.out, third.builds, third.stderr) == ("2", 0, "")
    assert {path: path.read_bytes() for path in before} == before


def test_maturin_asks_an_interpreter_once(environment: Environment) -> None:
    layout, root = developed(environment)
    starts = environment.place.folder / "starts"
    (environment.site / "starts.pth").write_text(f"import os; open({str(starts)!r}, 'a').write('x')\n")
    counts = []
    for value in ("2", "3", "3"):
        starts.write_text("")
        (root / layout.edited).write_text(layout.files[layout.edited].replace(projects.EDITED, value))
        assert environment.run(layout.code).out == value
        counts.append(len(starts.read_text()))
    # From the second build on, no other interpreter starts than the importing one.
    assert environment.place.builds == 2
    assert counts[0] > counts[1] == counts[2]


INVOKED = "invoked.timestamp"


def units(folder: Path, package: str) -> dict[Path, int]:
    """The times at which the parts of a package were compiled."""
    found = (*folder.glob(f"**/.fingerprint/{package}-*/{INVOKED}"), *folder.glob(f"**/build/{package}/*/*/{INVOKED}"))
    return {path: path.stat().st_mtime_ns for path in found}


def test_files_that_are_not_inputs(environment: Environment) -> None:
    layout, root = developed(environment, "python-source")
    assert environment.run(layout.code).builds == 0
    for file in (
        "README.md",
        "python/t_source/_native.pyi",
        "python/t_source/more.py",
        "tests/test_it.py",
        ".coverage",
    ):
        environment.place.write(f"project/{file}", "")
    edit(root / "pyproject.toml", "[tool.maturin]", "[tool.ruff]\nline-length = 100\n\n[tool.maturin]")
    (root / "python/t_source/__init__.py").write_text("from .t_source import value as value\nmore = 1\n")
    os.utime(root / "src/lib.rs")
    run = environment.run("import t_source; print(t_source.value(), t_source.more)")
    assert (run.out, run.builds) == ("1 1", 0)


def test_inputs(environment: Environment) -> None:
    """Variables, build scripts, included files, manifests, cargo's configuration, and files that are declared."""
    layout = projects.Layout(
        {
            "Cargo.toml": projects.cargo("t-inputs", "t_inputs").replace("[lib]", 'build = "build.rs"\n\n[lib]'),
            "build.rs": 'fn main() {\n    println!("cargo::rerun-if-changed=data.txt");\n'
            '    println!("cargo::rerun-if-env-changed=T_BUILD");\n'
            '    println!("cargo::rustc-env=T_BUILT={}", std::env::var("T_BUILD").unwrap_or_default());\n}\n',
            "data.txt": "",
            "text.txt": "text",
            "src/lib.rs": """\
use pyo3::prelude::*;

#[pyfunction]
fn value() -> String {
    format!(
        "{}|{}|{}|{}",
        include_str!("../text.txt"),
        option_env!("T_COMPILED").unwrap_or(""),
        env!("T_BUILT"),
        cfg!(feature = "more"),
    )
}

#[pymodule]
mod t_inputs {
    #[pymodule_export]
    use super::value;
}
""",
            "pyproject.toml": projects.pyproject("t-inputs", 'python-source = "python"')
            + '[tool.rustimport]\ninputs = ["*.schema"]\n',
            "python/t_inputs/__init__.py": "from .t_inputs import value\n",
        },
        "import t_inputs; print(t_inputs.value())",
    )
    root = environment.project(layout)
    environment.own_target(root)
    environment.develop(root)
    place = environment.place

    def check(expected: str, builds: int = 1, **env: str) -> None:
        for count in (builds, 0):
            run = environment.run(layout.code, **env)
            assert (run.out, run.builds) == (expected, count), run.stderr

    check("text|||false", 0)
    place.write("project/text.txt", "new")
    check("new|||false")
    check("new|x||false", T_COMPILED="x")
    check("new||y|false", T_BUILD="y")
    # All of this was built before.
    check("new|||false", 0)
    place.write("project/data.txt", "data")
    check("new|||false")
    place.write("project/.cargo/config.toml", '[env]\nT_COMPILED = "configured"\n')
    check("new|configured||false")
    edit(root / "Cargo.toml", "[dependencies]", '[features]\ndefault = ["more"]\nmore = []\n\n[dependencies]')
    check("new|configured||true")
    place.write("project/a.schema", "")
    check("new|configured||true")


def test_content_that_was_built_before_starts_no_process(environment: Environment) -> None:
    layout, root = developed(environment, "flat")
    assert environment.run(layout.code).out == "1"
    edit(root / "src/lib.rs", projects.EDITED, "2")
    assert environment.run(layout.code).builds == 1
    edit(root / "src/lib.rs", "{ 2 }", "{ " + projects.EDITED + " }")
    code = f"import resource; {layout.code}; print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    run = environment.run(code)
    assert run.out.split() == ["1", "0"], run.stderr


def test_a_workspace_that_appears_above(environment: Environment) -> None:
    layout, root = developed(environment, "flat")
    value = "cfg!(debug_assertions) as i64"
    edit(root / "src/lib.rs", projects.EDITED, value)
    assert environment.run(layout.code).out == "1"
    workspace = root.parent / "Cargo.toml"
    workspace.write_text(f"[workspace]\nmembers = ['{root.name}']\n[profile.dev]\ndebug-assertions = false\n")
    run = environment.run(layout.code)
    assert (run.out, run.builds) == ("0", 1)
    assert f"`{workspace}` appeared" in run.stderr
    assert environment.run(layout.code).builds == 0
    text = workspace.read_text()
    for _ in range(2):
        # In one target folder, cargo has a fingerprint for each workspace, and one file for both.
        workspace.unlink()
        assert environment.run(layout.code).out == "1"
        workspace.write_text(text)
        assert environment.run(layout.code).out == "0"


def test_a_file_that_is_restored_with_its_time(environment: Environment) -> None:
    """Cargo compares times, and would use the newer library."""
    layout, root = developed(environment, "nested-workspace")
    source = root / layout.edited
    before, old = source.read_bytes(), source.stat()
    environment.run(layout.code)
    edit(source, projects.EDITED, "2")
    assert environment.run(layout.code).out == "2"
    environment.place.forget()
    source.write_bytes(before)
    os.utime(source, ns=(old.st_atime_ns, old.st_mtime_ns))
    run = environment.run(layout.code)
    assert (run.out, run.builds) == ("1", 1)


def test_changes_of_the_installed_library(environment: Environment) -> None:
    """The library is deleted, replaced, or rebuilt with `maturin develop`."""
    layout, root = developed(environment, "flat", own_target=True)
    environment.run(layout.code)
    (library,) = root.glob("t_flat/*.so")
    library.unlink()
    run = environment.run(layout.code)
    assert (run.out, run.builds) == ("1", 0), "the library is not restored from cargo's target folder or the store"
    library.write_bytes(b"no library")
    assert environment.run(layout.code).out == "1"

    # The profile of `maturin develop` is kept until a setting changes it.
    environment.develop(root, "--release")
    size = library.stat().st_size
    run = environment.run(layout.code)
    assert (run.out, run.builds) == ("1", 0)
    edit(root / "src/lib.rs", projects.EDITED, "2")
    run = environment.run(layout.code)
    assert (run.out, run.builds) == ("2", 1)
    assert library.stat().st_size < 2 * size
    assert "--profile release" in environment.place.log.read_text().splitlines()[-1]
    with (root / "pyproject.toml").open("a") as file:
        file.write('\n[tool.maturin]\neditable-profile = "dev"\n')
    edit(root / "src/lib.rs", "{ 2 }", "{ 3 }")
    assert environment.run(layout.code).out == "3"
    assert "--profile dev" in environment.place.log.read_text().splitlines()[-1]
    with (root / "pyproject.toml").open("a") as file:
        file.write('\n[tool.rustimport]\nprofile = "release"\n')
    assert environment.run(layout.code).out == "3"
    assert "--profile release" in environment.place.log.read_text().splitlines()[-1]
    run = environment.run(layout.code, RUSTIMPORT_PROFILE="dev")
    assert "--profile dev" in environment.place.log.read_text().splitlines()[-1]


def test_an_edit_before_the_first_import(environment: Environment) -> None:
    layout, root = developed(environment, "nested-workspace")
    edit(root / layout.edited, projects.EDITED, "2")
    run = environment.run(layout.code)
    assert (run.out, run.builds) == ("2", 1)
    assert f"`{layout.edited}` changed" in run.stderr


def test_alternating_with_maturin_develop(environment: Environment) -> None:
    """Each of them uses what the other has compiled."""
    layout, root = developed(environment, "flat")
    environment.run(layout.code)
    before = units(HOME / "target", "pyo3") | units(HOME / "target", "pyo3-ffi")
    value = projects.EDITED
    for number in range(2, 7):
        edit(root / "src/lib.rs", f"{{ {value} }}", f"{{ {number}0 }}")
        run = environment.run(layout.code)
        assert (run.out, run.builds) == (f"{number}0", 1)
        edit(root / "src/lib.rs", f"{{ {number}0 }}", f"{{ {number} }}")
        environment.develop(root)
        run = environment.run(layout.code)
        assert (run.out, run.builds) == (str(number), 0)
        value = str(number)
    assert units(HOME / "target", "pyo3") | units(HOME / "target", "pyo3-ffi") == before


def test_a_failed_build(environment: Environment) -> None:
    """The installed library is not changed, and the error contains the compiler's diagnostics."""
    layout, root = developed(environment, "virtual-workspace")
    environment.run(layout.code)
    before = {path: path.stat().st_mtime_ns for path in environment.site.glob("t_virtual/*")}
    edit(root / layout.edited, projects.EDITED, "missing()")
    code = """
        import rustimport
        try:
            import t_virtual
        except rustimport.BuildError as error:
            found = error.diagnostics[0]
            print(error.name, found.file, found.line, found.code)
            print("maturin" in str(error), "does not compile (1 error)" in str(error))
        from t_virtual import value
    """
    run = environment.run(code)
    assert run.stdout.splitlines() == [
        f"t_virtual {root / layout.edited} 1 E0425",
        "False True",
    ], run.stderr
    # Each import raises the error: a stale library is never imported.
    assert run.returncode == 1
    assert {path: path.stat().st_mtime_ns for path in before if path.name != "__pycache__"} == {
        path: time for path, time in before.items() if path.name != "__pycache__"
    }
    edit(root / layout.edited, "missing()", projects.EDITED)
    assert environment.run(layout.code).out == "1"


def test_metadata_and_scripts(environment: Environment) -> None:
    """If metadata or scripts changed, maturin installs the whole project."""
    layout, root = developed(environment, "flat")
    environment.run(layout.code)
    edit(root / "pyproject.toml", 'version = "1.0"', 'version = "2.0"')
    with (root / "pyproject.toml").open("a") as file:
        file.write('\n[project.scripts]\nt-flat = "t_flat:value"\n')
    code = f"{layout.code}; import importlib.metadata; print(importlib.metadata.version('t-flat'))"
    run = environment.run(code)
    assert run.out.splitlines() == ["1", "2.0"], run.stderr
    assert (environment.bin / "t-flat").exists()
    run = environment.run(code)
    assert (run.out.splitlines(), run.builds) == (["1", "2.0"], 0)
    # A changed description needs no installation.
    edit(root / "pyproject.toml", 'name = "t-flat"', 'name = "t-flat"\ndescription = "words"')
    assert environment.run(code).builds == 1


@pytest.mark.parametrize(("name", "installer"), [("pure", "uv"), ("flat", "old pip")])
def test_a_dependency_group_is_not_installed(environment: Environment, name: str, installer: str) -> None:
    """An import installs the project alone, while `maturin develop` also installs the group `dev`."""
    layout, root = developed(environment, name)
    distribution = f"t-{name}"
    if installer == "old pip":
        configuration = environment.prefix / "pyvenv.cfg"
        lines = configuration.read_text().splitlines()
        configuration.write_text("\n".join(line for line in lines if not line.startswith("uv =")) + "\n")
        subprocess.run([environment.bin / "python", "-m", "ensurepip"], env=environment.place.env, check=True)
    assert environment.run(layout.code).builds == 0
    edit(root / "pyproject.toml", 'version = "1.0"', 'version = "2.0"')
    with (root / "pyproject.toml").open("a") as file:
        file.write('\n[dependency-groups]\ndev = ["rustimport-there-is-no-such-package"]\n')
    edit(root / "src/lib.rs", projects.EDITED, "2")
    code = f"{layout.code}; import importlib.metadata; print(importlib.metadata.version({distribution!r}))"
    for builds in (2, 0):
        run = environment.run(code)
        assert (run.out.splitlines(), run.builds) == (["2", "2.0"], builds), run.stderr
    edit(root / "src/lib.rs", "{ 2 }", "{ 3 }")
    run = environment.run(code)
    assert (run.out.splitlines(), run.builds) == (["3", "2.0"], 1), run.stderr
    (url,) = environment.site.glob("*.dist-info/direct_url.json")
    assert root.as_uri() in url.read_text()


def test_warming_a_project(environment: Environment) -> None:
    """`cache warm .` in a project's folder builds the project where it is installed, and not as a crate."""
    layout, root = developed(environment, "pure")
    edit(root / layout.edited, projects.EDITED, "2")
    command: list[Any] = [environment.bin / "python", "-m", "rustimport", "cache", "warm", "."]
    done = subprocess.run(command, cwd=root, env=environment.place.env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "2 ready, 0 failed\n"), done.stderr
    run = environment.run(layout.code)
    assert (run.out, run.builds) == ("2", 0), run.stderr
    environment.uninstall("t-pure")
    done = subprocess.run(command, cwd=root, env=environment.place.env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "1 ready, 0 failed\n"), done.stderr
    assert f"{root} is a maturin project that is not installed" in done.stderr


def test_a_relative_target_folder(environment: Environment) -> None:
    """It is relative to the folder in which `maturin develop` was run, wherever Python is."""
    place = environment.place
    place.env["CARGO_TARGET_DIR"] = "tgt"
    layout = projects.LAYOUTS["bin"]
    root = environment.project(layout)
    command: list[Any] = [SCRIPTS / "maturin", "develop", "--uv", "--manifest-path", "project/Cargo.toml"]
    done = subprocess.run(command, cwd=place.folder, env=environment.activated, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    value = projects.EDITED
    for folder, number in ((".", "2"), ("elsewhere", "3"), ("project", "4")):
        edit(root / layout.edited, f", {value})", f", {number})")
        (place.folder / folder).mkdir(exist_ok=True)
        code = f"import os; os.chdir({folder!r}); {layout.code}"
        run = place.python(code, executable=str(environment.bin / "python"))
        assert (run.out, run.builds) == (number, 1), run.stderr
        value = number
    assert [path.parent for path in place.folder.rglob("tgt")] == [place.folder]


def test_each_project_is_checked_once(environment: Environment) -> None:
    layout, _ = developed(environment, "python-source")
    for number in range(10):
        environment.place.write(f"project/python/t_source/m{number}.py", "from . import value\n")
    environment.run(layout.code)
    code = """
        from rustimport import _cache
        checks = []
        check_stamp = _cache.fresh_artifact
        _cache.fresh_artifact = lambda *arguments, **more: checks.append(1) or check_stamp(*arguments, **more)
        import t_source
        for number in range(10):
            __import__(f"t_source.m{number}")
        print(len(checks))
    """
    assert environment.run(code).out == "1"


def test_project_installed_by_pip(place: Place) -> None:
    """`pip install -e` uses the profile release and an isolated build environment."""
    environment = Environment(place)
    shutil.rmtree(environment.prefix)
    subprocess.run([sys.executable, "-m", "venv", environment.prefix], check=True)
    (environment.site / "rustimport").symlink_to(ROOT / "python" / "rustimport")
    layout = projects.LAYOUTS["flat"]
    root = environment.project(layout)
    environment.own_target(root)
    pip: list[Any] = [environment.bin / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run([*pip, "-e", root], env=place.env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert environment.run(layout.code).builds == 0
    edit(root / "src/lib.rs", projects.EDITED, "2")
    run = environment.run(layout.code)
    assert (run.out, run.builds) == ("2", 1), run.stderr
    # The environment's pip installs changed metadata.
    edit(root / "pyproject.toml", 'version = "1.0"', 'version = "2.0"')
    code = f"{layout.code}; import importlib.metadata; print(importlib.metadata.version('t-flat'))"
    assert environment.run(code).out.splitlines() == ["2", "2.0"]


@pytest.mark.parametrize("virtual_env", [None, "/nowhere"])
def test_conda(environment: Environment, virtual_env: str | None) -> None:
    """A conda environment is recognized by `conda-meta`; another activated environment does not matter."""
    layout, root = developed(environment, "pure")
    (environment.prefix / "pyvenv.cfg").rename(environment.prefix / "elsewhere.cfg")
    (environment.prefix / "conda-meta").mkdir()
    prefix, site = str(environment.prefix), str(environment.site)
    env: dict[str, Any] = {"CONDA_PREFIX": prefix, "VIRTUAL_ENV": virtual_env, "PYTHONPATH": site}
    edit(root / "src/lib.rs", projects.EDITED, "2")
    run = environment.run(layout.code, **env)
    assert (run.out, run.builds) == ("2", 1), run.stderr


def test_enabled(environment: Environment) -> None:
    layout, root = developed(environment, "pure")
    environment.run(layout.code)
    edit(root / "src/lib.rs", projects.EDITED, "2")
    assert environment.run(layout.code, RUSTIMPORT_ENABLED="0").out == "1"
    assert environment.run(layout.code, MATURIN_IMPORT_HOOK_ENABLED="0").out == "1"
    with (root / "pyproject.toml").open("a") as file:
        file.write("\n[tool.rustimport]\nenabled = false\n")
    assert environment.run(layout.code).out == "1"
    edit(root / "pyproject.toml", "enabled = false", "enabled = true")
    assert environment.run(layout.code).out == "2"


def test_packages_that_are_not_editable_are_not_rebuilt(environment: Environment) -> None:
    layout = projects.LAYOUTS["pure"]
    root = environment.project(layout)
    environment.place.env["CARGO_TARGET_DIR"] = str(HOME / "target")
    environment.install(str(root))
    edit(root / "src/lib.rs", projects.EDITED, "2")
    assert environment.run(layout.code).out == "1"
    code = "rustimport.install(enable_automatic_installation=True)\n" + layout.code
    run = environment.run(code)
    assert run.out == "2", run.stderr
    assert environment.run(layout.code).out == "2"


def test_a_project_above_an_entry_of_the_path(environment: Environment) -> None:
    layout = projects.LAYOUTS["python-source"]
    root = environment.project(layout)
    code = f"import sys; sys.path.append({str(root / 'examples')!r})\n"
    (root / "examples").mkdir()
    assert "No module named 't_source'" in environment.run(code + layout.code).stderr
    automatic = code + "rustimport.install(enable_automatic_installation=True)\n" + layout.code
    run = environment.run(automatic)
    assert run.out == "1", run.stderr
    lines = [line.split(" in ")[0] for line in run.stderr.splitlines()]
    assert lines == ["rustimport: building t_source: not installed", "rustimport: built t_source"]
    assert environment.run(layout.code).out == "1"

    # uv has created this environment, but need not be there: pip installs, if there is any.
    edit(root / "pyproject.toml", 'version = "1.0"', 'version = "2.0"')
    path = environment.place.env["PATH"].removesuffix(os.pathsep + str(SCRIPTS))
    run = environment.run(layout.code, PATH=path)
    assert "there is neither pip nor uv" in run.stderr
    for folder in SITE.glob("pip*"):
        shutil.copytree(folder, environment.site / folder.name)
    run = environment.run(layout.code, PATH=path)
    assert run.out == "1", run.stderr
    assert (environment.site / "t_source-2.0.dist-info").exists()


def test_a_project_of_many_files(environment: Environment) -> None:
    """The core checks a large number of files, and notices an edit of any of them."""
    count = 600
    layout = projects.LAYOUTS["flat"]
    root = environment.project(layout)
    for number in range(count):
        environment.place.write(f"project/src/m{number}.rs", "")
    modules = "".join(f"mod m{number};\n" for number in range(count))
    edit(root / "src/lib.rs", "use pyo3", modules + "use pyo3")
    environment.develop(root)
    assert environment.run(layout.code).builds == 0
    code = f"{layout.code}; import sys; print('rustimport._core_client' in sys.modules)"
    environment.run(code)
    assert environment.run(code).out.splitlines() == ["1", "False"]
    environment.place.write(f"project/src/m{count - 1}.rs", "// edited\n")
    assert [environment.run(layout.code).builds, environment.run(layout.code).builds] == [1, 0]


def cargo(environment: Environment, root: Path, *arguments: str) -> None:
    env = {**environment.activated, "PYO3_PYTHON": str(environment.bin / "python")}
    subprocess.run(["cargo", *arguments], cwd=root, env=env, capture_output=True, check=True)


def test_cargo_check_does_not_hide_an_edit(environment: Environment) -> None:
    """`cargo check` writes a fingerprint that is newer than the library."""
    layout, root = developed(environment, "flat")
    edit(root / "src/lib.rs", projects.EDITED, "2")
    cargo(environment, root, "check")
    assert environment.run(layout.code).out == "2"
    edit(root / "src/lib.rs", "{ 2 }", "{ 3 }")
    environment.develop(root)
    edit(root / "src/lib.rs", "{ 3 }", "{ 4 }")
    cargo(environment, root, "check")
    assert environment.run(layout.code).out == "4"


def test_separate_build_folder_of_cargo(environment: Environment) -> None:
    layout, root = developed(environment, "nested-workspace")
    environment.place.env["CARGO_BUILD_BUILD_DIR"] = str(environment.place.folder / "build-dir")
    for value in (projects.EDITED, "2"):
        edit(root / layout.edited, value, str(int(value[0]) + 1))
        assert environment.run(layout.code).out == str(int(value[0]) + 1)
        assert environment.run(layout.code).builds == 0


def test_a_dependency_that_is_also_a_python_module(environment: Environment) -> None:
    layout = projects.LAYOUTS["nested-workspace"]
    root = environment.project(layout)
    with (root / "helper/Cargo.toml").open("a") as file:
        file.write('\n[lib]\ncrate-type = ["cdylib", "rlib"]\n')
    environment.develop(root)
    check_reuse_and_rebuild(environment, layout, root)


def check_reuse_and_rebuild(environment: Environment, layout: projects.Layout, root: Path) -> None:
    """The library of `maturin develop` is reused, an edit is built, and the layout of cargo's files is known."""
    first = environment.run(layout.code)
    assert (first.out, first.builds, first.stderr) == ("1", 0, "")
    edit(root / layout.edited, projects.EDITED, "2")
    second = environment.run(layout.code)
    assert (second.out, second.builds) == ("2", 1)
    assert "does not know" not in second.stderr
    third = environment.run(layout.code, ANY_VARIABLE="1")
    assert (third.out, third.builds) == ("2", 0)


def test_a_target_folder_called_build(environment: Environment) -> None:
    layout = projects.LAYOUTS["pure"]
    root = environment.project(layout)
    environment.place.env["CARGO_TARGET_DIR"] = str(environment.place.folder / "build")
    environment.develop(root)
    check_reuse_and_rebuild(environment, layout, root)


def test_another_library_in_the_wheel(environment: Environment) -> None:
    """This library is not a Python module; it is loaded with ctypes."""
    layout = projects.LAYOUTS["flat"]
    root = environment.project(layout)
    (root / "t_flat" / "libother.dylib").write_bytes(b"no module")
    with (root / "pyproject.toml").open("a") as file:
        file.write('\n[tool.maturin]\ninclude = ["t_flat/libother.dylib"]\n')
    environment.develop(root)
    check_reuse_and_rebuild(environment, layout, root)


def test_a_dependency_behind_a_feature(environment: Environment) -> None:
    layout = projects.LAYOUTS["nested-workspace"]
    root = environment.project(layout)
    edit(root / "Cargo.toml", '{ path = "helper" }', '{ path = "helper", optional = true }')
    with (root / "pyproject.toml").open("a") as file:
        file.write('\n[tool.maturin]\nfeatures = ["t-nested-helper"]\n')
    environment.develop(root)
    assert environment.run(layout.code).builds == 0
    edit(root / layout.edited, projects.EDITED, "2")
    assert environment.run(layout.code).out == "2"
    # Features from `tool.rustimport` are added.
    edit(root / "Cargo.toml", "[lib]", "[features]\nmore = []\n\n[lib]")
    edit(
        root / "src/lib.rs",
        "t_nested_helper::helped()",
        'if cfg!(feature = "more") { 5 } else { t_nested_helper::helped() }',
    )
    with (root / "pyproject.toml").open("a") as file:
        file.write('\n[tool.rustimport]\nfeatures = ["more"]\n')
    assert environment.run(layout.code).out == "5"


def test_a_module_that_moved(environment: Environment) -> None:
    layout = projects.LAYOUTS["flat"]
    root = environment.project(layout)
    environment.place.write("project/src/a.rs", "pub const VALUE: i64 = 1;\n")
    edit(root / "src/lib.rs", projects.EDITED, "a::VALUE")
    edit(root / "src/lib.rs", "use pyo3", "mod a;\nuse pyo3")
    environment.develop(root)
    (root / "src/a").mkdir()
    (root / "src/a.rs").rename(root / "src/a/mod.rs")
    edit(root / "src/a/mod.rs", "= 1", "= 2")
    assert environment.run(layout.code).out == "2"


def test_variables_of_maturin_develop_are_inputs(environment: Environment) -> None:
    layout = projects.LAYOUTS["flat"]
    root = environment.project(layout)
    edit(
        root / "src/lib.rs",
        "i64 { " + projects.EDITED + " }",
        '&\'static str { option_env!("T_HAND").unwrap_or("unset") }',
    )
    environment.place.env["T_HAND"] = "x"
    environment.develop(root)
    del environment.place.env["T_HAND"]
    assert environment.run(layout.code).out == "unset"
    assert environment.run(layout.code, T_HAND="x").out == "x"


@pytest.mark.parametrize("name", ["cffi", "cffi-mixed", "uniffi", "uniffi-mixed"])
def test_generated_modules_match_the_library(environment: Environment, name: str) -> None:
    """Restoring an earlier library also restores the modules that maturin generated for it."""
    layout = projects.LAYOUTS[name]
    environment.install(*layout.needs)
    root = environment.project(layout)
    environment.develop(root)
    for code, new in (
        (layout.code, "value"),
        (layout.code.replace(".value()", ".renamed()"), "renamed"),
        (layout.code, "value"),
    ):
        old = "renamed" if new == "value" and "fn renamed" in (root / "src/lib.rs").read_text() else "value"
        edit(root / "src/lib.rs", f"fn {old}()", f"fn {new}()")
        assert environment.run(code).out == "1"


def test_a_project_behind_a_link(environment: Environment) -> None:
    layout = projects.LAYOUTS["python-source"]
    root = environment.project(layout)
    link = root.with_name("link")
    link.symlink_to(root)
    environment.install("-e", str(link))
    (direct_url,) = environment.site.glob("t_source-*.dist-info/direct_url.json")
    direct_url.write_text(f'{{"url": "file://{link}", "dir_info": {{"editable": true}}}}')
    edit(root / "src/lib.rs", projects.EDITED, "2")
    assert environment.run(layout.code).out == "2"


def test_two_copies_with_one_target_folder(environment: Environment) -> None:
    """Cargo would reuse the library of the other copy."""
    layout = projects.LAYOUTS["pure"]
    root, other = environment.project(layout), environment.project(layout, "other")
    edit(other / "src/lib.rs", projects.EDITED, "2")
    for path in (root / "src/lib.rs", other / "src/lib.rs"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
    environment.develop(root)
    subprocess.run(["touch", other / "src/lib.rs"], check=True)
    cargo(environment, other, "rustc", "--lib", "--crate-type", "cdylib")
    assert environment.run(layout.code).out == "1"
    edit(root / "src/lib.rs", projects.EDITED, "3")
    assert environment.run(layout.code).out == "3"


def test_changed_flags_and_then_an_edit(environment: Environment) -> None:
    layout, root = developed(environment, "nested-workspace")
    environment.run(layout.code)
    env = {"RUSTFLAGS": "--cfg later"}
    assert environment.run(layout.code, **env).builds == 1
    edit(root / layout.edited, projects.EDITED, "2")
    assert environment.run(layout.code, **env).out == "2"


def become_mixed(root: Path, package: str, native: str, names: str) -> None:
    """Puts a Python package around an extension module that had none."""
    (root / "python" / package).mkdir(parents=True)
    (root / "python" / package / "__init__.py").write_text(f"from .{native} import {names}\n")
    pyproject = (root / "pyproject.toml").read_text()
    if "[tool.maturin]" not in pyproject:
        pyproject += "\n[tool.maturin]\n"
    (root / "pyproject.toml").write_text(pyproject + f'python-source = "python"\nmodule-name = "{package}.{native}"\n')


def move_python(root: Path) -> None:
    (root / "python").rename(root / "src-python")
    edit(root / "pyproject.toml", '"python"', '"src-python"')


#: How the layout of each installed project is changed.
RELAYOUTS: dict[str, Callable[[Path], object]] = {
    "python-source": move_python,
    "cffi-mixed": move_python,
    "uniffi-mixed": move_python,
    "pure": lambda root: become_mixed(root, "t_pure", "t_pure", "value"),
    "cffi": lambda root: become_mixed(root, "t_cffi", "_native", "lib"),
    "uniffi": lambda root: become_mixed(root, "t_uniffi", "t_uniffi", "*"),
    "flat": lambda root: shutil.rmtree(root / "t_flat"),
}


@pytest.mark.parametrize("name", RELAYOUTS)
def test_another_layout(environment: Environment, name: str) -> None:
    """Entries that an installation adds to `sys.path` are used in the same process."""
    layout = projects.LAYOUTS[name]
    environment.install(*layout.needs)
    root = environment.project(layout)
    environment.develop(root)
    assert environment.run(layout.code).out == "1"
    RELAYOUTS[name](root)
    edit(root / layout.edited, projects.EDITED, "2")
    for _ in range(2):
        run = environment.run(layout.code)
        assert run.out == "2", run.stderr
    assert run.builds == 0
    edit(root / layout.edited, "2", "3")
    assert environment.run(layout.code).out == "3"


def test_a_library_of_any_kind(environment: Environment) -> None:
    layout = projects.LAYOUTS["pure"]
    root = environment.project(layout)
    edit(root / "Cargo.toml", 'crate-type = ["cdylib"]\n', "")
    environment.develop(root)
    edit(root / "src/lib.rs", projects.EDITED, "2")
    run = environment.run(layout.code)
    assert (run.out, run.builds) == ("2", 1)


def test_custom_profile(environment: Environment) -> None:
    layout, root = developed(environment, "pure")
    edit(root / "src/lib.rs", projects.EDITED, "2")
    run = environment.run(layout.code, RUSTIMPORT_PROFILE="small")
    assert run.out == "2", run.stderr


@pytest.mark.parametrize("name", ["pure", "python-source"])
def test_type_stubs(environment: Environment, name: str) -> None:
    """Projects that enable pyo3's `experimental-inspect` get stubs, where maturin writes them."""
    layout = projects.LAYOUTS[name]
    root = environment.project(layout)
    edit(root / "Cargo.toml", 'pyo3 = "0.30"', 'pyo3 = { version = "0.30", features = ["experimental-inspect"] }')
    environment.develop(root)
    module = layout.code.split(";")[0].split()[-1]
    stub = environment.site / module / "__init__.pyi" if name == "pure" else root / f"python/{module}/{module}.pyi"
    assert (environment.run(layout.code).out, stub.exists()) == ("1", True)

    edit(root / layout.edited, projects.EDITED, "2")
    assert environment.run(layout.code).out == "2"
    first = stub.read_text()
    assert first.startswith("# Generated by rustimport")
    assert "def value() -> int: ..." in first
    # Change the signature, and change it back, which needs no build.
    text = (root / layout.edited).read_text()
    (root / layout.edited).write_text(
        text.replace("fn value()", "#[pyo3(signature = (more = 0))]\nfn value(more: i32)")
    )
    assert environment.run(layout.code).builds == 1
    assert "def value(more: " in stub.read_text()
    (root / layout.edited).write_text(text)
    back = environment.run(layout.code)
    assert (back.out, back.builds, back.stderr, stub.read_text()) == ("2", 0, "", first)

    # A stub that the user wrote is not changed, and a stripped library has its information, too.
    stub.write_text("def value() -> int: ...\n")
    (root / layout.edited).write_text(text + "\n// 1\n")
    assert environment.run(layout.code).builds == 1
    assert stub.read_text() == "def value() -> int: ...\n"
    stub.unlink()
    (root / layout.edited).write_text(text + "\n// 2\n")
    stripped = environment.run(layout.code, CARGO_PROFILE_DEV_STRIP="true")
    assert (stripped.out, stripped.builds, stub.read_text()) == ("2", 1, first)

    if name == "pure":
        # Type checkers look for it (PEP 561). A new version is installed from scratch.
        typed = environment.site / module / "py.typed"
        assert typed.exists()
        edit(root / "pyproject.toml", 'version = "1.0"', 'version = "2.0"')
        assert environment.run(layout.code).out == "2"
        assert (typed.exists(), stub.read_text()) == (True, first)

    environment.uninstall(f"{module.replace('_', '-')}")
    assert not (environment.site / module).exists()
