"""The gate that `site install` puts in place: it installs the hook once, whatever threads and tools do meanwhile."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.conftest import ROOT

GATE = (ROOT / "site" / "gate.py").read_text().replace("{arguments}", "")


def run(folder: Path, code: str, *arguments: str) -> str:
    """What Python prints that runs code behind the gate."""
    (folder / "gate.py").write_text(f"{GATE}\n\nRustimportGate.put()\n")
    (folder / "foreign.py").write_text("")
    start = f"import sys; sys.path[:0] = [{str(ROOT / 'python')!r}, {str(folder)!r}]; import gate\n"
    command = [sys.executable, "-X", "faulthandler", *arguments, "-c", start + textwrap.dedent(code)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout.strip()


IS_ON = "print([type(finder).__name__ for finder in sys.meta_path if 'rustimport' in type(finder).__module__])"
ON = "['ProjectFinder', 'ScriptFinder']"


def test_it_opens_at_the_first_import_of_others(tmp_path: Path) -> None:
    assert run(tmp_path, f"import colorsys, json; {IS_ON}; print('rustimport' in sys.modules)") == "[]\nFalse"
    assert run(tmp_path, f"import foreign; {IS_ON}") == ON
    assert run(tmp_path, f"try: import nobody\nexcept ImportError: {IS_ON}") == ON
    assert run(tmp_path, f"import rustimport; {IS_ON}; rustimport.uninstall(); import foreign; {IS_ON}") == "[]\n[]"
    code = f"from rustimport import project_importer; print(project_importer.is_installed()); {IS_ON}"
    assert run(tmp_path, code) == f"True\n{ON}"


def test_the_import_that_opens_it_asks_all_finders(tmp_path: Path) -> None:
    """From Python 3.14 on, importlib goes through a copy of the list of finders."""
    code = """
        sys.version_info = max(sys.version_info, (3, 14))
        from rustimport._finder import ScriptFinder
        ScriptFinder.artifact = lambda self, name, source, **_: source
        class Other:
            find_spec = staticmethod(lambda *_: None)
        sys.meta_path.insert(-1, Other)
        open("rusty.rs", "w").close()
        print(next(filter(None, (finder.find_spec("rusty", None) for finder in sys.meta_path[:]))).origin)
    """
    assert run(tmp_path, code) == str(tmp_path / "rusty.rs")


def test_what_is_left_of_a_removed_package(tmp_path: Path) -> None:
    (tmp_path / "left" / "rustimport" / "__pycache__").mkdir(parents=True)
    code = f"""
        import os
        whole = [entry for entry in sys.path if os.path.exists(os.path.join(entry, "rustimport", "__init__.py"))]
        sys.path = ["left", *(entry for entry in sys.path if entry not in whole)]
        import foreign
        {IS_ON}
    """
    assert run(tmp_path, code) == "[]"


@pytest.mark.parametrize("interval", [0.005, 0.00001])
def test_threads(tmp_path: Path, interval: float) -> None:
    """One opens it by an import, another by a call: each finds the hook, and none waits for ever."""
    code = f"""
        import threading
        sys.setswitchinterval({interval})
        found = []
        def imports(name):
            try:
                __import__(name)
            except ImportError:
                pass
            # A copy: the list may change during the loop.
            found.append(any('rustimport' in type(finder).__module__ for finder in sys.meta_path[:]))
        threads = [threading.Thread(target=imports, args=(name,)) for name in ("foreign", "nobody", "noone")]
        for thread in threads: thread.start()
        import rustimport; rustimport.install()
        for thread in threads: thread.join(20)
        print(found, [thread.is_alive() for thread in threads])
        {IS_ON}
    """
    for _ in range(10):
        assert run(tmp_path, code) == f"[True, True, True] [False, False, False]\n{ON}"


def test_tools_that_restore_the_finders(tmp_path: Path) -> None:
    code = f"""
        saved = sys.meta_path[:]
        import foreign
        sys.meta_path[:] = saved
        try: import nobody
        except ImportError as error: print(error)
        import rustimport; rustimport.install()
        {IS_ON}
    """
    assert run(tmp_path, code) == f"No module named 'nobody'\n{ON}"


def test_imports_while_it_opens(tmp_path: Path) -> None:
    """An audit hook may import anything at any moment."""
    code = f"""
        (gate_folder := sys.path[1])
        def hook(event, arguments):
            if event == "import" and arguments[0] == "rustimport._finder":
                try: import nobody
                except ImportError: pass
        sys.addaudithook(hook)
        import foreign
        {IS_ON}
    """
    assert run(tmp_path, code) == ON


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="needs fork")
def test_forks(tmp_path: Path) -> None:
    """A child opens a gate that its parent has not opened."""
    code = f"""
        import os
        child = os.fork()
        if child == 0:
            import foreign
            {IS_ON}
            sys.stdout.flush()
            os._exit(0)
        os.waitpid(child, 0)
        import foreign
        {IS_ON}
    """
    assert run(tmp_path, code) == f"{ON}\n{ON}"


def test_a_script_of_the_packages_name(tmp_path: Path) -> None:
    """It is not run in place of the package, and not run twice."""
    folder = tmp_path / "shadow"
    folder.mkdir()
    (folder / "rustimport.py").write_text("print('ran')\n")
    code = f"sys.path.insert(0, {str(folder)!r}); import foreign; print(len(sys.meta_path)); import rustimport"
    bare = int(run(tmp_path, "sys.meta_path[:] = sys.meta_path; print(len(sys.meta_path))")) - 1
    assert run(tmp_path, code) == f"{bare}\nran"


def test_the_second_gate_counts(tmp_path: Path) -> None:
    count = "print(sum(hasattr(finder, 'open') for finder in sys.meta_path))"
    assert run(tmp_path, f"gate.RustimportGate.put(); {count}; import foreign; {IS_ON}") == f"1\n{ON}"


def test_errors_are_reported_once(tmp_path: Path) -> None:
    gate = GATE.replace("rustimport.install()", "rustimport.install(nonsense=1)")
    code = f"""
import sys; sys.path[:0] = [{str(ROOT / "python")!r}]
{gate}
RustimportGate.put()
for name in ("nobody", "noone"):
    try: __import__(name)
    except ImportError: pass
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stderr.count("rustimport: the import hook could not be installed: TypeError") == 1
