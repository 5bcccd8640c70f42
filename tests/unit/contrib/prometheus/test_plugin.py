"""prometheus: configuration, what is counted, the scrape, and workers of real gunicorn."""

from __future__ import annotations

import json
import re

import pytest
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client

from plugmw import ConfigError, Entry, Gateway, Plugin
from plugmw.contrib.prometheus import Exporter, Prometheus
from plugmw.contrib.prometheus import plugin as prometheus
from plugmw.contrib.prometheus.plugin import METRICS
from plugmw.events import QUEUE_DROPPED, RELOADS, SERVER_RESTARTS, STORE_ERRORS, UPSTREAM_FAILURES
from plugmw.testing import gateway, get, hello_app
from tests.support.metrics import Known
from tests.support.servers import ROOT

ALL = {"status_code_metrics": True, "latency_metrics": True, "bandwidth_metrics": True}
SCOPE = {
    "services": [{"name": "mock-service"}],
    "routes": [{"name": "http-route", "paths": ["/"], "service": "mock-service"}],
}


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)


def scraped(wrapped):
    return Client(Exporter(wrapped)).get("/metrics").text


def after(config, *others, scope=SCOPE, app=hello_app, **request):
    """Return the scrape after one request."""
    wrapped = gateway(Prometheus(**config), *others, app=app, **scope)
    get(wrapped, **request)
    return scraped(wrapped)


def samples(text, name):
    return [line for line in text.splitlines() if line.startswith(name)]


# -- config -------------------------------------------------------------------------------------------


def test_nothing_is_counted_by_default():
    made = Prometheus().config
    assert not any(
        (made.per_consumer, made.status_code_metrics, made.latency_metrics, made.bandwidth_metrics)
    )
    names = {line.split(" ")[2] for line in after({}).splitlines() if line.startswith("# TYPE")}
    assert names == {
        "kong_node_info",
        "kong_nginx_metric_errors_total",
        "plugmw_reload_total",
        "plugmw_store_errors_total",
        "plugmw_pluginserver_restarts_total",
    }


BAD = {
    "text for a flag": ({"latency_metrics": "yes"}, "latency_metrics: got 'yes', expected a boolean"),
    "path": ({"path": "metrics"}, "path: got 'metrics', expected a path that starts with /"),
    "address": ({"allow": ["x"]}, "an IP address or CIDR range"),
    "unknown": ({"metrics": True}, 'unknown field "metrics"'),
}


@pytest.mark.parametrize(("config", "message"), BAD.values(), ids=BAD)
def test_refuses_a_bad_configuration(config, message):
    with pytest.raises(ConfigError) as caught:
        Prometheus(**config)
    assert message in str(caught.value)


def test_fields_for_other_gateways_are_warned_of(caplog):
    gateway(Prometheus(ai_metrics=True, upstream_health_metrics=True))
    assert caplog.messages == [
        "prometheus: upstream_health_metrics does nothing here",
        "prometheus: ai_metrics does nothing here",
    ]


def test_its_place_is_kongs():
    assert (Prometheus.name, Prometheus.priority) == ("prometheus", 13)
    assert all(hasattr(Prometheus, phase) for phase in ("init_worker", "configure", "log"))


# -- what is counted ----------------------------------------------------------------------------------


def test_requests_are_counted_by_route_and_status():
    assert samples(after(ALL), "kong_http_requests_total") == [
        'kong_http_requests_total{service="mock-service",route="http-route",code="200",source="service",'
        'workspace="default",consumer=""} 1'
    ]


BOUNDS = {
    "kong_kong_latency_ms": [1, 2, 5, 7, 10, 15, 20, 30, 50, 75, 100, 200, 500, 750, 1000, 3000, 6000],
    "kong_upstream_latency_ms": [25, 50, 80, 100, 250, 400, 700, 1000, 2000, 5000, 10000, 30000, 60000],
    "kong_request_latency_ms": [25, 50, 80, 100, 250, 400, 700, 1000, 2000, 5000, 10000, 30000, 60000],
}


@pytest.mark.parametrize(("name", "bounds"), BOUNDS.items(), ids=BOUNDS)
def test_latencies_have_kongs_buckets(name, bounds):
    text = after({"latency_metrics": True})
    found = re.findall(
        rf'{name}_bucket{{service="mock-service",route="http-route",workspace="default",le="(.*)"', text
    )
    assert found == [*map(str, bounds), "+Inf"]
    assert f'{name}_count{{service="mock-service",route="http-route",workspace="default"}} 1' in text


def test_bandwidth_has_no_total_and_no_created():
    text = after({"bandwidth_metrics": True}, method="POST", data=b"hello")
    egress, ingress = samples(text, "kong_bandwidth_bytes")
    labels = 'service="mock-service",route="http-route",direction="{}",workspace="default",consumer=""'
    for line, direction in ((egress, "egress"), (ingress, "ingress")):
        assert line.startswith(f"kong_bandwidth_bytes{{{labels.format(direction)}}} ")
        assert int(line.rpartition(" ")[2]) >= 5
    assert "kong_bandwidth_bytes_total" not in text
    assert "_created" not in text


def test_nothing_of_no_bytes_is_counted(monkeypatch):
    monkeypatch.setattr(
        prometheus.log_entry, "entry", lambda x: {"request": {"size": 0}, "response": {"size": 9}}
    )
    assert len(samples(after({"bandwidth_metrics": True}), "kong_bandwidth_bytes")) == 1


class Refuse(Plugin):
    name, priority = "refuse", 1000

    def access(self, x):
        x.fail(401)


def test_a_refusal_counts_as_kongs_without_an_upstream_latency():
    text = after({**ALL, "per_consumer": True}, Refuse())
    assert 'code="401",source="kong",workspace="default",consumer=""} 1' in text
    assert samples(text, "kong_upstream_latency_ms") == []
    assert samples(text, "kong_request_latency_ms_count")[0].endswith(" 1")


@pytest.mark.parametrize(("told", "consumer"), [(True, "bob"), (False, "")], ids=["told", "not told"])
def test_consumers_are_named_only_if_wanted(told, consumer):
    text = after({**ALL, "per_consumer": told}, Known())
    assert f'consumer="{consumer}"}} 1' in samples(text, "kong_http_requests_total")[0]


def test_a_route_may_have_no_service():
    text = after(ALL, scope={"routes": [{"name": "r", "paths": ["/"]}]})
    assert samples(text, "kong_http_requests_total")[0].startswith(
        'kong_http_requests_total{service="",route="r"'
    )


def test_without_a_route_nothing_is_counted_unless_wanted():
    scope = {"routes": [{"name": "r", "paths": ["/r"]}], "unrouted": "404"}
    assert samples(after(ALL, scope=scope), "kong_http") == []
    text = after({**ALL, "unrouted": True}, scope=scope)
    assert 'service="",route="",code="404",source="kong"' in text


def test_an_odd_status_is_0():
    def odd(environ, start_response):
        start_response("999 What", [])
        return [b""]

    assert 'code="0"' in after(ALL, app=odd)


def test_a_failure_to_count_is_counted_and_told_once(monkeypatch, caplog):
    def fail(x):
        raise ValueError("broken")

    wrapped = gateway(Prometheus(**ALL), **SCOPE)
    monkeypatch.setattr(prometheus.log_entry, "latencies", fail)
    assert [get(wrapped).status_code for _ in range(2)] == [200, 200]
    assert "kong_nginx_metric_errors_total 2\n" in scraped(wrapped)
    assert caplog.messages.count("prometheus: an exchange could not be recorded") == 1


def test_a_healthy_scrape_has_no_errors_and_tells_the_version():
    text = after(ALL)
    assert "kong_nginx_metric_errors_total 0\n" in text
    assert re.search(r'kong_node_info{node_id="[0-9a-f-]{36}",version="[\d.]+"} 1\n', text)
    assert all(line.startswith(("#", "kong", "plugmw")) for line in text.splitlines())


# -- the scrape ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/metrics", "/metrics/"])
def test_the_exporter_may_be_mounted(path):
    wrapped = gateway(Prometheus(**ALL), **SCOPE)
    app = DispatcherMiddleware(wrapped, {"/metrics": Exporter(wrapped)})
    get(wrapped)
    answer = Client(app).get(path)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/plain; charset=UTF-8")
    assert "kong_http_requests_total" in answer.text
    head = Client(app).head(path)
    assert (head.data, int(head.headers["Content-Length"])) == (b"", len(answer.data))


def test_the_exporter_alone_says_where_to_go():
    client = Client(Exporter(gateway(Prometheus())))
    assert client.get("/").text == "Kong Prometheus exporter, visit /metrics\n"
    answer = client.get("/other")
    assert (answer.status_code, answer.json) == (404, {"message": "Not found"})


def test_a_disabled_plugin_tells_nothing_of_routes():
    wrapped = Gateway(
        hello_app, {**SCOPE, "store": "memory://"}, plugins=[Entry(Prometheus(**ALL), enabled=False)]
    )
    get(wrapped)
    assert {line.split(" ")[2] for line in scraped(wrapped).splitlines() if line.startswith("# TYPE")} == {
        "kong_node_info",
        "kong_nginx_metric_errors_total",
        "plugmw_reload_total",
        "plugmw_store_errors_total",
        "plugmw_pluginserver_restarts_total",
    }


def test_a_plugin_that_could_not_start_breaks_no_scrape(tmp_path):
    (tmp_path / "file").touch()
    wrapped = gateway(Prometheus(**ALL, folder=str(tmp_path / "file")), **SCOPE)
    assert get(wrapped).status_code == 200
    assert "kong_node_info" in scraped(wrapped)
    wrapped.stop()


PLACES = {
    "listed": ("10.1.2.3", "/metrics", True),
    "not listed": ("11.1.2.3", "/metrics", False),
    "unknown": ("", "/metrics", False),
    "another path": ("10.1.2.3", "/metric", False),
}


@pytest.mark.parametrize(("client", "path", "shown"), PLACES.values(), ids=PLACES)
def test_a_path_shows_metrics_to_listed_addresses(client, path, shown):
    wrapped = gateway(Refuse(), Prometheus(**ALL, path="/metrics", allow=["10.0.0.0/8"]), **SCOPE)
    answer = get(wrapped, path=path, environ={"REMOTE_ADDR": client})
    assert answer.status_code == (200 if shown else 401)
    assert ("kong_node_info" in answer.text) is shown
    wrapped.stop()


def test_there_is_no_path_by_default():
    assert get(gateway(Prometheus(**ALL), **SCOPE), path="/metrics").text == "hello"


# -- the dashboard ------------------------------------------------------------------------------------


def test_the_dashboard_asks_for_metrics_that_exist():
    board = json.loads((ROOT / "recipes/observability/grafana-dashboard.json").read_text(encoding="utf-8"))
    queries = [target["expr"] for panel in board["panels"] for target in panel.get("targets", ())]
    queries += [one["query"] for one in board["templating"]["list"] if one["type"] == "query"]
    named = {name for query in queries for name in re.findall(r"\b(?:kong|plugmw)_\w+", query)}
    suffixes = ("", "_bucket", "_count", "_sum")
    known = {one.name + end for one in METRICS for end in (suffixes if one.buckets else ("",))}
    assert len(named) > 5
    assert named <= known
    labels = {label for one in METRICS for label in one.labels} | {"le", "instance", "job"}
    for query in queries:
        for inside in re.findall(r"by \(([^)]*)\)", query):
            assert {one.strip() for one in inside.split(",")} <= labels


@pytest.mark.parametrize(("port", "given"), [("9542", True), ("8000", False)])
def test_the_metrics_may_be_on_a_port_of_their_own(port, given):
    wrapped = gateway(Prometheus(**ALL, path="/metrics", port=9542), **SCOPE)
    answer = get(wrapped, path="/metrics", environ={"SERVER_PORT": port, "REMOTE_ADDR": "127.0.0.1"})
    assert (answer.text != "hello") is given


# -- what happens beside requests ---------------------------------------------------------------------


def happened(text):
    """Return the samples of the gateway's own counters that are not 0."""
    return [line for line in samples(text, "plugmw_") if not line.endswith(" 0")]


def test_what_happened_is_counted():
    wrapped = gateway(Prometheus())
    for name, label, amount in (
        (RELOADS, "applied", 1),
        (RELOADS, "refused", 2),
        (STORE_ERRORS, "", 3),
        (QUEUE_DROPPED, "http-log", 4),
        (SERVER_RESTARTS, "", 5),
        (UPSTREAM_FAILURES, "connect", 6),
    ):
        wrapped.runtime.events.count(name, label, amount)
    assert happened(scraped(wrapped)) == [
        'plugmw_reload_total{result="applied"} 1',
        'plugmw_reload_total{result="refused"} 2',
        "plugmw_store_errors_total 3",
        'plugmw_queue_dropped_total{sink="http-log"} 4',
        "plugmw_pluginserver_restarts_total 5",
        'plugmw_upstream_failures_total{reason="connect"} 6',
    ]


def test_two_entries_count_once():
    wrapped = gateway(Entry(Prometheus()), Entry(Prometheus(), route="http-route"), **SCOPE)
    get(wrapped)
    wrapped.runtime.events.count(STORE_ERRORS)
    assert happened(scraped(wrapped)) == ["plugmw_store_errors_total 1"]


def test_two_gateways_of_one_server_count_their_own(tmp_path):
    wrapped = [gateway(Prometheus(folder=str(tmp_path))) for _ in range(2)]
    for each, count in zip(wrapped, (1, 2), strict=True):
        each.start(multiprocess=True)
        each.runtime.events.count(STORE_ERRORS, "", count)
    assert [happened(scraped(each)) for each in wrapped] == [["plugmw_store_errors_total 3"]] * 2
    for each in wrapped:
        each.stop()


def test_what_happens_while_a_gateway_is_stopped_is_counted_when_it_starts_again(tmp_path):
    wrapped = gateway(Prometheus(folder=str(tmp_path)))
    wrapped.start(multiprocess=True)
    wrapped.stop()
    wrapped.runtime.events.count(RELOADS, "refused")
    assert happened(scraped(wrapped)) == ['plugmw_reload_total{result="refused"} 1']
    wrapped.stop()


def test_reloads_are_counted_from_the_first(tmp_path):
    path = tmp_path / "gateway.yaml"
    path.write_text("plugins: []")
    wrapped = Gateway(hello_app, path, reload=False)
    wrapped.start()
    path.write_text("plugins: [{name: nothing-of-the-kind}]")
    assert not wrapped.reload()
    path.write_text("plugins: [{name: prometheus}]")
    assert wrapped.reload()
    assert happened(scraped(wrapped)) == [
        'plugmw_reload_total{result="applied"} 1',
        'plugmw_reload_total{result="refused"} 1',
    ]


# -- the time of plugins ------------------------------------------------------------------------------


class Slow(Plugin):
    name, priority = "slow", 20

    def rewrite(self, x):
        x.ctx["seen"] = ["rewrite"]

    def access(self, x):
        x.ctx["seen"].append("access")

    def header_filter(self, x):
        x.ctx["seen"].append("header_filter")

    def body_filter(self, x, chunk, end):
        return chunk

    def log(self, x):
        assert x.ctx["seen"] == ["rewrite", "access", "header_filter"]


class Whole(Plugin):
    name, priority = "whole", 19

    def response(self, x):
        x.body = b"whole"


def counts(text):
    """Return (plugin, phase) to the number of observations."""
    found = re.findall(
        r'^plugmw_plugin_seconds_count\{plugin="(.*)",phase="(.*)"\} (\d+)$', text, re.MULTILINE
    )
    return {(plugin, phase): int(count) for plugin, phase, count in found}


def once(*phases, name="slow"):
    return {(name, phase): 1 for phase in phases}


OWN_PHASES = once("rewrite", "log", name="prometheus")


def test_the_time_in_each_phase_of_each_plugin_is_kept():
    text = after({"plugin_metrics": True}, Slow(), Whole())
    slow = once("rewrite", "access", "header_filter", "log")
    # The log of the plugin itself is over before the scrape.
    assert counts(text) == {
        **slow,
        ("slow", "body_filter"): 2,
        **once("response", name="whole"),
        **OWN_PHASES,
    }
    assert [line.partition("} ")[0] for line in samples(text, "plugmw_plugin_seconds_bucket")][:10] == [
        f'plugmw_plugin_seconds_bucket{{plugin="prometheus",phase="log",le="{bound}"'
        for bound in ("1e-05", 0.0001, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5)
    ]


def test_a_plugin_that_a_request_picks_is_timed_too():
    never = Entry(Slow(), when=lambda x: x.method == "POST")
    entries = (never, Entry(Whole(), when=lambda x: x.method == "GET"))
    assert counts(after({"plugin_metrics": True}, *entries)) == {
        **once("response", name="whole"),
        **OWN_PHASES,
    }


class Refusing(Plugin):
    name, priority = "refusing", 30

    def access(self, x):
        x.fail(403)


def test_a_phase_that_refuses_is_timed_and_what_filters_its_answer_too():
    class Below(Plugin):
        name, priority = "below", 20

        def header_filter(self, x):
            x.set_header("X-Below", "1")

    text = after({"plugin_metrics": True}, Below(), Refusing())
    assert counts(text) == {
        **once("access", name="refusing"),
        **once("header_filter", name="below"),
        **OWN_PHASES,
    }


class Broken(Plugin):
    name, priority = "broken", 30

    def body_filter(self, x, chunk, end):
        raise RuntimeError("no")


def test_a_timed_body_filter_that_fails_is_told_under_its_own_entry(caplog):
    wrapped = gateway(Prometheus(plugin_metrics=True), Entry(Broken(), on_error="open", where="here"))
    assert get(wrapped).text == "hello"
    assert "here: broken failed in body_filter" in caplog.text


def test_by_default_no_time_is_taken():
    wrapped = gateway(Prometheus(), Slow())
    get(wrapped)
    assert "plugmw_plugin_seconds" not in scraped(wrapped)
    assert wrapped.entries[0].plugin.takes_times is None
