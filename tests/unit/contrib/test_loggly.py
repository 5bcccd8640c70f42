"""loggly: configuration, datagrams to a real socket, and through an app; at the end a real rsyslog."""

from __future__ import annotations

import json
import re

import pytest

from plugmw import ConfigError
from plugmw.contrib.loggly import Loggly
from plugmw.telemetry.queues import Queues
from plugmw.testing import get
from tests.support.plugins import made
from tests.support.sinks import udp_sink

WIRE = re.compile(
    r"<(?P<pri>\d+)>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ (?P<host>\S+) kong - - "
    r"(?P<data>\[.*?(?<!\\)\]) (?P<entry>\{.*\})"
)


@pytest.fixture
def sink():
    with udp_sink() as sink:
        yield sink


@pytest.fixture
def serve(serve, sink):
    """Put the plugin into a gateway that is stopped after the test."""

    def start(*others, port=sink.port, **config):
        plugin = Loggly(**{"host": "127.0.0.1", "port": port, "key": "123456789", **config})
        return serve(plugin, *others)

    return start


def status(number):
    return made("status", access=lambda x: x.exit(number, ""))


# -- config -------------------------------------------------------------------------------------------

BAD = {
    "no key": ({}, "key: missing, expected a string"),
    "an empty key": ({"key": ""}, "key: got '', expected a string of at least one"),
    "a key that ends the data": ({"key": "s3cret] "}, "key: has a character that is not allowed"),
    "a key with a newline": ({"key": "s3cret\n"}, "key: has a character that is not allowed"),
    "tags": ({"key": "a", "tags": "kong"}, "tags: got 'kong', expected a list of strings"),
    "a tag with a newline": ({"key": "a", "tags": ["a\nb"]}, "tags: got ['a\\nb']"),
    "a tag with a surrogate": ({"key": "a", "tags": ["\ud800"]}, "tags: got"),
    "level": ({"key": "a", "log_level": "error"}, "log_level: got 'error'"),
    "port": ({"key": "a", "port": -1}, "port: got -1"),
    "timeout": ({"key": "a", "timeout": 0}, "timeout: got 0"),
}


@pytest.mark.parametrize(("config", "problem"), BAD.values(), ids=BAD)
def test_refuses(config, problem):
    with pytest.raises(ConfigError) as caught:
        Loggly(**config)
    assert problem in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_defaults_are_logglys():
    config = Loggly(key="s3cret").config
    assert (config.host, config.port, list(config.tags)) == ("logs-01.loggly.com", 514, ["kong"])
    assert "s3cret" not in repr(config)


# -- phases -------------------------------------------------------------------------------------------


def test_a_datagram_has_this_form(serve, sink):
    get(serve(tags=["a", "b", "a"]), environ={"REMOTE_ADDR": "127.0.0.1"})
    found = WIRE.fullmatch(sink.wait(1)[0].decode())
    assert (found["pri"], found["data"]) == ("14", '[123456789@41058 tag="a" tag="b"]')
    assert found["host"]
    assert json.loads(found["entry"])["client_ip"] == "127.0.0.1"


def test_without_tags(serve, sink):
    get(serve(tags=[]))
    assert b" [123456789@41058 ] {" in sink.wait(1)[0]


def test_tags_cannot_end_the_data(serve, sink):
    get(serve(tags=['x"] evil', "a\\b", "é"]))
    text = sink.wait(1)[0].decode()
    assert '[123456789@41058 tag="x\\"\\] evil" tag="a\\\\b" tag="é"] {"request"' in text


SENT = [
    (200, {"log_level": "info", "successful_severity": "warning"}, 12),
    (200, {"log_level": "debug", "successful_severity": "info"}, 14),
    (200, {"log_level": "crit", "successful_severity": "crit"}, 10),
    (404, {"log_level": "crit", "client_errors_severity": "warning"}, None),
    (200, {}, 14),
    (401, {}, 14),
    (500, {}, 14),
    (500, {"server_errors_severity": "emerg"}, 8),
]


@pytest.mark.parametrize(("code", "config", "pri"), SENT)
def test_a_datagram_is_sent_by_its_severity(serve, sink, code, config, pri):
    wrapped = serve(status(code), **config)
    get(wrapped)
    wrapped.stop()
    if pri is None:
        [queue_left] = [Queues.of(wrapped.runtime).all()]
        assert (queue_left, sink.got) == ([], [])
    else:
        assert sink.wait(1)[0].startswith(b"<%d>1 " % pri)


def test_an_entry_that_is_too_big_is_reduced(serve, sink):
    get(serve(), headers={"X-Big": "x" * 66_000})
    found = WIRE.fullmatch(sink.wait(1)[0].decode())
    assert json.loads(found["entry"])["truncated"] is True
