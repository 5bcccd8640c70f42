"""What a worker counts, in a file that outlives it: requests that reached it, and those that were logged.

ledger = Ledger(folder)                  # in a worker, after the fork
number = ledger.reach()                  # outside of the gateway
ledger.log(number)                       # in the log phase

totals(folder)                           # {"reached": 12, "logged": 12, "again": 0, ...}, over all workers
"""

from __future__ import annotations

import mmap
import os
import threading
from pathlib import Path

#: ``again``: logged more than once. ``begun``, ``closed``: iterables of the app, and calls of their close.
NAMES = ("reached", "logged", "again", "begun", "closed")
_SIZE = 8 * len(NAMES)


class Ledger:
    """The counts of one process. Thread-safe; remembers only the numbers that were not logged yet."""

    def __init__(self, folder: Path) -> None:
        with (folder / f"{os.getpid()}.ledger").open("w+b") as file:
            file.truncate(_SIZE)
            self._counts = memoryview(mmap.mmap(file.fileno(), _SIZE)).cast("Q")
        self._lock = threading.Lock()
        self._open: set[int] = set()

    def count(self, name: str) -> None:
        with self._lock:
            self._counts[NAMES.index(name)] += 1

    def reach(self) -> int:
        """Count a request that the server hands over; return its number."""
        with self._lock:
            self._counts[0] += 1
            number = self._counts[0]
            self._open.add(number)
        return int(number)

    def log(self, number: int) -> None:
        """Count that a request was logged; the second time it is counted as ``again``."""
        with self._lock:
            self._counts[1 if number in self._open else 2] += 1
            self._open.discard(number)


def totals(folder: Path) -> dict[str, int]:
    """Return the counts of all workers together."""
    counts = [memoryview(path.read_bytes()).cast("Q") for path in sorted(folder.glob("*.ledger"))]
    return {name: sum(each[place] for each in counts) for place, name in enumerate(NAMES)}
