"""``memory://``: counters and values of one process.

Every worker process counts for itself, so a limit is multiplied by the number of workers: right for a
single process and for tests. Each opened ``memory://`` is a store of its own. The number of keys is bounded
(``memory://?keys=100000``, counters and values each); when all are alive a new key is a StoreError and no
living one is given up, so that nobody gets rid of a counter by filling the store with others.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Generic, TypeVar

from plugmw.concurrency.process import on_fork
from plugmw.errors import StoreError
from plugmw.events import Outage
from plugmw.stores.base import MOST, Scope, distinct, lifetime, short

T = TypeVar("T")

URL = "memory://"
KEYS = 100_000  # some 30 MB when full

# Expired keys removed per new key: above 1, so the backlog shrinks; small, so no request pays for a crowd.
SWEEP = 4


class MemoryStore:
    """Store in the memory of this process; thread-safe. A forked child goes on with its own copy."""

    url = URL
    scope: Scope = "process"

    def __init__(self, *, keys: int = KEYS, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._latest = clock()
        self._lock = Lock()
        self._closed = False
        #: Two, as the one may have room while the other has none.
        self.outages = Outage(f"{URL} (counters)"), Outage(f"{URL} (values)")
        self._counters: _Shelf[int] = _Shelf(keys, self.outages[0])
        self._values: _Shelf[bytes] = _Shelf(keys, self.outages[1])
        on_fork(self)

    def __repr__(self) -> str:
        return f"<MemoryStore {self.url}>"

    def after_fork(self) -> None:
        self._lock = Lock()

    def take(self, wants: Sequence[tuple[str, int, float]]) -> tuple[bool, list[int]]:
        distinct(wants)
        keys = [short(key) for key, _, _ in wants]
        with self._lock:
            now = self._now()
            counters = self._counters
            found = [counters.live(key, now) for key in keys]
            counts = [entry.value if entry else 0 for entry in found]
            if any(count >= limit for count, (_, limit, _) in zip(counts, wants)):
                return False, counts
            counters.make_room(found.count(None), now)
            for key, entry, (_, _, ttl) in zip(keys, found, wants):
                if entry:
                    entry.value += 1
                else:
                    counters.put(key, 1, ttl, now)
            return True, [count + 1 for count in counts]

    def incr(self, key: str, amount: int = 1, ttl: float | None = None) -> int:
        key, life = short(key), lifetime(ttl)
        with self._lock:
            now = self._now()
            entry = self._counters.live(key, now)
            count = min(max((entry.value if entry else 0) + amount, 0), MOST)
            if entry:
                entry.value = count
            elif count:
                self._counters.put(key, count, life, now)
            return count

    def count(self, key: str) -> int:
        with self._lock:
            entry = self._counters.live(short(key), self._now())
            return entry.value if entry else 0

    def get(self, key: str) -> bytes | None:
        with self._lock:
            entry = self._values.live(short(key), self._now())
            return entry.value if entry else None

    def set(self, key: str, value: bytes, ttl: float | None = None) -> None:
        life = lifetime(ttl)
        with self._lock:
            self._values.put(short(key), bytes(value), life, self._now())

    def add(self, key: str, value: bytes, ttl: float | None = None) -> bool:
        key, life = short(key), lifetime(ttl)
        with self._lock:
            now = self._now()
            if self._values.live(key, now):
                return False
            self._values.put(key, bytes(value), life, now)
            return True

    def delete(self, key: str) -> None:
        key = short(key)
        with self._lock:
            self._now()
            self._counters.drop(key)
            self._values.drop(key)

    def close(self) -> None:
        """Forget everything."""
        with self._lock:
            self._closed = True
            self._counters = _Shelf(0, self.outages[0])
            self._values = _Shelf(0, self.outages[1])

    def _now(self) -> float:
        """Return the time, having looked whether the clock went back; call with the lock held."""
        if self._closed:
            raise StoreError(self.url, "is closed")
        now = self._clock()
        if now < self._latest:
            self._counters.redate(now)
            self._values.redate(now)
        self._latest = now
        return now


class _Entry(Generic[T]):
    """One value, the time it ends and how long it was made for."""

    __slots__ = ("expires", "ttl", "value")

    def __init__(self, value: T, ttl: float, now: float) -> None:
        self.value = value
        self.ttl = ttl
        self.expires = now + ttl


class _Shelf(Generic[T]):
    """A bounded dict of entries that expire. Not thread-safe: its owner holds a lock."""

    def __init__(self, keys: int, outage: Outage) -> None:
        self._keys = keys
        self._outage = outage
        self._entries: dict[str, _Entry[T]] = {}
        # (expires, key), soonest first. Replaced and dropped entries stay in it until they come up.
        self._order: list[tuple[float, str]] = []

    def live(self, key: str, now: float) -> _Entry[T] | None:
        entry = self._entries.get(key)
        return entry if entry and entry.expires > now else None

    def put(self, key: str, value: T, ttl: float, now: float) -> None:
        if key not in self._entries:
            self.make_room(1, now)
        entry = self._entries[key] = _Entry(value, ttl, now)
        heapq.heappush(self._order, (entry.expires, key))
        if len(self._order) > 2 * len(self._entries) + 64:
            self._sort()

    def drop(self, key: str) -> None:
        self._entries.pop(key, None)

    def make_room(self, count: int, now: float) -> None:
        """Sweep some expired entries; StoreError if there is no room for ``count`` new ones."""
        swept = 0
        while self._order and self._order[0][0] <= now and (swept < SWEEP or not self._fits(count)):
            expires, key = heapq.heappop(self._order)
            entry = self._entries.get(key)
            if entry and entry.expires == expires:
                del self._entries[key]
            swept += 1
        if not self._fits(count):
            problem = f"is full: {self._keys} keys are in use"
            self._outage.failed(problem)
            raise StoreError(URL, problem)
        if self._outage.since is not None:
            self._outage.works()

    def redate(self, now: float) -> None:
        """The clock went back to ``now``: let nothing live for longer than it was made for."""
        for entry in self._entries.values():
            entry.expires = min(entry.expires, now + entry.ttl)
        self._sort()

    def _fits(self, count: int) -> bool:
        return len(self._entries) + count <= self._keys

    def _sort(self) -> None:
        self._order = [(entry.expires, key) for key, entry in self._entries.items()]
        heapq.heapify(self._order)
