"""marimo reloads Rust modules as it reloads Python's: its reloader alone, its kernel, and a notebook in a browser."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
import sysconfig
import textwrap
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.build.test_projects import Environment, developed
from tests.conftest import ROOT, Place

pytest.importorskip("marimo", reason="no marimo")
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

SCRIPT = """\
// rustimport:pyo3
#[pyfunction]
fn value() -> i32 { 41 }
#[pyclass(frozen)]
struct Point { #[pyo3(get)] x: i32 }
#[pymethods]
impl Point { #[new] fn new() -> Self { Point { x: 41 } } }
"""

#: What marimo's kernel does: a watcher compares times every second, and modules are reloaded before a cell runs.
RELOADER = """\
import sys
from pathlib import Path
from marimo._runtime.reload.autoreload import ModuleReloader

reloader = ModuleReloader()
def changed():
    return sorted(module.__name__ for module in reloader.check_for_watcher(sys.modules))
def reload():
    reloader.check(sys.modules, reload=True, skip_non_user_modules=True)
def replace(old, new):
    path.write_text(path.read_text().replace(old, new))
"""


def test_a_script(place: Place) -> None:
    place.write("m.rs", SCRIPT)
    code = """
        path = Path("m.rs")
        import m
        point = m.Point()
        assert changed() == changed() == []
        replace("41", "42")
        assert changed() == ["m"]
        reload()
        # Old objects keep their class; an unchanged module is not stale again.
        assert (m.value(), m.Point().x, point.x, changed()) == (42, 42, 41, [])
        replace("42", "'x'")
        assert changed() == ["m"]
        reload()
        assert (m.value(), changed()) == (42, [])
        replace("'x'", "43")
        assert changed() == ["m"]
        reload()
        assert (m.value(), changed()) == (43, [])
        # Another process has built it.
        import subprocess
        replace("43", "44")
        subprocess.run([sys.executable, "-c", "import rustimport.import_hook, m"], check=True)
        assert changed() == ["m"]
        reload()
        assert (m.value(), changed()) == (44, [])
    """
    run = place.python(RELOADER + textwrap.dedent(code))
    assert run.returncode == 0, run.stderr
    assert "mismatched types" in run.stderr


def test_a_project(place: Place) -> None:
    """Its package is reloaded, which loads the new extension module."""
    environment = Environment(place)
    _, root = developed(environment, "flat")
    code = f"""
        path = Path({str(root / "src" / "lib.rs")!r})
        import t_flat
        assert changed() == changed() == []
        replace("1 /*", "2 /*")
        assert changed() == ["t_flat"]
        reload()
        assert (t_flat.value(), changed()) == (2, [])
        # Its Python files count, too; their mistakes are shown.
        init = Path(t_flat.__file__)
        init.write_text(init.read_text() + "TWO = 2\\n")
        assert changed() == ["t_flat"]
        reload()
        assert (t_flat.TWO, changed()) == (2, [])
        init.write_text(init.read_text() + "TWO = 1 / 0\\n")
        assert changed() == ["t_flat"]
        reload()
    """
    # marimo is in the environment of the tests.
    run = environment.run(RELOADER + textwrap.dedent(code), PYTHONPATH=sysconfig.get_path("purelib"))
    assert run.returncode == 0, run.stderr
    assert "ZeroDivisionError" in run.stderr


def test_a_module_of_a_package(place: Place) -> None:
    """What the package has imported from it is replaced."""
    place.write("pkg/__init__.py", "from .fast import value\n")
    place.write("pkg/fast.rs", SCRIPT)
    code = """
        path = Path("pkg/fast.rs")
        import pkg
        assert changed() == changed() == []
        replace("41", "42")
        assert changed() == ["pkg.fast"]
        reload()
        assert (pkg.value(), pkg.fast.value()) == (42, 42)
    """
    run = place.python(RELOADER + textwrap.dedent(code))
    assert run.returncode == 0, run.stderr


def test_marimos_own_functions_come_back(place: Place) -> None:
    code = """
        from marimo._runtime.reload import autoreload
        import rustimport
        ours = autoreload.superreload
        rustimport.uninstall()
        assert autoreload.superreload is not ours
        assert autoreload.superreload.__module__ == autoreload.__name__
    """
    place.write("m.rs", SCRIPT)
    assert place.python(RELOADER + "import m\n" + textwrap.dedent(code)).out == ""


def test_an_unknown_marimo_is_left_alone(place: Place) -> None:
    place.write("m.rs", SCRIPT)
    code = """
        from marimo._runtime.reload import autoreload
        autoreload.superreload = changed = lambda module: module
        import m
        assert autoreload.superreload is changed
    """
    run = place.python(RELOADER + textwrap.dedent(code))
    assert run.out == ""
    assert "call rustimport.reload_changed() in a cell" in run.stderr


# ---------------------------------------------------------------------------------------------------
# A notebook.

NOTEBOOK = """\
import marimo

app = marimo.App()


@app.cell
def _():
    import rustimport.import_hook
    import m
    return m, rustimport


@app.cell
def _(m):
    f"value {m.value()}"
    return


@app.cell
def _(rustimport):
    double = rustimport.inline('''
    #[pyfunction]
    fn double(x: i64) -> i64 { 2 * x }
    ''').double
    f"double {double(21)}"
    return
"""


@pytest.fixture
def address(place: Place) -> Iterator[str]:
    """The address of a marimo that serves a notebook, and runs cells again if a module changes."""
    place.write("notebook.py", NOTEBOOK)
    place.write("m.rs", SCRIPT)
    place.write("pyproject.toml", '[tool.marimo.runtime]\nauto_reload = "autorun"\nauto_instantiate = true\n')
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = ("edit", "notebook.py", "--headless", "--no-token", "--skip-update-check", "--port", str(port))
    server = subprocess.Popen(
        [sys.executable, "-m", "marimo", *words],
        cwd=place.folder,
        env={**place.env, "XDG_CONFIG_HOME": str(place.folder.parent / "config")},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
                break
            except OSError:
                assert server.poll() is None, "marimo does not start"
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/"
    finally:
        server.terminate()
        server.wait()


def test_kernel(place: Place, address: str) -> None:
    """Without a browser: what a front end would get from the kernel."""
    from websockets.sync.client import connect

    source = place.folder / "m.rs"
    page = urllib.request.urlopen(address).read().decode()
    token = re.search(r'data-token="([^"]+)"', page)
    assert token is not None
    headers = {"Content-Type": "application/json", "Marimo-Session-Id": "s_test", "Marimo-Server-Token": token[1]}
    with connect(f"{address.replace('http', 'ws')}ws?session_id=s_test", max_size=None) as kernel:

        def wait_for(text: str) -> None:
            while text not in str(kernel.recv(timeout=60)):
                pass

        wait_for("kernel-ready")
        start = json.dumps({"objectIds": [], "values": [], "autoRun": True}).encode()
        urllib.request.urlopen(urllib.request.Request(f"{address}api/kernel/instantiate", start, headers)).close()
        wait_for("value 41")
        replace(source, "41", "43")
        wait_for("value 43")
        replace(source, "43", "'x'")
        wait_for("mismatched types")
        replace(source, "'x'", "44")
        wait_for("value 44")


@pytest.mark.skipif(BROWSER is None, reason="no browser: apt-get install chromium")
def test_cells_run_again(place: Place, address: str) -> None:
    playwright = pytest.importorskip("playwright.sync_api", reason="no Playwright: make test-browser")
    source = place.folder / "m.rs"
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        page: Any = browser.new_page(viewport={"width": 1200, "height": 1000})
        page.set_default_timeout(120_000)
        page.goto(address)
        page.get_by_text("value 41").wait_for()
        page.get_by_text("double 42").wait_for()
        replace(source, "41", "43")
        page.get_by_text("value 43").wait_for()
        replace(source, "43", "'x'")
        page.get_by_text("mismatched types").first.wait_for()
        # The last good build is still in use.
        page.get_by_text("value 43").wait_for()
        folder = ROOT / "target" / "screenshots"
        folder.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=folder / "marimo.png")
        replace(source, "'x'", "44")
        page.get_by_text("value 44").wait_for()
        browser.close()


def replace(path: Path, old: str, new: str) -> None:
    path.write_text(path.read_text().replace(old, new))
