"""statsd: configuration, the lines, the packets, and a server that is away."""

from __future__ import annotations

import re
import socket
import threading

import pytest

from plugmw import ConfigError, Plugin
from plugmw.contrib import statsd
from plugmw.contrib.statsd import StatsD
from plugmw.kernel.identity import Consumer
from plugmw.telemetry.queues import Queues
from plugmw.telemetry.sinks.datagrams import UDP
from plugmw.telemetry.sinks.tcp import Lines
from plugmw.testing import gateway, get
from tests.support.metrics import SCOPE, Known, UDPSink, reported, status_app

WORKSPACE = ("2b7e1f70-0000-4000-8000-00000000000a", "default")
COUNT = {"name": "request_count", "stat_type": "counter", "sample_rate": 1}


@pytest.fixture
def sink():
    made = UDPSink()
    yield made
    made.close()


def lines_of(sink, *others, scope=SCOPE, **config):
    reported(StatsD(**sink.at, **config), *(others or (Known(workspace=WORKSPACE),)), scope=scope)
    return sink.received()


def metric(name, **more):
    return {"name": name, "stat_type": "counter", "sample_rate": 1, **more}


# -- config -------------------------------------------------------------------------------------------


def test_defaults_are_kongs():
    made = StatsD().config
    assert (made.host, made.port, made.prefix, made.udp_packet_size) == ("localhost", 8125, "kong", 0)
    assert len(made.metrics) == 13
    assert (made.allow_status_codes, made.tag_style, made.use_tcp) == (None, None, False)


BAD = {
    "unknown metric": ({"metrics": [{"name": "x", "stat_type": "timer"}]}, "metrics[0].name: got 'x'"),
    "unknown type": ({"metrics": [{"name": "latency", "stat_type": "x"}]}, "metrics[0].stat_type: got 'x'"),
    "no name": ({"metrics": [{"stat_type": "timer"}]}, "metrics[0].name: missing"),
    "no type": ({"metrics": [{"name": "latency"}]}, "metrics[0].stat_type: missing"),
    "counter without a rate": (
        {"metrics": [{"name": "latency", "stat_type": "counter"}]},
        "metrics[0].sample_rate: missing, expected a number above 0",
    ),
    "gauge without a rate": (
        {"metrics": [{"name": "latency", "stat_type": "gauge"}]},
        "metrics[0].sample_rate: missing",
    ),
    "rate of 0": ({"metrics": [metric("latency", sample_rate=0)]}, "a number above 0"),
    "status codes": ({"allow_status_codes": ["200-"]}, "a list of ranges of status codes like 200-299"),
    "packet": ({"udp_packet_size": 65508}, "a number between 0 and 65507"),
    "port": ({"port": 65536}, "a port from 0 to 65535"),
    "tag style": ({"tag_style": "graphite"}, "tag_style: got 'graphite'"),
    "consumer": ({"consumer_identifier_default": "name"}, "consumer_identifier_default: got 'name'"),
    "service": ({"service_identifier_default": "name"}, "service_identifier_default: got 'name'"),
    "workspace": ({"workspace_identifier_default": "name"}, "workspace_identifier_default: got 'name'"),
    "old queue size": ({"queue_size": 0}, "queue_size: got 0"),
}


@pytest.mark.parametrize(("config", "message"), BAD.values(), ids=BAD)
def test_refuses_a_bad_configuration(config, message):
    with pytest.raises(ConfigError) as caught:
        StatsD(**config)
    assert message in str(caught.value)


def test_its_place_is_kongs():
    assert (StatsD.name, StatsD.priority, hasattr(StatsD, "log")) == ("statsd", 11, True)


# -- lines without tags -------------------------------------------------------------------------------

S = r"kong\.service\.svc1\."
TWELVE = [
    S + r"request\.count:1\|c",
    S + r"latency:\d+\|ms",
    S + r"request\.size:\d+\|c",
    S + r"status\.200:1\|c",
    S + r"response\.size:\d+\|c",
    S + r"user\.uniques:robert\|s",
    S + r"user\.robert\.request\.count:1\|c",
    S + r"upstream_latency:\d+\|ms",
    S + r"kong_latency:\d+\|ms",
    S + r"user\.robert\.status\.200:1\|c",
    S + r"workspace\.2b7e1f70-0000-4000-8000-00000000000a\.status\.200:1\|c",
    r"kong\.route\.2b7e1f70-0000-4000-8000-000000000002\.user\.robert\.status\.200:1\|c",
]


def matching(lines, patterns):
    return len(lines) == len(patterns) and all(map(re.fullmatch, patterns, lines))


def test_twelve_lines_with_workspace_and_consumer(sink):
    assert matching(lines_of(sink), TWELVE)


def test_eight_lines_without_a_consumer(sink):
    lines = lines_of(sink, Known(None, WORKSPACE))
    assert matching(lines, [one for one in TWELVE if "user" not in one])


def test_one_line_less_without_a_workspace(sink):
    assert matching(lines_of(sink, Known()), [one for one in TWELVE if "workspace" not in one])


def test_six_lines_for_a_request_without_a_route(sink):
    plugin = StatsD(**sink.at)
    scope = {"routes": [{"name": "r", "paths": ["/r"]}], "unrouted": "404"}
    assert reported(plugin, requests=["/nothing-here"], scope=scope) == [404]
    g = r"kong\.global\.unmatched\."
    wanted = [
        g + r"request\.count:1\|c",
        g + r"latency:\d+\|ms",
        g + r"request\.size:\d+\|c",
        g + r"status\.404:1\|c",
        g + r"response\.size:\d+\|c",
        g + r"kong_latency:\d+\|ms",
    ]
    assert matching(sink.received(), wanted)


def test_a_user_without_a_route_has_no_line_per_route(sink):
    lines = lines_of(sink, Known(), scope={}, metrics=[metric("status_count_per_user_per_route")])
    assert lines == []


class Refuse(Plugin):
    name, priority = "refuse", 1000

    def access(self, x):
        x.fail(401)


def test_an_exit_has_no_upstream_latency(sink):
    lines = lines_of(sink, Refuse())
    assert not [one for one in lines if "upstream" in one]
    assert "kong.service.svc1.status.401:1|c" in lines


ONE = {
    "prefix": ({"prefix": "prefix", "metrics": [COUNT]}, "prefix.service.svc1.request.count:1|c"),
    "service id": (
        {"metrics": [metric("request_count", service_identifier="service_id")]},
        "kong.service.2b7e1f70-0000-4000-8000-000000000001.request.count:1|c",
    ),
    "status by service id": (
        {"metrics": [metric("status_count", service_identifier="service_id")]},
        "kong.service.2b7e1f70-0000-4000-8000-000000000001.status.200:1|c",
    ),
    "service without that property": (
        {"metrics": [metric("request_count", service_identifier="service_host")]},
        "kong.service.unnamed.request.count:1|c",
    ),
    "service default": (
        {"service_identifier_default": "service_name", "metrics": [COUNT]},
        "kong.service.svc1.request.count:1|c",
    ),
    "username": (
        {"metrics": [metric("request_per_user", consumer_identifier="username")]},
        "kong.service.svc1.user.bob.request.count:1|c",
    ),
    "consumer id by default": (
        {"consumer_identifier_default": "consumer_id", "metrics": [metric("status_count_per_user")]},
        "kong.service.svc1.user.2b7e1f70-0000-4000-8000-000000000003.status.200:1|c",
    ),
    "workspace name": (
        {"metrics": [metric("status_count_per_workspace", workspace_identifier="workspace_name")]},
        "kong.service.svc1.workspace.default.status.200:1|c",
    ),
    "a set stays a set": ({"metrics": [metric("unique_users")]}, "kong.service.svc1.user.uniques:robert|s"),
    "no draw for a rate above 1": (
        {"metrics": [metric("request_count", sample_rate=2)]},
        "kong.service.svc1.request.count:1|c|@2",
    ),
}


@pytest.mark.parametrize(("config", "line"), ONE.values(), ids=ONE)
def test_one_metric_makes_one_line(sink, config, line):
    assert lines_of(sink, **config) == [line]


def test_dots_of_a_service_become_underscores(sink):
    scope = {
        "services": [{"name": "a.b:c"}],
        "routes": [{"name": "r", "paths": ["/"], "service": "a.b:c"}],
    }
    assert lines_of(sink, scope=scope, metrics=[COUNT]) == ["kong.service.a_b_c.request.count:1|c"]


def test_latency_may_be_a_gauge(sink):
    [line] = lines_of(sink, metrics=[{"name": "latency", "stat_type": "gauge", "sample_rate": 1}])
    assert re.fullmatch(S + r"latency:\d+\|g", line)


def test_the_hostname_may_go_into_the_prefix(sink, monkeypatch):
    monkeypatch.setattr(statsd.socket, "gethostname", lambda: "web1.shop")
    lines = lines_of(sink, hostname_in_prefix=True, metrics=[COUNT])
    assert lines == ["kong.node.web1_shop.service.svc1.request.count:1|c"]


def test_no_metrics_send_nothing(sink):
    assert lines_of(sink, metrics=[]) == []


def test_shared_dictionaries_are_not_there(sink):
    assert lines_of(sink, metrics=[{"name": "shdict_usage", "stat_type": "gauge", "sample_rate": 1}]) == []


def test_a_hostile_custom_id_makes_one_line(sink):
    known = Known(Consumer(id="x", username="u", custom_id="a:1|c\nevil.x:9|c"))
    lines = lines_of(sink, known, metrics=[metric("request_per_user")])
    assert lines == ["kong.service.svc1.user.a_1_c_evil_x_9_c.request.count:1|c"]


STATUSES = [f"/status/{code}" for code in (200, 204, 205, 301, 400, 404, 500)]


def test_only_listed_statuses_are_reported(sink):
    plugin = StatsD(**sink.at, allow_status_codes=["200-204", "400-404"], metrics=[metric("status_count")])
    reported(plugin, requests=STATUSES, app=status_app)
    assert sink.received() == [f"kong.service.svc1.status.{code}:1|c" for code in (200, 204, 400, 404)]


def test_an_empty_list_of_statuses_reports_nothing(sink):
    assert lines_of(sink, allow_status_codes=[]) == []


# -- tags ---------------------------------------------------------------------------------------------


def tags_of(line):
    return dict(pair.split(":") for pair in line.partition("|#")[2].split(","))


def test_six_metrics_have_tags(sink):
    lines = lines_of(sink, tag_style="dogstatsd")
    assert [one.partition(":")[0] for one in lines] == [
        *("kong.request.count", "kong.latency", "kong.request.size", "kong.response.size"),
        *("kong.upstream_latency", "kong.kong_latency"),
    ]
    assert all("service:svc1" in one for one in lines)


def test_tags_name_what_was_asked_for(sink, monkeypatch):
    monkeypatch.setattr(statsd.socket, "gethostname", lambda: "web1.shop")
    chosen = {
        "service_identifier": "service_id",
        "workspace_identifier": "workspace_name",
        "consumer_identifier": "consumer_id",
    }
    lines = lines_of(
        sink, tag_style="dogstatsd", hostname_in_prefix=True, metrics=[metric("request_size", **chosen)]
    )
    assert [tags_of(one) for one in lines] == [
        {
            "service": "2b7e1f70-0000-4000-8000-000000000001",
            "route": "route1",
            "workspace": "default",
            "consumer": "2b7e1f70-0000-4000-8000-000000000003",
            "node": "web1_shop",
            "status": "200",
        }
    ]
    assert lines[0].startswith("kong.request.size:")


def test_tags_without_a_value_are_left_out(sink):
    [line] = lines_of(sink, Known(None), tag_style="dogstatsd", metrics=[COUNT])
    assert {"workspace", "consumer"}.isdisjoint(tags_of(line))


def test_no_service_no_tags(sink):
    assert lines_of(sink, tag_style="librato", scope={}, metrics=[COUNT]) == ["kong.request.count:1|c"]


def test_a_hostile_consumer_forges_no_tag(sink):
    known = Known(Consumer(id="x", custom_id="a,status:500|x\n"))
    [line] = lines_of(sink, known, tag_style="dogstatsd", metrics=[COUNT])
    assert (tags_of(line)["consumer"], tags_of(line)["status"]) == ("a_status_500_x_", "200")


# -- packets and TCP ----------------------------------------------------------------------------------

THREE = [
    COUNT,
    {"name": "upstream_latency", "stat_type": "timer"},
    {"name": "kong_latency", "stat_type": "timer"},
]
SIZES = {500: [3], 85: [2, 1], 1: [1, 1, 1], 0: [1, 1, 1]}


@pytest.mark.parametrize(("size", "counts"), SIZES.items(), ids=str)
def test_lines_share_a_datagram_while_they_fit(sink, size, counts):
    packets = lines_of(sink, udp_packet_size=size, metrics=THREE)
    assert [packet.count("\n") + 1 for packet in packets] == counts


def test_a_line_above_the_limit_is_warned_of(sink, caplog):
    lines_of(sink, udp_packet_size=1, metrics=[COUNT])
    assert "statsd: a line of 35 bytes exceeds udp_packet_size (1)" in caplog.messages


def test_the_sink_is_udp_unless_tcp_is_asked_for():
    assert isinstance(StatsD(host="a", port=2).sink(), UDP)
    assert isinstance(StatsD(host="a", port=2, use_tcp=True).sink(), Lines)


class TCPSink:
    def __init__(self):
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        self.got = b""
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    def _serve(self):
        connection, _ = self.listening.accept()
        with connection, self.listening:
            while data := connection.recv(4096):
                self.got += data


def test_tcp_has_a_line_end_behind_each_line():
    sink = TCPSink()
    plugin = StatsD(host="127.0.0.1", port=sink.port, use_tcp=True, metrics=[COUNT, metric("status_count")])
    reported(plugin, requests=["/a", "/b"])
    sink.thread.join()
    exchange = b"kong.service.svc1.request.count:1|c\nkong.service.svc1.status.200:1|c\n"
    assert sink.got == exchange * 2


def test_tcp_keeps_only_what_was_not_sent():
    class Half:
        def send(self, lines):
            del lines[0]
            if lines:
                raise OSError("gone")

    plugin = StatsD(use_tcp=True)
    batch = [[b"1\n"], [b"2\n", b"3\n"], [b"4\n"]]
    with pytest.raises(OSError, match="gone"):
        plugin.send(Half(), batch)
    assert batch == [[b"3\n"], [b"4\n"]]


# -- a server that is away ----------------------------------------------------------------------------


def test_a_server_that_cannot_be_found_changes_no_answer(caplog):
    plugin = StatsD(host="a.invalid", queue={"max_retry_time": -1})
    assert reported(plugin, requests=["/a", "/b"]) == [200, 200]
    assert "statsd: handler could not process entries: could not connect to a.invalid:8125" in caplog.text


def test_nobody_listening_changes_no_answer():
    sink = UDPSink()
    sink.close()
    assert reported(StatsD(**sink.at), requests=["/a"] * 3) == [200] * 3


def test_what_waits_is_bounded(monkeypatch):
    monkeypatch.setattr("threading.Thread.start", lambda self: None)
    plugin = StatsD(queue={"max_entries": 5})
    wrapped = gateway(plugin)
    for _ in range(20):
        get(wrapped)
    [queue] = Queues.of(plugin.runtime).all()
    assert (len(queue), queue.dropped) == (5, 15)
