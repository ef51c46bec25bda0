"""`cache`: shows, removes, fills, exports and imports the cache. The work is done in the core."""

from __future__ import annotations

import argparse
import json
import os
from typing import Any

from .. import _cache, _core_client, _native, settings
from ..errors import CacheError
from .build import choose_profile
from .output import age, confirmed, libraries, say, say_failures, size, tell


def info(options: argparse.Namespace) -> None:
    found = _native.core.cache_info(_cache.cache_root())
    if options.format == "json":
        print(json.dumps(found, indent=2))
        return
    print(f"{found['path']}: {size(found['bytes'])}")
    for interpreter in found["interpreters"]:
        own = "  (this one)" if interpreter["key"] == _cache.INTERPRETER_KEY else ""
        print(f"\n{interpreter['key']}: {size(interpreter['bytes'])}{own}")
        print(f"    compiled by cargo: {size(interpreter['lanes'])}, in the store: {size(interpreter['store'])}")
        for prefix in interpreter["environments"]:
            print(f"    used by the environment {prefix}")
        for entry in interpreter["sources"]:
            note = "" if entry["exists"] else "  (deleted)" if entry["source"] else "  (never built)"
            if entry["signer"]:
                note += f"  (from a remote store, signed by {entry['signer']})"
            source = entry["source"] or entry["name"]
            print(f"    {size(entry['bytes']):>9}  {age(entry['used']):>15}  {source}{note}")


def clear(options: argparse.Namespace) -> int | None:
    root = _cache.cache_root()
    key = None if options.all else _cache.INTERPRETER_KEY
    if not os.path.isdir(root):
        tell(options, f"there is no cache at {root}")
        return None
    what = f"{root}" if options.all else f"what was built for {_cache.INTERPRETER_KEY}"
    parts = _native.core.cache_info(root)["interpreters"]
    users = [prefix for part in parts if key in (None, part["key"]) for prefix in part["environments"]]
    if users:
        tell(options, f"{what} is used by the environment{'s' if len(users) > 1 else ''} {', '.join(users)}")
    if not options.yes and not confirmed(f"Remove {what}?"):
        return 1
    freed = _native.core.cache_clear(root, key, _reporter(options))
    tell(options, f"removed {size(freed)}")
    return None


def prune(options: argparse.Namespace) -> None:
    seconds = None if options.days is None else options.days * 86400
    freed = _native.core.cache_prune(_cache.cache_root(), seconds, options.size, _reporter(options))
    tell(options, f"removed {size(freed)}")


def export(options: argparse.Namespace) -> None:
    file = os.path.abspath(options.file)
    described = _core_client.describe_interpreter()
    count, total = _native.core.cache_export(_cache.cache_root(), described, file, _reporter(options))
    tell(options, f"exported {libraries(count)} ({size(total)}) for {_cache.INTERPRETER_KEY} to {options.file}")


def import_(options: argparse.Namespace) -> None:
    file = os.path.abspath(options.file)
    described = _core_client.describe_interpreter()
    count, total = _native.core.cache_import(_cache.cache_root(), described, file, _reporter(options))
    tell(options, f"imported {libraries(count)} ({size(total)}) from {options.file}")


#: A script with the dependencies of the template, and no others.
_WARMING = "// rustimport:pyo3\n#[pyfunction]\nfn warm() {}\n"


def warm(options: argparse.Namespace) -> int:
    from .. import _build, _sources

    choose_profile(options)
    if options.shared:
        settings.cache_dir = _cache.shared_cache_root()
        if settings.cache_dir is None:
            options.parser.error("--shared: this system has no default folder: set RUSTIMPORT_SHARED_CACHE_DIR")
    root = _cache.cache_root()
    # The script stays in the cache, so that warming again only checks it.
    try:
        home = _native.core.cache_create(root, _core_client.describe_interpreter())
    except CacheError as error:
        if options.shared:
            error.hint = "run this as root, or set RUSTIMPORT_SHARED_CACHE_DIR to a folder that you can write to"
        raise
    source = os.path.join(home, "warm.rs")
    with open(source, "w", encoding="utf-8") as file:
        file.write(_WARMING)
    found = _sources.find(options.paths)
    results = _build.build([source, *(one.path for one in found if one.project is None)], in_place=False)
    # A project is built in its own target folder, and loaded from where it is installed.
    results += _sources.ensure([one for one in found if one.project is not None])
    if options.shared:
        _native.core.cache_share(root)
    failed = say_failures(results)
    tell(options, f"{len(results) - len(failed)} ready, {len(failed)} failed")
    return 1 if failed else 0


def _reporter(options: argparse.Namespace) -> Any:
    def event(name: str, **details: Any) -> None:
        if name == "waiting" and not options.quiet:
            say(f"waiting for {details['what']}")

    return event
