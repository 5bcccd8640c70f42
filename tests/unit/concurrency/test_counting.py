"""Counters that lose nothing, with a global lock and without."""

from __future__ import annotations

import sys
import threading
import time

import pytest

from plugmw.concurrency.counting import Counts, Numbers

THREADS, EACH = 8, 200


class Slow(str):
    """A name that lets other threads run whenever it is looked up: between reading and writing too."""

    def __hash__(self):
        time.sleep(0)
        return str.__hash__(self)


def together(work):
    barrier = threading.Barrier(THREADS)

    def one():
        barrier.wait()
        for _ in range(EACH):
            work()

    threads = [threading.Thread(target=one) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.fixture
def busy():
    """Switch threads a thousand times as often as Python does."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_no_count_is_lost(busy):
    counts, name = Counts(), Slow("a")
    together(lambda: counts.add(name, 2))
    assert (counts["a"], counts["b"]) == (2 * THREADS * EACH, 0)


def test_what_is_taken_is_taken_once(busy):
    counts, taken, name = Counts(), [], Slow("a")

    def work():
        counts.add(name)
        taken.append(counts.take(name))

    together(work)
    assert sum(taken) + counts.take("a") == THREADS * EACH
    assert counts["a"] == 0


def test_every_number_is_given_out_once(busy):
    numbers, given = Numbers(), []
    together(lambda: given.append(numbers.next()))
    assert sorted(given) == list(range(1, THREADS * EACH + 1))


def test_a_child_does_not_wait_for_a_lock_of_the_parents():
    for counter in (Counts(), Numbers()):
        counter._lock.acquire()
        counter.after_fork()
        assert not counter._lock.locked()
