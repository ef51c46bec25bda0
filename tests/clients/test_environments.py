"""Where Python runs: a venv without activation, other interpreters, a terminal."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import CACHE, ROOT, Place

SOURCE = "// rustimport:pyo3\n#[pyfunction]\nfn value() -> i32 { 42 }\n"
CODE = "import rustimport.import_hook, m; print(m.value())"


def bare_environment() -> dict[str, str]:
    """Variables that do not refer to a venv, so that maturin has to be found next to the interpreter."""
    kept = ("HOME", "CARGO_HOME", "RUSTUP_HOME", "PATH", "LANG")
    environ = {name: os.environ[name] for name in kept if name in os.environ}
    scripts = os.path.dirname(sys.executable)
    environ["PATH"] = os.pathsep.join(folder for folder in environ["PATH"].split(os.pathsep) if folder != scripts)
    return {**environ, "RUSTIMPORT_CACHE_DIR": str(CACHE)}


def run(python: Path | str, folder: Path, code: str = CODE, **env: str) -> str:
    result = subprocess.run(
        [str(python), "-c", code],
        cwd=folder,
        env={**bare_environment(), **env},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def install_into(python: Path) -> None:
    """Installs maturin, and this checkout's package without rebuilding it."""
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "maturin>=1.9.6,<2"], check=True)
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = Path(subprocess.check_output([str(python), "-c", code], text=True).strip())
    shutil.copytree(ROOT / "python" / "rustimport", site / "rustimport")
    # The index of a site folder is used only if the folder has not changed within the clock's tick.
    time.sleep(0.1)


def test_venv_without_activation(place: Place) -> None:
    place.write("m.rs", SOURCE)
    assert run(sys.executable, place.folder) == "42"


@pytest.mark.skipif(not os.path.exists("/usr/bin/python3"), reason="no distribution's Python here")
def test_the_distributions_python(place: Place, tmp_path: Path) -> None:
    python = tmp_path / "venv" / "bin" / "python"
    made = subprocess.run(
        ["/usr/bin/python3", "-m", "venv", str(tmp_path / "venv")], capture_output=True, text=True, check=False
    )
    version = subprocess.check_output(
        ["/usr/bin/python3", "-c", "import sys; print(sys.version_info >= (3, 10))"], text=True
    )
    if made.returncode != 0 or version.strip() != "True":
        pytest.skip("it has no venv, or is too old")
    install_into(python)
    place.write("m.rs", SOURCE)
    assert run(python, place.folder) == "42"
    # Two interpreters share one cache, and neither makes the other rebuild.
    assert run(sys.executable, place.folder) == "42"
    assert (
        run(python, place.folder, "import sys; " + CODE + "; print('rustimport._core' in sys.modules)") == "42\nFalse"
    )


def others() -> list[str]:
    """Interpreters with another prefix than this one, including those of the same version."""
    names = ("python3.10", "python3.11", "python3.12", "python3.13", "/usr/bin/python3")
    code = "import sys; print(sys.base_prefix, sys.version_info >= (3, 10))"
    found = {}
    for name in names:
        python = shutil.which(name)
        if python is None:
            continue
        result = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
        prefix, _, supported = result.stdout.strip().rpartition(" ")
        if result.returncode == 0 and supported == "True" and prefix != sys.base_prefix:
            found[prefix] = python
    return list(found.values())


def test_interpreters_do_not_disturb_each_other(place: Place) -> None:
    """They alternate in one cache. Once pyo3 is compiled for each, only the script is compiled."""
    pythons = others()
    if not pythons:
        pytest.skip("there is no other interpreter")
    for value in (1, 2, 3):
        place.write("m.rs", SOURCE.replace("42", str(value)))
        for python in (sys.executable, *pythons):
            result = place.python(
                "import m; print(m.value())",
                executable=python,
                PYTHONPATH=str(ROOT / "python"),
                RUSTIMPORT_VERBOSE="1",
            )
            assert (result.out, result.builds) == (str(value), 1)
            compiled = [line.split()[-3] for line in result.stderr.splitlines() if "  Compiling " in line]
            assert value == 1 or [name.partition("_")[0] for name in compiled] == ["m"]


def test_a_session_at_the_prompt(place: Place) -> None:
    """The README's example, entered line by line into a REPL."""
    place.write("m.rs", SOURCE)
    lines = "import rustimport.import_hook\nimport m\nm.value()\n"
    environ = {**bare_environment(), "TERM": "dumb"}
    result = subprocess.run(
        [sys.executable, "-i"], input=lines, cwd=place.folder, env=environ, capture_output=True, text=True, check=False
    )
    assert result.stdout.strip() == "42", result.stderr


def test_a_terminal_shows_progress_and_cleans_up(place: Place, tmp_path: Path) -> None:
    pty = pytest.importorskip("pty")
    fake = tmp_path / "maturin"
    fake.write_text(
        "#!/bin/sh\nfor i in 1 2 3; do printf '    Building [=>   ] %d/3: pyo3   \\r' $i >&2; sleep 0.15; done\n"
        f'exec {place.env["RUSTIMPORT_MATURIN_EXECUTABLE"]} "$@"\n'
    )
    fake.chmod(0o755)
    place.write("m.rs", SOURCE)
    parent, child = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", CODE],
        cwd=place.folder,
        env={**place.env, "RUSTIMPORT_MATURIN_EXECUTABLE": str(fake), "TERM": "xterm"},
        stderr=child,
        stdout=subprocess.PIPE,
        text=True,
    )
    os.close(child)
    seen = b""
    while True:
        try:
            data = os.read(parent, 65536)
        except OSError:
            break
        if not data:
            break
        seen += data
    stdout, _ = process.communicate()
    os.close(parent)
    assert stdout.strip() == "42"
    text = seen.decode()
    assert "/3: pyo3" in text
    # The progress line is erased before anything else is written.
    last_progress = text.rindex("/3: pyo3")
    assert "\r\x1b[K" in text[last_progress:]
    assert text.split("\r\x1b[K")[-1].startswith("rustimport: built m in ")
