"""Code that was written for another version of pyo3: the hint is followed, word for word, and then the code compiles.
`make test-pyo3` tries every version; `make test` those that need the fewest builds."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from tests.conftest import Place

#: 0.N: the oldest and the newest version that are tried.
OLDEST, NEWEST_TESTED = 18, 30


def minors() -> list[int]:
    if os.environ.get("PYO3") != "all":
        return [21, NEWEST_TESTED]
    run = subprocess.run(["cargo", "info", "pyo3", "--quiet"], capture_output=True, text=True, check=True)
    found = re.search(r"^version: 0\.(\d+)\.", run.stdout, re.M)
    assert found is not None, run.stdout
    return list(range(OLDEST, int(found[1]) + 1))


TEMPLATE = "#[pyfunction]\nfn value() -> i32 {{ {} }}\n#[pyclass]\nstruct Kind {{}}\n"
REFERENCES = """\
use pyo3::types::PyDict;
#[pyfunction]
fn value(d: Option<&PyDict>) -> usize { d.map_or(42, |d| d.len()) }
"""
OWN_MODULE = """\
use pyo3::prelude::*;
#[pymodule]
fn m(_py: Python<'_>, m: &PyModule) -> PyResult<()> { m.add_function(wrap_pyfunction!(value, m)?)?; Ok(()) }
"""
RENAMED = {
    "with_gil": "Python::with_gil(|_| 42)",
    "allow_threads": "Python::with_gil(|py| py.allow_threads(|| 42))",
    "PyObject": "Python::with_gil(|py| { let _: PyObject = py.None(); 42 })",
    "prepare_freethreaded_python": "pyo3::prepare_freethreaded_python(); 42",
    "GILOnceCell": "static C: pyo3::sync::GILOnceCell<i32> = pyo3::sync::GILOnceCell::new(); "
    "Python::with_gil(|py| *C.get_or_init(py, || 42))",
}
SOURCES = {
    "template": TEMPLATE.format(42),
    "references": REFERENCES,
    "own": REFERENCES + OWN_MODULE,
    "renamed": TEMPLATE.format(f"[{', '.join(f'{{ {code} }}' for code in RENAMED.values())}].iter().sum::<i32>() / 5"),
}


def script(lines: list[str], source: str) -> str:
    return "// rustimport:pyo3\n" + "".join(f"{line}\n" for line in lines) + source


def hint_of(stderr: str) -> str:
    assert "__rustimport" not in stderr, stderr
    found = re.search(r"^hint: (.*)", stderr, re.M)
    assert found is not None, stderr
    return found[1]


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="the oldest versions of pyo3 do not support this Python")
@pytest.mark.parametrize("minor", minors())
@pytest.mark.parametrize("kind", SOURCES)
def test_hints(place: Place, minor: int, kind: str) -> None:
    if kind == "renamed" and minor < 23:
        pytest.skip("GILOnceCell has another interface")
    code = "import m; print(m.value())"
    source = SOURCES[kind]
    place.write("m.rs", script(["//: [dependencies]", f'//: pyo3 = "0.{minor}"'], source))
    run = place.python(code)
    if run.returncode == 0:
        assert run.out == "42"
        return
    hint = hint_of(run.stderr)
    lines = re.findall(r"`(//: [^`]*)`", hint)
    if "declare the module yourself" in hint:
        assert minor < 22
        assert "requires pyo3 ^0." in run.stderr
        if kind == "template":
            # A newer version, or the own module.
            newer = re.search(r"such as `(pyo3 = [^`]*)`", hint)
            own = re.search(r"`(#\[pymodule\][^`]*)`", hint)
            assert newer is not None
            assert own is not None
            place.write("m.rs", script(["//: [dependencies]", f"//: {newer[1]}"], source))
            assert place.python(code).out == "42"
            module = f"{own[1].replace('NAME', 'value')}\n"
            old = [f"//: {line}" for line in ("[dependencies]", f'pyo3 = "0.{minor}"')]
            place.write("m.rs", script(old, source + module))
            assert place.python(code).out == "42"
            return
        older = re.search(r"interface, `([^`]*)`", hint)
        assert older is not None
        lines = ["//: [dependencies]", f"//: pyo3 = {older[1]}"]
    assert len(lines) == 2, hint
    place.write("m.rs", script(lines, source))
    assert place.python(code).out == "42", hint
    setting = re.search(r"RUSTIMPORT_PYO3=(\S+)", hint)
    if setting is not None:
        place.write("m.rs", script([], source))
        assert place.python(code, RUSTIMPORT_PYO3=setting[1]).out == "42"
        place.write("pyproject.toml", f'[tool.rustimport]\npyo3 = "{setting[1]}"\n')
        assert place.python(code).out == "42"


def test_the_cffi_template_names_the_version_that_it_needs(place: Place) -> None:
    source = (
        '// rustimport:cffi\n//: [dependencies]\n//: pyo3 = "0.22"\n'
        '#[no_mangle]\npub extern "C" fn value() -> i32 { 42 }\n'
    )
    place.write("m.rs", source)
    hint = hint_of(place.python("import m").stderr)
    newer = re.search(r"such as `pyo3 = \"(0\.\d+)\"`", hint)
    assert newer is not None, hint
    place.write("m.rs", source.replace("0.22", newer[1]))
    assert place.python("import m; print(m.value())").out == "42"
