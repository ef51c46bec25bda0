"""Typical use with the usual tools: an environment from `python -m venv`, with its pip or the newest pip, or one from
uv. It is activated only for installing, and the hook is on in every interpreter.

This package is installed from its wheel, with maturin as its dependency.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests import projects
from tests.build.test_projects import HOME, become_mixed, edit
from tests.conftest import CACHE, ROOT, TOOLCHAIN

SCRIPTS = Path(sysconfig.get_path("scripts"))


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this package."""
    folder = tmp_path_factory.mktemp("wheels")
    command = [str(SCRIPTS / "maturin"), "build", "--release", "--quiet", "--out", str(folder)]
    # The library was already built for the tests, so this is fast.
    subprocess.run(command, cwd=ROOT, env={**os.environ, "VIRTUAL_ENV": sys.prefix}, check=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


class Day:
    def __init__(self, folder: Path, installer: str, wheel: Path) -> None:
        self.folder = folder
        self.installer = installer
        self.prefix = HOME / f"day-{installer}"
        self.python = self.prefix / "bin" / "python"
        shutil.rmtree(self.prefix, ignore_errors=True)
        kept = ("HOME", "PATH", "LANG", "CARGO_HOME", "RUSTUP_HOME", "SSL_CERT_FILE")
        self.env = {name: os.environ[name] for name in kept if name in os.environ} | TOOLCHAIN
        self.env |= {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
        # Share compiled dependencies with other tests.
        self.env |= {"RUSTIMPORT_CACHE_DIR": str(CACHE), "CARGO_TARGET_DIR": str(HOME / "target")}
        if installer == "uv":
            # Like pip, accept a company's own certificates.
            self.env |= {"UV_SYSTEM_CERTS": "1", "UV_NATIVE_TLS": "1"}
            self.check(SCRIPTS / "uv", "venv", "--quiet", "--python", sys.executable, self.prefix)
        else:
            self.check(sys.executable, "-m", "venv", self.prefix)
        if installer == "newest pip":
            self.pip("install", "--quiet", "--upgrade", "pip")
        self.pip("install", "--quiet", str(wheel), "pytest")

    def run(
        self, *command: str | Path, cwd: Path | None = None, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        words = [str(word) for word in command]
        environ = {**self.env, **(env or {})}
        return subprocess.run(
            words, cwd=cwd or self.folder, env=environ, capture_output=True, text=True, check=False, timeout=600
        )

    def check(self, *command: str | Path, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
        done = self.run(*command, cwd=cwd, env=env)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Traceback" not in done.stderr, done.stderr
        return done.stdout

    @property
    def activated(self) -> dict[str, str]:
        folders = [str(self.prefix / "bin"), *([str(SCRIPTS)] if self.installer == "uv" else []), self.env["PATH"]]
        return {"VIRTUAL_ENV": str(self.prefix), "PATH": os.pathsep.join(folders)}

    def pip(self, *arguments: str) -> None:
        if self.installer == "uv":
            self.check("uv", "pip", *arguments, env=self.activated)
        else:
            self.check(self.python, "-m", "pip", *arguments, env=self.activated)

    def develop(self, root: Path) -> None:
        arguments = ["--uv"] if self.installer == "uv" else []
        self.check("maturin", "develop", "--quiet", *arguments, cwd=root, env=self.activated)

    def imports(self, code: str) -> tuple[str, bool]:
        """Returns what is printed, and whether something was built."""
        done = self.run(self.python, "-c", code)
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout.strip(), "rustimport: built " in done.stderr

    def touch_site(self) -> None:
        """Makes the index of installed projects stale."""
        (site,) = self.prefix.glob("lib/python3*/site-packages")
        (site / "touched.py").write_text("")
        (site / "touched.py").unlink()


@pytest.fixture(params=["pip", "newest pip", "uv"])
def day(request: pytest.FixtureRequest, tmp_path: Path, wheel: Path) -> Day:
    return Day(tmp_path, request.param, wheel)


def test_tools_of_a_user(day: Day) -> None:
    layout = projects.LAYOUTS["pure"]
    root = day.folder / "project"
    for file, text in layout.files.items():
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text(text)
    assert "active in every interpreter" in day.check(day.python, "-m", "rustimport", "site", "install")

    # Modules that run as programs, with a stale, missing or unwritable index of projects.
    modules = (["pip", "list"], ["pytest", "--version"], ["pydoc", "json"], ["this"])
    for module in modules[day.installer == "uv" :]:
        day.touch_site()
        day.check(day.python, "-m", *module)
        day.check(day.python, "-m", *module, env={"RUSTIMPORT_CACHE_DIR": str(day.folder / "new")})
        day.check(day.python, "-m", *module, env={"RUSTIMPORT_CACHE_DIR": "/proc/nothing"})

    # Builds with `maturin develop`, followed by automatic rebuilds, twice.
    value = 0

    def change() -> str:
        nonlocal value
        value += 1
        edit(root / layout.edited, f"{{ {value - 1} }}", f"{{ {value} }}")
        return str(value)

    edit(root / layout.edited, projects.EDITED, "0")
    for _ in range(2):
        day.develop(root)
        assert day.imports(layout.code) == (str(value), False)
        for _ in range(2):
            changed = change()
            assert day.imports(layout.code) == (changed, True)
            assert day.imports(layout.code) == (changed, False)
    # The same, with an edit before the first import.
    day.develop(root)
    changed = change()
    assert day.imports(layout.code) == (changed, True)

    value += 1
    code = f"""
import importlib, pathlib, t_pure
import t_pure.t_pure as inner
path = pathlib.Path({str(root / layout.edited)!r})
for value in range({value}, {value + 3}):
    path.write_text(path.read_text().replace("{{ %d }}" % (value - 1), "{{ %d }}" % value))
    importlib.reload(t_pure)
    print(t_pure.value(), inner.value(), t_pure.t_pure is inner)
"""
    out, _ = day.imports(code)
    assert out.splitlines() == [f"{value + number} {value + number} True" for number in range(3)]
    value += 2

    become_mixed(root, "t_pure", "t_pure", "value")
    assert day.imports(layout.code) == (str(value), True)
    changed = change()
    assert day.imports(layout.code) == (changed, True)
    assert day.imports(layout.code) == (changed, False)

    # Installed by pip in editable mode, and then without it, which is never rebuilt.
    arguments = ["--no-build-isolation"]
    day.pip("install", "--quiet", *arguments, "-e", str(root))
    assert day.imports(layout.code)[0] == str(value)
    changed = change()
    assert day.imports(layout.code) == (changed, True)
    day.pip("install", "--quiet", *arguments, "--force-reinstall", "--no-deps", str(root))
    edit(root / layout.edited, f"{{ {value} }}", "{ 0 }")
    assert day.imports(layout.code) == (str(value), False)

    day.pip("uninstall", "--quiet", *([] if day.installer == "uv" else ["-y"]), "t-pure")
    assert "ModuleNotFoundError" in day.run(day.python, "-c", layout.code).stderr
    day.check(day.python, "-m", "rustimport", "site", "uninstall")
    assert "False" in day.check(day.python, "-c", "import sys; print('rustimport' in sys.modules)")
