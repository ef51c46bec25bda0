"""Broken, moved or conflicting projects: the import concerned fails with a clear error, and no other import is
affected."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests import projects
from tests.build.test_projects import HOME, Environment, developed, edit, units

OTHERS = "import json, wave; from xml.dom import minidom"


def check(environment: Environment, code: str, *expected: str) -> None:
    """Each import raises the error, and other imports print nothing."""
    for _ in range(2):
        run = environment.run(code)
        assert run.returncode == 1
        for text in expected:
            assert text in run.stderr, run.stderr
        assert "hint: " in run.stderr
        # The traceback contains no frame of this package.
        assert "site-packages/rustimport/_" not in run.stderr
    run = environment.run(OTHERS)
    # Python 3.15 reports lines of `.pth` files whose folder does not exist.
    ours = [line for line in run.stderr.splitlines() if "skipping sys.path append" not in line]
    assert (run.returncode, ours, run.builds) == (0, [], 0)


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
def test_moved_project(environment: Environment, name: str) -> None:
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
def test_invalid_direct_url(environment: Environment, content: str) -> None:
    layout, root = developed(environment, "pure")
    (direct_url,) = environment.site.glob("*.dist-info/direct_url.json")
    direct_url.write_bytes(content.encode("latin-1"))
    edit(root / layout.edited, projects.EDITED, "2")
    # Without valid metadata, it is not recognized as a project.
    run = environment.run(layout.code)
    assert (run.out, run.stderr) == ("1", "")


def test_two_projects_that_claim_one_name(environment: Environment) -> None:
    layout, root = developed(environment, "pure")
    other = environment.project(layout, "other")
    edit(other / "pyproject.toml", 'name = "t-pure"', 'name = "t-other"')
    environment.develop(other)
    check(environment, layout.code, "ProjectError", "t_pure", str(root), str(other), "pip uninstall")


def test_renamed_project(environment: Environment) -> None:
    """It is still installed under the old name as well."""
    layout, root = developed(environment, "pure")
    edit(root / "pyproject.toml", 'name = "t-pure"', 'name = "t-renamed"')
    environment.develop(root)
    edit(root / layout.edited, projects.EDITED, "2")
    run = environment.run(layout.code)
    assert run.out == "2", run.stderr


def test_unusual_entries_of_the_path(environment: Environment, tmp_path: Path) -> None:
    """A file, a dead link, a missing folder, and the working folder."""
    layout, root = developed(environment, "pure")
    edit(root / layout.edited, projects.EDITED, "2")
    file, link = tmp_path / "file", tmp_path / "link" / "site-packages"
    file.write_text("")
    link.parent.mkdir()
    link.symlink_to(tmp_path / "nowhere")
    code = f"import sys; sys.path[:0] = [{str(file)!r}, {str(link)!r}, '/nowhere/site-packages', '']\n"
    run = environment.run(code + OTHERS + "\n" + layout.code)
    assert run.out == "2", run.stderr


def test_a_module_that_comes_first_on_the_path_is_imported(environment: Environment) -> None:
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


def test_another_target_folder(environment: Environment) -> None:
    layout, root = developed(environment, "flat")
    environment.run(layout.code)
    environment.place.env["CARGO_TARGET_DIR"] = str(environment.place.folder / "target")
    # The target folder is not an input.
    run = environment.run(layout.code)
    assert (run.out, run.builds) == ("1", 0)
    (environment.place.folder / "target").symlink_to(HOME / "target")
    edit(root / layout.edited, projects.EDITED, "2")
    assert environment.run(layout.code).out == "2"


def test_reinstalled_project(environment: Environment) -> None:
    layout, root = developed(environment, "python-source")
    environment.run(layout.code)
    shutil.rmtree(next(environment.site.glob("t_source-*.dist-info")))
    (environment.site / "t_source.pth").unlink()
    assert "No module named 't_source'" in environment.run(layout.code).stderr
    environment.develop(root)
    run = environment.run(layout.code)
    assert (run.out, run.builds) == ("1", 0)


def test_entries_of_the_path_that_are_not_text(environment: Environment) -> None:
    layout, root = developed(environment, "pure")
    edit(root / layout.edited, projects.EDITED, "2")
    code = "import pathlib, sys; sys.path += [pathlib.Path('/x'), b'/y']\n"
    run = environment.run(code + OTHERS + "\n" + layout.code)
    assert run.out == "2", run.stderr


def test_missing_folder_in_pythonpath(environment: Environment) -> None:
    code = f"{OTHERS}\nimport sys; print('rustimport._core_client' in sys.modules)"
    # The first run may not trust the times of a new environment.
    for _ in range(2):
        environment.run(code, PYTHONPATH="/nowhere")
    assert environment.run(code, PYTHONPATH="/nowhere").out == "False"


def test_reload_of_a_module_that_comes_first_on_the_path(environment: Environment) -> None:
    layout, root = developed(environment, "pure")
    edit(root / layout.edited, projects.EDITED, "broken")
    environment.place.write("elsewhere/t_pure.py", "def value(): return 'mine'\n")
    run = environment.run("import importlib, t_pure; importlib.reload(t_pure); print(t_pure.value())")
    assert (run.out, run.builds) == ("mine", 0)


def test_machine_without_rust(environment: Environment) -> None:
    """An environment that was copied to this machine can be imported. A project that is known to be stale cannot."""
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


def test_killed_maturin_develop(environment: Environment) -> None:
    """The process was killed after the compiler had written its dep-info, and before it wrote the library."""
    layout, root = developed(environment, "flat")
    edit(root / layout.edited, projects.EDITED, "2")
    output = HOME / "target" / "debug"
    dep_info = [*output.glob("deps/t_flat.d"), *output.glob("build/t-flat/*/out/t_flat.d")]
    assert dep_info
    for path in (*units(output, "t-flat"), *dep_info):
        os.utime(path)
    assert environment.run(layout.code).out == "2"


def test_a_project_that_is_read_only(environment: Environment) -> None:
    """For example, a layer of a container that was built elsewhere: there is a library, and nothing can be built."""
    layout, root = developed(environment, "flat")
    python = [str(environment.bin / "python"), "-c", f"import rustimport; rustimport.install(); {layout.code}"]
    script = f'mount --bind {root} {root} && mount -o remount,ro,bind {root} && exec "$@"'
    env = {name: value for name, value in environment.place.env.items() if name != "CARGO_TARGET_DIR"}
    run = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", *python], env=env, cwd="/", capture_output=True, text=True
    )
    if "unshare" in run.stderr or "mount" in run.stderr.split("rustimport")[0]:
        pytest.skip(f"folders cannot be mounted here: {run.stderr}")
    assert run.stdout == "1\n", run.stderr
    assert f"without a check of its sources: nothing can be built, since {root}" in run.stderr
