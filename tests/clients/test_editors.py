"""Type stubs in pyright, and in its language server, which Pylance is built on."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from tests.build.test_command import command
from tests.build.test_stubs import CORRECT, DECLARED, FILLED, MISTAKES, OLD, RAISING
from tests.conftest import Place

pytest.importorskip("pyright", reason="no pyright: make test-editors")

SCRIPTS = Path(sys.executable).parent


@pytest.fixture
def typed(place: Place) -> Place:
    for name, text in (("declared", DECLARED), ("filled", FILLED), ("raising", RAISING), ("old", OLD)):
        place.write(f"{name}.rs", text)
    assert command(place, "stubs").returncode == 0
    # There is no Python file behind the stubs.
    place.write("pyrightconfig.json", '{"typeCheckingMode": "strict", "reportMissingModuleSource": "none"}')
    return place


def test_pyright_accepts_what_is_right_and_finds_mistakes(typed: Place) -> None:
    def check(name: str, text: str) -> dict[int, str]:
        typed.write(name, text)
        words = [str(SCRIPTS / "pyright"), "--outputjson", "--pythonpath", sys.executable, name]
        run = subprocess.run(words, cwd=typed.folder, capture_output=True, text=True, check=False)
        found = json.loads(run.stdout)["generalDiagnostics"]
        return {item["range"]["start"]["line"]: item["message"] for item in found if item["severity"] == "error"}

    correct = check("correct.py", CORRECT)
    # An old pyo3 knows no types, which the strict mode reports.
    assert {line for line in correct if "old." not in CORRECT.splitlines()[line]} == set()
    mistakes = textwrap.dedent(MISTAKES)
    found = check("mistakes.py", "import declared, filled, old, raising\n" + mistakes)
    assert set(range(1, 1 + len(mistakes.splitlines()))) <= set(found), found


class Server:
    """A language server on standard input and output."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._last = 0
        self._process = subprocess.Popen(
            [str(SCRIPTS / "pyright-langserver"), "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=root
        )
        folder = {"uri": root.as_uri(), "name": "root"}
        capabilities = {"workspace": {"configuration": True, "workspaceFolders": True}}
        self.ask(
            "initialize",
            {"processId": None, "rootUri": root.as_uri(), "workspaceFolders": [folder], "capabilities": capabilities},
        )
        self._send({"method": "initialized", "params": {}})

    def close(self) -> None:
        self._process.kill()
        self._process.wait()

    def open(self, name: str, text: str) -> dict[str, Any]:
        document = {"uri": (self.root / name).as_uri()}
        opened = {**document, "languageId": "python", "version": 1, "text": text}
        self._send({"method": "textDocument/didOpen", "params": {"textDocument": opened}})
        return document

    def ask(self, method: str, params: Any) -> Any:
        self._last += 1
        self._send({"id": self._last, "method": method, "params": params})
        while True:
            message = self._receive()
            if message.get("id") == self._last and "method" not in message:
                return message.get("result")
            if "id" in message:
                wanted = message.get("params", {}).get("items")
                self._send({"id": message["id"], "result": [{} for _ in wanted] if wanted else None})

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self._process.stdin is not None
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self._process.stdin.flush()

    def _receive(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        length = 0
        while line := self._process.stdout.readline().strip():
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        message: dict[str, Any] = json.loads(self._process.stdout.read(length))
        return message


def test_an_editor_completes_and_shows_doc_comments(typed: Place) -> None:
    server = Server(typed.folder)
    try:
        document = server.open("use.py", "import declared\ndeclared.add(1)\ndeclared.\n")
        shown = server.ask("textDocument/hover", {"textDocument": document, "position": {"line": 1, "character": 10}})
        text = json.dumps(shown)
        assert "b: SupportsIndex = 2" in text
        assert "Adds numbers." in text
        offered = server.ask(
            "textDocument/completion", {"textDocument": document, "position": {"line": 2, "character": 9}}
        )
        assert {"add", "find", "Point", "Color"} <= {item["label"] for item in offered["items"]}
        # pyright leads to the stub, whose first line names the source.
        (target,) = server.ask(
            "textDocument/definition", {"textDocument": document, "position": {"line": 1, "character": 10}}
        )
        assert target["uri"].endswith("typings/declared.pyi")
    finally:
        server.close()
