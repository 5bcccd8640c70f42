"""The soak in short: ``python -m tests.soak`` is the long form."""

from __future__ import annotations

import attrs
import pytest

from tests.soak import ledger
from tests.soak.clients import Tally
from tests.soak.kinds import KINDS
from tests.soak.mixing import CROWD, mixed
from tests.soak.readings import Reading
from tests.soak.soaking import WORKERS, Outcome, Plan, sizes, soak
from tests.soak.streaming import stream
from tests.support.servers import require_module

#: One worker, which the warm-up is sure to reach: of two, one may get next to nothing at first.
PLAN = Plan(requests=3000, warm=1000, legs=2, workers=1, growth=1024, seconds=300)
MIB = 100
#: Turns of each thread, and of each greenlet.
TURNS = {"threads": 20, "greenlets": 6}


@pytest.mark.parametrize("kind", WORKERS)
def test_every_request_is_logged_once_and_nothing_is_kept_of_it(kind, tmp_path):
    outcome = soak(tmp_path, kind, PLAN)
    assert outcome.problems() == []
    assert outcome.sent == PLAN.requests
    assert outcome.left > 0
    assert set(outcome.kinds) == set(KINDS)


@pytest.mark.parametrize("kind", CROWD)
def test_no_answer_holds_anything_of_another_request(kind):
    require_module("gevent")
    outcome = mixed(kind, TURNS[kind])
    assert outcome.wrong == []
    assert outcome.asked == CROWD[kind] * TURNS[kind]


@pytest.mark.parametrize("kind", CROWD)
def test_a_plugin_that_keeps_a_request_on_itself_is_found_out(kind):
    require_module("gevent")
    assert mixed(kind, 3, careless=True).wrong


@pytest.mark.parametrize("kind", WORKERS)
def test_large_bodies_go_through_in_constant_memory(kind, tmp_path):
    assert stream(tmp_path, kind, MIB) == []


# -- the soak itself would notice ------------------------------------------------------------------------


GOOD = Outcome(
    Plan(100),
    sent=100,
    answered=80,
    left=20,
    readings=[(50, [Reading(1, 20_000, 9, 5)]), (100, [Reading(1, 20_500, 9, 5)])],
    totals={"reached": 90, "logged": 90, "again": 0, "begun": 7, "closed": 7},
    lines=90,
)


def grown(**changes):
    first = GOOD.readings[0][1][0]
    return [GOOD.readings[0], (100, [attrs.evolve(first, **changes)])]


@pytest.mark.parametrize(
    ("change", "problem"),
    {
        "a wrong answer": ({"wrong": ["list: status 500"]}, "list: status 500"),
        "not logged": ({"totals": {**GOOD.totals, "logged": 89}}, "not logged exactly once"),
        "logged twice": ({"totals": {**GOOD.totals, "again": 1}}, "not logged exactly once"),
        "not closed": ({"totals": {**GOOD.totals, "closed": 6}}, "not closed exactly once"),
        "a line that is missing": ({"lines": 89}, "89 lines of file-log for 90 requests"),
        "a request that never came": ({"answered": 95, "left": 5}, "90 reached, 95 answered, 100 sent"),
        "memory": ({"readings": grown(anonymous=24_097)}, "memory grew by 4097 KiB"),
        "a file": ({"readings": grown(descriptors=10)}, "more descriptors"),
        "a thread": ({"readings": grown(threads=6)}, "more threads"),
        "another worker": ({"readings": grown(pid=2)}, "workers [1] have become [2]"),
    }.values(),
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_wrong_is_told(change, problem):
    assert GOOD.problems() == []
    (told,) = attrs.evolve(GOOD, **change).problems()
    assert problem in told


def test_the_ledger_knows_what_was_logged_twice_or_never(tmp_path):
    one = ledger.Ledger(tmp_path)
    first, second = one.reach(), one.reach()
    one.log(first)
    assert ledger.totals(tmp_path) == {"reached": 2, "logged": 1, "again": 0, "begun": 0, "closed": 0}
    one.log(first)
    one.log(second)
    assert ledger.totals(tmp_path) == {"reached": 2, "logged": 2, "again": 1, "begun": 0, "closed": 0}


def test_every_request_is_in_one_leg():
    assert sizes(Plan(1000, warm=100, legs=7)) == [100, 128, 129, 128, 129, 128, 129, 129]


def test_what_clients_did_is_added_up():
    outcome = Outcome(PLAN)
    for _ in range(2):
        outcome.add(Tally(answered=3, left=1, wrong=["x"]))
    assert (outcome.sent, outcome.answered, outcome.left, outcome.wrong) == (8, 6, 2, ["x", "x"])
