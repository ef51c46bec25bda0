"""The same function in five tools that rebuild on import: rustimport, its two predecessors, Cython's pyximport, and
scikit-build-core's editable mode. The last two compile Cython and C, not Rust."""

from __future__ import annotations

import os
import subprocess
import time
import venv
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench import Bench

VENVS = Path(__file__).parent / ".venvs"

CYTHON = "def value():\n    return {value}\n"

C = """\
#include <Python.h>
static PyObject *value(PyObject *self, PyObject *args) {{ return PyLong_FromLong({value}); }}
static PyMethodDef methods[] = {{{{"value", value, METH_NOARGS, NULL}}, {{NULL}}}};
static struct PyModuleDef module = {{PyModuleDef_HEAD_INIT, "others_skb", NULL, -1, methods}};
PyMODINIT_FUNC PyInit_others_skb(void) {{ return PyModule_Create(&module); }}
"""

CMAKE = """\
cmake_minimum_required(VERSION 3.15)
project(others_skb LANGUAGES C)
find_package(Python REQUIRED COMPONENTS Development.Module)
python_add_library(others_skb MODULE module.c WITH_SOABI)
install(TARGETS others_skb DESTINATION .)
"""

PYPROJECT = """\
[build-system]
requires = ["scikit-build-core"]
build-backend = "scikit_build_core.build"
[project]
name = "others-skb"
version = "1"
[tool.scikit-build]
build-dir = "build"
editable.rebuild = true
editable.verbose = false
"""


def environment(name: str, *requirements: str) -> Path:
    python = VENVS / name / "bin" / "python"
    if not python.exists():
        print(f"installing {', '.join(requirements)} ...", flush=True)
        venv.create(VENVS / name, with_pip=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *requirements], check=True)
    return python


class Tool:
    def __init__(self, bench: Bench, who: str, write: Callable[[Path, int], object]) -> None:
        self.bench, self.who, self.write = bench, who, write
        self.folder = bench.new_folder()
        self.value = 0

    def take(self) -> float:
        """The time of an import in a new process."""
        return self.bench.import_of(self.who, self.folder, f"others_{self.who}", self.value)

    def edit(self) -> float:
        self.value += 1
        # pyximport and cmake's installation compare whole seconds.
        time.sleep(1.05 if self.who in ("pyx", "skb") else 0.05)
        self.write(self.folder, self.value)
        return self.take()

    def undo(self) -> float:
        self.edit()
        self.value -= 2
        return self.edit()


def measure(
    bench: Bench,
    switch_on: dict[str, str],
    in_turn: Callable[[dict[str, Callable[[], float]], int], dict[str, list[float]]],
) -> None:
    """Fresh imports, imports after an edit, and after an edit was undone."""
    bench.pythons["pyx"] = str(environment("pyx", "cython==3.2.*", "setuptools"))
    bench.pythons["skb"] = str(environment("skb", "scikit-build-core==0.11.*", "cmake", "ninja"))
    switch_on["pyx"] = "import pyximport; pyximport.install(build_dir='pyx-build', language_level=3)"
    switch_on["skb"] = ""
    # cmake is found through it.
    bench.env["PATH"] += os.pathsep + str(Path(bench.pythons["skb"]).parent)

    def write(name: str, content: str) -> Callable[[Path, int], object]:
        return lambda folder, value: (folder / name).write_text(content.format(value=value))

    tools = {
        who: Tool(bench, who, partial(lambda name, folder, value: bench.script(folder, name, value), f"others_{who}"))
        for who in ("ours", "mih", "ri")
    }
    tools["pyx"] = Tool(bench, "pyx", write("others_pyx.pyx", CYTHON))
    tools["skb"] = skb = Tool(bench, "skb", write("module.c", C))
    (skb.folder / "CMakeLists.txt").write_text(CMAKE)
    (skb.folder / "pyproject.toml").write_text(PYPROJECT)
    skb.write(skb.folder, 1)
    install = [bench.pythons["skb"], "-m", "pip", "install", "-q", "--no-build-isolation", "-e", "."]
    subprocess.run(install, cwd=skb.folder, env=bench.env, check=True)

    for tool in tools.values():
        tool.edit()
        tool.take()
    rows = {
        "a fresh import": (15, Tool.take),
        "an import after an edit": (3, Tool.edit),
        "an import after an undo": (3, Tool.undo),
    }
    for title, (rounds, take) in rows.items():
        takes: dict[str, Callable[[], float]] = {who: partial(take, tool) for who, tool in tools.items()}
        bench.report(title, in_turn(takes, rounds), "ours", "less than the others")
    # Other rows measure all that are listed.
    del bench.pythons["pyx"], bench.pythons["skb"]
