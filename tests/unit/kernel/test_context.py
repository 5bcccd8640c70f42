"""What is in force in a thread or greenlet."""

from __future__ import annotations

import threading
from types import SimpleNamespace

from plugmw.kernel import context


def found():
    return context.exchange(), context.plugin(), context.phase()


X = SimpleNamespace(phase="access")


def test_nothing_is_in_force_by_itself():
    assert found() == (None, None, "")


def test_an_exchange_and_a_plugin_are_in_force_during_a_call():
    assert context.running(X, "p", found) == (X, "p", "access")
    assert context.running(X, "p", lambda a: a, 1) == 1
    assert found() == (None, None, "")


def test_a_phase_without_a_request_has_no_exchange():
    assert context.outside("init_worker", "p", found) == (None, "p", "init_worker")
    assert found() == (None, None, "")


def test_calls_nest_and_what_raises_ends_them():
    def inner():
        try:
            context.running(X, "inner", lambda: 1 / 0)
        except ZeroDivisionError:
            pass
        return context.plugin()

    assert context.running(X, "outer", inner) == "outer"


def test_other_threads_see_nothing():
    seen = []

    def call():
        thread = threading.Thread(target=lambda: seen.append(found()))
        thread.start()
        thread.join()

    context.running(X, "p", call)
    assert seen == [(None, None, "")]


def test_greenlets_see_nothing_of_each_other():
    import pytest

    gevent = pytest.importorskip("gevent")

    def work(name):
        def inner():
            gevent.sleep(0)
            return context.plugin()

        return context.running(X, name, inner)

    jobs = [gevent.spawn(work, name) for name in ("a", "b")]
    gevent.joinall(jobs)
    assert [job.value for job in jobs] == ["a", "b"]
