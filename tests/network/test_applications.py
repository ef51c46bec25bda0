"""Programs that other tools restart or pack, as the documentation describes it."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.build.test_documentation import blocks
from tests.build.test_projects import edit
from tests.conftest import ROOT, Place

pytestmark = pytest.mark.network

GUIDE = ROOT / "docs" / "guides" / "web-servers.md"
SCRIPT = '// rustimport:pyo3\n#[pyfunction]\nfn greeting() -> &\'static str { "one" }\n'


class Application:
    """A folder with an environment of its own, and a script."""

    def __init__(self, place: Place, *packages: str) -> None:
        self.place = place
        self.bin = place.folder.parent / "venv" / "bin"
        subprocess.run([sys.executable, "-m", "venv", self.bin.parent], check=True)
        subprocess.run([self.bin / "pip", "install", "--quiet", *packages], check=True)
        site = next(self.bin.parent.glob("lib/python*/site-packages"))
        (site / "rustimport").symlink_to(ROOT / "python" / "rustimport")
        place.write("somecode.rs", SCRIPT)

    def run(self, *command: str) -> str:
        words = [str(self.bin / command[0]), *command[1:]]
        done = subprocess.run(
            words, cwd=self.place.folder, env=self.place.env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()


def commands(page: Path) -> Iterator[str]:
    for block in blocks(page):
        if block.language == "sh":
            yield from block.text.splitlines()


@pytest.mark.parametrize("tool", ["flask", "uvicorn"])
def test_servers_restart(place: Place, tool: str) -> None:
    application = Application(place, "flask", "uvicorn", "watchfiles")
    code = next(block.text for block in blocks(GUIDE) if block.title == f"{tool}_app.py")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    place.write(f"{tool}_app.py", re.sub(r"port=\d+", f"port={port}", code))
    if tool == "flask":
        words = ["python", "flask_app.py"]
    else:
        line = next(line for line in commands(GUIDE) if line.startswith("uvicorn"))
        words = [*line.replace('"', "").split(), "--port", str(port)]
    log = (place.folder.parent / "log").open("w")
    server = subprocess.Popen(
        [application.bin / words[0], *words[1:]], cwd=place.folder, env=place.env, stdout=log, stderr=log
    )
    try:
        for text, following in (("one", "two"), ("two", "three")):
            assert answer(port, text) == text, Path(log.name).read_text()
            edit(place.folder / "somecode.rs", text, following)
        assert answer(port, "three") == "three"
    finally:
        server.send_signal(signal.SIGINT)
        server.wait()


def answer(port: int, expected: str) -> Any:
    """What the server answers, at the latest after a minute."""
    found = ""
    for _ in range(300):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as response:
                found = response.read().decode()
        except OSError:
            pass
        if found == expected:
            break
        time.sleep(0.2)
    return found


def test_pyinstaller(place: Place) -> None:
    application = Application(place, "pyinstaller")
    place.write("app.py", "import rustimport.import_hook\nimport somecode\nprint(somecode.greeting())\n")
    lines = list(commands(ROOT / "docs" / "guides" / "production.md"))
    pack = lines.index("pyinstaller app.py")
    for line in lines[pack - 1 : pack + 1]:
        application.run(*line.split())
    # Neither the source nor Rust is there.
    (place.folder / "somecode.rs").unlink()
    done = subprocess.run([place.folder / "dist/app/app"], cwd="/", env={}, capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("one", "")
