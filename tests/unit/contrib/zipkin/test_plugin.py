"""zipkin: configuration, headers, spans, and a server that is away."""

from __future__ import annotations

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from plugmw import ConfigError, Entry, Plugin
from plugmw.contrib.zipkin import Zipkin
from plugmw.contrib.zipkin import plugin as zipkin
from plugmw.contrib.zipkin.plugin import PerSecond
from plugmw.testing import gateway, get
from tests.support.metrics import SCOPE, Known

T = "0af7651916cd43dd8448eb211c80319c"
S, P = "b7ad6b7169203331", "b7ad6b7169203332"
ID = "[0-9a-f]{16}"


class Sink:
    """A server that keeps spans; answers ``status``."""

    def __init__(self):
        self.spans, self.requests, self.status = [], [], 202
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                sink.requests.append((self.path, self.headers["Content-Type"]))
                sink.spans += json.loads(body)
                self.send_response(sink.status)
                self.end_headers()

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/api/v2/spans"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def sink():
    made = Sink()
    yield made
    made.close()


def sent(config, headers=(), *others, scope=SCOPE, **request):
    """Send a request; return the headers that the app got, the answer, and the environ."""
    saw = []
    wrapped = gateway(Zipkin(**config), *others, **scope)
    environ = {"plugmw.testing.saw": saw, **request.pop("environ", {})}
    answer = get(wrapped, headers=dict(headers), environ=environ, **request)
    wrapped.stop()
    seen = saw[0] if saw else {}
    upstream = {k[5:].lower().replace("_", "-"): v for k, v in seen.items() if k.startswith("HTTP_")}
    return upstream, answer, seen


# -- config -------------------------------------------------------------------------------------------


def test_defaults_are_kongs():
    made = Zipkin().config
    assert (made.sample_ratio, made.local_service_name, made.traceid_byte_count) == (0.001, "kong", 16)
    assert (made.connect_timeout, made.send_timeout, made.read_timeout) == (2000, 5000, 5000)
    assert (made.tags_header, made.http_span_name, made.phase_duration_flavor) == (
        *("Zipkin-Tags", "method", "annotations"),
    )


BAD = {
    "protected tag": ({"static_tags": [{"name": "http.method", "value": "bar"}]}, "static_tags: http.method"),
    "repeated tag": (
        {"static_tags": [{"name": "a", "value": "b"}, {"name": "a", "value": "c"}]},
        "repeated tags are not allowed: a",
    ),
    "ratio": ({"sample_ratio": 1.1}, "a number between 0 and 1"),
    "byte count": ({"traceid_byte_count": 9}, "one of 8, 16"),
    "endpoint": ({"http_endpoint": "zipkin:9411"}, "an http or https URL"),
    "user info": ({"http_endpoint": "http://a:b@h/"}, "has user info"),
    "header type": ({"header_type": "x"}, "header_type: got 'x'"),
    "format": ({"propagation": {"extract": ["x"]}}, "propagation.extract[0]: got 'x'"),
    "response header": ({"http_response_header_for_traceid": "a b"}, "a header name"),
    "span name": ({"http_span_name": "x"}, "http_span_name: got 'x'"),
    "time-out": ({"connect_timeout": 0}, "a number above 0"),
}


@pytest.mark.parametrize(("config", "message"), BAD.values(), ids=BAD)
def test_refuses_a_bad_configuration(config, message):
    with pytest.raises(ConfigError) as caught:
        Zipkin(**config)
    assert message in str(caught.value)
    assert "a:b@" not in str(caught.value)


def test_its_place_is_kongs():
    assert (Zipkin.name, Zipkin.priority) == ("zipkin", 100_000)
    assert all(hasattr(Zipkin, phase) for phase in ("access", "header_filter", "log"))


# -- headers ------------------------------------------------------------------------------------------

SINGLE = {"sample_ratio": 1, "default_header_type": "b3-single"}
HEADERS = {
    "no endpoint, w3c beside what came": (
        {"sample_ratio": 1, "header_type": "w3c"},
        {"x-b3-sampled": "1", "x-b3-traceid": T},
        {"x-b3-traceid": T, "traceparent": f"00-{T}-{ID}-01"},
    ),
    "b3 in one header": (SINGLE, {"b3": f"{T}-{S}-1-{P}"}, {"b3": f"{T}-(?!{S}){ID}-1-{S}"}),
    "short ids of jaeger": (
        SINGLE,
        {"uber-trace-id": f"1234:{S}:0:1"},
        {"uber-trace-id": f"0{{28}}1234:{ID}:{S}:01"},
    ),
    "8 bytes of ot": (
        {**SINGLE, "propagation": {"extract": ["datadog"], "inject": ["preserve"], "default_format": "ot"}},
        {},
        {"ot-tracer-traceid": ID, "ot-tracer-spanid": ID},
    ),
    "blanks of aws": (
        SINGLE,
        {"x-amzn-trace-id": f"  Root =   1-0af76519-{T[8:]}  ;  Parent= {S};  Sampled   =1"},
        {"x-amzn-trace-id": f"Root=1-0af76519-{T[8:]};Parent={ID};Sampled=1"},
    ),
    "gcp": (
        SINGLE,
        {"x-cloud-trace-context": f"{T}/13235353014750950193;o=1"},
        {"x-cloud-trace-context": rf"{T}/\d{{1,20}};o=1"},
    ),
    "b3 before w3c": (
        {
            **SINGLE,
            "propagation": {"extract": ["b3", "w3c", "jaeger"], "inject": ["w3c"], "default_format": "b3"},
        },
        {"traceparent": f"00-{T}-{S}-01", "x-b3-traceid": "d" * 32, "x-b3-spanid": P, "x-b3-sampled": "1"},
        {"traceparent": f"00-{'d' * 32}-{ID}-01", "x-b3-spanid": P},
    ),
    "what is not written stays": (
        {**SINGLE, "propagation": {"extract": ["b3"], "inject": ["w3c"], "default_format": "w3c"}},
        {"b3": f"{T}-{S}-1-{P}"},
        {"b3": f"{T}-{S}-1-{P}", "traceparent": f"00-{T}-{ID}-01"},
    ),
    "cleared": (
        {
            **SINGLE,
            "propagation": {
                "extract": ["w3c", "ot"],
                "inject": ["preserve"],
                "clear": ["ot-tracer-traceid", "ot-tracer-spanid", "ot-tracer-sampled"],
                "default_format": "b3",
            },
        },
        {
            "traceparent": f"00-{T}-{S}-01",
            "ot-tracer-traceid": T,
            "ot-tracer-spanid": S,
            "ot-tracer-sampled": "1",
        },
        {
            "traceparent": f"00-{T}-{ID}-01",
            "ot-tracer-traceid": None,
            "ot-tracer-spanid": None,
            "ot-tracer-sampled": None,
        },
    ),
    "not sampled": (
        {"sample_ratio": 0, "default_header_type": "b3", "header_type": "b3"},
        {},
        {"x-b3-traceid": "[0-9a-f]{32}", "x-b3-sampled": "0"},
    ),
    "not sampled, in one header": (
        {"sample_ratio": 0, "default_header_type": "b3-single"},
        {},
        {"b3": f"[0-9a-f]{{32}}-{ID}-0-{ID}"},
    ),
    "a new trace of 8 bytes": ({"sample_ratio": 0, "traceid_byte_count": 8}, {}, {"x-b3-traceid": ID}),
    "ignore": (
        {"sample_ratio": 1, "header_type": "ignore", "default_header_type": "w3c"},
        {"b3": f"{T}-{S}-1"},
        {"b3": f"{T}-{S}-1", "traceparent": f"00-(?!{T})[0-9a-f]{{32}}-{ID}-01"},
    ),
    "debug": ({"sample_ratio": 0}, {"x-b3-flags": "1"}, {"x-b3-flags": "1", "x-b3-sampled": None}),
    "not trusted": (
        {"sample_ratio": 0, "trust_incoming": False},
        {"x-b3-traceid": T, "x-b3-sampled": "1"},
        {"x-b3-traceid": f"(?!{T})[0-9a-f]{{32}}", "x-b3-sampled": "0"},
    ),
    "nothing is written": (
        {"propagation": {"extract": ["b3"]}},
        {},
        {"x-b3-traceid": None, "traceparent": None},
    ),
    "only clear": (
        {"propagation": {"clear": ["traceparent"]}},
        {"traceparent": f"00-{T}-{S}-01"},
        {"x-b3-traceid": None, "traceparent": None},
    ),
}


@pytest.mark.parametrize(("config", "headers", "expected"), HEADERS.values(), ids=HEADERS)
def test_the_app_gets_these_headers(config, headers, expected):
    upstream, answer, _ = sent(config, headers)
    assert answer.status_code == 200
    for name, pattern in expected.items():
        value = upstream.get(name)
        assert value is None if pattern is None else re.fullmatch(pattern, value), (name, value)


def test_trusted_peers_are_believed_in_any_case():
    config = {"sample_ratio": 0, "trust_incoming": False}
    scope = {"trusted": ["10.0.0.0/8"]}
    upstream, *_ = sent(config, {"x-b3-traceid": T}, scope=scope, environ={"REMOTE_ADDR": "10.0.0.1"})
    assert upstream["x-b3-traceid"] == T


def test_the_id_is_noted_for_logs_and_told_in_a_header_if_wanted():
    config = {"header_type": "w3c", "http_response_header_for_traceid": "X-Trace"}
    _, answer, environ = sent(config, {"x-b3-traceid": T})
    assert environ["plugmw.trace_id"] == {"b3": T, "w3c": T}
    assert answer.headers["X-Trace"] == T


def test_clients_may_force_only_so_many_requests_a_second(monkeypatch):
    wrapped = gateway(Zipkin(sample_ratio=0, forced_per_second=2))
    monkeypatch.setattr(zipkin.time, "monotonic", lambda: 5.0)
    saw = []
    for _ in range(4):
        get(wrapped, headers={"x-b3-flags": "1"}, environ={"plugmw.testing.saw": saw})
    assert [one["HTTP_X_B3_SAMPLED"] for one in saw if "HTTP_X_B3_SAMPLED" in one] == ["0", "0"]


def test_each_second_begins_anew(monkeypatch):
    now = 5.0
    monkeypatch.setattr(zipkin.time, "monotonic", lambda: now)
    allowed = PerSecond(1)
    assert (allowed(), allowed()) == (True, False)
    now = 6.0
    assert allowed()


def test_broken_headers_are_warned_of_once_a_minute(caplog):
    wrapped = gateway(Zipkin())
    for _ in range(3):
        assert get(wrapped, headers={"traceparent": "x"}).status_code == 200
    assert caplog.messages == ["zipkin: invalid W3C traceparent header; ignoring."]


# -- spans --------------------------------------------------------------------------------------------


def test_a_sampled_request_has_two_spans(sink):
    headers = {"b3": f"{T}-{S}-1-{P}", "Host": "shop.example"}
    config = {**SINGLE, "http_endpoint": sink.url, "static_tags": [{"name": "env", "value": "prod"}]}
    upstream, *_ = sent(
        config,
        headers,
        Known(),
        path="/a?key=secret",
        environ={"REMOTE_ADDR": "10.1.1.1", "REMOTE_PORT": "5000"},
    )
    proxy, request = sink.spans
    assert sink.requests == [("/api/v2/spans", "application/json")] * 2
    assert (request["traceId"], request["id"], request["parentId"]) == (T, S, P)
    assert (request["name"], request["kind"]) == ("GET", "SERVER")
    assert request["localEndpoint"] == {"serviceName": "kong"}
    assert request["remoteEndpoint"] == {"ipv4": "10.1.1.1", "port": 5000}
    assert re.fullmatch("[0-9a-f-]{36}", request["tags"].pop("kong.node.id"))
    assert request["tags"] == {
        "lc": "kong",
        "http.method": "GET",
        "http.host": "shop.example",
        "http.path": "/a",
        "http.protocol": "HTTP/1.1",
        "http.status_code": "200",
        "kong.consumer": "2b7e1f70-0000-4000-8000-000000000003",
        "kong.credential": "2b7e1f70-0000-4000-8000-000000000004",
        "env": "prod",
    }
    assert [one["value"] for one in request["annotations"]] == ["krs", "krf"]
    assert (proxy["name"], proxy["kind"], proxy["parentId"]) == ("GET (proxy)", "CLIENT", S)
    assert proxy["id"] == upstream["b3"].split("-")[1]
    assert proxy["tags"] == {
        "kong.route": "2b7e1f70-0000-4000-8000-000000000002",
        "kong.route_name": "route1",
        "kong.service": "2b7e1f70-0000-4000-8000-000000000001",
        "kong.service_name": "svc1",
    }
    assert proxy["remoteEndpoint"] == {"serviceName": "svc1"}
    assert [one["value"] for one in proxy["annotations"]] == ["kas", "kaf", "khs", "khf", "kbs", "kbf"]
    times = [one["timestamp"] for one in proxy["annotations"]]
    assert times == sorted(times)
    assert all(isinstance(one[key], int) for one in sink.spans for key in ("timestamp", "duration"))


def test_a_request_without_a_route_has_a_bare_proxy_span(sink):
    scope = {"routes": [{"name": "r", "paths": ["/r"]}], "unrouted": "404"}
    _, answer, _ = sent({"sample_ratio": 1, "http_endpoint": sink.url}, scope=scope)
    proxy, request = sink.spans
    assert (answer.status_code, request["tags"]["http.status_code"]) == (404, "404")
    assert ("tags" in proxy, proxy["remoteEndpoint"], request["remoteEndpoint"]) == (False, None, None)
    assert "parentId" not in request


def test_a_request_that_is_not_sampled_has_no_span(sink):
    sent({"sample_ratio": 0, "http_endpoint": sink.url})
    sent({"sample_ratio": 1, "http_endpoint": sink.url}, {"b3": "0"})
    assert sink.requests == []


def test_durations_may_be_tags(sink):
    sent({**SINGLE, "http_endpoint": sink.url, "phase_duration_flavor": "tags"}, {"x-b3-sampled": "1"})
    proxy, request = sink.spans
    assert "annotations" not in request
    assert re.fullmatch(r"\d+(\.\d+)?", request["tags"]["kong.rewrite.duration_ms"])
    for phase in ("access", "header_filter", "body_filter"):
        assert isinstance(proxy["tags"][f"kong.{phase}.duration_ms"], str)


def test_good_tags_of_the_request_are_kept_and_bad_ones_warned_of(sink, caplog):
    config = {
        **SINGLE,
        "http_endpoint": sink.url,
        "http_span_name": "method_path",
        "include_credential": False,
    }
    wrapped = gateway(Zipkin(**config), Known(), **SCOPE)
    for _ in range(2):
        get(wrapped, path="/p", headers={"zipkin-tags": "foobar;foo=;=bar;keep=true;="})
    wrapped.stop()
    request = sink.spans[1]
    assert (request["name"], request["tags"]["keep"]) == ("GET /p", "true")
    assert {"foo", "kong.credential"}.isdisjoint(request["tags"])
    assert caplog.messages == ["Could not parse the following Zipkin tags: foobar, foo=, =bar, ="]


class Refuse(Plugin):
    name, priority = "refuse", 1000

    def access(self, x):
        x.fail(401)


def test_a_refusal_has_spans_too(sink):
    _, answer, _ = sent({"sample_ratio": 1, "http_endpoint": sink.url}, {}, Refuse())
    assert (answer.status_code, sink.spans[1]["tags"]["http.status_code"]) == (401, "401")


def test_only_the_most_specific_entry_acts(sink):
    everywhere = Zipkin(sample_ratio=0, http_endpoint=sink.url)
    here = Entry(Zipkin(sample_ratio=1, http_endpoint=sink.url), route="route1")
    wrapped = gateway(everywhere, here, **SCOPE)
    get(wrapped)
    wrapped.stop()
    assert len(sink.spans) == 2


def test_spans_of_a_batch_go_together(sink):
    sent({"sample_ratio": 1, "http_endpoint": sink.url, "queue": {"max_batch_size": 10}})
    assert (len(sink.requests), len(sink.spans)) == (1, 2)


def test_tries_of_a_service_are_spans(sink):
    port = sink.server.server_port
    scope = {
        "services": [{"name": "up", "url": f"http://127.0.0.1:{port}/"}],
        "routes": [{"name": "r", "paths": ["/"], "service": "up"}],
    }
    sent({"sample_ratio": 1, "http_endpoint": sink.url}, scope=scope)
    one, proxy, request = sink.spans
    assert (one["name"], one["parentId"]) == ("GET (balancer try 1)", request["id"])
    assert (
        one["remoteEndpoint"]
        == proxy["remoteEndpoint"]
        == {
            "serviceName": "up",
            "ipv4": "127.0.0.1",
            "port": port,
        }
    )
    assert proxy["tags"]["peer.hostname"] == "127.0.0.1"


# -- a server that is away ----------------------------------------------------------------------------

ONCE = {"max_retry_time": -1}


def test_a_server_that_refuses_changes_no_answer(sink, caplog):
    sink.status = 500
    _, answer, _ = sent({"sample_ratio": 1, "http_endpoint": sink.url, "queue": ONCE})
    assert answer.status_code == 200
    assert "zipkin request failed: 500" in caplog.text


def test_a_server_that_is_down_changes_no_answer(caplog):
    sink = Sink()
    sink.close()
    _, answer, _ = sent({"sample_ratio": 1, "http_endpoint": sink.url, "queue": ONCE})
    assert answer.status_code == 200
    assert "zipkin request failed: failed request to 127.0.0.1" in caplog.text
