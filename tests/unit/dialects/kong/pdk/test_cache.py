"""``kong.cache``: what is kept, how long, and what happens when a callback fails."""

from __future__ import annotations

import threading

import pytest

from plugmw.dialects.kong.pdk.cache import Cache
from tests.support.clock import Clock


@pytest.fixture
def clock():
    return Clock(0.0)


@pytest.fixture
def cache(clock):
    return Cache(clock, most=3)


def counting(*values):
    """Return a callback that gives one value after the other, an exception by raising it."""
    left = list(values)

    def callback(*arguments):
        value = left.pop(0)
        if isinstance(value, Exception):
            raise value
        return value

    return callback


@pytest.mark.parametrize(
    ("options", "value", "life"),
    [(None, "a", None), ({"ttl": 10}, "a", 10), (None, None, 300), ({"neg_ttl": 5}, None, 5)],
    ids=["for ever", "ttl", "negative", "neg_ttl"],
)
def test_a_value_is_kept_for_its_time(cache, clock, options, value, life):
    callback = counting(value, "second")
    assert cache.get("k", options, callback) == (value, None)
    clock.now = (life or 1e9) - 0.1
    assert cache.get("k", options, callback) == (value, None)
    if life:
        clock.now = life
        assert cache.get("k", options, callback) == ("second", None)


def test_the_callback_gets_its_arguments(cache):
    assert cache.get("k", None, lambda a, b: a + b, 1, 2) == (3, None)


def test_a_callback_that_fails_is_an_error_that_is_not_kept(cache):
    callback = counting(ValueError("no"), 1)
    assert cache.get("k", None, callback) == (None, "callback threw an error: no")
    assert cache.get("k", None, callback) == (1, None)


def test_a_value_goes_on_for_a_while_when_its_callback_fails(cache, clock):
    callback = counting("old", ValueError("no"), "new")
    cache.get("k", {"ttl": 10}, callback)
    clock.now = 11
    assert cache.get("k", {"ttl": 10}, callback) == ("old", None)
    clock.now = 41
    assert cache.get("k", {"ttl": 10}, callback) == ("new", None)


def test_a_value_may_be_made_not_to_go_on(cache, clock):
    callback = counting("old", ValueError("no"))
    options = {"ttl": 10, "resurrect_ttl": 0}
    cache.get("k", options, callback)
    clock.now = 11
    assert cache.get("k", options, callback)[1] == "callback threw an error: no"


def test_renew_calls_whatever_is_kept(cache):
    cache.get("k", None, counting(1))
    assert cache.renew("k", None, counting(2)) == (2, None)
    assert cache.probe("k") == (0.0, None, 2)


def test_probe_tells_what_is_kept_and_how_long(cache, clock):
    assert cache.probe("k") == (None, None, None)
    cache.get("k", {"ttl": 10}, counting(1))
    clock.now = 4
    assert cache.probe("k") == (6.0, None, 1)


def test_several_are_got_at_once(cache):
    assert cache.get_bulk([("a", None, counting(1)), ("b", None, lambda x: x, 2)]) == [(1, None), (2, None)]


def test_invalidated_and_purged_values_are_gone(cache):
    cache.get("a", None, counting(1))
    cache.get("b", None, counting(1))
    cache.invalidate("a")
    cache.invalidate_local("none")
    assert cache.probe("a")[2] is None
    cache.purge()
    assert cache.probe("b")[2] is None


def test_the_oldest_goes_when_there_are_too_many(cache):
    for key in "abcd":
        cache.get(key, None, counting(key))
    assert [cache.probe(key)[2] for key in "abcd"] == [None, "b", "c", "d"]


def test_a_key_is_text(cache):
    for call in (cache.get, cache.renew):
        with pytest.raises(TypeError, match="key must be a string"):
            call(1, None, counting(1))
    with pytest.raises(TypeError, match="key must be a string"):
        cache.invalidate(None)


def test_a_callback_runs_once_for_threads_that_wait(cache):
    entered, release = threading.Event(), threading.Event()
    calls, results = [], []

    def slow():
        calls.append(1)
        entered.set()
        release.wait(10)
        return "made"

    threads = [threading.Thread(target=lambda: results.append(cache.get("k", None, slow))) for _ in range(4)]
    threads[0].start()
    entered.wait(10)
    for thread in threads[1:]:
        thread.start()
    release.set()
    for thread in threads:
        thread.join(10)
    assert (calls, results) == ([1], [("made", None)] * 4)
