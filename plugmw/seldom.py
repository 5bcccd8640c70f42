"""Trouble that lasts is told now and then, not with every request."""

from __future__ import annotations

import time
from collections.abc import Callable


class Seldom:
    """Says yes once in ``every`` seconds (of ``clock``). Needs no lock: a race tells a thing twice."""

    def __init__(self, every: float = 60.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._every = every
        self._clock = clock
        self._said: float | None = None

    def __call__(self) -> bool:
        now = self._clock()
        if self._said is not None and now - self._said < self._every:
            return False
        self._said = now
        return True

    def reset(self) -> None:
        """Say yes the next time: what was told has ended."""
        self._said = None
