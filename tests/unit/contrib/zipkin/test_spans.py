"""Spans: tags of requests, times, tries."""

from __future__ import annotations

import pytest

from plugmw.contrib.zipkin.spans import MOST, Phases, Report, request_tags
from plugmw.routing.router import Route
from plugmw.telemetry.propagation import Span
from plugmw.wsgi.upstream_request import UpstreamRequest

TAGS = {
    "one": ("a=b", {"a": "b"}, []),
    "blanks": (" a = b ; c = d e ;", {"a": "b", "c": "d e"}, []),
    "repeated header": ("a=b, c=d,e", {"a": "b", "c": "d,e"}, []),
    "equals in a value": ("a=b=c", {"a": "b=c"}, []),
    "nothing": ("", {}, []),
    "empty pieces": (";;a=b;;", {"a": "b"}, []),
    "partly bad": ("foobar;foo=;=bar;keep=true;=", {"keep": "true"}, ["foobar", "foo=", "=bar", "="]),
    "blank in a name": ("a b=c", {}, ["a b=c"]),
    "protected": ("http.method=x;kong.route=y", {}, ["http.method=x", "kong.route=y"]),
    "name too long": ("a" * 65 + "=b", {}, ["a" * 64]),
    "value too long": ("a=" + "b" * 257, {}, ["a=" + "b" * 62]),
    "line breaks are not for logs": ("\x1b[2J\na", {}, [r"\x1b[2J\na"]),
}


@pytest.mark.parametrize(("text", "good", "bad"), TAGS.values(), ids=TAGS)
def test_tags_of_a_request(text, good, bad):
    assert request_tags(text) == (good, bad)


def test_tags_of_a_request_are_bounded():
    good, bad = request_tags(";".join(f"a{n}=b" for n in range(100)))
    assert (len(good), len(bad)) == (MOST, MOST)


class X:
    """What a report wants of an exchange."""

    started, begun, app_called, first_byte, ended = 100.0, 10.0, 10.002, 10.003, 10.005
    route = Route("route1", id="r-id")
    service, service_facts = "svc1", {"id": "s-id", "name": "svc1", "host": "h"}

    def __init__(self, **more):
        self.environ = {}
        self.__dict__.update(more)


def test_times_are_microseconds_of_the_wall_clock():
    assert Phases.of(X(), 10.001, 10.0025) == Phases(
        100_000_000, 100_001_000, 100_002_000, 100_002_500, 100_003_000, 100_005_000
    )


def test_a_clock_that_goes_back_makes_no_negative_time():
    assert set(vars_of(Phases.of(X(app_called=5.0, first_byte=3.0, ended=1.0), 4.0, 0.0))) == {100_000_000}


def vars_of(phases):
    return [getattr(phases, name) for name in phases.__slots__ if name != "__weakref__"]


def tries_of(*tries, **more):
    x = X(**more)
    UpstreamRequest.of(x.environ).tries = list(tries)
    report = Report(x, Phases.of(x, 10.001, 10.004), "kong", False)
    parent = Span("a" * 32, "b" * 16, None, True)
    return list(report.tries("GET", parent)), report.proxy("GET", parent, None)


def test_each_try_is_a_span_below_the_request():
    spans, proxy = tries_of({"ip": "10.0.0.1", "port": 80}, {"ip": "::1", "port": 81})
    assert [one["name"] for one in spans] == ["GET (balancer try 1)", "GET (balancer try 2)"]
    assert {one["parentId"] for one in spans} == {"b" * 16}
    assert len({one["id"] for one in spans}) == 2
    first, last = spans
    assert first["tags"] == {
        "kong.balancer.try": "1",
        "kong.route": "r-id",
        "kong.route_name": "route1",
        "kong.service": "s-id",
        "kong.service_name": "svc1",
        "error": "true",
        "kong.balancer.state": "failed",
    }
    assert "error" not in last["tags"]
    assert first["remoteEndpoint"] == {"serviceName": "svc1", "ipv4": "10.0.0.1", "port": 80}
    assert (
        proxy["remoteEndpoint"]
        == last["remoteEndpoint"]
        == {"serviceName": "svc1", "ipv6": "::1", "port": 81}
    )
    assert (last["timestamp"], last["duration"]) == (100_002_000, 2_000)


def test_a_try_may_say_when_it_was_and_how_it_ended():
    told = {
        "ip": "h",
        "port": 80,
        "balancer_start": 100_001,
        "balancer_latency": 3,
        "state": "next",
        "code": 502,
    }
    [span], _ = tries_of(told)
    assert (span["timestamp"], span["duration"]) == (100_001_000, 3_000)
    assert (span["tags"]["kong.balancer.state"], span["tags"]["http.status_code"]) == ("next", "502")
    assert span["remoteEndpoint"] == {"serviceName": "svc1", "port": 80}


def request_of(durations_as_tags=False, **more):
    facts = {"method": "GET", "host": "shop", "status": 0, "consumer": None, "client_ip": None, **more}
    x = X(**facts)
    x.environ = {"PATH_INFO": "/a", "QUERY_STRING": "key=secret", **more.get("environ", {})}
    report = Report(x, Phases.of(x, 10.001, 10.0025), "kong", durations_as_tags)
    return report.request("GET", Span("a" * 32, "b" * 16, "c" * 16, True), {"more": "tag", "empty": ""})


def test_the_span_of_a_request_has_no_empty_tags_and_no_query():
    made = request_of()
    assert made["tags"] == {
        "lc": "kong",
        "http.method": "GET",
        "http.host": "shop",
        "http.path": "/a",
        "http.status_code": "500",
        "more": "tag",
    }
    assert (made["parentId"], made["timestamp"], made["duration"]) == ("c" * 16, 100_000_000, 5_000)
    assert made["annotations"] == [
        {"value": "krs", "timestamp": 100_000_000},
        {"value": "krf", "timestamp": 100_001_000},
    ]
    assert made["remoteEndpoint"] is None


def test_the_other_end_of_a_request_is_the_client():
    made = request_of(client_ip="10.0.0.1", environ={"REMOTE_PORT": "5000"})
    assert made["remoteEndpoint"] == {"ipv4": "10.0.0.1", "port": 5000}


def test_durations_may_be_tags():
    made = request_of(durations_as_tags=True)
    assert made["tags"]["kong.rewrite.duration_ms"] == "1"
    assert "annotations" not in made


def test_what_has_no_route_has_a_bare_proxy_span():
    x = X(route=None, service=None, service_facts=None)
    proxy = Report(x, Phases.of(x, 10.001, 10.0025), "kong", False).proxy(
        "GET", Span("a" * 32, "b" * 16, None, True), "default"
    )
    assert ("tags" in proxy, "parentId" in proxy, proxy["remoteEndpoint"]) == (False, False, None)


def test_a_service_without_a_name_has_the_default_one():
    x = X(service=None, service_facts=None)
    proxy = Report(x, Phases.of(x, 10.001, 10.0025), "kong", False).proxy(
        "GET", Span("a" * 32, "b" * 16, None, True), "default"
    )
    assert proxy["remoteEndpoint"] == {"serviceName": "default"}
