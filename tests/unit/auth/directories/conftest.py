"""A clock, and directories in a database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from plugmw.auth.directories import SQLDirectory, open_directory
from tests.support.clock import Clock

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


@pytest.fixture
def url(tmp_path) -> str:
    return f"sqlite://{tmp_path}/consumers.db"


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
