"""`watch`: what is edited is built at once."""

from __future__ import annotations

import argparse
import logging


def run(options: argparse.Namespace) -> None:
    from .. import _watch

    # It says more, in one line a build.
    if not options.verbose:
        logging.getLogger("rustimport").setLevel(logging.CRITICAL)
    _watch.run(options.paths, options.command, options.quiet)
