"""The rooms of the core: arrows between them go down a list, and none between files goes in a circle."""

from __future__ import annotations

import re
from pathlib import Path

from tests.conftest import ROOT

SRC = ROOT / "src"


def rooms() -> list[str]:
    """As `lib.rs` lists them, the highest first."""
    found = re.findall(r"^//! \| \[?`(\w+)`\]? \|", (SRC / "lib.rs").read_text(), re.M)
    return [room for room in found if room != "room"]


def code(path: Path) -> str:
    """A file without its comments and its tests."""
    text = re.split(r"#\[cfg\((?:all\()?test", path.read_text())[0]
    return "\n".join(line for line in text.splitlines() if not line.strip().startswith("//"))


def files() -> dict[str, Path]:
    """Module path -> file, but for the rooms' own lists and what tests alone use."""
    found = {}
    for path in SRC.rglob("*.rs"):
        if path.name not in ("lib.rs", "mod.rs", "fuzz.rs"):
            found["::".join(path.relative_to(SRC).with_suffix("").parts)] = path
    return found


def arrows() -> dict[str, set[str]]:
    """Which file names which other."""
    known = files()
    named = {}
    for module, path in known.items():
        paths = re.findall(r"\bcrate::(\w+(?:::\w+)?)", code(path))
        targets = {target if target in known else target.partition("::")[0] for target in paths}
        named[module] = {target for target in targets if target in known} - {module}
    return named


def test_the_map_is_whole() -> None:
    listed = rooms()
    there = {path.name for path in SRC.iterdir() if path.is_dir()} | {path.stem for path in SRC.glob("*.rs")}
    assert sorted(listed) == sorted(there - {"lib", "fuzz"})
    for folder in (path for path in SRC.iterdir() if path.is_dir()):
        declared = set(re.findall(r"^pub mod (\w+);", (folder / "mod.rs").read_text(), re.M))
        assert declared == {path.stem for path in folder.glob("*.rs")} - {"mod"}, folder.name


def test_arrows_go_down() -> None:
    order = rooms()
    height = {room: number for number, room in enumerate(order)}
    upward = [
        f"{module} -> {target}"
        for module, targets in arrows().items()
        for target in targets
        if height[target.partition("::")[0]] < height[module.partition("::")[0]]
    ]
    assert sorted(upward) == []


def test_no_circles() -> None:
    named = arrows()
    assert sum(len(targets) for targets in named.values()) > 200, "the pattern finds nothing any more"
    # What names nothing that is left is taken away; a circle stays.
    left = dict(named)
    while free := [module for module, targets in left.items() if not targets & left.keys()]:
        for module in free:
            del left[module]
    assert left == {}


#: Longer than 500 lines, and why that is one thing.
LONG = {
    "base/fs.rs": "every way to read and write files",
    "cache/store.rs": "sets of inputs and what was made of them",
    "freshness/cargo_layout.rs": "both layouts of cargo's build directory",
    "projects/project.rs": "a project's three ways to become fresh",
    "script/parse.rs": "all that is read in a script",
}


def test_long_files_have_a_reason() -> None:
    long = {str(path.relative_to(SRC)) for path in files().values() if len(path.read_text().splitlines()) > 500}
    assert long == set(LONG)
