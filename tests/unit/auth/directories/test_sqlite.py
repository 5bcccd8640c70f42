"""Consumers in a SQLite file."""

from __future__ import annotations

import os
import sqlite3
import stat

import pytest

from plugmw.auth.directories import SQLDirectory, open_directory
from plugmw.errors import StoreError
from tests.unit.auth.directories.conftest import ALICE


@pytest.fixture
def path(tmp_path):
    return tmp_path / "consumers.db"


@pytest.fixture
def table(path, clock):
    made = SQLDirectory(open_directory(f"sqlite://{path}", timeout=0.1).database, clock=clock)
    yield made
    made.close()


def test_the_file_is_readable_by_this_user_only(table, path):
    table.add(ALICE)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_another_file_put_in_its_place_counts(table, path, tmp_path, clock):
    table.add(ALICE)
    assert table.consumer("alice")
    new = open_directory(f"sqlite://{tmp_path}/new.db")
    new.add({"username": "bob"})
    new.close()
    os.replace(tmp_path / "new.db", path)
    clock.now += 1
    assert table.consumer("alice") is None
    assert table.consumer("bob").username == "bob"


def test_a_file_that_is_gone_is_a_failure_and_not_a_new_one(table, path, clock):
    table.add(ALICE)
    path.unlink()
    clock.now += 1
    with pytest.raises(StoreError, match="cannot be used: FileNotFoundError"):
        table.consumer("alice")


@pytest.mark.slow
def test_a_file_that_somebody_keeps_locked_is_a_failure_within_the_deadline(table, path):
    table.add(ALICE)
    with sqlite3.connect(path, isolation_level=None) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreError, match="cannot be used: OperationalError"):
            table.consumer("alice")
        connection.execute("ROLLBACK")
    connection.close()


def test_a_file_of_another_kind_is_a_failure(path, table):
    path.write_bytes(b"no database" * 100)
    with pytest.raises(StoreError, match="cannot be used: DatabaseError"):
        table.consumer("alice")
