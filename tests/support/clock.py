"""A clock that only the test moves; anything with a ``clock=`` takes it in place of ``time.time``."""

from __future__ import annotations


class Clock:
    """Seconds, by default since the epoch: 2023-11-14 22:13:20 UTC, a Tuesday."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds
