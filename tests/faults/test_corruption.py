"""Truncated, corrupted or replaced files in the cache: the import is right, or fails with a clear error."""

from __future__ import annotations

import _imp
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rustimport import _cache, _finder, _projects

from tests.conftest import HOOK, Place
from tests.faults.conftest import Faults

SCRIPT = "// rustimport:pyo3\n#[pyfunction]\nfn value() -> i32 {{ {} }}\n"

Damage = Callable[[Path], object]


def cut(length: int) -> Damage:
    return lambda path: path.write_bytes(path.read_bytes()[:length])


def flip(place: int) -> Damage:
    def damage(path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[place % len(content)] ^= 1 << (place % 8)
        path.write_bytes(content)

    return damage


def replace(by: Callable[[Path], object]) -> Damage:
    def damage(path: Path) -> None:
        path.unlink()
        by(path)

    return damage


def folder(path: Path) -> None:
    path.mkdir()
    (path / "file").write_text("not empty")


REPLACEMENTS: list[Damage] = [
    replace(folder),
    replace(lambda path: path.symlink_to("nowhere")),
    replace(lambda path: path.symlink_to(path.name)),
    replace(lambda path: path.symlink_to("/etc/passwd")),
    replace(lambda path: os.mkfifo(path)),
    replace(lambda path: path.write_bytes(b"")),
    replace(lambda path: path.write_bytes(os.urandom(1000))),
    replace(lambda path: None),
]


def damages(size: int, faults: Faults) -> Iterator[Damage]:
    count = 16
    if faults.all:
        # Try many lengths of a library, and every length of a record.
        count = min(size, 2000)
    for number in range(count):
        yield cut(size * number // count)
    for _ in range(8 if not faults.all else min(size, 500)):
        yield flip(faults.random.randrange(size))
    yield from REPLACEMENTS


class Watched:
    """A script whose artifact is found within this process, without loading it."""

    def __init__(self, place: Place, module: str) -> None:
        self.place = place
        self.module = module
        self.source = str(place.folder / f"{module}.rs")
        self.entry = place.entry(module)

    def artifact(self) -> Path:
        finder = _finder.ScriptFinder(cache_dir=str(self.place.cache))
        return Path(finder.artifact(self.module, self.source))

    def content(self) -> str:
        return hashlib.sha256(self.artifact().read_bytes()).hexdigest()


@pytest.fixture
def watched(place: Place, monkeypatch: pytest.MonkeyPatch) -> Watched:
    monkeypatch.setenv("RUSTIMPORT_MATURIN_EXECUTABLE", place.env["RUSTIMPORT_MATURIN_EXECUTABLE"])
    monkeypatch.setenv("MATURIN_LOG", place.env["MATURIN_LOG"])
    place.write("m.rs", SCRIPT.format(1))
    place.write("n.rs", SCRIPT.format(2))
    Watched(place, "n").artifact()
    return Watched(place, "m")


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@pytest.mark.parametrize("name", ["stamp", "record.toml", "artifact"])
def test_damaged_files_of_a_check(watched: Watched, faults: Faults, name: str) -> None:
    right = watched.content()
    builds = watched.place.builds

    def path() -> Path:
        return watched.artifact() if name == "artifact" else watched.entry / name

    assert path().is_file()
    for damage in damages(path().stat().st_size, faults):
        damage(path())
        if name != "stamp":
            # A valid stamp would skip the check.
            remove(watched.entry / "stamp")
        assert watched.content() == right
        faults.count("corruptions")
    other = Watched(watched.place, "n")
    shutil.copy(other.artifact() if name == "artifact" else other.entry / name, path())
    assert watched.content() == right
    # No damage needed a build: the library came from the store.
    assert watched.place.builds == builds


@pytest.mark.parametrize("level", ["inputs", "artifacts"])
def test_damaged_store(watched: Watched, faults: Faults, level: str) -> None:
    right = watched.content()
    home = watched.entry.parent.parent
    artifact = home / "store" / "artifacts" / right
    (path,) = (
        [artifact]
        if level == "artifacts"
        else [file for file in home.glob("store/inputs/*/*.toml") if right in file.read_text()]
    )
    tried = list(damages(path.stat().st_size, faults))
    # Each one needs a build.
    tried = faults.random.sample(tried[: -len(REPLACEMENTS)], 150 if faults.all else 4) + REPLACEMENTS[:3]
    for damage in tried:
        damage(path)
        shutil.rmtree(watched.entry)
        assert watched.content() == right
        faults.count("corruptions")
        shutil.rmtree(watched.entry)
        builds = watched.place.builds
        assert (watched.content(), watched.place.builds) == (right, builds), "the store was not repaired"


def test_a_set_of_inputs_moved_to_another_key_is_ignored(watched: Watched) -> None:
    """A library built with other settings is not used because its record was moved."""
    watched.content()
    home = watched.entry.parent.parent
    sets = {file: file.read_bytes() for file in home.glob("store/inputs/*/*.toml")}
    assert len(sets) == 2
    first, second = sets
    for target, source in ((first, second), (second, first)):
        remove(target)
        (target.parent / source.name).write_bytes(sets[source])
    shutil.rmtree(watched.entry)
    builds = watched.place.builds
    watched.content()
    assert watched.place.builds == builds + 1


BUILD_FILES = [
    "package/Cargo.toml",
    "package/Cargo.lock",
    "package/pyproject.toml",
    "compiled-in-target.toml",
    "clock",
    "../../Cargo.lock",
    "../../interpreter.toml",
    "../../lanes/0.source",
    "../../../../CACHEDIR.TAG",
]


@pytest.mark.parametrize("name", BUILD_FILES)
def test_damaged_files_of_a_build(watched: Watched, faults: Faults, name: str) -> None:
    watched.content()
    path = (watched.entry / name).resolve()
    whole = path.read_bytes()
    tried = [*damages(max(1, len(whole)), faults)]
    tried = (
        faults.random.sample(tried, min(60, len(tried))) if faults.all else [cut(len(whole) // 2), *REPLACEMENTS[:2]]
    )
    try:
        for number, damage in enumerate(tried, 10):
            # A flipped digit in a lock file changes the version of a package, which is a valid edit.
            damage(path)
            watched.place.write("m.rs", SCRIPT.format(number))
            run = watched.place.python("import m; print(m.value())", RUSTIMPORT_VERBOSE=None)
            faults.count("corruptions")
            if path.name == "Cargo.lock" and "hint: a file of an earlier build is damaged" in run.stderr:
                # Cargo reported the damage.
                remove(path)
                path.write_bytes(whole)
                continue
            assert run.out == str(number), run.stderr
    finally:
        # Other tests use this file.
        if name.startswith("../") and (not path.is_file() or path.is_symlink()):
            remove(path)
            path.write_bytes(whole)


def test_damaged_cargo_output_is_reported(watched: Watched) -> None:
    """Only cargo can detect this damage. The error says what to do."""
    watched.content()
    # The cache may contain several versions of pyo3.
    target = watched.entry.parent.parent / "target"
    paths = [*target.glob("*/debug/deps/libpyo3-*.rlib"), *target.glob("*/debug/build/pyo3/*/out/libpyo3-*.rlib")]
    assert paths
    before = [(path, path.read_bytes(), path.stat()) for path in paths]
    watched.place.write("m.rs", SCRIPT.format(5))
    try:
        for path, whole, _ in before:
            path.write_bytes(whole[: len(whole) // 2])
        run = watched.place.python("import m")
        assert "hint: a file of an earlier build is damaged" in run.stderr
    finally:
        for path, whole, stat in before:
            path.write_bytes(whole)
            os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert watched.place.python("import m; print(m.value())").out == "5"


def test_damaged_toolchain_record(watched: Watched, faults: Faults) -> None:
    right = watched.content()
    folder = watched.entry.parent.parent / "toolchains"
    shutil.rmtree(folder)
    (watched.entry / "stamp").unlink()
    watched.content()
    (path,) = folder.iterdir()
    for damage in damages(path.stat().st_size, faults):
        damage(path)
        (watched.entry / "stamp").unlink()
        assert watched.content() == right
        faults.count("corruptions")


def test_damaged_index_of_projects(watched: Watched, faults: Faults, tmp_path: Path) -> None:
    site = tmp_path / "site-packages"
    dist_info = site / "it-1.0.dist-info"
    dist_info.mkdir(parents=True)
    url = f'{{"url": "{tmp_path.as_uri()}/project", "dir_info": {{"editable": true}}}}'
    (dist_info / "direct_url.json").write_text(url)
    (dist_info / "WHEEL").write_text("Generator: maturin (1.16.0)\n")
    (dist_info / "RECORD").write_text("it.pth,,\n")
    for file in ("pyproject.toml", "Cargo.toml"):
        (tmp_path / "project").mkdir(exist_ok=True)
        (tmp_path / "project" / file).write_text('[package]\nname = "it"\n')
    finder = _projects.ProjectFinder(cache_dir=str(watched.place.cache))
    path = Path(_cache.index_file(str(watched.place.cache), [str(site)]))
    other = Path(_cache.index_file(str(watched.place.cache), [str(tmp_path)]))
    finder._index([str(tmp_path)])
    assert list(finder._index([str(site)])) == ["it"]
    for damage in damages(path.stat().st_size, faults):
        damage(path)
        assert list(finder._index([str(site)])) == ["it"]
        assert list(finder._index([str(site)])) == ["it"]
        faults.count("corruptions")
    shutil.copy(other, path)
    assert list(finder._index([str(site)])) == ["it"]


@pytest.mark.skipif(
    not shutil.which("setpriv") or os.geteuid() != 0, reason="root reads everything, unless it drops that"
)
@pytest.mark.parametrize("name", ["stamp", "record.toml", "artifact", "lock"])
def test_unreadable_files(watched: Watched, name: str) -> None:
    artifact = watched.artifact()
    path = artifact if name == "artifact" else watched.entry / name
    path.chmod(0)
    run = subprocess.run(
        [
            "setpriv",
            "--bounding-set=-dac_override,-dac_read_search",
            "--",
            sys.executable,
            "-c",
            HOOK + "import m; print(m.value())",
        ],
        cwd=watched.place.folder,
        env=watched.place.env,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.stdout.strip() == "1" or ("Error: " in run.stderr and "hint: " in run.stderr), run.stderr


def test_files_of_another_format_version_are_ignored(watched: Watched) -> None:
    """Files that are intact, but have another format."""
    right = watched.content()
    stamp = watched.entry / "stamp"
    for text in (b"rustimport-stamp 1\n", b"rustimport-stamp 3 m\n"):
        lines = stamp.read_bytes().split(b"\n")
        body = text + b"\n".join(lines[1:-2]) + b"\n"
        stamp.write_bytes(body + _imp.source_hash(0, body).hex().encode() + b"\n")
        assert watched.content() == right
    record = watched.entry / "record.toml"
    body_text = record.read_text().rpartition("\n# sha256 ")[0].replace("format = 2", "format = 3")
    seal = hashlib.sha256(f"{body_text}{watched.entry.name}/record.toml".encode()).hexdigest()
    record.write_text(f"{body_text}\n# sha256 {seal}\n")
    (watched.entry / "stamp").unlink()
    assert watched.content() == right
