"""A remote store: what one machine built, others import; and nothing else is ever loaded from it."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.build.test_command import SCRIPT, command
from tests.conftest import Place, Run

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the second machine has another PATH")


class Team:
    """Two machines with one store. They share the compiled dependencies: only what is in the store makes a difference.
    The first one writes and signs, the second one reads."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.root = place.folder.parent
        self.store = self.root / "store"
        self.url = self.store.as_uri()
        self.key = self.keygen("one")
        self.first: dict[str, Any] = self.machine("one") | {"RUSTIMPORT_REMOTE_MODE": "read-write"}
        self.second: dict[str, Any] = self.machine("two")
        for machine in ("one", "two"):
            # An earlier run may have had this path.
            shutil.rmtree(self.entry(machine), ignore_errors=True)

    def keygen(self, machine: str) -> str:
        """Makes the key of a machine, and returns the public one."""
        run = command(self.place, "-q", "remote", "keygen", RUSTIMPORT_CONFIG_DIR=str(self.root / machine))
        assert run.returncode == 0, run.stderr
        return run.stdout.strip()

    def machine(self, name: str) -> dict[str, Any]:
        return {
            "RUSTIMPORT_CONFIG_DIR": str(self.root / name),
            "RUSTIMPORT_REMOTE": self.url,
            "RUSTIMPORT_REMOTE_TRUST": self.key,
        }

    def write(self, name: str, text: str) -> None:
        """Writes a file on both machines."""
        self.place.write(f"one/{name}", text)
        self.place.write(f"two/{name}", text)

    def on_first(self, *arguments: str, **env: Any) -> str:
        """Runs a command on the first machine, in its folder."""
        run = command(self.place, *arguments, **self.first, **env)
        assert run.returncode == 0, run.stderr
        return run.stdout

    def push(self, name: str = "m.rs", **env: Any) -> str:
        return self.on_first("remote", "push", f"one/{name}", **env)

    def on_second(self, module: str = "m", **env: Any) -> Run:
        """Imports a module on the second machine, which has not built anything yet."""
        self.place.forget()
        code = f"import sys; sys.path.insert(0, 'two'); import {module}; print({module}.value())"
        return self.place.python(code, **{**self.second, **env})

    def without_rust(self) -> dict[str, Any]:
        empty = self.root / "empty"
        empty.mkdir(exist_ok=True)
        names = ("PATH", "HOME", "CARGO_HOME")
        return {**dict.fromkeys(names, str(empty)), "RUSTUP_HOME": None, "RUSTIMPORT_MATURIN_EXECUTABLE": None}

    def entry(self, machine: str) -> Path:
        """The cache folder of `m.rs` on a machine."""
        from rustimport import _cache

        name = _cache.entry_name(str(self.place.folder / machine / "m.rs"))
        return Path(_cache.entry_folder(str(self.place.cache), name))

    def objects(self, kind: str) -> list[Path]:
        return sorted((self.store / "v1" / kind).iterdir())


@pytest.fixture
def team(place: Place) -> Team:
    return Team(place)


def test_what_one_builds_the_other_imports(team: Team) -> None:
    team.write("m.rs", SCRIPT.format(7))
    assert team.push() == "1 written, 0 already there, 0 stay, 0 failed\n"
    assert team.push() == "0 written, 1 already there, 0 stay, 0 failed\n"
    run = team.on_second()
    assert (run.out, run.builds) == ("7", 0)
    assert re.fullmatch(rf"rustimport: fetched m from {team.url} in \d+\.\d s\n", run.stderr)
    cache = command(team.place, "cache", "info", **team.second)
    assert f"{team.place.folder / 'two' / 'm.rs'}  (from a remote store, signed by {team.key[8:24]})" in cache.stdout
    # It is the second machine's own now: a fresh import needs no store, and neither does an undo.
    shutil.rmtree(team.store)
    again = team.place.python("import sys; sys.path.insert(0, 'two'); import m; print(m.value())", **team.second)
    assert (again.out, again.builds, again.stderr) == ("7", 0, "")
    # An edit is built, and what is in a store that is only read stays as it is.
    team.place.write("two/m.rs", SCRIPT.format(8))
    run = team.on_second()
    assert (run.out, run.builds) == ("8", 1)
    assert not team.store.exists()


def test_crates_and_inputs_travel_by_content(team: Team) -> None:
    """A crate with a module, an included file and a lock file, pushed by the import itself; found if all are equal."""
    team.write(
        "c/Cargo.toml", '[package]\nname = "c"\nversion = "1.0.0"\nedition = "2021"\n\n[dependencies]\npyo3 = "0.30"\n'
    )
    team.write("c/.rustimport", "")
    code = (
        "mod part;\nuse pyo3::prelude::*;\n#[pymodule] mod c {{ use super::*; #[pyfunction] fn value() -> String {{ "
        'format!("{{}}{{}}", part::PART, include_str!("data.txt")) }} }}\n'
    )
    team.write("c/src/lib.rs", code.format())
    team.write("c/src/part.rs", "pub const PART: i32 = 4;\n")
    team.write("c/src/data.txt", "2")
    run = team.place.python("import sys; sys.path.insert(0, 'one'); import c; print(c.value())", **team.first)
    assert run.out == "42"
    run = team.on_second("c")
    assert (run.out, run.builds) == ("42", 0), run.stderr
    team.place.write("two/c/src/data.txt", "3")
    run = team.on_second("c")
    assert (run.out, run.builds) == ("43", 1)


def test_a_machine_without_rust(team: Team) -> None:
    team.write("m.rs", SCRIPT.format(7))
    team.push()
    bare = team.without_rust()
    run = team.on_second(**bare)
    assert (run.out, "fetched m from" in run.stderr) == ("7", True)
    code = "import sys; sys.path.insert(0, 'two'); import m; print(m.value(), 'rustimport._core' in sys.modules)"
    again = team.place.python(code, **{**team.second, **bare})
    assert (again.out, again.stderr) == ("7 False", "")
    team.place.write("two/m.rs", SCRIPT.format(8))
    run = team.on_second(**bare)
    assert run.returncode == 1
    assert f"the remote store {team.url} has no artifact for this content" in run.stderr
    assert "ToolchainError: cargo was found neither on PATH" in run.stderr


def test_pull_and_where_artifacts_come_from(team: Team) -> None:
    team.write("m.rs", SCRIPT.format(7))
    team.write("other.rs", SCRIPT.format(8))
    team.push()
    team.place.forget()
    pull = command(team.place, "remote", "pull", "two", **{**team.second, "RUSTIMPORT_REMOTE": ""})
    assert (pull.returncode, "no remote store is configured" in pull.stderr) == (2, True)
    pull = command(team.place, "remote", "pull", "two", **team.second)
    assert (pull.returncode, pull.stdout) == (1, "1 fetched, 0 already there, 1 not in the store\n")
    assert "no store has an artifact of" in pull.stderr
    built = command(team.place, "build", "--json", "two", **team.second)
    origins = {Path(result["path"]).name: result["origin"] for result in json.loads(built.stdout)}
    assert origins == {"m.rs": "fresh", "other.rs": "built"}
    team.place.forget()
    shutil.rmtree(team.place.folder / "two")
    team.place.write("three/m.rs", SCRIPT.format(7))
    built = command(team.place, "build", "--json", "three", **team.second)
    assert json.loads(built.stdout)[0]["origin"] == "fetched"


@pytest.mark.parametrize(
    ("why", "env"),
    [
        ("the value of SECRET, which is not in remote-variables", {"SECRET": "1"}),
        ("target-cpu=native", {"RUSTFLAGS": "-Ctarget-cpu=native"}),
        ("the path of its folder", {"SECRET": "PLACE"}),
    ],
)
def test_what_stays(team: Team, why: str, env: dict[str, str]) -> None:
    code = 'fn value() -> &\'static str {{ option_env!("SECRET").unwrap_or("none") }}'
    team.write("m.rs", f"// rustimport:pyo3\n#[pyfunction]\n{code.format()}\n")
    env = {name: value.replace("PLACE", str(team.place.folder / "one")) for name, value in env.items()}
    run = command(team.place, "remote", "push", "one", **team.first, **env)
    assert (run.returncode, run.stdout) == (0, "0 written, 0 already there, 1 stay, 0 failed\n"), run.stderr
    assert why in run.stderr
    assert not team.store.exists()


def test_libraries_of_the_system_stay(team: Team) -> None:
    """A build script that links one, and one that does not say what it reads."""
    manifest = '[package]\nname = "c"\nversion = "1.0.0"\nedition = "2021"\n\n[dependencies]\npyo3 = "0.30"\n'
    lib = "use pyo3::prelude::*;\n#[pymodule] mod c { use super::*; #[pyfunction] fn value() -> i32 { 7 } }\n"
    for script, why in (
        ('println!("cargo:rerun-if-changed=build.rs"); println!("cargo:rustc-link-lib=m");', "c links a library"),
        ("", "c does not say what it reads"),
    ):
        team.write("c/Cargo.toml", manifest)
        team.write("c/.rustimport", "")
        team.write("c/src/lib.rs", lib)
        team.write("c/build.rs", f"fn main() {{ {script} }}\n")
        run = command(team.place, "remote", "push", "one", **team.first)
        assert f"the build script of {why}" in run.stderr
        assert run.stdout == "0 written, 0 already there, 1 stay, 0 failed\n"
    assert not team.store.exists()


def test_a_named_variable_travels_with_its_value(team: Team) -> None:
    team.write("m.rs", '// rustimport:pyo3\n#[pyfunction]\nfn value() -> &\'static str { env!("EDITION") }\n')
    assert team.push(EDITION="blue", RUSTIMPORT_REMOTE_VARIABLES="EDITION").startswith("1 written")
    for env, value, builds in (({}, "blue", 0), (team.without_rust(), "blue", 0), ({}, "red", 1)):
        run = team.on_second(EDITION=value, **env)
        assert (run.out, run.builds) == (value, builds)
        shutil.rmtree(team.entry("two"))


def test_other_flags_are_other_artifacts(team: Team) -> None:
    """A chosen processor travels to a machine with the same choice, and never to one without Rust."""
    team.write("m.rs", SCRIPT.format(7))
    flags = {"RUSTFLAGS": "-Ctarget-feature=+sse3"}
    assert team.push(**flags).startswith("1 written")
    assert len(team.objects("index")) == 1
    assert team.on_second(**flags).builds == 0
    shutil.rmtree(team.entry("two"))
    assert team.on_second().builds == 1
    shutil.rmtree(team.entry("two"))
    assert team.on_second(**team.without_rust()).returncode == 1


def attacks(team: Team) -> dict[str, Callable[[], object]]:
    """What somebody can do who may write to the store, and has no trusted key."""
    (artifact,), (set_,) = team.objects("artifacts"), team.objects("sets")
    indexes = team.objects("index")
    library, signed = artifact.read_bytes(), set_.read_text()
    evil = library.replace(b"PyInit_m", b"PyInit_x")

    def endless() -> None:
        artifact.unlink()
        os.mkfifo(artifact)

    def link() -> None:
        artifact.unlink()
        artifact.symlink_to("/etc/passwd")

    def replace_store() -> None:
        shutil.rmtree(team.store)
        team.store.write_text("")

    def resign() -> None:
        """Signs another library with a key of one's own, and lists it first."""
        team.keygen("evil")
        team.place.write("evil/m.rs", SCRIPT.format(7))
        env = {**team.machine("evil"), "RUSTIMPORT_REMOTE_MODE": "read-write"}
        team.place.forget()
        shutil.rmtree(team.entry("evil"), ignore_errors=True)
        set_.unlink()
        run = command(team.place, "remote", "push", "evil", **env)
        assert run.stdout.startswith("1 written"), run.stderr

    def replace_hash() -> None:
        import hashlib

        digest = hashlib.sha256(evil).hexdigest()
        (artifact.parent / digest).write_bytes(evil)
        set_.write_text(re.sub(r'artifact = "\w+"', f'artifact = "{digest}"', signed))

    def swap() -> None:
        """Another source's set, under the index of this one."""
        team.place.write("one/other.rs", SCRIPT.format(9))
        team.push("other.rs")
        names = {path.name for path in team.objects("sets")} - {set_.name}
        for index in indexes:
            index.write_text("".join(f"{name}\n" for name in names))

    return {
        "another library": lambda: artifact.write_bytes(evil),
        "a longer library": lambda: artifact.write_bytes(library + b"x"),
        "an endless library": endless,
        "a link": link,
        "another hash in the set": replace_hash,
        "another key": resign,
        "another source's set": swap,
        "no signature": lambda: set_.write_text(signed.partition("\n")[2]),
        "an empty set": lambda: set_.write_text(""),
        "a huge set": lambda: set_.write_text(signed + "#" * (1 << 21)),
        "names that lead elsewhere": lambda: [index.write_text("../artifacts\n/etc/passwd\n") for index in indexes],
        "a huge index": lambda: [index.write_text("0" * (1 << 22)) for index in indexes],
        "nothing": lambda: shutil.rmtree(team.store / "v1" / "sets"),
        "a file instead of the store": replace_store,
    }


def test_whoever_has_no_key_can_make_others_compile_and_nothing_else(team: Team) -> None:
    team.write("m.rs", SCRIPT.format(7))
    team.push()
    good = team.root / "good"
    shutil.copytree(team.store, good)
    names = list(attacks(team))
    for name in names:
        if team.store.is_file():
            team.store.unlink()
        shutil.rmtree(team.store, ignore_errors=True)
        shutil.copytree(good, team.store)
        attacks(team)[name]()
        shutil.rmtree(team.entry("two"), ignore_errors=True)
        run = team.on_second()
        assert (run.out, run.builds) == ("7", 1), name
        lines = [line for line in run.stderr.splitlines() if "remote store" in line]
        assert len(lines) <= 1, run.stderr


def test_damaged_objects_are_absent(team: Team) -> None:
    """Every object, cut at sixteen lengths and flipped at sixteen places."""
    team.write("m.rs", SCRIPT.format(7))
    team.push()
    team.place.forget()
    code = f"""
        import os, sys
        from rustimport import _build, errors
        for kind in ("artifacts", "sets", "index"):
            folder = os.path.join({str(team.store / "v1")!r}, kind)
            for name in os.listdir(folder):
                path = os.path.join(folder, name)
                whole = open(path, "rb").read()
                for step in range(16):
                    at = len(whole) * step // 16
                    for damaged in (whole[:at], whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1:]):
                        open(path, "wb").write(damaged)
                        result = _build.build_one("two/m.rs", in_place=False, may_build=False)
                        print(kind, step, type(result.error).__name__, result.origin)
                open(path, "wb").write(whole)
        result = _build.build_one("two/m.rs", in_place=False, may_build=False)
        print(result.origin)
    """
    run = team.place.python(code, hook=False, **team.second)
    *damaged, last = run.out.splitlines()
    # The index that this machine does not ask for may be damaged: there are two.
    assert len(damaged) == 4 * 32
    wrong = [line for line in damaged if not line.endswith("ProjectError None")]
    assert all(line.startswith("index") for line in wrong), wrong
    assert last in ("fetched", "fresh")


def test_a_checkout_chooses_nothing_until_it_is_trusted(team: Team) -> None:
    team.write("m.rs", SCRIPT.format(7))
    team.push()
    table = f'[tool.rustimport]\nremote = "{team.url}"\nremote-trust = ["{team.key}"]\n'
    team.place.write("two/pyproject.toml", table)
    for name in ("RUSTIMPORT_REMOTE", "RUSTIMPORT_REMOTE_TRUST"):
        del team.second[name]
    run = team.on_second()
    assert (run.out, run.builds) == ("7", 1)
    assert run.stderr.count("the remote store is not used: ") == 1
    assert f"pyproject.toml names {team.url}; to use it, run `python -m rustimport remote trust`" in run.stderr
    trust = command(team.place, "remote", "trust", "two", **team.second)
    assert trust.returncode == 0, trust.stderr
    assert trust.stdout.splitlines()[1:-1] == [f"  the store {team.url}", f"  the key {team.key}"]
    shutil.rmtree(team.entry("two"))
    assert team.on_second().builds == 0
    # Other values are another decision. A key that the checkout adds is not believed either.
    team.place.write("two/pyproject.toml", table.replace('["', f'["{team.keygen("evil")}", "'))
    shutil.rmtree(team.entry("two"))
    run = team.on_second()
    assert (run.builds, "to use it, run" in run.stderr) == (1, True)
    # A checkout cannot make this machine write.
    team.place.write("two/pyproject.toml", table + 'remote-mode = "read-write"\n')
    assert "the keys of [tool.rustimport] are" in team.on_second().stderr


def test_a_revoked_key(team: Team) -> None:
    """What it signed is not used, also if it is here already."""
    team.write("m.rs", SCRIPT.format(7))
    team.push()
    assert team.on_second().builds == 0
    code = "import sys; sys.path.insert(0, 'two'); import m; print(m.value())"
    # Next to its source, too, where it is loaded from if the cache is lost.
    assert command(team.place, "build", "two/m.rs", **team.second).returncode == 0
    shutil.rmtree(team.entry("two"))
    in_place = team.place.python(code.replace("m.value()", "m.__file__, m.value()"), **team.second)
    assert (str(team.place.folder / "two") in in_place.out, in_place.builds) == (True, 0)
    configuration = team.root / "two" / "remote.toml"
    configuration.parent.mkdir(exist_ok=True)
    configuration.write_text(f'revoked = ["{team.key}"]\n')
    run = team.place.python(code, **team.second)
    assert (run.out, run.builds) == ("7", 1)
    for path in (team.place.folder / "two").iterdir():
        if "cpython" in path.name:
            path.unlink()
    configuration.unlink()
    shutil.rmtree(team.entry("two"))
    team.on_second()
    configuration.write_text(f'revoked = ["{team.key}"]\n')
    run = team.place.python(code, **team.second)
    assert (run.out, run.builds) == ("7", 1)
    assert f"the key {team.key[8:24]} that signed the library was revoked" in run.stderr
    # Nor can the first machine sign with it.
    push = command(team.place, "remote", "push", "one", **team.first, RUSTIMPORT_REMOTE_REVOKED=team.key)
    assert (push.returncode, "was revoked" in push.stderr) == (1, True)
    # Rotation: both keys are trusted, the new one signs.
    new = team.keygen("new")
    first = {**team.machine("new"), "RUSTIMPORT_REMOTE_MODE": "read-write"}
    assert command(team.place, "remote", "push", "one", **first).stdout.startswith("1 written")
    shutil.rmtree(team.entry("two"))
    assert team.on_second(RUSTIMPORT_REMOTE_TRUST=f"{team.key},{new}").builds == 0


def test_keys_are_secret(team: Team) -> None:
    """Of mode 0600, in no output, not replaced, and not seen by code that runs during a build."""
    path = team.root / "one" / "remote.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    secret = path.read_text().strip()
    run = command(team.place, "remote", "keygen", **team.first)
    assert (run.returncode, "exists already" in run.stderr) == (2, True)
    assert path.read_text().strip() == secret
    team.write(
        "c/Cargo.toml", '[package]\nname = "c"\nversion = "1.0.0"\nedition = "2021"\n\n[dependencies]\npyo3 = "0.30"\n'
    )
    team.write("c/.rustimport", "")
    team.write(
        "c/src/lib.rs",
        "use pyo3::prelude::*;\n#[pymodule] mod c { use super::*; #[pyfunction] "
        'fn value() -> Option<&\'static str> { option_env!("RUSTIMPORT_REMOTE_KEY") } }\n',
    )
    team.write(
        "c/build.rs",
        'fn main() { println!("cargo:rerun-if-changed=build.rs"); '
        'assert!(std::env::var_os("RUSTIMPORT_REMOTE_KEY").is_none()); }\n',
    )
    elsewhere = {"RUSTIMPORT_REMOTE_KEY": secret, "RUSTIMPORT_CONFIG_DIR": str(team.root / "none")}
    run = command(team.place, "remote", "push", "one", **{**team.first, **elsewhere})
    # Neither the build script nor the compiler has seen it, but code that names it stays, whatever it has seen.
    assert "it may contain the value of RUSTIMPORT_REMOTE_KEY" in run.stderr
    assert (
        team.place.python("import sys; sys.path.insert(0, 'one'); import c; print(c.value())", **team.first).out
        == "None"
    )
    for arguments in (["remote", "info"], ["remote", "check"], ["info"], ["-v", "remote", "push", "one", "-r"]):
        run = command(team.place, *arguments, **{**team.first, **elsewhere})
        assert (run.returncode, secret[-64:] in run.stdout + run.stderr) == (0, False), arguments
    path.chmod(0o644)
    run = command(team.place, "remote", "check", **team.first)
    assert (run.returncode, run.stderr) == (1, f"other users can read {path}: run `chmod 600` on it\n")


def test_check_says_what_is_wrong(team: Team) -> None:
    def check(expected: str, **env: Any) -> None:
        run = command(team.place, "remote", "check", **{**team.first, **env})
        assert expected in run.stdout + run.stderr
        assert (run.returncode == 0) == (expected == "read and written")

    check("read and written")
    check("no remote store is configured", RUSTIMPORT_REMOTE=None)
    check("no key is trusted", RUSTIMPORT_REMOTE_TRUST=None)
    check("is not a public key", RUSTIMPORT_REMOTE_TRUST="ed25519:1")
    check('remote-mode is "write"', RUSTIMPORT_REMOTE_MODE="write")
    check("there is no key to sign with", RUSTIMPORT_CONFIG_DIR=str(team.root / "none"))
    check("the key that signs here is not trusted", RUSTIMPORT_REMOTE_TRUST=team.keygen("other"))
    check("there is no such folder", RUSTIMPORT_REMOTE=(team.root / "nowhere").as_uri(), RUSTIMPORT_REMOTE_MODE=None)
    check("it cannot be written", RUSTIMPORT_REMOTE="file:///proc/nowhere")
    found = json.loads(team.on_first("remote", "info", "-f", "json"))
    assert (found["trusted"], found["signs_with"], found["problems"]) == ([team.key], team.key, [])


def test_an_import_goes_on_without_the_store(team: Team) -> None:
    team.write("m.rs", SCRIPT.format(7))
    for env in (
        {"RUSTIMPORT_REMOTE": "file:///nowhere/at/all"},
        {"RUSTIMPORT_REMOTE": "nonsense"},
        {"RUSTIMPORT_REMOTE_TRUST": "nonsense"},
        {"RUSTIMPORT_REMOTE_MODE": "nonsense"},
        {"RUSTIMPORT_REMOTE_MODE": "read-write", "RUSTIMPORT_REMOTE": "file:///proc/nowhere"},
    ):
        shutil.rmtree(team.entry("two"), ignore_errors=True)
        run = team.on_second(**env)
        assert (run.out, run.builds) == ("7", 1)
        assert run.stderr.count("remote store") == 1, run.stderr


def test_old_objects_are_removed_and_clocks_do_not_matter(team: Team) -> None:
    team.write("m.rs", SCRIPT.format(7))
    team.push()
    for years in (-1, 1):
        for kind in ("artifacts", "sets", "index"):
            for path in team.objects(kind):
                then = time.time() + years * 365 * 86400
                os.utime(path, (then, then))
        shutil.rmtree(team.entry("two"), ignore_errors=True)
        assert team.on_second().builds == 0
        removed = team.on_first("remote", "prune", "--days", "30")
        assert (removed == "removed 0 B\n") == (years == 1)
        team.push()


def test_an_older_c_library(team: Team) -> None:
    """What needs a newer one than this system has is not used."""
    team.write("m.rs", SCRIPT.format(7))
    team.push()
    needed = re.search(r'c_library = "(2\.\d+)"', team.objects("sets")[0].read_text())
    assert needed
    for version, builds in (("2.4", 1), (needed[1], 0), ("3.0", 0)):
        shutil.rmtree(team.entry("two"), ignore_errors=True)
        team.place.forget()
        code = f"""
            import sys; sys.path.insert(0, "two")
            from rustimport import _core_client
            _core_client._c_library = lambda: "glibc {version}"
            import m; print(m.value())
        """
        run = team.place.python(code, **team.second)
        assert (run.out, run.builds) == ("7", builds), version


def test_a_thousand_entries(team: Team) -> None:
    """Of others, in the store and in the index: what fits is found, and old ones are removed."""
    team.write("m.rs", SCRIPT.format(7))
    team.push()
    (set_,) = team.objects("sets")
    then = time.time() - 1000 * 86400
    for number in range(1000):
        for kind, text in (("sets", f"set {number}"), ("artifacts", "x"), ("index", f"{number:064x}\n")):
            path = team.store / "v1" / kind / f"{number:064x}"
            path.write_text(text)
            os.utime(path, (then, then))
    for index in team.objects("index"):
        names = [f"{number:064x}" for number in range(15)]
        index.write_text("".join(f"{name}\n" for name in [*names, set_.name]))
    assert team.on_second().builds == 0
    assert team.on_first("remote", "prune", "--days", "30") != "removed 0 B\n"
    assert [path.name for path in team.objects("sets")] == [set_.name]
    assert len(team.objects("artifacts")) == 1


def test_what_does_not_load_is_built(team: Team) -> None:
    team.write("m.rs", SCRIPT.format(7))
    team.push()
    team.place.forget()
    code = """
        import sys; sys.path.insert(0, "two")
        from rustimport import _finder
        create, paths = _finder.Loader._create, []
        def fail_once(self, spec):
            paths.append(self.path)
            if len(paths) == 1:
                raise ImportError("undefined symbol: x")
            return create(self, spec)
        _finder.Loader._create = fail_once
        import m; print(m.value(), len(set(paths)))
    """
    run = team.place.python(code, **team.second)
    assert (run.out, run.builds) == ("7 2", 1)
    assert "what was fetched for m.rs does not load here: undefined symbol: x" in run.stderr
    again = team.place.python("import sys; sys.path.insert(0, 'two'); import m; print(m.value())", **team.second)
    assert (again.out, again.stderr) == ("7", "")


def test_two_writers_at_once(team: Team) -> None:
    for number in range(4):
        team.write(f"m{number}.rs", SCRIPT.format(number))
    code = "import sys, rustimport._cli; sys.exit(rustimport._cli.main(['remote', 'push', 'one']))"
    writers = [team.place.start(code, hook=False, **team.first) for _ in range(2)]
    outputs = [writer.communicate(timeout=600) for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0], outputs
    team.place.forget()
    pull = command(team.place, "remote", "pull", "two", **team.second)
    assert pull.stdout == "4 fetched, 0 already there, 0 not in the store\n", pull.stderr


def crate(team: Team, value: str, **files: str) -> None:
    """Writes the crate `c` on both machines. Its value is an expression."""
    manifest = '[package]\nname = "c"\nversion = "1.0.0"\nedition = "2021"\n\n[dependencies]\npyo3 = "0.30"\n'
    lib = "use pyo3::prelude::*;\n#[pymodule] mod c {\nuse super::*;\n#[pyfunction]\n"
    texts = {"Cargo.toml": manifest, ".rustimport": "", "src/lib.rs": f"{lib}fn value() -> String {{ {value} }}\n}}\n"}
    for name, text in {**texts, **files}.items():
        team.write(f"c/{name}", text)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Cargo.toml", "[workspace]\nmembers = ['c']\n[profile.dev]\ndebug-assertions = false\n"),
        ("c/pyproject.toml", "[tool.maturin]\ncargo-extra-args = '--config=profile.dev.debug-assertions=false'\n"),
        (".cargo/config.toml", "[profile.dev]\ndebug-assertions = false\n"),
    ],
)
def test_what_is_around_a_crate_counts(team: Team, name: str, text: str) -> None:
    """A workspace, maturin's and cargo's configuration, that only the second machine has."""
    crate(team, 'format!("{}", cfg!(debug_assertions))')
    assert team.push("c") == "1 written, 0 already there, 0 stay, 0 failed\n"
    team.place.write(f"two/{name}", text)
    run = team.on_second("c")
    assert "fetched" not in run.stderr
    assert run.builds == 1


@pytest.mark.parametrize(
    ("env", "config"),
    [
        ({"RUSTFLAGS": "--cfg special"}, ""),
        ({"CARGO_PROFILE_DEV_DEBUG_ASSERTIONS": "false"}, ""),
        ({}, "[profile.dev]\ndebug-assertions = false\n"),
    ],
)
def test_flags_do_not_reach_machines_without_rust(team: Team, env: dict[str, str], config: str) -> None:
    team.write("m.rs", SCRIPT.format(7))
    if config:
        team.write(".cargo/config.toml", config)
    assert team.push(**env) == "1 written, 0 already there, 0 stay, 0 failed\n"
    run = team.on_second(**team.without_rust())
    assert (run.returncode, "fetched" in run.stderr) == (1, False)


def test_values_that_are_no_variables_here_stay(team: Team) -> None:
    """Those of cargo's configuration, and of build scripts; and what macros of the tree may read."""
    crate(team, 'option_env!("TOKEN").unwrap_or("none").to_owned()')
    team.write("c/.cargo/config.toml", "[env]\nTOKEN = 'secret-word'\n")
    push = command(team.place, "remote", "push", "one/c", **team.first)
    assert "it may contain the value of TOKEN" in push.stderr, push.stderr
    (team.place.folder / "one/c/.cargo/config.toml").unlink()
    script = 'fn main() { println!("cargo:rerun-if-changed=build.rs"); println!("cargo:rustc-env=HOST_FACT=x"); }\n'
    crate(team, 'env!("HOST_FACT").to_owned()', **{"build.rs": script})
    push = command(team.place, "remote", "push", "one/c", **team.first)
    assert "it may contain the value of HOST_FACT" in push.stderr, push.stderr
    macro = '[package]\nname = "reads"\nversion = "1.0.0"\nedition = "2021"\n\n[lib]\nproc-macro = true\n'
    code = "extern crate proc_macro;\n#[proc_macro] pub fn x(_: proc_macro::TokenStream) -> proc_macro::TokenStream { "
    crate(team, '"x".to_owned()', **{"build.rs": "fn main() {}\n"})
    for machine in ("one", "two"):
        (team.place.folder / machine / "c" / "build.rs").unlink()
    team.write("c/reads/Cargo.toml", macro)
    team.write("c/reads/src/lib.rs", code + '"1".parse().unwrap() }\n')
    manifest = team.place.folder / "one" / "c" / "Cargo.toml"
    manifest.write_text(manifest.read_text() + 'reads = { path = "reads" }\n')
    push = command(team.place, "remote", "push", "one/c", **team.first)
    assert "reads is a procedural macro, which may read anything" in push.stderr, push.stderr
    assert not team.store.exists()


def test_a_value_that_a_build_script_read_without_a_word_stays(team: Team) -> None:
    helper = '[package]\nname = "helper"\nversion = "0.1.0"\nedition = "2021"\n'
    team.write("helper/Cargo.toml", helper)
    team.write("helper/src/lib.rs", 'include!(concat!(env!("OUT_DIR"), "/read.rs"));\n')
    team.write(
        "helper/build.rs",
        """
        fn main() {
            println!("cargo:rerun-if-changed=build.rs");
            let text = format!("pub const READ: &str = {:?};", std::env::var("T_UNNAMED").unwrap_or_default());
            std::fs::write(std::path::Path::new(&std::env::var("OUT_DIR").unwrap()).join("read.rs"), text).unwrap();
        }
        """,
    )
    header = "// rustimport:pyo3\n//: [dependencies]\n//: helper = { path = 'helper' }\n"
    team.write("m.rs", header + "#[pyfunction]\nfn value() -> &'static str { helper::READ }\n")
    push = command(team.place, "remote", "push", "one/m.rs", **team.first, T_UNNAMED="not for others")
    assert "it may contain the value of T_UNNAMED" in push.stderr, push.stderr
    assert not team.store.exists()
    assert team.push(T_UNNAMED="not for others", RUSTIMPORT_REMOTE_VARIABLES="T_UNNAMED").startswith("1 written")


def test_nobody_signs_for_others(team: Team) -> None:
    """What came from a store is built again before it is pushed, so that a revoked key does not live on."""
    team.write("m.rs", SCRIPT.format(7))
    team.push()
    assert team.on_second().builds == 0
    own = team.keygen("two")
    env = {**team.machine("two"), "RUSTIMPORT_REMOTE_MODE": "read-write"}
    before = team.place.builds
    run = command(team.place, "remote", "push", "two", **env)
    assert run.stdout == "1 written, 0 already there, 0 stay, 0 failed\n"
    assert team.place.builds == before + 1
    assert sum(own[8:24] in path.read_text() for path in team.objects("sets")) == 1


def test_a_relative_home_is_nobodys_configuration(team: Team) -> None:
    team.write("m.rs", SCRIPT.format(7))
    configuration = team.place.folder / ".config" / "rustimport" / "remote.toml"
    configuration.parent.mkdir(parents=True)
    configuration.write_text(f'remote = "{team.url}"\nmode = "read-write"\ntrust = ["{team.key}"]\n')
    for env in ({"XDG_CONFIG_HOME": ".config"}, {"HOME": "relative", "XDG_CONFIG_HOME": None}):
        none: dict[str, Any] = {"RUSTIMPORT_CONFIG_DIR": None, "CARGO_HOME": os.environ.get("CARGO_HOME")}
        run = command(team.place, "remote", "info", "-f", "json", **{**none, **env})
        assert json.loads(run.stdout)["url"] is None


def test_links_in_the_store_are_not_followed(team: Team) -> None:
    """Whoever can write to the store makes nobody remove, read or write files elsewhere."""
    team.write("m.rs", SCRIPT.format(7))
    team.push()
    precious = team.root / "precious"
    for folder in ("artifacts", "sets", "index", "v1/artifacts", "v1/sets", "v1/index"):
        (precious / folder).mkdir(parents=True, exist_ok=True)
        for name in ("0" * 64, "thesis.txt", ".rustimport-1-0"):
            (precious / folder / name).write_text("precious")
            os.utime(precious / folder / name, (0, 0))
    whole = sorted(str(path) for path in precious.rglob("*"))
    good = team.root / "good"
    shutil.copytree(team.store, good)
    for link, led_to in (("v1", "v1"), ("v1/artifacts", "artifacts"), ("v1/sets", "sets"), ("v1/index", "index")):
        shutil.rmtree(team.store)
        shutil.copytree(good, team.store)
        shutil.rmtree(team.store / link)
        (team.store / link).symlink_to(precious / led_to)
        prune = command(team.place, "remote", "prune", "--days", "1", **team.first)
        push = command(team.place, "remote", "push", "one/m.rs", **team.first)
        for run in (prune, push):
            assert run.returncode != 0
            assert f"`{Path(link).name}` is a link, which is not followed" in run.stderr
        shutil.rmtree(team.entry("two"), ignore_errors=True)
        assert (team.on_second().out, team.on_second(**team.without_rust()).out) == ("7", "7")
        assert sorted(str(path) for path in precious.rglob("*")) == whole
    # Nor is anything removed but objects of the store, and what was killed while it wrote.
    shutil.rmtree(team.store)
    shutil.copytree(precious / "v1", team.store / "v1")
    team.on_first("remote", "prune", "--days", "1")
    assert {path.name for path in (team.store / "v1").rglob("*") if path.is_file()} == {"thesis.txt"}


def test_what_is_pushed_again_is_not_old(team: Team) -> None:
    team.write("m.rs", SCRIPT.format(7))
    team.push()
    for kind in ("artifacts", "sets", "index"):
        for path in team.objects(kind):
            os.utime(path, (0, 0))
    assert team.push().startswith("0 written, 1 already there")
    team.on_first("remote", "prune", "--days", "1")
    assert team.on_second(**team.without_rust()).out == "7"


def test_words_of_others_do_not_reach_the_terminal(team: Team) -> None:
    """Those of a checkout's configuration, before it is trusted and when it is."""
    team.write("m.rs", SCRIPT.format(7))
    evil = "\\u001b[2K\\u202e"
    team.write("pyproject.toml", f'[tool.rustimport]\nremote = "s3://x{evil}"\nremote-trust = ["ed25519:{evil}"]\n')
    env = {**team.second, "RUSTIMPORT_REMOTE": None, "RUSTIMPORT_REMOTE_TRUST": None}
    trust = command(team.place, "remote", "trust", "two", **env)
    shown = ["  the store s3://x\\x1b[2K\\u202e", "  the key ed25519:\\x1b[2K\\u202e", "trusted"]
    assert (trust.returncode, trust.stdout.splitlines()[1:]) == (0, shown)
    for run in (team.on_second(**env), command(team.place, "remote", "check", **env)):
        assert "\x1b" not in run.stdout + run.stderr
    team.write("pyproject.toml", f'[tool.rustimport]\n"{evil}" = 1\n')
    run = team.on_second(**env)
    assert "ProjectError: " in run.stderr
    assert "\x1b" not in run.stderr


def test_trusting_asks_in_a_terminal(team: Team) -> None:
    """What is trusted is shown first."""
    import pty

    team.write("pyproject.toml", f'[tool.rustimport]\nremote = "{team.url}"\nremote-trust = ["{team.key}"]\n')
    env = {**team.second, "RUSTIMPORT_REMOTE": None, "RUSTIMPORT_REMOTE_TRUST": None}
    environ = {name: value for name, value in {**team.place.env, **env}.items() if value is not None}
    decisions = team.root / "two" / "trusted-checkouts.toml"
    for answer, is_trusted in (("n", False), ("y", True)):
        main, end = pty.openpty()
        words = [sys.executable, "-m", "rustimport", "remote", "trust", "two"]
        process = subprocess.Popen(words, cwd=team.place.folder, env=environ, stdin=end, stdout=end, stderr=end)
        os.close(end)
        shown = b""
        while b"[y/N]" not in shown:
            shown += os.read(main, 1000)
        assert team.url.encode() in shown
        assert not decisions.exists()
        os.write(main, answer.encode() + b"\n")
        assert process.wait(60) == (0 if is_trusted else 1)
        os.close(main)
        assert decisions.exists() == is_trusted


DEPENDS = """\
// rustimport:pyo3
//: [dependencies]
//: cfg-if = "{}"
#[pyfunction]
fn value() -> i32 {{ 7 }}
"""


def test_an_old_build_is_not_brought_back(team: Team) -> None:
    """Two builds of one content, with different versions of a dependency: both are signed."""
    team.write("m.rs", DEPENDS.format("1"))
    on_ci = {"GITHUB_SHA": "c0ffee", "CI_JOB_URL": "https://ci/1\x1b[2K"}
    team.push(**on_ci)
    first = team.root / "first"
    shutil.copytree(team.store, first)
    assert team.on_second().builds == 0
    # As if the dependency had a new version now.
    lock = next(team.entry("one").rglob("Cargo.lock"))
    text = lock.read_text()
    version = re.search(r'name = "cfg-if"\nversion = "(.+?)"', text)
    assert version is not None
    team.place.forget()
    older = "1.0.0" if version[1] != "1.0.0" else "1.0.1"
    updated = subprocess.run(
        ["cargo", "update", "-p", "cfg-if", "--precise", older, "--manifest-path", str(lock.with_name("Cargo.toml"))],
        capture_output=True,
        text=True,
        check=False,
        env=team.place.env,
    )
    assert updated.returncode == 0, updated.stderr
    assert team.push(RUSTIMPORT_FORCE_REBUILD="1") == "1 written, 0 already there, 0 stay, 0 failed\n"
    signed = {path.name: re.search(r"serial = (\d+)", path.read_text()) for path in team.objects("sets")}
    assert sorted(found[1] for found in signed.values() if found) == ["1", "2"]
    info = json.loads(command(team.place, "remote", "info", "-f", "json", **team.first).stdout)
    builds = [(build["serial"], build["commit"], build["job"]) for build in info["builds"]]
    assert sorted(builds) == [(1, "c0ffee", "https://ci/1[2K"), (2, None, None)]

    def fetched() -> Run:
        shutil.rmtree(team.entry("two"))
        return team.on_second(RUSTIMPORT_VERBOSE="1")

    # Whatever the index says first, the newer one is used.
    (old,) = (name for name, found in signed.items() if found and found[1] == "1")
    (new,) = (name for name, found in signed.items() if found and found[1] == "2")
    for index in team.objects("index"):
        index.write_text(f"{old}\n{new}\n")
    run = fetched()
    assert (run.builds, "build 2" in run.stderr) == (0, True), run.stderr
    # The old one alone is refused by a machine that has seen the new one.
    shutil.rmtree(team.store)
    shutil.copytree(first, team.store)
    run = fetched()
    assert (run.out, run.builds) == ("7", 1)
    assert "it is build 1 of this content, and build 2 was seen here" in run.stderr
    # A signer without a memory goes on from what the store has.
    (team.root / "one" / "remote-serials").unlink()
    team.place.forget()
    assert team.push(RUSTIMPORT_FORCE_REBUILD="1").startswith("1 written")
    assert fetched().builds == 0


def test_signing_without_building(team: Team) -> None:
    """One job builds, another one has the key, and runs nothing."""
    team.write("m.rs", SCRIPT.format(7))
    run = command(team.place, "remote", "push", "--no-build", "one/m.rs", **team.first)
    assert (run.returncode, team.place.builds) == (1, 0)
    assert "nothing was built here from this content, and --no-build is given" in run.stderr
    team.place.python("import sys; sys.path.insert(0, 'one'); import m", RUSTIMPORT_CONFIG_DIR=str(team.root / "two"))
    assert team.place.builds == 1
    # The entry is not needed: the store alone may come from an export.
    shutil.rmtree(team.entry("one"))
    assert team.on_first("remote", "push", "--no-build", "one/m.rs").startswith("1 written")
    assert team.place.builds == 1
    assert team.on_second().builds == 0
    team.place.write("one/rust-toolchain.toml", '[toolchain]\npath = "evil"\n')
    run = command(team.place, "remote", "push", "--no-build", "one/m.rs", **team.first)
    assert "rust-toolchain.toml can name programs to run, which --no-build must not" in run.stderr


def test_output_of_one_machine_ends_no_sharing(team: Team) -> None:
    """Cargo's configuration counts as far as it can change what is built."""
    team.write("m.rs", SCRIPT.format(7))
    team.place.write("one/.cargo/config.toml", "[term]\nverbose = false\n")
    team.push()
    assert team.on_second().builds == 0
    for text, builds in (
        ("[net]\nretry = 5\n[term]\ncolor = 'never'\n", 0),
        ("[term]\ncolor = 'never'\n[build]\nrustflags = ['--cfg', 'x']\n", 1),
    ):
        shutil.rmtree(team.entry("two"))
        team.place.write("two/.cargo/config.toml", text)
        assert team.on_second().builds == builds, text
