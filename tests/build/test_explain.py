"""`python -m rustimport explain` and `rustimport.inputs`: what would happen, without doing it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from tests import projects
from tests.build.test_command import command
from tests.build.test_projects import Environment, developed, edit
from tests.conftest import Place

SCRIPT = "// rustimport:pyo3\n//d: *.txt\n#[pyfunction]\nfn value() -> i64 {{ {} }}\n"


def explain(environment: Environment, module: str, before: str = "") -> dict[str, Any]:
    """In a fresh interpreter with the hook."""
    code = f"{before}\nfrom rustimport._cli import main; main(['explain', '--json', {module!r}])"
    run = environment.run(code)
    assert run.returncode == 0, run.stderr
    assert run.builds == 0
    found: dict[str, Any] = json.loads(run.stdout)
    return found


def state(*folders: Path) -> dict[Path, int]:
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return {path: path.stat().st_mtime_ns for path in files if "__pycache__" not in path.parts}


def test_a_script(place: Place) -> None:
    place.write("pkg/__init__.py", "")
    source = place.write("pkg/m.rs", SCRIPT.format(1))
    data = place.write("pkg/data.txt", "")
    place.write("plain.py", "")
    place.write("plain.rs", "fn main() {}\n")

    def found() -> dict[str, Any]:
        before = state(place.folder)
        run = command(place, "explain", "pkg.m", "--json")
        assert run.returncode == 0, run.stderr
        assert state(place.folder) == before
        assert place.builds == builds
        result: dict[str, Any] = json.loads(run.stdout)
        assert (result["kind"], result["source"]) == ("script", str(source))
        return result

    builds = 0
    first = found()
    assert (first["library"], first["last_build"], first["next"]) == (None, None, "build")
    assert first["reasons"] == ["never built"]
    assert first["finder"] == "rustimport.ScriptFinder"

    code = "import pkg.m; print(pkg.m.value(), pkg.m.__file__)"
    library = place.python(code).out.split()[1]
    builds = place.builds
    fresh = found()
    assert (fresh["library"], fresh["next"], fresh["reasons"]) == (library, "load", [])
    assert fresh["inputs"] == [str(data), str(source)]
    assert (fresh["last_build"]["origin"], fresh["last_build"]["profile"]) == ("built", "dev")

    cache = Path(library).parent.parent
    before = state(cache)
    source.write_text(SCRIPT.format(2))
    data.write_text("more")
    stale = found()
    assert (stale["next"], sorted(stale["reasons"])) == ("build", ["`data.txt` changed", "`m.rs` changed"])
    assert state(cache) == before
    assert place.python(code, RUSTIMPORT_PROFILE="small").out.split()[0] == "2"
    builds = place.builds
    # With the default profile, the content from before is in the cache.
    source.write_text(SCRIPT.format(1))
    data.write_text("")
    back = found()
    assert (back["next"], back["last_build"]["profile"]) == ("restore", "small")
    assert back["last_build"]["reason"].startswith("profile changed from `dev` to `small`")

    assert command(place, "build", "pkg").returncode == 0
    shutil.rmtree(cache)
    builds = place.builds
    assert found()["next"] == "load_in_place"

    text = command(place, "explain", "pkg.m").stdout
    assert "import would  load the library next to the source" in text
    plain = command(place, "explain", "plain").stdout
    assert f"found at      {place.folder / 'plain.py'}" in plain
    assert "source        none that rustimport builds" in plain
    assert f"{place.folder / 'plain.rs'} is not imported" in plain
    missing = command(place, "explain", "missing")
    assert (missing.returncode, "there is no module `missing`" in missing.stderr) == (2, True)
    assert "found by      importlib.machinery" in command(place, "explain", "json.decoder").stdout


def test_a_project(environment: Environment) -> None:
    layout = projects.LAYOUTS["flat"]
    root = environment.project(layout)
    edit(root / "Cargo.toml", "[dependencies]", "[features]\nextra = []\n\n[dependencies]")
    with (root / "pyproject.toml").open("a") as file:
        file.write('\n[tool.rustimport]\nfeatures = ["extra"]\n')
    environment.develop(root)
    first = explain(environment, "t_flat")
    assert (first["kind"], first["source"], first["next"]) == ("project", str(root), "reuse_or_build")
    assert first["finder"] == "rustimport.ProjectFinder, then importlib.machinery.PathFinder"
    assert environment.run(layout.code).out == "1"
    (library,) = (root / "t_flat").glob("*.so")
    before = state(root / "t_flat", root / "src")
    # By the name of the package, or of the extension module.
    for name in ("t_flat", "t_flat.t_flat"):
        fresh = explain(environment, name)
        assert (fresh["library"], fresh["next"], fresh["warnings"]) == (str(library), "load", [])
    assert str(root / layout.edited) in fresh["inputs"]

    edit(root / layout.edited, projects.EDITED, "2")
    stale = explain(environment, "t_flat")
    assert (stale["next"], stale["reasons"]) == ("build", ["`src/lib.rs` changed"])
    before[root / layout.edited] = (root / layout.edited).stat().st_mtime_ns
    assert state(root / "t_flat", root / "src") == before
    assert environment.run(layout.code).out == "2"
    last = explain(environment, "t_flat")["last_build"]
    assert (last["origin"], last["reason"], last["features"]) == ("built", "`src/lib.rs` changed", ["extra"])
    edit(root / layout.edited, "{ 2 }", "{ 1 /* the value */ }")
    assert explain(environment, "t_flat")["next"] == "restore"

    # A package of that name that comes first on the path.
    environment.place.write("other/t_flat/__init__.py", "")
    other = environment.place.folder / "other"
    shadowed = explain(environment, "t_flat", f"import sys; sys.path.insert(0, {str(other)!r})")
    assert "which is not in the project" in shadowed["warnings"][0]
    assert "next" not in shadowed

    environment.place.write("rusty/pyproject.toml", '[build-system]\nrequires = ["setuptools-rust"]\n')
    environment.place.write("rusty/src/rusty/__init__.py", "")
    rusty = environment.place.folder / "rusty" / "src"
    found = explain(environment, "rusty", f"import sys; sys.path.insert(0, {str(rusty)!r})")
    assert "uses setuptools-rust, which the hook does not call" in found["warnings"][0]


def test_another_library_than_the_one_that_was_built(environment: Environment) -> None:
    _, root = developed(environment, "abi3")
    assert environment.run("import t_abi3").out == ""
    (library,) = (root / "t_abi3").glob("*.so")
    shadow = library.with_name("t_abi3" + environment.run("import _imp; print(_imp.extension_suffixes()[0])").out)
    shutil.copy(library, shadow)
    found = explain(environment, "t_abi3")
    assert found["library"] == str(shadow)
    assert found["warnings"] == [f"Python loads {shadow}, but what was built is {library}: remove the former"]


def test_inputs(place: Place) -> None:
    place.write("m.rs", SCRIPT.format('include_str!("data.txt").len() as i64'))
    place.write("data.txt", "four")
    place.write("other.rs", SCRIPT.format(1))
    place.write("plain.py", "")
    run = place.python(
        """
        import os, m, plain
        for module in (m, "m", "other"):
            print(*[os.path.basename(path) for path in rustimport.inputs(module)])
        os.environ["RUSTIMPORT_RELEASE_MODE"] = "1"
        print(rustimport.inputs(plain))
        del os.environ["RUSTIMPORT_RELEASE_MODE"]
        try:
            rustimport.inputs(plain)
        except rustimport.errors.ProjectError as error:
            print(error.message)
        """
    )
    expected = ["data.txt m.rs", "data.txt m.rs", "other.rs", "[]", "`plain` is not built by rustimport"]
    assert (run.out.splitlines(), run.builds) == (expected, 1)
