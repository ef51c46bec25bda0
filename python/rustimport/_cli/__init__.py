"""The command line: ``python -m rustimport``, or ``rustimport``.

Exit status: 0 for done, 1 for a source that cannot be built (or, with ``--check``, is stale), 2 for a command that
cannot be carried out as it was given.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from typing import Any

from .. import settings
from ..errors import BuildError, RustImportError
from . import build, cache, new, site, versions, watch
from .output import say


def main(arguments: Sequence[str] | None = None, is_chosen: bool = False) -> int:
    """Runs a command, and returns its exit status. `is_chosen`: in the interpreter that was asked for."""
    parser = _parser()
    words, command = _split(list(sys.argv[1:] if arguments is None else arguments))
    options = parser.parse_args(words)
    options.arguments, options.command, options.is_chosen = words, command, is_chosen
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
        say(f"error: {error}")
        return 1 if isinstance(error, BuildError) else 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read the output has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        say(f"error: {error.strerror or error}: {error.filename or os.curdir}")
        say("hint: check that it is there, and that you may write to it")
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

    group = _group(commands, "site", "switch the hook on or off for every start of this environment's Python")
    command = _command(group, "install", site.install, "switch it on, and prove in a new interpreter that it is on")
    _site_arguments(command)
    command = _command(group, "uninstall", site.uninstall, "switch it off, and restore what was there")
    command.add_argument("--user", action="store_true", help="of the user's usercustomize.py")
    _format(_command(group, "info", site.info, "where it is installed, whether it works, and what stands in the way"))
    _site_arguments(_command(commands, "enable", site.install, "the same as `site install`"))
    command = _command(commands, "disable", site.uninstall, "the same as `site uninstall`")
    command.add_argument("--user", action="store_true", help=argparse.SUPPRESS)

    group = _group(commands, "cache", "look at what was built, and clear it away")
    _format(_command(group, "info", cache.info, "where it is, how large, and what for"))
    command = _command(group, "clear", cache.clear, "remove it; what is needed is built again")
    _clear_arguments(command)
    command = _command(group, "prune", cache.prune, "remove what is of no use any more, or was not used for long")
    command.add_argument("--days", type=_number, metavar="N", help="also what was not used for N days")
    command.add_argument(
        "--size", type=_bytes, metavar="SIZE", help="also what is more than SIZE, such as 500MB or 2GB"
    )
    command = _command(group, "warm", cache.warm, "compile what scripts need, and sources, before they are imported")
    command.add_argument("paths", nargs="*", metavar="PATH", help="sources, and folders to search")
    command.add_argument("--shared", action="store_true", help="in the cache of all users (as root, in an image)")
    _profile_arguments(command)
    command = _command(group, "export", cache.export, "write what was built into a file, for another machine")
    command.add_argument("file", metavar="FILE", help="to be written")
    command = _command(group, "import", cache.import_, "take over what such a file holds, once it is verified")
    command.add_argument("file", metavar="FILE", help="written by `cache export` with the same interpreter")
    _clear_arguments(_command(commands, "clear-cache", cache.clear, "the same as `cache clear`"))

    command = _command(commands, "new", new.run, "write a script, a crate or a project that imports at once")
    command.add_argument("path", metavar="PATH", help="NAME.rs for a script, NAME for a crate or a project")
    command.add_argument("--project", action="store_true", help="a maturin project with Python and Rust in it")
    command.add_argument("--from", dest="script", metavar="SCRIPT.rs", help="made of a script that outgrew one file")

    command = _command(commands, "build", build.run, "build sources beside themselves, for machines without Rust")
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

    command = _command(
        commands, "watch", watch.run, "build whatever is edited at once, so that the next import is fresh"
    )
    command.usage = "rustimport watch [-h] [PATH ...] [-- COMMAND ...]"
    command.add_argument(
        "paths", nargs="*", metavar="PATH", help="sources, and folders to search (default: the working folder)"
    )
    command.epilog = "COMMAND is started, and started again after each build."

    _format(_command(commands, "version", versions.version, "versions of this package and of the tools it uses"))
    _format(_command(commands, "info", versions.info, "all that a bug report needs, and no secrets"))
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
