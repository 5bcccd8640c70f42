"""Plugins that installed distributions offer under the entry point group ``plugmw.plugins``."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from plugmw.errors import LoadError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "plugmw.plugins"


@functools.lru_cache(maxsize=1)
def _points() -> dict[str, EntryPoint]:
    # A slow import, for names that are not bundled.
    from importlib.metadata import entry_points

    return {point.name: point for point in entry_points(group=GROUP)}


def names() -> list[str]:
    """Return the names on offer."""
    return sorted(_points())


def find(name: str) -> object:
    """Return the class under ``name``, None if no distribution offers it; raises :class:`LoadError`."""
    point = _points().get(name)
    if point is None:
        return None
    try:
        return point.load()
    except Exception as error:
        raise LoadError(f"entry point {name}", f"{point.value}: {type(error).__name__}: {error}") from error
