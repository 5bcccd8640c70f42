"""A bounded memory of look-ups, dropped as a whole when what was looked up may have changed."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Any, Final

#: Entries; and seconds for which one counts if nobody says that anything has changed.
MOST: Final = 10_000
TTL: Final = 60.0
MISSING: Final = object()


class Cache:
    """Look-ups by key, the oldest dropped first; thread-safe.

    What was not found (None) is kept apart from what was, so that guessing keys drives out no good ones.
    """

    def __init__(
        self, ttl: float = TTL, most: int = MOST, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.ttl = ttl
        self.generation = 0
        self._most = most
        self._clock = clock
        self._lock = Lock()
        self._found: dict[Hashable, tuple[float, object]] = {}
        self._absent: dict[Hashable, tuple[float, object]] = {}

    def get(self, key: Hashable) -> Any:
        """Return what was looked up, None if that is known not to be there, MISSING if nothing is known."""
        until, value = self._found.get(key) or self._absent.get(key) or (0.0, MISSING)
        return value if until > self._clock() else MISSING

    def put(self, key: Hashable, value: object, generation: int, ttl: float | None = None) -> None:
        """Keep a look-up that was begun in ``generation``; one that :meth:`clear` overtook is lost."""
        entry = self._clock() + (self.ttl if ttl is None else ttl), value
        with self._lock:
            if generation != self.generation:
                return
            self._found.pop(key, None)
            self._absent.pop(key, None)
            kept = self._absent if value is None else self._found
            while len(kept) >= self._most:
                del kept[next(iter(kept))]
            kept[key] = entry

    def clear(self) -> None:
        with self._lock:
            self.generation += 1
            self._found.clear()
            self._absent.clear()
