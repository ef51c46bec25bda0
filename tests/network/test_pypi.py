"""Third-party projects, downloaded from PyPI as source distributions: `make test-network` runs these tests."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest

from tests.build.test_projects import Environment, edit
from tests.build.test_wheels import Elsewhere
from tests.conftest import Place

pytestmark = pytest.mark.network


@dataclass
class Case:
    name: str
    #: The file that is edited.
    file: str
    old: str
    new: str
    #: Prints something that the edit changes.
    code: str
    #: The tool that installs the project.
    how: str


CASES = [
    Case(
        "rpds-py",
        "src/lib.rs",
        '"HashTrieMap({',
        '"EditedMap({',
        "import rpds; print(rpds.HashTrieMap({1: 2}))",
        "maturin",
    ),
    Case(
        "jiter",
        "crates/jiter/src/errors.rs",
        "EOF while parsing a list",
        "EDITED while parsing a list",
        "import jiter\ntry:\n    jiter.from_json(b'[1')\nexcept ValueError as error:\n    print(error)",
        "pip",
    ),
    Case(
        "watchfiles",
        "src/lib.rs",
        '"RustNotify({',
        '"EditedNotify({',
        "from watchfiles._rust_notify import RustNotify\n"
        "print(repr(RustNotify([], False, False, 0, False, True)).partition('(')[0])",
        "uv",
    ),
]


def fetch(name: str, folder: Path) -> Path:
    with urllib.request.urlopen(f"https://pypi.org/pypi/{name}/json", timeout=60) as answer:
        files = json.load(answer)["urls"]
    url = next(file["url"] for file in files if file["packagetype"] == "sdist")
    with urllib.request.urlopen(urljoin(f"https://pypi.org/simple/{name}/", url), timeout=60) as answer:
        content = io.BytesIO(answer.read())
    with tarfile.open(fileobj=content) as archive:
        archive.extractall(folder)
    # Cargo compares times, and may have compiled another copy in the same target folder.
    for path in folder.rglob("*"):
        os.utime(path)
    return next(path for path in folder.iterdir() if path.is_dir())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_an_edit_is_imported(place: Place, case: Case) -> None:
    folder = place.folder / "fetched"
    folder.mkdir()
    root = fetch(case.name, folder)
    environment = Environment(place)
    if case.how == "maturin":
        environment.develop(root)
    elif case.how == "uv":
        uv: list[Any] = ["uv", "pip", "install", "--quiet", "--python", environment.bin / "python", "-e", root]
        subprocess.run(uv, check=True, env=place.env)
    else:
        environment.install("-e", str(root))
    first = environment.run(case.code)
    assert (first.builds, first.stderr) == (0, ""), first.stderr
    edit(root / case.file, case.old, case.new)
    second = environment.run(case.code)
    assert second.builds == 1, second.stderr
    assert second.out == first.out.replace(case.old.strip('"({'), case.new.strip('"({'))
    assert second.out != first.out
    third = environment.run(case.code)
    assert (third.out, third.builds, third.stderr) == (second.out, 0, "")


def test_zig_links_for_older_systems(place: Place, tmp_path: Path) -> None:
    """This machine's own linker would require its newer C library."""
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(tmp_path / "zig"), "ziglang"], check=True
    )
    place.write("m.rs", "// rustimport:pyo3\n#[pyfunction]\nfn value() -> i32 { 7 }\n")
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "rustimport",
            "build",
            "--zig",
            "--compatibility",
            "manylinux2014",
            "--wheel",
            "dist",
            "m.rs",
        ],
        cwd=place.folder,
        env={**place.env, "PYTHONPATH": str(tmp_path / "zig")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    (wheel,) = (place.folder / "dist").iterdir()
    assert "manylinux_2_17" in wheel.name
    elsewhere = Elsewhere(tmp_path / "elsewhere")
    elsewhere.install(wheel)
    assert elsewhere.run("import m; print(m.value())") == "7"
