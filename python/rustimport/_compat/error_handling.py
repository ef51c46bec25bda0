"""Errors under the names of rustimport 1.7. All errors are in ``rustimport.errors``."""

from ..errors import BuildError

__all__ = ["BuildError", "get_potential_failure_reasons", "notify_potential_failure_reason"]

_reasons: list[str] = []


def notify_potential_failure_reason(reason: str) -> None:
    """Records why an import may have failed. The hook does not use it: its errors have their own hints."""
    _reasons.append(reason)


def get_potential_failure_reasons() -> list[str]:
    """The recorded reasons."""
    return list(_reasons)
