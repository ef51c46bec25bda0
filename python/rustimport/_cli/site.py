"""`site`: enables or disables the hook in every Python process of an environment. The work is done in `_site`."""

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
        options.parser.error("nothing to install: omit --no-rs-file-importer or --no-project-importer")
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
        print(f"not installed; `python -m rustimport site install` writes {found['sitecustomize']}")
    if found["shadowed_by"]:
        print(f"Python runs this file instead of the environment's sitecustomize.py: {found['shadowed_by']}")
    for file in found["predecessor"]:
        print(f"maturin_import_hook is enabled in: {file}; `python -m rustimport site install --force` replaces it")
