"""``kong.request``: what each function returns."""

from __future__ import annotations

import io

import pytest

from plugmw.dialects.kong import kong
from plugmw.dialects.kong.pdk.request import normalised_path
from tests.support.kong import during

ask = kong.request
TRUSTED = {"config": {"trusted": ["127.0.0.0/8"]}, "environ": {"REMOTE_ADDR": "127.0.0.1"}}
FORWARDED = {
    "X-Forwarded-Proto": "HTTPS",
    "X-Forwarded-Host": "user@Shop.Example:8443",
    "X-Forwarded-Port": "444",
    "X-Forwarded-Path": "/outside",
    "X-Forwarded-Prefix": "/prefix",
}


@pytest.mark.parametrize(
    ("name", "request_", "wanted"),
    [
        ("get_scheme", {}, "http"),
        ("get_scheme", {"environ": {"wsgi.url_scheme": "https"}}, "https"),
        ("get_host", {"headers": {"Host": "User@Shop.Example:81"}}, "shop.example"),
        ("get_host", {"headers": {"Host": "[::1]:81"}}, "[::1]"),
        ("get_host", {"headers": {"Host": "[::1]"}}, "[::1]"),
        ("get_port", {"environ": {"SERVER_PORT": "8443"}}, 8443),
        ("get_port", {"environ": {"SERVER_PORT": ""}}, 0),
        ("get_http_version", {}, 1.1),
        ("get_http_version", {"environ": {"SERVER_PROTOCOL": "HTTP/1.0"}}, 1.0),
        ("get_method", {"method": "PATCH"}, "PATCH"),
        ("get_raw_query", {}, ""),
        ("get_raw_query", {"query_string": "a=%20&b"}, "a=%20&b"),
        ("get_uri_captures", {}, {"unnamed": [], "named": {}}),
    ],
)
def test_returns_what_the_client_sent(name, request_, wanted):
    assert during("access", getattr(ask, name), **request_) == wanted


@pytest.mark.parametrize(
    ("raw", "path", "with_query"),
    [
        ("/a%2fb/%7Ex/./y/../z?q=1", "/a%2Fb/~x/z", "/a%2fb/%7Ex/./y/../z?q=1"),
        ("http://shop.example/x?y", "/x", "/x?y"),
        ("/%c3%a9", "/\xc3\xa9", "/%c3%a9"),
    ],
)
def test_paths_are_as_sent_and_normalised(raw, path, with_query):
    request = {"environ": {"RAW_URI": raw}}
    assert during("access", ask.get_path, **request) == path
    assert during("access", ask.get_path_with_query, **request) == with_query
    assert during("access", ask.get_raw_path, **request) == with_query.partition("?")[0]


def test_paths_are_put_together_where_the_server_does_not_tell():
    request = {"path": "/a b/c", "query_string": "x", "environ": {"RAW_URI": "", "REQUEST_URI": ""}}
    assert during("access", ask.get_path_with_query, **request) == "/a%20b/c?x"


@pytest.mark.parametrize(
    ("sent", "normal"),
    [
        ("/a//b/../c/", "/a/c/"),
        ("/%41%2d%2e", "/A-."),
        ("/%2F%3f", "/%2F%3F"),
        ("/%00%1f%7F", "/%00%1F%7F"),
        ("/%zz%4", "/%zz%4"),
    ],
)
def test_normalising_follows_rfc_3986(sent, normal):
    assert normalised_path(sent) == normal


@pytest.mark.parametrize(
    ("name", "trusted", "untrusted"),
    [
        ("get_forwarded_scheme", "https", "http"),
        ("get_forwarded_host", "shop.example", "localhost"),
        ("get_forwarded_port", 444, 80),
        ("get_forwarded_path", "/outside", "/a"),
        ("get_forwarded_prefix", "/prefix", None),
    ],
)
def test_forwarding_headers_count_from_trusted_peers_only(name, trusted, untrusted):
    call = getattr(ask, name)
    assert during("access", call, path="/a", headers=FORWARDED, **TRUSTED) == trusted
    assert during("access", call, path="/a", headers=FORWARDED) == untrusted
    assert during("access", call, path="/a", **TRUSTED) == untrusted


@pytest.mark.parametrize(
    ("headers", "port"),
    [
        ({"X-Forwarded-Host": "a:8443"}, 8443),
        ({"X-Forwarded-Port": "70000", "X-Forwarded-Host": "a:0"}, 80),
        ({"X-Forwarded-Port": "x"}, 80),
    ],
)
def test_a_forwarded_port_is_between_1_and_65535(headers, port):
    assert during("access", ask.get_forwarded_port, headers=headers, **TRUSTED) == port


def test_a_stripped_prefix_is_the_forwarded_prefix():
    route = {"name": "api", "paths": ["/api"], "strip_path": True}
    request = {"path": "/api/x", "config": {"routes": [route]}}
    assert during("log", ask.get_forwarded_prefix, **request) == "/api"
    assert during("log", ask.get_raw_path, **request) == "/api/x"


def test_captures_come_from_the_route():
    request = {"path": "/v1/7", "config": {"routes": [{"name": "r", "paths": [r"~/(?P<v>v\d)/(\d)"]}]}}
    assert during("access", ask.get_uri_captures, **request) == {"unnamed": ["v1", "7"], "named": {"v": "v1"}}


def test_the_start_is_in_milliseconds():
    import time

    found = during("access", ask.get_start_time)
    assert isinstance(found, int)
    assert abs(found / 1000 - time.time()) < 60


# -- headers and arguments -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "name", "value"),
    [("a=1&a=2", "a", "1"), ("a", "a", True), ("a=", "a", ""), ("a=1", "b", None), ("a=%C3%A9", "a", "é")],
)
def test_an_argument_is_its_first_value(query, name, value):
    assert during("access", ask.get_query_arg, name, query_string=query) == value


def test_arguments_are_cut_at_the_maximum_and_that_is_told():
    query = "&".join(f"a{i}=1" for i in range(101))
    found = during("access", ask.get_query, query_string=query)
    assert (len(found), found.err) == (100, "truncated")
    assert len(during("access", ask.get_query, 1000, query_string=query)) == 101
    assert during("access", ask.get_query, 1, query_string="a=1&a=2").err == "truncated"


def test_headers_come_in_lower_case_and_are_cut_likewise():
    headers = {f"X-H{i}": "1" for i in range(101)}
    found = during("access", ask.get_headers, headers={"X-A": "b", "Content-Type": "text/plain"})
    assert (found["X-A"], found["content_type"], found.err) == ("b", "text/plain", None)
    assert during("access", ask.get_headers, headers=headers).err == "truncated"
    assert len(during("access", ask.get_headers, 5, headers=headers)) == 5


def test_a_header_is_found_in_any_spelling():
    for name in ("X-Key", "x_key"):
        assert during("access", ask.get_header, name, headers={"X-Key": "1"}) == "1"
    assert during("access", ask.get_header, "x-other") is None


@pytest.mark.parametrize(
    ("name", "argument", "error", "text"),
    [
        ("get_header", 1, TypeError, "header name must be a string"),
        ("get_query_arg", 1, TypeError, "query argument name must be a string"),
        ("get_headers", 0, ValueError, "max_headers must be >= 1"),
        ("get_headers", 1001, ValueError, "max_headers must be <= 1000"),
        ("get_query", 0, ValueError, "max_args must be >= 1"),
        ("get_query", "1", TypeError, "max_args must be a number"),
    ],
)
def test_wrong_arguments_raise_with_kongs_text(name, argument, error, text):
    with pytest.raises(error, match=f"^{text}$"):
        during("access", getattr(ask, name), argument)


# -- bodies ----------------------------------------------------------------------------------------------

LONG = b"x" * 8193
TOO_LONG = "request body did not fit into client body buffer, consider raising 'client_body_buffer_size'"


@pytest.mark.parametrize(
    ("body", "arguments", "wanted"),
    [
        (b"", (), (b"", None)),
        (LONG[1:], (), (LONG[1:], None)),
        (LONG, (), (None, TOO_LONG)),
        (LONG, (-1,), (None, TOO_LONG)),
        (LONG, (0,), (LONG, None)),
        (LONG, (9000,), (LONG, None)),
        (LONG, (100,), (None, TOO_LONG)),
    ],
    ids=["empty", "8k", "over 8k", "negative", "any size", "large enough", "too small"],
)
def test_a_raw_body_is_limited(body, arguments, wanted):
    assert during("access", ask.get_raw_body, *arguments, method="POST", data=body) == wanted


def test_the_gateways_own_limit_counts_too():
    request = {"method": "POST", "data": LONG, "config": {"max_request_body": 8192}}
    assert during("access", ask.get_raw_body, 0, **request) == (None, TOO_LONG)


@pytest.mark.parametrize("length", ["+1", "5"])
def test_a_body_that_cannot_be_read_is_an_error(length):
    environ = {"CONTENT_LENGTH": length, "wsgi.input": io.BytesIO(b"ab")}
    assert during("access", ask.get_raw_body, environ=environ) == (None, "request body could not be read")


PARTS = (
    b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
    b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n2\r\n'
    b'--b\r\nContent-Disposition: form-data; name="c"; filename="f"\r\n\r\n3\r\n--b--\r\n'
)
FORM, JSON, MULTIPART = "application/x-www-form-urlencoded", "application/json", "multipart/form-data"


@pytest.mark.parametrize(
    ("kind", "body", "wanted"),
    [
        (FORM, b"a=1&a=2&b", ({"a": ["1", "2"], "b": True}, None, FORM)),
        (f"{FORM}; charset=utf-8", b"", ({}, None, FORM)),
        (JSON, b'{"a": 1}', ({"a": 1}, None, JSON)),
        ("Application/JSON-patch+json", b"[1]", ([1], None, JSON)),
        (JSON, b"1", (None, "invalid json body", JSON)),
        (JSON, b"{", (None, "invalid json body", JSON)),
        (JSON, b"[" * 2000, (None, "invalid json body", JSON)),
        (f"{MULTIPART}; boundary=b", PARTS, ({"a": ["1", "2"], "c": "3"}, None, MULTIPART)),
        (f"{MULTIPART}; boundary=b", b"--b", (None, "unable to decode multipart body", MULTIPART)),
        ("", b"a", (None, "missing content type", None)),
        ("Text/Plain; x", b"a", (None, "unsupported content type 'Text/Plain; x'", "text/plain")),
        (JSON, LONG, (None, TOO_LONG, JSON)),
    ],
    ids=[
        *("form", "form with charset", "json", "json prefix", "json scalar", "json broken", "json deep"),
        *("multipart", "multipart broken", "no type", "other type", "too long"),
    ],
)
def test_a_body_is_parsed_by_its_type(kind, body, wanted):
    environ = {"CONTENT_TYPE": kind}
    found = during("access", ask.get_body, method="POST", data=body, environ=environ)
    assert found == wanted


def test_a_form_is_cut_at_the_maximum_and_a_type_may_be_given():
    request = {"method": "POST", "data": b"a=1&b=2", "content_type": "text/plain"}
    assert during("access", ask.get_body, FORM, 1, **request) == ({"a": "1"}, "truncated", FORM)
    with pytest.raises(ValueError, match="max_args must be <= 1000"):
        during("access", ask.get_body, FORM, 1001, **request)


def test_the_app_still_gets_the_body():
    saw = []

    def app(environ, start_response):
        saw.append(environ["wsgi.input"].read())
        start_response("200 OK", [])
        return [b""]

    during("access", ask.get_raw_body, app=app, method="POST", data=b"abc")
    assert saw == [b"abc"]
