"""statsd: configuration, the lines, the packets, and a server that is away, with servers and processes."""

from __future__ import annotations

import pytest

from plugmw.contrib.statsd import StatsD
from tests.support import collectors
from tests.support.metrics import SCOPE, Known, reported
from tests.support.waiting import until
from tests.unit.contrib.test_statsd import WORKSPACE
from tests.unit.contrib.test_statsd import sink as sink

# -- under gunicorn -----------------------------------------------------------------------------------

SERVED = """
    from plugmw.contrib.statsd import StatsD
    from plugmw.mounts.gunicorn import post_worker_init, worker_exit
    from plugmw.testing import hello_app

    count = {{"name": "request_count", "stat_type": "counter", "sample_rate": 1}}
    app = StatsD.middleware(
        hello_app, host="127.0.0.1", port={port}, metrics=[count], queue={{"max_batch_size": 1000}}
    )
"""


def test_every_exchange_of_four_workers_is_counted_once_also_those_that_wait_at_the_end(gunicorn, sink):
    import requests

    server = gunicorn(SERVED.format(port=sink.port), workers=4, args=["-c", "python:plugmw.mounts.gunicorn"])
    for _ in range(60):
        assert requests.get(server.url, timeout=30).status_code == 200
    assert server.stop() == 0
    assert sink.received() == ["kong.global.unmatched.request.count:1|c"] * 60


# -- a real server ------------------------------------------------------------------------------------
@pytest.mark.parametrize("packed", [0, 1400], ids=["a packet each", "several in a packet"])
def test_etsys_statsd_counts_what_is_sent(tmp_path, packed):
    with collectors.statsd(tmp_path) as server:
        plugin = StatsD(host="127.0.0.1", port=server.port, udp_packet_size=packed)
        reported(plugin, Known(workspace=WORKSPACE), scope=SCOPE, requests=["/a", "/b", "/c"])
        until(lambda: server.ask("counters").get("kong.service.svc1.request.count") == 3)
        counters, timers = server.ask("counters"), server.ask("timers")
        assert counters["statsd.bad_lines_seen"] == 0
        assert counters["kong.service.svc1.status.200"] == 3
        assert len(timers["kong.service.svc1.latency"]) == 3
