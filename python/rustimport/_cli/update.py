"""`update`: moves the dependencies of scripts to the newest versions and commits that they allow."""

from __future__ import annotations

import argparse
import os
from importlib.machinery import EXTENSION_SUFFIXES

from .. import _build, _cache, _core_client, _native
from ..errors import RustImportError
from .output import say, say_failures, tell


def run(options: argparse.Namespace) -> int:
    sources = _build.discover(options.paths or [os.curdir], opt_in=True, are_named=bool(options.paths))
    results = []
    for source in sources:
        name = os.path.relpath(source)
        asked = _core_client.request(_cache.Key(source), None)
        try:
            moved = _native.core.update_versions(asked, lambda *_, **__: None)
        except RustImportError as error:
            _core_client.name_module(error, asked)
            results.append(_build.Result(source, None, error=error))
            continue
        tell(options, f"{name}:" if moved else f"{name}: nothing to update")
        for line in moved:
            tell(options, f"    {line}")
        if moved:
            # A library next to the source is replaced, too.
            beside = source.removesuffix(".rs") + EXTENSION_SUFFIXES[0]
            results.append(_build.build_one(source, force=True, in_place=os.path.exists(beside)))
    if not sources:
        say("there are no scripts and crates")
    return 1 if say_failures(results) else 0
