"""`build`: puts libraries next to their sources, or into a wheel."""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from typing import Any

from .. import _core_client, _native, _settings, settings
from .._compat.maturin_settings import MaturinSettings
from ..errors import ToolchainError
from .output import say, say_failures, tell


def choose_profile(options: argparse.Namespace) -> None:
    if options.release and options.profile:
        options.parser.error("--release is short for --profile release: give one of them")
    if options.profile or options.release:
        settings.profile = options.profile or "release"


#: Runs this package's command line in another interpreter, even if another version is installed there.
_ELSEWHERE = """
import importlib.util, sys
print(end=sys.argv.pop(1))
for name in [name for name in sys.modules if name.partition(".")[0] == "rustimport"]:
    del sys.modules[name]
spec = importlib.util.spec_from_file_location("rustimport", sys.argv.pop(1))
sys.modules["rustimport"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules["rustimport"])
from rustimport._cli import main
sys.exit(main(is_chosen=True))
"""


def _build_for(pythons: list[str], options: argparse.Namespace) -> int:
    """Runs this command in other interpreters, each of which builds for itself."""
    package = os.path.join(os.path.dirname(os.path.abspath(_settings.__file__)), "__init__.py")
    environ = dict(os.environ)
    environ[_settings.VARIABLES["maturin_executable"]] = os.fspath(_core_client.find_maturin())
    chosen_by = "--python" if options.python else "RUSTIMPORT_PYTHON"
    output = subprocess.PIPE if options.json else None
    status = 0
    results: list[Any] = []
    for python in pythons:
        _check_python(python, chosen_by)
        # What runs at that interpreter's start or end may print, too.
        begin = "<rustimport>" if options.json else ""
        command = [python, "-c", _ELSEWHERE, begin, package, *options.arguments]
        done = subprocess.run(command, env=environ, stdout=output, encoding="utf-8", errors="replace", check=False)
        if done.returncode < 0:
            say(f"{python} was killed by signal {-done.returncode}")
        status = max(status, done.returncode if done.returncode >= 0 else 128 - done.returncode)
        if options.json:
            answer = done.stdout.partition(begin)[2]
            results += json.JSONDecoder().raw_decode(answer)[0] if answer.strip() else []
    if options.json:
        print(json.dumps(results, indent=2))
    return status


def _check_python(python: str, chosen_by: str) -> None:
    question = [python, "-c", "import sys; sys.exit(10 if sys.version_info >= (3, 10) else 9)"]
    try:
        is_recent = subprocess.run(question, capture_output=True, check=False).returncode == 10
        reason = None if is_recent else "is not Python 3.10 or later"
    except OSError as error:
        reason = f"does not start: {error.strerror}"
    if reason:
        remove = "omit it" if chosen_by.startswith("-") else "unset it"
        hint = f"set {chosen_by} to the path of a Python, or {remove} to build for {sys.executable}"
        raise ToolchainError(f"{python}, the Python to build for, {reason}", hint=hint)


def run(options: argparse.Namespace) -> int:
    from .. import _build

    choose_profile(options)
    chosen = _portable_settings(options)
    pythons = options.python or [os.fspath(python) for python in [_settings.setting("python")] if python]
    if pythons and not options.is_chosen:
        return _build_for(pythons, options)
    named = bool(options.paths)
    sources = _build.discover(options.paths or [os.curdir], opt_in=not options.all, are_named=named)
    if options.header:
        _write_header(options, sources)
    if options.lock:
        _write_locks(options, sources)
    if options.check:
        return _check(options, _build.check(sources))
    if options.wheel:
        return _build_wheel(options, sources, chosen)
    newest = options.release or options.profile not in (None, "dev")
    results = _build.build(
        sources, jobs=options.jobs, force=options.force, chosen=chosen, newest=newest, locked=options.locked
    )
    if options.json:
        _print_json(results)
    failed = say_failures(results)
    built = sum(result.built for result in results)
    if not options.json:
        tell(options, f"{built} built, {len(results) - built - len(failed)} fresh, {len(failed)} failed")
        _tell_of_passed_over(options, bool(results))
    return 1 if failed else 0


def _tell_of_passed_over(options: argparse.Namespace, has_sources: bool) -> None:
    """Names the files that have no marker, and says so if no file has one."""
    from .. import _build

    passed = [] if options.all else _build.passed_over(options.paths or [os.curdir])
    for path, why in passed:
        say(f"{os.path.relpath(path)} is not built: {why}, or name the file itself")
    if not has_sources:
        where = ", ".join(options.paths) or "this folder"
        kind = (
            "Rust source for Python" if options.all else "source with a marker (`// rustimport:pyo3` on its first line)"
        )
        say(f"there is no {kind} in {where}")


def _print_json(results: list[Any]) -> None:
    print(json.dumps([result.as_dict() for result in results], indent=2))


def _check(options: argparse.Namespace, results: list[Any]) -> int:
    if options.json:
        _print_json(results)
    failed = say_failures(results)
    stale = [result for result in results if result.reason is not None]
    for result in stale:
        say(f"{os.path.relpath(result.path)}: {result.reason}")
    return 1 if stale or failed else 0


def _portable_settings(options: argparse.Namespace) -> MaturinSettings | None:
    """The settings for maturin from the options for other machines; ``None`` if there are none."""
    needs_wheel = ("name", "version", "tag", "target", "abi3", "auditwheel")
    given = [name for name in needs_wheel if getattr(options, name) is not None]
    if given and not options.wheel:
        options.parser.error(f"--{given[0]} requires --wheel DIR")
    if options.wheel and options.check:
        options.parser.error("--check checks the libraries next to the sources, and cannot be used with --wheel")
    oldest = re.fullmatch(r"manylinux(?:1|2010|_2_(\d+))(?:_\w+)?", options.compatibility or "")
    if oldest and int(oldest[1] or 0) < 17:
        options.parser.error(
            f"--compatibility {options.compatibility}: Rust needs glibc 2.17: use manylinux2014 or later"
        )
    features = None
    if options.abi3 is not None:
        version = options.abi3 or "{}.{}".format(*sys.version_info)
        if not re.fullmatch(r"3\.\d+", version):
            options.parser.error(f"--abi3: {version!r} is not a version of Python, such as 3.10")
        features = [f"pyo3/abi3-py{version.replace('.', '')}"]
    if options.wheel or options.zig:
        from .. import _wheel

        _wheel.show_tools()
    chosen = MaturinSettings(
        strip=options.strip,
        features=features,
        target=options.target,
        auditwheel=options.auditwheel,
        zig=options.zig,
        compatibility=options.compatibility,
    )
    if options.wheel and not (options.auditwheel or options.compatibility):
        # maturin's own default.
        chosen.auditwheel = "repair"
    return None if chosen == MaturinSettings() else chosen


def _build_wheel(options: argparse.Namespace, sources: list[str], chosen: MaturinSettings | None) -> int:
    from .. import _build, _wheel

    paths = options.paths or [os.curdir]
    wheel = _wheel.Wheel.of(options.wheel, paths, name=options.name, version=options.version, tag=options.tag)
    if not sources:
        options.parser.error("nothing to put into a wheel: there is no source with a marker at or below the paths")
    profile = None if _settings.setting("profile") else "fast"
    with tempfile.TemporaryDirectory() as wheels:
        results = _build.build(
            sources, jobs=options.jobs, profile=profile, chosen=chosen, wheels=wheels, locked=options.locked
        )
        failed = say_failures(results)
        if failed:
            tell(options, f"{len(results) - len(failed)} built, {len(failed)} failed: no wheel")
            return 1
        path = wheel.write({result.path: str(result.artifact) for result in results}, paths)
    if options.json:
        _print_json([result._replace(artifact=path) for result in results])
    else:
        tell(options, f"wrote {os.path.relpath(path)}")
    return 0


def _write_locks(options: argparse.Namespace, sources: list[str]) -> None:
    from .. import _build

    for source in sources:
        # A crate has cargo's own.
        if source.endswith(".rs") and _build.lock(source):
            tell(options, f"wrote {os.path.relpath(source.removesuffix('.rs'))}.lock")


def _write_header(options: argparse.Namespace, sources: list[str]) -> None:
    if len(sources) != 1 or os.path.isdir(sources[0]):
        options.parser.error("--header needs the path of one script")
    if _native.core.write_header(sources[0], os.path.abspath(options.header), options.force):
        tell(options, f"wrote {os.path.relpath(options.header)}")
