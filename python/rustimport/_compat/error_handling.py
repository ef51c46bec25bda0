"""Errors, under the names of rustimport 1.7; all of them are in ``rustimport.errors``."""

from ..errors import BuildError

__all__ = ["BuildError", "get_potential_failure_reasons", "notify_potential_failure_reason"]

_reasons: list[str] = []


def notify_potential_failure_reason(reason: str) -> None:
    """Notes why an import may have failed. The hook does not ask: its errors carry their own hints."""
    _reasons.append(reason)


def get_potential_failure_reasons() -> list[str]:
    """What was noted."""
    return list(_reasons)
