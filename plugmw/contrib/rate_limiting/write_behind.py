"""Counters that are read from a store now and then, and written to it in batches by a thread.

A request costs no round trip once its counters are known. What other processes count shows with a delay of
up to ``rate`` seconds, so together they may pass a limit by what they take in that time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Final

from plugmw.concurrency.threads import Daemon
from plugmw.errors import StoreError
from plugmw.stores import Store

#: Counters known at once, as in a memory store (plugmw.stores.memory); beyond, the store is asked directly.
MOST_KEYS: Final = 100_000


class Collecting:
    """Counts for one process in front of ``store``. Thread-safe; to be made after the fork.

    ``rate`` is in seconds; ``report`` is told of the StoreError that lost a batch.
    """

    def __init__(self, store: Store, rate: float, report: Callable[[StoreError], None]) -> None:
        self._store = store
        self._rate = rate
        self._report = report
        self._lock = threading.Lock()
        self._counts: dict[str, int] = {}  # what the store had, and what was collected since
        self._collected: dict[str, tuple[int, float]] = {}  # amount and ttl
        self._stop = threading.Event()
        self._thread = Daemon("plugmw-collecting", self._write_on)

    def start(self) -> None:
        """Start the thread that writes."""
        self._thread.start()

    def close(self) -> None:
        """Stop the thread and write what is left; the store stays open."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self.write()

    def take(self, wants: Sequence[tuple[str, int, float]]) -> tuple[bool, list[int]]:
        """Do what :meth:`plugmw.stores.Store.take` does, by what is known in this process."""
        if len(self._counts) >= MOST_KEYS:
            return self._store.take(wants)
        found = [self._counts.get(key) for key, _, _ in wants]
        known = [self._store.count(want[0]) if old is None else old for want, old in zip(wants, found)]
        with self._lock:
            counts = [self._counts.setdefault(want[0], old) for want, old in zip(wants, known)]
            if any(count >= limit for count, (_, limit, _) in zip(counts, wants)):
                return False, counts
            for key, _, ttl in wants:
                self._counts[key] += 1
                amount, _ = self._collected.get(key, (0, ttl))
                self._collected[key] = (amount + 1, ttl)
        return True, [count + 1 for count in counts]

    def write(self) -> None:
        """Write what was collected; a failure drops it. Counters without a hit since are forgotten."""
        with self._lock:
            batch, self._collected = self._collected, {}
        fresh: dict[str, int] = {}
        try:
            for key, (amount, ttl) in batch.items():
                fresh[key] = self._store.incr(key, amount, ttl)
        except StoreError as error:
            self._report(error)
        with self._lock:
            # Hits that came while the batch was written are on top of what the store says.
            newer = {
                key: fresh[key] + amount if key in fresh else self._counts[key]
                for key, (amount, _) in self._collected.items()
            }
            self._counts = {**fresh, **newer}

    def _write_on(self) -> None:
        while not self._stop.wait(self._rate):
            self.write()
