"""``file:///path``: counters and values of every process of one machine, with nothing to install.

The embedded default under gunicorn: all workers that name the same path count together, and no worker that
is killed takes anything with it. ``file://`` without a path is a file in a private folder of this user, which
all its programs share. Counters are in ``<path>``, of a fixed size (``file:///path?slots=131072``, 40 bytes
each); values in ``<path>.db``, made when the first is asked for.

A file that is damaged (cut, overwritten) or removed from outside is noticed at the next use, told once, and
replaced by a new one; what was left of it stays as ``<path>.damaged``.

The file must be on a local disk or in memory, not on a network file system. Do not open and close it from
code in a worker: that drops the worker's locks (POSIX).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import Concatenate, ParamSpec, TypeVar

from plugmw.concurrency.process import on_fork
from plugmw.errors import StoreError
from plugmw.events import Outage
from plugmw.stores.base import Scope, distinct, encode, lifetime, short
from plugmw.stores.table import BUCKET, Damaged, Table
from plugmw.stores.tables import TABLES
from plugmw.stores.values import Values

P = ParamSpec("P")
T = TypeVar("T")

SLOTS = 2**17  # 5 MiB of disk; room for some 80 000 living counters


class FileStore:
    """Store in files of this machine; thread-safe, opened at the first use, forks at any time.

    ``slots`` is rounded up to whole buckets and must be the same for all who open the path; ``timeout`` is in
    seconds, for each wait for other workers.
    """

    scope: Scope = "machine"

    def __init__(
        self,
        path: str,
        *,
        slots: int = SLOTS,
        clock: Callable[[], float] = time.time,
        timeout: float = 1.0,
    ) -> None:
        self.url = f"file://{path}"
        self._path = path
        self._slots = -(-slots // BUCKET) * BUCKET
        self._clock = clock
        self._timeout = timeout
        self._closed = False
        self._outage = Outage(self.url)
        self.outages = (self._outage,)
        self._table: Table | None = None
        self._values: Values | None = None
        self.after_fork()
        on_fork(self)

    def __repr__(self) -> str:
        return f"<FileStore {self.url}>"

    def after_fork(self) -> None:
        self._lock = Lock()

    def take(self, wants: Sequence[tuple[str, int, float]]) -> tuple[bool, list[int]]:
        distinct(wants)
        return self._noted(lambda: self._on_table(Table.take, wants, self._clock))

    def incr(self, key: str, amount: int = 1, ttl: float | None = None) -> int:
        return self._noted(lambda: self._on_table(Table.incr, key, amount, lifetime(ttl), self._clock))

    def count(self, key: str) -> int:
        return self._noted(lambda: self._on_table(Table.count, key, self._clock))

    def get(self, key: str) -> bytes | None:
        return self._noted(lambda: self._pairs().get(_key(key), self._clock()))

    def set(self, key: str, value: bytes, ttl: float | None = None) -> None:
        self._noted(lambda: self._pairs().set(_key(key), bytes(value), lifetime(ttl), self._clock()))

    def add(self, key: str, value: bytes, ttl: float | None = None) -> bool:
        return self._noted(lambda: self._pairs().add(_key(key), bytes(value), lifetime(ttl), self._clock()))

    def delete(self, key: str) -> None:
        self._noted(lambda: self._on_table(Table.delete, key))
        if os.path.exists(self._path + ".db"):  # no reason to make one
            self._noted(lambda: self._pairs().delete(_key(key)))

    def close(self) -> None:
        with self._lock:
            self._closed = True
            values, self._values = self._values, None
            table, self._table = self._table, None
            if values:
                values.close()
            if table:
                TABLES.close(table)

    def _open(self) -> Table:
        with self._lock:
            if self._closed:
                raise StoreError(self.url, "is closed")
            if self._table is None:
                self._table = TABLES.open(self._path, self._slots, self.url, self._timeout)
            return self._table

    def _on_table(
        self, call: Callable[Concatenate[Table, P], T], *arguments: P.args, **options: P.kwargs
    ) -> T:
        """Call a method of the table; once more on the new one that takes the place of a damaged one."""
        table = self._table or self._open()
        try:
            return call(table, *arguments, **options)
        except Damaged as damage:
            table = self._renewed(table, damage)
        except OSError as error:
            raise StoreError(self.url, f"cannot be used: {error.strerror}") from error
        return call(table, *arguments, **options)

    def _noted(self, call: Callable[[], T]) -> T:
        """Ask the table or the values, and take note of whether they work."""
        try:
            answer = call()
        except StoreError as error:
            if not self._closed:
                self._outage.failed(error.problem)
            raise
        self._outage.works()
        return answer

    def _renewed(self, table: Table, damage: Damaged) -> Table:
        with self._lock:
            if self._table is table:
                try:
                    self._table = TABLES.renew(table, self._path, damage, self._timeout)
                except OSError as error:
                    raise StoreError(self.url, f"cannot be opened: {error.strerror}") from error
        return self._table or self._open()

    def _pairs(self) -> Values:
        self._table or self._open()
        with self._lock:
            if self._values is None:
                self._values = Values(self._path + ".db", self.url + ".db", self._timeout, self._alone)
            return self._values

    @contextmanager
    def _alone(self) -> Iterator[None]:
        self._on_table(Table.check)
        with (self._table or self._open()).alone():
            yield


def _key(key: str) -> bytes:
    return encode(short(key))
