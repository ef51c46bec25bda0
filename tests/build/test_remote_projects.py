"""Projects and a remote store: what one machine built, another one installs and imports without compiling."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import projects
from tests.build.test_projects import SCRIPTS, Environment, edit
from tests.build.test_remote import Team
from tests.conftest import Run

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the second machine has another PATH")


class Machines:
    """Two trees with one project. They share an environment, so that pyo3 is compiled once: it is that of one machine
    at a time."""

    def __init__(self, environment: Environment, layout: projects.Layout, team: Team | None = None) -> None:
        self.environment, self.layout = environment, layout
        self.place = environment.place
        self.team = team or Team(self.place)
        self.first = environment.project(layout, "one")
        self.second = environment.project(layout, "two")
        environment.develop(self.first / layout.folder)

    def on_first(self, *arguments: str) -> str:
        run = self.command(self.first, "remote", *arguments, **self.team.first)
        assert run.returncode == 0, run.stderr
        return run.stdout

    def push(self) -> str:
        return self.on_first("push")

    def pull(self, **env: Any) -> subprocess.CompletedProcess[str]:
        return self.command(self.second, "remote", "pull", **{**self.team.second, **env})

    def command(self, folder: Path, *arguments: str, **env: Any) -> subprocess.CompletedProcess[str]:
        environ = {name: value for name, value in {**self.place.env, **env}.items() if value is not None}
        return subprocess.run(
            [self.environment.bin / "python", "-m", "rustimport", *arguments],
            cwd=folder / self.layout.folder,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )

    def leave_first(self) -> None:
        """From here on, it is the second machine: without the project, and without what the first one has kept."""
        self.uninstall()
        self.place.forget()

    def uninstall(self) -> None:
        name = next(self.environment.site.glob("t_*.dist-info")).name.partition("-")[0]
        uv: list[Any] = [SCRIPTS / "uv", "pip", "uninstall", "--quiet", "--python", self.environment.bin / "python"]
        subprocess.run([*uv, name], env=self.place.env, check=True)

    def run(self, **env: Any) -> Run:
        return self.environment.run(self.layout.code, **{**self.team.second, **env})


def compiled(run: Run) -> bool:
    return "building" in run.stderr


@pytest.fixture
def machines(environment: Environment) -> Machines:
    layout = projects.LAYOUTS["python-source"]
    program = '[project.scripts]\nsource-value = "t_source:value"\n'
    pyproject = layout.files["pyproject.toml"].replace("[tool.maturin]", program + "[tool.maturin]")
    files = {**layout.files, "pyproject.toml": pyproject}
    return Machines(environment, projects.Layout(files, layout.code))


def test_installed_without_compiling(machines: Machines) -> None:
    """Python files changed, Rust did not: a clean checkout gets its library, dependencies and programs."""
    assert machines.push() == "1 written, 0 already there, 0 stay, 0 failed\n"
    assert machines.push() == "0 written, 1 already there, 0 stay, 0 failed\n"
    # Debug information, and with it the tree's path, stays here.
    (library,) = machines.team.objects("artifacts")
    assert str(machines.first).encode() not in library.read_bytes()
    shutil.copy(machines.first / "Cargo.lock", machines.second)
    machines.place.write("two/python/t_source/__init__.py", "from .t_source import value\nmore = 1\n")
    machines.leave_first()

    target = machines.team.root / "target"
    machines.place.env["CARGO_TARGET_DIR"] = str(target)
    pull = machines.pull(RUSTIMPORT_REMOTE="file:///nowhere")
    assert (pull.returncode, "no store has an artifact" in pull.stderr) == (1, True), pull.stderr
    assert not list(machines.environment.site.glob("t_source*"))
    pull = machines.pull()
    assert pull.stdout == "1 fetched, 0 already there, 0 not in the store\n", pull.stderr
    assert machines.pull().stdout == "0 fetched, 1 already there, 0 not in the store\n"

    run = machines.run()
    assert (run.out, run.stderr) == ("1", "")
    assert not target.exists()
    # It is what `maturin develop` would have installed.
    (dist_info,) = machines.environment.site.glob("t_source-*.dist-info")
    origin = json.loads((dist_info / "direct_url.json").read_text())
    assert origin == {"url": machines.second.as_uri(), "dir_info": {"editable": True}}
    program = subprocess.run([machines.environment.bin / "source-value"], capture_output=True, check=False)
    assert program.returncode == 1
    machines.environment.develop(machines.second)
    assert machines.run().out == "1"
    machines.uninstall()
    assert not list(machines.environment.site.glob("t_source*"))
    assert not (machines.environment.bin / "source-value").exists()


def test_a_colleagues_edit(machines: Machines) -> None:
    """An import writes what it has built; after a pull of the sources, the other import takes it."""
    shutil.copy(machines.first / "Cargo.lock", machines.second)
    machines.push()
    edit(machines.first / "src/lib.rs", projects.EDITED, "2")
    run = machines.run(**machines.team.first)
    assert (run.out, compiled(run), len(machines.team.objects("sets"))) == ("2", True, 2), run.stderr
    machines.leave_first()

    assert machines.pull().returncode == 0
    edit(machines.second / "src/lib.rs", projects.EDITED, "2")
    run = machines.run()
    assert (run.out, compiled(run), "fetched t_source" in run.stderr) == ("2", False, True), run.stderr
    assert (machines.run().out, machines.run().stderr) == ("2", "")
    # It is this machine's own now, until its key is revoked.
    shutil.rmtree(machines.team.store)
    edit(machines.second / "src/lib.rs", "{ 2 }", "{ 3 }")
    run = machines.run()
    assert (run.out, compiled(run)) == ("3", True)
    edit(machines.second / "src/lib.rs", "{ 3 }", "{ 2 }")
    run = machines.run()
    assert (run.out, compiled(run)) == ("2", False), run.stderr
    run = machines.run(RUSTIMPORT_REMOTE_REVOKED=machines.team.key)
    assert (run.out, compiled(run)) == ("2", True), run.stderr
    assert f"the key {machines.team.key[8:24]} that signed the library was revoked" in run.stderr


def test_more_than_the_library_changed(machines: Machines) -> None:
    """A library is taken if the installed metadata are those of the project; else they are installed again as well."""
    shutil.copy(machines.first / "Cargo.lock", machines.second)
    machines.push()
    edit(machines.first / "Cargo.toml", "[lib]", "# A comment.\n[lib]")
    machines.push()
    edit(machines.first / "pyproject.toml", 'version = "1.0"', 'version = "1.1"')
    assert machines.push() == "1 written, 0 already there, 0 stay, 0 failed\n"
    machines.leave_first()
    assert machines.pull().returncode == 0
    edit(machines.second / "Cargo.toml", "[lib]", "# A comment.\n[lib]")
    run = machines.run()
    assert (run.out, compiled(run), "fetched t_source" in run.stderr) == ("1", False, True), run.stderr
    edit(machines.second / "pyproject.toml", 'version = "1.0"', 'version = "1.1"')
    run = machines.run()
    assert (run.out, compiled(run), "fetched t_source" in run.stderr) == ("1", False, True), run.stderr
    assert [path.name for path in machines.environment.site.glob("t_source-*")] == ["t_source-1.1.dist-info"]
    assert (machines.run().out, machines.run().stderr) == ("1", "")


def test_other_places(machines: Machines) -> None:
    """The library belongs where the content of the project says, not where an earlier one was."""

    def rename(machine: Path) -> None:
        edit(machine / "pyproject.toml", 'python-source = "python"', 'python-source = "py"')
        (machine / "python").rename(machine / "py")

    shutil.copy(machines.first / "Cargo.lock", machines.second)
    machines.push()
    for machine in (machines.first, machines.second):
        edit(machine / "pyproject.toml", "[tool.maturin]\n", '[tool.maturin]\nmodule-name = "t_source._native"\n')
        edit(machine / "src/lib.rs", "mod t_source", "mod _native")
        (machine / "python/t_source/__init__.py").write_text("from ._native import value\n")
    machines.push()
    rename(machines.first)
    machines.push()
    machines.leave_first()
    assert machines.pull().returncode == 0
    run = machines.run()
    assert (run.out, compiled(run)) == ("1", False), run.stderr
    rename(machines.second)
    pull = machines.pull()
    assert pull.stdout == "1 fetched, 0 already there, 0 not in the store\n", pull.stderr
    run = machines.run()
    assert (run.out, compiled(run)) == ("1", False), run.stderr
    assert list((machines.second / "py/t_source").glob("_native.*"))


LOUD = "[features]\nloud = []\n\n[dependencies]"


def test_what_the_user_built_is_built_again(machines: Machines) -> None:
    """It is not known with which flags and toolchain. Its features are, and are not what other machines want."""
    edit(machines.first / "Cargo.toml", "[dependencies]", LOUD)
    edit(machines.first / "src/lib.rs", projects.EDITED, 'if cfg!(feature = "loud") { 1001 } else { 1 }')
    machines.environment.develop(machines.first, "--features", "loud")
    assert machines.push() == "1 written, 0 already there, 0 stay, 0 failed\n"
    shutil.rmtree(machines.second)
    shutil.copytree(machines.first, machines.second, ignore=shutil.ignore_patterns("*.so"))
    assert "no store has an artifact" in machines.pull().stderr
    machines.environment.develop(machines.first)
    assert machines.push() == "1 written, 0 already there, 0 stay, 0 failed\n"
    machines.leave_first()
    assert machines.pull().returncode == 0
    assert machines.run().out == "1"


def test_what_lies_in_the_tree_is_not_what_was_pulled(machines: Machines) -> None:
    """An installation from a store does not make an older library look as if it had been built before it."""
    for machine in (machines.first, machines.second):
        edit(machine / "Cargo.toml", "[dependencies]", LOUD)
        edit(machine / "src/lib.rs", projects.EDITED, 'if cfg!(feature = "loud") { 1001 } else { 1 }')
    machines.environment.develop(machines.second)
    machines.uninstall()
    for machine in (machines.first, machines.second):
        edit(machine / "pyproject.toml", "[tool.maturin]\n", '[tool.maturin]\nfeatures = ["loud"]\n')
    machines.environment.develop(machines.first)
    machines.push()
    shutil.copy(machines.first / "Cargo.lock", machines.second)
    machines.leave_first()
    assert machines.pull().stdout == "1 fetched, 0 already there, 0 not in the store\n"
    run = machines.run()
    assert (run.out, run.stderr) == ("1001", "")


def test_a_build_after_a_pull_uses_nothing_older(environment: Environment) -> None:
    """The target folder knows another version of a dependency, whose files are older than what was compiled."""
    layout = projects.LAYOUTS["nested-workspace"]
    machines = Machines(environment, layout)
    helper = machines.second / "helper"
    newer = shutil.copytree(helper, machines.second / "newer")
    edit(newer / "src/lib.rs", projects.EDITED, "20")
    environment.develop(machines.second / layout.folder)
    machines.uninstall()
    helper.rename(machines.second / "older")
    newer.rename(helper)
    edit(machines.first / "helper/src/lib.rs", projects.EDITED, "20")
    environment.develop(machines.first / layout.folder)
    machines.push()
    shutil.copy(machines.first / layout.folder / "Cargo.lock", machines.second / layout.folder)
    machines.leave_first()
    assert machines.pull().stdout == "1 fetched, 0 already there, 0 not in the store\n"
    assert machines.run().out == "20"
    edit(machines.second / layout.folder / "src/lib.rs", "helped()", "helped() + 2")
    run = machines.run()
    assert (run.out, compiled(run)) == ("22", True), run.stderr


def test_a_new_environment_of_the_machine_that_built(machines: Machines) -> None:
    machines.push()
    machines.uninstall()
    env = machines.team.first
    pull = machines.command(machines.first, "remote", "pull", **env)
    assert (pull.returncode, "building" in pull.stderr) == (0, False), pull.stderr
    assert machines.run(**env).out == "1"


def test_nothing_is_installed_by_halves(machines: Machines) -> None:
    """A dependency that cannot be had: the first machine has it, the second one does not."""
    there = machines.environment.site / "no_such_package_z-1.0.dist-info"
    there.mkdir()
    (there / "METADATA").write_text("Metadata-Version: 2.1\nName: no-such-package-z\nVersion: 1.0\n")
    (there / "RECORD").write_text("no_such_package_z-1.0.dist-info/RECORD,,\n")
    for machine in (machines.first, machines.second):
        edit(machine / "pyproject.toml", 'version = "1.0"', 'version = "1.0"\ndependencies = ["no-such-package-z"]')
    assert machines.push() == "1 written, 0 already there, 0 stay, 0 failed\n"
    shutil.copy(machines.first / "Cargo.lock", machines.second)
    machines.leave_first()
    shutil.rmtree(there)
    pull = machines.pull(UV_OFFLINE="1")
    assert (pull.returncode, "no-such-package-z" in pull.stderr) == (1, True), pull.stderr
    assert not list(machines.environment.site.glob("t_source*"))


def test_what_maturin_alone_installs(machines: Machines) -> None:
    for machine in (machines.first, machines.second):
        edit(machine / "pyproject.toml", "[tool.maturin]\n", '[tool.maturin]\ndata = "more"\n')
        machines.place.write(f"{machine.name}/more/data/etc/more.conf", "")
    machines.environment.develop(machines.first)
    machines.push()
    shutil.copy(machines.first / "Cargo.lock", machines.second)
    machines.leave_first()
    pull = machines.pull()
    assert (pull.returncode, "no store has an artifact" in pull.stderr) == (1, True)


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ('include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).len() as i64', "the path of its folder"),
        ("extern_z()", "links a library"),
        ('option_env!("SECRET").map_or(0, |_| 1)', "it may contain the value of SECRET"),
    ],
)
def test_what_stays(machines: Machines, code: str, why: str) -> None:
    if "extern" in code:
        machines.place.write(
            "one/build.rs", 'fn main() { println!("cargo:rustc-link-search=/usr/lib\\ncargo:rustc-link-lib=m"); }'
        )
        code = "1"
    edit(machines.first / "src/lib.rs", projects.EDITED, code)
    machines.place.env["SECRET"] = "x"
    run = machines.command(machines.first, "remote", "push", **machines.team.first)
    assert run.stdout == "0 written, 0 already there, 1 stay, 0 failed\n", run.stderr
    assert why in run.stderr
    assert not machines.team.store.exists()


def test_projects_without_python_files(environment: Environment) -> None:
    """maturin generates some, so such a project is not installed from a store. Its library is taken once it is."""
    machines = Machines(environment, projects.LAYOUTS["pure"])
    edit(machines.first / "src/lib.rs", projects.EDITED, "2")
    machines.push()
    shutil.copy(machines.first / "Cargo.lock", machines.second)
    machines.leave_first()
    pull = machines.pull()
    assert (pull.returncode, "no store has an artifact" in pull.stderr) == (1, True)
    environment.develop(machines.second)
    edit(machines.second / "src/lib.rs", projects.EDITED, "2")
    run = machines.run()
    assert (run.out, compiled(run), "fetched t_pure" in run.stderr) == ("2", False, True), run.stderr
