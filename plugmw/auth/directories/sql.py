"""Consumers and credentials in SQL tables, SQLite's or PostgreSQL's, with a cache in each process.

Keys are stored as SHA-256 digests only, passwords as slow hashes, secrets of oauth2 clients as digests;
secrets that tokens and signatures are verified by must be known, and are stored as they are.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, Final, TypeVar

import attrs

from plugmw.auth import passwords
from plugmw.auth.consumers import CREDENTIALS, parse
from plugmw.auth.directories.cache import MISSING, MOST, TTL, Cache
from plugmw.auth.directories.database import Database, Row, Run
from plugmw.concurrency.process import on_fork
from plugmw.errors import ConfigError, ConfigErrors, StoreError
from plugmw.kernel.identity import Consumer, Credential, digest
from plugmw.schema.messages import place

_NAMED: Final = (
    "SELECT id, username, custom_id, tags, group_names FROM plugmw_consumers"
    " WHERE id = ? OR username = ? OR custom_id = ?"
    " ORDER BY CASE WHEN id = ? THEN 0 WHEN username = ? THEN 1 ELSE 2 END LIMIT 1"
)
_OPENED: Final = (
    "SELECT id, consumer_id, identifier, data, expires FROM plugmw_credentials WHERE kind = ? AND digest = ?"
)
_TAKEN: Final = {
    "id": "SELECT 1 FROM plugmw_consumers WHERE id = ?",
    "username": "SELECT 1 FROM plugmw_consumers WHERE username = ?",
    "custom_id": "SELECT 1 FROM plugmw_consumers WHERE custom_id = ?",
}
_FIELDS: Final = {kind: name for name, (kind, *_) in CREDENTIALS.items()}
T = TypeVar("T")


class SQLDirectory:
    """A directory in a database; thread- and fork-safe. Look-ups raise StoreError when it is down.

    Look-ups are cached for ``ttl`` seconds, up to ``most`` of them, until anybody changes the tables: with
    SQLite that counts within a tenth of a second, with PostgreSQL within one.
    """

    def __init__(
        self,
        database: Database[Any],
        ttl: float = TTL,
        most: int = MOST,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.database = database
        self.outages = (database.outage,)
        self._clock = clock
        self._new: Callable[[], Cache] = partial(Cache, ttl, most, clock)
        self.after_fork()
        on_fork(self)

    def __repr__(self) -> str:
        return f"<SQLDirectory {self.database.url}>"

    def after_fork(self) -> None:
        self._cache = self._new()
        self._mark: object = None
        self._marked_until = float("-inf")

    def close(self) -> None:
        """Close the connection; the next look-up opens another."""
        self.database.close()

    # -- look-ups ---------------------------------------------------------------------------------

    def consumer(self, name: str) -> Consumer | None:
        return self._look_up("consumer", name, self._read_consumer)

    def credential(self, kind: str, key: str) -> Credential | None:
        return self._look_up(kind, key, partial(self._read_credential, kind))

    def _look_up(self, kind: str, key: str, read: Callable[[str], T | None]) -> T | None:
        self._check_mark()
        cache, asked = self._cache, digest(kind, key)
        answer: T | None = cache.get(asked)
        if answer is MISSING:
            generation = cache.generation
            # What is no text to SQL is nobody's name.
            answer = read(key) if "\0" not in key and _encodes(key) else None
            cache.put(asked, answer, generation)
        return answer

    def _check_mark(self) -> None:
        now = self._clock()
        if now < self._marked_until:
            return
        mark = self.database.mark()
        if mark != self._mark:
            self._cache.clear()
            self._mark = mark
        self._marked_until = now + self.database.poll

    def _read_consumer(self, name: str) -> Consumer | None:
        rows = self.database.read(_NAMED, name, name, name, name, name)
        return self._consumer(rows[0]) if rows else None

    def _read_credential(self, kind: str, key: str) -> Credential | None:
        rows = self.database.read(_OPENED, kind, digest(kind, key).hex())
        return self._credential(rows[0]) if rows else None

    def _consumer(self, row: Row) -> Consumer:
        tags, groups = self._json(row[3], list), self._json(row[4], list)
        return Consumer(id=row[0], username=row[1], custom_id=row[2], tags=tuple(tags), groups=tuple(groups))

    def _credential(self, row: Row) -> Credential:
        data = self._json(row[3], dict)
        return Credential(id=row[0], consumer_id=row[1], identifier=row[2], data=data, expires=row[4])

    def _json(self, text: str, kind: type[T]) -> T:
        try:
            value = json.loads(text)
        except (TypeError, ValueError):
            value = None
        if not isinstance(value, kind):
            raise StoreError(self.database.url, f"holds a row that is not a JSON {kind.__name__}")
        return value

    # -- changes ----------------------------------------------------------------------------------

    def consumers(self) -> list[Consumer]:
        """Return every consumer, by name."""
        rows = self.database.read(
            "SELECT id, username, custom_id, tags, group_names FROM plugmw_consumers"
            " ORDER BY username, custom_id, id"
        )
        return [self._consumer(row) for row in rows]

    def credentials_of(self, consumer: Consumer) -> list[tuple[str, Credential]]:
        """Return kind and credential of all that a consumer has, without what they hold."""
        rows = self.database.read(
            "SELECT kind, id, consumer_id, identifier, '{}', expires FROM plugmw_credentials"
            " WHERE consumer_id = ? ORDER BY kind, id",
            consumer.id,
        )
        return [(row[0], self._credential(row[1:])) for row in rows]

    def add(self, given: Mapping[str, object]) -> Consumer:
        """Add a consumer, written as in the ``consumers`` list, with its credentials.

        ConfigErrors for what is wrong with it, and where another one has its name or key already.
        """
        consumer, credentials = self._rows({"id": str(uuid.uuid4()), **given})
        with self._changing() as run:
            for name, sql in _TAKEN.items():
                value = getattr(consumer, name)
                if value and run(sql, value):
                    raise _taken(name, value)
            run(
                "INSERT INTO plugmw_consumers VALUES (?, ?, ?, ?, ?)",
                consumer.id,
                consumer.username,
                consumer.custom_id,
                json.dumps(consumer.tags),
                json.dumps(consumer.groups),
            )
            self._insert(run, credentials)
        return consumer

    def add_credential(self, consumer: Consumer, kind: str, given: Mapping[str, object]) -> Credential:
        """Add one credential, written as in the list of its kind; ConfigErrors as for :meth:`add`."""
        named = {"id": consumer.id, "username": consumer.username, "custom_id": consumer.custom_id}
        _, credentials = self._rows({**named, _FIELDS[kind]: [given]})
        with self._changing() as run:
            if not run("SELECT 1 FROM plugmw_consumers WHERE id = ?", consumer.id):
                raise ConfigErrors([ConfigError("consumer", "is gone", "one of the consumer store")])
            self._insert(run, credentials)
        return credentials[0][2]

    def revoke(self, credential_id: str) -> bool:
        """Remove a credential; False if there is none with this id."""
        return self._delete("DELETE FROM plugmw_credentials WHERE id = ? RETURNING id", credential_id)

    def remove(self, consumer: Consumer) -> bool:
        """Remove a consumer and all its credentials; False if it is gone already."""
        return self._delete("DELETE FROM plugmw_consumers WHERE id = ? RETURNING id", consumer.id)

    def _delete(self, sql: str, row_id: str) -> bool:
        with self._changing() as run:
            return bool(run(sql, row_id))

    @contextmanager
    def _changing(self) -> Iterator[Run]:
        try:
            with self.database.transaction() as run:
                yield run
        finally:
            self._cache.clear()  # SQLite's mark tells of others only

    def _rows(self, given: dict[str, object]) -> tuple[Consumer, list[tuple[str, bytes, Credential]]]:
        one, problems = parse([_protected(given)], ("consumer",))
        if problems:
            raise ConfigErrors(
                [
                    ConfigError(place(path[2:]) or "consumer", problem, want)
                    for path, problem, want in problems
                ]
            )
        (consumer,) = one.listed()
        return consumer, [(kind, key, _bare(kind, credential)) for kind, key, credential in one.items()]

    def _insert(self, run: Run, credentials: list[tuple[str, bytes, Credential]]) -> None:
        for kind, key, credential in credentials:
            if run("SELECT 1 FROM plugmw_credentials WHERE kind = ? AND digest = ?", kind, key.hex()):
                raise ConfigErrors(
                    [ConfigError(kind, "is the same as another credential's", "a unique value")]
                )
            run(
                "INSERT INTO plugmw_credentials"
                " (kind, digest, id, consumer_id, identifier, data, expires) VALUES (?, ?, ?, ?, ?, ?, ?)",
                kind,
                key.hex(),
                credential.id,
                credential.consumer_id,
                credential.identifier,
                json.dumps(dict(credential.data)),
                credential.expires,
            )


def _protected(given: dict[str, object]) -> dict[str, object]:
    """Return a consumer with ids for its credentials, and digests where nobody need know the secret."""
    consumer = dict(given)
    for name in CREDENTIALS:
        items = consumer.get(name)
        if not isinstance(items, list) or not all(isinstance(item, Mapping) for item in items):
            continue
        credentials = [{"id": str(uuid.uuid4()), **item} for item in items]
        for item in credentials:
            if name == "basicauth_credentials" and isinstance(item.get("password"), str):
                item["password"] = passwords.slow(item["password"])
            if name == "oauth2_credentials":
                item["hash_secret"] = True
        consumer[name] = credentials
    return consumer


def _bare(kind: str, credential: Credential) -> Credential:
    """Leave out of a credential what is looked up by digest alone."""
    hidden = {"key"} if kind == "key-auth" else set()
    data = {name: value for name, value in credential.data.items() if name not in hidden}
    return attrs.evolve(credential, data=data)


def _taken(name: str, value: str) -> ConfigErrors:
    return ConfigErrors([ConfigError(name, f"got {value!r}, which another consumer has", "a unique value")])


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
