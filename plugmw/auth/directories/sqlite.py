"""Consumers in a SQLite file: the embedded default, nothing to install.

In SQLite's usual journal mode, so that a file which is never written works on a read-only disk too.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Sequence
from typing import ClassVar, Final

from plugmw.auth.directories.database import Database, Rows
from plugmw.concurrency.process import Pause, quiet_at_fork

_TABLES: Final = "SELECT 1 FROM sqlite_master WHERE name = 'plugmw_schema'"


class SQLite(Database[sqlite3.Connection]):
    """The file ``path``, made readable by this user alone if it is not there."""

    errors: ClassVar[tuple[type[Exception], ...]] = (sqlite3.Error,)
    begin: ClassVar[tuple[str, ...]] = ("BEGIN IMMEDIATE",)
    # Asking takes a lock on the file and some 13 microseconds, which each request would pay twice.
    poll: ClassVar[float] = 0.1

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__(f"sqlite://{path}", timeout)
        self._path = path
        self._file: tuple[int, int] | None = None
        self._pause = Pause()
        quiet_at_fork(self)

    def before_fork(self) -> None:
        # What SQLite knows of open files and their locks would be wrong in the child.
        session = self.session
        if session is not None and self._pause.begin(session.lock, 2 * self.timeout):
            self._drop(session)

    def after_fork_in_parent(self) -> None:
        self._pause.end()

    def connect(self) -> sqlite3.Connection:
        with contextlib.suppress(FileExistsError):
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        self._file = self._identity()
        connection = sqlite3.connect(
            self._path, timeout=self.timeout, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA foreign_keys = ON")
        return connection

    def execute(self, connection: sqlite3.Connection, sql: str, arguments: Sequence[object]) -> Rows:
        return connection.execute(sql, arguments).fetchall()

    def has_tables(self, connection: sqlite3.Connection) -> bool:
        return bool(self.execute(connection, _TABLES, ()))

    def mark(self) -> object:
        with self.held() as session:
            if session.connection is not None and self._identity() != self._file:
                self._drop(session)  # another file was put in its place
            rows = self.execute(self._connected(session), "PRAGMA data_version", ())
            return self.opened, rows[0][0]

    def _identity(self) -> tuple[int, int]:
        info = os.stat(self._path)
        return info.st_dev, info.st_ino
