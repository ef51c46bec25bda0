"""Many threads that import, edit and reload at once: with the GIL and, in builds of Python without it, without."""

from __future__ import annotations

import sysconfig

import pytest

from tests.conftest import Place

IS_FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))

CROWD = """
    import importlib, random, sys, threading
    from pathlib import Path

    COUNT = 50
    errors = []

    def edit(index):
        source, edited = Path(f"s{index}.rs"), Path(f"s{index}.edited")
        edited.write_text(source.read_text().replace(f"{{ {index} }}", f"{{ {index + 1000} }}"))
        edited.replace(source)

    def work(seed):
        order = list(range(COUNT))
        random.Random(seed).shuffle(order)
        for index in order:
            try:
                module = importlib.import_module(f"s{index}")
                assert module.value() in (index, index + 1000)
                # Each source is edited once, by one thread.
                if index % 10 == seed:
                    edit(index)
                importlib.reload(module)
            except Exception as error:
                errors.append((seed, index, repr(error)))

    threads = [threading.Thread(target=work, args=[seed]) for seed in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    for index in range(COUNT):
        assert importlib.reload(sys.modules[f"s{index}"]).value() == index + 1000
    print(getattr(sys, "_is_gil_enabled", lambda: True)())
"""


def test_16_threads_and_50_scripts(place: Place) -> None:
    for index in range(50):
        place.write(f"s{index}.rs", f"// rustimport:pyo3\n#[pyfunction]\nfn value() -> i32 {{ {index} }}\n")
    run = place.python(CROWD)
    assert run.out == str(not IS_FREE_THREADED)
    # Each content is built once.
    assert run.builds == 100


@pytest.mark.skipif(not IS_FREE_THREADED, reason="this Python has a GIL")
def test_a_script_that_needs_the_gil_is_named(place: Place) -> None:
    """pyo3 declares that a module runs without the GIL from 0.28 on."""
    header = '//: [dependencies]\n//: pyo3 = { version = "0.24", features = ["extension-module"] }\n'
    code = f"// rustimport:pyo3\n{header}#[pyfunction]\nfn value() -> i32 {{ 1 }}\n"
    place.write("first.rs", code)
    place.write("second.rs", code)
    run = place.python("import sys, first, second; print(first.value(), sys._is_gil_enabled())")
    assert run.out == "1 True"
    assert run.stderr.count("rustimport: loading first.rs has switched the GIL on") == 1
    assert "second.rs has switched" not in run.stderr
    assert "gil_used = false" in run.stderr
