"""What editors know: type stubs in pyright and its language server, which Pylance is built on, and scripts in
rust-analyzer. Each test is skipped where its program is missing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.build.test_command import command
from tests.build.test_stubs import CORRECT, MISTAKES, write_sources
from tests.conftest import Place

SCRIPTS = Path(sys.executable).parent


@pytest.fixture
def typed(place: Place) -> Place:
    pytest.importorskip("pyright", reason="no pyright: make test-editors")
    write_sources(place)
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
    found = check("mistakes.py", "import boxed, declared, filled, old, raising\n" + mistakes)
    assert set(range(1, 1 + len(mistakes.splitlines()))) <= set(found), found


class Server:
    """A language server on standard input and output."""

    def __init__(self, root: Path, words: list[str], options: dict[str, Any] | None = None, **env: str) -> None:
        self.root = root
        self._last = 0
        self.notified: dict[str, Any] = {}
        self._process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=root, env={**os.environ, **env}
        )
        # A server that says nothing more ends its test.
        self._timer = threading.Timer(180, self._process.kill)
        self._timer.start()
        parameters = {
            "processId": None,
            "rootUri": root.as_uri(),
            "workspaceFolders": [{"uri": root.as_uri(), "name": "root"}],
            "capabilities": {
                "workspace": {"configuration": options is None, "workspaceFolders": True},
                "experimental": {"serverStatusNotification": True},
            },
            "initializationOptions": options,
        }
        self.ask("initialize", parameters)
        self._send({"method": "initialized", "params": {}})

    def close(self) -> None:
        self._timer.cancel()
        self._process.kill()
        self._process.wait()

    def open(self, name: str, text: str, language: str = "python") -> dict[str, Any]:
        document = {"uri": (self.root / name).as_uri()}
        opened = {**document, "languageId": language, "version": 1, "text": text}
        self._send({"method": "textDocument/didOpen", "params": {"textDocument": opened}})
        return document

    def ask(self, method: str, params: Any) -> Any:
        self._last += 1
        self._send({"id": self._last, "method": method, "params": params})
        while True:
            message = self.receive()
            if message.get("id") == self._last and "method" not in message:
                return message.get("result")

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self._process.stdin is not None
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self._process.stdin.flush()

    def receive(self) -> dict[str, Any]:
        """The next message. Questions are answered."""
        assert self._process.stdout is not None
        length = 0
        while line := self._process.stdout.readline().strip():
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        message: dict[str, Any] = json.loads(self._process.stdout.read(length))
        if "method" in message and "id" in message:
            wanted = message.get("params", {}).get("items")
            self._send({"id": message["id"], "result": [{} for _ in wanted] if wanted else None})
        elif "method" in message:
            self.notified[message["method"]] = message["params"]
        return message


def test_an_editor_completes_and_shows_doc_comments(typed: Place) -> None:
    server = Server(typed.folder, [str(SCRIPTS / "pyright-langserver"), "--stdio"])
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


SCRIPT = """\
// rustimport:pyo3
//: [dependencies]
//: once_cell = "1"
use once_cell::sync::Lazy;
use pyo3::prelude::*;

/// A table.
static TABLE: Lazy<Vec<u8>> = Lazy::new(Vec::new);

#[pyfunction]
fn length(py: Python<'_>) -> PyResult<usize> {
    let wrong: u8 = "text";
    let _ = (py, wrong);
    Ok(TABLE.len())
}
"""


def has_rust_analyzer() -> bool:
    # rustup has a program of that name even if the component is not installed.
    words = ["rust-analyzer", "--version"]
    return bool(shutil.which(words[0])) and subprocess.run(words, capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not has_rust_analyzer(), reason="no rust-analyzer: `make test-pythons PYTHONS=3.14` has one")
def test_rust_analyzer_knows_scripts(place: Place) -> None:
    text = textwrap.dedent(SCRIPT)
    source = place.write("analyzed.rs", text)
    assert command(place, "rust-analyzer").returncode == 0
    options = json.loads((place.folder / ".vscode" / "settings.json").read_text())
    linked = options["rust-analyzer.linkedProjects"]
    server = Server(place.folder, ["rust-analyzer"], {"linkedProjects": linked, "checkOnSave": True}, **place.env)
    try:
        document = server.open(source.name, text, "rust")
        # It asks cargo first, then builds what the macros need. Its timer ends this test.
        lines = text.splitlines()

        def at(word: str, more: int = 1) -> dict[str, Any]:
            line = next(line for line, content in enumerate(lines) if word in content and "use " not in content)
            place = {"line": line, "character": lines[line].index(word) + more}
            return {"textDocument": document, "position": place}

        while "Python<'py>" not in json.dumps(server.ask("textDocument/hover", at("Python<"))):
            time.sleep(0.5)
        while "A table." not in json.dumps(server.ask("textDocument/hover", at("TABLE.len"))):
            time.sleep(0.5)
        offered = server.ask("textDocument/completion", at("TABLE.len", len("TABLE.")))
        labels = {item["label"] for item in (offered["items"] if isinstance(offered, dict) else offered)}
        assert "is_empty" in labels
        # The compiler's error is in the user's own file.
        published = "textDocument/publishDiagnostics"
        while "mismatched types" not in json.dumps(server.notified.get(published, "")):
            time.sleep(0.5)
            server.ask("textDocument/hover", at("TABLE.len"))
        assert server.notified[published]["uri"] == document["uri"]
    finally:
        server.close()
