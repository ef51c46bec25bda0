"""Threads, forks, pools and second interpreters that import a stale source: there is one build, and nothing hangs."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

from tests.conftest import Place, Run

SOURCE = "// rustimport:pyo3\n#[pyfunction]\nfn value() -> i32 { 42 }\n"

#: A module without pyo3, which can be loaded in any interpreter.
BARE = """\
// rustimport
//: [dependencies]
//: pyo3-ffi = "0.30"
use pyo3_ffi::*;

static mut SLOTS: [PyModuleDef_Slot; 1] = [PyModuleDef_Slot { slot: 0, value: std::ptr::null_mut() }];
static mut MODULE: PyModuleDef = PyModuleDef {
    m_base: PyModuleDef_HEAD_INIT,
    m_name: c"bare".as_ptr(),
    m_doc: c"bare".as_ptr(),
    m_size: 0,
    m_methods: std::ptr::null_mut(),
    m_slots: &raw mut SLOTS as *mut PyModuleDef_Slot,
    m_traverse: None,
    m_clear: None,
    m_free: None,
};

#[allow(non_snake_case)]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PyInit_bare() -> *mut PyObject {
    unsafe { PyModuleDef_Init(&raw mut MODULE) }
}
"""


def run(place: Place, code: str, **env: str) -> Run:
    """Runs a program from a file, because pools import the main module."""
    place.write("program.py", textwrap.dedent(code))
    before = place.builds
    done = subprocess.run(
        [sys.executable, "program.py"],
        cwd=place.folder,
        env={**place.env, **env},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    return Run(done.stdout, done.stderr, done.returncode, place.builds - before)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_pools(place: Place, method: str) -> None:
    place.write("m.rs", SOURCE)
    code = f"""
        import multiprocessing
        import rustimport.import_hook

        def work(_):
            import m
            return m.value()

        if __name__ == "__main__":
            with multiprocessing.get_context({method!r}).Pool(3) as pool:
                print(pool.map(work, range(6), chunksize=1))
    """
    done = run(place, code)
    assert (done.out, done.builds) == (str([42] * 6), 1), done.stderr


def test_joblib(place: Place) -> None:
    """Its workers are new interpreters, so the function that they run turns the hook on."""
    place.write("m.rs", SOURCE)
    code = """
        import joblib

        def work(_):
            import rustimport.import_hook, m
            return m.value()

        if __name__ == "__main__":
            print(joblib.Parallel(n_jobs=2)(joblib.delayed(work)(n) for n in range(4)))
    """
    done = run(place, code)
    assert (done.out, done.builds) == (str([42] * 4), 1), done.stderr


def test_a_preforking_server(place: Place) -> None:
    """The parent imports a module, which loads the core, before it forks. Its children import another one."""
    for name in ("m", "n"):
        place.write(f"{name}.rs", SOURCE)
    code = """
        import os
        import rustimport.import_hook, m

        children = []
        for _ in range(4):
            pid = os.fork()
            if pid == 0:
                import n
                os._exit(n.value() - m.value())
            children.append(pid)
        print([os.waitpid(pid, 0)[1] for pid in children])
    """
    done = run(place, code)
    assert (done.out, done.builds) == ("[0, 0, 0, 0]", 2), done.stderr


def test_a_fork_during_a_build(place: Place) -> None:
    """A child that is forked during its parent's build does not inherit the lock: after the parent is killed, the child
    can build."""
    place.write("m.rs", SOURCE)
    slow = place.write("slow/maturin", f'#!/bin/sh\nsleep 1\nexec {place.env["RUSTIMPORT_MATURIN_EXECUTABLE"]} "$@"\n')
    slow.chmod(0o755)
    code = """
        import os, signal, threading, time
        import rustimport
        from rustimport import _report

        started = threading.Event()
        _report.Reporter._on_started = lambda *_, **__: started.set()
        # By its path: Python's own lock of a module's name does not survive a fork.
        threading.Thread(target=rustimport.imp_from_path, args=("m.rs",), daemon=True).start()
        assert started.wait(60)
        time.sleep(0.3)
        parent = os.getpid()
        if os.fork():
            os.kill(parent, signal.SIGKILL)
        while os.getppid() == parent:
            time.sleep(0.01)
        rustimport.install(lock_timeout_seconds=20)
        print(rustimport.imp_from_path("m.rs").value(), flush=True)
    """
    done = run(place, code, RUSTIMPORT_MATURIN_EXECUTABLE=str(slow))
    assert done.stdout.strip() == "42", done.stderr


def test_other_threads_and_forks_do_not_wait_for_a_build(place: Place) -> None:
    """While one thread builds, other threads can import and fork."""
    place.write("m.rs", SOURCE)
    go = place.folder / "go"
    maturin = place.env["RUSTIMPORT_MATURIN_EXECUTABLE"]
    wait = f"for i in $(seq 600); do [ -e '{go}' ] && exec {maturin} \"$@\"; sleep 0.1; done; exit 1"
    slow = place.write("slow/maturin", f"#!/bin/sh\n{wait}\n")
    slow.chmod(0o755)
    code = """
        import os, threading
        import rustimport.import_hook
        from rustimport import _report

        started = threading.Event()
        _report.Reporter._on_started = lambda *_, **__: started.set()
        thread = threading.Thread(target=__import__, args=("m",))
        thread.start()
        assert started.wait(60)
        import colorsys
        child = os.fork()
        if not child:
            os._exit(7)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        open("go", "w").close()
        thread.join()
        import m
        print(m.value())
    """
    done = run(place, code, RUSTIMPORT_MATURIN_EXECUTABLE=str(slow))
    assert done.out.split() == ["7", "42"], done.stderr


@pytest.mark.parametrize("handler", ["signal.SIG_IGN", "reap"])
def test_applications_that_reap_every_child(place: Place, handler: str) -> None:
    """They ignore SIGCHLD, or wait for all children in its handler."""
    place.write("m.rs", SOURCE)
    place.write("bad.rs", "// rustimport:pyo3\n#[pyfunction]\nfn value() -> i32 { true }\n")
    code = f"""
        import os, signal
        import rustimport.import_hook

        def reap(*_):
            try:
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            except ChildProcessError:
                pass

        signal.signal(signal.SIGCHLD, {handler})
        import m
        print(m.value(), signal.getsignal(signal.SIGCHLD) == {handler})
        import bad
    """
    done = run(place, code)
    assert done.stdout.strip() == "42 True", done.stderr
    assert "BuildError: bad.rs does not compile (1 error)" in done.stderr


def test_build_in_a_thread_of_an_application_that_ignores_sigchld(place: Place) -> None:
    """Only the main thread can change how a signal is handled."""
    place.write("m.rs", SOURCE)
    code = """
        import signal, threading
        import rustimport.import_hook

        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        thread = threading.Thread(target=__import__, args=("m",))
        thread.start()
        thread.join()
    """
    done = run(place, code)
    assert "ToolchainError: this process ignores SIGCHLD" in done.stderr
    assert "hint: import the module in the main thread first" in done.stderr


def test_threads(place: Place) -> None:
    """Eight threads import two sources."""
    for name in ("m", "n"):
        place.write(f"{name}.rs", SOURCE)
    code = """
        import importlib, threading
        import rustimport.import_hook

        found = []
        work = lambda name: found.append(importlib.import_module(name).value())
        threads = [threading.Thread(target=work, args=(name,)) for name in "mnmnmnmn"]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        print(found)
    """
    done = run(place, code)
    assert (done.out, done.builds) == (str([42] * 8), 2), done.stderr


def test_waiting_is_reported_once(place: Place) -> None:
    place.write("m.rs", SOURCE)
    slow = place.write("slow/maturin", f'#!/bin/sh\nsleep 1\nexec {place.env["RUSTIMPORT_MATURIN_EXECUTABLE"]} "$@"\n')
    slow.chmod(0o755)
    place.env["RUSTIMPORT_MATURIN_EXECUTABLE"] = str(slow)
    processes = [place.start("import m; print(m.value())") for _ in range(4)]
    outputs = [process.communicate(timeout=120) for process in processes]
    assert [stdout.strip() for stdout, _ in outputs] == ["42"] * 4, outputs
    lines = [line for _, stderr in outputs for line in stderr.splitlines()]
    waits = [line for line in lines if " is waiting for process " in line]
    assert len(waits) == 3, lines
    assert all(", which is building m.rs" in line for line in waits)
    assert place.builds == 1


INTERPRETER = """
    try:
        import _interpreters as interpreters
    except ImportError:
        import _xxsubinterpreters as interpreters

    def second(code):
        interpreter = interpreters.create()
        # Until 3.12 it raises, from 3.13 it returns what was raised.
        failed = interpreters.run_string(interpreter, code)
        assert failed is None, failed
"""


def test_a_second_interpreter(place: Place) -> None:
    """A fresh module is loaded if it supports this. A stale one needs the core, which requires the main interpreter."""
    place.write("bare.rs", BARE)
    place.write("m.rs", SOURCE)
    second = """
        import sys
        sys.path.insert(0, "")
        import rustimport
        rustimport.install()
        import json, decimal
        for name in ("bare", "m", "n"):
            try:
                __import__(name)
                print("imported")
            except ImportError as error:
                print(type(error).__name__, "interpreter" in str(error))
    """
    code = textwrap.dedent(INTERPRETER) + "import rustimport.import_hook, bare, m\n"
    code += f"open('n.rs', 'w').write({SOURCE!r})\nsecond({textwrap.dedent(second)!r})\n"
    done = run(place, code)
    bare, pyo3s, stale = done.out.splitlines()
    # Since 3.12, CPython asks modules whether they support other interpreters.
    assert {bare, pyo3s} == {"imported" if sys.version_info < (3, 12) else "ImportError True"}
    assert stale == "ToolchainError True"
    assert done.stderr.count("building n") == 0
