"""One connection per process to a SQL database, with a deadline on every wait.

Behind a lock, opened at the first use. Look-ups are cached, so it is asked seldom, and not one connection
per thread: under gevent a thread is a greenlet, and each request would open its own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from plugmw.auth.directories.migrations import STEPS, VERSION_TABLE
from plugmw.concurrency.process import keep_inherited, on_fork
from plugmw.errors import StoreError
from plugmw.events import Outage
from plugmw.stores.breaker import Breaker

#: The values of a row, of the types that its columns have.
Row = tuple[Any, ...]
Rows = Sequence[Row]
Run = Callable[..., Rows]


class Connection(Protocol):
    """A driver's connection."""

    def close(self) -> None: ...


C = TypeVar("C", bound=Connection)


class Session(Generic[C]):
    """What a process has open.

    Made at the first use: after the fork, and after gevent has replaced the locks.
    """

    def __init__(self, probe: Callable[[], object], recovered: Callable[[], object]) -> None:
        self.lock = threading.Lock()
        self.breaker = Breaker(probe, recovered=recovered)
        self.connection: C | None = None


class Database(Generic[C]):
    """What the SQL databases have in common; thread- and fork-safe. Failures are StoreErrors.

    Statements have ``?`` where arguments go, and no other question mark.
    """

    #: What the driver raises.
    errors: ClassVar[tuple[type[Exception], ...]]
    #: What begins a transaction that no other one can change the tables beside.
    begin: ClassVar[tuple[str, ...]]
    steps: ClassVar[tuple[tuple[str, ...], ...]] = STEPS
    #: Seconds for which nobody need ask for the mark again.
    poll: ClassVar[float] = 0.0

    def __init__(self, url: str, timeout: float) -> None:
        #: Without secrets, for messages.
        self.url = url
        self.timeout = timeout
        self.outage = Outage(url)
        #: Connections opened so far.
        self.opened = 0
        on_fork(self)

    def connect(self) -> C:
        """Return a new connection that commits each statement; raises one of ``errors`` or OSError."""
        raise NotImplementedError

    def execute(self, connection: C, sql: str, arguments: Sequence[object]) -> Rows:
        raise NotImplementedError

    def mark(self) -> object:
        """Return what is different after any change of the tables by somebody else."""
        raise NotImplementedError

    @property
    def session(self) -> Session[C] | None:
        """What this process has open, if anything."""
        session: Session[C] | None = self.__dict__.get("_session")
        return session

    def after_fork(self) -> None:
        session = self.__dict__.pop("_session", None)
        if session is not None and session.connection is not None:
            keep_inherited(session.connection)

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        session = self.__dict__.pop("_session", None)
        if session is not None:
            session.breaker.close()
            with session.lock:
                self._drop(session)

    def read(self, sql: str, *arguments: object) -> Rows:
        """Return the rows of a query; tried again once where only an old connection is broken."""
        with self.held() as session:
            old = session.connection is not None
            try:
                return self.execute(self._connected(session), sql, arguments)
            except self.errors:
                if not old:
                    raise
            self._drop(session)
            return self.execute(self._connected(session), sql, arguments)

    @contextmanager
    def transaction(self) -> Iterator[Run]:
        """Run statements together or not at all: ``run(sql, *arguments)``; no other writer is let in."""
        with self.held() as session:
            connection = self._connected(session)

            def run(sql: str, *arguments: object) -> Rows:
                return self.execute(connection, sql, arguments)

            try:
                for sql in self.begin:
                    run(sql)
                yield run
                run("COMMIT")
            except BaseException:
                # Also what was begun and not ended goes with the connection.
                self._drop(session)
                raise

    @contextmanager
    def held(self) -> Iterator[Session[C]]:
        """Keep other threads away from the connection; what the driver raises becomes a StoreError."""
        session = self._locked()
        try:
            yield session
            if self.outage.since is not None and session.breaker.cause is None:
                self.outage.works()
        except Exception as error:
            if not isinstance(error, (*self.errors, OSError)):
                raise
            self._drop(session)
            self.outage.failed(f"cannot be used: {type(error).__name__}")
            session.breaker.trip(error)
            # The driver's own text may quote what is stored; it is the cause, for the log of the operator.
            raise StoreError(self.url, f"cannot be used: {type(error).__name__}") from error
        finally:
            session.lock.release()

    def _locked(self) -> Session[C]:
        """Return the session of this process with its lock held."""
        while True:
            session: Session[C] = self.__dict__.get("_session") or self.__dict__.setdefault(
                "_session", Session(self._probe, self.outage.works)
            )
            if session.breaker.cause is not None:
                self.outage.failed("is down")
                raise StoreError(self.url, "is down") from session.breaker.cause
            if not session.lock.acquire(timeout=self.timeout):
                problem = f"is busy for more than {self.timeout} s"
                self.outage.failed(problem)
                raise StoreError(self.url, problem)
            if self.session is session:
                return session
            # It was closed meanwhile: nobody would close what is opened in it now.
            session.lock.release()

    def _connected(self, session: Session[C]) -> C:
        if session.connection is None:
            session.connection = self._open()
            self.opened += 1
        return session.connection

    def _open(self) -> C:
        connection = self.connect()
        try:
            self._migrate(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _drop(self, session: Session[C]) -> None:
        connection, session.connection = session.connection, None
        if connection is not None:
            connection.close()

    def _probe(self) -> None:
        self._open().close()

    def _migrate(self, connection: C) -> None:
        """Bring the tables to our version; those of a later plugmw are left alone, as steps only add."""
        if self._version(connection) >= len(self.steps):
            return
        for sql in (*self.begin, VERSION_TABLE):
            self.execute(connection, sql, ())
        version = self._version(connection)
        for step in self.steps[version:]:
            for sql in step:
                self.execute(connection, sql, ())
        if version < len(self.steps):
            self.execute(connection, "DELETE FROM plugmw_schema", ())
            self.execute(connection, "INSERT INTO plugmw_schema VALUES (?)", (len(self.steps),))
        self.execute(connection, "COMMIT", ())

    def has_tables(self, connection: C) -> bool:
        raise NotImplementedError

    def _version(self, connection: C) -> int:
        if not self.has_tables(connection):
            return 0
        rows = self.execute(connection, "SELECT version FROM plugmw_schema", ())
        return int(rows[0][0]) if rows else 0
