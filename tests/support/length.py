"""How much is tried: a short form in every run of the tests, the long one with ``PLUGMW_TESTS=long``."""

from __future__ import annotations

import os
from typing import TypeVar

LONG = os.environ.get("PLUGMW_TESTS") == "long"
T = TypeVar("T")


def by_length(short: T, long: T) -> T:
    """Return what this run is to try."""
    return long if LONG else short
