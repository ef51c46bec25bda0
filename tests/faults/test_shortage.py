"""No disk space, permissions, locks or threads: the error is clear, nothing is left half done, and the import works as
soon as the cause is fixed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Place
from tests.faults.conftest import Faults

SCRIPT = "// rustimport:pyo3\n#[pyfunction]\nfn value() -> i32 {{ {} }}\n"
IMPORT = "import m; print(m.value())"


@pytest.mark.parametrize(
    ("error", "words"), [(28, "the disk is full"), (122, "the disk is full"), (30, "make the folder writable")]
)
def test_disk_errors_in_every_phase(place: Place, failing: str, faults: Faults, error: int, words: str) -> None:
    """From a given write on, all writes fail: the disk is full, over quota or read-only."""
    place.write("m.rs", SCRIPT.format(0))
    assert place.python(IMPORT).out == "0"
    count = place.folder / "count"
    preloaded = {"LD_PRELOAD": failing, "FAULT_FOLDER": str(place.cache), "FAULT_COUNT": str(count)}
    place.write("m.rs", SCRIPT.format(1))
    assert place.python(IMPORT, **preloaded).out == "1"  # type: ignore[arg-type]
    changes = count.stat().st_size
    assert changes > 50
    steps = min(changes, 150) if faults.all else 8
    errors_named = 0
    for step in range(steps):
        value = 100 + step
        count.unlink()
        place.write("m.rs", SCRIPT.format(value))
        first = 1 + changes * step // steps
        full = place.python(
            IMPORT,
            FAULT_FROM=str(first),
            FAULT_ERRNO=str(error),
            **preloaded,  # type: ignore[arg-type]
        )
        assert "panicked" not in full.stderr
        if full.returncode == 0:
            assert full.out == str(value)
        else:
            assert "Error: " in full.stderr, full.stderr
            assert "hint: " in full.stderr, full.stderr
            errors_named += words in full.stderr
        run = place.python(IMPORT)
        assert run.out == str(value), run.stderr
        faults.count("disks that failed")
    assert errors_named > steps / 2


def test_a_read_only_cache_serves_what_is_fresh(place: Place, failing: str) -> None:
    """Such as a layer of a container image. A changed modification time does not matter."""
    source = place.write("m.rs", SCRIPT.format(1))
    assert place.python(IMPORT).out == "1"
    read_only = {"LD_PRELOAD": failing, "FAULT_FOLDER": str(place.cache), "FAULT_COUNT": str(place.folder / "count")}
    read_only |= {"FAULT_FROM": "1", "FAULT_ERRNO": "30"}
    assert place.python(IMPORT, **read_only).out == "1"  # type: ignore[arg-type]
    os.utime(source)
    assert place.python(IMPORT, **read_only).out == "1"  # type: ignore[arg-type]
    place.write("m.rs", SCRIPT.format(2))
    assert "CacheError: cannot " in place.python(IMPORT, **read_only).stderr  # type: ignore[arg-type]


def test_file_system_without_locks(place: Place, failing: str) -> None:
    place.write("m.rs", SCRIPT.format(1))
    run = place.python("import m", LD_PRELOAD=failing, FAULT_FLOCK="37")
    assert "CacheError: cannot lock " in run.stderr
    assert "hint: set RUSTIMPORT_CACHE_DIR to a folder on a local disk" in run.stderr
    assert place.python(IMPORT).out == "1"


def test_no_more_threads(place: Place, failing: str) -> None:
    place.write("m.rs", SCRIPT.format(1))
    run = place.python("import m", LD_PRELOAD=failing, FAULT_THREADS="11")
    assert "Error: " in run.stderr, run.stderr
    assert "panicked" not in run.stderr
    assert place.python(IMPORT).out == "1"


def test_a_panic_is_an_exception(place: Place, failing: str) -> None:
    """Rust's standard library panics if there is no clock."""
    place.write("m.rs", SCRIPT.format(1))
    run = place.python(
        """
        import os
        from rustimport import _cache, _core_client, _native, errors
        request, core = _core_client.request(_cache.Key(os.path.abspath("m.rs"))), _native.core
        os.environ["FAULT_CLOCK"] = ""
        try:
            core.ensure(request, lambda *_, **__: None)
        except errors.RustImportError as error:
            caught = error
        del os.environ["FAULT_CLOCK"]
        print(caught)
        import m
        print(m.value())
        """,
        LD_PRELOAD=failing,
    )
    assert run.out.startswith("internal error in rustimport: "), run.stderr
    assert "hint: this is a bug in rustimport: please report it" in run.out
    assert run.out.endswith("\n1")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir(mode=0o700)
    command = ["mount", "-t", "tmpfs", "-o", "size=3m,mode=700", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("cannot mount here")
    yield disk
    subprocess.run(["umount", str(disk)], check=False)


def test_full_disk(place: Place, disk: Path) -> None:
    source = place.write("m.rs", SCRIPT.format(1))
    run = place.python("import m", RUSTIMPORT_CACHE_DIR=str(disk))
    assert "CacheError" in run.stderr, run.stderr
    assert "hint: the disk is full: free some space" in run.stderr
    assert source.read_text() == SCRIPT.format(1)


def home(place: Place, folder: Path | None) -> dict[str, str | None]:
    """The environment of a user with this home folder, whose cache is in the default location."""
    cargo = place.env.get("CARGO_HOME", str(Path.home() / ".cargo"))
    value = None if folder is None else str(folder)
    return {"HOME": value, "CARGO_HOME": cargo, "RUSTIMPORT_CACHE_DIR": None, "XDG_CACHE_HOME": None}


def test_home_folder_that_cannot_be_created(place: Place, tmp_path: Path) -> None:
    place.write("m.rs", SCRIPT.format(1))
    (tmp_path / "file").write_text("")
    run = place.python("import m", **home(place, tmp_path / "file" / "home"))  # type: ignore[arg-type]
    assert "CacheError: cannot create the folder " in run.stderr, run.stderr
    assert "hint: a file exists where a folder is needed" in run.stderr


def test_relative_cache_folder(place: Place, tmp_path: Path) -> None:
    """The XDG specification says to ignore relative paths: they would be different in each working folder."""
    place.write("m.rs", SCRIPT.format(1))
    relative = home(place, tmp_path) | {"XDG_CACHE_HOME": "rel/cache"}
    run = place.python("from rustimport import _cache; print(_cache.cache_root())", **relative)  # type: ignore[arg-type]
    assert run.out == str(tmp_path / ".cache" / "rustimport")
    code = """
    import os, sys
    sys.path.insert(0, os.getcwd())
    os.mkdir("gone")
    os.chdir("gone")
    os.rmdir("../gone")
    import m
    """
    run = place.python(code, RUSTIMPORT_CACHE_DIR="c")
    assert "CacheError: there is no working folder" in run.stderr, run.stderr


@pytest.mark.parametrize("arguments", [["new", "sc.rs"], ["new", "pkg"], ["new", "pkg", "--project"]])
def test_new_leaves_no_partial_files(place: Place, failing: str, arguments: list[str]) -> None:
    command = [sys.executable, "-m", "rustimport", *arguments]
    full = {"LD_PRELOAD": failing, "FAULT_FOLDER": str(place.folder), "FAULT_ERRNO": "28"}
    full["FAULT_COUNT"] = str(place.folder.parent / "count")
    for step in range(2, 30):
        env = {**place.env, **full, "FAULT_FROM": str(step)}
        Path(full["FAULT_COUNT"]).unlink(missing_ok=True)
        done = subprocess.run(command, cwd=place.folder, env=env, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            break
        assert "hint: the disk is full" in done.stderr, done.stderr
        assert list(place.folder.iterdir()) == []
    assert step > 2
    assert done.returncode == 0


def test_user_without_a_home_folder(place: Place) -> None:
    """The arbitrary user of a container has no home and no name. Nothing is written to the working folder."""
    place.write("m.rs", SCRIPT.format(1))
    code = """
        import pwd
        def nobody(_):
            raise KeyError
        pwd.getpwuid = nobody
        import m
    """
    run = place.python(code, **home(place, None))  # type: ignore[arg-type]
    assert "CacheError: there is no place for the cache: HOME is not set, and this user has no home" in run.stderr
    assert "hint: set HOME, or RUSTIMPORT_CACHE_DIR" in run.stderr
    assert sorted(path.name for path in place.folder.iterdir()) == ["m.rs"]
