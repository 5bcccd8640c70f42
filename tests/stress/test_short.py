"""The stress in short: ``python -m tests.stress`` is the long form."""

from __future__ import annotations

import pytest

from tests.stress.running import CROWD, PARTS, run
from tests.support.servers import require_module

#: Turns of each part: a few seconds.
TURNS = {"crowds": {"threads": 8, "greenlets": 2}, "reloads": 12, "forks": 8, "damage": 16}
CASES = [(part, kind) for part, kinds in PARTS.items() for kind in kinds]


@pytest.mark.parametrize(("part", "kind"), CASES, ids=[f"{part}, {kind}" for part, kind in CASES])
def test_no_count_is_lost_and_no_answer_is_of_another_and_nothing_is_used_after_it_was_closed(part, kind):
    if kind == "greenlets":
        require_module("gevent")
    turns = TURNS[part]
    outcome = run(part, kind, turns[kind] if isinstance(turns, dict) else turns, seconds=300)
    assert outcome.wrong == []
    assert outcome.asked >= CROWD[kind]
