from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from plugmw.stores.breaker import Breaker
from tests.support.waiting import until

DOWN = OSError("down")


class Backend:
    """Answers as many probes with an error as it is told."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.probes = 0

    def __call__(self) -> None:
        self.probes += 1
        if self.probes <= self.failures:
            raise OSError(f"still down {self.probes}")


def test_a_new_breaker_is_closed_and_does_not_look() -> None:
    backend = Backend(0)
    assert Breaker(backend).cause is None
    assert backend.probes == 0


def test_it_opens_with_the_cause_and_closes_when_the_probe_succeeds() -> None:
    go = threading.Event()
    breaker = Breaker(lambda: go.wait(5))
    breaker.trip(DOWN)
    assert breaker.cause is DOWN
    go.set()
    until(lambda: breaker.cause is None, 2)


def test_without_a_thread_to_look_in_it_stays_closed_and_the_next_failure_tries_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    go, breaker = threading.Event(), Breaker(lambda: go.wait(5))

    class NoThread:
        def __init__(self, *arguments: object) -> None: ...

        def start(self) -> None:
            raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr("plugmw.stores.breaker.Daemon", NoThread)
        breaker.trip(DOWN)
    assert breaker.cause is None
    breaker.trip(DOWN)
    assert breaker.cause is DOWN
    go.set()
    until(lambda: breaker.cause is None, 2)


def test_it_goes_on_looking_until_the_backend_answers() -> None:
    backend = Backend(3)
    breaker = Breaker(backend, pause=0.001)
    breaker.trip(DOWN)
    until(lambda: breaker.cause is None, 2)
    assert backend.probes == 4


def test_its_cause_is_the_latest_one() -> None:
    breaker = Breaker(Backend(10**6), pause=0.001)
    breaker.trip(DOWN)
    until(lambda: str(breaker.cause).startswith("still down"), 2)
    breaker.close()


def test_many_failures_at_once_start_one_thread() -> None:
    go, looking = threading.Event(), []

    def probe() -> None:
        looking.append(threading.current_thread())
        go.wait(5)

    breaker = Breaker(probe)
    for _ in range(50):
        breaker.trip(DOWN)
    go.set()
    until(lambda: breaker.cause is None, 2)
    assert len(looking) == 1


def test_it_opens_again_after_it_was_closed() -> None:
    breaker = Breaker(Backend(0), pause=0.001)
    for _ in range(3):
        breaker.trip(DOWN)
        until(lambda: breaker.cause is None, 2)


def test_closing_it_ends_its_thread() -> None:
    looking: list[threading.Thread] = []

    def probe() -> None:
        looking.append(threading.current_thread())
        raise DOWN

    breaker = Breaker(probe, pause=60)
    breaker.trip(DOWN)
    until(lambda: bool(looking), 2)
    breaker.close()
    until(lambda: not looking[0].is_alive(), 2)


def test_once_closed_for_good_it_starts_no_thread() -> None:
    breaker = Breaker(Backend(0))
    breaker.close()
    breaker.trip(DOWN)
    assert breaker.cause is None


FORKED = """
import os, sys
from plugmw.stores.breaker import Breaker
def probe():
    raise OSError
breaker = Breaker(probe, pause=60)
if sys.argv[1] == "closed":
    breaker.close()
breaker.trip(OSError("down"))
child = os.fork()
if not child:
    closed = breaker.cause is None
    breaker.trip(OSError("down"))
    os._exit(10 * closed + (breaker.cause is not None))
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
breaker.close()
"""


@pytest.mark.slow
@pytest.mark.parametrize(("state", "answer"), [("open", "11"), ("closed", "10")])
def test_a_child_starts_closed_and_can_look_for_itself(
    state: str, answer: str, output: Callable[..., str]
) -> None:
    assert output(FORKED, state) == answer
