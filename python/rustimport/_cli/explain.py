"""`explain`: what happens if a module is imported, and why."""

from __future__ import annotations

import argparse
import json
from typing import Any

from .output import age

#: What an import would do, in words.
NEXT = {
    "load": "load the library: nothing changed",
    "load_in_place": "load the library next to the source, which `build` has put there",
    "load_shared": "load the library in the shared cache",
    "restore": "take the library of an earlier build from the cache",
    "reuse_or_build": "reuse the installed library if it was built from the current files, else build",
    "build": "build (unless a remote store has the library)",
    "fail": "fail: there is no Rust toolchain",
}

ORIGINS = {
    "adopted": "yours, with maturin",
    "restored": "taken from the cache, or a folder of another machine",
    "fetched": "fetched from a remote store",
}


def run(options: argparse.Namespace) -> None:
    from .. import _explain

    found = _explain.explain(options.module)
    if options.json:
        print(json.dumps(found, indent=2))
        return
    _line("module", found["module"])
    _line("found by", found["finder"])
    _line("found at", found["origin"])
    if found["source"] is None:
        _line("library", found["library"])
        _line("source", "none that rustimport builds")
    else:
        _line(found["kind"], found["source"])
        _line("library", found["library"] or "none yet")
    if "next" in found:
        _build(found)
    for warning in found["warnings"]:
        _line("note", warning)


def _build(found: dict[str, Any]) -> None:
    last = found["last_build"]
    if last is None:
        _line("last build", "none that is recorded")
    else:
        when = f", {age(last['time'])}" if last["time"] else ""
        why = "the first" if last["reason"] == "never built" else last["reason"]
        _line("last build", f"{why or ORIGINS.get(last['origin'], 'unknown')}{when}")
        _line("profile", last["profile"])
        _line("features", ", ".join(last["features"]) or "the package's defaults")
        _line("arguments", last["arguments"])
        _line("rustc", last["rustc"])
        for count, path in enumerate(found["inputs"]):
            _line("inputs" if count == 0 else "", path)
        _line("variables", ", ".join(found["variables"]))
    _line("import would", NEXT[found["next"]])
    for count, reason in enumerate(found["reasons"]):
        _line("because" if count == 0 else "", reason)


def _line(title: str, text: str | None) -> None:
    if text:
        print(f"{title:<13} {text}")
