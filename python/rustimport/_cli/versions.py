"""`version` and `info`: the versions of the tools, and everything that a bug report needs."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from typing import Any

from .. import _cache, _core_client, _native, _settings, settings


def version(options: argparse.Namespace) -> None:
    found = _versions()
    if options.format == "json":
        print(json.dumps(found, indent=2))
    else:
        for name, version in found.items():
            print(f"{name}: {version or 'not found'}")


def _versions() -> dict[str, str | None]:
    source = os.path.join(os.getcwd(), "x.rs")
    tools = dict(_native.core.tools(_core_client.request(_cache.Key(source)), lambda *_, **__: None))
    return {
        "rustimport": _native.core.__version__,
        "maturin": tools["maturin"],
        "cargo": tools["cargo"],
        "rustc": tools["rustc"],
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "platform": platform.platform(),
    }


def info(options: argparse.Namespace) -> None:
    from .. import _site

    cache = _native.core.cache_info(_cache.cache_root())
    remote = _core_client.describe_remote(is_tried=False)
    found: dict[str, Any] = {
        "versions": _versions(),
        "python": {"executable": sys.executable, "prefix": sys.prefix, "base_prefix": sys.base_prefix},
        "settings": _described_settings(),
        "hook": _site.info(),
        # Most users have none, which is no problem.
        "remote": {name: value for name, value in remote.items() if value and remote["url"]},
        "cache": {"path": cache["path"], "bytes": cache["bytes"], "interpreter": _cache.INTERPRETER_KEY},
    }
    if options.format == "json":
        print(json.dumps(found, indent=2))
        return
    for title, values in found.items():
        print(f"{title}:" if values else f"{title}: none")
        for name, value in values.items():
            if isinstance(value, dict):
                value = f"{value['value']}  ({value['from']})"
            print(f"    {name}: {value}")


def _described_settings() -> dict[str, dict[str, Any]]:
    """Every setting with its value and its origin. The origin with the highest precedence determines the value."""
    project, values = _native.core.project_settings(os.getcwd()) or (None, [])
    in_project = dict(values)
    found = {}
    for name in _settings.VARIABLES:
        variables = [_settings.VARIABLES[name], _settings.OLDER_VARIABLES.get(name, "")]
        variable = next((variable for variable in variables if variable and os.environ.get(variable)), None)
        if name in settings.__dict__:
            value, source = settings.__dict__[name], f"rustimport.settings.{name}"
        elif variable:
            value, source = os.environ[variable], variable
        elif name in in_project:
            value, source = in_project[name], str(project)
        else:
            value, source = getattr(settings, name), "default"
        if name == "remote" and value is not None:
            # Without a password in the URL.
            value = _core_client.describe_remote(is_tried=False)["url"]
        is_plain = value is None or isinstance(value, (bool, int, str))
        found[name] = {"value": value if is_plain else str(value), "from": source}
    return found
