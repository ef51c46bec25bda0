"""What users of both predecessors do, and errors that help them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import projects
from tests.build.test_projects import Environment, edit
from tests.conftest import Place

MODULE = """\
use pyo3::prelude::*;

#[pyfunction]
fn value() -> i32 {{ {value} }}

#[pymodule]
fn m(module: &Bound<'_, PyModule>) -> PyResult<()> {{
    module.add_function(wrap_pyfunction!(value, module)?)
}}
"""


def test_syntax_error_in_a_module_without_a_marker(place: Place) -> None:
    """The source is recognized as a module without a marker, and the compiler reports the error."""
    place.write("m.rs", MODULE.format(value="1 +"))
    run = place.python("import m")
    assert "BuildError: m.rs does not compile" in run.stderr
    assert "expected expression" in run.stderr
    place.write("m.rs", MODULE.format(value=1))
    run = place.python(
        """
        import importlib, m, pathlib
        path = pathlib.Path("m.rs")
        text = path.read_text()
        path.write_text(text.replace("{ 1 }", "{ 1 + }"))
        try: importlib.reload(m)
        except ImportError as error: print(type(error).__name__)
        path.write_text(text.replace("{ 1 }", "{ 2 }"))
        print(m.value(), importlib.reload(m).value())
        """
    )
    assert run.out.splitlines() == ["BuildError", "1 2"]


@pytest.mark.parametrize(
    "pyo3",
    [
        pytest.param('"0.24"', marks=pytest.mark.skipif(sys.version_info >= (3, 14), reason="pyo3 0.24 knows no 3.14")),
        '"0.30"',
    ],
)
def test_reload_keeps_the_module_object(environment: Environment, pyo3: str) -> None:
    """Also with versions of pyo3 without multi-phase initialisation, whose modules put themselves in `sys.modules`."""
    layout = projects.LAYOUTS["flat"]
    root = environment.project(layout)
    edit(root / "Cargo.toml", '"0.30"', pyo3)
    (root / "t_flat" / "__init__.py").write_text("from .t_flat import *\nfrom . import t_flat\n")
    environment.develop(root)
    code = f"""
        import importlib, pathlib, sys, t_flat
        import t_flat.t_flat as inner
        path = pathlib.Path({str(root / layout.edited)!r})
        for value in range(2, 5):
            text = path.read_text().replace({projects.EDITED!r}, "1")
            path.write_text(text.replace("{{ %d }}" % (value - 1), "{{ %d }}" % value))
            importlib.reload(t_flat)
            print(value, t_flat.value(), t_flat.t_flat.value(), inner.value(), sys.modules["t_flat.t_flat"] is inner)
    """
    assert environment.run(code).out.splitlines() == [f"{value} {value} {value} {value} True" for value in (2, 3, 4)]


def test_script_and_project_with_one_name(environment: Environment) -> None:
    """The first one on `sys.path` is imported, and only that is built. A reload stays with what was imported."""
    layout = projects.LAYOUTS["flat"]
    root = environment.project(layout)
    environment.develop(root)
    assert environment.run(layout.code).out == "1"
    edit(root / layout.edited, projects.EDITED, "2")
    script = "// rustimport:pyo3\n#[pyfunction]\nfn value() -> i32 { 10 }\n"
    environment.place.write("elsewhere/t_flat.rs", script)
    code = "import importlib, t_flat; print(t_flat.value(), importlib.reload(t_flat).value(), t_flat.__file__)"
    run = environment.run(code)
    assert run.out.startswith("10 10 ")
    assert "t_flat.rs" not in run.out
    assert run.builds == 1
    # The reverse: the project is imported before the script exists.
    (environment.place.folder / "elsewhere" / "t_flat.rs").unlink()
    code = f"""
        import importlib, pathlib, t_flat
        before = t_flat.value()
        pathlib.Path("t_flat.rs").write_text({script!r})
        importlib.invalidate_caches()
        print(before, importlib.reload(t_flat).value(), t_flat.__file__)
    """
    run = environment.run(code)
    assert run.out == f"2 2 {root}/t_flat/__init__.py"
    assert run.builds == 1


def test_a_package_with_a_name_of_the_standard_library(place: Place) -> None:
    """Python finds the package in the working folder first, so its modules are not the standard library's."""
    place.write("profile/__init__.py", "")
    place.write("profile/m.rs", MODULE.format(value=3))
    assert place.python("import profile.m; print(profile.m.value())").out == "3"


def test_reload_of_an_object_without_a_loader(place: Place) -> None:
    """Python reloads any object with a name, also without a loader."""
    run = place.python(
        """
        import importlib, sys, types
        proxy = sys.modules["colorsys"] = types.SimpleNamespace(__name__="colorsys", __spec__=None)
        importlib.reload(proxy)
        print(proxy.rgb_to_hsv(0, 0, 0))
        """
    )
    assert run.out == "(0.0, 0.0, 0)"


def test_features_of_a_script(place: Place) -> None:
    place.write("m.rs", MODULE.format(value='if cfg!(feature = "extra") { 2 } else { 1 }'))
    install = "rustimport.install(settings=rustimport.MaturinSettings(features={}))"
    for features, value in ((None, 1), (["extra"], 2), (["extra", "other"], 2)):
        assert place.python(f"{install.format(features)}; import m; print(m.value())").out == str(value)
    settings = "rustimport.MaturinSettings.from_args(['--features', 'a b,c'])"
    assert place.python(f"print({settings}.features)").out == "['a', 'b', 'c']"


def test_subclass_that_extends_the_generated_project(place: Place) -> None:
    """A subclass that adds to the project that the hook generates."""
    place.write(
        "m.rs", MODULE.format(value="helper()") + 'fn helper() -> i32 { env!("CARGO_PKG_DESCRIPTION").len() as i32 }\n'
    )
    run = place.python(
        """
        import sys
        from rustimport.rust_file_importer import MaturinRustFileImporter

        class Importer(MaturinRustFileImporter):
            def generate_project_for_single_rust_file(self, module_path, project_dir, rust_file, settings):
                folder = super().generate_project_for_single_rust_file(module_path, project_dir, rust_file, settings)
                manifest = folder / "Cargo.toml"
                manifest.write_text(manifest.read_text().replace("[package]", "[package]\\ndescription = 'four'"))
                return folder

        sys.meta_path.insert(0, Importer())
        import m
        print(m.value())
        """,
        hook=False,
    )
    assert run.out == "4", run.stderr


def test_default_project_file_searcher(place: Place) -> None:
    for file in ("project/src/lib.rs", "project/ignored/.maturin_hook_ignore", "project/ignored/x.rs", "project/a.TXT"):
        place.write(file, "")
    place.write("package/__init__.py", "")
    place.write("package/x.so", "")
    run = place.python(
        """
        from pathlib import Path
        from rustimport.project_importer import DefaultProjectFileSearcher

        searcher = DefaultProjectFileSearcher(source_excluded_file_extensions=[".txt"])
        root, package = Path("project"), Path("package")
        print([str(path) for path in searcher.get_source_paths(root, [], package)])
        print([str(path) for path in searcher.get_installation_paths(package)])
        print(list(searcher.get_installation_paths(Path("missing"))))
        try: list(searcher.get_source_paths(Path("missing"), [], package))
        except FileNotFoundError: print("missing")
        """
    )
    assert run.out.splitlines() == [
        "['project/src/lib.rs']",
        "['package/__init__.py', 'package/x.so']",
        "[]",
        "missing",
    ]


def test_reset_logger(place: Place) -> None:
    place.write("m.rs", MODULE.format(value=1))
    assert "building m" in place.python("import m").stderr
    place.write("m.rs", MODULE.format(value=2))
    assert place.python("rustimport.reset_logger(); import m").stderr == ""
    place.write("m.rs", MODULE.format(value=3))
    run = place.python("rustimport.reset_logger(); import logging; logging.basicConfig(level='INFO'); import m")
    assert "INFO:rustimport:built m" in run.stderr


def test_pickle_and_documentation(place: Place) -> None:
    place.write(
        "m.rs",
        """\
        //! rustimport:pyo3
        //! A module with a point.
        //!
        //! And more.

        #[pyclass(from_py_object)]
        #[derive(Clone)]
        struct Point { #[pyo3(get)] x: i32 }

        #[pymethods]
        impl Point {
            #[new]
            fn new(x: i32) -> Self { Self { x } }
            fn __getnewargs__(&self) -> (i32,) { (self.x,) }
        }
        """,
    )
    code = """
        import inspect, m, pickle
        print(m.Point.__module__, pickle.loads(pickle.dumps(m.Point(3))).x)
        print(inspect.getdoc(m))
    """
    assert place.python(code).out == "m 3\nA module with a point.\n\nAnd more."


@pytest.mark.skipif(shutil.which("gdb") is None, reason="needs gdb")
def test_breakpoints(place: Place) -> None:
    """A breakpoint can be set with the path of the file, or with its name only."""
    source = place.write(
        "m.rs",
        """\
        // rustimport:pyo3
        //: [profile.dev]
        //: debug = true

        #[pyfunction]
        fn double(x: i32) -> i32 {
            let y = x * 2;
            y
        }
        """,
    )
    assert place.python("import m; print(m.double(2))").out == "4"
    code = "import rustimport; rustimport.install(); import m; print(m.double(2))"
    for where in (f"{source}:7", "m.rs:7"):
        commands = ("set breakpoint pending on", f"break {where}", "run", "print x")
        gdb = ["gdb", "-batch", *(word for command in commands for word in ("-ex", command))]
        done = subprocess.run(
            [*gdb, "--args", sys.executable, "-c", code],
            cwd=place.folder,
            env=place.env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert "$1 = 2" in done.stdout, done.stdout + done.stderr


FOREIGN = '{ #[link(name = "nosuchthing")] unsafe extern "C" { fn nothing(); } unsafe { nothing() }; 1 }'


@pytest.mark.parametrize(
    ("code", "variables", "words"),
    [
        ("1", {"RUSTFLAGS": "-C linker=no-such-linker"}, "apt install gcc"),
        (FOREIGN, {}, "libnosuchthing-dev"),
    ],
)
def test_linker_errors(place: Place, code: str, variables: dict[str, str], words: str) -> None:
    place.write("m.rs", MODULE.format(value=code))
    run = place.python("import m", **variables)  # type: ignore[arg-type]
    assert "m.rs cannot be linked" in run.stderr
    assert words in run.stderr
    assert "fix the error" not in run.stderr


def test_sources_for_an_older_pyo3(place: Place) -> None:
    place.write(
        "m.rs",
        """\
        use pyo3::prelude::*;

        #[pymodule]
        fn m(_py: Python, module: &PyModule) -> PyResult<()> { Ok(()) }
        """,
    )
    run = place.python("import m")
    assert '//: pyo3 = { version = "0.22", features = ["gil-refs"] }' in run.stderr
    place.write("n.rs", '// rustimport:pyo3\n//: [dependencies]\n//: numpy = "0.22"\n//: pyo3 = "0.30"\n')
    run = place.python("import n")
    assert "a library can have one version of pyo3: " in run.stderr
    assert "`numpy` requires ^0.22" in run.stderr


def test_a_project_whose_module_has_another_name(environment: Environment) -> None:
    layout = projects.LAYOUTS["pure"]
    root = environment.project(layout)
    environment.develop(root)
    # The second name begins with the right one.
    for before, name in (("t_pure", "another"), ("another", "t_pure_new")):
        edit(root / layout.edited, f"mod {before}", f"mod {name}")
        run = environment.run(layout.code)
        assert "does not define the module `t_pure` (no `PyInit_t_pure` in the library)" in run.stderr
        assert "building t_pure failed after" in run.stderr
    edit(root / layout.edited, "mod t_pure_new", '#[pyo3(name = "t_pure")]\nmod t_pure_new')
    assert environment.run(layout.code).out == "1"


def test_project_with_cache_keys_of_uv(environment: Environment) -> None:
    layout = projects.LAYOUTS["pure"]
    root = environment.project(layout)
    with (root / "pyproject.toml").open("a") as file:
        file.write('\n[tool.uv]\ncache-keys = [{ file = "pyproject.toml" }, { file = "src/**/*.rs" }]\n')
    environment.develop(root)
    # The first import adopts what is installed.
    assert environment.run(layout.code).out == "1"
    edit(root / layout.edited, projects.EDITED, "2")
    assert "remove the entry for `*.rs` files" in environment.run(layout.code).stderr
    edit(root / layout.edited, "{ 2 }", "{ 3 }")
    assert "cache-keys" not in environment.run(layout.code).stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_cache_on_a_noexec_file_system(place: Place, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "noexec", "tmpfs", str(folder)], check=False)
    if mounted.returncode:
        pytest.skip("nothing can be mounted here")
    try:
        place.write("m.rs", MODULE.format(value=1))
        run = place.python("import m", RUSTIMPORT_CACHE_DIR=str(folder))
        assert "mounted `noexec`: set RUSTIMPORT_CACHE_DIR" in run.stderr, run.stderr
    finally:
        subprocess.run(["umount", str(folder)], check=True)
