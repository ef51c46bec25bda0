"""Other users of the machine choose neither the compiler, nor settings, nor a library."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from rustimport import _cache

from tests.build.test_command import command
from tests.conftest import Place

pytestmark = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give files away")

STRANGER = 12345
SCRIPT = "// rustimport:pyo3\n#[pyfunction]\nfn value() -> i32 { 1 }\n"
IMPORT = "import sys; sys.path.insert(0, 'shared/mine'); import m; print(m.__file__)"


def give(*paths: Path) -> None:
    for path in paths:
        os.chown(path, STRANGER, STRANGER, follow_symlinks=False)


@pytest.fixture
def shared(place: Place) -> Path:
    """A folder like `/tmp`, with a folder of one's own in it."""
    place.write("shared/mine/m.rs", SCRIPT)
    place.write("elsewhere/of-root", "")
    folder = place.folder / "shared"
    folder.chmod(0o1777)
    return folder


def linked_folder(shared: Path) -> Path:
    """The link can be exchanged after the file that it leads to was looked at."""
    (shared / ".cargo").mkdir()
    (shared / ".cargo" / "config.toml").symlink_to(shared.parent / "elsewhere" / "of-root")
    give(shared / ".cargo" / "config.toml", shared / ".cargo")
    return shared / ".cargo"


def link(shared: Path, name: str) -> Path:
    (shared / name).symlink_to(shared.parent / "elsewhere" / "of-root")
    give(shared / name)
    return shared / name


def included(shared: Path) -> Path:
    """One's own configuration includes a file that is someone else's."""
    (shared / "mine" / ".cargo").mkdir()
    (shared / "mine" / ".cargo" / "config.toml").write_text('include = "../../more.toml"\n')
    return link(shared, "more.toml")


def writable(shared: Path) -> Path:
    """One's own file, in a folder where everybody can replace it."""
    shared.chmod(0o777)
    (shared / ".cargo").mkdir()
    (shared / ".cargo" / "config.toml").write_text("")
    return shared


def through_a_link(shared: Path) -> Path:
    """One's own link to one's own file, which lies in a folder of someone else."""
    other = shared.parent / "theirs"
    other.mkdir()
    (other / "config.toml").write_text("")
    give(other)
    (shared / ".cargo").symlink_to(other)
    return other


def workspace(shared: Path) -> Path:
    """A crate below it would belong to this workspace, with its patches."""
    mine = shared / "mine" / "m"
    mine.mkdir()
    (shared / "mine" / "m.rs").rename(mine / "lib.rs")
    (mine / ".rustimport").write_text("")
    (mine / "Cargo.toml").write_text(
        '[package]\nname = "m"\nversion = "1.0.0"\nedition = "2021"\n[lib]\npath = "lib.rs"\n'
    )
    return link(shared, "Cargo.toml")


@pytest.mark.parametrize(
    "plant",
    [
        linked_folder,
        pytest.param(lambda shared: link(shared, "rust-toolchain.toml"), id="toolchain"),
        included,
        writable,
        through_a_link,
        workspace,
    ],
)
def test_what_cargo_reads_cannot_be_exchanged(place: Place, shared: Path, plant: Callable[[Path], Path]) -> None:
    path = plant(shared)
    run = place.python(IMPORT)
    assert "ProjectError: " in run.stderr, run.stderr
    assert f"{path} is writable by other users" in run.stderr or f"{path} belongs to another user" in run.stderr
    assert run.builds == 0
    # The advice helps, one thing at a time.
    for _ in range(3):
        advice = [line.split("run `")[1].split("`;")[0] for line in run.stderr.splitlines() if "run `ch" in line]
        if not advice:
            break
        assert os.system(advice[0]) == 0
        run = place.python(IMPORT)
    assert "another user" not in run.stderr
    assert "other users" not in run.stderr


def test_what_only_trusted_users_can_change_is_used(place: Place, shared: Path) -> None:
    """Links of one's own, a folder of a private group, and files of whoever owns the source."""
    (shared.parent / "config").write_text('[term]\ncolor = "never"\n')
    (shared / ".cargo").mkdir(mode=0o775)
    (shared / ".cargo" / "config.toml").symlink_to("../../config")
    place.python(IMPORT).out  # noqa: B018
    shared.chmod(0o755)
    give(shared / "mine", shared.parent / "config")
    place.python(IMPORT).out  # noqa: B018
    # Where everybody can write to the source itself, permissions say nothing: so are Windows' disks in WSL.
    give(shared.parent / "config")
    os.chown(shared.parent / "config", 0, 0)
    for path in (shared, shared / ".cargo", shared / "mine"):
        path.chmod(0o777)
    place.python(IMPORT).out  # noqa: B018


def test_settings_of_others_are_ignored(place: Place, shared: Path) -> None:
    """They could have stubs written anywhere, and an unknown key would be an error."""
    stubs = place.folder / "stubs"
    settings = place.write("shared/pyproject.toml", f"[tool.rustimport]\nstubs = '{stubs}'\nunknown = 1\n")
    give(settings)
    run = place.python(IMPORT)
    assert run.out.endswith(".so")
    assert f"{settings} is not used: {settings} belongs to another user (uid {STRANGER})" in run.stderr
    assert not stubs.exists()
    assert place.python(IMPORT).stderr == ""
    os.chown(settings, 0, 0)
    assert "unknown" in place.python(IMPORT).stderr


def test_a_library_of_others_next_to_a_source_is_not_loaded(place: Place, shared: Path) -> None:
    """Anybody can write a description that fits."""
    place.write("shared/m.rs", SCRIPT)
    assert command(place, "build", "shared/m.rs").returncode == 0
    code = "import sys; sys.path.insert(0, 'shared'); import m; print(m.__file__)"
    entry = Path(_cache.entry_folder(str(place.cache), _cache.entry_name(str(shared / "m.rs"))))
    shutil.rmtree(entry)
    assert place.python(code).out.startswith(str(shared))
    planted = [path for path in shared.iterdir() if "cpython" in path.name]
    assert len(planted) == 2
    give(*planted)
    for _ in range(2):
        shutil.rmtree(entry, ignore_errors=True)
        run = place.python(code)
        assert run.out.startswith(str(place.cache))
        assert run.builds == 0
    # Nor is it mistaken for one's own when it is built again.
    again = command(place, "build", "shared/m.rs")
    assert "is there already, and rustimport did not put it there" in again.stderr
    assert command(place, "build", "--force", "shared/m.rs").returncode == 0
    assert [path.stat().st_uid for path in planted] == [0, 0]


def test_a_cache_that_others_can_exchange_is_refused(place: Place, tmp_path: Path) -> None:
    def cache(name: str, mode: int = 0o700) -> Path:
        root = tmp_path / name / "above" / "cache"
        (root / "v1" / _cache.INTERPRETER_KEY / "entries").mkdir(parents=True)
        root.chmod(mode)
        return root

    place.write("m.rs", SCRIPT)
    owned, writable, inner, link, theirs, good, sticky = map(cache, ["1", "2", "3", "4", "5", "6", "7"])
    give(owned.parent)
    writable.parent.parent.chmod(0o777)
    inner.chmod(0o755)
    (inner / "v1").chmod(0o777)
    # One's own cache, reached through a folder of someone else, or through their link.
    led = theirs.parent / "led"
    led.symlink_to(link)
    give(led)
    own_link = good.parent / "led"
    own_link.symlink_to(good)
    sticky.parent.chmod(0o1777)
    for root in (owned, writable, inner, led):
        _cache._private_roots.clear()
        assert not _cache.is_private(str(root)), root
        run = place.python("import m", RUSTIMPORT_CACHE_DIR=str(root))
        assert "CacheError: " in run.stderr, run.stderr
        assert "belongs to another user" in run.stderr or "writable by other users" in run.stderr
        assert "hint: they could" in run.stderr
        # What is in one's own home is as safe as that.
        home = place.python("import m", RUSTIMPORT_CACHE_DIR=str(root), HOME=str(root.parent), PATH="/none")
        assert ("CacheError: " in home.stderr) == (root != writable), (root, home.stderr)
    for root in (good, own_link, sticky):
        _cache._private_roots.clear()
        assert _cache.is_private(str(root)), root
        run = place.python("import m", RUSTIMPORT_CACHE_DIR=str(root), PATH="/none", HOME="/none", CARGO_HOME="/none")
        assert "CacheError" not in run.stderr
    _cache._private_roots.clear()
