"""syslog: configuration, messages to a socket, and through an app; at the end a real rsyslog."""

from __future__ import annotations

import json

import pytest

from plugmw import ConfigError, Entry
from plugmw.contrib.syslog import Syslog, remote
from plugmw.telemetry.queues import Queues
from plugmw.telemetry.sinks.datagrams import UDP, Unix
from plugmw.testing import gateway, get
from tests.support.plugins import made
from tests.support.sinks import udp_sink, unix_sink
from tests.support.waiting import until


@pytest.fixture
def sink(folder):
    with unix_sink(folder / "log") as sink:
        yield sink


def to(sink, **config):
    return Syslog(address=sink.host, **config)


def status(number):
    return made("status", access=lambda x: x.exit(number, ""))


# -- config -------------------------------------------------------------------------------------------

BAD = {
    "level": ({"log_level": "warn"}, "log_level: got 'warn', expected one of debug, info, notice"),
    "severity": ({"successful_severity": 4}, "successful_severity: got 4"),
    "client severity": ({"client_errors_severity": ""}, "client_errors_severity: got ''"),
    "server severity": ({"server_errors_severity": "fatal"}, "server_errors_severity: got 'fatal'"),
    "facility": ({"facility": "local8"}, "facility: got 'local8'"),
    "address": ({"address": "log"}, "address: got 'log', expected a path that starts with /, or host:port"),
    "port": ({"address": "h:65536"}, "address: got 'h:65536'"),
    "format": ({"format": "3339"}, "format: got '3339', expected one of 3164, 5424"),
    "size": ({"max_size": 1000}, "max_size: got 1000"),
}


@pytest.mark.parametrize(("config", "problem"), BAD.values(), ids=BAD)
def test_refuses(config, problem):
    with pytest.raises(ConfigError) as caught:
        Syslog(**config)
    assert problem in str(caught.value)


ADDRESSES = {
    "/dev/log": None,
    "/a:1": None,
    "h:514": ("h", 514),
    "[::1]:514": ("::1", 514),
    "h:": None,
    ":514": None,
    "h:+5": None,
    "h": None,
}


@pytest.mark.parametrize(("address", "parts"), ADDRESSES.items())
def test_an_address_is_a_path_or_a_host_with_a_port(address, parts):
    assert remote(address) == parts


def test_the_usual_address_is_that_of_the_machines_daemon():
    plugin = Syslog()
    gateway(plugin)
    assert isinstance(plugin.sink(), Unix)
    assert plugin.sink().name == "/dev/log"
    assert isinstance(Syslog(address="h:514").sink(), UDP)


@pytest.mark.parametrize(("facility", "warned"), [("kern", True), ("user", False)])
def test_warns_of_the_kernels_facility(facility, warned, caplog):
    gateway(Syslog(facility=facility))
    assert ("facility kern is the kernel's" in caplog.text) is warned


# -- phases -------------------------------------------------------------------------------------------

WARNING = {f"{kind}_severity": "warning" for kind in ("successful", "client_errors", "server_errors")}
SENT = {
    "a lower level lets it through": ({"log_level": "info", **WARNING}, 200, "<12>kong: "),
    "an equal level too": ({"log_level": "warning", **WARNING}, 200, "<12>kong: "),
    "a higher level does not": ({"log_level": "err", **WARNING}, 200, None),
    "client error": ({"client_errors_severity": "err"}, 404, "<11>kong: "),
    "server error": ({"facility": "local7", "server_errors_severity": "crit"}, 500, "<186>kong: "),
    "all defaults": ({}, 500, "<14>kong: "),
}


@pytest.mark.parametrize(("config", "code", "head"), SENT.values(), ids=SENT)
def test_a_message_is_sent_by_its_severity(serve, sink, config, code, head):
    wrapped = serve(to(sink, **config), status(code))
    get(wrapped, headers={"Sys-Log-Uuid": "u-1"})
    wrapped.stop()
    if head is None:
        assert sink.got == []
        return
    text = sink.wait(1)[0].decode("ascii")
    assert text.startswith(head)
    entry = json.loads(text.removeprefix(head))
    assert entry["response"]["status"] == code
    assert entry["request"]["headers"]["sys-log-uuid"] == "u-1"


def test_the_newer_format(serve):
    with udp_sink() as sink:
        get(serve(Syslog(address=f"127.0.0.1:{sink.port}", format="5424")))
        text = sink.wait(1)[0].decode("ascii")
    head, _, message = text.partition(" kong - - - ")
    assert head.startswith("<14>1 20")
    assert json.loads(message)["response"]["status"] == 200


def test_a_message_that_daemons_would_cut_is_reduced(serve, sink):
    get(serve(to(sink)), headers={"X-Big": "x" * 9000})
    data = sink.wait(1)[0]
    assert len(data) <= 8000
    assert json.loads(data.partition(b": ")[2])["truncated"] is True


def test_text_is_data_and_one_line(serve, sink):
    get(serve(to(sink, custom_fields_by_lua={"route": "return nil"})), path="/?a=%25s%25n%0A<0>forged%00")
    data = sink.wait(1)[0]
    assert b"\n" not in data
    assert b"\0" not in data
    entry = json.loads(data.partition(b": ")[2])
    assert entry["request"]["querystring"] == {"a": "%s%n\n<0>forged\0"}


def test_entries_with_two_facilities_do_not_mix(serve, sink):
    other = Entry(to(sink, facility="local0"), instance="other")
    get(serve(to(sink), other))
    assert sorted(data.partition(b">")[0] for data in sink.wait(2)) == [b"<134", b"<14"]


def test_no_daemon_is_told_and_delays_nobody(serve, folder, caplog):
    wrapped = serve(Syslog(address=f"{folder}/nowhere"))
    for _ in range(5):
        assert get(wrapped).status_code == 200
    [queue] = Queues.of(wrapped.runtime).all()
    until(lambda: queue.lost == 5)
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 1
    assert f"could not send data to {folder}/nowhere: No such file or directory" in told[0]
