"""A future cargo with an unknown layout of its build directory: builds are slower, but results are right.

The installed cargo is wrapped in a script that moves its folders away after each run, and back before the next. What
cargo documents still works: messages with the new paths, and the library with its `.d` file.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests import projects
from tests.build.test_freshness import DEPENDENT, script, settle, write_helper
from tests.build.test_projects import Environment, developed, edit
from tests.conftest import Place

CARGO = """\
#!/bin/sh
folder="${CARGO_TARGET_DIR:-$PWD/target}"
move() {
    for profile in "$folder"/debug "$folder"/*/debug; do
        if [ -d "$profile/$1" ] && [ ! -e "$profile/$2" ]; then mv "$profile/$1" "$profile/$2"; fi
    done
}
move secret .fingerprint; move objects deps; move works build
# A signal to the shell alone must not leave the folders as they are.
trap 'move .fingerprint secret; move deps objects; move build works' EXIT
REAL "$@" > "$0.$$"
status=$?
sed -e 's,/debug/deps/,/debug/objects/,g' -e 's,/debug/build/,/debug/works/,g' "$0.$$"
rm "$0.$$"
exit $status
"""
NOTICE = "this version of rustimport does not know the file layout of "


@pytest.fixture
def unknown(place: Place, tmp_path: Path) -> Place:
    def tool(name: str) -> str:
        command = ["rustup", "which", name] if shutil.which("rustup") else ["which", name]
        return subprocess.run(command, env=place.env, capture_output=True, text=True, check=True).stdout.strip()

    folder = tmp_path / "toolchain"
    folder.mkdir()
    (folder / "cargo").write_text(CARGO.replace("REAL", tool("cargo")))
    (folder / "cargo").chmod(0o755)
    (folder / "rustc").symlink_to(tool("rustc"))
    place.cache = tmp_path / "cache"
    place.env["RUSTIMPORT_CACHE_DIR"] = str(place.cache)
    place.env["RUSTIMPORT_CARGO_EXECUTABLE"] = str(folder / "cargo")
    return place


def test_a_script(unknown: Place) -> None:
    place = unknown
    dependency = write_helper(place, 1)
    part = place.write(
        "part.rs", 'pub const LENGTH: Option<&str> = option_env!("PART");\npub fn part() -> i32 { 10 }\n'
    )
    body = "helper::value() + part::part() + part::LENGTH.map_or(0, |text| text.len() as i32)"
    source = place.write("m.rs", script(body).replace("// rustimport:pyo3\n", DEPENDENT) + "mod part;\n")

    def check(value: int, builds: int = 1, **env: str | None) -> None:
        run = place.python("import m; print(m.value())", **env)  # type: ignore[arg-type]
        assert (run.out, run.builds > 0) == (str(value), builds > 0), run.stderr
        assert run.stderr.count(NOTICE) == builds
        assert "cargo 1." in run.stderr or not builds

    settle(source, part, dependency)
    check(11)
    check(11, 0)
    # Modules and dependencies, edited and restored with their old times.
    for path, old, new, value in ((part, "10", "20", 21), (dependency, "{ 1 }", "{ 2 }", 12)):
        backup = place.folder / "backup"
        shutil.copy2(path, backup)
        path.write_text(path.read_text().replace(old, new))
        check(value)
        check(value, 0)
        shutil.copy2(backup, path)
        check(11)
        check(11, 0)
    # With an unknown layout, every variable counts as an input.
    check(1011, PART="x" * 1000)
    check(1011, 0, PART="x" * 1000)
    check(11)


def test_a_project(environment: Environment, unknown: Place) -> None:
    # Use this test's own target folder, which requires compiling pyo3.
    environment.place.env["CARGO_TARGET_DIR"] = str(unknown.folder / "target")
    layout, root = developed(environment, "nested-workspace")
    path = root / layout.edited

    def check(value: str, builds: int = 1) -> None:
        run = environment.run(layout.code)
        assert (run.out, run.builds > 0) == (value, builds > 0), run.stderr
        assert run.stderr.count(NOTICE) == builds

    run = environment.run(layout.code)
    assert run.out == "1"
    settle(path)
    for _ in range(2):
        assert environment.run(layout.code).out == "1"
    backup = Path(shutil.copy2(path, environment.place.folder / "backup"))
    edit(path, projects.EDITED, "2")
    check("2")
    check("2", 0)
    shutil.copy2(backup, path)
    assert os.stat(path).st_mtime < os.stat(root / layout.folder / "Cargo.toml").st_mtime
    check("1")
    check("1", 0)
