"""Rate-limit a log message: at most one per ``every`` seconds."""

from __future__ import annotations

import time
from collections.abc import Callable


class Throttle:
    """Says yes once in ``every`` seconds of ``clock``. Needs no lock: of two threads both may be told yes.

    A clock that was set back does not silence it for longer.
    """

    def __init__(self, every: float = 60.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._every = every
        self._clock = clock
        self._last: float | None = None

    def __call__(self) -> bool:
        now = self._clock()
        if self._last is not None and 0 <= now - self._last < self._every:
            return False
        self._last = now
        return True

    def reset(self) -> None:
        """Say yes the next time: the trouble has ended."""
        self._last = None
