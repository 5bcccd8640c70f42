"""syslog: configuration, messages to a socket, and through an app; at the end a real rsyslog."""

from __future__ import annotations

import json

from plugmw.contrib.syslog import Syslog
from plugmw.telemetry.queues import Queues
from plugmw.telemetry.sinks.syslog import FACILITIES
from plugmw.testing import get
from tests.support.rsyslog import rsyslog
from tests.support.waiting import until


# -- through an app -----------------------------------------------------------------------------------
def test_a_real_daemon_understands_every_facility(serve, folder):
    with rsyslog(folder) as daemon:
        for name in FACILITIES:
            get(serve(Syslog(address=daemon.socket, facility=name)))
        found = daemon.wait(len(FACILITIES))
    assert sorted(message.pri for message in found) == sorted(n * 8 + 6 for n in FACILITIES.values())
    assert {message.program for message in found} == {"kong"}
    assert {json.loads(message.text)["response"]["status"] for message in found} == {200}


def test_a_real_daemon_takes_both_formats_over_udp_and_cuts_nothing(serve, folder):
    with rsyslog(folder) as daemon:
        for number in ("3164", "5424"):
            plugin = Syslog(address=f"127.0.0.1:{daemon.port}", format=number)
            get(serve(plugin), headers={"X-Big": "x" * 20_000, "X-Name": "\xc3\xa9"})
        found = daemon.wait(2)
    for message in found:
        assert (message.pri, message.program) == (14, "kong")
        assert json.loads(message.text)["truncated"] is True


def test_a_real_daemon_that_restarts_gets_the_next_message(serve, folder):
    with rsyslog(folder) as daemon:
        wrapped = serve(Syslog(address=daemon.socket))
        get(wrapped, path="/1")
        daemon.wait(1)
        daemon.stop()
        get(wrapped, path="/2")
        [queue] = Queues.of(wrapped.runtime).all()
        until(lambda: queue.lost == 1)
        daemon.start()
        get(wrapped, path="/3")
        found = daemon.wait(2)
    assert [json.loads(message.text)["request"]["uri"] for message in found] == ["/1", "/3"]
