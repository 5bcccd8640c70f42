"""S16: no text of a client costs more than its length: patterns are judged when read, inputs are cut."""

from __future__ import annotations

import re

import pytest

from tests.security.gates import WORKERS
from tests.security.test_s16_redos import HOSTILE, KIB, growth
from tests.support import raw


def test_s16_a_pattern_that_goes_back_would_be_seen():
    assert growth(re.compile("a*b").search, lambda size: "a" * size) > 24


# -- through a server ----------------------------------------------------------------------------------

SERVED = """
    from plugmw import Gateway
    from plugmw.testing import hello_app
    app = Gateway(hello_app, {
        "store": "memory://",
        "plugins": [{"name": "bot-detection", "config": {"deny": ["^Bad.*Client"]}}],
    })
"""


@pytest.mark.parametrize("worker_class", WORKERS)
def test_s16_eight_kib_of_user_agent_are_answered_like_others(gunicorn, worker_class):
    server = gunicorn(SERVED, worker_class=worker_class, args=WORKERS[worker_class])
    for make in HOSTILE.values():
        agent = make(8 * KIB - 200).strip() or "-"
        assert raw.get(server.port, "/", f"User-Agent: {agent}").status in (200, 403)
    assert raw.get(server.port, "/", "User-Agent: BadClient").status == 403
    assert raw.get(server.port, "/", "User-Agent: GoodClient").status == 200
