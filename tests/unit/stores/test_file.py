"""The file store among processes: shared, forked, killed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from plugmw.errors import StoreError
from plugmw.events import watch
from plugmw.kernel.runtime import Runtime
from plugmw.stores.file import FileStore
from tests.support.clock import Clock
from tests.support.events import listening


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "counters")


def test_nothing_is_opened_before_the_first_use(path: str, tmp_path: Path) -> None:
    FileStore(path).close()
    assert os.listdir(tmp_path) == []


def test_counting_makes_no_file_for_values(path: str, tmp_path: Path) -> None:
    store = FileStore(path, slots=128)
    store.incr("a")
    store.delete("a")
    store.close()
    assert os.listdir(tmp_path) == ["counters"]


def test_two_stores_of_one_path_share_counters_and_values(path: str, clock: Clock) -> None:
    one, two = FileStore(path, slots=128, clock=clock), FileStore(path, slots=128, clock=clock)
    one.incr("a")
    one.set("a", b"v")
    assert (two.count("a"), two.get("a")) == (1, b"v")
    one.close()
    two.close()


def test_slots_are_rounded_up_to_whole_buckets(path: str) -> None:
    store = FileStore(path, slots=129)
    store.incr("a")
    assert store._table
    assert store._table.slots == 256
    store.close()


def test_the_url_names_the_path(path: str) -> None:
    assert FileStore(path).url == f"file://{path}"


def test_a_file_that_cannot_be_opened_is_a_store_error_at_each_use(tmp_path: Path) -> None:
    store = FileStore(str(tmp_path))
    for _ in range(2):
        with pytest.raises(StoreError, match=r"^file:///.*: cannot be opened: "):
            store.incr("a")


OTHER_STORE_CLOSED = """
import fcntl, os, sys
from plugmw.stores import open_store
from plugmw.stores.tables import TABLES
url = "file://" + sys.argv[1] + "?slots=128"
one, two = open_store(url), open_store(url)
one.incr("a"); two.incr("a")
with one._table._held([one._table._digest("a")]):
    two.close()
    child = os.fork()
    if not child:
        file = open(sys.argv[1], "r+b")
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os._exit(7)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
one.close()
"""


@pytest.mark.slow
def test_closing_one_store_keeps_the_locks_of_another_on_the_same_file(
    path: str, output: Callable[..., str]
) -> None:
    assert output(OTHER_STORE_CLOSED, path) == "7"


FORKED = """
import os, sys
from plugmw.stores import open_store
store = open_store("file://" + sys.argv[1] + "?slots=4096")
store.incr("a")
store.set("v", b"parent")
for lock in (*store._table._locks, store._lock, store._values._lock):
    lock.acquire()  # as other threads might, at the moment of the fork
children = []
for n in range(4):
    child = os.fork()
    if not child:
        for _ in range(1000):
            store.incr("a")
        ok = store.get("v") == b"parent" and store.add(f"child{n}", b"1")
        store.close()
        os._exit(not ok)
    children.append(child)
for lock in (*store._table._locks, store._lock, store._values._lock):
    lock.release()
for _ in range(1000):
    store.incr("a")
failed = [os.waitpid(child, 0)[1] for child in children]
print(any(failed), store.count("a"), [store.get(f"child{n}") for n in range(4)])
store.close()
"""


@pytest.mark.slow
def test_children_of_a_process_in_full_use_count_with_it(path: str, output: Callable[..., str]) -> None:
    assert output(FORKED, path) == f"False 5001 {[b'1'] * 4}"


OPENED_AFTER_FORK = """
import os, sys
from plugmw.stores import open_store
store = open_store("file://" + sys.argv[1] + "?slots=128")
for n in range(3):
    child = os.fork()
    if not child:
        store.incr("a")
        os._exit(0)
    os.waitpid(child, 0)
print(store.count("a"))
store.close()
"""


@pytest.mark.slow
def test_a_store_made_before_the_fork_opens_after_it(path: str, output: Callable[..., str]) -> None:
    assert output(OPENED_AFTER_FORK, path) == "3"


@pytest.mark.parametrize("kind", ["counters", "values"])
def test_an_outage_is_told_when_it_begins_and_when_it_ends(tmp_path, caplog, kind):
    folder = tmp_path / "folder"
    store = FileStore(f"{folder}/table")
    runtime = Runtime(store_url=store)
    taken = listening(runtime.events)

    def use():
        return runtime.store.count("a") if kind == "counters" else runtime.store.get("a")

    for _ in range(2):
        folder.write_text("") if not folder.exists() else None
        with pytest.raises(StoreError):
            use()
    folder.unlink()
    folder.mkdir()
    use()
    use()
    store.close()
    assert taken == [("store_errors", "", 1)] * 2
    begins, ends = [record.getMessage() for record in caplog.records]
    assert begins == f"store file://{folder}/table fails: cannot be opened: Not a directory"
    assert ends.startswith(f"store file://{folder}/table works again, after ")


def test_a_store_that_is_closed_is_no_outage(path, caplog):
    store, runtime = FileStore(path), Runtime()
    taken = listening(runtime.events)
    watch(store, runtime)
    store.close()
    with pytest.raises(StoreError, match="is closed"):
        store.count("a")
    assert (taken, caplog.records) == ([], [])
