from __future__ import annotations

import time

import pytest

from plugmw.concurrency.deadline import Deadline


def test_seconds_are_left_until_it_has_come():
    now = [10.0]
    deadline = Deadline.after(5, lambda: now[0])
    assert (deadline.left(), deadline.left_or_raise(), deadline.expired) == (5, 5, False)
    now[0] = 15.0
    assert (deadline.left(), deadline.expired) == (0, True)
    with pytest.raises(TimeoutError, match="timed out"):
        deadline.left_or_raise()
    now[0] = 16.0
    assert deadline.left() == 0


@pytest.mark.parametrize(("seconds", "at"), [(1, 11.0), (9, 15.0)])
def test_a_step_within_it_ends_no_later(seconds, at):
    assert Deadline(15.0, lambda: 10.0).within(seconds).at == at


def test_the_clock_is_the_monotonic_one_in_force(monkeypatch):
    monkeypatch.setattr(time, "monotonic", lambda: 7.0)
    assert Deadline.after(1).at == 8.0
    assert Deadline(8.0).left() == 1.0
