"""Without the network, what is on the machine is enough; and what is missing is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Place

#: Nobody listens there.
NO_NETWORK: dict[str, Any] = {"CARGO_HTTP_PROXY": "http://127.0.0.1:9", "CARGO_NET_RETRY": "0"}

SCRIPT = """\
// rustimport
//: [dependencies]
//: {name} = "{version}"
//: pyo3-ffi = "0.30"
use pyo3_ffi::*;
use std::ptr::{{null, null_mut}};

static mut MODULE: PyModuleDef = PyModuleDef {{
    m_base: PyModuleDef_HEAD_INIT,
    m_name: c"m".as_ptr(),
    m_doc: null(),
    m_size: 0,
    m_methods: null_mut(),
    m_slots: null_mut(),
    m_traverse: None,
    m_clear: None,
    m_free: None,
}};

#[no_mangle]
pub unsafe extern "C" fn PyInit_m() -> *mut PyObject {{
    PyModule_Create(&raw mut MODULE)
}}
"""


@pytest.fixture
def empty_cache(place: Place, tmp_path: Path) -> str:
    """A cache that knows no versions, on a machine that has the package."""
    place.write("m.rs", SCRIPT.format(name="itoa", version="1"))
    assert place.python("import m").returncode == 0
    return str(tmp_path / "cache")


def test_what_is_on_the_machine_is_enough(place: Place, empty_cache: str) -> None:
    run = place.python("import m; print(m)", RUSTIMPORT_CACHE_DIR=empty_cache, **NO_NETWORK)
    assert "module 'm'" in run.out
    told = [line for line in run.stderr.splitlines() if "registry" in line]
    assert told == ["rustimport: m.rs: the registry cannot be reached: built with what is on this machine"]
    # Nothing of this is needed again.
    place.write("m.rs", SCRIPT.format(name="itoa", version="1") + "\n")
    run = place.python("import m", RUSTIMPORT_CACHE_DIR=empty_cache, **NO_NETWORK)
    assert (run.builds, "registry" in run.stderr) == (1, False)


@pytest.mark.parametrize(
    ("name", "version", "missing"),
    [("rustimport-nobody-has-this", "1", "rustimport-nobody-has-this"), ("itoa", "99", 'itoa = "^99"')],
)
def test_what_is_missing_is_named(place: Place, empty_cache: str, name: str, version: str, missing: str) -> None:
    place.write("m.rs", SCRIPT.format(name=name, version=version))
    run = place.python("import m", RUSTIMPORT_CACHE_DIR=empty_cache, **NO_NETWORK)
    expected = f"m.rs could not be built: `{missing}` is not on this machine, and the registry cannot be reached"
    assert f"BuildError: {expected}\n" in run.stderr
    assert "hint: a dependency has to be downloaded" in run.stderr
    assert run.builds == 3


def test_words_of_the_users_are_no_network(place: Place) -> None:
    place.write("offline/m.rs", '// rustimport:pyo3\n#[pyfunction]\nfn f() -> i32 { "Connection refused" }\n')
    run = place.python("import sys; sys.path.insert(0, 'offline'); import m")
    assert "m.rs does not compile (1 error)" in run.stderr
    assert "hint: fix the error" in run.stderr
    assert run.builds == 1


def test_a_network_that_comes_back(place: Place, empty_cache: str, tmp_path: Path) -> None:
    """The first failure is no verdict."""
    maturin = tmp_path / "maturin"
    real = place.env["RUSTIMPORT_MATURIN_EXECUTABLE"]
    tried = tmp_path / "tried"
    broken = f"touch {tried}; export CARGO_HTTP_PROXY=http://127.0.0.1:9"
    maturin.write_text(f'#!/bin/sh\nif [ ! -e {tried} ]; then {broken}; fi\nexec {real} "$@"\n')
    maturin.chmod(0o755)
    place.write("m.rs", SCRIPT.format(name="adler32", version="=1.0.4"))
    environment: dict[str, Any] = {"RUSTIMPORT_CACHE_DIR": empty_cache, "RUSTIMPORT_MATURIN_EXECUTABLE": str(maturin)}
    run = place.python("import m; print(m)", **environment)
    assert "module 'm'" in run.out
    assert "cannot be reached" not in run.stderr or run.builds == 2
