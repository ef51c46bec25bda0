"""Notebooks: a real kernel compiles Rust cells, and returns the output that a front end shows."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbconvert import HTMLExporter
from nbconvert.filters import ansi2html, strip_ansi

from tests.conftest import ROOT, Place
from tests.kernels import Kernel

DOUBLE = """\
%%rustimport
/// Doubles a number.
#[pyfunction]
#[pyo3(signature = (x, times=1))]
fn double(x: i64, times: u32) -> i64 { x * 2i64.pow(times) }
"""

MISMATCHED = """\
%%rustimport
#[pyfunction]
fn broken() -> i64 {
    "text"
}
"""

ENDLESS = """\
%%rustimport
#![allow(long_running_const_eval)]
#[pyfunction]
fn endless() -> u8 { const N: u8 = loop {}; N }
"""


@pytest.fixture
def kernel(place: Place) -> Iterator[Kernel]:
    kernel = Kernel(place)
    kernel.run("%load_ext rustimport")
    yield kernel
    kernel.stop()


def test_a_cell_is_rust(place: Place, kernel: Kernel) -> None:
    assert kernel.run(DOUBLE).error is None
    assert kernel.run("double(5), double(5, times=3)").result == "(10, 40)"
    assert place.builds == 1
    shown = strip_ansi(kernel.inspect("double"))
    assert "double(x, times=1)" in shown
    assert "Doubles a number." in shown
    completed = kernel.complete("dou")
    assert completed["matches"] == ["double"]
    assert completed["metadata"]["_jupyter_types_experimental"][0]["signature"] == "(x, times=1)"

    # The same cell starts no process again, here or in another kernel.
    assert kernel.run(DOUBLE).outputs == []
    other = Kernel(place)
    try:
        other.run("%load_ext rustimport.import_hook")
        other.run(DOUBLE)
        assert other.run("double(1)").result == "2"
    finally:
        other.stop()
    assert place.builds == 1
    assert list(place.folder.iterdir()) == []


def test_options(place: Place, kernel: Kernel) -> None:
    cell = "#[pyfunction]\nfn is_debug() -> bool { cfg!(debug_assertions) }\n#[pyclass]\nstruct Unit;\n"
    magic = "%%rustimport --name shapes --module-path-variable=WHERE"
    assert kernel.run(f"{magic}\n{cell}").error is None
    path, same = eval(kernel.run("import shapes; WHERE, Unit is shapes.Unit").result)
    assert Path(path).name.startswith("shapes.")
    assert Path(path).is_file()
    assert same
    kernel.run(f"%%rustimport\n{cell}")
    assert kernel.run("is_debug(), Unit is shapes.Unit").result == "(True, False)"
    builds = place.builds
    kernel.run(f"%%rustimport -f\n{cell}")
    assert place.builds == builds + 1
    kernel.run(f"%%rustimport --release\n{cell}")
    assert kernel.run("is_debug()").result == "False"
    refused = kernel.run("%%rustimport --name json\n" + cell)
    assert "there is already a module `json`" in refused.traceback
    assert kernel.run("import json; json.dumps(1)").result == "'1'"


def test_changing_a_cell_replaces_its_names(kernel: Kernel) -> None:
    kernel.run("%%rustimport\n#[pyfunction]\nfn a() {}\n#[pyfunction]\nfn b() {}\n#[pyfunction]\nfn c() {}", "1")
    kernel.run("b = 'mine'")
    kernel.run("%%rustimport\n#[pyfunction]\nfn c() -> i8 { 1 }\n#[pyfunction]\nfn d() {}", "1")
    # Names from other cells are kept.
    kernel.run("%%rustimport\n#[pyfunction]\nfn e() {}", "2")
    assert kernel.run("[name for name in 'abcde' if name in globals()], b, c()").result == (
        "(['b', 'c', 'd', 'e'], 'mine', 1)"
    )


def test_paths_in_cells_are_relative_to_the_notebook(place: Place, kernel: Kernel) -> None:
    place.write("data.txt", "from the notebook's folder")
    place.write("helper.rs", "pub fn answer() -> i32 { 42 }")
    place.write("local/Cargo.toml", '[package]\nname = "local"\nversion = "0.1.0"\n')
    place.write("local/src/lib.rs", 'pub const NAME: &str = env!("CARGO_PKG_NAME");\n')
    cell = """\
%%rustimport
//! Documented.
//: [dependencies]
//: local = { path = "local" }
mod helper;
#[pyfunction]
fn all() -> (&'static str, i32, &'static str) { (include_str!("data.txt"), helper::answer(), local::NAME) }
"""
    kernel.run(cell)
    assert kernel.run("all()").result == "(\"from the notebook's folder\", 42, 'local')"
    place.write("helper.rs", "pub fn answer() -> i32 { 43 }")
    kernel.run(cell)
    assert kernel.run("all()[1]").result == "43"
    place.write("helper.rs", "pub fn answer() -> i32 { 'x' }")
    assert "helper.rs:1:26" in strip_ansi(kernel.run(cell).traceback)


def test_compiler_errors_are_shown(kernel: Kernel) -> None:
    reply = kernel.run(MISMATCHED)
    assert reply.error == "BuildError"
    # The front end converts it to HTML with CSS classes, which every theme has colours for.
    page = ansi2html(reply.traceback)
    assert re.search(r'<span class="ansi-red-fg">error\[E0308\]</span>', page)
    assert "style=" not in page
    lines = strip_ansi(reply.traceback).splitlines()
    assert lines[0] == f"BuildError: In[{reply.number}] does not compile (1 error)"
    # The cell's own lines, starting with the magic, are shown once.
    assert lines[2:4] == ["error[E0308]: mismatched types", f" --> In[{reply.number}]:4:5"]
    assert sum("mismatched types" in line for line in lines) == 1
    assert lines[-1] == "hint: fix the error and run the cell again"
    assert reply.text("stderr") == ""
    assert "cell_" not in strip_ansi(reply.traceback)
    caught = kernel.run(
        "ip = get_ipython()\ntry:\n    ip.magics_manager.magics['cell']['rustimport']('', 'fn f( {')\n"
        "except ImportError as error:\n    found = error.diagnostics[0]\n(found.level, found.file, found.line)"
    )
    assert caught.result == f"('error', 'In[{caught.number}]', 2)"

    warned = strip_ansi(kernel.run("%%rustimport\n#[pyfunction]\nfn f() { let unused = 1; }").text("stderr"))
    assert "warning: unused variable: `unused`" in warned
    assert re.search(r"--> In\[\d+\]:3:14", warned)


def test_errors_of_imports_show_the_users_lines(place: Place, kernel: Kernel) -> None:
    place.write("broken.rs", "// rustimport:pyo3\nfn f() { missing() }\n")
    place.write("between.py", "import broken\n")
    kernel.run("import rustimport.import_hook")
    lines = strip_ansi(kernel.run("1\nimport between").traceback).splitlines()
    assert re.fullmatch(r"Cell In\[\d+\], line 2", lines[0])
    assert lines[1:5] == [
        "    import between",
        f"File {place.folder}/between.py, line 1",
        "    import broken",
        "BuildError: broken.rs does not compile (1 error)",
    ]
    place.write("broken.rs", "// rustimport:pyo3\n#[pyfunction]\nfn f() -> i8 { 1 }\n")
    assert kernel.run("%rustimport broken.rs\nbroken.f()").result == "1"
    place.write("broken.rs", "// rustimport:pyo3\n#[pyfunction]\nfn f() -> i8 { 2 }\n")
    assert kernel.run("%rustimport broken.rs\nbroken.f()").result == "2"
    assert "there is no Rust source at" in kernel.run("%rustimport nowhere.rs").text("stderr")


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("\n\n", r"In\[\d+\] is empty"),
        ("fn main() {}", r"exports nothing to Python\nhint: `fn main` is not run: write #\[pyfunction\]"),
        ("//: rand = '1'\nfn f() {}", r"In\[\d+\]:2: `rand = .*` is not in a table"),
        (
            "#[pymodule]\nmod m {\n    use pyo3::prelude::*;\n    #[pymodule_init]\n"
            '    fn init(_m: &Bound<\'_, PyModule>) -> PyResult<()> { panic!("at import") }\n}',
            "`m` panicked when it was imported: at import",
        ),
    ],
)
def test_bad_cells(kernel: Kernel, cell: str, said: str) -> None:
    reply = kernel.run(f"%%rustimport\n{cell}")
    assert re.search(said, strip_ansi(reply.traceback)), reply.outputs
    kernel.run(DOUBLE)
    assert kernel.run("double(2)").result == "4"


def test_without_rust(place: Place, kernel: Kernel) -> None:
    kernel.run("import rustimport.settings as s; s.cargo_executable = '/nowhere/cargo'")
    reply = kernel.run(MISMATCHED)
    assert reply.error == "ToolchainError"
    assert "/nowhere/cargo" in reply.traceback


def test_progress_is_shown_and_removed(kernel: Kernel) -> None:
    # Also if the build is short.
    kernel.run("from rustimport import _notebook; _notebook.Progress._PATIENCE = 0")
    shown = [(kind, content) for kind, content in kernel.run(DOUBLE + "// anew\n").outputs]
    assert shown[0][0] == "display_data"
    assert re.match(r"<progress value=.*></progress> <code>rustimport: In\[\d+\]", shown[0][1]["data"]["text/html"])
    assert {kind for kind, _ in shown[1:]} == {"update_display_data"}
    assert {content["transient"]["display_id"] for _, content in shown} == {shown[0][1]["transient"]["display_id"]}
    assert shown[-1][1]["data"] == {"text/plain": "", "text/html": ""}


def _compilers(place: Place) -> list[str]:
    """The compilers that are running for cells in this test's cache."""
    listing = subprocess.check_output(["ps", "-axww", "-o", "args"], text=True).splitlines()
    return [line for line in listing if "rustc" in line and str(place.cache) in line and "--crate-name cell_" in line]


def _wait_for_compiler(place: Place) -> None:
    for _ in range(600):
        if _compilers(place):
            return
        time.sleep(0.1)
    pytest.fail("no compiler was started")


def test_an_endless_cell_is_interrupted(place: Place, kernel: Kernel) -> None:
    request = kernel.send(ENDLESS)
    _wait_for_compiler(place)
    kernel.interrupt()
    assert kernel.wait(request).error == "KeyboardInterrupt"
    assert _compilers(place) == []
    kernel.run(DOUBLE)
    assert kernel.run("double(2)").result == "4"


def test_a_dead_kernel_leaves_nothing_locked(place: Place, kernel: Kernel) -> None:
    kernel.send(ENDLESS)
    _wait_for_compiler(place)
    kernel.kill()
    kernel.start()
    kernel.run("%load_ext rustimport")
    kernel.run(DOUBLE)
    assert kernel.run("double(2)").result == "4"
    for _ in range(100):
        if not _compilers(place):
            return
        time.sleep(0.1)
    pytest.fail("the compiler survived its kernel")


def test_autoreload(place: Place, kernel: Kernel) -> None:
    # `other` has the same names as `auto`: `from other import T` must stay unchanged.
    code = "// rustimport:pyo3\n#[pyfunction]\nfn answer() -> i32 {{ {} }}\n#[pyclass]\nstruct T;\n"
    place.write("auto.rs", code.format(1))
    place.write("other.rs", code.format(10))
    assert kernel.run("import rustimport.import_hook, auto\nfrom auto import answer\nfrom other import T").error is None
    place.write("auto.rs", code.format(2))
    assert kernel.run("auto.answer(), answer()").result == "(1, 1)"
    kernel.run("%load_ext autoreload\n%autoreload 2")
    assert kernel.run("auto.answer(), answer(), T.__module__").result.startswith("(2, 2")
    # A compile error is reported, and the cell runs with the last good build.
    place.write("auto.rs", code.format("missing"))
    reply = kernel.run("auto.answer()")
    assert reply.result == "2"
    assert "cannot find value `missing`" in strip_ansi(reply.text("stderr"))
    # Once: further cells neither compile nor show it again, also if something else in the folder changes.
    builds = place.builds
    for cell in ("1 + 1", "auto.answer()"):
        assert [kind for kind, _ in kernel.run(cell).outputs] == ["execute_result"]
    assert place.builds == builds
    place.write("unrelated.txt", "")
    assert "not found in this scope" not in strip_ansi(kernel.run("1 + 1").text("stderr"))
    place.write("auto.rs", code.format("another"))
    assert "cannot find value `another`" in strip_ansi(kernel.run("1 + 1").text("stderr"))
    # A file that was missing counts, too.
    place.write("auto.rs", code.format("part::THREE") + "mod part;\n")
    assert "file not found for module `part`" in strip_ansi(kernel.run("1 + 1").text("stderr"))
    place.write("part.rs", "pub const THREE: i32 = 3;\n")
    reply = kernel.run("auto.answer()")
    assert reply.result == "3", reply.text("stderr")
    place.write("auto.rs", code.format(3))
    assert kernel.run("auto.answer(), answer()").result == "(3, 3)"
    builds = place.builds
    assert kernel.run("auto.answer()").outputs[0][0] == "execute_result"
    assert place.builds == builds
    # Automatic reloading needs both the hook and the extension.
    count = "len([f for f in get_ipython().events.callbacks['pre_run_cell'] if f.__name__ == '_before_cell'])"
    assert kernel.run(f"import rustimport; rustimport.install(); {count}").result == "1"
    assert kernel.run(f"rustimport.uninstall(); {count}").result == "0"
    assert kernel.run(f"rustimport.install(); {count}").result == "1"
    kernel.run("%unload_ext rustimport")
    assert kernel.run(count).result == "0"
    kernel.run("%load_ext rustimport")
    assert kernel.run(count).result == "1"


def test_terminal_ipython(place: Place) -> None:
    run = place.python(
        f"""
        from IPython.terminal.interactiveshell import TerminalInteractiveShell
        shell = TerminalInteractiveShell.instance(history_length=0)
        for cell in ("%load_ext rustimport", {DOUBLE!r}, "print(double(21))", {MISMATCHED!r}):
            shell.run_cell(cell)
        """,
        hook=False,
        IPYTHONDIR=str(place.folder.parent / "ipython"),
    )
    assert run.stdout.startswith("42\n")
    assert "\x1b[91merror[E0308]" in run.stdout
    plain = strip_ansi(run.stdout + run.stderr)
    assert plain.count("mismatched types") == 1
    assert "Traceback" not in plain
    assert 'File "' not in plain


def test_the_example_notebook(place: Place) -> None:
    notebook = nbformat.read(ROOT / "examples" / "notebook.ipynb", as_version=4)
    nbformat.validate(notebook)

    def shown() -> list[str]:
        outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
        texts = [
            output.get("text") or "\n".join(output.get("traceback", [])) or output["data"]["text/plain"]
            for output in outputs
        ]
        # How the compiler draws the source differs between versions.
        return [line for text in texts for line in strip_ansi(text).splitlines() if not re.match(r" *\d* *[|=]", line)]

    before = shown()
    kernel = {"env": {**place.env, "IPYTHONDIR": str(place.folder.parent / "ipython")}}
    client = NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(place.folder)}})
    client.execute(**kernel)
    assert shown() == before
    assert before
    page, _ = HTMLExporter().from_notebook_node(notebook)
    assert "mismatched types" in page


def test_without_ipython(place: Place) -> None:
    """Without notebooks, IPython is not loaded."""
    place.write("m.rs", "// rustimport:pyo3\n#[pyfunction]\nfn f() {}\n")
    code = "import sys, m; print([name for name in sys.modules if 'IPython' in name or 'ipython' in name])"
    assert place.python(code).out == "[]"
