"""What the hook decides without a compiler: which names it handles, and whether a stamp is valid."""

from __future__ import annotations

import _imp
import importlib
import importlib.machinery
import os
import pickle
import random
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from rustimport import _cache, _finder, _marker, _release_finder, _settings, settings

MARKED = "// rustimport:pyo3\n"

#: A file without a marker that declares its module.
MODULE = "use pyo3::prelude::*;\n#[pymodule]\nmod m {}\n"

#: The modules that a third-party import loads.
HOOK = ["rustimport._cache", "rustimport._finder", "rustimport._projects", "rustimport._settings"]


class Recorder(_finder.ScriptFinder):
    """A finder that records which source it would build instead of building it."""

    def artifact(self, fullname: str, source: str, **_: Any) -> Any:
        try:
            stat = os.stat(source)
        except OSError:
            return None
        is_file = stat.st_mode & 0o170000 == 0o100000
        return source + ".built" if is_file and _marker.has_opted_in(source, stat) else None


@pytest.fixture
def finder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    monkeypatch.setattr(sys, "path", [str(tmp_path / "a"), str(tmp_path / "b"), *sys.path])
    for name in "ab":
        (tmp_path / name).mkdir()
    before = set(sys.modules)
    finder = Recorder()
    _finder.put(finder)
    yield finder
    _finder.take_off("scripts")
    for name in set(sys.modules) - before:
        del sys.modules[name]
    importlib.invalidate_caches()


def found(name: str, path: list[str] | None = None) -> str | None:
    """Where a name is found, relative to the two folders; `None` if nowhere."""
    specs = (finder.find_spec(name, path) for finder in sys.meta_path)
    spec = next((spec for spec in specs if spec is not None), None)
    if spec is None:
        return None
    if spec.origin is None:
        return "namespace"
    parts = Path(spec.origin).parts
    return "/".join(parts[parts.index("a") if "a" in parts else parts.index("b") :])


def test_install_loads_only_the_hook() -> None:
    code = (
        "import sys; before = set(sys.modules); import rustimport.import_hook; print(sorted(set(sys.modules) - before))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == repr(["rustimport", *HOOK, "rustimport.import_hook"])


def test_importing_the_package_installs_nothing(tmp_path: Path) -> None:
    code = """
import sys
import textwrap
before = set(sys.modules), list(sys.meta_path)
import rustimport
assert sys.meta_path == before[1]
rustimport.install(); rustimport.install()
assert len(sys.meta_path) == len(before[1]) + 2
assert sys.meta_path[-1].__name__ == "PathFinder"
try:
    import surely_not_there
except ModuleNotFoundError:
    pass
print(sorted(set(sys.modules) - before[0]))
rustimport.uninstall(); rustimport.uninstall()
assert sys.meta_path == before[1]
"""
    environ = {**os.environ, "RUSTIMPORT_CACHE_DIR": str(tmp_path)}
    # The first import finds out which projects are installed.
    for _ in range(2):
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environ)
    assert run.stdout.strip() == repr(["rustimport", *HOOK])


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"a/m.rs": MARKED}, "a/m.rs.built"),
        ({"a/m.rs": "fn main() {}"}, None),
        ({"a/m.rs": MARKED, "b/m.py": ""}, "a/m.rs.built"),
        ({"a/m.py": "", "b/m.rs": MARKED}, "a/m.py"),
        ({"a/m.rs": MARKED, "a/m.py": ""}, "a/m.rs.built"),
        ({"a/m.rs": MODULE}, "a/m.rs.built"),
        ({"a/m.rs": MODULE, "a/m.py": ""}, "a/m.py"),
        ({"a/m.rs": MODULE, "b/m.py": ""}, "a/m.rs.built"),
        ({"a/m.rs": MODULE, f"a/m{_imp.extension_suffixes()[0]}": ""}, "a/m.rs.built"),
        ({"a/m.rs": MODULE, "a/lib.rs": "pub mod m;", "b/m.py": ""}, "b/m.py"),
        ({"a/m.rs": MARKED, "a/m/__init__.py": ""}, "a/m/__init__.py"),
        ({"a/m.rs": MARKED, "b/m/__init__.py": ""}, "a/m.rs.built"),
        ({"a/m.rs": MARKED, "a/m/helper.rs": ""}, "a/m.rs.built"),
        ({"b/m.rs": MARKED, "a/m/helper.rs": ""}, "b/m.rs.built"),
        ({"a/m/helper.rs": ""}, "namespace"),
        ({"a/m.rs": MARKED, "a/m" + _imp.extension_suffixes()[0]: ""}, "a/m.rs.built"),
        ({"a/m.rs": "no", "a/m" + _imp.extension_suffixes()[0]: ""}, "a/m" + _imp.extension_suffixes()[0]),
        ({"a/m.rs/x": ""}, None),
        ({"a/m.rs": "no", "b/m.rs": MARKED}, "b/m.rs.built"),
    ],
)
def test_order(finder: Recorder, tmp_path: Path, files: dict[str, str], expected: str | None) -> None:
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    importlib.invalidate_caches()
    assert found("m") == expected


@pytest.mark.parametrize("form", ["{folder}/", "./{name}", "{name}/"])
def test_entries_that_are_not_plain_paths(
    finder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    monkeypatch.chdir(tmp_path)
    sys.path[:2] = [form.format(folder=tmp_path / name, name=name) for name in ("a", "b")]
    for script in ("a/one.rs", "a/two.rs", "b/three.rs", "a/four.rs", "b/five.rs"):
        (tmp_path / script).write_text(MARKED)
    for module in ("a/one.py", "b/two.py", "a/three.py", "a/four/__init__.py", "a/five/__init__.py"):
        (tmp_path / module).parent.mkdir(exist_ok=True)
        (tmp_path / module).write_text("")
    expected = ["a/one.rs.built", "a/two.rs.built", "a/three.py", "a/four/__init__.py", "a/five/__init__.py"]
    for _ in range(2):
        assert [found(name) for name in ("one", "two", "three", "four", "five")] == expected


KINDS = {
    "nothing": (),
    "script": ("m.rs",),
    "crate": ("m/Cargo.toml",),
    "module": ("m.py",),
    "package": ("m/__init__.py",),
    "namespace": ("m/text",),
    "script and module": ("m.rs", "m.py"),
    "script and package": ("m.rs", "m/__init__.py"),
    "script and crate": ("m.rs", "m/Cargo.toml"),
    "crate and module": ("m/Cargo.toml", "m.py"),
}


@pytest.mark.parametrize("seed", range(4))
def test_any_path_has_pythons_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """A folder can be on the path several times, in several forms; whatever is no text does not count."""

    def build(_: _finder.ScriptFinder, fullname: str, source: str, **__: Any) -> str | None:
        return source if Path(source).is_file() or Path(source, "Cargo.toml").is_file() else None

    monkeypatch.setattr(_finder.ScriptFinder, "artifact", build)
    chance = random.Random(seed)
    for kind, files in KINDS.items():
        for file in files:
            path = tmp_path / kind / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(MARKED if file == "m.rs" else "")
        (tmp_path / kind).mkdir(exist_ok=True)
    finder = _finder.ScriptFinder()
    package: Any = ModuleType("package")
    monkeypatch.setitem(sys.modules, "package", package)
    standard = [entry for entry in sys.path if "site-packages" not in entry]
    for _number in range(300):
        here = chance.choice(list(KINDS))
        monkeypatch.chdir(tmp_path / here)
        kinds = chance.choices(list(KINDS), k=chance.randint(1, 5))
        forms = ["{root}/{kind}", "{root}/{kind}", "{root}/{kind}/", "../{kind}", ""]
        entries: list[Any] = [chance.choice(forms).format(root=tmp_path, kind=kind) for kind in kinds]
        expected = next(filter(None, (first(tmp_path / here / entry) for entry in entries)), None)
        odd: list[Any] = [None, tmp_path, os.fsencode(tmp_path / kinds[0]), 5, []]
        for entry in chance.choices(odd, k=2):
            entries.insert(chance.randint(0, len(entries)), entry)
        monkeypatch.setattr(sys, "path", entries + standard)
        package.__path__ = entries
        sys.path_importer_cache.clear()
        # Before and after the folders are listed; and as the parts of a package.
        for folders in (None, None, entries):
            spec = finder.find_spec("m" if folders is None else "package.m", folders)
            origin = None if spec is None or spec.origin is None else Path(os.path.normpath(spec.origin))
            assert origin == expected, (entries, here)


def first(folder: Path) -> Path | None:
    """What an import of `m` finds in a folder."""
    for file in ("m/__init__.py", "m.rs", "m/Cargo.toml", "m.py"):
        path = Path(os.path.normpath(folder)) / file
        if path.exists():
            return path.parent if path.name == "Cargo.toml" else path
    return None


def test_invalid_names_are_not_found(finder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUSTIMPORT_INCLUDE_PATHS", str(tmp_path))
    (tmp_path / "a" / "new.rs").write_text("no")
    for name in ("a\0b", "a\ud800", "a/b", "x" * 300):
        assert found(name) is None


@pytest.mark.skipif(os.name == "nt", reason="Windows does not delete the working folder")
def test_deleted_working_folder(finder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deleted = tmp_path / "deleted"
    deleted.mkdir()
    monkeypatch.chdir(deleted)
    deleted.rmdir()
    sys.path.insert(0, "")
    (tmp_path / "a" / "m.rs").write_text("no")
    (tmp_path / "b" / "m.py").write_text("")
    for _ in range(2):
        assert found("m") == "b/m.py"


def test_the_standard_library_is_never_shadowed(finder: Recorder, tmp_path: Path) -> None:
    (tmp_path / "a" / "colorsys.rs").write_text(MARKED)
    (tmp_path / "a" / "queue.rs").write_text(MARKED)
    spec = importlib.util.find_spec("colorsys")
    assert spec is not None
    assert str(spec.origin).endswith("colorsys.py")


def test_packages_and_namespaces(finder: Recorder, tmp_path: Path) -> None:
    package = tmp_path / "a" / "pkg"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "fast.rs").write_text(MARKED)
    assert found("pkg.fast", [str(package)]) == "a/pkg/fast.rs.built"
    for name in "ab":
        (tmp_path / name / "space").mkdir()
    (tmp_path / "b" / "space" / "fast.rs").write_text(MARKED)
    importlib.invalidate_caches()
    namespace = importlib.import_module("space")
    assert found("space.fast", namespace.__path__) == "b/space/fast.rs.built"  # type: ignore[arg-type]


def test_a_file_created_within_the_tick_of_a_listing_is_found(finder: Recorder, tmp_path: Path) -> None:
    folder = tmp_path / "a"
    for index in range(50):
        assert found(f"new{index}") is None
        listed = folder.stat().st_mtime_ns
        (folder / f"new{index}.rs").write_text(MARKED)
        # As if the clock had not ticked: the folder's stat is the same as when it was listed.
        os.utime(folder, ns=(listed, listed))
        assert found(f"new{index}") == f"a/new{index}.rs.built"


def test_a_name_missed_within_a_tick_is_found_later(
    finder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "a"
    assert found("late") is None
    listed = folder.stat().st_mtime_ns
    (folder / "late.rs").write_text(MARKED)
    os.utime(folder, ns=(listed, listed))
    now = time.time()
    monkeypatch.setattr(_finder, "time", lambda: now + 10)
    assert found("late") == "a/late.rs.built"
    (folder / "later.rs").write_text(MARKED)
    assert found("later") == "a/later.rs.built"


def test_finders_of_other_tools(finder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path hook that is not a `FileFinder`, and one that is a subclass of it."""

    class Other:
        def __init__(self, entry: str) -> None:
            if not entry.startswith(str(tmp_path)):
                raise ImportError
            self.entry = entry

        def find_spec(self, name: str, target: ModuleType | None = None) -> None:
            return None

    class Tool(importlib.machinery.FileFinder):
        pass

    (tmp_path / "a" / "one.rs").write_text(MARKED)
    loader = (importlib.machinery.SourceFileLoader, [".py"])
    for hook in (Other, Tool.path_hook(loader)):
        monkeypatch.setattr(sys, "path_hooks", [hook, *sys.path_hooks])
        sys.path_importer_cache.clear()
        assert found("one") == "a/one.rs.built"
        assert found("two") is None
        (tmp_path / "a" / "two.rs").write_text(MARKED)
        assert found("two") == "a/two.rs.built"
        (tmp_path / "a" / "two.rs").unlink()
    sys.path_importer_cache.clear()


def test_extra_folders_come_last(finder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    extra = tmp_path / "extra" / "b"
    extra.mkdir(parents=True)
    (extra / "m.rs").write_text(MARKED)
    assert found("m") is None
    monkeypatch.setenv("RUSTIMPORT_INCLUDE_PATHS", f"{os.pathsep}{extra}")
    assert found("m") == "b/m.rs.built"
    (tmp_path / "b" / "m.py").write_text("")
    importlib.invalidate_caches()
    assert found("m") == "b/m.py"


def test_many_threads(finder: Recorder, tmp_path: Path) -> None:
    for index in range(40):
        (tmp_path / "a" / f"t{index}.rs").write_text(MARKED if index % 2 else "no")
    results: dict[int, list[str | None]] = {}

    def search(worker: int) -> None:
        results[worker] = [found(f"t{index}") for index in range(40)]

    threads = [threading.Thread(target=search, args=(worker,)) for worker in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = [f"a/t{index}.rs.built" if index % 2 else None for index in range(40)]
    assert all(result == expected for result in results.values())


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (b"// rustimport", True),
        (b"\xef\xbb\xbf\r\n  // x rustimport:pyo3\r\n", True),
        (b"/* rustimport */", True),
        (b"#!/usr/bin/env x\n// rustimport", True),
        (b"#![allow(x)]\n// rustimport", False),
        (b"// a comment\n// rustimport", False),
        (b"fn rustimport() {}", False),
        (b"", False),
        (b"\n" * 100_000, False),
    ],
)
def test_marker(source: bytes, expected: bool) -> None:
    assert _marker.has_marker(source) is expected


def test_rejected_sources_are_remembered(finder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a" / "m.rs"
    path.write_text("fn main() {}")
    os.utime(path, (1, 1))
    now = time.time()
    monkeypatch.setattr(_marker, "time", lambda: now + 10)
    checked: list[bytes] = []

    def has_marker(data: bytes, original: Any = _marker.has_marker) -> Any:
        checked.append(data)
        return original(data)

    monkeypatch.setattr(_marker, "has_marker", has_marker)
    assert found("m") is None
    assert found("m") is None
    assert len(checked) == 1
    path.write_text(MARKED)
    assert found("m") == "a/m.rs.built"


#: Windows has no line ends in names.
ODD_NAME = "100%.rs" if os.name == "nt" else "100%\n.rs"


class TestStamp:
    """Stamps as the core writes them, and each change that makes one stale."""

    CONTEXT = "0123456789abcdef"

    @pytest.fixture
    def stamp(self, tmp_path: Path) -> Path:
        (tmp_path / "m.so").write_text("library")
        (tmp_path / "m.rs").write_text("source")
        (tmp_path / ODD_NAME).write_text("odd name")
        (tmp_path / "listed").mkdir()
        self.write(tmp_path)
        return tmp_path / "stamp"

    def write(self, folder: Path, edit: Any = lambda text: text) -> None:
        def line(tag: str, path: Path) -> str:
            stat = path.stat()
            times = f"{stat.st_mtime_ns} {stat.st_ctime_ns}"
            size = f"{stat.st_size} " if tag == "F" else ""
            return f"{tag} {size}{times}\t" + str(path).replace("%", "%25").replace("\n", "%0A")

        lines = [
            f"rustimport-stamp 2 {folder.name}",
            f"{self.CONTEXT} 1",
            str(folder / "m.rs"),
            line("F", folder / "m.so"),
            line("F", folder / "m.rs"),
            line("F", folder / ODD_NAME),
            f"D 1 1\t{folder}\t.cargo\trust-toolchain",
            line("L", folder / "listed"),
            "V\tSTAMP_SET=a%0Ab=c",
            "U\tSTAMP_NEVER\tSTAMP_UNSET",
        ]
        text = edit("\n".join(lines) + "\n")
        seal = _imp.source_hash(0, text.encode()).hex()
        (folder / "stamp").write_bytes(f"{text}{seal}\n".encode())

    def fresh(self, stamp: Path, **arguments: Any) -> str | None:
        arguments = {"source": str(stamp.parent / "m.rs"), "context": self.CONTEXT, **arguments}
        return _cache.fresh_artifact(str(stamp), **arguments)

    def test_fresh_stamp(self, stamp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("STAMP_SET", "a\nb=c")
        assert self.fresh(stamp) == str(stamp.parent / "m.so")
        assert self.fresh(stamp, context="other") is None
        assert self.fresh(stamp, source="/other.rs") is None
        self.write(stamp.parent, lambda text: text.replace(f"{self.CONTEXT} 1", f"{self.CONTEXT} 0"))
        assert self.fresh(stamp) is None
        assert self.fresh(stamp, marked=False) is not None

    @pytest.mark.parametrize(
        "change",
        [
            lambda folder: (folder / "m.rs").write_text("Source"),
            lambda folder: (folder / "m.rs").unlink(),
            lambda folder: os.utime(folder / "m.rs"),
            lambda folder: (folder / "m.so").write_text("Library"),
            lambda folder: (folder / "m.so").unlink(),
            lambda folder: (folder / ODD_NAME).unlink(),
            lambda folder: (folder / ".cargo").mkdir(),
            lambda folder: (folder / "listed" / "new").write_text(""),
            lambda folder: os.environ.update(STAMP_SET="other"),
            lambda folder: os.environ.pop("STAMP_SET"),
            lambda folder: os.environ.update(STAMP_UNSET=""),
        ],
    )
    def test_stale_stamp(self, stamp: Path, change: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("STAMP_SET", "a\nb=c")
        monkeypatch.delenv("STAMP_UNSET", raising=False)
        assert self.fresh(stamp)
        change(stamp.parent)
        assert self.fresh(stamp) is None
        os.environ.pop("STAMP_UNSET", None)

    def test_unrelated_files_in_a_folder_do_not_matter(self, stamp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("STAMP_SET", "a\nb=c")
        (stamp.parent / "unrelated").write_text("")
        assert self.fresh(stamp)

    def test_damaged_stamp_is_ignored(self, stamp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("STAMP_SET", "a\nb=c")
        whole = stamp.read_bytes()
        for length in range(len(whole)):
            stamp.write_bytes(whole[:length])
            assert self.fresh(stamp) is None
        for place in range(len(whole)):
            stamp.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
            assert self.fresh(stamp) is None
        stamp.unlink()
        stamp.mkdir()
        assert self.fresh(stamp) is None


def test_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in _settings.VARIABLES.values():
        monkeypatch.delenv(name, raising=False)
    assert (settings.profile, settings.force_rebuild, settings.enabled) == (None, False, True)
    context = _settings.context()
    monkeypatch.setenv("RUSTIMPORT_RELEASE_BINARIES", "Yes")
    assert settings.compile_release_binaries is True
    assert _settings.build_settings()["profile"] == "release"
    assert _settings.context() != context
    monkeypatch.setenv("RUSTIMPORT_PROFILE", "fast")
    assert _settings.build_settings()["profile"] == "fast"
    monkeypatch.setattr(settings, "profile", "small", raising=False)
    assert _settings.build_settings()["profile"] == "small"
    monkeypatch.setenv("RUSTIMPORT_CACHE_DIR", str(tmp_path))
    assert settings.cache_dir == str(tmp_path)
    monkeypatch.setenv("MATURIN_IMPORT_HOOK_ENABLED", "0")
    assert settings.enabled is False
    with pytest.raises(AttributeError, match="did you mean 'profile'"):
        settings.profle  # type: ignore[attr-defined] # noqa: B018
    with pytest.raises(AttributeError, match="did you mean 'profile'"):
        settings.profle = "x"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "name", ["CARGO_PROFILE_DEV_OPT_LEVEL", "RUSTFLAGS", "RUSTUP_TOOLCHAIN", "PATH", "RUSTC_WRAPPER"]
)
def test_variables_that_change_the_context(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = _settings.context()
    monkeypatch.setenv(name, "/something")
    assert _settings.context() != before


def test_variables_that_do_not_change_the_context(monkeypatch: pytest.MonkeyPatch) -> None:
    before = _settings.context()
    monkeypatch.setenv("RUST_LOG", "debug")
    monkeypatch.setenv("VIRTUAL_ENV", "/x")
    assert _settings.context() == before


def test_loading_the_settings_does_not_change_the_context() -> None:
    compare = "before = _settings.context(); import rustimport.settings; print(before == _settings.context())"
    code = f"from rustimport import _settings; {compare}"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "True"


def test_release_mode_errors_show_no_frame_of_this_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "unbuilt.rs").write_text(MARKED)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, _release_finder.ReleaseFinder(cache_dir=str(tmp_path))])
    with pytest.raises(ImportError, match="no library for") as raised:
        __import__("unbuilt")
    assert [entry.name for entry in raised.traceback][1:] == []


def test_a_source_that_is_not_ours_is_not_checked_further(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even without a place for the cache, or with settings that fail."""
    (tmp_path / "packaged.rs").write_text("fn main() {}")
    (tmp_path / "packaged.py").write_text("")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])

    def fail(*_: Any) -> Any:
        raise ValueError("these settings fail")

    finder = _finder.ScriptFinder()
    monkeypatch.setattr(finder, "get_settings", fail, raising=False)
    found = finder.find_spec("packaged")
    assert found is not None
    assert found.origin == str(tmp_path / "packaged.py")


@pytest.mark.parametrize("mode", ["", "1"])
def test_odd_paths_are_no_business_of_the_hook(tmp_path: Path, mode: str) -> None:
    """Entries that are not text, and a working folder that was deleted."""
    code = """
        import os, sys
        import rustimport; rustimport.install()
        if os.name != "nt":
            os.mkdir("deleted"); os.chdir("deleted"); os.rmdir(os.getcwd())
        sys.path[:0] = [None, b"bytes", ""]
        for name in ("nobody", "noone"):
            try:
                __import__(name)
            except ModuleNotFoundError as error:
                print(error)
    """
    environ = {**os.environ, "RUSTIMPORT_RELEASE_MODE": mode, "RUSTIMPORT_INCLUDE_PATHS": "relative", "PYTHONPATH": "."}
    environ["PYTHONPATH"] += os.pathsep + str(Path(_finder.__file__).parent.parent)
    command = [sys.executable, "-c", textwrap.dedent(code)]
    run = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=True)
    assert run.stdout.splitlines() == ["No module named 'nobody'", "No module named 'noone'"]
    assert run.stderr == ""


def test_settings_that_are_put_back_are_not_assigned(monkeypatch: pytest.MonkeyPatch) -> None:
    """As tools do that save a value, change it, and restore what they saved."""
    before = _settings.context()
    saved = settings.profile
    settings.profile = "small"
    assert _settings.context() != before
    settings.profile = saved
    assert _settings.context() == before
    assert pickle.loads(pickle.dumps(settings)) is settings


def test_names_are_case_sensitive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also in a folder that has just changed, on a file system that ignores case."""
    (tmp_path / "M.rs").write_text("// rustimport\n")
    monkeypatch.setattr(_finder, "_IGNORES_CASE", True)
    monkeypatch.setattr(_finder, "exists", lambda path: True)
    assert _finder._has(str(tmp_path), "M.rs")
    assert not _finder._has(str(tmp_path), "m.rs")
