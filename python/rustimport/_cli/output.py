"""Prints and formats the output of commands."""

from __future__ import annotations

import argparse
import os
import sys
import time
from typing import Any


def tell(options: argparse.Namespace, text: str) -> None:
    if not options.quiet:
        print(text)


def say(text: str) -> None:
    print(text, file=sys.stderr)


def size(count: int) -> str:
    size = float(count)
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def libraries(count: int) -> str:
    return f"{count} librar{'y' if count == 1 else 'ies'}"


def age(then: float) -> str:
    seconds = max(0.0, time.time() - then)
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            count = int(seconds // length)
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now"


def say_failures(results: list[Any]) -> list[Any]:
    """Prints the errors of sources that could not be built. Returns these results."""
    failed = [result for result in results if result.error is not None]
    for result in failed:
        say(f"{os.path.relpath(result.path)}: {result.error}\n")
    return failed


def printable(text: str) -> str:
    """A text of others, without what moves the terminal's cursor."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def confirmed(question: str) -> bool:
    try:
        return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        print()
        return False
