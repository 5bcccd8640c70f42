"""The fixtures of the tests that need no servers, with PostgreSQL for the database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.postgres import PostgresServer
from tests.unit.auth.directories.conftest import clock as clock
from tests.unit.auth.directories.conftest import directory as directory
from tests.unit.auth.directories.conftest import other as other


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
def url(postgres: PostgresServer) -> str:
    postgres.run("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    return str(postgres.url)
