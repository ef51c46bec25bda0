"""An application that embeds Python, without `PATH`, and with a `sys.executable` that is not Python."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import textwrap
from pathlib import Path

import pytest
from rustimport import _native, errors

from tests import projects
from tests.build.test_projects import Environment, edit
from tests.conftest import ROOT, Place, Run

SOURCE = "// rustimport:pyo3\n#[pyfunction]\nfn value() -> i32 {{ {} }}\n"


@pytest.fixture(scope="session")
def host_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled application. Skips if this Python cannot be embedded."""
    compiler = shutil.which("cc")
    library = sysconfig.get_config_var("LIBDIR") or ""
    if compiler is None or not sysconfig.get_config_var("Py_ENABLE_SHARED"):
        pytest.skip("needs a C compiler, and a Python with a shared library")
    program = tmp_path_factory.mktemp("host") / "host"
    flags = [f"-I{sysconfig.get_path('include')}", f"-L{library}", f"-Wl,-rpath,{library}"]
    source = Path(__file__).with_name("host.c")
    command = [compiler, str(source), "-o", str(program), *flags, f"-lpython{sysconfig.get_config_var('LDVERSION')}"]
    compiled = subprocess.run(command, capture_output=True, text=True, check=False)
    if compiled.returncode != 0:
        pytest.skip(f"this Python cannot be embedded here: {compiled.stderr[-300:]}")
    return program


class Host:
    """Runs code in the application, without a shell's variables."""

    def __init__(self, place: Place, program: Path, folder: Path) -> None:
        self.place = place
        self.program = program
        self.executable = folder / "executable"
        self.was_started = folder / "was-started"
        self.executable.write_text(f"#!/bin/sh\necho >> '{self.was_started}'\nexit 1\n")
        self.executable.chmod(0o755)

    def run(self, code: str, **env: str) -> Run:
        kept = ("HOME", "CARGO_HOME", "RUSTUP_HOME", "RUSTIMPORT_CACHE_DIR", "MATURIN_LOG", "CARGO_TARGET_DIR")
        environ = {name: self.place.env[name] for name in kept if name in self.place.env}
        home = environ.get("CARGO_HOME") or os.path.join(environ["HOME"], ".cargo")
        if not os.path.exists(os.path.join(home, "bin", "cargo")):
            # Installed in an unusual place.
            environ["RUSTIMPORT_CARGO_EXECUTABLE"] = str(shutil.which("cargo"))
        start = f"import sys; sys.path += {[str(ROOT / 'python'), str(self.place.folder)]!r}\n"
        before = self.place.builds
        done = subprocess.run(
            [self.program, self.executable, sys.base_prefix, start + textwrap.dedent(code)],
            cwd=self.place.folder,
            env={**environ, "PATH": "", **env},
            capture_output=True,
            text=True,
            check=False,
        )
        assert not self.was_started.exists()
        return Run(done.stdout, done.stderr, done.returncode, self.place.builds - before)


@pytest.fixture
def environment(place: Place) -> Environment:
    """A project's environment, whose maturin counts its runs."""
    environment = Environment(place)
    (environment.bin / "maturin").symlink_to(place.env["RUSTIMPORT_MATURIN_EXECUTABLE"])
    return environment


@pytest.fixture
def host(environment: Environment, host_program: Path, tmp_path: Path) -> Host:
    return Host(environment.place, host_program, tmp_path)


def test_a_script(host: Host, environment: Environment) -> None:
    host.place.write("m.rs", SOURCE.format(1))
    code = f"import rustimport; rustimport.embed({str(environment.prefix)!r}); import m; print(m.value())"
    first = host.run(code)
    assert (first.out, first.builds) == ("1", 1), first.stderr
    # The message is printed where the application shows it.
    assert "rustimport: built m in" in first.stderr
    shown = "import io, sys; sys.stderr = None; sys.stdout = shown = io.StringIO(); "
    host.place.write("m.rs", SOURCE.format(2))
    second = host.run(shown + code + "; sys.stdout = sys.__stdout__; print(shown.getvalue())")
    assert ("rustimport: built m in" in second.out, second.builds) == (True, 1)
    third = host.run(code)
    assert (third.out, third.builds, third.stderr) == ("2", 0, "")


def test_a_project_and_the_packages_of_an_environment(host: Host, environment: Environment) -> None:
    layout = projects.LAYOUTS["python-source"]
    root = environment.project(layout)
    environment.develop(root)
    more = environment.place.write("more/found_by_pth.py", "value = 7\n").parent
    (environment.site / "more.pth").write_text(f"{more}\nimport sys; sys.ran_pth = True\n")
    embed = f"import rustimport; rustimport.embed({str(environment.prefix)!r})\n"
    code = f"{embed}import sys, found_by_pth; assert sys.ran_pth and found_by_pth.value == 7\n{layout.code}"
    first = host.run(code)
    assert (first.out, first.builds) == ("1", 0), first.stderr
    edit(root / layout.edited, projects.EDITED, "2")
    second = host.run(code)
    assert (second.out, second.builds) == ("2", 1), second.stderr


def test_embed_can_be_repeated_and_undone(host: Host, environment: Environment) -> None:
    """After `unembed`, nothing is left behind; repeated calls add nothing twice."""
    code = f"""
        import os, sys
        import rustimport

        def state():
            return sys.path[:], sys.meta_path[:], sys.path_hooks[:], dict(os.environ)

        before = state()
        rustimport.embed({str(environment.prefix)!r})
        once = state()
        assert {str(environment.site)!r} in sys.path
        rustimport.embed({str(environment.prefix)!r})
        assert state() == once != before
        rustimport.uninstall()
        assert not rustimport.project_importer.is_installed()
        rustimport.embed({str(environment.prefix)!r})
        assert rustimport.project_importer.is_installed() and sys.path == once[0]
        sys.path.append("the application's own")
        rustimport.unembed()
        assert sys.path.pop() == "the application's own"
        assert state() == before
        rustimport.unembed()
        try:
            rustimport.embed({str(environment.prefix)!r}, cargo_home="/nowhere")
        except rustimport.errors.ToolchainError as error:
            print(error)
        assert state() == before
    """
    assert host.run(code).out.startswith("there is no /nowhere/bin/cargo\nhint: ")


def test_toolchain_in_another_folder(host: Host, environment: Environment, tmp_path: Path) -> None:
    """As in images that have `/usr/local/cargo` and `/usr/local/rustup`, and nothing in the home folder."""
    cargo_home = Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo"))
    rustup_home = Path(os.environ.get("RUSTUP_HOME", Path.home() / ".rustup"))
    if not ((cargo_home / "bin" / "cargo").exists() and (rustup_home / "settings.toml").exists()):
        pytest.skip("there is no rustup")
    (tmp_path / "local").mkdir()
    (tmp_path / "local" / "cargo").symlink_to(cargo_home)
    (tmp_path / "local" / "rustup").symlink_to(rustup_home)
    (tmp_path / "home").mkdir()
    # This does not build, because cargo would recompile pyo3 for another home folder.
    code = f"""
        import rustimport
        from rustimport import _cache, _core_client, _native
        rustimport.embed({str(environment.prefix)!r}%s)
        request = _core_client.request(_cache.Key("/m.rs"))
        print([name for name, found in _native.core.tools(request, lambda *_, **__: None) if found])
    """
    for name in ("CARGO_HOME", "RUSTUP_HOME"):
        host.place.env.pop(name, None)
    assert host.run(code % "", HOME=str(tmp_path / "home")).out == "['maturin']"
    cargo = f", cargo_home={str(tmp_path / 'local' / 'cargo')!r}"
    assert host.run(code % cargo, HOME=str(tmp_path / "home")).out == "['maturin', 'cargo', 'rustc']"


def embed_error(place: Place, code: str) -> str:
    run = place.python(f"import rustimport.errors\ntry: {code}\nexcept ImportError as error: print(error)", hook=False)
    return run.out


def test_invalid_environments_are_refused(place: Place) -> None:
    """The error names a missing environment, and one for another version of Python."""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    name = place.folder / "named"
    named = f"rustimport.embed({str(name)!r})"
    assert f"{name} is not a virtual environment: it does not exist" in embed_error(place, named)
    name.mkdir()
    found = embed_error(place, named)
    assert f"{name} is not a virtual environment: it has no pyvenv.cfg" in found
    assert f"hint: create one with Python {version}: `python{version} -m venv {name}`" in found
    for text in ("version = 3.8.10", "version_info = 3.8.10.final.0"):
        (name / "pyvenv.cfg").write_text(f"home = /usr/bin\n{text}\n")
        expected = f"this is Python {version}, and the environment {name} is for Python 3.8\n"
        assert embed_error(place, named).startswith(expected)
    (name / "pyvenv.cfg").write_text(f"version = {version}.1\n")
    assert "has no packages for it: there is no " in embed_error(place, named)
    # A folder called `.venv` is found by default.
    (name).rename(place.folder / ".venv")
    (place.folder / ".venv" / "pyvenv.cfg").write_text("version = 3.8.10\n")
    assert f"{place.folder / '.venv'} is for Python 3.8" in embed_error(place, "rustimport.embed()")
    shutil.rmtree(place.folder / ".venv")
    assert embed_error(place, "rustimport.embed()").startswith(
        f"there is no virtual environment at {place.folder}/.venv"
    )


def test_core_that_cannot_be_loaded() -> None:
    """An abi3 library cannot be loaded without a GIL. The error says so, and does not suggest to reinstall."""
    from rustimport import _cache

    def reason(is_free_threaded: bool) -> str:
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(sys.modules, "rustimport._core", None)
            patch.delattr("rustimport._core", raising=False)
            patch.delitem(vars(_native), "core", raising=False)
            patch.setattr(_cache, "is_free_threaded", lambda: is_free_threaded)
            with pytest.raises(errors.ToolchainError) as raised:
                _ = _native.core
            return str(raised.value)

    assert "this Python is built to run without the GIL" in reason(True)
    assert "hint: reinstall it" in reason(False)
