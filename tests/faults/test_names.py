"""Names that mean something to Python, to Rust, to a file system or to a shell."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Place

SCRIPT = "// rustimport:pyo3\n#[pyfunction]\nfn value() -> i32 {{ {} }}\n"

GOOD = ["core", "std", "alloc", "test", "proc_macro", "pyo3", "match", "async", "super", "Self", "_", "CON", "x" * 100]
BAD = ["a b", "it's", 'quo"te', "new\nline", "tab\t", "größe", "1st", "-rf", "$HOME", "`id`", "x" * 252, "\udcff"]

CODE = """
import os, sys
for number, name in enumerate(sorted(os.listdir(".", ))):
    if not name.endswith(".rs"):
        continue
    path = os.path.abspath(name)
    try:
        module = rustimport.imp_from_path(path)
        assert ascii(module.value()) == open(path).read().split("{ ")[1].split(" ")[0]
        print("good", ascii(name[:-3]))
    except rustimport.errors.RustImportError as error:
        assert error.hint and "set RUSTIMPORT_CACHE_DIR" not in error.hint, ascii(str(error))
        print("bad", ascii(name[:-3]), ascii(error.message), file=sys.stderr)
        print("bad", ascii(name[:-3]))
"""


def test_names(place: Place) -> None:
    for number, name in enumerate(GOOD + BAD):
        Path(os.fsdecode(os.fsencode(str(place.folder / f"{name}.rs")))).write_text(SCRIPT.format(number))
    run = place.python(CODE)
    expected = [f"good {name!a}" for name in GOOD] + [f"bad {name!a}" for name in BAD]
    assert sorted(run.out.splitlines()) == sorted(expected), run.stderr


def test_folders(place: Place) -> None:
    """Only cargo restricts which characters a folder's name may contain."""
    for name in ["a b", "it's", 'quo"te', "$(id)", "größe", "[brackets]", "%41", "x" * 200, "a\\b"]:
        place.write(f"{name}/m.rs", SCRIPT.format(7))
        run = place.python(
            "import sys; sys.path.insert(0, sys.argv[1]); import m; print(m.value())".replace(
                "sys.argv[1]", ascii(name)
            )
        )
        assert run.out == "7", run.stderr


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_pipes_are_not_waited_for(place: Place) -> None:
    """A pipe in the place of a file has no writer: opening it would hang."""
    (place.folder / "m").mkdir()
    os.mkfifo(place.folder / "m" / "Cargo.toml")
    os.mkfifo(place.folder / "m" / ".rustimport")
    os.mkfifo(place.folder / "pipe")
    assert "Cargo.toml: it is not a regular file\nhint: " in place.python("import m").stderr
    for arguments in (["build", "."], ["cache", "import", "pipe"], ["new", "q.rs", "--from", "pipe"]):
        command = [sys.executable, "-m", "rustimport", *arguments]
        env = {**place.env, "RUSTIMPORT_CACHE_DIR": str(place.folder / "cache")}
        subprocess.run(command, cwd=place.folder, env=env, capture_output=True, check=False, timeout=60)
