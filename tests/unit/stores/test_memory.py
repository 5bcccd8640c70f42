from __future__ import annotations

from collections.abc import Callable

import pytest

from plugmw.errors import StoreError
from plugmw.events import watch
from plugmw.kernel.runtime import Runtime
from plugmw.stores.memory import MemoryStore
from tests.support.clock import Clock
from tests.support.events import listening


def full(keys: int, clock: Clock, ttl: float = 60) -> MemoryStore:
    store = MemoryStore(keys=keys, clock=clock)
    for n in range(keys):
        store.incr(f"k{n}", ttl=ttl)
    return store


def test_two_memory_stores_do_not_share(clock: Clock) -> None:
    store, other = MemoryStore(clock=clock), MemoryStore(clock=clock)
    store.incr("a")
    assert other.count("a") == 0


def test_a_new_key_beyond_the_bound_is_a_store_error(clock: Clock) -> None:
    with pytest.raises(StoreError, match=r"^memory://: is full: 10 keys are in use$"):
        full(10, clock).incr("new")


def test_a_full_store_keeps_every_living_counter(clock: Clock) -> None:
    store = full(10, clock)
    for n in range(100):
        with pytest.raises(StoreError):
            store.take([(f"flood{n}", 1, 9)])
    assert [store.count(f"k{n}") for n in range(10)] == [1] * 10


def test_a_full_store_still_counts_on_the_keys_it_has(clock: Clock) -> None:
    assert full(10, clock).take([("k3", 5, 60)]) == (True, [2])


def test_a_take_with_room_for_one_of_two_new_keys_counts_neither(clock: Clock) -> None:
    store = MemoryStore(keys=2, clock=clock)
    store.incr("a")
    with pytest.raises(StoreError):
        store.take([("a", 9, 9), ("b", 9, 9), ("c", 9, 9)])
    assert [store.count(key) for key in "abc"] == [1, 0, 0]


def test_expired_keys_make_room(clock: Clock) -> None:
    store = full(10, clock)
    clock.advance(61)
    assert [store.incr(f"new{n}") for n in range(10)] == [1] * 10


def test_a_full_store_lets_an_expired_key_start_again(clock: Clock) -> None:
    store = full(10, clock)
    clock.advance(61)
    assert store.take([("k9", 5, 60)]) == (True, [1])


def test_expired_keys_are_swept_as_new_ones_come(clock: Clock) -> None:
    store = full(1000, clock)
    clock.advance(61)
    for n in range(300):
        store.incr(f"new{n}", ttl=60)
    assert len(store._counters._entries) == 300


def test_values_are_bounded_too(clock: Clock) -> None:
    store = MemoryStore(keys=1, clock=clock)
    store.set("a", b"")
    with pytest.raises(StoreError, match="is full"):
        store.add("b", b"")


def test_replacing_one_value_for_ever_takes_no_memory(clock: Clock) -> None:
    store = MemoryStore(clock=clock)
    for n in range(1000):
        store.set("a", b"", 60 + n)
    assert len(store._values._order) <= 2 + 64


def test_a_value_replaced_before_its_end_outlives_that_end(clock: Clock) -> None:
    store = MemoryStore(keys=2, clock=clock)
    store.set("a", b"old", 10)
    store.set("a", b"new", 100)
    clock.advance(50)
    store.set("b", b"")
    assert store.get("a") == b"new"


def test_long_keys_do_not_stay_in_memory(clock: Clock) -> None:
    store = MemoryStore(clock=clock)
    store.incr("x" * 10**6)
    assert max(map(len, store._counters._entries)) < 64


def test_a_clock_that_jumps_back_locks_for_one_window_at_most(clock: Clock) -> None:
    store = MemoryStore(clock=clock)
    store.take([("a", 1, 60)])
    store.set("ban", b"1", 60)
    clock.advance(-3600)
    assert store.take([("a", 1, 60)]) == (False, [1])
    clock.advance(61)
    assert (store.take([("a", 1, 60)]), store.get("ban")) == ((True, [1]), None)


def test_a_full_store_has_room_one_window_after_the_clock_jumped_back(clock: Clock) -> None:
    store = full(10, clock)
    clock.advance(-3600)
    with pytest.raises(StoreError):
        store.incr("new")
    clock.advance(61)
    assert store.incr("new") == 1


FORKED = """
import os, threading
from plugmw.stores import open_store
store = open_store("memory://")
store.incr("a")
store._lock.acquire()  # as another thread might, at the moment of the fork
child = os.fork()
if not child:
    os._exit(store.incr("a"))
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
store._lock.release()
print(store.incr("a"))
"""


@pytest.mark.slow
def test_a_child_forked_while_the_lock_is_held_goes_on_alone(output: Callable[..., str]) -> None:
    assert output(FORKED).split() == ["2", "2"]


def test_a_store_that_is_full_is_told_of_until_there_is_room(caplog):
    clock = Clock()
    store, runtime = MemoryStore(keys=1, clock=clock), Runtime()
    taken = listening(runtime.events)
    watch(store, runtime)
    store.incr("a", ttl=1)
    for _ in range(2):
        with pytest.raises(StoreError):
            store.incr("b")
    clock.advance(2)
    store.incr("b")
    assert taken == [("store_errors", "", 1)] * 2
    assert [record.getMessage()[:60] for record in caplog.records] == [
        "store memory:// (counters) fails: is full: 1 keys are in use",
        "store memory:// (counters) works again, after 0.0 s",
    ]
