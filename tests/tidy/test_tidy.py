"""The rules that a compiler does not check."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from rustimport import _hook

from tests.conftest import ROOT

RUST = sorted((ROOT / "src").rglob("*.rs"))


def code(path: Path) -> str:
    """A Rust file without its comments and its tests."""
    text = path.read_text().split("#[cfg(test)]\nmod ")[0].split("#[cfg(test)]\npub mod ")[0]
    text = text.split("#[cfg(all(test, unix))]\nmod ")[0]
    return "\n".join(line for line in text.splitlines() if not line.strip().startswith("//"))


@pytest.mark.parametrize(
    ("owner", "pattern"),
    [
        ("py.rs", r"(?<![:\"])\bpyo3::"),
        ("process.rs", r"CommandWrap|Command::new|\.spawn\(\)"),
        ("fs.rs", r"std::fs::(write|rename|copy|create|remove|set)|File::create|\.set_times|NamedTempFile|OpenOptions"),
        ("env_vars.rs", r"env::(set_|remove_)?vars?(_os)?\("),
        ("cache.rs", r'"entries"|"record\.toml"|"stamp"|"pyo3-config'),
    ],
)
def test_one_file_has_each_right(owner: str, pattern: str) -> None:
    assert re.search(pattern, code(ROOT / "src" / owner)), "the pattern finds nothing any more"
    lines = [(path.name, line.strip()) for path in RUST if path.name != owner for line in code(path).splitlines()]
    assert [(name, line) for name, line in lines if re.search(pattern, line)] == []


def test_only_ensure_both_locks_and_builds() -> None:
    both = [path.name for path in RUST if "lock_entry(" in code(path) and re.search(r"\.build\(", code(path))]
    assert both == ["ensure.rs"]


def test_every_module_is_on_the_map() -> None:
    text = (ROOT / "src" / "lib.rs").read_text()
    for path in RUST:
        if path.name != "lib.rs":
            assert re.search(rf"mod {path.stem};", text), path.name


def test_versions_agree() -> None:
    version = re.search(r'^version = "(.+)"', (ROOT / "Cargo.toml").read_text(), re.M)
    assert version is not None
    assert f"## {version[1]}" in (ROOT / "CHANGELOG.md").read_text()
    lock = (ROOT / "Cargo.lock").read_text()
    assert f'name = "rustimport-core"\nversion = "{version[1]}"' in lock


def test_every_variable_is_documented() -> None:
    page = (ROOT / "docs" / "reference" / "settings.md").read_text()
    docstring = __import__("rustimport.settings").settings.__doc__
    for attribute, variable in _hook.VARIABLES.items():
        assert f"`{variable}`" in page, variable
        assert f"`{attribute}`" in page, attribute
        assert variable in docstring
    for variable in _hook.OLDER_VARIABLES.values():
        assert f"`{variable}`" in page


def test_every_error_is_documented() -> None:
    from rustimport import errors

    page = (ROOT / "docs" / "reference" / "errors.md").read_text()
    for name in errors.__all__:
        assert f"`{name}`" in page, name


def test_the_readmes_commands_exist() -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M)
    for text in ((ROOT / "README.md").read_text(), (ROOT / "CONTRIBUTING.md").read_text()):
        for command in re.findall(r"\bmake ([a-z-]+)`", text):
            assert command in targets


def test_links_lead_somewhere() -> None:
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
            if "://" not in link:
                assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_the_core_is_small() -> None:
    core = subprocess.check_output([sys.executable, "-c", "import rustimport._core as c; print(c.__file__)"], text=True)
    assert Path(core.strip()).stat().st_size < 5_000_000


def test_the_readmes_example_is_the_example() -> None:
    assert (ROOT / "examples" / "somecode.rs").read_text().strip() in (ROOT / "README.md").read_text()
