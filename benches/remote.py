"""The rows about remote stores: what they save on an empty machine, and what they cost where they are of no use. Redis
is measured if `redis-server` and opendal are installed."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench import Bench

Rounds = Callable[[dict[str, Callable[[], float]], int], dict[str, list[float]]]

#: Variables that a machine without Rust has.
BARE = {"PATH": "/nonexistent", "CARGO_HOME": "/nonexistent"}


class Team:
    """A machine that has written scripts to some stores, and one that has nothing."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.root = bench.new_folder()
        self.stores = {"folder": (self.root / "store").as_uri()}
        self.redis: subprocess.Popen[bytes] | None = None
        if shutil.which("redis-server") and importlib.util.find_spec("opendal"):
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port = probe.getsockname()[1]
            self.redis = subprocess.Popen(
                ["redis-server", "--port", str(port), "--save", ""], stdout=subprocess.DEVNULL, cwd=self.root
            )
            time.sleep(0.5)
            self.stores["redis"] = f"redis://127.0.0.1:{port}/0"
        else:
            print("\nredis-server or opendal is missing: only a folder is measured")
        self.key = self.run(["remote", "keygen"], RUSTIMPORT_CONFIG_DIR=str(self.root / "one")).stdout.split()[-1]
        self.count = 0

    def env(self, store: str | None = None, machine: str = "two", **more: str) -> dict[str, str]:
        env = {**self.bench.env, "RUSTIMPORT_CONFIG_DIR": str(self.root / machine), **more}
        if store is not None:
            env |= {"RUSTIMPORT_REMOTE": self.stores[store], "RUSTIMPORT_REMOTE_TRUST": self.key}
        return env

    def run(self, arguments: list[str], **more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "rustimport", *arguments]
        env = {**self.bench.env, **more}
        return subprocess.run(command, cwd=self.root, env=env, capture_output=True, text=True, check=True)

    def push(self, path: Path) -> None:
        for store in self.stores:
            env = self.env(store, "one", RUSTIMPORT_REMOTE_MODE="read-write")
            self.run(["remote", "push", str(path)], **env)

    def empty(self) -> dict[str, str]:
        """The variables of a machine without a cache."""
        self.count += 1
        return {"RUSTIMPORT_CACHE_DIR": str(self.root / f"empty{self.count}")}

    def seconds(self, code: str, cwd: Path, env: dict[str, str]) -> float:
        run = subprocess.run([sys.executable, "-c", code], cwd=cwd, env=env, capture_output=True, text=True, check=True)
        return float(next(line for line in run.stdout.splitlines() if line.startswith("seconds ")).split()[1])


def measure(bench: Bench, switch_on: dict[str, str], timed_import: str, in_turn: Rounds) -> None:
    team = Team(bench)
    try:
        _measure(bench, team, switch_on, timed_import, in_turn)
    finally:
        if team.redis is not None:
            team.redis.kill()


def _measure(bench: Bench, team: Team, switch_on: dict[str, str], timed_import: str, in_turn: Rounds) -> None:
    folder = bench.new_folder()
    bench.script(folder, "shared", 1)
    team.push(folder)
    code = timed_import.format(switch_on=switch_on["ours"], name="shared", value=1)
    find = f"{switch_on['ours']}\nimport shared; print(shared.__file__)"
    plain = bench.new_folder()
    shutil.copy(bench.python("ours", find, folder).strip(), plain)

    def empty(store: str) -> float:
        return team.seconds(code, folder, team.env(store, **BARE, **team.empty()))

    stores = dict.fromkeys(team.stores)
    takes: dict[str, Callable[[], float]] = {"bare": lambda: bench.import_of("bare", plain, "shared", 1)}
    takes |= {store: partial(empty, store) for store in stores}
    title = "first import on an empty machine without Rust, from a store"
    bench.report(title, in_turn(takes, 11), "bare", "60 ms from a folder, 250 ms from a network", absolute=True)

    def fresh(store: str | None) -> float:
        # One for each, since a stamp is valid for one set of settings.
        place = folder / f"fresh-{store}"
        if not place.exists():
            place.mkdir()
            bench.script(place, "shared", 1)
        return team.seconds(code, place, team.env(store))

    chosen: dict[str, str | None] = {"none": None} | {store: store for store in stores}
    values = in_turn({who: partial(fresh, store) for who, store in chosen.items()}, 44)
    later = {who: seconds[3:] for who, seconds in values.items()}
    bench.report("fresh script, with a store that is set", later, "none", "1.0x")

    # Each content is new: nothing comes from the cache.
    numbers = iter(range(100, 1_000_000))

    def edit(store: str | None) -> float:
        number = next(numbers)
        place = folder / str(store)
        place.mkdir(exist_ok=True)
        bench.script(place, "edited", number)
        edited = timed_import.format(switch_on=switch_on["ours"], name="edited", value=number)
        return team.seconds(edited, place, team.env(store))

    values = in_turn({who: partial(edit, store) for who, store in chosen.items()}, 21)
    bench.report("edit of a script, with a store that has nothing for it", values, "none", "1.02x")

    many = bench.new_folder()
    for number in range(100):
        bench.script(many, f"many{number}", number)
    team.push(many)

    def pull(store: str) -> float:
        env = {**os.environ, **team.env(store, **BARE, **team.empty())}
        start = time.perf_counter()
        run = subprocess.run(
            [sys.executable, "-m", "rustimport", "remote", "pull", str(many)],
            env=env,
            capture_output=True,
            text=True,
            check=True,
        )
        assert run.stdout.startswith("100 fetched"), run.stdout
        return time.perf_counter() - start

    values = in_turn({store: partial(pull, store) for store in stores}, 3)
    bench.report("100 scripts pulled", values, "folder", "none", absolute=True)
