"""`watch`: builds each source as soon as it is edited. The work is done in `_watch`."""

from __future__ import annotations

import argparse
import logging


def run(options: argparse.Namespace) -> None:
    from .. import _sources, _watch

    # `watch` prints one line of its own for each build.
    if not options.verbose:
        logging.getLogger("rustimport").setLevel(logging.CRITICAL)
    _watch.run(options.paths, options.command, options.quiet, _sources.ensure)
