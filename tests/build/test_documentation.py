"""What the documentation shows is what happens: its code compiles, its commands exist, the tutorial and the recording
work as written."""

from __future__ import annotations

import ast
import doctest
import re
import runpy
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import pytest

from tests.conftest import ROOT, Place

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
TUTORIAL = ROOT / "docs" / "tutorial.md"

#: Languages of blocks that are only shown.
SHOWN = {"dockerfile", "ini", "json", "mermaid", "text", "yaml"}


class Block(NamedTuple):
    place: str
    language: str
    title: str
    text: str


def blocks(page: Path) -> Iterator[Block]:
    content = page.read_text(encoding="utf-8")
    for found in re.finditer(r"^( *)```(\S*)(?: title=\"(.*?)\")?\n(.*?)^\1```$", content, re.M | re.S):
        indent, language, title, text = found.groups()
        line = content[: found.start()].count("\n") + 1
        text = re.sub(rf"^{indent}", "", text, flags=re.M)
        yield Block(f"{page.relative_to(ROOT)}:{line}", language, title or "", text)


def of_language(*languages: str) -> list[Block]:
    return [block for page in PAGES for block in blocks(page) if block.language in languages]


def test_every_block_has_a_language_that_is_tested() -> None:
    tested = {"console", "ipython", "pycon", "python", "rust", "sh", "toml"}
    for page in PAGES:
        for block in blocks(page):
            assert block.language in tested | SHOWN, block.place


def test_rust_compiles(place: Place) -> None:
    """In one folder for each block, all in one build. Cells become scripts; a header alone gets a function."""
    names = []
    for number, block in enumerate(of_language("rust")):
        if block.place.startswith("docs/tutorial.md"):
            continue
        text = block.text.replace("%%rustimport\n", "// rustimport:pyo3\n")
        if "fn " not in text and "struct " not in text:
            text += "\n#[pyfunction]\nfn one() -> i32 { 1 }\n"
        if not text.startswith("// rustimport"):
            text = f"// rustimport:pyo3\n{text}"
        # The numbers of lines in messages are of use only with the place.
        name = f"part{number}/{block.title or f'block{number}.rs'}"
        place.write(name, text)
        place.write(f"part{number}/build.rs", "fn main() {}\n")
        names.append((name, block.place))
    command = [sys.executable, "-m", "rustimport", "build", str(place.folder)]
    run = subprocess.run(command, env=place.env, capture_output=True, text=True, check=False)
    assert run.returncode == 0, f"{names}\n{run.stderr}"
    assert len(list(place.folder.rglob("part*/*.so"))) == len(names)


@pytest.mark.parametrize("block", of_language("python", "pycon"), ids=lambda block: block.place)
def test_python_is_valid(block: Block) -> None:
    """It compiles, and what it uses of `rustimport` exists."""
    import rustimport

    text = block.text
    if block.language == "pycon":
        text = "".join(example.source for example in doctest.DocTestParser().get_examples(text))
        assert text, block.place
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "rustimport":
            assert hasattr(rustimport, node.attr), f"{block.place}: {node.attr}"


def test_commands_exist() -> None:
    from rustimport._cli import _parser

    found = 0
    for block in of_language("console", "dockerfile", "sh", "yaml"):
        for command in re.findall(r"\bpython -m rustimport ([^\n]*)", block.text):
            _parser().parse_args(shlex.split(command, comments=True))
            found += 1
    assert found > 20


def test_configuration_is_accepted(place: Place) -> None:
    for block in of_language("toml"):
        if "[tool.rustimport]" in block.text:
            place.write("pyproject.toml", block.text)
            command = [sys.executable, "-m", "rustimport", "info"]
            run = subprocess.run(command, cwd=place.folder, env=place.env, capture_output=True, text=True, check=False)
            assert run.returncode == 0, f"{block.place}\n{run.stderr}"
            assert "warning" not in run.stderr, f"{block.place}\n{run.stderr}"


def without_numbers(text: str) -> str:
    """Numbers, and how wide they are, differ between runs."""
    return " ".join(re.sub(r"-cp\S+\.whl", "-….whl", re.sub(r"\d+", "N", text)).split())


def test_tutorial(place: Place) -> None:
    """Blocks with a title are saved, those with a prompt are typed; every line of output appears."""
    for block in blocks(TUTORIAL):
        if block.title.endswith(", first lines"):
            path = place.folder / block.title.split(",")[0]
            path.write_text(block.text + "\n" + path.read_text().partition("\n\n")[2])
        elif block.title:
            place.write(block.title, block.text)
        if block.language != "console":
            continue
        first, *expected = block.text.splitlines()
        assert first.startswith("$ python "), block.place
        # Not one of the tests' own settings.
        command = [sys.executable, *shlex.split(first)[2:]]
        run = subprocess.run(command, cwd=place.folder, env=place.env, capture_output=True, text=True, check=False)
        assert run.returncode == 0, f"{block.place}\n{run.stdout}{run.stderr}"
        output = without_numbers(run.stdout + run.stderr)
        for line in expected:
            if line != "...":
                assert without_numbers(line) in output, f"{block.place}\n{run.stdout}{run.stderr}"


def test_recording(place: Place) -> None:
    """The recording shows what Python answers today."""
    svg = ElementTree.parse(ROOT / "docs" / "recording.svg")
    shown = [without_numbers(node.text or "") for node in svg.iter("{http://www.w3.org/2000/svg}text")]
    record = runpy.run_path(str(ROOT / "examples" / "recording.py"))["record"]
    now = [without_numbers(part) for line in record(place.folder, place.env) for part in (line.prompt, line.text)]
    assert [part for part in shown if part] == [part for part in now if part]
