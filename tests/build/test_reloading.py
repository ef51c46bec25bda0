"""How `importlib.reload` affects scripts and projects, and what it does not change."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import projects
from tests.build.test_projects import Environment, developed, edit
from tests.conftest import Place

TYPES = """\
use pyo3::prelude::*;

#[pyfunction]
fn value() -> i64 {{ 1 /* the value */ }}

#[pyclass(module = "{module}")]
#[derive(Clone)]
struct Thing {{ #[pyo3(get)] number: i64 }}

#[pymethods]
impl Thing {{
    #[new]
    fn new(number: i64) -> Self {{ Self {{ number }} }}

    fn __reduce__(slf: Bound<'_, Self>) -> (Bound<'_, PyAny>, (i64,)) {{
        let kind = slf.get_type().into_any();
        let number = slf.borrow().number;
        (kind, (number,))
    }}

    fn version(&self) -> i64 {{ value() }}
}}

#[pymodule]
mod {name} {{
    #[pymodule_export]
    use super::{{value, Thing}};
}}
"""

#: For a module `m` whose value is 1, and a function `edit(old, new)` that edits its source.
SEMANTICS = """
import importlib, pickle, sys
from m import value as old_value
things = [m.Thing(5)]
pickled = pickle.dumps(things[0])
m.added = "later"
other = sys.modules["other"] = type(sys)("other")
before = set(sys.modules)

assert importlib.reload(m) is m and m.value() == 1
edit("1 /* the value */", "2")
assert importlib.reload(m) is m and sys.modules["m"] is m
assert (m.value(), old_value()) == (2, 1)
assert things[0].version() == 1 and m.Thing(1).version() == 2
loaded = pickle.loads(pickled)
assert type(loaded) is m.Thing and (loaded.number, loaded.version()) == (5, 2)
assert m.added == "later"
assert sys.modules["other"] is other

edit("{ 2 }", "{ missing() }")
try:
    importlib.reload(m)
except ImportError as error:
    print("does not compile" in str(error), bool(error.diagnostics))
assert (m.value(), m.added) == (2, "later")
edit("missing()", "3")
importlib.reload(m)
assert m.value() == 3
# What was loaded before comes again, as something new.
edit("{ 3 }", "{ 2 }")
importlib.reload(m)
assert m.value() == 2
print("done")
"""

EDIT = """
def edit(old, new):
    text = open({path!r}).read()
    assert old in text
    open({path!r}, "w").write(text.replace(old, new))
"""


def test_a_script(place: Place) -> None:
    path = place.write(
        "m.rs",
        "// rustimport\n//: [dependencies]\n" + TYPES.format(module="m", name="m").replace("//: [dependencies]\n", ""),
    )
    run = place.python(EDIT.format(path=str(path)) + "import m\n" + SEMANTICS)
    assert run.out.splitlines() == ["True True", "done"], run.stderr


def test_a_script_that_was_imported_by_its_path(place: Place) -> None:
    path = place.write("else/m.rs", "// rustimport:pyo3\n#[pyfunction]\nfn value() -> i32 { 1 }\n")
    code = f"""
import importlib, pathlib, rustimport
path = pathlib.Path({str(path)!r})
m = rustimport.imp_from_path(path)
path.write_text(path.read_text().replace("1", "2"))
assert importlib.reload(m) is m is rustimport.imp_from_path(path)
print(m.value())
"""
    assert place.python(code).out == "2"


@pytest.mark.parametrize("layout", ["pure", "mixed"])
def test_a_project(place: Place, layout: str) -> None:
    environment = Environment(place)
    files = {
        "Cargo.toml": projects.cargo("t-reload", "m"),
        "pyproject.toml": projects.pyproject("t-reload"),
        "src/lib.rs": TYPES.format(module="m", name="m"),
    }
    if layout == "mixed":
        files["m/__init__.py"] = "from .m import *\nfrom . import other\n"
        files["m/other.py"] = "state = []\n"
    root = environment.project(projects.Layout(files, ""))
    environment.develop(root)
    code = EDIT.format(path=str(root / "src/lib.rs")) + "import m\n"
    if layout == "mixed":
        code += "m.other.state.append(1)\n"
    code += SEMANTICS
    if layout == "mixed":
        code += "assert m.other.state == [1]\n"
    run = environment.run(code)
    assert run.out.splitlines() == ["True True", "done"], run.stderr


def test_the_extension_module_itself(place: Place) -> None:
    environment = Environment(place)
    layout = projects.LAYOUTS["submodule"]
    root = environment.project(layout)
    environment.develop(root)
    code = f"""
        import importlib
        import t_sub.inner
        from t_sub.inner import _native
        path, text = {str(root / "src/lib.rs")!r}, open({str(root / "src/lib.rs")!r}).read()
        open(path, "w").write(text.replace({projects.EDITED!r}, "2"))
        assert importlib.reload(_native) is _native
        print(_native.value(), t_sub.inner.value(), _native.__file__.startswith({str(root)!r}))
        importlib.reload(t_sub.inner)
        print(t_sub.inner.value())
        # The package that an import enters.
        open(path, "w").write(text.replace({projects.EDITED!r}, "3"))
        importlib.reload(t_sub)
        print(_native.value())
    """
    assert environment.run(code).out.splitlines() == ["2 1 True", "2", "3"]


def test_reloading_turned_off(place: Place) -> None:
    environment = Environment(place)
    layout = projects.LAYOUTS["flat"]
    root = environment.project(layout)
    environment.develop(root)
    script: Path = place.write("elsewhere/m.rs", "// rustimport:pyo3\n#[pyfunction]\nfn value() -> i64 { 1 }\n")
    code = f"""
        import importlib
        rustimport.install(enable_reloading=False)
        import m, t_flat
        for path in ({str(script)!r}, {str(root / "src/lib.rs")!r}):
            text = open(path).read()
            open(path, "w").write(text.replace("1", "2"))
        importlib.reload(m)
        importlib.reload(t_flat)
        print(m.value(), t_flat.value())
    """
    run = environment.run(code)
    assert run.out == "1 1", run.stderr
    edit(script, "{ 2 }", "{ 3 }")
    assert environment.run("import m, t_flat; print(m.value(), t_flat.value())").out == "3 2"


def test_reload_changed(place: Place) -> None:
    environment = Environment(place)
    layout = projects.LAYOUTS["submodule"]
    root = environment.project(layout)
    environment.develop(root)
    script = place.write("elsewhere/script.rs", "// rustimport:pyo3\n#[pyfunction]\nfn f() -> i64 { 1 }\n")
    package = root / "python/t_sub/__init__.py"
    package.write_text("from json import loads\n\ndef gone(): ...\n\ndef f(): return 1\n")
    (root / "python/t_sub/other.py").write_text("from json import loads\nfrom t_sub import f, gone\n")
    by_path = place.write("by-path.rs", "use pyo3::prelude::*;\n#[pymodule]\nmod by_path {}\n")
    code = f"""
        import importlib, json, os, script, t_sub.inner, t_sub.other
        by_path = rustimport.imp_from_path({str(by_path)!r}, "by_path")
        assert rustimport.reload_changed() == []

        def edit(path, old, new):
            text = open(path).read()
            assert old in text
            open(path, "w").write(text.replace(old, new))

        edit({str(script)!r}, "1", "2")
        edit({str(by_path)!r}, "{{}}", "{{ #[pymodule_export] const N: u8 = 5; }}")
        edit({str(root / "src/lib.rs")!r}, {projects.EDITED!r}, "2")
        open({str(package)!r}, "w").write("def loads(): ...\\n\\ndef f(): return 2\\n")
        del t_sub.gone
        # Makes the hook read the index of projects again.
        importlib.invalidate_caches()
        import colorsys
        print(*[module.__name__ for module in rustimport.reload_changed()])
        print(script.f(), by_path.N, t_sub.inner.value(), t_sub.other.f())
        # Names from other modules and deleted names are not replaced.
        assert t_sub.other.loads is json.loads and callable(t_sub.other.gone)
        assert rustimport.reload_changed() == []
        # What does not compile keeps nothing else from being reloaded.
        edit({str(script)!r}, "2", "missing()")
        edit({str(root / "src/lib.rs")!r}, "2", "3")
        try:
            rustimport.reload_changed()
        except ImportError as error:
            print(error.name, script.f(), t_sub.inner.value())
        os.remove({str(script)!r})
        print(rustimport.reload_changed(), script.f())
    """
    run = environment.run(code)
    assert run.out.splitlines() == [
        "script by_path t_sub.inner._native t_sub",
        "2 5 2 2",
        "script 2 3",
        "[] 2",
    ], run.stderr


PANICS = """\
// rustimport
use pyo3::prelude::*;
#[pymodule]
mod {name} {{
    #[pymodule_export]
    const VALUE: u8 = {value};

    #[pymodule_init]
    fn init(_module: &super::Bound<'_, super::PyModule>) -> super::PyResult<()> {{
        {init}
    }}
}}
"""


def test_modules_that_panic_or_fail_when_they_are_loaded(place: Place) -> None:
    """The error is raised, the module is not changed, and the next reload tries again."""
    path = place.write("m.rs", PANICS.format(name="m", value=1, init="Ok(())"))
    other = place.write("good.rs", PANICS.format(name="good", value=1, init="Ok(())"))
    place.write("bad.rs", PANICS.format(name="bad", value=1, init='panic!("at once")'))
    code = f"""
        import importlib, traceback, m, good
        def frames(error):
            return [frame.name for frame in traceback.extract_tb(error.__traceback__)]

        try:
            import bad
        except ImportError as error:
            print(type(error).__name__, error.name, error.message, frames(error))
        for value, init in enumerate(('panic!("oh")', 'Err(pyo3::exceptions::PyValueError::new_err("no"))'), 2):
            open({str(path)!r}, "w").write({PANICS!r}.format(name="m", value=2, init=init))
            open({str(other)!r}, "w").write({PANICS!r}.format(name="good", value=value, init="Ok(())"))
            for reload in (rustimport.reload_changed, rustimport.reload_changed, lambda: importlib.reload(m)):
                try:
                    reload()
                except Exception as error:
                    print(type(error).__name__, str(error).splitlines()[0], m.VALUE, good.VALUE)
        open({str(path)!r}, "w").write({PANICS!r}.format(name="m", value=3, init="Ok(())"))
        print(rustimport.reload_changed() == [m], m.VALUE)
    """
    run = place.python(code)
    assert run.out.splitlines() == [
        "RustImportError bad `bad` panicked when it was imported: at once ['<module>']",
        *["RustImportError `m` panicked when it was imported: oh 1 2"] * 3,
        *["ValueError no 1 3"] * 3,
        "True 3",
    ], run.stderr


def test_a_source_that_was_deleted_and_restored(place: Place) -> None:
    """A reload that does not find the source leaves the module without a spec."""
    place.write("m.rs", "// rustimport:pyo3\n#[pyfunction]\nfn value() -> i32 { 1 }\n")
    run = place.python(
        """
        import importlib, os, m
        text = open("m.rs").read()
        os.remove("m.rs")
        try:
            importlib.reload(m)
        except ModuleNotFoundError:
            print(rustimport.reload_changed(), m.value())
        with open("m.rs", "w") as file:
            file.write(text.replace("1 }", "2 }"))
        print(rustimport.reload_changed() == [m], m.value(), m.__spec__.name)
        """
    )
    assert run.out.splitlines() == ["[] 1", "True 2 m"]


@pytest.mark.parametrize("layout", ["pure", "python-source"])
def test_projects_that_are_removed_from_sys_modules(place: Place, layout: str) -> None:
    """As reloaders of web frameworks and documentation tools do, with all modules of a package or only with some."""
    environment = Environment(place)
    found, root = developed(environment, layout)
    module = found.code.split(";")[0].split()[-1]
    extension = f"{module}.{module}"
    code = f"""
        import importlib, pathlib, sys
        source = pathlib.Path({str(root / found.edited)!r})
        text = source.read_text()
        names = [{module!r}, {extension!r}]

        def fresh(value, names=names):
            source.write_text(text.replace({projects.EDITED!r}, str(value)))
            for name in names:
                sys.modules.pop(name, None)
            package = importlib.import_module({module!r})
            print(package.value(), importlib.import_module({extension!r}).value())

        fresh(1)
        fresh(1)
        fresh(2)
        fresh(2)
        # maturin's own `__init__.py` has to be imported with its extension module.
        fresh(3, names[:1] if {layout != "pure"} else names)
        fresh(4)
        # The old value again is the first library's.
        fresh(2)
        importlib.reload(sys.modules[{module!r}])
        fresh(5)
    """
    run = environment.run(code)
    assert run.out.splitlines() == ["1 1", "1 1", "2 2", "2 2", "3 3", "4 4", "2 2", "5 5"], run.stderr
    # The second time, 2 is in the store.
    assert run.builds == 5
