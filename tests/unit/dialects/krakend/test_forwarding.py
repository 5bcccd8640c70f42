"""What of a request goes to backends."""

from __future__ import annotations

import io

import pytest

from plugmw import __version__
from plugmw.concurrency.deadline import Deadline
from plugmw.dialects.krakend.forwarding import (
    BadParameter,
    Call,
    Pattern,
    capitalised,
    check_parameters,
    environ_for,
    headers_of,
    narrowed,
    query_of,
    with_query,
)
from plugmw.kernel import state
from plugmw.wsgi import keys
from plugmw.wsgi.proxies import Trusted
from plugmw.wsgi.upstream_request import UpstreamRequest
from tests.support.wsgi import environ_of

AGENT = f"KrakenD Version {__version__}"
OWN = {"X-Forwarded-For": ["1.2.3.4"], "X-Forwarded-Host": ["shop.example:81"]}


def asked(**extra):
    sent = {"REMOTE_ADDR": "1.2.3.4", "HTTP_HOST": "shop.example:81", "CONTENT_TYPE": "text/x"}
    return environ_of("/x", **{**sent, **extra})


@pytest.mark.parametrize(
    ("names", "headers"),
    [
        ([], {"Content-Type": ["text/x"], "User-Agent": [AGENT]}),
        (["x-a"], {"X-A": ["1"], "User-Agent": [AGENT]}),
        (["content-type"], {"Content-Type": ["text/x"], "User-Agent": [AGENT]}),
        (["user-agent"], {"User-Agent": ["curl"], "X-Forwarded-Via": [AGENT]}),
        (
            ["*"],
            {
                "X-A": ["1"],
                "Content-Type": ["text/x"],
                "User-Agent": ["curl"],
                "X-Forwarded-Via": [AGENT],
                "Cookie": ["c=1"],
            },
        ),
        (["host", "content-length", "connection"], {"User-Agent": [AGENT]}),
    ],
    ids=["none", "one", "content type", "user agent", "all", "what never goes on"],
)
def test_headers_are_those_listed_and_krakends_own(names, headers):
    environ = asked(
        HTTP_X_A="1",
        HTTP_USER_AGENT="curl",
        HTTP_COOKIE="c=1",
        HTTP_CONNECTION="close",
        CONTENT_LENGTH="3",
        HTTP_X_FORWARDED_FOR="6.6.6.6",
    )
    assert headers_of(environ, names, Trusted()) == {**OWN, **headers}


def test_the_clients_address_is_the_one_that_the_gateway_believes():
    environ = asked(HTTP_X_FORWARDED_FOR="6.6.6.6", HTTP_X_FORWARDED_HOST="front.example")
    found = headers_of(environ, ["*"], Trusted(["1.2.3.4"]))
    assert (found["X-Forwarded-For"], found["X-Forwarded-Host"]) == (["6.6.6.6"], ["front.example"])
    unknown = asked(REMOTE_ADDR="", HTTP_X_FORWARDED_FOR="6.6.6.6")
    assert "X-Forwarded-For" not in headers_of(unknown, ["*"], Trusted())


@pytest.mark.parametrize(
    ("names", "query"),
    [
        ([], {}),
        (["a"], {"a": ["1", "2"]}),
        (["A", "none"], {}),
        (["é"], {"é": ["ü"]}),
        (["*"], {"a": ["1", "2"], "b": [""], "é": ["ü"]}),
    ],
)
def test_queries_are_those_listed_with_all_values(names, query):
    assert query_of(asked(QUERY_STRING="a=1&b&a=2&%C3%A9=%C3%BC"), names) == query


@pytest.mark.parametrize(
    ("names", "found"),
    [([], {"X-A": ["1"], "B": ["2"]}), (["*"], {}), (["x-a"], {"X-A": ["1"]})],
)
def test_a_backend_narrows_down_what_the_endpoint_lets_through(names, found):
    values = {"X-A": ["1"], "B": ["2"]}
    made = narrowed(values, names, str.lower)
    assert made == found
    assert all(made[name] is not values[name] for name in made), "a backend's modifiers change a copy"


def test_parameters_begin_with_a_capital():
    assert capitalised({"id": "1", "userId": "2", "A": "3"}) == {"Id": "1", "UserId": "2", "A": "3"}


@pytest.mark.parametrize("value", ["a%2f", "100%", "a?b", "#", ".", "..", "..;", ".;a=b", "..\\x"])
def test_a_parameter_with_a_meaning_in_paths_is_refused(value):
    with pytest.raises(BadParameter, match="error: encoded url params"):
        check_parameters(["fine", value])


def test_other_parameters_are_taken():
    check_parameters(["a b", "é", "a&b=c", "...", "a.b", "a;..", "..a", "a..;b"])


@pytest.mark.parametrize(
    ("pattern", "parameters", "filled"),
    [
        ("/b", {}, "/b"),
        ("/b/{id}", {"Id": "7"}, "/b/7"),
        ("/b/{id}/{Other}", {"Id": "7", "Other": "8"}, "/b/7/8"),
        ("/b/{id}", {"Id": "a b&c=d;é"}, "/b/a%20b&c=d;%C3%A9"),
        ("/b/{id}", {"Id": "\r\nX: y"}, "/b/%0D%0AX:%20y"),
        ("/b/{id}", {"Id": "a/b?c#d%"}, "/b/a/b%3Fc%23d%25"),
        ("/b?q={id}&r=1", {"Id": "1&admin=2"}, "/b?q=1%26admin%3D2&r=1"),
        ("/b/{id}", {}, "/b/"),
        ("/b/{id}", {"Id": 5}, "/b/5"),
        ("/é /%41", {}, "/%C3%A9%20/%41"),
        ("/../b/{id}", {"Id": "7"}, "/../b/7"),
        ("/b/{id}", {"Id": "a;..b"}, "/b/a;..b"),
    ],
)
def test_a_pattern_is_filled_and_a_parameter_stays_one_value(pattern, parameters, filled):
    assert Pattern(pattern).fill(parameters) == filled


@pytest.mark.parametrize("value", ["..", ".", "a/../../admin", "..;", "..;x=y", "a/..;/b", ".;", "a\\..\\b"])
def test_a_parameter_never_leads_out_of_its_place(value):
    with pytest.raises(BadParameter):
        Pattern("/b/{id}/c").fill({"Id": value})
    with pytest.raises(BadParameter):
        Pattern("/.{other}/{id}").fill({"Id": value, "Other": "x"})


@pytest.mark.parametrize(
    ("url", "query", "made"),
    [
        ("http://h/b", {}, "http://h/b"),
        ("http://h/b", {"z": ["1"], "a": ["2 3", "é&"]}, "http://h/b?a=2+3&a=%C3%A9%26&z=1"),
        ("http://h/b?c=1", {"a": ["2"]}, "http://h/b?c=1&a=2"),
    ],
)
def test_a_query_is_added_sorted_by_name(url, query, made):
    assert with_query(url, query) == made


# -- the environ of a call -------------------------------------------------------------------------------


def environ_to(url, environ=None, method="GET", headers=None, body=None):
    return environ_for(environ or asked(), Call(url, Deadline(0.0), None), method, headers or {}, body)


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("http://h:81/a%20b?q=1#f", ("http", "h", "81", "h:81", "/a b", "q=1", "/a%20b?q=1")),
        ("https://h", ("https", "h", "443", "h", "/", "", "/")),
        ("http://user@h/a", ("http", "h", "80", "h", "/a", "", "/a")),
        ("http://[::1]:9/é", ("http", "::1", "9", "[::1]:9", "/Ã©", "", "/%C3%A9")),
    ],
)
def test_an_environ_says_where_a_call_goes(url, found):
    made = environ_to(url)
    names = (
        "wsgi.url_scheme",
        "SERVER_NAME",
        "SERVER_PORT",
        "HTTP_HOST",
        "PATH_INFO",
        "QUERY_STRING",
        "RAW_URI",
    )
    assert tuple(made[name] for name in names) == found
    assert (made["SCRIPT_NAME"], made[keys.KRAKEND_CALL].url) == ("", url)


@pytest.mark.parametrize("url", ["ftp://h/a", "/a", "http:///a", "http://h:x/"])
def test_a_url_that_is_none_is_refused(url):
    with pytest.raises(ValueError):
        environ_to(url)


@pytest.mark.parametrize(
    ("script", "found"),
    [("", ("", "/api/users")), ("/api", ("/api", "/users")), ("/other", ("", "/api/users"))],
)
def test_the_app_stays_at_its_own_host_and_prefix(script, found):
    made = environ_to("app:/api/users?q=1", asked(SCRIPT_NAME=script, SERVER_NAME="here"))
    assert (made["SCRIPT_NAME"], made["PATH_INFO"]) == found
    assert (made["HTTP_HOST"], made["SERVER_NAME"]) == ("shop.example:81", "here")


def test_only_the_headers_given_are_in_the_environ():
    environ = asked(
        HTTP_COOKIE="c", REMOTE_USER="alice", **{"plugmw.request_id": "7", "werkzeug.request": "old"}
    )
    made = environ_to("app:/", environ, headers={"X-A": ["1", "2"], "Content-Type": ["b"], "Host": ["evil"]})
    assert (made["HTTP_X_A"], made["CONTENT_TYPE"], made["HTTP_HOST"]) == ("1, 2", "b", "shop.example:81")
    assert not {"HTTP_COOKIE", "werkzeug.request"} & made.keys()
    assert (made["REMOTE_USER"], made["plugmw.request_id"]) == ("alice", "7")


def test_calls_do_not_share_what_plugins_remember_nor_what_comes_of_them():
    plugin, environ = object(), asked()
    state.of(environ, plugin)["a"] = 1
    told = UpstreamRequest.of(environ)
    told.host, told.buffer = "other.example", True
    one, two = environ_to("app:/", environ), environ_to("app:/", environ)
    state.of(one, plugin)["a"] = 2
    UpstreamRequest.of(one).tries.append({"ip": "127.0.0.1", "port": 1})
    assert (state.of(environ, plugin), state.of(two, plugin)) == ({"a": 1}, {"a": 1})
    assert (UpstreamRequest.of(two).host, UpstreamRequest.of(two).buffer) == ("other.example", False)
    assert (told.tries, UpstreamRequest.of(two).tries, told.buffer) == ([], [], True)


def test_without_a_body_of_its_own_a_call_has_the_clients_stream():
    stream = io.BytesIO(b"body")
    made = environ_to("app:/", asked(CONTENT_LENGTH="4", **{"wsgi.input": stream}), "POST")
    assert (made["wsgi.input"], made["CONTENT_LENGTH"]) == (stream, "4")
    made = environ_to("app:/", asked(HTTP_TRANSFER_ENCODING="chunked"))
    assert (made["HTTP_TRANSFER_ENCODING"], "CONTENT_LENGTH" in made) == ("chunked", False)


@pytest.mark.parametrize(
    ("method", "body", "length"),
    [("GET", b"", None), ("POST", b"", "0"), ("get", b"ab", "2"), ("PUT", b"a", "1")],
)
def test_a_body_of_its_own_has_its_own_length(method, body, length):
    made = environ_to("app:/", asked(CONTENT_LENGTH="99"), method, body=body)
    assert (made.get("CONTENT_LENGTH"), made["wsgi.input"].read()) == (length, body)
    assert made["REQUEST_METHOD"] == method.upper()
