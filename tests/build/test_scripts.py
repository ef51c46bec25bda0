"""Scripts of every form can be imported, and errors refer to the user's own file."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.conftest import Place

FORMS = {
    "template": """
        // rustimport:pyo3
        use pyo3::prelude::*;
        #[pyfunction]
        fn value() -> i32 { 42 }
    """,
    "template_without_prelude": """
        // rustimport:pyo3
        #[pyfunction]
        fn value() -> i32 { 42 }
    """,
    "module_function": """
        // rustimport
        //: [dependencies]
        //: pyo3 = "0.30"
        use pyo3::prelude::*;
        #[pyfunction]
        fn value() -> i32 { 42 }
        #[pymodule]
        fn m(module: &Bound<'_, PyModule>) -> PyResult<()> {
            module.add_function(wrap_pyfunction!(value, module)?)
        }
    """,
    "module_function_without_prelude": """
        // rustimport:pyo3
        #[pyfunction]
        fn value() -> i32 { 42 }
        #[pymodule]
        fn m(module: &Bound<'_, PyModule>) -> PyResult<()> {
            module.add_function(wrap_pyfunction!(value, module)?)
        }
    """,
    "no_marker_module": """
        use pyo3::prelude::*;
        #[pymodule]
        mod m {
            use pyo3::prelude::*;
            #[pyfunction]
            fn value() -> i32 { 42 }
        }
    """,
    "no_marker_renamed_module": """
        use pyo3::prelude::*;
        #[pymodule]
        #[pyo3(name = "m")]
        fn anything(module: &Bound<'_, PyModule>) -> PyResult<()> { module.add("value", Value {}) }
        #[pyclass]
        struct Value {}
        #[pymethods]
        impl Value { fn __call__(&self) -> i32 { 42 } }
    """,
    "inner_attributes": """
        //! rustimport:pyo3 with documentation of its own
        #![allow(dead_code)]
        mod helper;
        mod inline { pub mod deep; }
        const TEXT: &str = concat!(include_str!("text.txt"), "");
        #[pyfunction]
        fn value() -> i32 { helper::VALUE + inline::deep::VALUE + TEXT.len() as i32 }
    """,
    "helper_modules_and_includes": """
        // rustimport:pyo3
        mod helper;
        mod inline { pub mod deep; }
        #[pyfunction]
        fn value() -> i32 { helper::VALUE + inline::deep::VALUE + include_str!("text.txt").len() as i32 }
    """,
    "path_dependency": """
        // rustimport:pyo3
        //: [dependencies]
        //: helper = { path = "crates/helper" }
        #[pyfunction]
        fn value() -> i32 { helper::value() }
    """,
    "attributes_around": """
        // rustimport:pyo3
        use pyo3::prelude::*;
        /// Documentation.
        #[must_use]
        #[pyo3::pyfunction]
        #[pyo3(signature = (n = 42), name = "value")]
        pub(crate) fn named_otherwise<'py>(py: Python<'py>, n: i32) -> Bound<'py, PyAny> {
            n.into_pyobject(py).unwrap().into_any()
        }
        #[cfg(any())]
        #[pyfunction]
        fn never() -> NoSuchType { }
        #[cfg_attr(all(), pyfunction)]
        fn sometimes() -> i32 { 1 }
        #[pyclass(eq, eq_int)]
        #[derive(PartialEq, Clone)]
        enum Colour { Red, Green }
        mod nested { use pyo3::prelude::*; #[pyfunction] pub fn deep() -> i32 { 2 } }
    """,
    "ffi": """
        // rustimport
        //: [dependencies]
        //: pyo3-ffi = "0.30"
        use pyo3_ffi::*;
        use std::ptr;
        unsafe extern "C" fn value(_: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
            unsafe { PyLong_FromLong(42) }
        }
        static mut METHODS: [PyMethodDef; 2] = [
            PyMethodDef { ml_name: c"value".as_ptr(), ml_meth: PyMethodDefPointer { PyCFunction: value },
                          ml_flags: METH_NOARGS, ml_doc: ptr::null() },
            PyMethodDef::zeroed(),
        ];
        static mut MODULE: PyModuleDef = PyModuleDef {
            m_base: PyModuleDef_HEAD_INIT, m_name: c"m".as_ptr(), m_doc: ptr::null(), m_size: 0,
            m_methods: &raw mut METHODS as *mut PyMethodDef, m_slots: ptr::null_mut(),
            m_traverse: None, m_clear: None, m_free: None,
        };
        #[no_mangle]
        pub unsafe extern "C" fn PyInit_m() -> *mut PyObject { unsafe { PyModule_Create(&raw mut MODULE) } }
    """,
    "build_script": """
        // rustimport:pyo3
        //: [package]
        //: build = "make_value.rs"
        include!(concat!(env!("OUT_DIR"), "/value.rs"));
        #[pyfunction]
        fn value() -> i32 { VALUE }
    """,
    "tests_and_main_are_left_alone": """
        // rustimport:pyo3
        #[pyfunction]
        fn value() -> i32 { 42 }
        #[allow(dead_code)]
        fn main() {}
        #[cfg(test)]
        mod tests { #[test] fn works() { } }
    """,
}


def write_helpers(place: Place) -> None:
    place.write("helper.rs", "pub const VALUE: i32 = 20;\n")
    place.write("inline/deep.rs", "pub const VALUE: i32 = 17;\n")
    place.write("text.txt", "12345")
    place.write("crates/helper/Cargo.toml", '[package]\nname = "helper"\nversion = "0.1.0"\nedition = "2021"\n')
    place.write("crates/helper/src/lib.rs", "pub fn value() -> i32 { 42 }\n")
    place.write(
        "make_value.rs",
        """
        fn main() {
            println!("cargo:rerun-if-changed=none");
            let path = std::path::Path::new(&std::env::var("OUT_DIR").unwrap()).join("value.rs");
            std::fs::write(path, "const VALUE: i32 = 42;").unwrap();
        }
        """,
    )


@pytest.mark.parametrize("form", FORMS)
def test_form(place: Place, form: str) -> None:
    write_helpers(place)
    place.write("m.rs", FORMS[form])
    run = place.python("import m; print(m.value())")
    assert (run.out, run.builds) == ("42", 1)
    assert "warning" not in run.stderr
    again = place.python("import m, sys; print(m.value(), 'rustimport._core' in sys.modules)")
    assert (again.out, again.builds, again.stderr) == ("42 False", 0, "")


def test_exports(place: Place) -> None:
    place.write("m.rs", FORMS["attributes_around"])
    run = place.python("import m; print(sorted(n for n in dir(m) if n[0] != '_'), m.Colour.Red == m.Colour.Red)")
    assert run.out == "['Colour', 'deep', 'sometimes', 'value'] True"


def test_packages_and_names(place: Place) -> None:
    """Scripts in packages, relative and in namespaces; names that are equal, those of crates, or start with a digit."""
    source = '// rustimport:pyo3\n#[pyfunction]\nfn where_() -> &\'static str {{ "{}" }}\n'
    place.write("pkg/__init__.py", "from . import fast\nfrom .fast import where_\n")
    for name in ("pkg/fast", "space/fast", "fast", "core", "pyo3", "test_3d"):
        place.write(f"{name}.rs", source.format(name))
    run = place.python(
        """
        import pkg, space.fast, fast, core, pyo3, test_3d
        print(pkg.where_(), space.fast.where_(), fast.where_(), core.where_(), pyo3.where_(), test_3d.where_())
        print(pkg.fast.__name__, pkg.fast.__spec__.parent, pkg.fast is not fast)
        """
    )
    assert run.out.splitlines() == ["pkg/fast space/fast fast core pyo3 test_3d", "pkg.fast pkg True"]
    assert run.builds == 6


def test_paths_with_spaces_and_letters(place: Place) -> None:
    place.folder = place.folder / "größe mit leer"
    write_helpers(place)
    place.write("m.rs", FORMS["inner_attributes"])
    assert place.python("import m; print(m.value())").out == "42"


def test_dependencies_are_real_and_shared(place: Place) -> None:
    """Dependencies that were compiled for one script are not recompiled for the next."""
    source = """
        // rustimport:pyo3
        //: [dependencies]
        //: itoa = "1"
        #[pyfunction]
        fn text(n: i64) -> String {{ itoa::Buffer::new().format(n + {}).to_owned() }}
    """
    place.write("one.rs", source.format(1))
    place.write("two.rs", source.format(2))
    assert place.python("import one; print(one.text(1))").out == "2"
    run = place.python("import two; print(two.text(1))", RUSTIMPORT_VERBOSE="1")
    assert run.out == "3"
    compiled = [
        line.split()[3]
        for line in run.stderr.splitlines()
        if line.startswith("rustimport: maturin: ") and " Compiling " in line
    ]
    assert len(compiled) == 1, run.stderr
    assert compiled[0].startswith("two_")


def test_the_source_folder_stays_clean(place: Place) -> None:
    write_helpers(place)
    before = sorted(place.folder.rglob("*"))
    place.write("m.rs", FORMS["path_dependency"])
    assert place.python("import m; print(m.value())").out == "42"
    assert sorted(place.folder.rglob("*")) == sorted([*before, place.folder / "m.rs"])


@pytest.mark.parametrize("inner", ["", "#![allow(unused)]\n"])
def test_diagnostics_name_the_users_file(place: Place, inner: str) -> None:
    lines = inner.count("\n")
    place.write("m.rs", f'// rustimport:pyo3\n{inner}#[pyfunction]\nfn value() -> i32 {{\n    "no"\n}}\n')
    run = place.python(
        """
        import pickle
        try:
            import m
        except ImportError as e:
            error = pickle.loads(pickle.dumps(e))
        d = error.diagnostics[0]
        print(type(error).__name__, error.name, error.path, error.returncode != 0, error.command[1])
        print(d.level, d.code, d.file, d.line, d.column)
        print(error.rendered)
        """
    )
    first, second, *rendered = run.out.splitlines()
    path = place.folder / "m.rs"
    assert first == f"BuildError m {path} True build"
    assert second == f"error E0308 {path} {4 + lines} 5"
    assert rendered[0] == "error[E0308]: mismatched types"
    assert f"m.rs:{4 + lines}:5" in run.stdout
    assert run.stderr.count("E0308") == 0


def test_an_error_in_a_helper_names_the_helper(place: Place) -> None:
    place.write("m.rs", "// rustimport:pyo3\nmod helper;\n")
    place.write("helper.rs", "\npub fn f() { nonsense }\n")
    run = place.python(
        "try:\n    import m\nexcept ImportError as e:\n    print(e.diagnostics[0].file, e.diagnostics[0].line)"
    )
    assert run.out == f"{place.folder / 'helper.rs'} 2"


@pytest.mark.parametrize("inner", ["", "#![allow(unused)]\n"])
def test_panics_name_the_users_file(place: Place, inner: str) -> None:
    place.write("m.rs", f'// rustimport:pyo3\n{inner}#[pyfunction]\nfn value() {{\n    panic!("oh")\n}}\n')
    run = place.python("import m\ntry:\n    m.value()\nexcept BaseException as e:\n    print(type(e).__name__)")
    assert run.out == "PanicException"
    assert f"panicked at m.rs:{4 + inner.count(chr(10))}:5" in run.stderr
    assert str(place.folder) not in run.stderr


def test_artifacts_do_not_contain_the_path_of_the_sources(place: Place) -> None:
    write_helpers(place)
    place.write("m.rs", FORMS["helper_modules_and_includes"])
    artifact = Path(place.python("import m; print(m.__file__)").out)
    assert str(place.folder).encode() not in artifact.read_bytes()


def test_warnings_are_shown_once(place: Place) -> None:
    place.write("m.rs", "// rustimport:pyo3\n#[pyfunction]\nfn value() { let unused = 1; }\n")
    run = place.python("import m")
    assert run.stderr.count("unused variable: `unused`") == 1
    assert "m.rs:3:18" in run.stderr
    assert "generated 1 warning" not in run.stderr
    assert place.python("import m").stderr == ""
    place.write("m.rs", "// rustimport:pyo3\n#[pyfunction]\nfn value() { let other = 1; }\n")
    quiet = place.python("import rustimport; rustimport.install(show_warnings=False); import m", hook=False)
    assert "unused variable" not in quiet.stderr
    assert quiet.builds == 1


def test_messages_of_a_build(place: Place) -> None:
    place.write("m.rs", FORMS["template"])
    run = place.python("import m")
    first, second = run.stderr.splitlines()
    assert first == "rustimport: building m (first build)"
    assert second.startswith("rustimport: built m in ")
    assert second.endswith(" s")


def test_logging(place: Place) -> None:
    place.write("m.rs", FORMS["template"])
    code = "import rustimport.import_hook, logging; logging.basicConfig(level=logging.DEBUG); import m"
    run = place.python(code, hook=False)
    assert run.stderr.count("building m (first build)") == 1
    for part in ("DEBUG:rustimport:", "m.rs is stale: never built", "runs ", "--target", "INFO:rustimport:built m in "):
        assert part in run.stderr
    place.write("m.rs", FORMS["template"] + "// edited\n")
    run = place.python("import logging; logging.basicConfig(level=logging.DEBUG); import m")
    assert run.stderr.splitlines()[0] == "rustimport: building m: `m.rs` changed"
    assert "DEBUG" not in run.stderr
    place.write("m.rs", FORMS["template"])
    code = "rustimport.reset_logger(); import logging; logging.basicConfig(level=logging.DEBUG); import m"
    assert "DEBUG:rustimport:" in place.python(code).stderr
    place.write("m.rs", FORMS["template"] + "// verbose\n")
    run = place.python("import m", RUSTIMPORT_VERBOSE="1", RUST_LOG="maturin=debug")
    assert "rustimport: runs " in run.stderr
    assert "resolve_cargo_metadata" in run.stderr
    assert place.python("import m").builds == 0


def test_import_hook_module_reports_builds_without_logging(place: Place) -> None:
    place.write("m.rs", FORMS["template"])
    run = place.python("import rustimport.import_hook; import m", hook=False)
    assert run.stderr.startswith("rustimport: building m (first build)\nrustimport: built m")


def test_explicit_imports_need_no_marker(place: Place) -> None:
    source = FORMS["no_marker_module"].replace("mod m", "mod plain").replace("#[pymodule]", "#[ pymodule ]")
    place.write("sub/plain.rs", "// nothing special\n" + source)
    place.write("lib.rs", "// no module\nfn f() {}\n")
    run = place.python(
        """
        import sys, rustimport; sys.path.insert(0, "sub")
        m = rustimport.imp_from_path("./sub/plain.rs")
        assert m is rustimport.imp("plain") is sys.modules["plain"]
        other = rustimport.imp_from_path("sub/plain.rs", fullname="a.plain")
        print(m.value(), other.__name__, m.__name__)
        for call in (lambda: rustimport.imp("nowhere"), lambda: rustimport.imp_from_path("no.rs")):
            try:
                call()
            except (ModuleNotFoundError, FileNotFoundError) as e:
                print(type(e).__name__)
        try:
            rustimport.imp_from_path("lib.rs", opt_in=True)
        except rustimport.errors.ProjectError as e:
            print(e.hint)
        """,
        hook=False,
    )
    assert run.out.splitlines() == [
        "42 a.plain plain",
        "ModuleNotFoundError",
        "FileNotFoundError",
        "write `// rustimport` on its first line, or call with opt_in=False",
    ]


def test_an_explicit_import_does_not_opt_a_source_in(place: Place) -> None:
    place.write("m.rs", 'use pyo3::prelude::*;\n#[pymodule(name = "m")] mod x {}\n')
    place.write("n.rs", "// plain\nmacro_rules! module { () => { #[pyo3::pymodule] mod n {} } }\nmodule!();\n")
    assert place.python("print(rustimport.imp('n').__name__)").out == "n"
    run = place.python("import n")
    assert "ModuleNotFoundError" in run.stderr
    assert place.python("import m; print(m.__name__)").out == "m"


def test_profiles(place: Place) -> None:
    place.write(
        "m.rs",
        "// rustimport:pyo3\n#[pyfunction]\nfn debug() -> bool { cfg!(debug_assertions) }\n",
    )
    code = "import m; print(m.debug())"
    assert place.python(code).out == "True"
    run = place.python(code, RUSTIMPORT_RELEASE_BINARIES="true")
    assert run.out == "False"
    assert "building m: profile changed from `dev` to `release`" in run.stderr
    assert place.python(f"rustimport.settings.profile = 'release'; {code}").builds == 0
    place.write(
        "m.rs",
        "// rustimport:pyo3\n//: [profile.dev]\n//: debug-assertions = false\n"
        "#[pyfunction]\nfn debug() -> bool { cfg!(debug_assertions) }\n",
    )
    assert place.python(code).out == "False"
    place.write("pyproject.toml", '[tool.rustimport]\nprofile = "small"\n')
    run = place.python(code)
    assert "profile changed from `release` to `dev`" not in run.stderr
    assert "profile changed from `dev` to `small`" in run.stderr


def test_version_of_pyo3(place: Place) -> None:
    place.write("pyproject.toml", '[tool.rustimport]\npyo3 = "0.29"\n')
    place.write("m.rs", "// rustimport:pyo3\n")
    run = place.python("import m", RUSTIMPORT_VERBOSE="1")
    assert run.returncode == 0, run.stderr
    lock = (place.entry("m") / "package" / "Cargo.lock").read_text()
    assert 'name = "pyo3"\nversion = "0.29' in lock
    place.write(
        "m.rs",
        "// rustimport:pyo3\n#[pyfunction]\nfn f() { pyo3::Python::with_gil(|_| ()) }\n",
    )
    (place.folder / "pyproject.toml").unlink()
    run = place.python("try:\n    import m\nexcept ImportError as e:\n    print(e.hint)")
    assert run.out.startswith("newer versions of pyo3 have `Python::attach` in place of `with_gil`")
    assert 'name = "pyo3"\nversion = "0.30' in (place.entry("m") / "package" / "Cargo.lock").read_text()


def test_the_first_example_of_the_predecessor(place: Place) -> None:
    """Copied from its documentation, including the example without `use pyo3::prelude::*`."""
    place.write(
        "somecode.rs",
        """\
        // rustimport:pyo3

        use pyo3::prelude::*;

        #[pyfunction]
        fn square(x: i32) -> i32 {
            x * x
        }
        """,
    )
    place.write(
        "dice.rs",
        """\
        // rustimport:pyo3

        // Set the library's version and add a dependency:
        //: [package]
        //: version = "1.2.3"
        //:
        //: [dependencies]
        //: rand = "0.8.5"

        use rand::Rng;

        #[pyfunction]
        fn myfunc() {
            println!("{}", rand::thread_rng().gen_range(0..10))
        }
        """,
    )
    run = place.python(
        "import rustimport.import_hook, somecode, dice; print(somecode.square(9), flush=True); dice.myfunc()",
        hook=False,
    )
    assert run.out.splitlines()[0] == "81"
    assert int(run.out.splitlines()[1]) in range(10)


@pytest.mark.skipif(sys.platform == "win32", reason="needs symbolic links")
def test_a_linked_folder(place: Place) -> None:
    real = place.folder / "real"
    write_helpers(Place(real, place.log))
    (real / "m.rs").write_text("// rustimport:pyo3\nmod helper;\n#[pyfunction]\nfn value() -> i32 { helper::VALUE }\n")
    (place.folder / "link").symlink_to(real)
    code = "import sys; sys.path.insert(0, 'link'); import m; print(m.value())"
    assert place.python(code).out == "20"
    assert place.python(code).builds == 0
    (real / "helper.rs").write_text("pub const VALUE: i32 = 21;\n")
    assert place.python(code).out == "21"
