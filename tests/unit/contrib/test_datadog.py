"""datadog: configuration, the lines, and an agent that is away."""

from __future__ import annotations

import re

import pytest

from plugmw import ConfigError, Plugin
from plugmw.contrib.datadog import Datadog
from plugmw.kernel.identity import Consumer
from plugmw.testing import gateway
from tests.support.metrics import SCOPE, Known, UDPSink, reported

FOO = Consumer(id="2b7e1f70-0000-4000-8000-000000000003", username="foo", custom_id="bar")
DD1 = {"services": [{"name": "dd1"}], "routes": [{"name": "route1", "paths": ["/"], "service": "dd1"}]}


@pytest.fixture
def sink():
    made = UDPSink()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in ("HOST", "PORT"):
        monkeypatch.delenv(f"KONG_DATADOG_AGENT_{name}", raising=False)


def metric(name="request_count", **more):
    return {"name": name, "stat_type": "counter", "sample_rate": 1, **more}


def lines_of(sink, *others, scope=DD1, requests=("/",), **config):
    reported(Datadog(**sink.at, **config), *(others or (Known(FOO),)), scope=scope, requests=requests)
    return sink.received()


# -- config -------------------------------------------------------------------------------------------


def test_defaults_are_kongs():
    made = Datadog().config
    assert (made.host, made.port, made.prefix) == ("localhost", 8125, "kong")
    assert [one.name for one in made.metrics] == [
        *("request_count", "latency", "request_size", "response_size", "upstream_latency", "kong_latency")
    ]
    assert all(one.tags == ["app:kong"] and one.consumer_identifier == "custom_id" for one in made.metrics)


@pytest.mark.parametrize("tag", ["K:V", "K:V:W", "K"])
def test_tags_may_be_values_or_bare(tag):
    assert Datadog(metrics=[metric(tags=[tag])]).config.metrics[0].tags == [tag]


BAD = {
    "tag that ends in a colon": ({"metrics": [metric(tags=["T1:"])]}, "metrics[0].tags: got ['T1:']"),
    "empty tag": ({"metrics": [metric(tags=[""])]}, "metrics[0].tags"),
    "tag with a comma": ({"metrics": [metric(tags=["a,b"])]}, "metrics[0].tags"),
    "no name": ({"metrics": [{"stat_type": "counter", "sample_rate": 1}]}, "metrics[0].name: missing"),
    "no type": ({"metrics": [{"name": "latency"}]}, "metrics[0].stat_type: missing"),
    "unknown metric": ({"metrics": [metric("status_count")]}, "metrics[0].name: got 'status_count'"),
    "counter without a rate": (
        {"metrics": [{"name": "latency", "stat_type": "counter"}]},
        "metrics[0].sample_rate: missing, expected a number from 0 to 1",
    ),
    "rate above 1": ({"metrics": [metric(sample_rate=1.5)]}, "a number between 0 and 1"),
    "port": ({"port": -1}, "a port from 0 to 65535"),
}


@pytest.mark.parametrize(("config", "message"), BAD.values(), ids=BAD)
def test_refuses_a_bad_configuration(config, message):
    with pytest.raises(ConfigError) as caught:
        Datadog(**config)
    assert message in str(caught.value)


def test_no_host_at_all_is_refused():
    with pytest.raises(ConfigError, match="host: is null and KONG_DATADOG_AGENT_HOST is not set"):
        gateway(Datadog(host=None))


@pytest.mark.parametrize("told", ["x", "65536", "", "²"])
def test_a_bad_port_of_the_environment_is_refused(monkeypatch, told):
    monkeypatch.setenv("KONG_DATADOG_AGENT_PORT", told)
    with pytest.raises(ConfigError, match="from KONG_DATADOG_AGENT_PORT"):
        gateway(Datadog(port=None))


def test_its_place_is_kongs():
    assert (Datadog.name, Datadog.priority, hasattr(Datadog, "log")) == ("datadog", 10, True)


# -- lines --------------------------------------------------------------------------------------------


def six(tags):
    names = ["latency", r"request\.size", r"response\.size", "upstream_latency", "kong_latency"]
    first = re.escape(f"kong.request.count:1|c|#{tags}")
    return [first, *(rf"kong\.{name}:\d+\|ms\|#{re.escape(tags)}" for name in names)]


def test_six_lines_with_tags_in_order(sink):
    lines = lines_of(sink)
    assert len(lines) == 6
    assert all(map(re.fullmatch, six("name:dd1,status:200,consumer:bar,app:kong"), lines))


def test_tags_may_have_other_names(sink):
    lines = lines_of(sink, service_name_tag="upstream", status_tag="http_status", consumer_tag="user")
    assert len(lines) == 6
    assert all(map(re.fullmatch, six("upstream:dd1,http_status:200,user:bar,app:kong"), lines))


def test_letters_of_any_language_stay_in_tags(sink):
    lines = lines_of(sink, Known(Consumer(id="x", username="u", custom_id="Jürgen")))
    assert all(map(re.fullmatch, six("name:dd1,status:200,consumer:Jürgen,app:kong"), lines))


def test_host_and_port_may_come_from_the_environment(sink, monkeypatch):
    monkeypatch.setenv("KONG_DATADOG_AGENT_HOST", sink.host)
    monkeypatch.setenv("KONG_DATADOG_AGENT_PORT", str(sink.port))
    reported(Datadog(host=None, port=None), scope=DD1)
    assert len(sink.received()) == 6


def test_two_exchanges_in_one_batch_are_twelve_datagrams_and_never_more(sink):
    assert len(lines_of(sink, requests=("/", "/"), queue={"max_batch_size": 2})) == 12


def test_no_service_is_an_empty_tag(sink):
    scope = {"routes": [{"name": "r", "paths": ["/r"]}], "unrouted": "404"}
    lines = lines_of(sink, Known(None), scope=scope)
    assert "kong.request.count:1|c|#name:,status:404,app:kong" in lines


NAMED = {
    "consumer id": ("consumer_id", ",consumer:2b7e1f70_0000_4000_8000_000000000003"),
    "custom id": ("custom_id", ",consumer:bar"),
    "username": ("username", ",consumer:foo"),
    "nothing": (None, ""),
}


@pytest.mark.parametrize(("identifier", "tag"), NAMED.values(), ids=NAMED)
def test_a_consumer_is_named_as_configured(sink, identifier, tag):
    lines = lines_of(sink, metrics=[metric(consumer_identifier=identifier)])
    assert lines == [f"kong.request.count:1|c|#name:dd1,status:200{tag}"]


def test_a_consumer_without_that_name_has_no_tag(sink):
    lines = lines_of(
        sink, Known(Consumer(id="x", username="u")), metrics=[metric(consumer_identifier="custom_id")]
    )
    assert lines == ["kong.request.count:1|c|#name:dd1,status:200"]


def test_dots_of_a_service_become_underscores(sink):
    scope = {
        "services": [{"name": "127.0.0.1"}],
        "routes": [{"name": "r", "paths": ["/"], "service": "127.0.0.1"}],
    }
    lines = lines_of(sink, scope=scope, metrics=[metric()])
    assert lines == ["kong.request.count:1|c|#name:127_0_0_1,status:200"]


def test_a_rate_stands_before_the_tags(sink, monkeypatch):
    monkeypatch.setattr("random.random", lambda: 0.4)
    metrics = [metric(sample_rate=0.5), metric("request_size", sample_rate=0.25)]
    assert lines_of(sink, metrics=metrics) == ["kong.request.count:1|c|@0.5|#name:dd1,status:200"]


class Refuse(Plugin):
    name, priority = "refuse", 1000

    def access(self, x):
        x.fail(401)


def test_an_exit_has_no_upstream_latency(sink):
    lines = lines_of(sink, Refuse())
    assert (len(lines), [one for one in lines if "upstream" in one]) == (5, [])


def test_a_hostile_consumer_forges_nothing(sink):
    known = Known(Consumer(id="x", username="u", custom_id="x:a|b\nc,d#"))
    lines = lines_of(sink, known, metrics=[metric(consumer_identifier="custom_id", tags=["K:V"])])
    assert lines == ["kong.request.count:1|c|#name:dd1,status:200,consumer:x_a_b_c_d_,K:V"]


# -- an agent that is away ----------------------------------------------------------------------------


def test_an_agent_that_cannot_be_found_changes_no_answer(caplog):
    plugin = Datadog(host="a.invalid", queue={"max_retry_time": -1})
    assert reported(plugin, requests=["/a", "/b"], scope=SCOPE) == [200, 200]
    assert "datadog: handler could not process entries: could not connect to a.invalid:8125" in caplog.text
