"""The rows about size: each cost per unit, of a few units and of many. It must not grow with their number."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench import Bench

Rounds = Callable[[dict[str, Callable[[], float]], int], dict[str, list[float]]]
HERE = Path(__file__).parent
OURS = "import rustimport; rustimport.install()"

TIMED = """
{before}
from time import perf_counter
start = perf_counter()
{statement}
print("seconds", (perf_counter() - start) / {units})
"""

#: Every stat takes a millisecond, as on a network file system.
SLOW = """\
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sys/stat.h>
#include <time.h>
static void wait(void) { struct timespec t = {0, 1000000}; nanosleep(&t, 0); }
#define SLOW(name, parameters, arguments) \\
    int name parameters { \\
        static int (*real) parameters; \\
        if (!real) real = dlsym(RTLD_NEXT, #name); \\
        wait(); \\
        return real arguments; \\
    }
SLOW(stat, (const char *p, struct stat *s), (p, s))
SLOW(lstat, (const char *p, struct stat *s), (p, s))
SLOW(fstatat, (int d, const char *p, struct stat *s, int f), (d, p, s, f))
SLOW(statx, (int d, const char *p, int f, unsigned m, struct statx *s), (d, p, f, m, s))
SLOW(access, (const char *p, int m), (p, m))
"""


def settle(*folders: Path) -> None:
    """Makes folders look old: one that has just changed needs a stat more, for two seconds."""
    for folder in folders:
        os.utime(folder, (1_000_000_000, 1_000_000_000))


def measure(bench: Bench, in_turn: Rounds) -> None:
    def compare(title: str, counts: tuple[int, int], of: Callable[[int], Callable[[], float]]) -> None:
        """Reports the cost per unit for each number of units."""
        takes = {str(count): of(count) for count in counts}
        for once in takes.values():
            once()
        bench.report(title, in_turn(takes, 7), str(counts[0]), "1.1x")

    compare("each of N scripts that are searched for in a tree", (200, 2000), lambda count: tree(bench, count))
    compare("each of N inputs of a fresh script", (2000, 20_000), lambda count: inputs(bench, count))
    compare("each of N folders on sys.path, for a missing module", (10, 100), lambda count: path(bench, count))
    compare("each of N editable projects, at the first import", (20, 200), lambda count: projects(bench, count))
    compare(
        "each of N editable projects, after one was installed", (20, 200), lambda count: projects(bench, count, True)
    )
    slow(bench, in_turn)


def tree(bench: Bench, count: int) -> Callable[[], float]:
    folder = bench.new_folder()
    for number in range(count):
        place = folder / f"part{number % 50}"
        place.mkdir(exist_ok=True)
        bench.script(place, f"one{number}", number)
    code = TIMED.format(
        before="from rustimport import _build, _native; _native.core",
        statement=f"assert len(_build.discover(['.'], opt_in=True)) == {count}",
        units=count,
    )
    return lambda: bench.seconds("ours", code, folder)


def inputs(bench: Bench, count: int) -> Callable[[], float]:
    folder = bench.new_folder()
    name = f"inputs{count}"
    source = bench.script(folder, name, 7)
    source.write_text(source.read_text().replace("use pyo3", "//d: data/**/*.txt\nuse pyo3", 1))
    for number in range(count):
        place = folder / "data" / str(number % 100)
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number}.txt").write_text(str(number))
    bench.import_of("ours", folder, name, 7)
    subprocess.run(["sleep", "0.1"], check=True)
    code = TIMED.format(before=OURS, statement=f"import {name}", units=count)
    return lambda: bench.seconds("ours", code, folder)


def path(bench: Bench, count: int) -> Callable[[], float]:
    """What the hook adds for each folder."""
    folder = bench.new_folder()
    folders = [folder / f"path{number}" for number in range(count)]
    for place in folders:
        place.mkdir()
    settle(folder, *folders)
    before = f"import sys, importlib.util; sys.path[:0] = {[str(place) for place in folders]!r}\n"
    search = 'for number in range(200): importlib.util.find_spec(f"missing{number}")'
    codes = {
        who: TIMED.format(before=before + hook + "\nimportlib.util.find_spec('first')", statement=search, units=200)
        for who, hook in (("bare", ""), ("ours", OURS))
    }
    return lambda: max(bench.seconds("ours", codes["ours"]) - bench.seconds("bare", codes["bare"]), 1e-9) / count


def projects(bench: Bench, count: int, installed: bool = False) -> Callable[[], float]:
    """What the hook adds to a process whose environment has editable projects: to its first import that is not of the
    standard library. `installed`: after each change of the environment, when the index is written."""
    folder = bench.new_folder()
    venv.create(folder / "venv", with_pip=False, symlinks=True)
    site = next((folder / "venv").glob("lib/python*/site-packages"))
    (site / "rustimport").symlink_to(HERE.parent / "python" / "rustimport")
    (site / "plain.py").write_text("")
    for number in range(count):
        root = folder / f"project{number}"
        (root / f"p{number}").mkdir(parents=True)
        (root / f"p{number}" / "__init__.py").write_text("")
        (root / "Cargo.toml").write_text(
            f'[package]\nname = "p{number}"\nversion = "1.0.0"\n[lib]\ncrate-type = ["cdylib"]\n'
        )
        (root / "pyproject.toml").write_text(
            '[build-system]\nrequires = ["maturin>=1,<2"]\nbuild-backend = "maturin"\n'
            f'[project]\nname = "p{number}"\nversion = "1.0"\n'
        )
        info = site / f"p{number}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: p{number}\nVersion: 1.0\n")
        (info / "INSTALLER").write_text("pip")
        (info / "direct_url.json").write_text(json.dumps({"url": root.as_uri(), "dir_info": {"editable": True}}))
        (info / "RECORD").write_text(f"p{number}.pth,,\n")
        (site / f"p{number}.pth").write_text(f"{root}\n")
    settle(site)
    who = f"projects{count}{installed}"
    bench.pythons[who] = str(folder / "venv" / "bin" / "python")
    code = TIMED.format(before=OURS, statement="import plain", units=count)
    settled = iter(range(1_000_000_000, 1_000_001_000))

    def take() -> float:
        if installed:
            moment = next(settled)
            os.utime(site, (moment, moment))
        return bench.seconds(who, code)

    return take


def slow(bench: Bench, in_turn: Rounds) -> None:
    """A fresh script where every stat takes a millisecond, compared with CPython importing the same library there."""
    if shutil.which("cc") is None or sys.platform != "linux":
        print("\nslow file system: skipped, there is no C compiler")
        return
    folder, bare = bench.new_folder(), bench.new_folder()
    (folder / "slow.c").write_text(SLOW)
    library = folder / "slow.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, folder / "slow.c", "-ldl"], check=True)
    bench.script(folder, "remote", 7)
    bench.import_of("ours", folder, "remote", 7)
    subprocess.run(["sleep", "0.1"], check=True)
    bench.import_of("ours", folder, "remote", 7)
    found = bench.python("ours", f"{OURS}\nimport remote; print(remote.__file__)", folder).strip()
    shutil.copy(found, bare)
    code = TIMED.format(before="{}", statement="import remote", units=1)

    def take(who: str, place: Path, hook: str) -> float:
        before, bench.env = bench.env, {**bench.env, "LD_PRELOAD": str(library)}
        try:
            return bench.seconds(who, code.replace("{}", hook), place)
        finally:
            bench.env = before

    takes: dict[str, Callable[[], float]] = {
        "bare": lambda: take("bare", bare, "import importlib.util"),
        "ours": lambda: take("ours", folder, OURS),
    }
    bench.report("a fresh script, with 1 ms for each stat", in_turn(takes, 5), "bare", "linear", absolute=True)
