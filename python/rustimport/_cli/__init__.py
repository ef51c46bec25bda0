"""The command line: ``python -m rustimport``, or ``rustimport``. This module parses arguments and reports errors; each
command is a module of its own.

Exit status: 0 for success, 1 if a source cannot be built (or, with ``--check``, is stale), 2 for an invalid command.
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
from . import build, cache, explain, new, remote, rust_tools, site, stubs, update, versions, watch
from .output import say


def main(arguments: Sequence[str] | None = None, is_chosen: bool = False) -> int:
    """Runs a command, and returns its exit status. `is_chosen`: whether this is the interpreter of ``--python``."""
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
        # The reader of the output has exited, as `head` does. Without this, Python would fail again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        say(f"error: {error.strerror or error}: {error.filename or os.curdir}")
        say("hint: check that it exists, and that you have permission to write to it")
        return 2


def _split(words: list[str]) -> tuple[list[str], list[str]]:
    """Splits off the command that `watch` runs, or the arguments for cargo, which may be options."""
    if "--" not in words or not {"watch", "test", "clippy"}.intersection(words[: words.index("--")]):
        return words, []
    end = words.index("--")
    return words[:end], words[end + 1 :]


def _parser() -> argparse.ArgumentParser:
    about = "Import Rust from Python: sources are compiled when they change."
    parser = argparse.ArgumentParser(prog="rustimport", description=about)
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="show why sources are built, and which programs are run"
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="show only errors")
    parser.set_defaults(run=None, parser=parser)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")

    group = _group(commands, "site", "enable or disable the import hook in every Python process of this environment")
    command = _command(group, "install", site.install, "enable the hook, and verify it in a new interpreter")
    _site_arguments(command)
    command = _command(group, "uninstall", site.uninstall, "disable the hook, and restore the previous files")
    command.add_argument("--user", action="store_true", help="remove it from the user's usercustomize.py")
    _format(_command(group, "info", site.info, "show where the hook is installed, whether it works, and if not, why"))
    _site_arguments(_command(commands, "enable", site.install, "the same as `site install`"))
    command = _command(commands, "disable", site.uninstall, "the same as `site uninstall`")
    command.add_argument("--user", action="store_true", help=argparse.SUPPRESS)

    group = _group(commands, "cache", "show, prune, clear or fill the cache of builds")
    _format(_command(group, "info", cache.info, "show the location, size and contents of the cache"))
    command = _command(group, "clear", cache.clear, "remove the cache; later imports build what they need again")
    _clear_arguments(command)
    command = _command(group, "prune", cache.prune, "remove builds of deleted sources, and cells unused for a month")
    command.add_argument("--days", type=_number, metavar="N", help="also remove what was not used for N days")
    command.add_argument(
        "--size",
        type=_bytes,
        metavar="SIZE",
        help="also remove the least recently used builds beyond SIZE, such as 500MB or 2GB",
    )
    command = _command(group, "warm", cache.warm, "compile common dependencies and sources before they are imported")
    command.add_argument("paths", nargs="*", metavar="PATH", help="sources, and folders to search")
    command.add_argument("--shared", action="store_true", help="use the cache of all users (as root, in an image)")
    _profile_arguments(command)
    command = _command(group, "export", cache.export, "write this interpreter's builds to a file, for another machine")
    command.add_argument("file", metavar="FILE", help="the file to write")
    command = _command(group, "import", cache.import_, "verify an exported file, and add its builds to the cache")
    command.add_argument("file", metavar="FILE", help="a file written by `cache export` with the same interpreter")
    _clear_arguments(_command(commands, "clear-cache", cache.clear, "the same as `cache clear`"))

    group = _group(commands, "remote", "use a store with what other machines built")
    _command(group, "keygen", remote.keygen, "make a key that signs what this machine writes to the store")
    command = _command(group, "trust", remote.trust, "trust the store and the keys that a pyproject.toml names")
    command.add_argument("path", nargs="?", default=os.curdir, metavar="PATH", help="a folder (default: this one)")
    command.add_argument("--remove", action="store_true", help="no longer trust what it names")
    command.add_argument("-y", "--yes", action="store_true", help="do not ask for confirmation")
    _format(_command(group, "info", remote.info, "show the store that is configured, whom it trusts, and its size"))
    _format(_command(group, "check", remote.check, "read and write the store; exit with status 1 if that fails"))
    command = _command(group, "push", remote.push, "build sources if necessary, and write their libraries to the store")
    _source_arguments(command)
    command.add_argument("--no-build", action="store_true", help="run nothing: only write what is in this cache")
    _profile_arguments(command)
    command = _command(group, "pull", remote.pull, "take the libraries of sources from the store, and build nothing")
    _source_arguments(command)
    _profile_arguments(command)
    command = _command(group, "prune", remote.prune, "remove old libraries from the store")
    command.add_argument(
        "--days", type=_number, metavar="N", required=True, help="remove what was written more than N days ago"
    )

    command = _command(commands, "new", new.run, "create a script, a crate or a project that you can import")
    command.add_argument("path", metavar="PATH", help="NAME.rs for a script, NAME for a crate or a project")
    command.add_argument("--project", action="store_true", help="create a maturin project with Python and Rust")
    command.add_argument("--from", dest="script", metavar="SCRIPT.rs", help="create it from this script")

    command = _command(commands, "build", build.run, "put libraries next to their sources, for machines without Rust")
    _source_arguments(command)
    _profile_arguments(command)
    command.add_argument(
        "-f", "--force", action="store_true", help="build without any check, and replace existing libraries"
    )
    command.add_argument("-a", "--all", action="store_true", help="also build sources that have no marker")
    command.add_argument("-j", "--jobs", type=_count, metavar="N", help="number of concurrent builds")
    command.add_argument("--check", action="store_true", help="build nothing; exit with status 1 if a source is stale")
    command.add_argument("--json", action="store_true", help="print the results as JSON")
    command.add_argument(
        "--lock",
        action="store_true",
        help="write the versions of each script's dependencies next to it, and build with them",
    )
    command.add_argument("--locked", action="store_true", help="fail if a lock file is missing or does not match")
    command.add_argument(
        "--header", type=_path, metavar="FILE", help="write the C header of the one script that is given"
    )
    command.add_argument(
        "--python", action="append", metavar="PATH", help="build for this interpreter; can be repeated"
    )
    _portable_arguments(command)

    command = _command(
        commands, "update", update.run, "move the dependencies of scripts to the newest versions that they allow"
    )
    _source_arguments(command)

    command = _command(
        commands, "watch", watch.run, "build each source as soon as you edit it, so that the next import is fresh"
    )
    command.usage = "rustimport watch [-h] [PATH ...] [-- COMMAND ...]"
    _source_arguments(command)
    command.epilog = "COMMAND is started after the first check, and restarted after each build."

    command = _command(
        commands, "stubs", stubs.run, "write type stubs, so that editors and type checkers know Rust modules"
    )
    _source_arguments(command)
    command.add_argument(
        "-o",
        "--output",
        metavar="DIR",
        help="the folder of the stubs, or `beside` for next to the sources (default: the setting `stubs` of "
        "[tool.rustimport], or `typings` next to pyproject.toml)",
    )
    command.add_argument("--check", action="store_true", help="write nothing; exit with status 1 if a stub is outdated")
    command.add_argument("--watch", action="store_true", help="write them again whenever you edit a source")

    command = _command(
        commands, "rust-analyzer", rust_tools.analyze, "make rust-analyzer know scripts, in .vscode/settings.json"
    )
    _source_arguments(command)
    command.add_argument(
        "--check", action="store_true", help="write nothing; exit with status 1 if it is not up to date"
    )
    command.add_argument("--print", action="store_true", help="print the setting for another editor, and write nothing")
    command = _command(commands, "test", rust_tools.test, "run the Rust tests of scripts and crates with `cargo test`")
    command.usage = "rustimport test [-h] [PATH ...] [-- ARGUMENTS ...]"
    _source_arguments(command)
    command.epilog = "ARGUMENTS are for `cargo test`."
    command = _command(commands, "clippy", rust_tools.clippy, "check scripts and crates with `cargo clippy`")
    command.usage = "rustimport clippy [-h] [PATH ...] [-- ARGUMENTS ...]"
    _source_arguments(command)
    command.epilog = "ARGUMENTS are for `cargo clippy`."

    command = _command(
        commands,
        "explain",
        explain.run,
        "show who imports a module, what it was built from, and what an import would do",
    )
    command.add_argument("module", metavar="MODULE", help="the name of the module, as in `import MODULE`")
    command.add_argument("--json", action="store_true", help="print the result as JSON")

    _format(_command(commands, "version", versions.version, "show the versions of rustimport and its tools"))
    _format(_command(commands, "info", versions.info, "show everything that a bug report needs, without secrets"))
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
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 1e9")
    return number


def _bytes(text: str) -> int:
    for unit, size in (("kB", 1e3), ("MB", 1e6), ("GB", 1e9)):
        if text.lower().endswith(unit.lower()) and text[: -len(unit)].strip():
            return int(_number(text[: -len(unit)]) * size)
    raise argparse.ArgumentTypeError(f"{text!r} is not a size: give a number with kB, MB or GB, such as 500MB")


def _path(text: str) -> str:
    # An unset variable of a shell, which must not count as an option that was not given.
    if not text:
        raise argparse.ArgumentTypeError("the path is empty")
    return text


def _format(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-f", "--format", choices=["text", "json"], default="text", help="output format")


def _site_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-f", "--force", action="store_true", help="install again, and replace maturin_import_hook")
    parser.add_argument("--user", action="store_true", help="use usercustomize.py, for all of the user's environments")
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
        help="rebuild editable projects (default: yes)",
    )
    parser.add_argument("--args", metavar="ARGUMENTS", help='arguments for maturin, such as --args="--release"')


def _source_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "paths", nargs="*", metavar="PATH", help="sources, and folders to search (default: the working folder)"
    )


def _profile_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-r", "--release", action="store_true", help="short for --profile release")
    parser.add_argument("--profile", help="a Cargo profile, or `fast` or `small`")


def _portable_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("for other machines")
    group.add_argument(
        "--compatibility", metavar="TAG", help="build for a platform such as manylinux2014, and check it"
    )
    group.add_argument("--zig", action="store_true", help="link with zig, for older systems than this one")
    group.add_argument("--strip", action="store_true", help="remove symbols from the libraries")
    group.add_argument(
        "--wheel", type=_path, metavar="DIR", help="write one wheel of all sources, for pip (default profile: `fast`)"
    )
    group = parser.add_argument_group("with --wheel")
    group.add_argument("--name", help="name of the distribution (default: that of the project, folder or file)")
    group.add_argument("--version", help="version of the distribution (default: that of the project, or 0.1.0)")
    group.add_argument("--tag", help="PYTHON-ABI-PLATFORM (default: as maturin determines it)")
    group.add_argument("--target", metavar="TRIPLE", help="compile for another platform")
    group.add_argument(
        "--abi3", metavar="VERSION", nargs="?", const="", help="support VERSION (default: this Python) and later"
    )
    group.add_argument(
        "--auditwheel",
        choices=["repair", "check", "warn", "skip"],
        help="handling of external libraries; `repair` bundles them (default)",
    )


def _clear_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask for confirmation")
    parser.add_argument("--all", action="store_true", help="remove the cache of every interpreter")
