"""Several toolchains with one cache: cargo is updated and downgraded, or Rust is too old."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.build.test_freshness import DEPENDENT, script, settle, write_helper
from tests.conftest import Place


def test_both_layouts_in_one_cache(place: Place) -> None:
    """An edit is noticed with both layouts, also if a file is restored with its old time."""
    nightly = {**place.env, "RUSTUP_TOOLCHAIN": "nightly"}
    if subprocess.run(["cargo", "--version"], env=nightly, capture_output=True, check=False).returncode:
        pytest.skip("there is no nightly toolchain")
    dependency = write_helper(place, 1)
    source = place.write("m.rs", script("helper::value()").replace("// rustimport:pyo3\n", DEPENDENT))
    layouts = ("false", "true")

    def check(value: int, layout: str) -> None:
        env = {"RUSTUP_TOOLCHAIN": "nightly", "CARGO_UNSTABLE_BUILD_DIR_NEW_LAYOUT": layout}
        for _ in range(2):
            run = place.python("import m; print(m.value())", **env)  # type: ignore[arg-type]
            assert run.out == str(value), (layout, run.stderr)
            assert "does not know" not in run.stderr
        assert run.builds == 0

    settle(source, dependency)
    for layout in layouts:
        check(1, layout)
    backup = Path(shutil.copy2(dependency, place.folder / "backup"))
    for value in (2, 3):
        write_helper(place, value)
        for layout in layouts:
            check(value, layout)
    shutil.copy2(backup, dependency)
    place.forget()
    for layout in reversed(layouts):
        check(1, layout)
    # Build only with one layout, and then with the other.
    write_helper(place, 4)
    check(4, "true")
    shutil.copy2(backup, dependency)
    place.forget()
    check(1, "false")
    check(1, "true")


def test_a_rust_that_is_too_old(place: Place, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    version = "rustc 1.80.0 (x 2024-07-21)\\nhost: x86_64-unknown-linux-gnu\\nrelease: 1.80.0"
    (tools / "rustc").write_text(f"#!/bin/sh\nprintf '{version}\\n'\n")
    (tools / "cargo").write_text("#!/bin/sh\nexit 1\n")
    for tool in tools.iterdir():
        tool.chmod(0o755)
    place.write("m.rs", script(1))
    run = place.python("import m", RUSTIMPORT_CARGO_EXECUTABLE=str(tools / "cargo"))
    assert "ToolchainError" in run.stderr
    assert "is Rust 1.80.0, and scripts need 1.85 or later" in run.stderr
    assert run.builds == 0
