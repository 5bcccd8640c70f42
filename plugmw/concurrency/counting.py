"""Counters that lose nothing, whether or not this Python has a global lock.

``x += 1`` reads and writes in two steps; without a global lock another thread comes between them every day.
"""

from __future__ import annotations

import threading
from collections import Counter

from plugmw.concurrency.process import on_fork


class Counts:
    """Numbers by name, 0 at first; thread-safe, fork-safe."""

    def __init__(self) -> None:
        self._numbers: Counter[str] = Counter()
        self.after_fork()
        on_fork(self)

    def __getitem__(self, name: str) -> int:
        return self._numbers[name]

    def after_fork(self) -> None:
        """Make a new lock: the parent's may be held by a thread that is not here."""
        self._lock = threading.Lock()

    def add(self, name: str, amount: int = 1) -> None:
        """Count ``amount`` more."""
        with self._lock:
            self._numbers[name] += amount

    def take(self, name: str) -> int:
        """Return what was counted, and begin again at 0."""
        with self._lock:
            return self._numbers.pop(name, 0)


class Numbers:
    """1, 2, 3 and so on, each given out once; thread-safe, fork-safe."""

    def __init__(self) -> None:
        self._last = 0
        self.after_fork()
        on_fork(self)

    def after_fork(self) -> None:
        """Make a new lock, as of :class:`Counts`."""
        self._lock = threading.Lock()

    def next(self) -> int:
        """Return the next one."""
        with self._lock:
            self._last += 1
            return self._last
