"""Content that was built once is not rebuilt when it occurs again, also elsewhere, and nothing else is used for it."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.conftest import ROOT, Place

SCRIPT = "// rustimport:pyo3\n{header}#[pyfunction]\nfn value() -> {type} {{ {value} }}\n"

#: Prints the value, and whether a process was started.
IMPORT = """
import m, resource
print(m.value(), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss > 0)
"""


def script(value: object, header: str = "", kind: str = "i32") -> str:
    return SCRIPT.format(value=value, header=header, type=kind)


def built(place: Place, value: object, folder: Path | None = None, **env: str | None) -> bool:
    """Imports the script, checks its value, and returns whether it was built."""
    where = Place(folder or place.folder, Path(place.env["RUSTIMPORT_MATURIN_EXECUTABLE"]))
    where.env = place.env
    run = where.python(IMPORT, **env)  # type: ignore[arg-type]
    printed, _, started = run.out.rpartition(" ")
    assert printed == str(value), run.stderr
    has_built = "building m" in run.stderr
    assert started == str(has_built), "a process was started although nothing was built"
    return has_built


HELPER = '//: [dependencies]\n//: helper = { path = "../helper" }\nmod part;\n'


@pytest.fixture
def tree(place: Place) -> Path:
    """A script with a module, a path dependency, an included file and a cargo configuration."""
    tree = place.folder / "tree"
    manifest = '[package]\nname = "helper"\nversion = "0.1.0"\nedition = "2021"\n'
    place.write("tree/helper/Cargo.toml", manifest)
    place.write("tree/helper/src/lib.rs", "pub fn value() -> i32 { 1 }\n")
    place.write("tree/.cargo/config.toml", '[env]\nTREE = "10"\n')
    place.write("tree/data.txt", "x" * 100)
    place.write("tree/scripts/part.rs", "pub const VALUE: i32 = 1000;\n")
    value = 'helper::value() + part::VALUE + include_str!("../data.txt").len() as i32 + env!("TREE").len() as i32'
    place.write("tree/scripts/m.rs", script(value, HELPER))
    return tree


def test_undo_and_flips(place: Place) -> None:
    for turn in range(3):
        for flip in ("a", "b"):
            for profile in ("dev", "release"):
                for value in (1, 2):
                    place.write("m.rs", script(f'concat!({value}, " ", env!("FLIP"))', kind="&'static str"))
                    is_new = built(place, f"{value} {flip}", FLIP=flip, RUSTIMPORT_PROFILE=profile)
                    assert is_new == (turn == 0)


def test_switching_branches(place: Place, tree: Path) -> None:
    """Several files change at once, and change back."""
    scripts = tree / "scripts"
    helper, part = tree / "helper/src/lib.rs", scripts / "part.rs"

    def switch(value: int) -> None:
        helper.write_text(f"pub fn value() -> i32 {{ {value} }}\n")
        part.write_text(f"pub const VALUE: i32 = {value}000;\n")

    assert built(place, 1103, scripts)
    switch(2)
    assert built(place, 2104, scripts)
    for _ in range(2):
        switch(1)
        assert not built(place, 1103, scripts)
        switch(2)
        assert not built(place, 2104, scripts)
    # A mixture of both branches is new.
    part.write_text("pub const VALUE: i32 = 1000;\n")
    assert built(place, 1104, scripts)


def test_a_copied_and_a_moved_tree(place: Place, tree: Path) -> None:
    assert built(place, 1103, tree / "scripts")
    copy = Path(shutil.copytree(tree, place.folder / "deep" / "copy"))
    assert not built(place, 1103, copy / "scripts")
    moved = tree.rename(place.folder / "moved")
    assert not built(place, 1103, moved / "scripts")
    # Each copy uses its own files.
    for path, old, new, value in (
        ("helper/src/lib.rs", "{ 1 }", "{ 2 }", 1104),
        ("scripts/part.rs", "1000", "2000", 2104),
        ("data.txt", "xxx", "yy", 2071),
        (".cargo/config.toml", '"10"', '"100"', 2072),
    ):
        file = copy / path
        file.write_text(file.read_text().replace(old, new))
        assert built(place, value, copy / "scripts")
        assert not built(place, 1103, moved / "scripts")
    # Without its configuration, the script is built again, and fails.
    shutil.rmtree(moved / ".cargo")
    run = place.python("import sys; sys.path.insert(0, 'moved/scripts'); import m")
    assert "BuildError" in run.stderr
    assert run.builds == 1


def test_sources_with_absolute_paths_are_not_shared(place: Place) -> None:
    """The copy includes the file of the original. This is not visible from its relative paths."""
    tree = place.folder / "tree"
    data = place.write("tree/data.txt", "one")
    place.write("tree/m.rs", script(f'include_str!("{data}")', kind="&'static str"))
    assert built(place, "one", tree)
    copy = Path(shutil.copytree(tree, place.folder / "copy"))
    data.write_text("two")
    assert built(place, "two", copy)
    data.write_text("one")
    assert not built(place, "one", tree)
    assert built(place, "one", copy)


def test_libraries_with_absolute_paths_are_not_shared(place: Place) -> None:
    tree = place.folder / "tree"
    place.write("tree/m.rs", script('env!("CARGO_MANIFEST_DIR")', kind="&'static str"))
    code = "import m; print(m.value())"
    here = Place(tree, Path(place.env["RUSTIMPORT_MATURIN_EXECUTABLE"]))
    run = here.python(code)
    copy = Place(Path(shutil.copytree(tree, place.folder / "copy")), Path(place.env["RUSTIMPORT_MATURIN_EXECUTABLE"]))
    assert copy.python(code).out != run.out
    # At its place it is found again.
    shutil.rmtree(here.entry("m"))
    again = here.python(code)
    assert (again.out, again.builds) == (run.out, 0)


def values(place: Place, *folders: Path, **env: str) -> list[str]:
    """The values of the same script in several folders, one after the other."""
    found = []
    for folder in folders:
        where = Place(folder, Path(place.env["RUSTIMPORT_MATURIN_EXECUTABLE"]))
        found.append(where.python("import m; print(m.value())", **env).out)  # type: ignore[arg-type]
    return found


def test_paths_from_cargos_configuration(place: Place) -> None:
    tree = place.folder / "tree"
    place.write("tree/.cargo/config.toml", '[env]\nDATA = { value = "data", relative = true }\n')
    place.write("tree/scripts/m.rs", script('env!("DATA")', kind="&'static str"))
    (first,) = values(place, tree / "scripts")
    assert first == f"{tree}/data"
    copy = Path(shutil.copytree(tree, place.folder / "copy"))
    # The same for a folder that is reached through a link.
    (place.folder / "link").symlink_to(tree)
    assert values(place, copy / "scripts", place.folder / "link" / "scripts") == [f"{copy}/data", f"{tree}/data"]
    linked = Path(shutil.copytree(place.folder / "link", place.folder / "linked"))
    assert values(place, linked / "scripts") == [f"{linked}/data"]


def test_moved_configuration_is_noticed(place: Place) -> None:
    place.write("tree/s/foo.txt", "inner")
    place.write("tree/foo.txt", "outer")
    place.write("tree/s/.cargo/config.toml", '[env]\nREL = { value = "foo.txt", relative = true }\n')
    place.write("tree/s/m.rs", script('include_str!(env!("REL"))', kind="&'static str"))
    folder = place.folder / "tree" / "s"
    assert values(place, folder) == ["inner"]
    (folder / ".cargo").rename(place.folder / "tree" / ".cargo")
    assert values(place, folder) == ["outer"]


def test_values_computed_from_a_path(place: Place) -> None:
    """The path is not in the library, but it was passed to the compiler."""
    manifest = '[package]\nname = "helper"\nversion = "0.1.0"\nedition = "2021"\n'
    place.write("t/helper/Cargo.toml", manifest)
    place.write("t/helper/src/lib.rs", 'pub const LENGTH: usize = env!("CARGO_MANIFEST_DIR").len();\n')
    header = '//: [dependencies]\n//: helper = { path = "helper" }\n'
    place.write("t/m.rs", script("helper::LENGTH", header, kind="usize"))
    tree = place.folder / "t"
    copy = Path(shutil.copytree(tree, place.folder / "another-name"))
    assert values(place, tree, copy) == [str(len(f"{tree}/helper")), str(len(f"{copy}/helper"))]


def test_absolute_path_from_a_variable(place: Place) -> None:
    tree = place.folder / "proj"
    data = place.write("proj/data.txt", "one")
    place.write("proj/m.rs", script('include_str!(concat!(env!("ABOVE"), "/proj/data.txt"))', kind="&'static str"))
    above = str(place.folder)
    assert values(place, tree, ABOVE=above) == ["one"]
    copy = Path(shutil.copytree(tree, place.folder / "copy"))
    assert values(place, copy, ABOVE=above) == ["one"]
    data.write_text("two")
    assert values(place, copy, ABOVE=above) == ["two"]


def test_an_edit_after_an_undo_compiles_only_the_script(place: Place, tree: Path) -> None:
    here = Place(tree / "scripts", Path(place.env["RUSTIMPORT_MATURIN_EXECUTABLE"]))
    source = tree / "scripts" / "m.rs"
    text = source.read_text()
    assert built(place, 1103, here.folder)
    source.write_text(text + "// edited\n")
    assert built(place, 1103, here.folder)
    source.write_text(text)
    assert not built(place, 1103, here.folder)
    source.write_text(text + "// edited again\n")
    run = here.python("import m", RUSTIMPORT_VERBOSE="1")
    compiled = [line.split()[3] for line in run.stderr.splitlines() if "  Compiling " in line]
    assert [name.partition("_")[0] for name in compiled] == ["m"], run.stderr


@pytest.mark.skipif(shutil.which("rustup") is None, reason="needs rustup")
def test_copied_tree_with_a_toolchain_file(place: Place) -> None:
    active = subprocess.check_output(["rustup", "show", "active-toolchain"], text=True).split()[0]
    place.write("tree/rust-toolchain.toml", f'[toolchain]\nchannel = "{active}"\n')
    place.write("tree/m.rs", script(1))
    assert built(place, 1, place.folder / "tree")
    copy = Path(shutil.copytree(place.folder / "tree", place.folder / "copy"))
    assert not built(place, 1, copy)


def test_a_renamed_script_is_rebuilt(place: Place) -> None:
    place.write("m.rs", script("file!()", kind="&'static str"))
    assert built(place, "m.rs")
    (place.folder / "m.rs").rename(place.folder / "n.rs")
    assert place.python("import n; print(n.value())").out == "n.rs"


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "folder", "unreadable set", "gone"])
def test_damage_is_detected_before_a_library_is_loaded(place: Place, damage: str) -> None:
    for value in (1, 2):
        place.write("m.rs", script(value))
        assert built(place, value)
    store = next(store for store in place.cache.glob("v1/*/store") if store.exists())
    for path in [*store.glob("artifacts/*"), *(store.glob("inputs/*/*") if damage == "unreadable set" else [])]:
        data = path.read_bytes()
        if damage == "cut":
            path.write_bytes(data[:-1])
        elif damage == "flip":
            middle = len(data) // 2
            path.write_bytes(data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :])
        elif damage == "folder":
            path.unlink()
            path.mkdir()
        elif damage == "gone":
            path.unlink()
        else:
            path.write_bytes(b"")
    place.write("m.rs", script(1))
    assert built(place, 1)
    if damage == "folder":
        return
    # The build repairs the store.
    place.write("m.rs", script(3))
    assert built(place, 3)
    place.write("m.rs", script(1))
    assert not built(place, 1)


def test_a_forced_build_builds(place: Place) -> None:
    place.write("m.rs", script(1))
    assert built(place, 1)
    assert built(place, 1, RUSTIMPORT_FORCE_REBUILD="1")


def test_many_changes_in_random_order(place: Place, tmp_path: Path) -> None:
    """Thirty edits, ten undos, five branch switches, two new environments, a moved tree and four changes of the profile
    need exactly one build for each combination that is new."""
    choose = random.Random(3)
    tree = place.folder / "tree"
    seen: set[tuple[str, str, str]] = set()
    history = ["0"]
    branch = {"main": "1", "feature": "2"}
    state = {"part": "1", "profile": "dev", "python": sys.executable}
    runs = 0

    def take() -> None:
        nonlocal runs
        value = history[-1]
        place.write(f"{tree.name}/m.rs", script(f"{value} * 100 + part::VALUE", "mod part;\n"))
        place.write(f"{tree.name}/part.rs", f"pub const VALUE: i32 = {state['part']};\n")
        now = (value, state["part"], state["profile"])
        expected = int(value) * 100 + int(state["part"])
        here = Place(tree, Path(place.env["RUSTIMPORT_MATURIN_EXECUTABLE"]))
        run = here.python("import m; print(m.value())", executable=state["python"], RUSTIMPORT_PROFILE=state["profile"])
        assert run.out == str(expected), run.stderr
        assert run.builds == (now not in seen), (now, run.stderr)
        seen.add(now)
        runs += run.builds

    def environment(number: int) -> str:
        folder = tmp_path / f"venv{number}"
        venv.create(folder, with_pip=False)
        python = folder / "bin" / "python"
        libraries = next(folder.glob("lib/python*/site-packages"))
        # The environment uses the package under test.
        (libraries / "rustimport").symlink_to(ROOT / "python" / "rustimport")
        return str(python)

    day = ["edit"] * 30 + ["undo"] * 10 + ["branch"] * 5 + ["venv"] * 2 + ["move"] + ["profile"] * 4
    choose.shuffle(day)
    take()
    for number, event in enumerate(day):
        if event == "edit":
            # Some edits restore an earlier value.
            history.append(str(choose.randrange(1, 60)))
        elif event == "undo" and len(history) > 1:
            history.pop()
        elif event == "branch":
            state["part"] = branch["main" if state["part"] == branch["feature"] else "feature"]
        elif event == "venv":
            state["python"] = environment(number)
        elif event == "move":
            tree = tree.rename(place.folder / "moved")
        elif event == "profile":
            state["profile"] = "dev" if state["profile"] == "release" else "release"
        take()
    assert runs == len(seen) < len(day)
    assert os.path.exists(tree)
