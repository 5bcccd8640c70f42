"""Frameworks are extras: what is missing is said with the way to get it."""

from __future__ import annotations

import importlib.util

from plugmw.errors import LoadError


def need(framework: str) -> None:
    """Raise :class:`LoadError` naming the extra if ``framework`` is not installed."""
    if importlib.util.find_spec(framework) is None:
        raise LoadError(
            f"plugmw.mounts.{framework}",
            f"needs the library {framework}, which is not installed",
            f"pip install 'plugmw[{framework}]'",
        )
