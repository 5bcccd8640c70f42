"""headers: names, environ keys, and looking into lists."""

from __future__ import annotations

from wsgiref.util import is_hop_by_hop

import pytest

from plugmw.wsgi.headers import HOP_BY_HOP, basic_credentials, cgi_key, first, headers_in, hop_by_hop


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("X-Key", "HTTP_X_KEY"),
        ("content-type", "CONTENT_TYPE"),
        ("Content-Length", "CONTENT_LENGTH"),
        ("host", "HTTP_HOST"),
    ],
)
def test_a_header_has_its_cgi_key(name, key):
    assert cgi_key(name) == key


@pytest.mark.parametrize("name", ["Connection", "TRAILER", "proxy-connection", "HTTP2-Settings", "te"])
def test_hop_by_hop_headers_are_known_in_any_case(name):
    assert hop_by_hop(name)
    assert not hop_by_hop(f"X-{name}")


@pytest.mark.parametrize("name", sorted(HOP_BY_HOP | {"trailers"}))
def test_what_wsgi_servers_refuse_is_among_them(name):
    assert hop_by_hop(name) or not is_hop_by_hop(name)


ENVIRON = {
    "REQUEST_METHOD": "GET",
    "HTTP_X_REQUEST_ID": "1",
    "CONTENT_TYPE": "text/plain",
    "CONTENT_LENGTH": "",
    "HTTP_ACCEPT": "",
    "HTTPS": "on",
}


@pytest.mark.parametrize(
    ("spell", "names"),
    [
        (str.lower, ["x-request-id", "content-type", "accept"]),
        (str.title, ["X-Request-Id", "Content-Type", "Accept"]),
        (str, ["X-REQUEST-ID", "CONTENT-TYPE", "ACCEPT"]),
    ],
    ids=["lower", "title", "as in the environ"],
)
def test_headers_of_a_request_have_the_spelling_that_is_asked_for(spell, names):
    assert list(headers_in(ENVIRON, spell)) == list(zip(names, ["1", "text/plain", ""], strict=True))


def test_the_first_of_several_counts_in_any_case():
    items = [("X-A", "1"), ("x-a", "2"), ("X-B", "")]
    assert [first(items, name) for name in ("x-A", "X-b", "x-c")] == ["1", "", None]


@pytest.mark.parametrize(
    ("value", "data"),
    [
        ("Basic YTpi", b"a:b"),
        (" basic\tYTpiYw== ", b"a:bc"),
        ("Basic YTpiYw", b"a:bc"),
        ("Basic YTpiY", None),
        ("Basic YTpi=x", None),
        ("Bearer YTpi", None),
        ("", None),
    ],
)
def test_credentials_of_basic_are_decoded_with_or_without_padding(value, data):
    assert basic_credentials(value) == data
