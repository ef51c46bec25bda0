"""Minimal projects with every layout and binding that maturin supports.

Each defines ``value()`` in Rust, which returns `{value}`. Tests replace `EDITED` in each of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

EDITED = "1 /* the value */"

PYPROJECT = """\
[build-system]
requires = ["maturin>=1,<2"]
build-backend = "maturin"

[project]
name = "{name}"
version = "1.0"
requires-python = ">=3.10"
"""

CARGO = """\
[package]
name = "{name}"
version = "1.0.0"
edition = "2021"

[lib]
name = "{library}"
crate-type = ["cdylib"]

[dependencies]
pyo3 = {pyo3}
"""

RUST = """\
use pyo3::prelude::*;

#[pyfunction]
fn value() -> i64 {{ {value} }}

#[pymodule]
mod {module} {{
    #[pymodule_export]
    use super::value;
}}
"""


def cargo(name: str, library: str, pyo3: str = '"0.30"', more: str = "") -> str:
    return CARGO.format(name=name, library=library, pyo3=pyo3) + more


def rust(module: str, value: str = EDITED) -> str:
    return RUST.format(module=module, value=value)


def pyproject(name: str, maturin: str = "", more: str = "") -> str:
    return PYPROJECT.format(name=name) + more + (f"\n[tool.maturin]\n{maturin}\n" if maturin else "")


@dataclass
class Layout:
    files: dict[str, str]
    #: Imports the project and prints the value.
    code: str
    #: The file that contains the value.
    edited: str = "src/lib.rs"
    #: The project's folder, relative to that of all its files.
    folder: str = "."
    #: The packages that maturin needs for it.
    needs: list[str] = field(default_factory=list)


def mixed(name: str, package: str, root: str = "", maturin: str = "", **files: str) -> dict[str, str]:
    """A Python package around the extension module."""
    module = package.replace("/", ".").rpartition(".")[2]
    return {
        "Cargo.toml": cargo(name, module),
        "src/lib.rs": rust(module),
        "pyproject.toml": pyproject(name, maturin),
        f"{root}{package}/__init__.py": f"from .{module} import value\n",
        **files,
    }


HELPER = {
    "Cargo.toml": '[package]\nname = "{name}"\nversion = "1.0.0"\nedition = "2021"\n',
    "src/lib.rs": "pub fn helped() -> i64 {{ {value} }}\n",
}


def helper(folder: str, name: str) -> dict[str, str]:
    return {f"{folder}/{path}": text.format(name=name, value=EDITED) for path, text in HELPER.items()}


def using(module: str, helper_name: str) -> str:
    return rust(module, f"{helper_name}::helped()")


def native(package: str, root: str = "python/") -> dict[str, str]:
    """A package whose extension module is called `_native`."""
    return {f"{root}{package}/__init__.py": "from ._native import value\n"}


LAYOUTS: dict[str, Layout] = {
    "pure": Layout(
        {
            "Cargo.toml": cargo("t-pure", "t_pure"),
            "src/lib.rs": rust("t_pure"),
            "pyproject.toml": pyproject("t-pure"),
        },
        "import t_pure; print(t_pure.value())",
    ),
    "flat": Layout(mixed("t-flat", "t_flat"), "import t_flat; print(t_flat.value())"),
    "python-source": Layout(
        mixed("t-source", "t_source", "python/", 'python-source = "python"'), "import t_source; print(t_source.value())"
    ),
    "src-layout": Layout(
        {
            "rust/Cargo.toml": cargo("t-src", "t_src"),
            "rust/src/lib.rs": rust("t_src"),
            "pyproject.toml": pyproject("t-src", 'python-source = "src"\nmanifest-path = "rust/Cargo.toml"'),
            "src/t_src/__init__.py": "from .t_src import value\n",
        },
        "import t_src; print(t_src.value())",
        edited="rust/src/lib.rs",
    ),
    "submodule": Layout(
        {
            "Cargo.toml": cargo("t-sub", "native"),
            "src/lib.rs": rust("_native"),
            "pyproject.toml": pyproject("t-sub-dist", 'python-source = "python"\nmodule-name = "t_sub.inner._native"'),
            "python/t_sub/__init__.py": "",
            **native("t_sub/inner"),
        },
        "import t_sub.inner; print(t_sub.inner.value())",
    ),
    "elsewhere": Layout(
        {
            "crates/native/Cargo.toml": cargo("t-elsewhere", "native"),
            "crates/native/src/lib.rs": rust("_native"),
            "pyproject.toml": pyproject(
                "t-elsewhere",
                'python-source = "python"\nmodule-name = "t_elsewhere._native"\n'
                'manifest-path = "crates/native/Cargo.toml"',
            ),
            **native("t_elsewhere"),
        },
        "import t_elsewhere; print(t_elsewhere.value())",
        edited="crates/native/src/lib.rs",
    ),
    "virtual-workspace": Layout(
        {
            "Cargo.toml": '[workspace]\nresolver = "2"\nmembers = ["members/*"]\n'
            '[workspace.package]\nedition = "2021"\n[workspace.dependencies]\npyo3 = "0.30"\n',
            "members/native/Cargo.toml": cargo(
                "t-virtual", "t_virtual", "{ workspace = true }", 't-virtual-helper = { path = "../helper" }\n'
            ),
            "members/native/src/lib.rs": using("t_virtual", "t_virtual_helper"),
            "members/native/pyproject.toml": pyproject("t-virtual"),
            **helper("members/helper", "t-virtual-helper"),
        },
        "import t_virtual; print(t_virtual.value())",
        edited="members/helper/src/lib.rs",
        folder="members/native",
    ),
    "nested-workspace": Layout(
        {
            **mixed("t-nested", "t_nested"),
            "Cargo.toml": cargo("t-nested", "t_nested", more='t-nested-helper = { path = "helper" }\n')
            + '[workspace]\nmembers = ["helper"]\n',
            "src/lib.rs": using("t_nested", "t_nested_helper"),
            **helper("helper", "t-nested-helper"),
        },
        "import t_nested; print(t_nested.value())",
        edited="helper/src/lib.rs",
    ),
    "inverted-workspace": Layout(
        {
            **helper(".", "t-inverted-core"),
            "Cargo.toml": HELPER["Cargo.toml"].format(name="t-inverted-core") + '[workspace]\nmembers = ["python"]\n',
            "python/Cargo.toml": cargo("t-inverted", "t_inverted", more='t-inverted-core = { path = ".." }\n'),
            "python/src/lib.rs": using("t_inverted", "t_inverted_core"),
            "python/pyproject.toml": pyproject("t-inverted"),
        },
        "import t_inverted; print(t_inverted.value())",
        folder="python",
    ),
    "python-outside": Layout(
        {
            "Cargo.toml": '[workspace]\nresolver = "2"\nmembers = ["crates/*"]\n',
            "crates/py/Cargo.toml": cargo("t-outside", "native"),
            "crates/py/src/lib.rs": rust("_native"),
            "crates/py/pyproject.toml": pyproject(
                "t-outside", 'python-source = "../../python"\nmodule-name = "t_outside._native"'
            ),
            **native("t_outside"),
        },
        "import t_outside; print(t_outside.value())",
        edited="crates/py/src/lib.rs",
        folder="crates/py",
    ),
    "namespace": Layout(
        {
            "Cargo.toml": cargo("t-namespace", "native"),
            "src/lib.rs": rust("_native"),
            "pyproject.toml": pyproject("t-namespace", 'python-source = "python"\nmodule-name = "t_ns.part._native"'),
            **native("t_ns/part"),
        },
        "import t_ns.part; print(t_ns.part.value())",
    ),
    "data": Layout(
        {
            **mixed(
                "t-data",
                "t_data",
                "python/",
                'python-source = "python"\ndata = "extra"\ninclude = [{ path = "NOTES", format = "wheel" }]\n'
                'exclude = ["python/t_data/left_out.py"]',
            ),
            "python/t_data/left_out.py": "",
            "extra/data/share/t_data.txt": "data\n",
            "NOTES": "notes\n",
        },
        "import t_data; print(t_data.value())",
    ),
    "abi3": Layout(
        {
            **mixed("t-abi3", "t_abi3"),
            "Cargo.toml": cargo("t-abi3", "t_abi3", '{ version = "0.30", features = ["abi3-py310"] }'),
        },
        "import t_abi3; print(t_abi3.value())",
    ),
    "grösse mit leerzeichen": Layout(
        mixed("t-umlaut", "t_umlaut", "pythön quelle/", 'python-source = "pythön quelle"'),
        "import t_umlaut; print(t_umlaut.value())",
    ),
    "pyo3-ffi": Layout(
        {
            "Cargo.toml": cargo("t-ffi", "t_ffi").replace("pyo3 =", "pyo3-ffi ="),
            "src/lib.rs": """\
use pyo3_ffi::*;

unsafe extern "C" fn value(_: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    unsafe { PyLong_FromLong(VALUE) }
}

const VALUE: std::os::raw::c_long = 1 /* the value */;

static mut METHODS: [PyMethodDef; 2] = [
    PyMethodDef {
        ml_name: c"value".as_ptr(),
        ml_meth: PyMethodDefPointer { PyCFunction: value },
        ml_flags: METH_NOARGS,
        ml_doc: std::ptr::null(),
    },
    PyMethodDef::zeroed(),
];

static mut MODULE: PyModuleDef = PyModuleDef {
    m_base: PyModuleDef_HEAD_INIT,
    m_name: c"t_ffi".as_ptr(),
    m_doc: std::ptr::null(),
    m_size: 0,
    m_methods: &raw mut METHODS as *mut PyMethodDef,
    m_slots: std::ptr::null_mut(),
    m_traverse: None,
    m_clear: None,
    m_free: None,
};

#[allow(non_snake_case, static_mut_refs)]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PyInit_t_ffi() -> *mut PyObject {
    unsafe { PyModuleDef_Init(&raw mut MODULE) }
}
""",
            "pyproject.toml": pyproject("t-ffi"),
        },
        "import t_ffi; print(t_ffi.value())",
    ),
    "cffi": Layout(
        {
            "Cargo.toml": cargo("t-cffi", "t_cffi").partition("[dependencies]")[0],
            "src/lib.rs": '#[unsafe(no_mangle)]\npub extern "C" fn value() -> i64 { 1 /* the value */ }\n',
            "pyproject.toml": pyproject("t-cffi", 'bindings = "cffi"'),
        },
        "from t_cffi import lib; print(lib.value())",
        needs=["cffi"],
    ),
    "cffi-mixed": Layout(
        {
            "Cargo.toml": cargo("t-cffi-mixed", "native").partition("[dependencies]")[0],
            "src/lib.rs": '#[unsafe(no_mangle)]\npub extern "C" fn value() -> i64 { 1 /* the value */ }\n',
            "pyproject.toml": pyproject(
                "t-cffi-mixed",
                'bindings = "cffi"\nmodule-name = "t_cffi_mixed._native"\npython-source = "python"',
            ),
            "python/t_cffi_mixed/__init__.py": "from ._native import lib\n",
        },
        "import t_cffi_mixed; print(t_cffi_mixed.lib.value())",
        needs=["cffi"],
    ),
    "uniffi": Layout(
        {
            "Cargo.toml": cargo("t-uniffi", "t_uniffi").partition("[dependencies]")[0]
            + '[[bin]]\nname = "uniffi-bindgen"\npath = "src/bindgen.rs"\n\n'
            '[dependencies]\nuniffi = { version = "0.29", features = ["cli"] }\n',
            "src/bindgen.rs": "fn main() {\n    uniffi::uniffi_bindgen_main()\n}\n",
            "src/lib.rs": "uniffi::setup_scaffolding!();\n\n"
            "#[uniffi::export]\nfn value() -> i64 {\n    1 /* the value */\n}\n",
            "pyproject.toml": pyproject("t-uniffi", 'bindings = "uniffi"'),
        },
        "import t_uniffi; print(t_uniffi.value())",
    ),
    "uniffi-mixed": Layout(
        {
            "Cargo.toml": cargo("t-uniffi-mixed", "t_uniffi_mixed").partition("[dependencies]")[0]
            + '[[bin]]\nname = "uniffi-bindgen"\npath = "src/bindgen.rs"\n\n'
            '[dependencies]\nuniffi = { version = "0.29", features = ["cli"] }\n',
            "src/bindgen.rs": "fn main() {\n    uniffi::uniffi_bindgen_main()\n}\n",
            "src/lib.rs": "uniffi::setup_scaffolding!();\n\n"
            "#[uniffi::export]\nfn value() -> i64 {\n    1 /* the value */\n}\n",
            "pyproject.toml": pyproject("t-uniffi-mixed", 'bindings = "uniffi"\npython-source = "python"'),
            "python/t_uniffi_mixed/__init__.py": "from .t_uniffi_mixed import *\n",
        },
        "import t_uniffi_mixed; print(t_uniffi_mixed.value())",
    ),
    "bin": Layout(
        {
            "Cargo.toml": '[package]\nname = "t-bin"\nversion = "1.0.0"\nedition = "2021"\n',
            "src/main.rs": 'fn main() { println!("{}", 1 /* the value */); }\n',
            "pyproject.toml": pyproject("t-bin", 'bindings = "bin"\npython-source = "python"\nmodule-name = "t_bin"'),
            "python/t_bin/__init__.py": "import subprocess, sys, os\n"
            "program = os.path.join(os.path.dirname(sys.executable), 't-bin')\n"
            "print(subprocess.check_output([program], text=True).strip())\n",
        },
        "import t_bin",
        edited="src/main.rs",
    ),
}
