"""What type checkers see of the public names: correct programs pass, and mistakes are reported."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT

CORRECT = """\
from pathlib import Path

import rustimport
from rustimport import MaturinSettings, errors
from rustimport.project_importer import MaturinProjectImporter

rustimport.install(show_warnings=False, settings=MaturinSettings(release=True), build_dir=Path("x"))
rustimport.settings.profile = "release"
rustimport.settings.include_paths = ["a"]
built, failed = rustimport.build_all(Path("."))
result: rustimport.Result = rustimport.build_filepath(Path("m.rs"), force_rebuild=True)
artifact: str | None = result.artifact
module = rustimport.imp_from_path(Path("m.rs"))
name: str = module.__name__
importer = MaturinProjectImporter(enable_reloading=False)
try:
    rustimport.inline("fn f() {}", dependencies={"rand": "0.8"})
except rustimport.BuildError as error:
    lines = [found.line for found in error.diagnostics]
except errors.ToolchainError as error:
    print(error.hint)
"""

#: Each line contains one mistake.
MISTAKES = """\
rustimport.settings.profle = "x"
rustimport.instal()
rustimport.settings.profile = 3
rustimport.install(show_warning=False)
rustimport.build_all(1)
rustimport.build_filepath("m.rs").artefact
rustimport.errors.BuildErorr
rustimport.load_ipython_extension()
_core_client.request(_cache.Key("m.rs"), fource=True)
_native.core.ensure({"kind": "skript"}, print)
"""


def mypy(folder: Path, text: str) -> list[str]:
    (folder / "program.py").write_text(text)
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--cache-dir", str(folder), "program.py"]
    env = {**os.environ, "MYPYPATH": str(ROOT / "python")}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    return done.stdout.splitlines()


def test_correct_programs_pass(tmp_path: Path) -> None:
    assert mypy(tmp_path, CORRECT) == []


def test_every_mistake_is_reported(tmp_path: Path) -> None:
    head = "import rustimport\nfrom rustimport import _cache, _core_client, _native\n"
    found = {line.split(":")[1] for line in mypy(tmp_path, head + MISTAKES) if ": error: " in line}
    assert found == {str(number) for number in range(3, 3 + len(MISTAKES.splitlines()))}
