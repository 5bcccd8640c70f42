from __future__ import annotations

from plugmw.concurrency.throttle import Throttle


def test_says_yes_once_in_its_seconds():
    now = [0.0]
    throttle = Throttle(60, lambda: now[0])
    told = []
    for now[0] in (0.0, 59.9, 60.0, 61.0, 120.0):
        told.append(throttle())
    assert told == [True, False, True, False, True]


def test_says_yes_after_a_reset():
    throttle = Throttle(60, lambda: 1.0)
    assert [throttle(), throttle()] == [True, False]
    throttle.reset()
    assert throttle()


def test_a_clock_that_was_set_back_does_not_silence_it():
    now = [1000.0]
    throttle = Throttle(60, lambda: now[0])
    assert throttle()
    now[0] = 10.0
    assert throttle()
