"""Consumers in PostgreSQL: what SQLite cannot show."""

from __future__ import annotations

import signal
import time

import pytest

from plugmw.auth.directories import SQLDirectory, open_directory
from plugmw.errors import StoreError
from tests.support.postgres import PostgresServer
from tests.support.waiting import until
from tests.unit.auth.directories.conftest import ALICE


@pytest.fixture
def server():
    """A server that the test may stop."""
    made = PostgresServer()
    try:
        made.start()
        yield made
    finally:
        made.remove()


@pytest.fixture
def table(server, clock):
    made = SQLDirectory(open_directory(server.url, timeout=3.0).database, clock=clock)
    made.add(ALICE)
    assert made.consumer("alice")
    yield made
    made.close()


def answers(table):
    try:
        return table.consumer("alice") is not None
    except StoreError:
        return False


def test_while_it_is_stopped_nobody_gets_in_and_nobody_waits_and_then_it_goes_on(table, server, clock):
    server.stop()
    clock.now += 1
    with pytest.raises(StoreError, match="cannot be used: OperationalError"):
        table.consumer("alice")
    begun = time.monotonic()
    with pytest.raises(StoreError, match="is down"):
        table.consumer("alice")
    assert time.monotonic() - begun < 2.5
    server.start()
    until(lambda: answers(table), 30.0)


def test_a_restart_between_two_requests_is_not_noticed(table, server, clock):
    server.stop()
    server.start()
    clock.now += 1
    assert table.consumer("alice")


def test_one_that_hangs_is_given_up(table, server, clock):
    server.signal(signal.SIGSTOP)
    try:
        clock.now += 1
        begun = time.monotonic()
        with pytest.raises(StoreError):
            table.consumer("alice")
        assert time.monotonic() - begun < 30
    finally:
        server.signal(signal.SIGCONT)
    until(lambda: answers(table), 30.0)


def test_a_lock_that_is_held_is_given_up(table, server, clock):
    other = open_directory(server.url)
    with other.database.transaction(), pytest.raises(StoreError, match="cannot be used"):
        table.revoke("x")
    other.close()


def test_it_is_asked_for_changes_once_a_second_at_most(table, clock, monkeypatch):
    asked = []
    mark = table.database.mark
    monkeypatch.setattr(table.database, "mark", lambda: asked.append(1) or mark())
    for tenth in range(25):
        clock.now = 2000 + tenth / 10
        table.consumer("alice")
    assert len(asked) == 3


def test_a_connection_that_is_closed_already_is_left_so():
    from plugmw.auth.directories.postgres import _cut

    class Closed:
        def fileno(self):
            raise OSError("closed")

    _cut(Closed())
