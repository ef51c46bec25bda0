"""Every row of docs/reference/compatibility.md names something that exists in the documented form."""

from __future__ import annotations

import argparse
import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from typing import Any

import pytest
from rustimport import _cli, _settings

from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "reference" / "compatibility.md").read_text()

#: The tests of the forms used in sources and notebooks.
PROOFS = {
    "// rustimport": "tests/build/test_scripts.py::test_form",
    "// rustimport:pyo3": "tests/build/test_scripts.py::test_the_first_example_of_the_predecessor",
    '//: rand = "0.8"': "tests/build/test_scripts.py::test_dependencies_are_real_and_shared",
    "//d: *.txt": "tests/build/test_freshness.py::test_patterns",
    ".rustimport": "tests/build/test_crates.py::test_markers",
    "# rustimport": "tests/build/test_crates.py::test_markers",
    "%load_ext rustimport": "tests/clients/test_notebooks.py::test_a_cell_is_rust",
    "%load_ext rustimport.import_hook": "tests/clients/test_notebooks.py::test_a_cell_is_rust",
    "%%rustimport": "tests/clients/test_notebooks.py::test_a_cell_is_rust",
    "%%rustimport -r": "tests/clients/test_notebooks.py::test_options",
    "%%rustimport -f": "tests/clients/test_notebooks.py::test_options",
    "%%rustimport --module-path-variable=NAME": "tests/clients/test_notebooks.py::test_options",
}


def rows(heading: str) -> list[str]:
    """The first column of all tables with this heading."""
    found = []
    for table in re.findall(rf"^\| {heading} \| here \|\n\|.*\n((?:\|.*\n)+)", PAGE, re.M):
        for line in table.splitlines():
            row = re.match(r"\| `(.+?)` \|", line)
            assert row, line
            found.append(row[1])
    assert found
    return found


def test_all_tables_are_tested() -> None:
    headings = set(re.findall(r"^\| (.+) \| here \|$", PAGE, re.M))
    assert headings == {"in Python", "in the environment", "at a prompt", "in a source", "in a notebook"}
    count = sum(len(rows(heading)) for heading in headings)
    assert count == len(re.findall(r"^\| `", PAGE, re.M))


def resolve(name: str) -> Any:
    parts = name.split(".")
    found: Any = importlib.import_module(parts[0])
    for part in parts[1:]:
        # Some names, such as `rustimport.build`, are loaded when they are first used.
        found = getattr(found, part)
    return found


@pytest.mark.parametrize("row", rows("in Python"))
def test_in_python(row: str) -> None:
    if row.startswith("import "):
        assert importlib.util.find_spec(row.removeprefix("import "))
        return
    name, bracket, arguments = row.partition("(")
    found = resolve(name)
    if bracket:
        expected = inspect.signature(eval(f"lambda {arguments.removesuffix(')')}: None", {}))
        signature = inspect.signature(found)
        shape = [(one.name, one.kind, one.default) for one in expected.parameters.values()]
        assert [(one.name, one.kind, one.default) for one in signature.parameters.values()] == shape


@pytest.mark.parametrize("row", rows("in the environment"))
def test_in_the_environment(row: str) -> None:
    assert row in {*_settings.VARIABLES.values(), *_settings.OLDER_VARIABLES.values()}


def commands(parser: argparse.ArgumentParser, words: tuple[str, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield words, parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for word, inner in action.choices.items():
                yield from commands(inner, (*words, word))


@pytest.mark.parametrize("row", rows("at a prompt"))
def test_at_a_prompt(row: str) -> None:
    typed = row.removeprefix("python -m rustimport").split()
    words = tuple(word for word in typed if re.fullmatch("[a-z][a-z-]*", word))
    parser = dict(commands(_cli._parser()))[words]
    flags = [word.strip("[]") if "[no-]" not in word else word[1:-1] for word in typed if word.startswith("[")]
    known = {option for action in parser._actions for option in action.option_strings}
    for flag in flags:
        names = [flag.replace("[no-]", ""), flag.replace("[no-]", "no-")]
        assert known.issuperset(names), flag
    takes_paths = any(not action.option_strings and action.dest in ("path", "paths") for action in parser._actions)
    assert takes_paths == ("PATH" in typed)


@pytest.mark.parametrize("row", rows("in a source") + rows("in a notebook"))
def test_in_a_source_or_notebook(row: str) -> None:
    file, _, name = PROOFS[row].partition("::")
    tree = ast.parse((ROOT / file).read_text())
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
