"""The time by which something must be over, handed down to every step of it."""

from __future__ import annotations

import time
from collections.abc import Callable


class Deadline:
    """A time of a monotonic clock. Immutable."""

    __slots__ = ("at", "clock")

    def __init__(self, at: float, clock: Callable[[], float] | None = None) -> None:
        self.at = at
        self.clock = clock or time.monotonic

    @classmethod
    def after(cls, seconds: float, clock: Callable[[], float] | None = None) -> Deadline:
        """Return the deadline so many seconds from now."""
        clock = clock or time.monotonic
        return cls(clock() + seconds, clock)

    def within(self, seconds: float) -> Deadline:
        """Return this deadline, or the one so many seconds from now if that is earlier."""
        return Deadline(min(self.at, self.clock() + seconds), self.clock)

    def left(self) -> float:
        """Return the seconds left, 0 when there are none."""
        return max(0.0, self.at - self.clock())

    def left_or_raise(self, problem: str = "timed out") -> float:
        """Return the seconds left; raises TimeoutError when there are none."""
        left = self.at - self.clock()
        if left <= 0:
            raise TimeoutError(problem)
        return left

    @property
    def expired(self) -> bool:
        """Whether the time has come."""
        return self.clock() >= self.at
