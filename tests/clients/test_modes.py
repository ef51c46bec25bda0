"""The ways to start Python: with warnings as errors, without the working folder on `sys.path`, isolated, lazily
importing, with several interpreters. With `site install`, as users have it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.build.test_projects import Environment
from tests.conftest import Place

SOURCE = "// rustimport:pyo3\n#[pyfunction]\nfn value() -> i32 { 1 }\n"


@pytest.fixture
def hooked(place: Place) -> Environment:
    """An environment with `site install`, and a script that is built."""
    environment = Environment(place)
    environment.place.write("m.rs", SOURCE)
    site = [str(environment.bin / "python"), "-m", "rustimport", "site", "install"]
    subprocess.run(site, env=environment.place.env, check=True, capture_output=True)
    assert start(environment, f"{PATH}import m; print(m.value())") == ("1", "")
    return environment


#: The working folder, which is not always on it.
PATH = "import os, sys; sys.path.insert(0, os.getcwd()); "


def start(environment: Environment, code: str, *arguments: str, **env: str) -> tuple[str, str]:
    """What Python prints, without what is said of a build."""
    command = [str(environment.bin / "python"), *arguments, "-c", code]
    environ = {**environment.place.env, **env}
    folder = environment.place.folder
    done = subprocess.run(command, env=environ, cwd=folder, capture_output=True, text=True, check=False)
    lines = [line for line in done.stderr.splitlines() if not line.startswith(("rustimport: buil", "import time:"))]
    return done.stdout.strip(), "\n".join(lines)


@pytest.mark.parametrize(
    "arguments",
    [
        ("-W", "error"),
        ("-X", "dev"),
        ("-X", "dev", "-W", "error"),
        ("-I",),
        ("-X", "importtime"),
        ("-O",),
        ("-B",),
        ("-E",),
    ],
    ids=" ".join,
)
def test_options(hooked: Environment, arguments: tuple[str, ...]) -> None:
    """A fresh script, a stale one, and modules that are not ours: nothing is printed that would not be printed."""
    # `-E` and `-I` take no cache folder from the environment, but the hook does.
    assert start(hooked, f"{PATH}import json, m; print(m.value())", *arguments) == ("1", "")
    hooked.place.write("m.rs", SOURCE.replace("1 }", "2 }"))
    assert start(hooked, f"{PATH}import m; print(m.value())", *arguments) == ("2", "")
    missing = f"{PATH}\ntry: import nobody\nexcept ImportError as error: print(error)"
    assert start(hooked, missing, *arguments) == ("No module named 'nobody'", "")


def test_without_site(hooked: Environment) -> None:
    """`-S`: there is no hook, and nothing that belongs to it."""
    code = f"{PATH}\ntry: import m\nexcept ImportError as error: print(error, 'rustimport' in sys.modules)"
    assert start(hooked, code, "-S") == ("No module named 'm' False", "")


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.11 has safe paths")
def test_safe_path(hooked: Environment) -> None:
    """The working folder is not searched for scripts either."""
    code = "try: import m\nexcept ImportError as error: print(error)"
    for arguments, env in ((("-P",), {}), ((), {"PYTHONSAFEPATH": "1"})):
        assert start(hooked, code, *arguments, **env) == ("No module named 'm'", "")
        assert start(hooked, f"{PATH}import m; print(m.value())", *arguments, **env) == ("1", "")


@pytest.mark.skipif(sys.version_info < (3, 15), reason="Python 3.15 has lazy imports (PEP 810)")
def test_lazy_imports(hooked: Environment) -> None:
    """Built when it is used, and not before."""
    hooked.place.write("m.rs", SOURCE.replace("1 }", "3 }"))
    code = f"{PATH}\nlazy import m\nprint('m' in sys.modules, 'rustimport._core' in sys.modules)\nprint(m.value())"
    assert start(hooked, code) == ("False False\n3", "")
    hooked.place.write("m.rs", SOURCE.replace("1 }", '"text" }'))
    code = f"{PATH}\nlazy import m\ntry: m.value()\nexcept ImportError as error: print(type(error).__name__)"
    assert start(hooked, code)[0] == "BuildError"


@pytest.mark.skipif(sys.version_info < (3, 14), reason="Python 3.14 has concurrent.interpreters")
def test_second_interpreters(hooked: Environment) -> None:
    """pyo3 allows a module in one interpreter: another one is refused, in words."""
    code = f"""{PATH}
from concurrent import interpreters
import m
second = interpreters.create()
second.exec("import sys, os; sys.path.insert(0, os.getcwd()); import json")
try:
    second.exec("import m")
except interpreters.ExecutionFailed as error:
    print("interpreter" in str(error), m.value())
"""
    assert start(hooked, code)[0] == "True 1"
