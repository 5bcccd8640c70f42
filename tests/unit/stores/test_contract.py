"""What every store promises, run for each of them."""

from __future__ import annotations

from collections.abc import Callable
from threading import Barrier, Thread

import pytest

from plugmw.errors import StoreError
from plugmw.stores import Store
from plugmw.stores.base import MOST

LONG = "x" * 10_000
ODD_KEYS = {"empty": "", "long": LONG, "surrogate": "\udcff", "newline": "a\r\nb", "hash": "#1", "nul": "\0"}


def test_incr_counts_from_one_and_returns_the_new_count(store: Store) -> None:
    assert [store.incr("a"), store.incr("a"), store.incr("a", 5)] == [1, 2, 7]


def test_counters_of_different_keys_do_not_meet(store: Store) -> None:
    store.incr("a")
    assert store.count("b") == 0


@pytest.mark.parametrize("key", ODD_KEYS.values(), ids=ODD_KEYS)
def test_any_text_is_a_key(store: Store, key: str) -> None:
    store.incr(key)
    store.set(key, b"v")
    assert (store.count(key), store.get(key)) == (1, b"v")


def test_long_keys_that_differ_at_the_end_only_are_two_keys(store: Store) -> None:
    store.incr(LONG + "a")
    assert store.count(LONG + "b") == 0


def test_a_counter_never_falls_below_zero(store: Store) -> None:
    store.incr("a", 2)
    assert (store.incr("a", -5), store.count("a")) == (0, 0)


def test_a_negative_amount_alone_creates_no_counter(store: Store) -> None:
    store.incr("a", -1, ttl=10)
    assert store.incr("a") == 1


def test_a_counter_stops_at_the_largest_exact_number(store: Store) -> None:
    store.incr("a", MOST - 1)
    assert (store.incr("a"), store.incr("a"), store.count("a")) == (MOST, MOST, MOST)


def test_a_first_amount_beyond_the_largest_number_is_cut(store: Store) -> None:
    assert store.incr("a", 10**30, ttl=9) == MOST


def test_a_counter_expires_after_its_ttl(store: Store, advance: Callable[[float], None]) -> None:
    store.incr("a", ttl=60)
    advance(61)
    assert store.count("a") == 0


def test_a_counter_is_there_until_its_ttl(store: Store, advance: Callable[[float], None]) -> None:
    store.incr("a", ttl=60)
    advance(58)
    assert store.count("a") == 1


def test_a_later_incr_does_not_lengthen_the_ttl(store: Store, advance: Callable[[float], None]) -> None:
    store.incr("a", ttl=60)
    advance(40)
    store.incr("a", ttl=60)
    advance(40)
    assert store.count("a") == 0


def test_a_later_take_does_not_lengthen_the_ttl(store: Store, advance: Callable[[float], None]) -> None:
    store.take([("a", 9, 60)])
    advance(40)
    store.take([("a", 9, 60)])
    advance(40)
    assert store.count("a") == 0


def test_an_expired_counter_starts_again_from_one(store: Store, advance: Callable[[float], None]) -> None:
    store.incr("a", 7, ttl=60)
    advance(61)
    assert store.incr("a", ttl=60) == 1


def test_a_counter_without_ttl_stays(store: Store, advance: Callable[[float], None]) -> None:
    store.incr("a")
    advance(10**9)
    assert store.count("a") == 1


def test_take_counts_every_key(store: Store) -> None:
    assert store.take([("s", 2, 1), ("m", 9, 60)]) == (True, [1, 1])


def test_take_lets_exactly_the_limit_through(store: Store) -> None:
    assert [store.take([("a", 3, 60)])[0] for _ in range(5)] == [True, True, True, False, False]


def test_take_counts_on_no_key_when_one_is_at_its_limit(store: Store) -> None:
    store.incr("m", 9)
    assert store.take([("s", 2, 1), ("m", 9, 60)]) == (False, [0, 9])
    assert store.count("s") == 0


def test_a_refused_take_is_not_counted(store: Store) -> None:
    store.incr("a", 3)
    assert [store.take([("a", 3, 60)]), store.take([("a", 3, 60)])] == [(False, [3]), (False, [3])]


@pytest.mark.parametrize("limit", [0, -1])
def test_take_refuses_a_limit_that_nothing_is_below(store: Store, limit: int) -> None:
    assert store.take([("a", limit, 60)]) == (False, [0])


def test_take_of_nothing_is_taken(store: Store) -> None:
    assert store.take([]) == (True, [])


def test_take_of_twenty_new_keys_counts_each_once(store: Store) -> None:
    wants = [(f"k{n}", 5, 60.0) for n in range(20)]
    store.take(wants)
    assert store.take(wants) == (True, [2] * 20)


def test_take_lets_through_again_after_the_ttl(store: Store, advance: Callable[[float], None]) -> None:
    store.take([("a", 1, 60)])
    advance(61)
    assert store.take([("a", 1, 60)]) == (True, [1])


def test_take_with_an_infinite_ttl_stays(store: Store, advance: Callable[[float], None]) -> None:
    store.take([("a", 1, float("inf"))])
    advance(10**9)
    assert store.take([("a", 1, float("inf"))]) == (False, [1])


def test_take_refuses_the_same_key_twice(store: Store) -> None:
    with pytest.raises(ValueError, match="same key twice"):
        store.take([("a", 1, 60), ("a", 1, 60)])


@pytest.mark.parametrize("ttl", [0, -1, float("nan")])
def test_a_ttl_that_is_not_above_zero_is_refused(store: Store, ttl: float) -> None:
    calls: list[Callable[[], object]] = [
        lambda: store.take([("a", 1, ttl)]),
        lambda: store.incr("a", ttl=ttl),
        lambda: store.set("a", b"", ttl),
        lambda: store.add("a", b"", ttl),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=r"ttl: got .*, expected seconds above 0"):
            call()


def test_an_absent_value_is_none(store: Store) -> None:
    assert store.get("a") is None


@pytest.mark.parametrize("value", [b"", b"\0\xff\r\n", b"v" * 100_000], ids=["empty", "binary", "large"])
def test_a_value_comes_back_as_it_was(store: Store, value: bytes) -> None:
    store.set("a", value)
    assert store.get("a") == value


def test_set_replaces_a_value_and_its_ttl(store: Store, advance: Callable[[float], None]) -> None:
    store.set("a", b"1", 10)
    store.set("a", b"2", 100)
    advance(50)
    assert store.get("a") == b"2"


def test_a_value_expires(store: Store, advance: Callable[[float], None]) -> None:
    store.set("a", b"1", 10)
    advance(11)
    assert store.get("a") is None


def test_add_sets_an_absent_value_once(store: Store) -> None:
    assert [store.add("nonce", b"1"), store.add("nonce", b"2"), store.get("nonce")] == [True, False, b"1"]


def test_add_sets_again_after_the_ttl(store: Store, advance: Callable[[float], None]) -> None:
    store.add("nonce", b"1", 10)
    advance(11)
    assert (store.add("nonce", b"2", 10), store.get("nonce")) == (True, b"2")


def test_a_counter_and_a_value_may_have_the_same_key(store: Store) -> None:
    store.set("a", b"v")
    store.incr("a")
    assert (store.get("a"), store.count("a")) == (b"v", 1)


def test_delete_removes_value_and_counter(store: Store) -> None:
    store.set("a", b"v")
    store.incr("a")
    store.delete("a")
    assert (store.get("a"), store.count("a")) == (None, 0)


def test_delete_of_an_absent_key_does_nothing(store: Store) -> None:
    store.delete("a")


def test_a_deleted_counter_starts_with_a_new_ttl(store: Store, advance: Callable[[float], None]) -> None:
    store.incr("a", ttl=10)
    store.delete("a")
    store.incr("a", ttl=100)
    advance(50)
    assert store.count("a") == 1


def test_closing_twice_is_closing_once(store: Store) -> None:
    store.incr("a")
    store.set("a", b"v")
    store.close()
    store.close()


def test_a_closed_store_says_so(store: Store) -> None:
    store.incr("a")
    store.close()
    for call in (store.incr, store.count, store.get, store.delete):
        with pytest.raises(StoreError, match="is closed"):
            call("a")


def test_the_scope_says_who_shares_the_counters(store: Store, kind: str) -> None:
    assert store.scope == {"memory": "process", "file": "machine", "redis": "network"}[kind]


def test_the_repr_shows_the_url(store: Store) -> None:
    assert store.url in repr(store)


def hammer(threads: int, work: Callable[[], object]) -> None:
    barrier = Barrier(threads)
    running = [Thread(target=lambda: (barrier.wait(), work())) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()


def test_no_hit_of_eight_threads_is_lost(store: Store) -> None:
    hammer(8, lambda: [store.incr(f"k{n % 3}", ttl=600) for n in range(150)])
    assert sum(store.count(f"k{n}") for n in range(3)) == 8 * 150


def test_eight_threads_take_exactly_the_limit(store: Store) -> None:
    taken: list[bool] = []
    wants = [("s", 100, 600.0), ("m", 150, 600.0), ("h", 1000, 600.0)]
    hammer(8, lambda: taken.extend(store.take(wants)[0] for _ in range(30)))
    assert taken.count(True) == 100
    assert [store.count(key) for key in "smh"] == [100, 100, 100]


def test_one_of_eight_threads_adds_a_nonce(store: Store) -> None:
    added: list[bool] = []
    hammer(8, lambda: added.append(store.add("nonce", b"1", 60)))
    assert added.count(True) == 1
