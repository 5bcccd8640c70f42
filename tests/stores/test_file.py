"""The file store among processes: shared, forked, killed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from plugmw.errors import StoreError
from plugmw.stores.file import FileStore

from .conftest import Clock


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


def test_a_store_made_before_the_fork_opens_after_it(path: str, output: Callable[..., str]) -> None:
    assert output(OPENED_AFTER_FORK, path) == "3"


KILLED = """
import mmap, os, random, signal, sys, time
from plugmw.stores import open_store
store = open_store("file://" + sys.argv[1] + "?slots=1024", timeout=1.0)
done = memoryview(mmap.mmap(-1, 4096)).cast("q")  # hits that children know to be counted

def busy(place):
    n = 0
    while True:
        n += 1
        store.incr("exact")
        done[place] += 1
        store.incr(f"short{random.randrange(200)}", ttl=0.001)  # new slots all the time
        store.take([(f"t{random.randrange(50)}", 10**9, 60.0) for _ in range(1)] + [("all", 10**9, 60.0)])

longest = 0.0
for n in range(60):
    children = []
    for place in (0, 1):
        child = os.fork()
        if not child:
            random.seed()
            busy(place)
        children.append(child)
    time.sleep(random.uniform(0.002, 0.02))
    for child in children:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    start = time.perf_counter()
    for key in range(64):
        store.incr(f"probe{key}", ttl=0.001)
    longest = max(longest, time.perf_counter() - start)

known, counted = done[0] + done[1], store.count("exact")
assert known > 1000, known
assert known <= counted <= known + 120, (known, counted)
hits, singles = store.count("all"), sum(store.count(f"t{n}") for n in range(50))
assert abs(hits - singles) <= 120, (hits, singles)
table = store._table
keys = {}
for bucket in range(8):
    first = table._first(bucket)
    for slot in range(first, first + 128):
        if table._times[slot + 128] > time.time():
            at = first * 8 - 2048 + (slot - first) * 16
            key = bytes(table._bytes[at : at + 16])
            assert table._bucket(key) == bucket
            assert table._counts[slot] > 0
            assert key not in keys
            keys[key] = slot
print(longest < 0.5, len(keys) >= 52)
store.close()
"""


def test_sixty_times_two_workers_killed_while_counting_lose_nothing(
    path: str, output: Callable[..., str]
) -> None:
    assert output(KILLED, path) == "True True"


KILLED_VALUES = """
import os, random, signal, sys, time
from plugmw.stores import open_store
store = open_store("file://" + sys.argv[1] + "?slots=128", timeout=5.0)
for n in range(10):
    child = os.fork()
    if not child:
        while True:
            store.set(f"k{random.randrange(9)}", b"v" * 1000, 60)
    time.sleep(0.02)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    store.set("mine", str(n).encode())
    assert store.get("mine") == str(n).encode()
    assert store.get("k1") in (None, b"v" * 1000)
print("ok")
store.close()
"""


def test_workers_killed_while_writing_values_break_none(path: str, output: Callable[..., str]) -> None:
    assert output(KILLED_VALUES, path) == "ok"


GREENLETS = """
from gevent import monkey; monkey.patch_all()
import gevent, os, sys
from plugmw.stores import open_store
store = open_store("file://" + sys.argv[1] + "?slots=1024", timeout=5.0)
store.incr("a")
store.set("v", b"1")
def work():
    for n in range(100):
        store.take([("a", 10**6, 60.0), (f"k{n}", 10**6, 60.0)])
        gevent.sleep(0)
    assert store.get("v") == b"1"
children = []
for _ in range(2):
    child = os.fork()
    if not child:
        gevent.joinall([gevent.spawn(work) for _ in range(20)], raise_error=True)
        os._exit(0)
    children.append(child)
failed = [os.waitpid(child, 0)[1] for child in children]
print(any(failed), store.count("a"))
"""


def test_greenlets_of_two_processes_count_exactly(path: str, output: Callable[..., str]) -> None:
    pytest.importorskip("gevent")
    assert output(GREENLETS, path) == "False 4001"
