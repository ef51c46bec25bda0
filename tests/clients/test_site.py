"""`site install` in temporary environments: one of the standard library, one of uv without pip, and one of the
distribution's Python, whose `sitecustomize.py` takes precedence over that of any environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.conftest import ROOT

UV = Path(sysconfig.get_path("scripts")) / "uv"
DISTRIBUTION = "/usr/bin/python3"

ACTIVE = "import sys; print(any(hasattr(finder, 'is_rustimport_gate') for finder in sys.meta_path))"
#: Whether the complete hook is installed.
OPEN = "from rustimport import _finder; _finder.open_gates(); "


class Environment:
    def __init__(self, folder: Path, *command: str) -> None:
        made = subprocess.run([*command, str(folder)], capture_output=True, text=True, check=False)
        if made.returncode != 0:
            pytest.skip(f"cannot be made: {made.stderr}")
        self.python = folder / "bin" / "python"
        self.site = Path(self.run("-c", "import sysconfig; print(sysconfig.get_path('purelib'))").stdout.strip())
        (self.site / "rustimport").symlink_to(ROOT / "python" / "rustimport")

    @property
    def sitecustomize(self) -> Path:
        return self.site / "sitecustomize.py"

    @property
    def pth(self) -> Path:
        return self.site / "rustimport_hook.pth"

    def run(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        names = ("HOME", "PATH", "LANG", "CARGO_HOME", "RUSTUP_HOME")
        kept = {name: os.environ[name] for name in names if name in os.environ}
        command = [str(self.python), *arguments]
        return subprocess.run(command, capture_output=True, text=True, env={**kept, **env}, cwd="/", check=False)

    def site_command(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        return self.run("-m", "rustimport", "site", *arguments, **env)

    def is_active(self) -> bool:
        run = self.run("-c", ACTIVE)
        assert run.returncode == 0
        assert run.stderr == ""
        return run.stdout.strip() == "True"


def is_usable(python: str) -> bool:
    code = "import sys; print(sys.version_info >= (3, 10))"
    return os.path.exists(python) and subprocess.check_output([python, "-c", code]).strip() == b"True"


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    """An environment whose own `sitecustomize.py` is run."""
    environment = Environment(tmp_path / "venv", sys.executable, "-m", "venv", "--without-pip")
    if environment.run("-c", "import sitecustomize").returncode == 0:
        pytest.skip("this Python has a sitecustomize.py that takes precedence over that of any environment")
    return environment


@pytest.fixture(params=["venv", "uv", "distribution"])
def any_environment(request: pytest.FixtureRequest, tmp_path: Path) -> Environment:
    commands = {
        "venv": (sys.executable, "-m", "venv", "--without-pip"),
        "uv": (str(UV), "venv", "--quiet", "--python", sys.executable),
        "distribution": (DISTRIBUTION, "-m", "venv", "--without-pip"),
    }
    if request.param == "distribution" and not is_usable(DISTRIBUTION):
        pytest.skip("there is none, or it is too old")
    return Environment(tmp_path / "venv", *commands[request.param])


def test_install_and_uninstall(any_environment: Environment, tmp_path: Path) -> None:
    environment = any_environment
    assert not environment.is_active()
    shadow = environment.run("-c", "import sitecustomize; print(sitecustomize.__file__)").stdout.strip()
    run = environment.site_command("install")
    assert run.returncode == 0, run.stderr
    assert environment.is_active()
    if shadow:
        assert f"Python runs {shadow} instead of {environment.sitecustomize}" in run.stdout
        assert environment.pth.exists()
        assert not environment.sitecustomize.exists()
    else:
        assert environment.sitecustomize.exists()
        assert not environment.pth.exists()
    info = json.loads(environment.site_command("info", "-f", "json").stdout)
    assert info["active"]
    assert [place["file"] for place in info["installed"]] == [
        str(environment.pth if shadow else environment.sitecustomize)
    ]
    assert info["shadowed_by"] == (shadow or None)
    # Import a script in a program that does not refer to rustimport.
    (tmp_path / "m.rs").write_text("// rustimport:pyo3\n#[pyfunction]\nfn value() -> i32 { 42 }\n")
    code = "import sys; sys.path.insert(0, sys.argv[1]); import m; print(m.value())"
    maturin = Path(sysconfig.get_path("scripts")) / "maturin"
    settings = {
        "RUSTIMPORT_CACHE_DIR": str(ROOT / "target" / "test-cache"),
        "RUSTIMPORT_MATURIN_EXECUTABLE": str(maturin),
    }
    run = environment.run("-c", code, str(tmp_path), **settings)
    assert run.stdout.strip() == "42", run.stderr
    assert environment.site_command("uninstall").returncode == 0
    assert not environment.is_active()
    assert not environment.sitecustomize.exists()
    assert not environment.pth.exists()
    assert "was not installed" in environment.site_command("uninstall").stdout


def test_repeated_commands(any_environment: Environment) -> None:
    """Repeated commands, in any order, leave the state of the last one."""
    environment = any_environment
    commands = [("install",), ("install",), ("install", "--force"), ("install",), ("uninstall",), ("uninstall",)]
    commands += [
        ("install", "--force"),
        ("install", "--args=--quiet"),
        ("install", "--args=--quiet"),
        ("install",),
    ]
    for command in commands:
        run = environment.site_command(*command)
        assert run.returncode == 0, run.stderr
        assert environment.is_active() == (command[0] == "install"), command
        info = json.loads(environment.site_command("info", "-f", "json").stdout)
        assert info["active"] == (command[0] == "install")
        expected = [repr("--quiet") in (place["arguments"] or "") for place in info["installed"]]
        assert expected == ([] if command[0] == "uninstall" else ["--args=--quiet" in command])
        if command == ("install",) and commands.index(command) == 0:
            again = environment.site_command("install")
            assert "is already installed" in again.stdout


def test_the_hook_of_an_older_version_is_replaced(environment: Environment) -> None:
    assert environment.site_command("install").returncode == 0
    current = environment.sitecustomize.read_text()
    environment.sitecustomize.write_text(current.replace("class RustimportGate:", "class RustimportGate:\n    old = 1"))
    assert "is already installed" not in environment.site_command("install").stdout
    assert environment.sitecustomize.read_text() == current


def test_a_sitecustomize_that_prints(environment: Environment) -> None:
    environment.sitecustomize.write_text("import atexit\nprint('[hello')\natexit.register(print, 'bye')\n")
    run = environment.site_command("install")
    assert (run.returncode, "the hook is installed in" in run.stdout) == (0, True), run.stderr
    assert "active in a new interpreter: yes" in environment.site_command("info").stdout


def test_a_sitecustomize_that_raises(environment: Environment) -> None:
    """Python continues after the error, but does not run the lines that would be added to the file."""
    environment.sitecustomize.write_text("raise RuntimeError('not today')\n")
    for attempt in range(3):
        run = environment.site_command("install")
        assert run.returncode == 0
        if attempt == 0:
            assert f"{environment.sitecustomize} ends with an error" in run.stdout
            assert "RuntimeError: not today" in run.stdout
        assert environment.run("-c", ACTIVE).stdout.strip() == "True"
        assert environment.pth.exists()
    assert environment.sitecustomize.read_text() == "raise RuntimeError('not today')\n"
    # It is used once it works.
    environment.sitecustomize.write_text("")
    assert environment.site_command("install", "--force").returncode == 0
    assert environment.is_active()
    assert not environment.pth.exists()


def test_start_files_of_python_3_18(environment: Environment, tmp_path: Path) -> None:
    """Python 3.18 will replace `.pth` files with start files, which name a function to call."""
    code = (
        "from rustimport import _core; import sys; _core.site_install_start(sys.argv[1], sys.argv[2], 'build_dir=None')"
    )
    start, module = environment.site / "rustimport_hook.start", environment.site / "rustimport_hook.py"
    assert environment.run("-c", code, str(start), str(module)).returncode == 0
    name, _, function = start.read_text().strip().partition(":")
    run = environment.run("-c", f"import {name}; {name}.{function}()\n{ACTIVE}")
    assert run.stdout.strip() == "True", run.stderr
    # `site uninstall` removes both files.
    assert environment.site_command("uninstall").returncode == 0
    assert not start.exists()
    assert not module.exists()


#: Programs that show windows, serve, wait for input or open a browser; and tests.
NOT_RUN = (
    *("antigravity", "idlelib", "this", "tkinter", "turtledemo", "turtle", "test", "lib2to3.tests"),
    *("pyrepl", "wsgiref", "xmlrpc"),
)


def programs(folder: Path) -> list[str]:
    """The modules of the standard library that can be run with `-m`."""
    found = []
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder).with_suffix("").parts
        if "site-packages" in parts or "tests" in parts or parts[0].startswith((*NOT_RUN, "__", "config-")):
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        if parts[-1] == "__main__":
            found.append(".".join(parts[:-1]))
        elif 'if __name__ == "__main__"' in text or "if __name__ == '__main__'" in text:
            found.append(".".join(parts))
    return found


@pytest.mark.parametrize("state", ["stale", "unwritable"])
def test_programs_of_the_standard_library(environment: Environment, tmp_path: Path, state: str) -> None:
    """The hook runs while other modules, such as `importlib`, are being imported."""
    assert environment.site_command("install").returncode == 0
    folder = Path(environment.run("-c", "import os; print(os.path.dirname(os.__file__))").stdout.strip())
    names = programs(folder)
    assert len(names) > 30, names
    cache = {"RUSTIMPORT_CACHE_DIR": str(tmp_path / "cache") if state == "stale" else "/proc/nothing"}
    for name in names:
        if state == "stale":
            (environment.site / name).mkdir()
        run, bare = (
            subprocess.run(
                [str(environment.python), "-m", name, "--help"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), **cache, **enabled},
                cwd=tmp_path,
                timeout=30,
                check=False,
            )
            for enabled in ({}, {"RUSTIMPORT_ENABLED": "0"})
        )
        assert (name, run.returncode) == (name, bare.returncode), run.stderr
        assert "rustimport" not in run.stderr, (name, run.stderr)


def test_start_loads_only_the_hook(any_environment: Environment) -> None:
    """At its start, an interpreter loads the file that contains the hook, and nothing of this package."""
    code = "import sys; print(*sorted(sys.modules))"
    before = set(any_environment.run("-c", code).stdout.split())
    any_environment.site_command("install")
    after = set(any_environment.run("-c", code).stdout.split())
    # Some versions of Python read `.pth` files with this module.
    assert after - before - {"encodings.utf_8_sig"} in ({"sitecustomize"}, {"rustimport_hook"})


@pytest.mark.parametrize(
    "content",
    [
        b"import os\n",
        b"import os",
        b"import os\r\nX = 1\r\n",
        b"\xef\xbb\xbfimport os\n",
        b"# -*- coding: latin-1 -*-\nX = '\xe9'\n",
        b"",
    ],
)
def test_existing_content_is_restored(environment: Environment, content: bytes) -> None:
    target = environment.site / "theirs.py"
    target.write_bytes(content)
    target.chmod(0o640)
    environment.sitecustomize.symlink_to(target)
    for arguments in (("install",), ("install", "--force"), ("install",)):
        assert environment.site_command(*arguments).returncode == 0
    assert environment.is_active()
    assert target.read_bytes().startswith(content)
    assert environment.site_command("uninstall").returncode == 0
    assert target.read_bytes() == content
    assert target.stat().st_mode & 0o777 == 0o640
    assert environment.sitecustomize.is_symlink()


def test_removed_package(environment: Environment) -> None:
    environment.site_command("install")
    (environment.site / "rustimport").unlink()
    (environment.site / "others.py").write_text("")
    run = environment.run("-c", f"import others; {ACTIVE}")
    assert (run.stdout.strip(), run.stderr) == ("False", "")


def test_block_of_maturin_import_hook(environment: Environment) -> None:
    theirs = "# <maturin_import_hook>\nTHEIRS = 1\n# </maturin_import_hook>\n"
    environment.sitecustomize.write_text(f"A = 1\n{theirs}B = 2\n")
    run = environment.site_command("install")
    assert run.returncode == 2
    assert "also enables maturin_import_hook: both hooks would build the same" in run.stderr
    assert "hint: run `python -m rustimport site install --force`" in run.stderr
    assert environment.sitecustomize.read_text() == f"A = 1\n{theirs}B = 2\n"
    assert environment.site_command("install", "--force").returncode == 0
    assert environment.is_active()
    assert "THEIRS" not in environment.sitecustomize.read_text()


def test_shadowed_sitecustomize_is_not_changed(tmp_path: Path) -> None:
    """A file that Python does not run does not conflict."""
    environment = Environment(tmp_path / "venv", DISTRIBUTION, "-m", "venv", "--without-pip")
    if environment.run("-c", "import sitecustomize").returncode != 0:
        pytest.skip("there is nothing in the way")
    text = "# <maturin_import_hook>\nTHEIRS = 1\n# </maturin_import_hook>\nA = 1"
    environment.sitecustomize.write_text(text)
    run = environment.site_command("install", "--force")
    assert run.returncode == 0, run.stderr
    assert environment.is_active()
    assert environment.sitecustomize.read_text() == text


@pytest.mark.parametrize("content", [b"import (\n", b"\xff\xfe\x00"])
def test_invalid_sitecustomize_is_not_changed(environment: Environment, content: bytes) -> None:
    environment.sitecustomize.write_bytes(content)
    run = environment.site_command("install")
    assert run.returncode == 2
    assert "is not valid Python" in run.stderr
    assert environment.sitecustomize.read_bytes() == content


def test_arguments_are_stored(environment: Environment) -> None:
    def finders(*arguments: str) -> str:
        assert environment.site_command("install", "--force", *arguments).returncode == 0
        mine = "(finder for finder in sys.meta_path if 'rustimport' in type(finder).__module__)"
        code = f"{OPEN}import sys; print(*(type(finder).__name__ for finder in {mine}))"
        return environment.run("-c", code).stdout.strip()

    assert finders() == "ProjectFinder ScriptFinder"
    assert finders("--no-rs-file-importer") == "ProjectFinder"
    assert finders("--no-project-importer") == "ScriptFinder"
    assert environment.site_command("install", "--args=--release --features a,b").returncode == 0
    code = OPEN + "import sys; finder = sys.meta_path[-2]; print(finder.chosen('m', '/m.rs').to_args('build'))"
    assert environment.run("-c", code).stdout.strip() == "['--release', '--features', 'a,b']"


@pytest.mark.parametrize(
    "arguments",
    [
        ("install", "--args=--nonsense"),
        ("install", "--no-project-importer", "--no-rs-file-importer"),
        ("install", "--nonsense"),
        ("install", "--user"),
        ("uninstall", "--user"),
        ("nonsense",),
    ],
)
def test_bad_input_writes_nothing(environment: Environment, arguments: tuple[str, ...]) -> None:
    run = environment.site_command(*arguments)
    assert run.returncode == 2
    assert run.stderr
    assert not environment.sitecustomize.exists()


@pytest.mark.skipif(not os.path.isdir("/proc/sys"), reason="there is nothing that even root cannot write to")
def test_locations_that_cannot_be_written(environment: Environment) -> None:
    """A file that cannot be replaced, and a folder that cannot be created; also as root, which ignores permissions."""
    # This file contains a number, which is valid Python, and its folder accepts no other files.
    environment.sitecustomize.symlink_to("/proc/sys/kernel/ngroups_max")
    run = environment.site_command("install")
    assert run.returncode == 2
    assert "error: cannot write " in run.stderr
    assert "hint: " in run.stderr
    assert not environment.is_active()
    if not is_usable(DISTRIBUTION):
        pytest.skip("there is no Python with a user's site-packages")
    command = [DISTRIBUTION, "-m", "rustimport", "site", "install", "--user"]
    env = {"HOME": "/proc/nowhere", "PYTHONPATH": str(ROOT / "python"), "PATH": os.environ["PATH"]}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert "hint: " in done.stderr
