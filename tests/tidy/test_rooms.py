"""The rooms of the core depend only on rooms below them, and no files depend on each other in a cycle."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from tests.conftest import ROOT

SRC = ROOT / "src"


def rooms() -> list[str]:
    """The rooms in the order of `lib.rs`, the highest first."""
    found = re.findall(r"^//! \| \[?`(\w+)`\]? \|", (SRC / "lib.rs").read_text(), re.M)
    return [room for room in found if room != "room"]


def code(path: Path) -> str:
    """A file without its comments and tests."""
    text = re.split(r"#\[cfg\((?:all\()?test", path.read_text())[0]
    return "\n".join(line for line in text.splitlines() if not line.strip().startswith("//"))


def files() -> dict[str, Path]:
    """Module path -> file, except for `mod.rs` files and what only tests use."""
    found = {}
    for path in SRC.rglob("*.rs"):
        if path.name not in ("lib.rs", "mod.rs", "fuzz.rs"):
            found["::".join(path.relative_to(SRC).with_suffix("").parts)] = path
    return found


def dependencies() -> dict[str, set[str]]:
    """The files that each file refers to."""
    known = files()
    named = {}
    for module, path in known.items():
        paths = re.findall(r"\bcrate::(\w+(?:::\w+)?)", code(path))
        targets = {target if target in known else target.partition("::")[0] for target in paths}
        named[module] = {target for target in targets if target in known} - {module}
    return named


def test_all_rooms_are_listed() -> None:
    listed = rooms()
    existing = {path.name for path in SRC.iterdir() if path.is_dir()} | {path.stem for path in SRC.glob("*.rs")}
    assert sorted(listed) == sorted(existing - {"lib", "fuzz"})
    for folder in (path for path in SRC.iterdir() if path.is_dir()):
        declared = set(re.findall(r"^pub mod (\w+);", (folder / "mod.rs").read_text(), re.M))
        assert declared == {path.stem for path in folder.glob("*.rs")} - {"mod"}, folder.name


def test_dependencies_go_down() -> None:
    order = rooms()
    height = {room: number for number, room in enumerate(order)}
    upward = [
        f"{module} -> {target}"
        for module, targets in dependencies().items()
        for target in targets
        if height[target.partition("::")[0]] < height[module.partition("::")[0]]
    ]
    assert sorted(upward) == []


def test_no_import_cycles() -> None:
    named = dependencies()
    assert sum(len(targets) for targets in named.values()) > 200, "the pattern no longer matches"
    # Remove files without remaining dependencies until none is left; a cycle remains.
    left = dict(named)
    while free := [module for module, targets in left.items() if not targets & left.keys()]:
        for module in free:
            del left[module]
    assert left == {}


#: Files longer than 500 lines, and why they are not split.
LONG = {
    "base/fs.rs": "every way to read and write files",
    "ensure.rs": "the one driver, for every kind of source",
    "freshness/cargo_layout.rs": "both layouts of cargo's build directory",
    "projects/project.rs": "a project's three ways to become fresh",
    "_finder.py": "finding and loading scripts: each file more costs every import of a process's first script 50 us",
    "_projects.py": "finding, rebuilding and reloading projects",
    "script/parse.rs": "everything that is parsed in a script",
}


def test_long_files_have_a_reason() -> None:
    paths = [*files().values(), *python_files().values()]
    long = [path for path in paths if len(path.read_text().splitlines()) > 500]
    assert {str(path.relative_to(SRC if path.suffix == ".rs" else PACKAGE)) for path in long} == set(LONG)


PACKAGE = ROOT / "python" / "rustimport"

#: Refers to everything lazily, so that users see one module. What it loads on use is not counted.
FACADE = "__init__"


def python_files() -> dict[str, Path]:
    """Module path below the package -> file."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)] = path
    return found


class Imports(ast.NodeVisitor):
    """The files of the package that a file imports at run time, also within functions."""

    def __init__(self, module: str, known: dict[str, Path]) -> None:
        is_package = known[module].name == "__init__.py"
        self.parts = module.split(".") if is_package and module != FACADE else module.split(".")[:-1]
        self.known = known
        self.found: set[str] = set()
        #: Local name -> file.
        self.names: dict[str, str] = {}

    def visit_If(self, node: ast.If) -> None:
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            for child in node.orelse:
                self.visit(child)
        else:
            self.generic_visit(node)

    def visit_Import(self, node: ast.Import) -> None:
        self.found |= {FACADE for alias in node.names if alias.name == "rustimport"}

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        if node.level == 0:
            return
        base = self.parts[: len(self.parts) - node.level + 1] + (node.module.split(".") if node.module else [])
        for alias in node.names:
            inner = ".".join([*base, alias.name])
            target = inner if inner in self.known else ".".join(base)
            if target in self.known:
                self.found.add(target)
                if target == inner:
                    self.names[alias.asname or alias.name] = target


def python_dependencies() -> dict[str, set[str]]:
    known = python_files()
    named = {}
    for module, path in known.items():
        visitor = Imports(module, known)
        visitor.visit(ast.parse(path.read_text()))
        named[module] = visitor.found - {module}
    named[FACADE] = set()
    return named


def test_no_import_cycles_in_python() -> None:
    left = python_dependencies()
    assert sum(len(targets) for targets in left.values()) > 80, "the visitor no longer finds imports"
    while free := [module for module, targets in left.items() if not targets & left.keys()]:
        for module in free:
            del left[module]
    assert left == {}


def test_private_names_stay_in_their_file() -> None:
    known = python_files()
    reached = []
    for module, path in known.items():
        visitor = Imports(module, known)
        tree = ast.parse(path.read_text())
        visitor.visit(tree)
        for node in ast.walk(tree):
            if not (isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)):
                continue
            is_private = node.attr.startswith("_") and not node.attr.startswith("__")
            if is_private and node.value.id in visitor.names:
                reached.append(f"{module}: {node.value.id}.{node.attr}")
    assert reached == []


def test_architecture_lists_all_files() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    table = re.findall(r"^\| (`.+?) \|", text.partition("| Python file |")[2].partition("\n\n")[0], re.M)
    mapped = {name for row in table for name in re.findall(r"`([\w./]+)`", row)}
    files = {path.name for path in PACKAGE.glob("*.py")} - {"__main__.py"}
    folders = {f"{path.parent.name}/" for path in PACKAGE.glob("*/__init__.py")}
    assert mapped == files | folders
    picture = text.partition("```mermaid")[2].partition("```")[0]
    assert [room for room in rooms() if not re.search(rf'\["{room}(\.rs)?\b', picture)] == []
    assert len(text.splitlines()) < 150
