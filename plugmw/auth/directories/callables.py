"""Consumers from a Python callable.

    def find(kind, key):
        row = customers.get(api_key=key) if kind == "key-auth" else None
        return row and {"id": row.id, "username": row.name, "keyauth_credentials": [{"key": key}]}

    app = Gateway(app, "gateway.yaml", consumers=find)

``find("key-auth", "k1")`` returns the consumer that the key is of, in the form of the ``consumers`` list and
with that credential, or None; ``find("consumer", name)`` the consumer with this id, username or custom_id.
Answers are kept for ``ttl`` seconds; :meth:`CallableDirectory.clear` forgets them. The callable sets its
own deadlines, and runs in several threads at once under a server that has threads.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, TypeVar

from plugmw.auth.consumers import parse
from plugmw.auth.directories.cache import MISSING, MOST, Cache
from plugmw.concurrency.process import on_fork
from plugmw.errors import StoreError
from plugmw.events import Outage
from plugmw.kernel.identity import Consumer, Credential, MemoryDirectory, digest
from plugmw.schema.messages import place

#: Seconds for which an answer is kept: nobody tells when it changes, so a revoked key lives so much longer.
TTL: Final = 10.0

Find = Callable[[str, str], "Mapping[str, object] | None"]
T = TypeVar("T")


class CallableDirectory:
    """A directory that asks ``find``; thread-safe. An exception in it is a StoreError."""

    def __init__(
        self, find: Find, ttl: float = TTL, most: int = MOST, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._find = find
        self._name = f"consumers={getattr(find, '__qualname__', type(find).__name__)}"
        self._outage = Outage(self._name)
        self.outages = (self._outage,)
        self._new: Callable[[], Cache] = partial(Cache, ttl, most, clock)
        self.after_fork()
        on_fork(self)

    def after_fork(self) -> None:
        self._cache = self._new()

    def clear(self) -> None:
        """Forget every answer."""
        self._cache.clear()

    def consumer(self, name: str) -> Consumer | None:
        return self._look_up("consumer", name, lambda one: one.consumer(name))

    def credential(self, kind: str, key: str) -> Credential | None:
        return self._look_up(kind, key, lambda one: one.credential(kind, key))

    def _look_up(self, kind: str, key: str, pick: Callable[[MemoryDirectory], T | None]) -> T | None:
        cache, asked = self._cache, digest(kind, key)
        answer: T | None = cache.get(asked)
        if answer is MISSING:
            generation = cache.generation
            one = self._ask(kind, key)
            answer = pick(one) if one else None
            if one and answer is not None:
                for consumer in one.listed():
                    # It is asked for right after its credential, so it must live longer than that.
                    cache.put(digest("consumer", consumer.id), consumer, generation, 2 * cache.ttl)
            cache.put(asked, answer, generation)
        return answer

    def _ask(self, kind: str, key: str) -> MemoryDirectory | None:
        try:
            found = self._find(kind, key)
        except Exception as error:
            # Without its text, which may hold the key.
            problem = f"raised {type(error).__name__}"
            self._outage.failed(problem)
            raise StoreError(self._name, problem) from error
        self._outage.works()
        if found is None:
            return None
        one, problems = parse([found], ("consumer",))
        if problems:
            path, problem, expected = problems[0]
            wanted = f", expected {expected}" if expected else ""
            raise StoreError(self._name, f"{place(path)}: {problem}{wanted}")
        return one
