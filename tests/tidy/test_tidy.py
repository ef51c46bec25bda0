"""Rules that a compiler does not check."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from rustimport import _settings

from tests.conftest import ROOT

RUST = sorted((ROOT / "src").rglob("*.rs"))


def code(path: Path) -> str:
    """A Rust file without its comments and tests."""
    text = path.read_text().split("#[cfg(test)]\nmod ")[0].split("#[cfg(test)]\npub mod ")[0]
    text = text.split("#[cfg(all(test, unix))]\nmod ")[0]
    return "\n".join(line for line in text.splitlines() if not line.strip().startswith("//"))


@pytest.mark.parametrize(
    ("owner", "pattern"),
    [
        ("py/", r"(?<![:\"])\bpyo3::"),
        ("base/process.rs", r"CommandWrap|Command::new|\.spawn\(\)"),
        (
            "base/fs.rs",
            r"std::fs::(read\b|read_to_|write|rename|copy|create|remove|set)"
            r"|File::create|\.set_times|NamedTempFile|OpenOptions",
        ),
        # Folders that others may write to.
        ("base/folder.rs", r"\b(openat|renameat|unlinkat|mkdirat)\b"),
        ("base/env_vars.rs", r"env::(set_|remove_)?vars?(_os)?\("),
        # The layout of cargo's build directory.
        (
            "freshness/cargo_layout.rs",
            r'"\.fingerprint"|"deps"|const BUILD:|join\("build"\)|invoked\.timestamp|rustc_info',
        ),
        ("cache/layout.rs", r'"entries"|"record\.toml"|"stamp"|"pyo3-config'),
    ],
)
def test_one_file_owns_each_operation(owner: str, pattern: str) -> None:
    owners = [path for path in RUST if str(path.relative_to(ROOT / "src")).startswith(owner)]
    assert any(re.search(pattern, code(path)) for path in owners), "the pattern no longer matches"
    others = [path for path in RUST if path not in owners]
    lines = [(path.name, line.strip()) for path in others for line in code(path).splitlines()]
    assert [(name, line) for name, line in lines if re.search(pattern, line)] == []


def test_only_ensure_both_locks_and_builds() -> None:
    both = [path.name for path in RUST if "lock_entry(" in code(path) and re.search(r"\.build\(", code(path))]
    assert both == ["ensure.rs"]


def test_every_page_says_how_this_version_is_installed() -> None:
    """Until it is published, pip finds another program under its name. What is said is the README's."""
    readme = (ROOT / "README.md").read_text()
    box = re.search(r"^> \*\*Version 2 is not on PyPI yet\*\*(?:.*\n>)*.*\n", readme, re.M)
    assert box is not None
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    naming = [path for path in pages if re.search(r"rustimport(\[\w+\])?>=2|pip install rustimport", path.read_text())]
    assert len(naming) > 5
    assert [path.name for path in naming if box[0] not in path.read_text()] == []
    assert box[0] in (ROOT / "docs" / "index.md").read_text()


def test_versions_agree() -> None:
    version = re.search(r'^version = "(.+)"', (ROOT / "Cargo.toml").read_text(), re.M)
    assert version is not None
    assert f"## {version[1]}" in (ROOT / "CHANGELOG.md").read_text()
    lock = (ROOT / "Cargo.lock").read_text()
    assert f'name = "rustimport-core"\nversion = "{version[1]}"' in lock


SETTINGS = (ROOT / "docs" / "reference" / "settings.md").read_text()


def test_settings_table_matches_the_code() -> None:
    """Every attribute and its variables are documented, and every documented one exists."""
    from rustimport import settings

    table = re.findall(r"^\| `(\w+)` \| (.*?) \|", SETTINGS.split("## Variables of other tools")[0], re.M)
    documented = {attribute: set(re.findall(r"`(\w+)`", variables)) for attribute, variables in table}
    older = _settings.OLDER_VARIABLES
    found = {name: {variable, older.get(name, variable)} for name, variable in _settings.VARIABLES.items()}
    assert documented == {**found, "rtld_flags": set()}
    assert settings.__doc__ is not None
    for attribute, variables in found.items():
        assert hasattr(settings, attribute)
        assert f"{_settings.VARIABLES[attribute]} " in settings.__doc__, variables


def test_table_of_other_variables_matches_the_code() -> None:
    table = SETTINGS.split("## Variables of other tools")[1].split("## Profiles")[0]
    cells = re.findall(r"^\| (`.*?`) \|", table, re.M)
    documented = {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}
    text = (ROOT / "src" / "base" / "env_vars.rs").read_text()
    declared = set(re.findall(r'^pub const \w+: &str = "(\w+)";', text, re.M))
    ours = {*_settings.VARIABLES.values(), *_settings.OLDER_VARIABLES.values(), _settings.REMOTE_KEY}
    assert documented == declared - ours


def test_only_existing_variables_are_mentioned() -> None:
    """In the code, in documents and in messages."""
    known = {*_settings.VARIABLES.values(), *_settings.OLDER_VARIABLES.values(), _settings.REMOTE_KEY}
    assert f"`{_settings.REMOTE_KEY}`" in SETTINGS
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "python").rglob("*.py"), *RUST]
    for page in pages:
        text = page.read_text().split("#[cfg(test)]")[0]
        assert set(re.findall(r"\bRUSTIMPORT_[A-Z0-9_]*[A-Z0-9]", text)) <= known, page.name


def test_every_error_is_documented() -> None:
    from rustimport import errors

    page = (ROOT / "docs" / "reference" / "errors.md").read_text()
    for name in errors.__all__:
        assert f"`{name}`" in page, name


def test_troubleshooting_quotes_existing_messages() -> None:
    page = (ROOT / "docs" / "guides" / "troubleshooting.md").read_text()
    source = "".join(re.sub(r"\\\\\n\\s+", "", path.read_text()) for path in [*RUST, *(ROOT / "python").rglob("*.py")])
    messages = re.findall(r"^\| `(.+?)` \|", page, re.M)
    assert messages
    for message in messages:
        for part in re.split(r" ?…(?:; but)? ?", message):
            assert part in source, part


def test_documented_make_targets_exist() -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M)
    for text in ((ROOT / "README.md").read_text(), (ROOT / "CONTRIBUTING.md").read_text()):
        for command in re.findall(r"\bmake ([a-z-]+)`", text):
            assert command in targets


def test_links_have_existing_targets() -> None:
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
            if "://" not in link:
                assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_the_core_is_small() -> None:
    core = subprocess.check_output([sys.executable, "-c", "import rustimport._core as c; print(c.__file__)"], text=True)
    assert Path(core.strip()).stat().st_size < 6_500_000


def test_readme_contains_the_example() -> None:
    assert (ROOT / "examples" / "somecode.rs").read_text().strip() in (ROOT / "README.md").read_text()
