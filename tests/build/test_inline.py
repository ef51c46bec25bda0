"""Rust in a string, without a notebook."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.conftest import Place

DOUBLE = "#[pyfunction]\nfn double(x: i64) -> i64 { 2 * x }"


def test_inline(place: Place) -> None:
    code = f"""
    import pickle, sys, rustimport
    m = rustimport.inline({DOUBLE!r})
    assert m is rustimport.inline({DOUBLE!r})
    assert pickle.loads(pickle.dumps(m.double)) is m.double
    named = rustimport.inline({DOUBLE!r}, "doubling")
    import doubling
    assert doubling is named is not m and named.double(4) == 8
    own = rustimport.inline("#[pymodule] mod own {{ #[pyo3::pyfunction] fn f() -> u8 {{ 1 }} }}")
    assert own.f() == 1 and own.__name__ == "own" and "own" not in sys.modules
    """
    assert place.python(code, hook=False).builds == 3
    run = place.python(code, hook=False)
    assert (run.stdout, run.stderr, run.builds) == ("", "", 0)
    assert list(place.folder.iterdir()) == []


def test_dependencies(place: Place) -> None:
    for name, value in (("first", 1), ("second", 2)):
        place.write(f"{name}/Cargo.toml", f'[package]\nname = "{name}"\nversion = "0.1.0"\n[features]\nmore = []\n')
        place.write(f"{name}/src/lib.rs", f'pub fn f() -> u8 {{ {value} + 10 * cfg!(feature = "more") as u8 }}\n')
    run = place.python(
        """
        import rustimport
        source = '//: [dependencies]\\n//: first = { path = "first" }\\n'
        source += '#[pyfunction]\\nfn sum() -> u8 { first::f() + second::f() }'
        second = {"second": {"path": "second", "features": ["more"]}}
        print(rustimport.inline(source, dependencies=second).sum())
        for wrong in ({"second": 1}, {"no-such-crate-rustimport": "1"}):
            try:
                rustimport.inline(source, dependencies=wrong)
            except Exception as error:
                print(type(error).__name__)
        """,
        hook=False,
    )
    assert run.out.split() == ["13", "TypeError", "BuildError"]


def test_errors_have_the_lines_of_the_string(place: Place) -> None:
    run = place.python(
        """
        import rustimport
        for source in ('#[pyfunction]\\nfn f() -> u8 { "x" }', "//: [dependencies\\n", "", "fn main() {}"):
            try:
                rustimport.inline(source)
            except ImportError as error:
                found = [(one.file, one.line) for one in getattr(error, "diagnostics", []) if one.file]
                print(type(error).__name__, error.path, found, str(error).splitlines()[0])
        """,
        hook=False,
    )
    assert run.out.splitlines() == [
        "BuildError <inline> [('<inline>', 2)] <inline> does not compile (1 error)",
        "ProjectError <inline> [] <inline>:1: `[dependencies` is not valid in a manifest: unclosed table, expected `]`",
        "ProjectError <inline> [] <inline> is empty",
        "ProjectError <inline> [] <inline> compiles, but exports nothing to Python",
    ]


def test_strings_are_pruned_with_their_entries(place: Place, tmp_path: Path) -> None:
    # A separate cache that contains compiled dependencies, and a source that no other test uses.
    cache = tmp_path / "cache"
    source = DOUBLE + " // pruned"
    fresh: dict[str, Any] = {"RUSTIMPORT_CACHE_DIR": str(cache)}
    shutil.copytree(place.cache, cache, copy_function=os.link, symlinks=True)
    run = place.python(f"import rustimport; print(rustimport.inline({source!r}).__name__)", hook=False, **fresh)
    text = cache / "cells" / f"{run.out}.rs"
    assert text.read_text() == source

    def command(*arguments: str) -> str:
        env = {**place.env, **fresh}
        return subprocess.check_output([sys.executable, "-m", "rustimport", *arguments], env=env, text=True)

    interpreters = json.loads(command("cache", "info", "-f", "json"))["interpreters"]
    assert str(text) in [source["source"] for interpreter in interpreters for source in interpreter["sources"]]
    command("cache", "prune", "--days", "0")
    # For a day, a string is kept because a process may be about to build it.
    assert text.exists()
    os.utime(text, (time.time() - 200_000,) * 2)
    command("cache", "prune")
    assert not text.exists()


def test_release_mode_compiles_nothing(place: Place) -> None:
    release: dict[str, Any] = {"RUSTIMPORT_RELEASE_MODE": "1"}
    code = f"import rustimport; print(rustimport.inline({DOUBLE!r}).double(4))"
    run = place.python(code, hook=False, **release)
    assert run.builds == 0
    error_lines = run.stderr.splitlines()[-2:]
    assert error_lines[0].endswith("RustImportError: there is no library for <inline>, and release mode builds nothing")
    assert error_lines[1].startswith("hint: run it once without RUSTIMPORT_RELEASE_MODE")
    assert place.python(code, hook=False).out == "8"
    # The library is used without checks, even if it is stale.
    run = place.python(code, hook=False, RUSTFLAGS="--cfg other", **release)
    assert (run.out, run.builds) == ("8", 0)


def test_names_of_existing_modules_are_refused(place: Place) -> None:
    place.write("taken.py", "")
    place.write("package/__init__.py", "")
    place.write("folder/data.txt", "")
    code = f"""
        import rustimport
        for name in ("taken", "package", "json", "class", "folder", "folder"):
            try:
                print(name, rustimport.inline({DOUBLE!r}, name).double(1))
            except ImportError as error:
                print(error.message)
        import folder
        print(folder.double(3))
    """
    assert place.python(code, hook=False).out.splitlines() == [
        "there is already a module `taken`",
        "there is already a module `package`",
        "there is already a module `json`",
        "`class` cannot be the name of a Rust module",
        "folder 2",
        "folder 2",
        "6",
    ]
