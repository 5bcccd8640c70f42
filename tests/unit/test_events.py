"""What happens beside requests: counted for whoever listens, told once."""

from __future__ import annotations

import logging
import os

import pytest

from plugmw.events import RELOADS, STORE_ERRORS, Events, Outage, watch
from plugmw.kernel.runtime import Runtime
from tests.support.clock import Clock
from tests.support.events import listening


def test_what_happened_before_anybody_listens_is_handed_on():
    events = Events()
    events.count(RELOADS, "refused")
    events.count(RELOADS, "refused")
    taken = listening(events)
    events.count(STORE_ERRORS)
    assert taken == [(RELOADS, "refused", 2), (STORE_ERRORS, "", 1)]


def test_nothing_is_no_event():
    events = Events()
    taken = listening(events)
    events.count(RELOADS, "applied", 0)
    assert taken == []


@pytest.mark.parametrize("take", [lambda *event: False, lambda *event: 1 / 0], ids=["closed", "failing"])
def test_what_a_listener_does_not_take_waits_for_the_next(take):
    events = Events()
    events.listen(take)
    events.count(RELOADS, "applied")
    assert listening(events) == [(RELOADS, "applied", 1)]


def test_a_listener_that_failed_is_asked_again():
    events = Events()
    taken = []

    def take(*event):
        taken.append(event)
        if len(taken) == 1:
            raise OSError("no space")
        return True

    events.listen(take)
    events.count(RELOADS, "applied")
    events.count(RELOADS, "applied")
    assert taken == [(RELOADS, "applied", 1), (RELOADS, "applied", 1)]
    assert listening(events) == [(RELOADS, "applied", 1)]


def test_a_forked_child_begins_at_zero():
    events = Events()
    events.count(RELOADS, "applied")
    readable, writable = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writable, repr(listening(events)).encode())
        os._exit(0)
    os.waitpid(pid, 0)
    assert os.read(readable, 100) == b"[]"
    assert listening(events) == [(RELOADS, "applied", 1)]


# -- outages ------------------------------------------------------------------------------------------


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def outage(clock):
    return Outage("redis://h:1/0", clock=clock)


def lines(caplog):
    return [(record.levelname, record.getMessage()) for record in caplog.records]


def test_an_outage_is_a_line_when_it_begins_and_one_when_it_ends(outage, clock, caplog):
    runtime = Runtime()
    outage.watched_by(runtime)
    for _ in range(3):
        outage.failed("no route")
    clock.now += 12.34
    outage.works()
    outage.works()
    assert lines(caplog) == [
        ("ERROR", "store redis://h:1/0 fails: no route"),
        ("WARNING", "store redis://h:1/0 works again, after 12.3 s"),
    ]
    assert listening(runtime.events) == [(STORE_ERRORS, "", 3)]


def test_a_store_that_fails_every_other_time_is_told_of_once_a_minute(outage, clock, caplog):
    runtime = Runtime()
    outage.watched_by(runtime)
    for _ in range(120):
        outage.failed("busy")
        outage.works()
        clock.now += 1
    assert [level for level, _ in lines(caplog)] == ["ERROR", "WARNING"] * 2
    assert listening(runtime.events) == [(STORE_ERRORS, "", 120)]


def test_of_two_gateways_with_one_store_one_counts(outage):
    first, second = Runtime(), Runtime()
    for runtime in (first, second, first):
        outage.watched_by(runtime)
    outage.failed("no route")
    assert listening(first.events) + listening(second.events) == [(STORE_ERRORS, "", 1)]


def test_a_gateway_that_is_over_leaves_the_store_to_the_next(outage):
    first, second = Runtime(), Runtime()
    outage.watched_by(first)
    outage.watched_by(second)
    del first
    outage.failed("no route")
    assert listening(second.events) == [(STORE_ERRORS, "", 1)]


def test_without_a_gateway_nobody_is_told(outage, caplog):
    outage.failed("no route")
    outage.works()
    assert caplog.records == []


def test_lines_go_to_the_logger_that_the_gateway_has_then(outage, caplog):
    runtime = Runtime()
    outage.watched_by(runtime)
    runtime.logger = logging.getLogger("elsewhere")
    outage.failed("no route")
    assert [record.name for record in caplog.records] == ["elsewhere"]


def test_a_store_that_knows_of_no_outages_is_left_alone():
    watch(object(), Runtime())
