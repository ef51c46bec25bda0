"""Measures the promises of the documentation. Each row measures two things alternately, and prints their ratio.

    python benches/bench.py [--reversed] [ROW ...]

Absolute times depend on the machine. The predecessors are installed from PyPI into their own virtual environments
below `benches/.venvs`.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from time import perf_counter

import counts
import others
import scale

import projects
import remote

HERE = Path(__file__).parent
RESULTS = HERE.parent / "target" / "bench.json"
PREDECESSORS = {"mih": "maturin_import_hook==0.3.0", "ri": "rustimport==1.7.1"}

#: The code that turns each of them on.
SWITCH_ON = {
    "bare": "",
    "ours": "import rustimport; rustimport.install()",
    "mih": "import maturin_import_hook; maturin_import_hook.install()",
    "ri": "import rustimport.import_hook",
}

SCRIPT = """\
// rustimport:pyo3
use pyo3::prelude::*;

#[pyfunction]
fn value() -> i32 {{
    {value}
}}

#[pymodule]
fn {name}(module: &Bound<'_, PyModule>) -> PyResult<()> {{
    module.add_function(wrap_pyfunction!(value, module)?)
}}
"""

TIMED_IMPORT = """
{switch_on}
from time import perf_counter
start = perf_counter()
import {name}
seconds = perf_counter() - start
assert {name}.value() == {value}, {name}.value()
print("seconds", seconds)
"""


class Bench:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pythons = {"bare": sys.executable, "ours": sys.executable}
        for short, requirement in PREDECESSORS.items():
            self.pythons[short] = str(others.environment(short, requirement, "maturin>=1.9.6,<2"))
        kept = ("HOME", "PATH", "CARGO_HOME", "RUSTUP_HOME", "LANG", "PIP_CERT", "SSL_CERT_FILE")
        self.env = {name: os.environ[name] for name in kept if name in os.environ}
        self.env |= {
            "RUSTIMPORT_CACHE_DIR": str(folder / "cache"),
            "MATURIN_BUILD_DIR": str(folder / "mih-cache"),
        }
        self.count = 0
        #: The median seconds of each row, which `figures.py` draws.
        self.medians: dict[str, dict[str, float]] = {}

    # -- tools

    def environment(self, who: str) -> dict[str, str]:
        if who == "mih":
            # It requires an activated environment.
            scripts = Path(self.pythons[who]).parent
            path = f"{scripts}{os.pathsep}{self.env['PATH']}"
            return {**self.env, "VIRTUAL_ENV": str(scripts.parent), "PATH": path}
        if who == "ri":
            return {**self.env, "RUSTIMPORT_CACHE_DIR": str(self.folder / "ri-cache")}
        return {**self.env, "RUSTIMPORT_RELEASE_MODE": "1"} if who == "release" else self.env

    def python(self, who: str, code: str, cwd: Path | None = None) -> str:
        command = [self.pythons.get(who, sys.executable), "-c", code]
        run = subprocess.run(
            command, cwd=cwd or self.folder, env=self.environment(who), capture_output=True, text=True, check=False
        )
        if run.returncode != 0:
            raise RuntimeError(f"{who}: {run.stderr}")
        return run.stdout

    def seconds(self, who: str, code: str, cwd: Path | None = None) -> float:
        line = next(line for line in self.python(who, code, cwd).splitlines() if line.startswith("seconds "))
        return float(line.split()[1])

    def new_folder(self) -> Path:
        self.count += 1
        folder = self.folder / f"work{self.count}"
        folder.mkdir()
        return folder

    def import_of(self, who: str, folder: Path, name: str, value: int) -> float:
        code = TIMED_IMPORT.format(switch_on=SWITCH_ON[who], name=name, value=value)
        return self.seconds(who, code, folder)

    def new_script(self, who: str = "ours") -> float:
        """The import of a script that was never built, in a new folder."""
        folder = self.new_folder()
        name = f"new{self.count}"
        self.script(folder, name, self.count)
        code = TIMED_IMPORT.format(switch_on=SWITCH_ON["ours"], name=name, value=self.count)
        return self.seconds(who, code, folder)

    def script(self, folder: Path, name: str, value: int) -> Path:
        path = folder / f"{name}.rs"
        path.write_text(SCRIPT.format(name=name, value=value))
        return path

    def plain_crate(self, folder: Path, name: str, value: int, profile: str = "") -> list[str]:
        """A crate with the script as its library, and the command that builds it with cargo alone."""
        package = folder / "plain"
        package.mkdir(exist_ok=True)
        source = self.script(folder, name, value)
        (package / "pyproject.toml").write_text(
            f'[build-system]\nrequires = ["maturin"]\nbuild-backend = "maturin"\n[project]\n'
            f'name = "{name}"\nversion = "0.1.0"\n'
        )
        (package / "Cargo.toml").write_text(
            f'[package]\nname = "{name}"\nversion = "0.1.0"\nedition = "2021"\n'
            f'[lib]\nname = "{name}"\npath = "{source}"\n'
            f'crate-type = ["cdylib"]\n[dependencies]\npyo3 = "0.30"\n[workspace]\n{profile}'
        )
        return ["cargo", "rustc", "--quiet", "--lib", "--manifest-path", str(package / "Cargo.toml")]

    def command(self, command: list[str], cwd: Path, target: Path) -> float:
        env = {
            **self.env,
            "CARGO_TARGET_DIR": str(target),
            "PYO3_PYTHON": sys.executable,
            "PYO3_BUILD_EXTENSION_MODULE": "1",
        }
        start = perf_counter()
        subprocess.run(command, cwd=cwd, env=env, capture_output=True, check=True)
        return perf_counter() - start

    # -- rows

    def counts(self) -> None:
        """Instructions, system calls and modules of whole processes."""
        counts.report(self.new_folder(), self.env)

    def start(self) -> None:
        """Interpreter start with the hook, against bare."""
        code = "from time import perf_counter\nstart = perf_counter()\n{}\nprint('seconds', perf_counter() - start)"
        takes = each(self.pythons, lambda who: self.seconds(who, code.format(SWITCH_ON[who] or "pass")))
        self.report("start with the hook", in_turn(takes, 15), "bare", "+1 ms", absolute=True)

    def foreign(self) -> None:
        """Imports of third-party Python modules, with ten folders on `sys.path`."""
        folder = self.new_folder()
        folders = [folder / f"path{index}" for index in range(6)]
        for place in folders:
            place.mkdir()
        for index in range(300):
            (folders[3] / f"plain{index}.py").write_text("")
        code = """
            import sys
            sys.path[:0] = {folders!r}
            {switch_on}
            from time import perf_counter
            import importlib
            # Do not measure what is done once: pycache, first listings.
            best = 1.0
            for _ in range(5):
                for index in range(300): sys.modules.pop(f"plain{{index}}", None)
                start = perf_counter()
                for index in range(300):
                    {body}
                best = min(best, (perf_counter() - start) / 300)
            print("seconds", best)
        """
        bodies = {
            "an import that Python finds": '__import__(f"plain{index}")',
            "a missing module": 'importlib.util.find_spec(f"missing{index}")',
        }
        # A folder that has just changed needs one more stat, for two seconds.
        for place in (folder, *folders):
            os.utime(place, (1_000_000_000, 1_000_000_000))
        for title, body in bodies.items():

            def take(who: str, body: str = body) -> float:
                lines = code.format(
                    folders=[str(place) for place in folders], switch_on=SWITCH_ON[who] or "pass", body=body
                )
                return self.seconds(
                    who, "import importlib.util\n" + "\n".join(line[12:] for line in lines.splitlines()), folder
                )

            takes = each(self.pythons, take)
            budget = "+4 us" if "finds" in title else "+60 us"
            self.report(title, in_turn(takes, 9), "bare", budget, absolute=True)

    def warm(self) -> None:
        """A fresh script, compared with CPython importing the same library."""
        folders = {}
        for who in ("ours", "mih", "ri"):
            folders[who] = self.new_folder()
            self.script(folders[who], "warm", 7)
            self.import_of(who, folders[who], "warm", 7)
        # Wait until the files are old enough for their stats to be trusted.
        subprocess.run(["sleep", "0.1"], check=True)
        self.import_of("ours", folders["ours"], "warm", 7)
        folders["bare"] = self.new_folder()
        find = f"{SWITCH_ON['ours']}\nimport warm; print(warm.__file__)"
        shutil.copy(self.python("ours", find, folders["ours"]).strip(), folders["bare"])
        takes = each(self.pythons, lambda who: self.import_of(who, folders[who], "warm", 7))
        self.report("warm import of a script", in_turn(takes, 25), "bare", "1.15x or +0.1 ms")

    def first(self) -> None:
        """The first script ever, for which everything is compiled, compared with cargo."""

        def ours() -> float:
            shutil.rmtree(self.folder / "cache", ignore_errors=True)
            folder = self.new_folder()
            self.script(folder, "first", 1)
            return self.import_of("ours", folder, "first", 1)

        def cargo() -> float:
            folder = self.new_folder()
            return self.command(self.plain_crate(folder, "first", 1), folder, folder / "target")

        self.report("first script ever", in_turn({"ours": ours, "cargo": cargo}, 2), "cargo", "1.1x")

    def new(self) -> None:
        """One more script, once dependencies are compiled, compared with `maturin build`."""
        target = self.folder / "maturin-target"
        maturin = str(Path(sys.executable).parent / "maturin")
        numbers = iter(range(1_000_000))

        def build() -> float:
            number = next(numbers)
            folder = self.new_folder()
            self.plain_crate(folder, f"new{number}", number)
            lock = self.folder / "Cargo.lock"
            if lock.exists():
                shutil.copy(lock, folder / "plain")
            command = [maturin, "build", "-i", sys.executable, "--auditwheel", "skip", "--compatibility", "linux"]
            seconds = self.command([*command, "--out", str(folder / "wheel")], folder / "plain", target)
            shutil.copy(folder / "plain" / "Cargo.lock", lock)
            return seconds

        self.new_script(), build()
        self.report("a new script", in_turn({"ours": self.new_script, "maturin": build}, 7), "maturin", "1.2x")
        for who in ("mih", "ri"):
            folder = self.new_folder()
            self.script(folder, "another", 5)
            print(f"    {who}: {self.import_of(who, folder, 'another', 5):.2f} s", flush=True)

    def build(self) -> None:
        """Twelve new scripts in one `build`, once dependencies are compiled."""
        self.new_script()

        def twelve() -> float:
            folder = self.new_folder()
            for number in range(12):
                self.script(folder, f"twelve{self.count}_{number}", self.count)
            start = perf_counter()
            command = [sys.executable, "-m", "rustimport", "build"]
            subprocess.run(command, cwd=folder, env=self.env, capture_output=True, check=True)
            seconds = perf_counter() - start
            assert len(list(folder.glob("*.so"))) == 12
            return seconds

        twelve()
        self.report("12 new scripts in one build", in_turn({"ours": twelve}, 5), "ours", "4 s")

    def release(self) -> None:
        """Release mode, compared with CPython importing the same library."""
        folder, bare = self.new_folder(), self.new_folder()
        self.script(folder, "released", 7)
        command = [sys.executable, "-m", "rustimport", "build", "--release"]
        subprocess.run(command, cwd=folder, env=self.env, capture_output=True, check=True)
        (library,) = folder.glob("*.so")
        shutil.copy(library, bare)

        def released() -> float:
            code = TIMED_IMPORT.format(switch_on=SWITCH_ON["ours"], name="released", value=7)
            return self.seconds("release", code, folder)

        takes = {"bare": lambda: self.import_of("bare", bare, "released", 7), "ours": released}
        self.report("release mode", in_turn(takes, 25), "bare", "1.0x")

    def edit(self) -> None:
        """An edit, compared with `cargo rustc` with cargo's own dev profile, and with ours ("lean")."""
        folders = {who: self.new_folder() for who in ("ours", "mih", "ri", "cargo", "lean")}
        lean = "[profile.dev]\ndebug = 0\nstrip = true\nincremental = false\n"
        commands = {
            "cargo": self.plain_crate(folders["cargo"], "edited", 0),
            "lean": self.plain_crate(folders["lean"], "edited", 0, lean),
        }
        numbers = iter(range(1, 1_000_000))

        def take(who: str) -> float:
            number = next(numbers)
            self.script(folders[who], "edited", number)
            if who in commands:
                return self.command(commands[who], folders[who], self.folder / f"{who}-target")
            return self.import_of(who, folders[who], "edited", number)

        takes = each(folders, take)
        for once in takes.values():
            once()
        rounds = {who: once for who, once in takes.items() if who != "mih"}
        self.report("an edit", in_turn(rounds, 11), "cargo", "1.4x")
        print(f"    mih: {take('mih'):.2f} s", flush=True)

    def stubs(self) -> None:
        """What the setting `stubs` adds to an edit, in CPU time of all processes, and to a fresh import."""
        folders = {who: self.new_folder() for who in ("plain", "typed")}
        (folders["typed"] / "pyproject.toml").write_text('[tool.rustimport]\nstubs = "typings"\n')
        numbers = iter(range(1, 1_000_000))
        values: dict[str, int] = {}

        def edit(who: str) -> float:
            number = values[who] = next(numbers)
            self.script(folders[who], "edited", number)
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            self.import_of("ours", folders[who], "edited", number)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime

        edits = each(folders, edit)
        for once in edits.values():
            once()
        self.report("an edit, in CPU time", in_turn(edits, 25), "plain", "1.05x")
        fresh = each(folders, lambda who: self.import_of("ours", folders[who], "edited", values[who]))
        self.report("a fresh import", in_turn(fresh, 25), "plain", "1.0x")

    def seen(self) -> None:
        """Content that was built before, compared with CPython importing the same library: after an undo, after a
        branch switch, from another environment, in a moved tree."""
        folder = self.new_folder()
        numbers = iter(range(1, 1_000_000))

        def write(value: int, part: int) -> None:
            self.script(folder, "seen", value)
            path = folder / "seen.rs"
            path.write_text(path.read_text().replace("use pyo3", "mod part;\nuse pyo3", 1))
            (folder / "part.rs").write_text(f"pub const PART: i32 = {part};\n")

        for value in (1, 2):
            for part in (1, 2):
                write(value, part)
                self.import_of("ours", folder, "seen", value)
        find = f"{SWITCH_ON['ours']}\nimport seen; print(seen.__file__)"
        plain = self.new_folder()
        shutil.copy(self.python("ours", find, folder).strip(), plain)
        turn = {"value": 2, "part": 2}

        def undo() -> float:
            turn["value"] = 3 - turn["value"]
            write(turn["value"], turn["part"])
            return self.import_of("ours", folder, "seen", turn["value"])

        def branch() -> float:
            turn.update(value=3 - turn["value"], part=3 - turn["part"])
            write(turn["value"], turn["part"])
            return self.import_of("ours", folder, "seen", turn["value"])

        def environment() -> float:
            place = self.folder / f"venv{next(numbers)}"
            venv.create(place, with_pip=False, symlinks=True)
            libraries = next(place.glob("lib/python*/site-packages"))
            (libraries / "rustimport").symlink_to(HERE.parent / "python" / "rustimport")
            self.pythons["venv"] = str(place / "bin" / "python")
            code = TIMED_IMPORT.format(switch_on=SWITCH_ON["ours"], name="seen", value=turn["value"])
            return self.seconds("venv", code, folder)

        def moved() -> float:
            nonlocal folder
            folder = folder.rename(self.folder / f"moved{next(numbers)}")
            return self.import_of("ours", folder, "seen", turn["value"])

        takes = {
            "bare": lambda: self.import_of("bare", plain, "seen", 2),
            "undo": undo,
            "branch": branch,
            "venv": environment,
            "moved": moved,
        }
        self.report("content seen before", in_turn(takes, 11), "bare", "20 ms", absolute=True)

    def disk(self) -> None:
        """The disk space that one more script takes, including the store."""
        folder = self.new_folder()
        cache = self.folder / "cache"
        self.script(folder, "disk0", 0)
        self.import_of("ours", folder, "disk0", 0)
        before = size(cache)
        for number in range(1, 6):
            self.script(folder, f"disk{number}", number)
            self.import_of("ours", folder, f"disk{number}", number)
        print("\none more script on the disk  (budget: 10 MB)")
        print(f"    ours     {(size(cache) - before) / 5 / 1e6:.1f} MB", flush=True)

    def interpreter(self) -> None:
        """A new script alone, compared with one right after a build for another interpreter in the same cache."""
        other = next((found for name in OTHERS if (found := shutil.which(name)) and is_other(found)), None)
        if other is None:
            print("\nno other interpreter was found")
            return
        self.pythons["other"] = other
        maturin = str(Path(sys.executable).parent / "maturin")
        self.env |= {"PYTHONPATH": str(HERE.parent / "python"), "RUSTIMPORT_MATURIN_EXECUTABLE": maturin}

        def after() -> float:
            self.new_script("other")
            return self.new_script()

        self.new_script(), after()
        takes = {"alone": self.new_script, "after": after}
        self.report(f"a new script after a build by {other}", in_turn(takes, 7), "alone", "1.1x")

    def prepared(self) -> None:
        """The first script of a user, if common dependencies are already compiled, as in an image or a CI cache."""
        cache = self.folder / "cache"
        self.new_script()

        def first() -> float:
            for kept in cache.glob("v1/*/entries"):
                shutil.rmtree(kept)
            return self.new_script()

        self.report("first script after a preparation", in_turn({"ours": first}, 5), "ours", "0.6 s")

    def layouts(self) -> None:
        """Cargo's nested build directory (cargo 1.100, nightly), compared with the flat one of the same toolchain."""
        nightly = {**self.env, "RUSTUP_TOOLCHAIN": "nightly"}
        if subprocess.run(["cargo", "--version"], env=nightly, capture_output=True, check=False).returncode:
            print("\nlayouts: skipped, there is no nightly toolchain")
            return
        nested = {"CARGO_UNSTABLE_BUILD_DIR_NEW_LAYOUT": "true"}
        environments = {
            layout: {**nightly, **more, "RUSTIMPORT_CACHE_DIR": str(self.folder / f"cache-{layout}")}
            for layout, more in (("flat", {}), ("nested", nested))
        }
        edited = {layout: self.new_folder() for layout in environments}
        numbers = iter(range(1, 1_000_000))

        def edit(layout: str) -> float:
            number = next(numbers)
            self.script(edited[layout], "edited", number)
            return self.import_of("ours", edited[layout], "edited", number)

        def within(take: Callable[[str], float], layout: str) -> float:
            before, self.env = self.env, environments[layout]
            try:
                return take(layout)
            finally:
                self.env = before

        rows: list[tuple[str, Callable[[str], float], int]] = [
            ("a new script", lambda _: self.new_script(), 9),
            ("an edit", edit, 15),
            ("a new script while another compiles dependencies", lambda _: self.new_script_beside(), 5),
        ]
        for title, take, rounds in rows:
            takes = each(environments, partial(within, take))
            for once in takes.values():
                once()
            self.report(f"{title}, nested build directory", in_turn(takes, rounds), "flat", "1.1x")

    def new_script_beside(self) -> float:
        """A new script while another one recompiles all its dependencies."""
        folder = self.new_folder()
        source = self.script(folder, "heavy", 1)
        header = f'//: [profile.dev.package."*"]\n//: codegen-units = {100 + self.count}\n'
        source.write_text(source.read_text().replace("use pyo3", header + "use pyo3", 1))
        command = [sys.executable, "-c", f"{SWITCH_ON['ours']}\nimport heavy"]
        heavy = subprocess.Popen(command, cwd=folder, env=self.env, stderr=subprocess.DEVNULL, text=True)
        subprocess.run(["sleep", "2"], check=True)
        seconds = self.new_script()
        assert heavy.poll() is None, "the other build ended too early"
        heavy.wait()
        return seconds

    def beside(self) -> None:
        """A new script alone, compared with one while another one recompiles all its dependencies."""
        self.new_script(), self.new_script_beside()
        takes = {"alone": self.new_script, "beside": self.new_script_beside}
        self.report("a new script while another compiles dependencies", in_turn(takes, 3), "alone", "2x")

    def crowd(self) -> None:
        """Eight processes that import one stale source at once, compared with one process, from start to end."""
        folder = self.new_folder()
        values = iter(range(1_000_000))

        def take(count: int) -> float:
            value = next(values)
            self.script(folder, "crowd", value)
            code = TIMED_IMPORT.format(switch_on=SWITCH_ON["ours"], name="crowd", value=value)
            command = [sys.executable, "-c", code]
            start = perf_counter()
            processes = [
                subprocess.Popen(
                    command, cwd=folder, env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
                )
                for _ in range(count)
            ]
            assert [process.wait() for process in processes] == [0] * count
            return perf_counter() - start

        take(1)
        takes = {"one": lambda: take(1), "eight": lambda: take(8)}
        self.report("eight processes on one stale script", in_turn(takes, 9), "one", "1.5x")

    def many(self) -> None:
        """Each of 500 fresh scripts in one folder, compared with each of 50."""
        folders = {"50": self.new_folder(), "500": self.new_folder()}

        def take(count: str) -> float:
            folder = folders[count]
            lines = [SWITCH_ON["ours"], "from time import perf_counter", "start = perf_counter()"]
            lines += [f"import many{number}" for number in range(int(count))]
            lines += [f"print('seconds', (perf_counter() - start) / {count})"]
            return self.seconds("ours", "\n".join(lines), folder)

        for count, folder in folders.items():
            for number in range(int(count)):
                self.script(folder, f"many{number}", number)
            command = [sys.executable, "-m", "rustimport", "-q", "cache", "warm", str(folder)]
            subprocess.run(command, env=self.env, check=True, capture_output=True)
            take(count)
        self.report("each of many scripts", in_turn(each(folders, take), 7), "50", "1.1x")

    def full_store(self) -> None:
        """A new script with a small store, compared with a store of a thousand artifacts."""
        self.new_script()
        # Other rows may have created a store for another interpreter.
        store = max((self.folder / "cache").glob("v1/*/store/artifacts"), key=lambda path: path.stat().st_mtime)
        others = [os.urandom(100_000) for _ in range(1000)]

        def full() -> float:
            for content in others:
                (store / hashlib.sha256(content).hexdigest()).write_bytes(content)
            return self.new_script()

        def small() -> float:
            for content in others:
                (store / hashlib.sha256(content).hexdigest()).unlink(missing_ok=True)
            return self.new_script()

        takes = {"small": small, "full": full}
        self.report("a new script with a store of 1,000 artifacts", in_turn(takes, 7), "small", "1.1x")

    def reload(self) -> None:
        """`importlib.reload` of an unchanged script or project."""
        folder = self.new_folder()
        self.script(folder, "again", 1)
        code = (
            f"{SWITCH_ON['ours']}\nimport importlib, again\nfrom time import perf_counter\nstart = perf_counter()\n"
            "importlib.reload(again)\nprint('seconds', perf_counter() - start)"
        )
        self.seconds("ours", code, folder)
        takes = {"ours": lambda: self.seconds("ours", code, folder)}
        self.report("reload of an unchanged script", in_turn(takes, 9), "ours", "2 ms")
        projects.reload(self, SWITCH_ON, in_turn)

    def project(self) -> None:
        """Fresh editable projects: a small one, and one with 2,000 files."""
        for files in (1, 2000):
            projects.warm(self, SWITCH_ON, in_turn, files)

    def project_edit(self) -> None:
        """An edit of an editable project."""
        for layout in ("mixed", "pure"):
            projects.edit(self, SWITCH_ON, in_turn, layout)

    def developed(self) -> None:
        """The first import of an editable project."""
        projects.developed(self, SWITCH_ON, in_turn)

    def scale(self) -> None:
        """Many scripts, inputs, folders and projects; a slow file system."""
        scale.measure(self, in_turn)

    def remote(self) -> None:
        """Stores with what other machines built."""
        remote.measure(self, SWITCH_ON, TIMED_IMPORT, in_turn)

    def others(self) -> None:
        """The same function in the tools that rebuild on import."""
        others.measure(self, SWITCH_ON, in_turn)

    def report(
        self, title: str, seconds: dict[str, list[float]], reference: str, budget: str, absolute: bool = False
    ) -> None:
        base = seconds[reference]
        print(f"\n{title}  (budget: {budget} against {reference})")
        for who, values in seconds.items():
            median = statistics.median(values)
            self.medians.setdefault(title, {})[who] = median
            line = f"    {who:8} {shown(median):>10}   ({shown(min(values))} to {shown(max(values))})"
            if who != reference:
                ratio = statistics.median(value / other for value, other in zip(values, base, strict=True))
                more = statistics.median(value - other for value, other in zip(values, base, strict=True))
                line += (
                    f"   +{shown(more)}" if absolute else f"   {ratio:.2f}x, {'+' if more >= 0 else ''}{shown(more)}"
                )
            print(line, flush=True)


def each(names: Iterable[str], take: Callable[[str], float]) -> dict[str, Callable[[], float]]:
    return {name: partial(take, name) for name in names}


def in_turn(takes: dict[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Measures all of them once, then again, so that changes of the machine's speed affect all of them."""
    seconds: dict[str, list[float]] = {who: [] for who in takes}
    turn = list(takes.items())
    for _ in range(rounds):
        for who, take in reversed(turn) if REVERSED in sys.argv else turn:
            seconds[who].append(take())
    return seconds


def shown(seconds: float) -> str:
    size = abs(seconds)
    return f"{seconds * 1e6:.1f} us" if size < 1e-3 else f"{seconds * 1e3:.2f} ms" if size < 1 else f"{seconds:.2f} s"


#: Measures the contenders in the opposite order: what one leaves behind helps or harms the next.
REVERSED = "--reversed"

OTHERS = ("python3.13", "python3.12", "python3.11", "python3.10", "/usr/bin/python3")


def is_other(python: str) -> bool:
    """Whether this is a supported Python with another prefix than the one that runs this."""
    code = "import sys; print(sys.base_prefix, sys.version_info >= (3, 10))"
    run = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    prefix, _, supported = run.stdout.strip().rpartition(" ")
    return run.returncode == 0 and supported == "True" and prefix != sys.base_prefix


def size(folder: Path) -> int:
    """Bytes on the disk. Hard links are counted once."""
    found = {stat.st_ino: stat.st_blocks * 512 for path in folder.rglob("*") if (stat := path.lstat())}
    return sum(found.values())


def main() -> None:
    all_rows = (
        *(Bench.counts, Bench.start, Bench.foreign, Bench.first, Bench.new, Bench.build, Bench.edit, Bench.warm),
        *(Bench.release, Bench.seen, Bench.prepared, Bench.beside, Bench.disk, Bench.interpreter),
        *(Bench.crowd, Bench.many, Bench.full_store, Bench.layouts),
        *(Bench.project, Bench.project_edit, Bench.developed, Bench.reload, Bench.stubs, Bench.scale),
        *(Bench.remote, Bench.others),
    )
    rows = {row.__name__: row for row in all_rows}
    chosen = [word for word in sys.argv[1:] if word != REVERSED] or list(rows)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        print(f"Python {sys.version.split()[0]}, {os.cpu_count()} cores; medians and ranges")
        for name in chosen:
            rows[name](bench)
            kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
            RESULTS.write_text(json.dumps(kept | bench.medians, indent=2))


if __name__ == "__main__":
    main()
