"""The cost of the hook, as two numbers that do not vary between runs: system calls for files, and loaded modules.
Each is the difference between a whole process with the hook and bare CPython. The limits may fall but not rise.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests import projects
from tests.build.test_projects import Environment
from tests.conftest import CACHE

STRACE = shutil.which("strace")
pytestmark = pytest.mark.skipif(STRACE is None, reason="needs strace")

SCRIPT = "// rustimport:pyo3\n#[pyfunction]\nfn value() -> i32 { 1 }\n"


class Cost(NamedTuple):
    calls: int
    modules: list[str]

    def __sub__(self, other: Cost) -> Cost:
        return Cost(self.calls - other.calls, sorted(set(self.modules) - set(other.modules)))


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder at the same depth on every machine: cargo's configuration is looked up in each of its parents."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        yield Path(folder)


def cost(environment: Environment, folder: Path, code: str, *, enabled: bool, **env: str) -> Cost:
    """The cost of running code in the environment. `enabled`: with the hook at its start."""
    site = [str(environment.bin / "python"), "-m", "rustimport", "site", "install" if enabled else "uninstall"]
    subprocess.run(site, env=environment.place.env, check=True, capture_output=True)
    # Folders that have just changed need more system calls.
    for changed in (environment.site, folder):
        os.utime(changed, (1_000_000_000, 1_000_000_000))
    trace = folder.parent / f"{folder.name}.trace"
    command = [str(environment.bin / "python"), "-c", f"{code}\nimport sys; print(*sys.modules)"]
    environ = {**environment.place.env, **env}
    counted = "trace=%file,getdents64"
    traced = [str(STRACE), "-f", "-qq", "-e", counted, "-e", "signal=none", "-o", str(trace), *command]
    found: list[Cost] = []
    try:
        # The first runs compile Python files and write to the cache. Repeat until the result is stable.
        while len(found) < 2 or (found[-1] != found[-2] and len(found) < 8):
            done = subprocess.run(traced, cwd=folder, env=environ, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            found.append(Cost(len(trace.read_text().splitlines()), done.stdout.split()))
            time.sleep(0.05)
        assert "built" not in done.stderr, done.stderr
        return found[-1]
    finally:
        trace.unlink(missing_ok=True)


def check(measured: Cost, calls: int, *modules: str) -> None:
    """`calls` was counted with CPython 3.11. Other versions make slightly different calls themselves."""
    # A distribution may have its own `sitecustomize.py`. Then the hook is in two files: a `.pth` file and a module.
    has_own = "rustimport_hook" in measured.modules
    assert measured.modules == sorted([*modules, "rustimport_hook" if has_own else "sitecustomize"])
    assert measured.calls <= calls + (0 if sys.version_info[:2] == (3, 11) else 6) + (7 if has_own else 0)


#: The modules that the first import loads, besides those of the standard library.
LOADED = [f"rustimport{name}" for name in ("", "._cache", "._finder", "._projects", "._settings")]


#: Once a process, before a library is loaded: who could exchange the folders above the cache. By default there are two,
#: up to the user's home.
ABOVE = len(CACHE.parents) - 1


def test_start(environment: Environment, folder: Path) -> None:
    """Only the gate is loaded, also if the code imports only the standard library."""
    for code in ("", "import colorsys"):
        bare, hooked = (cost(environment, folder, code, enabled=enabled) for enabled in (False, True))
        check(hooked - bare, 5)


def test_third_party_imports(environment: Environment, folder: Path) -> None:
    """A process that imports a module from the last folder of the path, or a missing module."""
    (environment.site / "foreign.py").write_text("")
    for code, calls in (("import foreign", 55), ("try: import nobodys\nexcept ImportError: pass", 60)):
        bare, hooked = (cost(environment, folder, code, enabled=enabled) for enabled in (False, True))
        check(hooked - bare, calls, *LOADED)


def extra_cost(environment: Environment, folder: Path, bare_folder: Path, code: str) -> Cost:
    """The cost of an import with the hook, compared with CPython importing the same library."""
    return cost(environment, folder, code, enabled=True) - cost(environment, bare_folder, code, enabled=False)


def test_a_fresh_script(environment: Environment, folder: Path) -> None:
    (folder / "m.rs").write_text(SCRIPT)
    (folder / "bare").mkdir()
    code = f"import os, sys; os.chdir({str(folder)!r}); sys.path.insert(0, ''); import m; print(m.__file__)"
    shutil.copy(environment.run(code).out, folder / "bare")
    check(extra_cost(environment, folder, folder / "bare", "import m"), 69 + ABOVE, *LOADED)


def test_a_fresh_project(environment: Environment, folder: Path) -> None:
    layout = projects.LAYOUTS["flat"]
    for file, text in layout.files.items():
        (folder / "project" / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / "project" / file).write_text(text)
    environment.develop(folder / "project")
    check(extra_cost(environment, folder, folder, "import t_flat"), 78 + ABOVE, *LOADED)
