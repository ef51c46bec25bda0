"""JupyterLab in a browser. Screenshots are saved in `target/screenshots`."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import nbformat
import pytest

from tests.conftest import ROOT, Place

playwright = pytest.importorskip("playwright.sync_api", reason="no Playwright: make test-browser")
pytest.importorskip("jupyterlab", reason="no JupyterLab: make test-browser")
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no browser: apt-get install chromium")

SCREENSHOTS = ROOT / "target" / "screenshots"
CELLS = [
    "%load_ext rustimport",
    "%%rustimport\n#[pyfunction]\nfn double(x: i64) -> i64 { 2 * x }",
    "double(21)",
    '%%rustimport\n#[pyfunction]\nfn broken() -> i64 {\n    "text"\n}',
]


@pytest.fixture
def lab(place: Place) -> Iterator[str]:
    """The address of a JupyterLab that serves a folder with a notebook."""
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(cell, metadata={"tags": ["raises-exception"]}) for cell in CELLS],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
    )
    nbformat.write(notebook, place.folder / "notebook.ipynb")
    home = place.folder.parent / "home"
    home.mkdir()
    names = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    env = {**place.env, **{name: str(home / name.lower()) for name in names}}
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = {"ip": "127.0.0.1", "port": port, "open_browser": False, "allow_root": True, "root_dir": place.folder}
    server = subprocess.Popen(
        [
            *(sys.executable, "-m", "jupyterlab", "--IdentityProvider.token="),
            *(f"--ServerApp.{name}={value}" for name, value in options.items()),
        ],
        cwd=place.folder,
        env=env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"{address}/api", timeout=5).close()
                break
            except OSError:
                assert server.poll() is None, "JupyterLab does not start"
                time.sleep(0.1)
        yield address
    finally:
        server.terminate()
        server.wait()


def luminance(colour: list[float]) -> float:
    """The relative luminance (WCAG) of a colour, given as red, green and blue up to 255."""
    values = [value / 255 for value in colour[:3]]
    red, green, blue = (value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in values)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: list[float], other: list[float]) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


#: The colours of an element and of its background.
COLOURS = """
(element) => {
    const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
    const layers = [];
    for (let below = element; below; below = below.parentElement)
        layers.unshift(parts(getComputedStyle(below).backgroundColor));
    const blend = (under, [red, green, blue, alpha = 1]) =>
        [red, green, blue].map((value, index) => value * alpha + under[index] * (1 - alpha));
    return [parts(getComputedStyle(element).color), layers.reduce(blend, [255, 255, 255])];
}
"""


def run(page: Any, cell: Any) -> None:
    """Runs a cell. The page ignores requests before the kernel is connected, so it is tried several times."""
    for _ in range(30):
        cell.locator(".cm-content").click()
        page.keyboard.press("Shift+Enter")
        page.wait_for_timeout(500)
        if not cell.locator('.jp-InputPrompt:has-text("[ ]")').count():
            break
    cell.locator(".jp-InputPrompt").filter(has_text=re.compile(r"\[\d+\]")).wait_for()


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_jupyterlab(lab: str, theme: str, place: Place) -> None:
    settings = place.folder.parent / "home/jupyter_config_dir/lab/user-settings/@jupyterlab/apputils-extension"
    settings.mkdir(parents=True)
    (settings / "themes.jupyterlab-settings").write_text(json.dumps({"theme": theme}))
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1200, "height": 1000})
        page.set_default_timeout(60_000)
        page.goto(f"{lab}/lab/tree/notebook.ipynb")
        page.wait_for_selector(".jp-Notebook .jp-CodeCell")
        cells = page.locator(".jp-Notebook .jp-CodeCell")
        for number in range(len(CELLS)):
            run(page, cells.nth(number))
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=SCREENSHOTS / f"{theme.replace(' ', '-').lower()}.png")
        outputs = [cells.nth(number).locator(".jp-OutputArea-output pre") for number in (2, 3)]
        result, error = (output.inner_text() for output in outputs)
        number = cells.nth(3).locator(".jp-InputPrompt").inner_text().strip().rstrip(":")
        colours: list[Any] = [span.evaluate(COLOURS) for span in outputs[1].locator("span").all()]
        browser.close()
    assert result.strip() == "42"
    assert f"BuildError: In{number} does not compile (1 error)" in error
    assert f"--> In{number}:4:5" in error
    assert len({tuple(text) for text, _ in colours}) > 1, "the compiler's messages have no colours"
    # The contrast of the themes' own tracebacks.
    assert min(contrast(text, background) for text, background in colours) > 2.5
