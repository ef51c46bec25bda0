"""Projects in environments that uv, Poetry, Hatch and PDM make: `make test-network`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests import projects
from tests.build.test_projects import HOME, SCRIPTS, edit
from tests.conftest import ROOT, Place

pytestmark = pytest.mark.network

#: Tool -> what to type for the project to be installed, and what starts Python in the environment.
TOOLS = {
    "uv": ("uv sync", "uv run --no-sync python"),
    "poetry": ("poetry install", "poetry run python"),
    "hatch": ("hatch env create", "hatch run python"),
    "pdm": ("pdm install", "pdm run python"),
}


def run(place: Place, command: str, *more: str) -> str:
    tool, *words = command.split()
    start = [SCRIPTS / "uv"] if tool == "uv" else [SCRIPTS / "uv", "tool", "run", "--python", sys.executable, tool]
    env = {
        **place.env,
        "POETRY_VIRTUALENVS_IN_PROJECT": "true",
        "HATCH_DATA_DIR": str(place.folder.parent / "hatch"),
        "UV_PYTHON": sys.executable,
        "CARGO_TARGET_DIR": str(HOME / "target"),
    }
    done = subprocess.run(
        [*start, *words, *more], cwd=place.folder, env=env, capture_output=True, text=True, timeout=600, check=False
    )
    if "hishel" in done.stderr or "super(type, obj)" in done.stderr:
        pytest.skip("PDM does not start with the newest version of a package that it needs")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("tool", TOOLS)
def test_edit(place: Place, tool: str) -> None:
    install, python = TOOLS[tool]
    for name, text in projects.LAYOUTS["flat"].files.items():
        place.write(name, text)
    run(place, install)
    site = Path(run(place, python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").splitlines()[-1])
    (site / "rustimport").symlink_to(ROOT / "python" / "rustimport")
    run(place, python, "-m", "rustimport", "site", "install")
    code = "import t_flat; print(t_flat.value())"
    assert run(place, python, "-c", code).split()[-1] == "1"
    edit(place.folder / "src/lib.rs", projects.EDITED, "2")
    builds = place.builds
    assert run(place, python, "-c", code).split()[-1] == "2"
    assert place.builds == builds + 1
