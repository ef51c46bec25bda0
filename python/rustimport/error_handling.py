"""Errors, under the names of rustimport 1.7; all of them are in ``rustimport.errors``."""

from ._compat.error_handling import (
    BuildError,
    get_potential_failure_reasons,
    notify_potential_failure_reason,
)

__all__ = [
    "BuildError",
    "get_potential_failure_reasons",
    "notify_potential_failure_reason",
]
