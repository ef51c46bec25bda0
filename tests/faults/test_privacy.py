"""The cache is private: no other user can write to it or read it, and nothing outside it is changed."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rustimport import _cache, _native

from tests.build.test_carrying import BARE
from tests.build.test_command import command
from tests.conftest import Place

SCRIPT = "// rustimport:pyo3\n#[pyfunction]\nfn value() -> i32 {{ {} }}\n"
IMPORT = "import m; print(m.value())"
SECRET = "hunter2-and-more"


def silent(*_: object, **__: object) -> None:
    pass


def test_links_out_of_the_cache_are_not_followed(tmp_path: Path) -> None:
    """`cache clear` and `cache prune` do not follow links anywhere in the cache."""
    core = _native.core
    precious = tmp_path / "precious"
    for folder in ("store/artifacts", "store/inputs/0", "entries/a", "0", "target/debug", "my-thesis"):
        (precious / folder).mkdir(parents=True)
        (precious / folder / "file").write_text("precious")
        os.utime(precious / folder / "file", (0, 0))
    whole = sorted(str(path) for path in precious.rglob("*"))
    key = _cache.INTERPRETER_KEY
    home = Path("v1") / key
    links = [
        Path("v1"),
        home,
        home / "entries",
        home / "store",
        home / "store/inputs",
        home / "store/artifacts",
        home / "entries/a",
        home / "target",
        home / "target/debug/.fingerprint",
        home / "target/debug/build",
        Path("cells"),
    ]
    for number, link in enumerate(links):
        for led_to in (precious, *precious.iterdir(), precious / "store/artifacts", precious / "store/inputs"):
            for remove in ("clear", "prune"):
                root = tmp_path / f"{number}-{led_to.name}-{remove}"
                (root / link).parent.mkdir(parents=True)
                (root / link).symlink_to(led_to)
                if link.name == "build":
                    # A profile's folder is recognized by this.
                    (root / link.with_name(".fingerprint") / "my-thesis").mkdir(parents=True, exist_ok=True)
                if remove == "clear":
                    core.cache_clear(root, None, silent)
                else:
                    core.cache_prune(root, 1.0, 0, silent)
                assert sorted(str(path) for path in precious.rglob("*")) == whole, (link, led_to, remove)


@pytest.mark.parametrize("remove", ["clear", "prune"])
def test_files_of_the_user_in_a_cache_folder_are_kept(tmp_path: Path, remove: str) -> None:
    """The folder contains a `cells` folder, as a cache does."""
    kept = [tmp_path / "cells" / name for name in ("biology.rs", "cell_1.rs", "notes.txt")]
    kept[0].parent.mkdir()
    for path in kept:
        path.write_text("precious")
        os.utime(path, (0, 0))
    core = _native.core
    core.cache_clear(tmp_path, None, silent) if remove == "clear" else core.cache_prune(tmp_path, 1.0, 0, silent)
    assert all(path.read_text() == "precious" for path in kept)


def test_pruning_accepts_any_age(tmp_path: Path) -> None:
    for seconds in (0.0, 1e18, 1e300, float("inf"), float("nan"), -1.0):
        _native.core.cache_prune(tmp_path, seconds, None, silent)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_root_leaves_nothing_in_a_users_cache(place: Place, tmp_path: Path) -> None:
    """Whether or not the user has a cache."""
    place.write("m.rs", SCRIPT.format(1))
    home = tmp_path / "home"
    (home / ".cache").mkdir(parents=True)
    tools = {f"{name.upper()}_HOME": str(Path.home() / f".{name}") for name in ("cargo", "rustup")}
    tools = {name: place.env.get(name, folder) for name, folder in tools.items()}
    env = {"HOME": str(home), **tools, "RUSTIMPORT_CACHE_DIR": None, "XDG_CACHE_HOME": None}
    for cache, words in (
        (None, "which is another user's (uid 12345)"),
        (home / ".cache" / "rustimport", "belongs to another user (uid 12345)"),
    ):
        if cache is not None:
            cache.mkdir(mode=0o700)
        for path in [home, *home.rglob("*")]:
            os.chown(path, 12345, 12345)
        run = place.python("import m", **env)  # type: ignore[arg-type]
        assert "CacheError" in run.stderr
        assert words in run.stderr, run.stderr
        assert "hint: " in run.stderr
        assert [path for path in home.rglob("*") if path.stat().st_uid == 0] == []
        for remove in (["clear", "--yes"], ["prune"]):
            command = [sys.executable, "-m", "rustimport", "cache", *remove]
            environ = {name: value for name, value in {**place.env, **env}.items() if value is not None}
            subprocess.run(command, env=environ, capture_output=True, check=False)
            assert [path for path in home.rglob("*") if path.stat().st_uid == 0] == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("how", ["given away", "writable"])
def test_a_library_that_others_could_have_written_is_not_loaded(place: Place, how: str) -> None:
    place.write("m.rs", SCRIPT.format(1))
    path = Path(place.python("import m; print(m.__file__)").out)
    if how == "writable":
        path.chmod(0o666)
    else:
        os.chown(path, 12345, -1)
    run = place.python("import m; print(m.__file__)", RUSTIMPORT_VERBOSE="1")
    assert Path(run.out) != path
    assert "other users could have written the built library" in run.stderr
    assert run.builds == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_cache_folder_that_others_can_write_to_is_refused(place: Place) -> None:
    place.write("m.rs", SCRIPT.format(1))
    assert place.python(IMPORT).out == "1"
    place.write("m.rs", SCRIPT.format(2))
    entries = place.entry("m").parent
    try:
        entries.chmod(0o777)
        run = place.python("import m")
        assert f"CacheError: the cache folder {entries} is writable by other users" in run.stderr
    finally:
        entries.chmod(0o700)
    assert place.python(IMPORT).out == "2"


def test_values_of_variables_stay_private(place: Place) -> None:
    """They are only in the cache, readable only by the user, and never in any output."""
    place.write("m.rs", SCRIPT.format('env!("MY_TOKEN").len() as i32'))
    before = {path: path.stat().st_mtime_ns for path in place.cache.rglob("*") if path.is_file()}
    run = place.python(IMPORT, MY_TOKEN=SECRET, RUSTIMPORT_VERBOSE="1")
    assert run.out == str(len(SECRET))
    said = run.stdout + run.stderr
    new = [path for path in place.cache.rglob("*") if path.is_file() and before.get(path) != path.stat().st_mtime_ns]
    holding = [path for path in new if SECRET.encode() in path.read_bytes()]
    assert holding, "no file contains the value"
    assert stat.S_IMODE(place.cache.stat().st_mode) == 0o700
    for path in holding:
        is_cargos = "target" in str(path.relative_to(place.cache))
        assert is_cargos or stat.S_IMODE(path.stat().st_mode) == 0o600, path
        above = [folder for folder in path.parents if place.cache in folder.parents]
        assert any(stat.S_IMODE(folder.stat().st_mode) == 0o700 for folder in above)

    place.write("m.rs", 'compile_error!(concat!("no ", env!("MY_TOKEN")));\n' + SCRIPT.format(1))
    place.write("m.rs", "// rustimport:pyo3\n" + (place.folder / "m.rs").read_text())
    code = """
        try:
            import m
        except ImportError as error:
            print(error, error.diagnostics, error.command, error.rendered)
        import runpy, sys
        sys.argv = ["rustimport", "info"]
        try:
            runpy.run_module("rustimport", run_name="__main__")
        except SystemExit:
            pass
    """
    run = place.python(code, MY_TOKEN=SECRET, RUSTIMPORT_VERBOSE="1")
    assert "$MY_TOKEN" in run.stdout
    said += run.stdout + run.stderr
    assert SECRET not in said


def test_values_of_variables_are_only_in_stamps(place: Place, tmp_path: Path) -> None:
    """Cargo also records them. Exports and shared caches contain no values, except those in the compiled code."""
    place.write("m.rs", BARE.format(name="m") + '#[no_mangle] static A: bool = option_env!("APP_WORD").is_some();\n')
    own, shared = tmp_path / "own", tmp_path / "shared"

    def holders(root: Path) -> list[Path]:
        files = [path for path in root.rglob("*") if path.is_file() and "target" not in path.parts]
        return [path for path in files if SECRET.encode() in path.read_bytes()]

    env: dict[str, Any] = {"APP_WORD": SECRET, "RUSTIMPORT_SHARED_CACHE_DIR": str(shared)}
    env["RUSTIMPORT_CACHE_DIR"] = str(own)
    place.python("import m", **env)
    assert [(path.name, stat.S_IMODE(path.stat().st_mode)) for path in holders(own)] == [("stamp", 0o600)]
    assert command(place, "cache", "export", "x.zip", **env).returncode == 0
    assert holders(place.folder) == []
    run = command(place, "cache", "warm", "--shared", "m.rs", **env)
    assert run.returncode == 0, run.stderr
    assert holders(shared) == []

    # A changed value is noticed all the same, and a shared library is found in release mode.
    changed = place.python("import m", **{**env, "APP_WORD": "other"}, RUSTIMPORT_VERBOSE="1")
    assert "`APP_WORD` changed" in changed.stderr
    env |= {"RUSTIMPORT_CACHE_DIR": str(tmp_path / "none"), "RUSTIMPORT_RELEASE_MODE": "1"}
    assert "SystemError" in place.python("import m", **env).stderr
