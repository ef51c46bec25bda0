"""Projects that are broken, gone, or not what they seem: an error for the one import concerned, and nothing for any
other."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests import projects
from tests.build.test_projects import HOME, Environment, developed, edit, units

OTHERS = "import json, wave; from xml.dom import minidom"


def check(environment: Environment, code: str, *expected: str) -> None:
    """The import says what is wrong, once each time; other imports say nothing."""
    for _ in range(2):
        run = environment.run(code)
        assert run.returncode == 1
        for text in expected:
            assert text in run.stderr, run.stderr
        assert "hint: " in run.stderr
        # The frame that raised it, and no other of this package.
        assert run.stderr.count("site-packages/rustimport/_") == 1
    run = environment.run(OTHERS)
    assert (run.returncode, run.stderr, run.builds) == (0, "", 0)


@pytest.mark.parametrize("file", ["pyproject.toml", "Cargo.toml"])
def test_a_broken_manifest(environment: Environment, file: str) -> None:
    layout, root = developed(environment, "flat")
    environment.run(layout.code)
    before = (root / file).read_text()
    (root / file).write_text(before + "\n[broken\n")
    check(environment, layout.code, "ProjectError", str(root / file))
    (root / file).write_text(before)
    assert environment.run(layout.code).out == "1"


def test_a_missing_manifest(environment: Environment) -> None:
    layout, root = developed(environment, "flat")
    (root / "Cargo.toml").unlink()
    check(environment, layout.code, "ProjectError", str(root / "Cargo.toml"))


@pytest.mark.parametrize("name", ["pure", "flat"])
def test_a_project_that_is_gone(environment: Environment, name: str) -> None:
    layout, root = developed(environment, name)
    environment.run(layout.code)
    root.rename(root.with_name("moved"))
    check(environment, layout.code, "ProjectError", f"there is no {root}", "maturin develop")
    environment.develop(root.with_name("moved"))
    assert environment.run(layout.code).out == "1"


@pytest.mark.parametrize("name", ["pure", "python-source"])
def test_a_dist_info_without_record(environment: Environment, name: str) -> None:
    layout, root = developed(environment, name)
    (record,) = environment.site.glob("t_*.dist-info/RECORD")
    record.unlink()
    edit(root / layout.edited, projects.EDITED, "2")
    run = environment.run(layout.code)
    assert run.out == "2", run.stderr


@pytest.mark.parametrize("content", ["no json", "[]", '{"url": 1}', '{"url": "http://x"}', "\xff\x00", ""])
def test_a_direct_url_that_is_none(environment: Environment, content: str) -> None:
    layout, root = developed(environment, "pure")
    (direct_url,) = environment.site.glob("*.dist-info/direct_url.json")
    direct_url.write_bytes(content.encode("latin-1"))
    edit(root / layout.edited, projects.EDITED, "2")
    # Nobody knows that it is a project: it is left alone.
    run = environment.run(layout.code)
    assert (run.out, run.stderr) == ("1", "")


def test_two_projects_that_claim_one_name(environment: Environment) -> None:
    layout, root = developed(environment, "pure")
    other = environment.project(layout, "other")
    edit(other / "pyproject.toml", 'name = "t-pure"', 'name = "t-other"')
    environment.develop(other)
    check(environment, layout.code, "ProjectError", "t_pure", str(root), str(other), "pip uninstall")


def test_a_project_under_a_new_name(environment: Environment) -> None:
    """Its old name is still installed."""
    layout, root = developed(environment, "pure")
    edit(root / "pyproject.toml", 'name = "t-pure"', 'name = "t-renamed"')
    environment.develop(root)
    edit(root / layout.edited, projects.EDITED, "2")
    run = environment.run(layout.code)
    assert run.out == "2", run.stderr


def test_what_stands_on_the_path(environment: Environment, tmp_path: Path) -> None:
    """A file, a dead link, a folder that nobody may read, nothing."""
    layout, root = developed(environment, "pure")
    edit(root / layout.edited, projects.EDITED, "2")
    file, link = tmp_path / "file", tmp_path / "link" / "site-packages"
    file.write_text("")
    link.parent.mkdir()
    link.symlink_to(tmp_path / "nowhere")
    code = f"import sys; sys.path[:0] = [{str(file)!r}, {str(link)!r}, '/nowhere/site-packages', '']\n"
    run = environment.run(code + OTHERS + "\n" + layout.code)
    assert run.out == "2", run.stderr


def test_what_comes_first_on_the_path_is_no_business_of_the_project(environment: Environment) -> None:
    layout, root = developed(environment, "pure")
    edit(root / layout.edited, projects.EDITED, "broken")
    environment.place.write("elsewhere/t_pure.py", "def value(): return 'mine'\n")
    run = environment.run(layout.code)
    assert (run.out, run.stderr, run.builds) == ("mine", "", 0)


def test_a_project_that_imports_itself_while_it_is_built(environment: Environment) -> None:
    layout, root = developed(environment, "flat")
    environment.run(layout.code)
    environment.place.write(
        "project/build.rs",
        """\
        fn main() {
            let code = "import rustimport; rustimport.install(); import t_flat; print(t_flat.value())";
            let done = std::process::Command::new("PYTHON").args(["-c", code]).output().unwrap();
            assert!(done.status.success(), "{done:?}");
        }
        """.replace("PYTHON", str(environment.bin / "python")),
    )
    edit(root / layout.edited, projects.EDITED, "2")
    run = environment.run(layout.code)
    assert run.out == "2", run.stderr


def test_a_target_folder_that_was_cleaned(environment: Environment) -> None:
    layout, root = developed(environment, "flat")
    environment.run(layout.code)
    environment.place.env["CARGO_TARGET_DIR"] = str(environment.place.folder / "target")
    # Where cargo builds is no input.
    run = environment.run(layout.code)
    assert (run.out, run.builds) == ("1", 0)
    (environment.place.folder / "target").symlink_to(HOME / "target")
    edit(root / layout.edited, projects.EDITED, "2")
    assert environment.run(layout.code).out == "2"


def test_an_environment_that_was_removed_and_made_again(environment: Environment) -> None:
    layout, root = developed(environment, "python-source")
    environment.run(layout.code)
    shutil.rmtree(next(environment.site.glob("t_source-*.dist-info")))
    (environment.site / "t_source.pth").unlink()
    assert "No module named 't_source'" in environment.run(layout.code).stderr
    environment.develop(root)
    run = environment.run(layout.code)
    assert (run.out, run.builds) == ("1", 0)


def test_entries_of_the_path_that_are_no_text(environment: Environment) -> None:
    layout, root = developed(environment, "pure")
    edit(root / layout.edited, projects.EDITED, "2")
    code = "import pathlib, sys; sys.path += [pathlib.Path('/x'), b'/y']\n"
    run = environment.run(code + OTHERS + "\n" + layout.code)
    assert run.out == "2", run.stderr


def test_a_folder_of_pythonpath_that_is_not_there(environment: Environment) -> None:
    code = f"{OTHERS}\nimport sys; print('rustimport._core_client' in sys.modules)"
    # The environment itself is so young that its times prove nothing at first.
    for _ in range(2):
        environment.run(code, PYTHONPATH="/nowhere")
    assert environment.run(code, PYTHONPATH="/nowhere").out == "False"


def test_a_reload_of_somebody_elses_module(environment: Environment) -> None:
    layout, root = developed(environment, "pure")
    edit(root / layout.edited, projects.EDITED, "broken")
    environment.place.write("elsewhere/t_pure.py", "def value(): return 'mine'\n")
    run = environment.run("import importlib, t_pure; importlib.reload(t_pure); print(t_pure.value())")
    assert (run.out, run.builds) == ("mine", 0)


def test_no_rust_on_this_machine(environment: Environment) -> None:
    """An environment that was brought from elsewhere imports; what is known to be stale does not."""
    layout, root = developed(environment, "pure")
    without = {"PATH": "/nowhere", "CARGO_HOME": "/nowhere", "HOME": "/nowhere", "RUSTUP_HOME": None}
    run = environment.run(layout.code, **without)
    assert run.out == "1"
    assert "no Rust toolchain was found" in run.stderr
    assert environment.run(layout.code).out == "1"
    assert environment.run(layout.code, **without).out == "1"
    edit(root / layout.edited, projects.EDITED, "2")
    run = environment.run(layout.code, **without)
    assert "ToolchainError" in run.stderr


def test_a_build_by_hand_that_was_killed(environment: Environment) -> None:
    """After the compiler had written down what it read, and before there was a library."""
    layout, root = developed(environment, "flat")
    edit(root / layout.edited, projects.EDITED, "2")
    output = HOME / "target" / "debug"
    dep_info = [*output.glob("deps/t_flat.d"), *output.glob("build/t-flat/*/out/t_flat.d")]
    assert dep_info
    for path in (*units(output, "t-flat"), *dep_info):
        os.utime(path)
    assert environment.run(layout.code).out == "2"
