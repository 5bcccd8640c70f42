"""cors: configuration, preflights, other answers, and through an app."""

from __future__ import annotations

import pytest
from werkzeug.test import create_environ

from plugmw import ConfigError
from plugmw.contrib.cors import MAX_ORIGIN, METHODS, Cors, normalise
from plugmw.contrib.ip_restriction import IPRestriction
from plugmw.contrib.key_auth import KeyAuth
from plugmw.kernel.order import Entry
from plugmw.testing import gateway, get

ALL_METHODS = "GET,HEAD,PUT,PATCH,POST,DELETE,OPTIONS,TRACE,CONNECT"
PREFIX = "Access-Control-"


def preflight(config, origin, *, headers=None, **request):
    headers = {"Origin": origin, "Access-Control-Request-Method": "GET", **(headers or {})}
    return get(Cors(**config), method="OPTIONS", headers=headers, **request)


def simple(config, origin=None, **request):
    return get(Cors(**config), headers={} if origin is None else {"Origin": origin}, **request)


def cors(answer):
    """Return the CORS headers of an answer and its Vary, by short names."""
    return {
        name.removeprefix(PREFIX): value
        for name, value in answer.headers.items()
        if name.startswith(PREFIX) or name == "Vary"
    }


def app_with(*headers, status="200 OK"):
    def app(environ, start_response):
        start_response(status, [("Content-Length", "0"), *headers])
        return []

    return app


# -- configuration -----------------------------------------------------------------------------------------

BAD = {
    "origin that is no pattern": ({"origins": ["*", "["]}, r"origins\[1\]: '\[' is not a valid regex"),
    "quantifier first": ({"origins": ["*.example.test"]}, r"origins\[0\]: .* is not a valid regex"),
    "unknown method": ({"methods": ["GET", "LIST"]}, r"methods\[1\]: got 'LIST', expected one of GET, HEAD"),
    "method in small letters": ({"methods": ["get"]}, r"methods\[0\]: got 'get'"),
    "header with a line break": ({"headers": ["a\r\nb"]}, r"headers: got .* printable ASCII"),
    "exposed header with a line break": ({"exposed_headers": ["a\nb"]}, r"exposed_headers: got"),
    "age that is no number": ({"max_age": "1"}, r"max_age: got '1', expected a number"),
    "flag that is no boolean": ({"credentials": 1}, r"credentials: got 1, expected a boolean"),
}


@pytest.mark.parametrize(("config", "message"), BAD.values(), ids=BAD)
def test_refuses_a_bad_configuration(config, message):
    with pytest.raises(ConfigError, match=message):
        Cors(**config)


@pytest.mark.parametrize("value", [None, []], ids=["null", "empty"])
def test_takes_lists_that_are_left_open(value):
    Cors(origins=value, headers=value, exposed_headers=value, methods=value)


def test_cannot_be_attached_to_a_consumer():
    with pytest.raises(ConfigError, match="cors cannot be limited to a consumer"):
        gateway(Entry(Cors(), consumer="bob"), consumers=[{"username": "bob"}])


def test_announces_the_nine_methods_by_default():
    assert ",".join(METHODS) == ALL_METHODS
    assert Cors().config.methods == list(METHODS)


# -- access: preflights ------------------------------------------------------------------------------------

BASE = {"Allow-Methods": ALL_METHODS}

PREFLIGHTS = {
    # config, origin, further request headers -> CORS headers
    "defaults": ({}, "origin1.test", {}, {**BASE, "Allow-Origin": "*"}),
    "empty list of origins": ({"origins": []}, "origin1.test", {}, {**BASE, "Allow-Origin": "*"}),
    "star and credentials echo the origin": (
        {"origins": ["*"], "credentials": True},
        "origin5.test",
        {},
        {**BASE, "Allow-Origin": "origin5.test", "Allow-Credentials": "true", "Vary": "Origin"},
    ),
    "everything configured": (
        {
            "origins": ["example.test"],
            "methods": ["GET", "POST"],
            "headers": ["origin", "x-auth-token"],
            "exposed_headers": ["x-other"],
            "max_age": 23,
            "credentials": True,
            "private_network": True,
        },
        "anything",
        {"Access-Control-Request-Private-Network": "true"},
        {
            "Allow-Origin": "example.test",
            "Vary": "Origin",
            "Allow-Methods": "GET,POST",
            "Allow-Headers": "origin,x-auth-token",
            "Max-Age": "23",
            "Allow-Credentials": "true",
            "Allow-Private-Network": "true",
        },
    ),
    "a refused origin": (
        {"origins": ["https://a.test", "https://b.test"], "credentials": True},
        "https://c.test",
        {},
        {**BASE, "Vary": "Origin", "Allow-Credentials": "true"},
    ),
    "headers that were asked for": (
        {},
        "a.test",
        {"Access-Control-Request-Headers": "X-A, x-b"},
        {**BASE, "Allow-Origin": "*", "Allow-Headers": "X-A, x-b"},
    ),
    "an empty list of headers": (
        {"headers": []},
        "a.test",
        {"Access-Control-Request-Headers": "X-A"},
        {**BASE, "Allow-Origin": "*", "Allow-Headers": "X-A"},
    ),
    "configured headers, not those asked for": (
        {"headers": ["x-a"]},
        "a.test",
        {"Access-Control-Request-Headers": "x-b"},
        {**BASE, "Allow-Origin": "*", "Allow-Headers": "x-a"},
    ),
    "methods null": ({"methods": None}, "a.test", {}, {**BASE, "Allow-Origin": "*"}),
    "whole seconds": ({"max_age": 600.0}, "a.test", {}, {**BASE, "Allow-Origin": "*", "Max-Age": "600"}),
    "age zero": ({"max_age": 0}, "a.test", {}, {**BASE, "Allow-Origin": "*", "Max-Age": "0"}),
    "private network not asked for": ({"private_network": True}, "a.test", {}, {**BASE, "Allow-Origin": "*"}),
    "private network not allowed": (
        {},
        "a.test",
        {"Access-Control-Request-Private-Network": "true"},
        {**BASE, "Allow-Origin": "*"},
    ),
}


@pytest.mark.parametrize(("config", "origin", "headers", "expected"), PREFLIGHTS.values(), ids=PREFLIGHTS)
def test_answers_a_preflight(config, origin, headers, expected):
    calls = []
    answer = preflight(config, origin, headers=headers, app=lambda *given: calls.append(given))
    assert (answer.status_code, answer.data, answer.headers["Content-Length"]) == (200, b"", "0")
    assert cors(answer) == expected
    assert calls == []


def test_does_not_echo_control_characters_of_asked_headers():
    answer = preflight({}, "a.test", environ={"HTTP_ACCESS_CONTROL_REQUEST_HEADERS": "a\r\nSet-Cookie: b"})
    assert (answer.status_code, cors(answer)) == (200, {**BASE, "Allow-Origin": "*"})


def test_leaves_a_delegated_preflight_to_the_app():
    app = app_with(("Access-Control-Allow-Methods", "PUT"), status="201 Created")
    answer = preflight({"origins": ["example.test"], "preflight_continue": True}, "example.test", app=app)
    assert (answer.status_code, cors(answer)) == (201, {"Allow-Methods": "PUT"})


NO_PREFLIGHTS = {
    "no origin": {"Access-Control-Request-Method": "GET"},
    "empty origin": {"Access-Control-Request-Method": "GET", "Origin": ""},
    "no method asked for": {"Origin": "a.test"},
}


@pytest.mark.parametrize("headers", NO_PREFLIGHTS.values(), ids=NO_PREFLIGHTS)
def test_other_options_requests_are_simple_ones(headers):
    answer = get(Cors(), method="OPTIONS", headers=headers)
    assert (answer.text, cors(answer)) == ("hello", {"Allow-Origin": "*"})


def test_the_preflight_method_is_matched_exactly():
    answer = get(Cors(), method="options", headers={"Origin": "a", "Access-Control-Request-Method": "GET"})
    assert answer.text == "hello"


# -- origins -----------------------------------------------------------------------------------------------

WITH_PORT = [r"(.*[./])?foo\.test:8000"]
ANCHORED = [r"^http://(.*[.])?foo\.test(:(80|90))?$"]
TWO_SITES = ["http://my-site.test", "https://my-other-site.test:9000"]

ORIGINS = {
    # origins, Origin -> Allow-Origin
    "pattern with port, without": (WITH_PORT, "http://foo.test", None),
    "pattern with port, http": (WITH_PORT, "http://foo.test:8000", "http://foo.test:8000"),
    "pattern with port, https": (WITH_PORT, "https://foo.test:8000", "https://foo.test:8000"),
    "pattern with port, other port": (WITH_PORT, "http://foo.test:90", None),
    "pattern with port, other host": (WITH_PORT, "http://something.foo.test", None),
    "anchored pattern": (ANCHORED, "http://foo.test", "http://foo.test"),
    "anchored pattern, subdomain": (ANCHORED, "http://something.foo.test", "http://something.foo.test"),
    "anchored pattern, default port": (ANCHORED, "http://foo.test:80", "http://foo.test"),
    "anchored pattern, listed port": (ANCHORED, "http://foo.test:90", "http://foo.test:90"),
    "anchored pattern, other port": (ANCHORED, "http://foo.test:8000", None),
    "anchored pattern, other scheme": (ANCHORED, "https://foo.test:8000", None),
    "anchored pattern, longer host": (ANCHORED, "http://foo.test.evil.test", None),
    "host pattern, any scheme and port": ([r"foo\.test"], "https://foo.test:99", "https://foo.test:99"),
    "host pattern, longer at the end": ([r"foo\.test"], "http://foo.test.evil.test", None),
    "host pattern, longer at the start": ([r"foo\.test"], "http://evilfoo.test", None),
    "host pattern, in user information": ([r"foo\.test"], "http://foo.test@evil.test", None),
    "host pattern, in the path": ([r"foo\.test"], "http://evil.test/foo.test", None),
    "host pattern, behind a backslash": ([r"foo\.test"], "http://evil.test\\@foo.test", None),
    "alternation at top level": ([r"foo|foo\.test"], "http://foo.test", "http://foo.test"),
    "alternation at top level, longer": ([r"foo\.test|bar\.test"], "http://foo.test.evil.test", None),
    "two bare hosts need the whole origin": (["foo.test", "bar.test"], "http://foo.test", None),
    "two bare hosts, default port": (["foo.test", "bar.test"], "http://foo.test:80", None),
    "two bare hosts, other port": (["foo.test", "bar.test"], "https://bar.test:1234", None),
    "two literals": (TWO_SITES, "http://my-site.test", "http://my-site.test"),
    "two literals, default port": (TWO_SITES, "http://my-site.test:80", "http://my-site.test"),
    "two literals, other port": (TWO_SITES, "http://my-site.test:8000", None),
    "two literals, other scheme": (TWO_SITES, "https://my-site.test", None),
    "two literals, listed port": (TWO_SITES, "https://my-other-site.test:9000", "https://my-other-site.test:9000"),
    "two literals, port one higher": (TWO_SITES, "https://my-other-site.test:9001", None),
    "literal with a default port": (["https://a.test:443", "b"], "https://a.test", "https://a.test"),
    "one literal, whatever the origin": (["foo.bar"], "http://x.test", "foo.bar"),
    "one literal, no origin": (["foo.bar"], None, "foo.bar"),
    "several, no origin": (TWO_SITES, None, None),
    "star among several": (["foo.test", "*"], "http://x.test", "*"),
    "star among several, no origin": (["foo.test", "*"], None, None),
    "null is not let in": (TWO_SITES, "null", None),
    "null if it is listed": (["null", "foo.test"], "null", "null"),
    "too long for patterns": ([r".*\.test"], "http://" + "a" * MAX_ORIGIN + ".test", None),
}  # fmt: skip


@pytest.mark.parametrize(("origins", "origin", "allowed"), ORIGINS.values(), ids=ORIGINS)
def test_lets_origins_in(origins, origin, allowed):
    expected = {"Vary": "Origin", **({"Allow-Origin": allowed} if allowed else {})}
    assert cors(simple({"origins": origins}, origin)) == expected
    if origin:
        assert cors(preflight({"origins": origins}, origin)) == {**BASE, **expected}


NORMAL = {
    "http": ("http://a.test:80", ("http://a.test", "a.test")),
    "https": ("https://a.test:443", ("https://a.test", "a.test")),
    "the other's port": ("https://a.test:80", ("https://a.test:80", "a.test")),
    "no scheme": ("//a.test", ("a.test", "a.test")),
    "a path": ("http://a.test/b", ("http://a.test", "a.test")),
    "IPv6": ("http://[::1]:80", ("http://[::1]", "[::1]")),
    "another scheme": ("chrome-extension://abc", ("chrome-extension://abc", "abc")),
    "no host": ("a.test:80", ("a.test:80", "a.test:80")),
    "a port that is no number": ("http://a.test:x", ("http://a.test:x", "http://a.test:x")),
}


@pytest.mark.parametrize(("origin", "normal"), NORMAL.values(), ids=NORMAL)
def test_normalises_origins(origin, normal):
    assert normalise(origin) == normal


# -- header_filter: other answers --------------------------------------------------------------------------

SIMPLE = {
    # config, origin -> CORS headers
    "defaults": ({}, None, {"Allow-Origin": "*"}),
    "star without credentials": ({"origins": ["*"]}, "http://www.example.net", {"Allow-Origin": "*"}),
    "star with credentials": (
        {"credentials": True},
        "http://www.example.net",
        {"Allow-Origin": "http://www.example.net", "Allow-Credentials": "true", "Vary": "Origin"},
    ),
    "star with credentials, no origin": ({"credentials": True}, None, {"Allow-Origin": "*"}),
    "star among several with credentials": (
        {"origins": ["foo.test", "*"], "credentials": True},
        "http://x.test:80",
        {"Allow-Origin": "http://x.test:80", "Allow-Credentials": "true", "Vary": "Origin"},
    ),
    "credentials of a refused origin": (
        {"origins": ["foo.test", "bar.test"], "credentials": True},
        "http://x.test",
        {"Allow-Credentials": "true", "Vary": "Origin"},
    ),
    "exposed headers": (
        {"exposed_headers": ["x-a", "x-b"]},
        "http://x.test",
        {"Allow-Origin": "*", "Expose-Headers": "x-a,x-b"},
    ),
    "what only preflights get": (
        {"headers": ["a"], "max_age": 1, "methods": ["GET"], "private_network": True},
        "http://x.test",
        {"Allow-Origin": "*"},
    ),
}


@pytest.mark.parametrize(("config", "origin", "expected"), SIMPLE.values(), ids=SIMPLE)
def test_adds_headers_to_other_answers(config, origin, expected):
    assert cors(simple(config, origin)) == expected


@pytest.mark.parametrize("origin", ["http://a\r\nX: y", "http://a\x7f", "http://\xe9"])
def test_an_origin_that_is_no_printable_text_counts_as_none(origin):
    answer = get(Cors(credentials=True), environ={"HTTP_ORIGIN": origin})
    assert cors(answer) == {"Allow-Origin": "*"}


ABSENT = {"origins": ["foo.bar"], "exposed_headers": ["x-auth-token"], "credentials": True}
FULL = {
    "Allow-Origin": "foo.bar",
    "Allow-Credentials": "true",
    "Expose-Headers": "x-auth-token",
    "Vary": "Origin",
}


@pytest.mark.parametrize(
    ("allowed", "origin", "expected"),
    [
        (False, None, {}),
        (False, "", {}),
        (False, "http://x.test", FULL),
        (True, None, FULL),
        (True, "", FULL),
    ],
    ids=["off, none", "off, empty", "off, given", "on, none", "on, empty"],
)
def test_allow_origin_absent(allowed, origin, expected):
    assert cors(simple({**ABSENT, "allow_origin_absent": allowed}, origin)) == expected


def test_replaces_what_the_app_allows():
    app = app_with(
        ("access-control-allow-origin", "http://evil.test"), ("Access-Control-Expose-Headers", "b")
    )
    config = {"origins": ["http://a.test", "http://b.test"], "exposed_headers": ["a"]}
    assert cors(simple(config, "http://a.test", app=app)) == {
        "Allow-Origin": "http://a.test",
        "Expose-Headers": "a",
        "Vary": "Origin",
    }
    assert "Access-Control-Allow-Origin" not in simple(config, "http://c.test", app=app).headers


def test_s17_the_credentials_of_the_app_go_with_its_origins():
    app = app_with(("access-control-allow-credentials", "true"))
    assert cors(simple({"origins": ["*"]}, "http://a.test", app=app)) == {"Allow-Origin": "*"}


VARY = {
    "none": ([], ["Origin"]),
    "another name": (["Accept-Encoding"], ["Accept-Encoding", "Origin"]),
    "already there": (["accept, ORIGIN"], ["accept, ORIGIN"]),
    "everything": (["*"], ["*"]),
}


@pytest.mark.parametrize(("given", "sent"), VARY.values(), ids=VARY)
def test_keeps_the_vary_of_the_app(given, sent):
    app = app_with(*(("vary", value) for value in given))
    assert simple({"origins": ["foo.bar"]}, "http://x.test", app=app).headers.getlist("Vary") == sent


# -- through an app ----------------------------------------------------------------------------------------


def test_a_refusal_by_another_plugin_gets_headers():
    answer = get([Cors(), KeyAuth()])
    assert (answer.status_code, cors(answer)) == (401, {"Allow-Origin": "*"})


def test_a_preflight_needs_no_credentials():
    headers = {"Origin": "http://a.test", "Access-Control-Request-Method": "GET"}
    assert get([Cors(), KeyAuth()], method="OPTIONS", headers=headers).status_code == 200


def test_a_preflight_does_not_skip_ip_restriction():
    headers = {"Origin": "http://a.test", "Access-Control-Request-Method": "GET"}
    answer = get(
        [Cors(), IPRestriction(deny=["0.0.0.0/0"])],
        method="OPTIONS",
        headers=headers,
        environ={"REMOTE_ADDR": "10.0.0.1"},
    )
    assert (answer.status_code, cors(answer)) == (403, {"Allow-Origin": "*"})


def test_a_crash_that_is_answered_gets_headers():
    def app(environ, start_response):
        raise RuntimeError

    # Not through werkzeug's client: it raises whatever comes as exc_info, sent headers or not.
    sent = []
    crashing = gateway(Cors(), app=app, answer_crashes=True)
    crashing(create_environ(), lambda status, headers, exc_info=None: sent.extend([status, *headers]))
    assert sent[0] == "500 Internal Server Error"
    assert ("Access-Control-Allow-Origin", "*") in sent


@pytest.mark.parametrize("status", ["304 Not Modified", "404 Not Found", "500 Internal Server Error"])
def test_every_status_gets_headers(status):
    assert cors(simple({}, "http://a.test", app=app_with(status=status))) == {"Allow-Origin": "*"}


def test_head_gets_headers():
    assert cors(simple({}, "http://a.test", method="HEAD")) == {"Allow-Origin": "*"}
