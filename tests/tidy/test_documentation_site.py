"""The documentation site: `make docs` builds it. Warnings are errors, and every link leads somewhere."""

from __future__ import annotations

import shutil
import subprocess
import sys
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.conftest import ROOT

SITE = ROOT / "target" / "docs"

pytestmark = pytest.mark.skipif(find_spec("zensical") is None, reason="no zensical: make docs")


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.targets: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("href", "src") and value:
                self.links.append(value)
            elif name == "id" and value:
                self.targets.add(value)


def test_site() -> None:
    shutil.rmtree(SITE, ignore_errors=True)
    command = [sys.executable, "-m", "zensical", "build", "--clean", "--strict"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in SITE.rglob("*.html")}
    sources = list((ROOT / "docs").rglob("*.md"))
    # Each page, and the one for missing pages.
    assert len(pages) == len(sources) + 1
    api = (SITE / "reference" / "api" / "index.html").read_text(encoding="utf-8")
    assert "Turns the import hook on" in api
    checked = 0
    for path, page in pages.items():
        if path.name == "404.html":
            continue
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = path if not parts.path else resolve(path, unquote(parts.path))
            assert target.is_file(), f"{path.relative_to(SITE)}: {link}"
            if parts.fragment and target in pages:
                assert unquote(parts.fragment) in pages[target].targets, f"{path}: {link}"
            checked += 1
    assert checked > 500


def resolve(page: Path, link: str) -> Path:
    target = (SITE / link.lstrip("/") if link.startswith("/") else page.parent / link).resolve()
    return target / "index.html" if target.is_dir() else target
