"""Without network access, builds use the packages that are on the machine, and missing packages are named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Place

#: No proxy listens on this port.
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
    """A cache without resolved versions, on a machine that has the package."""
    place.write("m.rs", SCRIPT.format(name="itoa", version="1"))
    assert place.python("import m").returncode == 0
    return str(tmp_path / "cache")


def test_offline_builds_use_downloaded_packages(place: Place, empty_cache: str) -> None:
    run = place.python("import m; print(m)", RUSTIMPORT_CACHE_DIR=empty_cache, **NO_NETWORK)
    assert "module 'm'" in run.out
    notices = [line for line in run.stderr.splitlines() if "registry" in line]
    assert notices == ["rustimport: m.rs: the registry cannot be reached: built with what is on this machine"]
    # The next build does not need the network.
    place.write("m.rs", SCRIPT.format(name="itoa", version="1") + "\n")
    run = place.python("import m", RUSTIMPORT_CACHE_DIR=empty_cache, **NO_NETWORK)
    assert (run.builds, "registry" in run.stderr) == (1, False)


@pytest.mark.parametrize(
    ("name", "version", "missing"),
    [("rustimport-nobody-has-this", "1", "rustimport-nobody-has-this"), ("itoa", "99", 'itoa = "^99"')],
)
def test_missing_packages_are_named(place: Place, empty_cache: str, name: str, version: str, missing: str) -> None:
    place.write("m.rs", SCRIPT.format(name=name, version=version))
    run = place.python("import m", RUSTIMPORT_CACHE_DIR=empty_cache, **NO_NETWORK)
    expected = f"m.rs could not be built: `{missing}` is not on this machine, and the registry cannot be reached"
    assert f"BuildError: {expected}\n" in run.stderr
    assert "hint: a dependency has to be downloaded" in run.stderr
    assert run.builds == 3


def test_messages_in_a_source_are_not_taken_for_network_errors(place: Place) -> None:
    place.write("offline/m.rs", '// rustimport:pyo3\n#[pyfunction]\nfn f() -> i32 { "Connection refused" }\n')
    run = place.python("import sys; sys.path.insert(0, 'offline'); import m")
    assert "m.rs does not compile (1 error)" in run.stderr
    assert "hint: fix the error" in run.stderr
    assert run.builds == 1


def test_a_failed_download_is_retried(place: Place, empty_cache: str, tmp_path: Path) -> None:
    """One failed download does not mean that the network is unavailable."""
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


def test_vendored_packages(place: Place, tmp_path: Path) -> None:
    """The versions that other scripts use are only suggestions: a folder that replaces the registry may lack them."""
    place.env["RUSTIMPORT_CACHE_DIR"] = str(tmp_path / "cache")

    def vendored(folder: str, version: str, required: str) -> None:
        package = f"{folder}/vendor/tiny"
        place.write(f"{package}/Cargo.toml", f'[package]\nname = "tiny"\nversion = "{version}"\nedition = "2021"\n')
        place.write(f"{package}/src/lib.rs", f'pub const VERSION: &str = "{version}";')
        place.write(f"{package}/.cargo-checksum.json", '{"files": {}, "package": "%s"}' % (version[-1] * 64))
        replaced = f'[source.crates-io]\nreplace-with = "v"\n[source.v]\ndirectory = "{place.folder}/{folder}/vendor"\n'
        place.write(f"{folder}/.cargo/config.toml", replaced)
        place.write(
            f"{folder}/m_{folder}.rs",
            f"""
            // rustimport
            //: [dependencies]
            //: tiny = "{required}"
            #[no_mangle]
            pub extern "C" fn PyInit_m_{folder}() -> *mut std::ffi::c_void {{
                std::process::exit(tiny::VERSION.bytes().last().unwrap() as i32)
            }}
            """,
        )

    vendored("newer", "1.0.1", "1")
    vendored("older", "1.0.0", "1")
    vendored("none", "1.0.2", "2")
    for folder, version in (("newer", "1"), ("older", "0")):
        run = place.python(f"import sys; sys.path.insert(0, {folder!r}); import m_{folder}")
        assert run.returncode == ord(version), run.stderr
        assert "failed" not in run.stderr
    run = place.python("import sys; sys.path.insert(0, 'none'); import m_none")
    assert "hint: cargo's configuration replaces the registry" in run.stderr
