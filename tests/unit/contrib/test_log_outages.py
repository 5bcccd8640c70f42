"""Log plugins whose sink is away: what is common to all that send entries one by one."""

from __future__ import annotations

import json

import pytest

from plugmw.contrib.loggly import Loggly
from plugmw.contrib.syslog import Syslog
from plugmw.contrib.tcp_log import TCPLog
from plugmw.contrib.udp_log import UDPLog
from plugmw.telemetry.queues import Queues
from plugmw.testing import get
from tests.support.sinks import tcp_sink, udp_sink, unix_sink
from tests.support.waiting import until


def unix_socket(folder, port):
    path = folder / "log"
    path.unlink(missing_ok=True)
    return unix_sink(path)


#: The plugin for a sink, and how the sink is opened in a folder, or at a port when it was there before.
WAYS = {
    "tcp-log": (lambda sink: TCPLog(host=sink.host, port=sink.port), lambda _, port: tcp_sink(port=port)),
    "udp-log": (lambda sink: UDPLog(host=sink.host, port=sink.port), lambda _, port: udp_sink(port)),
    "loggly": (lambda sink: Loggly(host=sink.host, port=sink.port, key="a"), lambda _, port: udp_sink(port)),
    "syslog": (lambda sink: Syslog(address=sink.host), unix_socket),
}


@pytest.mark.parametrize(("plugin", "opened"), WAYS.values(), ids=WAYS)
def test_a_sink_that_restarts_gets_the_next_entry(serve, folder, plugin, opened):
    with opened(folder, 0) as first:
        wrapped = serve(plugin(first))
        get(wrapped, path="/?n=1")
        first.wait(1)
    with opened(folder, first.port) as second:
        get(wrapped, path="/?n=2")
        [data] = second.wait(1)
    assert json.loads(data[data.index(b"{") :])["request"]["uri"] == "/?n=2"


NAMED = {
    "udp-log": UDPLog(host="nothing.invalid", port=1),
    "loggly": Loggly(host="nothing.invalid", port=1, key="a"),
}


@pytest.mark.parametrize("plugin", NAMED.values(), ids=NAMED)
def test_a_name_without_an_address_delays_nobody_and_is_told(serve, caplog, plugin):
    wrapped = serve(plugin)
    Queues.of(wrapped.runtime).shutdown_timeout = 0.5
    assert get(wrapped).status_code == 200
    until(lambda: "could not connect to nothing.invalid:1: " in caplog.text)
