"""Connections, deadlines, migrations, forks."""

from __future__ import annotations

import os
import sqlite3
import threading

import pytest

from plugmw import Gateway
from plugmw.auth.directories import migrations, open_directory
from plugmw.auth.directories.database import Database
from plugmw.auth.directories.sqlite import SQLite
from plugmw.errors import StoreError
from plugmw.testing import hello_app
from tests.support.events import listening
from tests.support.waiting import until
from tests.unit.auth.directories.conftest import ALICE


def test_the_tables_are_made_once_by_whoever_comes_first(url):
    made = [open_directory(url, timeout=5.0) for _ in range(8)]
    failed = []

    def use(directory):
        try:
            directory.consumer("alice")
        except StoreError as error:
            failed.append(error.__cause__)

    threads = [threading.Thread(target=use, args=(one,)) for one in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rows = made[0].database.read("SELECT version FROM plugmw_schema")
    for one in made:
        one.close()
    assert (failed, [tuple(row) for row in rows]) == ([], [(len(migrations.STEPS),)])


def test_tables_of_an_older_plugmw_are_brought_up_and_of_a_later_one_left(directory, other):
    directory.add(ALICE)
    later = (*other.database.steps, ("CREATE TABLE plugmw_more (a INTEGER)",))
    other.database.steps = later
    assert other.consumer("alice")
    assert [tuple(row) for row in other.database.read("SELECT version FROM plugmw_schema")] == [(2,)]
    assert other.database.read("SELECT * FROM plugmw_more") == []
    directory.close()
    assert directory.consumer("alice")


def test_a_version_table_without_a_version_counts_as_none(directory):
    database = directory.database
    connection = database.connect()
    database.execute(connection, migrations.VERSION_TABLE, ())
    connection.close()
    assert directory.consumer("alice") is None


def test_a_broken_step_leaves_nothing(directory):
    directory.database.steps = (("CREATE TABLE plugmw_a (a INTEGER)", "NONSENSE"),)
    with pytest.raises(StoreError, match="cannot be used: "):
        directory.consumer("alice")
    directory.close()
    connection = directory.database.connect()
    assert not directory.database.has_tables(connection)
    connection.close()


def test_waits_for_other_threads_no_longer_than_its_deadline(directory):
    directory.database.timeout = 0.05
    with directory.database.held(), pytest.raises(StoreError, match=r"is busy for more than 0\.05 s"):
        directory.consumer("alice")


def test_an_old_connection_that_broke_is_replaced(directory):
    directory.add(ALICE)
    with directory.database.held() as session:
        session.connection.close()
    assert directory.database.read("SELECT username FROM plugmw_consumers")[0][0] == "alice"


def test_what_waits_while_it_is_closed_opens_nothing_that_nobody_closes(directory):
    database = directory.database
    directory.add(ALICE)
    closed = database.session

    class Lock:
        """Is taken by the thread that closes, between the question who has it and the answer."""

        def acquire(self, timeout=-1):
            if database.session is closed:
                database._drop(database.__dict__.pop("_session"))
            return True

        def release(self):
            pass

    closed.lock = Lock()
    assert [row[0] for row in database.read("SELECT username FROM plugmw_consumers")] == ["alice"]
    assert closed.connection is None
    assert database.session is not closed
    directory.close()
    assert database.session is None


@pytest.mark.slow
def test_a_failure_fails_fast_until_the_database_is_back(tmp_path):
    folder = tmp_path / "gone"
    folder.mkdir()
    database = SQLite(str(folder / "a.db"), 1.0)
    folder.rmdir()
    with pytest.raises(StoreError, match="cannot be used: FileNotFoundError"):
        database.read("SELECT 1")
    with pytest.raises(StoreError, match="is down"):
        database.read("SELECT 1")
    folder.mkdir()
    until(lambda: answers(database), 5.0)
    database.close()


def answers(database):
    try:
        return bool(database.read("SELECT 1"))
    except StoreError:
        return False


def test_what_is_not_the_drivers_is_passed_on(directory):
    with pytest.raises(ZeroDivisionError), directory.database.held():
        _ = 1 / 0
    assert directory.consumer("alice") is None


@pytest.mark.slow
def test_a_forked_child_opens_its_own_and_leaves_the_parents_alone(directory):
    directory.add(ALICE)
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        found = b"?"
        try:
            found = directory.consumer("alice").username.encode()
        finally:
            os.write(write, found)
            os._exit(0)
    os.waitpid(pid, 0)
    assert os.read(read, 10) == b"alice"
    os.close(read)
    os.close(write)
    assert directory.database.read("SELECT username FROM plugmw_consumers")[0][0] == "alice"
    # SQLite's is closed before the fork: what it knows of locks would be wrong in the child.
    assert directory.database.opened == (2 if directory.database.url.startswith("sqlite") else 1)


def test_each_database_says_how(tmp_path):
    database = Database("x", 1.0)
    for call in (
        database.connect,
        database.mark,
        lambda: database.execute(None, "", ()),
        lambda: database.has_tables(None),
    ):
        with pytest.raises(NotImplementedError):
            call()
    assert issubclass(SQLite.errors[0], sqlite3.Error)


def test_an_outage_is_told_when_it_begins_and_when_it_ends(tmp_path, caplog):
    folder = tmp_path / "folder"
    url = f"sqlite://{folder}/consumers.db"
    folder.mkdir()
    listed = [{"username": "bob", "keyauth_credentials": [{"key": "k"}]}]
    wrapped = Gateway(hello_app, {"consumer_store": url, "consumers": listed, "store": "memory://"})
    taken = listening(wrapped.runtime.events)
    folder.rmdir()
    folder.write_text("")
    for _ in range(2):
        with pytest.raises(StoreError):
            wrapped.runtime.consumers.credential("key-auth", "other")
    folder.unlink()
    folder.mkdir()
    until(lambda: "works again" in caplog.text)
    wrapped.runtime.consumers.close()
    begins, ends = [record.getMessage() for record in caplog.records]
    assert begins == f"store {url} fails: cannot be used: NotADirectoryError"
    assert ends.startswith(f"store {url} works again, after ")
    assert taken == [("store_errors", "", 1)] * 2
