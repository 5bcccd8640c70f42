"""The file store among processes: shared, forked, killed, with servers and processes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.unit.stores.test_file import path as path

KILLED = """
import mmap, os, random, signal, struct, sys, time
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
word = lambda kind, at: struct.unpack(kind, os.pread(table._fd, 8, at * 8))[0]
keys = {}
for bucket in range(8):
    first = table._first(bucket)
    for slot in range(first, first + 128):
        if word("d", slot + 128) > time.time():
            key = os.pread(table._fd, 16, first * 8 - 2048 + (slot - first) * 16)
            assert table._bucket(key) == bucket
            assert word("q", slot) > 0
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


FORKED = """
import os, signal, sys, threading
from plugmw.stores import open_store
store = open_store("file://" + sys.argv[1] + "?slots=1024", timeout=5.0)
done = threading.Event()

def busy(place):
    n = 0
    while not done.is_set():
        n += 1
        store.set(f"{place}-{n % 9}", b"v" * 1000, 60)
        store.get(f"{place}-{n % 7}")
        store.incr("busy")

threads = [threading.Thread(target=busy, args=(n,)) for n in range(4)]
for thread in threads:
    thread.start()
ended = []
for n in range(int(sys.argv[2])):
    child = os.fork()
    if not child:
        signal.alarm(20)
        store.set(f"child{n}", b"1")
        store.incr("children")
        os._exit(store.get(f"child{n}") != b"1")
    ended.append(os.waitpid(child, 0)[1])
done.set()
for thread in threads:
    thread.join()
print(sum(map(bool, ended)), store.count("children"), all(store.get(f"child{n}") for n in range(len(ended))))
store.close()
"""


def test_children_of_a_process_that_writes_values_read_and_write_them(
    path: str, output: Callable[..., str]
) -> None:
    assert output(FORKED, path, 40) == "0 40 True"


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
