"""Consumers in PostgreSQL, by psycopg 3 (``plugmw[postgres]``)."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Sequence
from typing import Any, ClassVar, Final

import psycopg
from psycopg import conninfo
from psycopg.rows import TupleRow

from plugmw.auth.directories.database import Database, Rows
from plugmw.auth.directories.migrations import POSTGRES_STEPS, STEPS

#: The key of the lock that writers hold: "plugmw" as a number.
_LOCK: Final = int.from_bytes(b"plugmw", "big")
Connection = psycopg.Connection[TupleRow]
_TABLES: Final = "SELECT 1 WHERE to_regclass('plugmw_schema') IS NOT NULL"


class Postgres(Database[Connection]):
    """The database of a libpq URL; ValueError if that cannot be read."""

    errors: ClassVar[tuple[type[Exception], ...]] = (psycopg.Error,)
    begin: ClassVar[tuple[str, ...]] = ("BEGIN", f"SELECT pg_advisory_xact_lock({_LOCK})")
    steps: ClassVar[tuple[tuple[str, ...], ...]] = tuple(
        (*common, *own) for common, own in zip(STEPS, POSTGRES_STEPS, strict=True)
    )
    poll: ClassVar[float] = 1.0

    def __init__(self, conninfo_url: str, url: str, timeout: float) -> None:
        super().__init__(url, timeout)
        try:
            self._options = conninfo.conninfo_to_dict(conninfo_url)
        except psycopg.Error as error:
            raise ValueError("not a libpq URL") from error

    def connect(self) -> Connection:
        milliseconds = int(self.timeout * 1000)
        options: dict[str, Any] = {
            "connect_timeout": max(1, int(self.timeout)),
            "tcp_user_timeout": milliseconds,
            "application_name": "plugmw",
            **self._options,
        }
        # After the user's own: the server gives up when we do.
        extra = f"-c statement_timeout={milliseconds} -c lock_timeout={milliseconds}"
        options["options"] = f"{options.get('options') or ''} {extra}".strip()
        # Never prepared by itself: poolers such as PgBouncer hand out another session each time.
        return psycopg.connect(**options, autocommit=True, prepare_threshold=None)

    def execute(self, connection: Connection, sql: str, arguments: Sequence[object]) -> Rows:
        # A server that hangs does not keep its own deadline: twice ours, and the connection is cut.
        watch = threading.Timer(2 * self.timeout, _cut, [connection])
        watch.daemon = True
        watch.start()
        try:
            cursor = connection.execute(sql.replace("?", "%s"), arguments or None)
            return cursor.fetchall() if cursor.description else []
        finally:
            watch.cancel()

    def has_tables(self, connection: Connection) -> bool:
        return bool(self.execute(connection, _TABLES, ()))

    def mark(self) -> object:
        return self.read("SELECT counter FROM plugmw_changes")[0][0]


def _cut(connection: Connection) -> None:
    """End whatever waits for the server, by closing the line and not the file that others may wait on."""
    try:
        with socket.socket(fileno=os.dup(connection.fileno())) as line:
            line.shutdown(socket.SHUT_RDWR)
    except (OSError, psycopg.Error):
        pass  # it was closed meanwhile
