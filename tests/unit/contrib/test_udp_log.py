"""udp-log: configuration, datagrams to a real socket, and through an app; at the end real gunicorn."""

from __future__ import annotations

import json
import socket

import pytest

from plugmw import ConfigError
from plugmw.contrib.udp_log import UDPLog
from plugmw.telemetry.queues import Queues
from plugmw.testing import get
from tests.support.sinks import closed_port, udp_sink
from tests.support.waiting import until


def to(sink, **config):
    return UDPLog(host=sink.host, port=sink.port, **config)


# -- config -------------------------------------------------------------------------------------------

BAD = {
    "host": ({"port": 1}, "host: missing"),
    "port": ({"host": "h"}, "port: missing"),
    "a port of text": ({"host": "h", "port": "514"}, "port: got '514'"),
    "timeout": ({"host": "h", "port": 1, "timeout": 0}, "timeout: got 0"),
    "a small size": ({"host": "h", "port": 1, "max_size": 100}, "max_size: got 100"),
    "a large size": ({"host": "h", "port": 1, "max_size": 65528}, "max_size: got 65528"),
}


@pytest.mark.parametrize(("config", "problem"), BAD.values(), ids=BAD)
def test_refuses(config, problem):
    with pytest.raises(ConfigError) as caught:
        UDPLog(**config)
    assert problem in str(caught.value)


# -- phases -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6], ids=["IPv4", "IPv6"])
def test_an_exchange_is_a_datagram_without_a_newline(serve, family):
    with udp_sink(family=family) as sink:
        get(serve(to(sink, custom_fields_by_lua={"own": 1})), path="/request")
        [data] = sink.wait(1)
    assert data.endswith(b"}")
    entry = json.loads(data)
    assert (entry["request"]["uri"], entry["own"]) == ("/request", 1)


def test_an_entry_that_is_too_big_is_reduced(serve):
    with udp_sink() as sink:
        wrapped = serve(to(sink))
        get(wrapped, headers={"H0": "z" * 64_000})
        get(wrapped, headers={"H0": "z" * 66_000})
        whole, less = sink.entries(2)
    assert len(whole["request"]["headers"]["h0"]) == 64_000
    assert (less["truncated"], less["response"]["status"]) == (True, 200)
    assert "headers" not in less["request"]


def test_the_limit_can_be_that_of_the_path(serve):
    with udp_sink() as sink:
        get(serve(to(sink, max_size=1400)), path="/?" + "x" * 4000)
        [data] = sink.wait(1)
    assert len(data) <= 1400
    assert json.loads(data)["truncated"] is True


def test_an_entry_before_which_nobody_listened_arrives(serve):
    port = closed_port()
    wrapped = serve(UDPLog(host="127.0.0.1", port=port))
    get(wrapped)
    [queue] = Queues.of(wrapped.runtime).all()
    until(lambda: queue.sent == 1)
    with udp_sink(port) as sink:
        get(wrapped, path="/after")
        assert [entry["request"]["uri"] for entry in sink.entries(1)] == ["/after"]
