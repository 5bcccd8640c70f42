"""Waiting for what another thread or process brings about."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

#: Seconds until something is taken to be never coming; generous, because tests share the machine.
PATIENCE = 20.0


def until(condition: Callable[[], Any], seconds: float = PATIENCE, what: str = "not") -> Any:
    """Wait until ``condition()`` is true and return its value; fail the test if it never is (``what``)."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"{what} within {seconds} s"
        time.sleep(0.005)
    return value


def seconds_until(condition: Callable[[], Any], seconds: float = PATIENCE) -> float:
    """Wait as :func:`until` does; return the seconds that it took."""
    start = time.monotonic()
    until(condition, seconds)
    return time.monotonic() - start
