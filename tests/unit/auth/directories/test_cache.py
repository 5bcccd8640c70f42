"""What is kept of look-ups, and for how long."""

from plugmw.auth.directories.cache import MISSING, Cache


def test_keeps_what_was_found_and_what_was_not_for_its_time(clock):
    cache = Cache(10, 5, clock)
    cache.put("a", 1, 0)
    cache.put("b", None, 0)
    assert (cache.get("a"), cache.get("b"), cache.get("c")) == (1, None, MISSING)
    clock.now += 10
    assert (cache.get("a"), cache.get("b")) == (MISSING, MISSING)


def test_an_entry_may_live_longer_than_others(clock):
    cache = Cache(10, 5, clock)
    cache.put("a", 1, 0, 20)
    clock.now += 15
    assert cache.get("a") == 1


def test_the_oldest_are_dropped_and_guesses_drive_out_nothing_good(clock):
    cache = Cache(10, 2, clock)
    cache.put("good", 1, 0)
    for n in range(5):
        cache.put(n, None, 0)
    assert cache.get("good") == 1
    assert [cache.get(n) for n in range(5)] == [MISSING, MISSING, MISSING, None, None]


def test_clearing_drops_everything_and_look_ups_under_way(clock):
    cache = Cache(10, 5, clock)
    cache.put("a", 1, 0)
    cache.clear()
    assert cache.get("a") is MISSING
    cache.put("a", "old", 0)
    assert cache.get("a") is MISSING
    cache.put("a", "new", cache.generation)
    assert cache.get("a") == "new"


def test_what_appears_is_no_longer_absent(clock):
    cache = Cache(10, 5, clock)
    cache.put("a", None, 0)
    cache.put("a", 1, 0)
    assert cache.get("a") == 1
