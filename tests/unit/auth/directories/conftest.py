"""A clock, and each database that directories may be in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from plugmw.auth.directories import SQLDirectory, open_directory
from tests.support.clock import Clock
from tests.support.postgres import PostgresServer

ALICE = {
    "username": "alice",
    "custom_id": "a-1",
    "tags": ["t"],
    "acls": [{"group": "g"}],
    "keyauth_credentials": [{"key": "k1"}],
}


@pytest.fixture
def clock() -> Clock:
    return Clock(1000.0)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture(params=["sqlite", "postgres"])
def url(request, tmp_path) -> str:
    if request.param == "sqlite":
        return f"sqlite://{tmp_path}/consumers.db"
    server = request.getfixturevalue("postgres")
    server.run("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    return str(server.url)


@pytest.fixture
def directory(url, clock) -> Iterator[SQLDirectory]:
    database = open_directory(url, timeout=2.0).database
    made = SQLDirectory(database, clock=clock)
    yield made
    made.close()


@pytest.fixture
def other(url) -> Iterator[SQLDirectory]:
    """The same tables, as another process sees them."""
    made = open_directory(url, timeout=2.0)
    yield made
    made.close()
