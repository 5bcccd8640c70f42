"""Calls at the same time: results as they come, deadlines, and threads that are bounded."""

from __future__ import annotations

import threading
from contextvars import ContextVar

import pytest

from plugmw.concurrency.deadline import Deadline
from plugmw.dialects.krakend.pool import Pool, _Batch

FAR = Deadline.after(1000)


@pytest.fixture
def pool():
    made = Pool()
    yield made
    made.close()


class Closing:
    def __init__(self):
        self.closed = threading.Event()

    def close(self):
        self.closed.set()


def test_results_come_with_the_number_of_their_call(pool):
    assert sorted(pool.gather([lambda: "a", lambda: "b"], FAR)) == [(0, "a"), (1, "b")]


def test_an_exception_is_a_result(pool):
    error = ValueError()

    def fails():
        raise error

    assert list(pool.gather([fails], FAR)) == [(0, error)]


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_what_is_no_exception_is_raised_to_who_waits(pool, error):
    def fails():
        raise error

    with pytest.raises(error):
        list(pool.gather([fails, lambda: "a"], FAR))


def test_the_first_to_end_comes_first(pool):
    first = threading.Event()
    ended = pool.gather([lambda: first.wait(10), lambda: "quick"], FAR)
    assert next(ended) == (1, "quick")
    first.set()
    assert list(ended) == [(0, True)]


@pytest.mark.slow
def test_nobody_waits_longer_than_to_the_deadline(pool):
    go = threading.Event()
    late = Closing()
    calls = [lambda: go.wait(10) and late, lambda: "quick"]
    assert list(pool.gather(calls, Deadline.after(1.0))) == [(1, "quick")]
    assert list(pool.gather([lambda: go.wait(10) and None], Deadline(0.0))) == []
    go.set()
    assert late.closed.wait(10), "a result that comes too late is closed"


def test_results_that_nobody_takes_are_closed(pool):
    quick, slow, begun, go = Closing(), Closing(), threading.Event(), threading.Event()

    def waits():
        begun.set()
        return go.wait(10) and slow

    ended = pool.gather([waits, lambda: begun.wait(10) and quick], FAR)
    assert next(ended) == (1, quick)
    ended.close()
    go.set()
    assert slow.closed.wait(10)
    assert not quick.closed.is_set()


def test_results_that_wait_to_be_taken_are_closed():
    batch, result = _Batch(), Closing()
    batch.run(0, lambda: result)
    batch.end()
    assert result.closed.is_set()
    batch.run(0, raises_if_called)


def raises_if_called():
    raise AssertionError


def test_threads_are_used_again(pool):
    names = {next(iter(pool.gather([lambda: threading.current_thread().name], FAR)))[1] for _ in range(5)}
    assert names == {"plugmw-krakend"}
    assert len(pool._threads) <= 2


def test_there_are_never_more_threads_than_the_limit_and_what_hangs_is_given_up():
    pool, go, begun, calls = Pool(size=2), threading.Event(), threading.Semaphore(0), []

    def hangs():
        calls.append(1)
        begun.release()
        go.wait(10)

    patient = threading.Thread(target=lambda: list(pool.gather([hangs, hangs], FAR)))
    patient.start()
    assert begun.acquire(timeout=10)
    assert begun.acquire(timeout=10)
    for _ in range(3):
        assert list(pool.gather([hangs, hangs], Deadline.after(0.01))) == []
    assert len(pool._threads) == 2
    go.set()
    patient.join(10)
    assert list(pool.gather([lambda: "again"], FAR)) == [(0, "again")]
    assert len(calls) == 2, "calls that nobody waits for any more are not begun"
    pool.close()


def test_closing_ends_the_threads():
    pool = Pool()
    assert list(pool.gather([lambda: 1], FAR)) == [(0, 1)]
    pool.close()
    for thread in pool._threads:
        thread.join(10)
        assert not thread.is_alive()


def test_what_is_gathered_after_closing_is_gathered_all_the_same():
    pool = Pool(size=1)
    assert list(pool.gather([lambda: 1], FAR)) == [(0, 1)]
    pool.close()
    pool._threads[0].join(10)
    assert sorted(pool.gather([lambda: 2, lambda: 3], FAR)) == [(0, 2), (1, 3)]


def test_a_late_result_that_cannot_be_closed_costs_no_thread():
    class Fails:
        def close(self):
            raise OSError("no")

    pool, go = Pool(size=1), threading.Event()
    assert list(pool.gather([lambda: go.wait(10) and Fails()], Deadline(0.0))) == []
    go.set()
    assert list(pool.gather([lambda: "next"], FAR)) == [(0, "next")]
    pool.close()


def test_calls_see_the_context_of_whoever_asks(pool):
    variable = ContextVar("variable")
    variable.set("mine")
    assert list(pool.gather([variable.get], FAR)) == [(0, "mine")]


def test_a_call_for_which_there_is_no_thread_is_not_made_later_by_another(pool, monkeypatch):
    calls = []

    class NoThread:
        def start(self):
            raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr("plugmw.dialects.krakend.pool._thread", lambda run: NoThread())
        with pytest.raises(RuntimeError, match="can't start new thread"):
            list(pool.gather([lambda: calls.append("lost")], FAR))
    assert list(pool.gather([lambda: calls.append("next")], FAR)) == [(0, None)]
    assert calls == ["next"]
