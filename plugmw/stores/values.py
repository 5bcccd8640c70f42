"""Byte values in an sqlite3 file, shared by the processes of one machine.

For slow, durable state: tokens, nonces, cached answers of other services. A write waits for other writers,
so counters are not kept here (measured: one process can starve for seconds under pressure).

One connection per process, behind a lock, opened at the first use, and closed before the process forks: what
SQLite knows of open files and who holds which lock would be wrong in the child, and its inner locks might be
held there for ever. Not one per thread: under gevent a thread
is a greenlet, and each request would open its own.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from threading import Lock
from typing import Any

from plugmw.concurrency.counting import Numbers
from plugmw.concurrency.process import Pause, keep_inherited, on_fork, quiet_at_fork
from plugmw.errors import StoreError
from plugmw.stores.tables import check_owner

_LOGGER = logging.getLogger("plugmw.stores")
PAGE = 4096
LARGEST = 256 * 2**20  # bytes; a write beyond is a StoreError, so that clients cannot fill the disk
SWEEP_EVERY = 64  # writes; each sweep removes up to SWEEP rows, more than came in since the last
SWEEP = 256

_TABLE = """
    CREATE TABLE IF NOT EXISTS pairs
        (key BLOB PRIMARY KEY, value BLOB NOT NULL, expires REAL NOT NULL, ttl REAL NOT NULL) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS pairs_expires ON pairs (expires);
"""
_GET = "SELECT value FROM pairs WHERE key = ? AND expires > ?"
_SET = "INSERT OR REPLACE INTO pairs VALUES (?, ?, ?, ?)"
_ADD = """
    INSERT INTO pairs VALUES (?, ?, ?, ?) ON CONFLICT (key) DO UPDATE
        SET value = excluded.value, expires = excluded.expires, ttl = excluded.ttl WHERE pairs.expires <= ?
"""
# After the clock went back nothing may live longer than it was made for. 1 s: no write for a rounding error.
_OUTLIVES = "SELECT 1 FROM pairs WHERE key = ? AND expires - ttl > ? + 1"
_REDATE = "UPDATE pairs SET expires = ? + ttl WHERE key = ?"
_DELETE = "DELETE FROM pairs WHERE key = ?"
_SWEEP = "DELETE FROM pairs WHERE key IN (SELECT key FROM pairs WHERE expires <= ? LIMIT ?)"


class Values:
    """The values in the file ``path``; ``alone()`` keeps other processes out while the file is made.

    Thread-safe, fork-safe. Waits up to ``timeout`` seconds for other threads and as long for other processes.
    """

    def __init__(
        self, path: str, url: str, timeout: float, alone: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self._path = path
        self._url = url
        self._timeout = timeout
        self._alone = alone
        self._lock = Lock()
        self._connection: sqlite3.Connection | None = None
        #: Device and inode of the file that is open.
        self._identity: tuple[int, int] | None = None
        self._writes = Numbers()
        self._pause = Pause()
        on_fork(self)
        quiet_at_fork(self)

    def before_fork(self) -> None:
        if self._pause.begin(self._lock, 2 * self._timeout):
            self._drop()

    def after_fork_in_parent(self) -> None:
        self._pause.end()

    def after_fork(self) -> None:
        self._lock = Lock()
        if self._connection:
            # Closing it here would touch the parent's locks and journal.
            keep_inherited(self._connection)
            self._connection = None

    def get(self, key: bytes, now: float) -> bytes | None:
        rows, _ = self._run(_GET, key, now)
        if rows:
            self._bring_near(key, now)
        return rows[0][0] if rows else None

    def set(self, key: bytes, value: bytes, ttl: float, now: float) -> None:
        self._sweep(now)
        self._run(_SET, key, value, now + ttl, ttl)

    def add(self, key: bytes, value: bytes, ttl: float, now: float) -> bool:
        self._sweep(now)
        _, changed = self._run(_ADD, key, value, now + ttl, ttl, now)
        if not changed:
            self._bring_near(key, now)
        return changed > 0

    def delete(self, key: bytes) -> None:
        self._run(_DELETE, key)

    def close(self) -> None:
        with self._lock:
            self._drop()

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection:
            connection.close()

    def _bring_near(self, key: bytes, now: float) -> None:
        rows, _ = self._run(_OUTLIVES, key, now)
        if rows:
            self._run(_REDATE, now, key)

    def _sweep(self, now: float) -> None:
        if self._writes.next() % SWEEP_EVERY == 0:
            self._run(_SWEEP, now, SWEEP)

    def _run(self, sql: str, *args: object) -> tuple[Sequence[tuple[Any, ...]], int]:
        """Run one statement, which is its own transaction; return its rows and how many it changed."""
        if not self._lock.acquire(timeout=self._timeout):
            raise StoreError(self._url, f"is busy for more than {self._timeout} s")
        try:
            if self._connection is not None and _identity(self._path) != self._identity:
                self._drop()  # removed, or another file was put in its place
            try:
                return self._execute(sql, args)
            except sqlite3.DatabaseError as error:
                if not _is_damage(error):
                    raise
                self._put_aside(error)
            return self._execute(sql, args)
        except (sqlite3.Error, OSError) as error:
            raise StoreError(self._url, f"cannot be used: {error}") from error
        finally:
            self._lock.release()

    def _execute(self, sql: str, args: Sequence[object]) -> tuple[Sequence[tuple[Any, ...]], int]:
        if self._connection is None:
            self._connection = self._connect()
        cursor = self._connection.execute(sql, args)
        return cursor.fetchall(), cursor.rowcount

    def _put_aside(self, error: sqlite3.DatabaseError) -> None:
        """Let a new file take the place of one that is damaged; of all processes, the first that sees it."""
        seen = self._identity
        self._drop()
        with self._alone():
            if _identity(self._path) != seen:
                return
            for ending in ("-wal", "-shm"):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(self._path + ending)
            os.replace(self._path, self._path + ".damaged")
        _LOGGER.warning("%s is damaged: %s; a new file is begun, without its values", self._url, error)

    def _connect(self) -> sqlite3.Connection:
        with self._alone():  # switching to WAL does not wait for others, it fails
            self._create_file()
            self._identity = _identity(self._path)
            connection = sqlite3.connect(
                self._path, timeout=self._timeout, isolation_level=None, check_same_thread=False
            )
            try:
                connection.execute(f"PRAGMA page_size = {PAGE}")
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = NORMAL")
                connection.execute(f"PRAGMA max_page_count = {LARGEST // PAGE}")
                connection.executescript(_TABLE)
            except BaseException:
                connection.close()
                raise
            return connection

    def _create_file(self) -> None:
        """Make the file readable by this user only, as sqlite would not; refuse a foreign one."""
        try:
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        except FileExistsError:  # not opened: closing it here would drop sqlite's own locks
            check_owner(os.lstat(self._path), self._url)


def _identity(path: str) -> tuple[int, int] | None:
    try:
        info = os.stat(path, follow_symlinks=False)
    except OSError:
        return None
    return info.st_dev, info.st_ino


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    """Say whether the file is no database, a broken one, or one without our table."""
    return type(error) is sqlite3.DatabaseError or "no such table" in str(error)
