"""``kong.cache``: values that callbacks made, per process (``kong/cache/init.lua``)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import attrs

from plugmw.dialects.kong.pdk.phase import of_type


@attrs.frozen
class _Item:
    """A cached value; None and 0 as ends stand for "never"."""

    value: object
    until: float | None
    resurrect: float


class Cache:
    """``kong.cache``: per process, with negative caching; values are kept by reference.

    Options are seconds: ``ttl`` (0, the default: no expiry), ``neg_ttl`` of None results (300) and
    ``resurrect_ttl`` (30), for which a value goes on when its callback fails.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, most: int = 10_000) -> None:
        self._clock = clock
        self._most = most
        # Only ever held between two lines that cannot wait, so it may be older than gevent's patching.
        self._lock = threading.Lock()
        self._items: dict[str, _Item] = {}
        self._calls: dict[str, threading.Lock] = {}

    def get(
        self, key: str, opts: Mapping[str, float] | None, callback: Callable[..., object], *arguments: object
    ) -> tuple[Any, str | None]:
        """Return (value, None), calling ``callback(*arguments)`` on a miss; (None, error) if that raises.

        One call at a time runs for a key; the others wait for its result.
        """
        item = self._fresh(key)
        if item is not None:
            return item.value, None
        with self._lock:
            turn = self._calls.setdefault(key, threading.Lock())
        with turn:
            item = self._fresh(key)
            result = (item.value, None) if item else self.renew(key, opts, callback, *arguments)
        with self._lock:
            self._calls.pop(key, None)
        return result

    def renew(
        self, key: str, opts: Mapping[str, float] | None, callback: Callable[..., object], *arguments: object
    ) -> tuple[Any, str | None]:
        """Call ``callback`` whatever is kept, and keep its result."""
        _check_key(key)
        options = opts or {}
        try:
            value = callback(*arguments)
        except Exception as error:
            stale = self._items.get(key)
            if stale is None or not stale.resurrect:
                return None, f"callback threw an error: {error}"
            self._store(key, _Item(stale.value, self._clock() + stale.resurrect, stale.resurrect))
            return stale.value, None
        life = options.get("neg_ttl", 300) if value is None else options.get("ttl", 0)
        until = self._clock() + life if life else None
        self._store(key, _Item(value, until, options.get("resurrect_ttl", 30)))
        return value, None

    def _fresh(self, key: str) -> _Item | None:
        _check_key(key)
        item = self._items.get(key)
        return item if item and (item.until is None or self._clock() < item.until) else None

    def _store(self, key: str, item: _Item) -> None:
        with self._lock:
            self._items.pop(key, None)
            while len(self._items) >= self._most:
                del self._items[next(iter(self._items))]
            self._items[key] = item

    def get_bulk(self, bulk: Iterable[tuple[Any, ...]], opts: object = None) -> list[tuple[Any, str | None]]:
        """Run several (key, opts, callback, argument...), one after the other."""
        return [self.get(*one) for one in bulk]

    def probe(self, key: str) -> tuple[float | None, str | None, Any]:
        """Return (seconds left, None, value) of what is kept, without calling anything; 0: no expiry."""
        item = self._fresh(key)
        if item is None:
            return None, None, None
        return (0.0 if item.until is None else item.until - self._clock()), None, item.value

    def invalidate(self, key: str) -> None:
        """Forget a key in this process; other processes forget it by its ttl."""
        _check_key(key)
        self._items.pop(key, None)

    invalidate_local = invalidate

    def purge(self) -> None:
        """Forget everything."""
        with self._lock:
            self._items.clear()


def _check_key(key: object) -> None:
    of_type(key, str, "key", "a string")
