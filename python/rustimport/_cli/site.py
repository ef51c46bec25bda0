"""`site`: the hook at the start of every interpreter."""

from __future__ import annotations

import argparse
import json
import shlex
from typing import Any

from .._compat.maturin_settings import MaturinSettings
from .output import tell


def install(options: argparse.Namespace) -> None:
    from .. import _site

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
    tell(options, _site.install(options.user, options.force, arguments))


def uninstall(options: argparse.Namespace) -> None:
    from .. import _site

    tell(options, _site.uninstall(options.user))


def info(options: argparse.Namespace) -> None:
    from .. import _site

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
