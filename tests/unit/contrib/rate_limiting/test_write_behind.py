"""collecting: counting in front of a store, and writing to it in batches."""

from __future__ import annotations

import threading

import pytest

from plugmw.contrib.rate_limiting import write_behind
from plugmw.contrib.rate_limiting.write_behind import Collecting
from plugmw.errors import StoreError
from plugmw.stores import open_store

KEY, OTHER = ("a", 3, 60.0), ("b", 9, 60.0)


class Watched:
    """A memory store that counts what it is asked, and can be down."""

    def __init__(self):
        self.inner = open_store("memory://")
        self.asked = []
        self.down = False
        self.written = threading.Event()

    def __getattr__(self, name):
        def call(*args):
            self.asked.append((name, args[0]))
            if self.down:
                raise StoreError("redis://gone", "is down")
            found = getattr(self.inner, name)(*args)
            if name == "incr":
                self.written.set()
            return found

        return call


@pytest.fixture
def store():
    return Watched()


@pytest.fixture
def told():
    return []


@pytest.fixture
def counts(store, told):
    return Collecting(store, 0.02, told.append)


def test_counts_from_what_the_store_has(store, counts):
    store.inner.incr("a", 2)
    assert counts.take([KEY]) == (True, [3])
    assert counts.take([KEY]) == (False, [3])


def test_refuses_for_all_keys_if_one_is_used_up(counts):
    for _ in range(3):
        counts.take([KEY, OTHER])
    assert counts.take([KEY, OTHER]) == (False, [3, 3])
    assert counts.take([OTHER]) == (True, [4])


def test_asks_the_store_once_for_a_key_between_two_writes(store, counts):
    for _ in range(3):
        counts.take([KEY])
    assert store.asked == [("count", "a")]


def test_writes_what_was_collected_in_one_go_with_its_lifetime(store, counts):
    for _ in range(2):
        counts.take([KEY])
    counts.write()
    assert store.inner.count("a") == 2
    assert store.asked[-1] == ("incr", "a")


def test_knows_what_others_counted_after_a_write(store, counts):
    counts.take([KEY])
    store.inner.incr("a", 1)
    counts.write()
    assert counts.take([KEY]) == (True, [3])


def test_forgets_counters_without_a_hit_since_the_last_write(store, counts):
    counts.take([KEY])
    counts.write()
    counts.write()
    counts.take([KEY])
    assert store.asked.count(("count", "a")) == 2


def test_hits_during_a_write_are_kept(store, counts):
    counts.take([KEY])
    incr = store.inner.incr

    def slow(*args):
        counts.take([KEY, OTHER])
        return incr(*args)

    store.inner.incr = slow
    counts.write()
    store.inner.incr = incr
    assert counts.take([KEY, OTHER]) == (True, [3, 2])
    counts.write()
    assert (store.inner.count("a"), store.inner.count("b")) == (3, 2)


def test_failed_write_is_told_and_dropped(store, counts, told):
    counts.take([KEY])
    store.down = True
    counts.write()
    store.down = False
    counts.write()
    assert [str(error) for error in told] == ["redis://gone: is down"]
    assert store.inner.count("a") == 0


def test_unknown_counter_of_a_store_that_is_down_is_an_error(store, counts):
    store.down = True
    with pytest.raises(StoreError, match="is down"):
        counts.take([KEY])


def test_asks_the_store_directly_when_too_many_counters_are_known(store, counts, monkeypatch):
    monkeypatch.setattr(write_behind, "MOST_KEYS", 1)
    counts.take([KEY])
    assert counts.take([OTHER]) == (True, [1])
    assert store.asked[-1] == ("take", [OTHER])


def test_thread_writes_by_itself(store, counts):
    counts.start()
    counts.take([KEY])
    assert store.written.wait(10)
    counts.close()
    assert store.inner.count("a") == 1


def test_closing_writes_what_is_left(store, counts):
    counts.take([KEY])
    counts.close()
    assert store.inner.count("a") == 1
