"""functions: configuration, its place in a chain, reload, and under real servers."""

from __future__ import annotations

import json

import pytest

# -- real servers ----------------------------------------------------------------------------------

SLOW = """
import json, time
HTTPVars: dict = {}
URLQuery: dict = {}

def GETSlowHandler():
    before = URLQuery["n"]
    time.sleep(0.05)
    return json.dumps([before, URLQuery["n"]])
"""


@pytest.mark.parametrize(
    ("worker_class", "args"),
    [("gevent", ["--preload"]), ("gevent", []), ("gthread", ["--threads", "16"])],
    ids=["gevent-preload", "gevent", "threads"],
)
def test_calls_that_overlap_in_one_worker_keep_their_own_variables(gunicorn, lib, write, worker_class, args):
    from concurrent.futures import ThreadPoolExecutor

    from tests.support.raw import get as ask

    write("slow.py", SLOW)
    source = f"""
        from plugmw import Functions
        from tests.unit.dialects.prest.conftest import app
        app = Functions(app, {lib!r})
        """
    server = gunicorn(source, worker_class=worker_class, args=args)
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda n: ask(server.port, f"/_PLUGIN/slow/Slow?n={n}"), range(48)))
    assert [json.loads(answer.body) for answer in answers] == [[[str(n)], [str(n)]] for n in range(48)]
