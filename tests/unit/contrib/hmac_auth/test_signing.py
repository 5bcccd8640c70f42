"""signing: dates, and the text of a request that is signed."""

from __future__ import annotations

import hmac

import pytest

from plugmw.contrib.hmac_auth.signing import http_time, signature, signing_text

# -- dates -------------------------------------------------------------------------------------------------

TIMES = {
    "RFC 1123": ("Sun, 06 Nov 1994 08:49:37 GMT", 784111777),
    "RFC 850": ("Sunday, 06-Nov-94 08:49:37 GMT", 784111777),
    "asctime": ("Sun Nov  6 08:49:37 1994", 784111777),
    "asctime with two digits": ("Wed Nov 16 08:49:37 1994", 784975777),
    "RFC 850 in this century": ("Tuesday, 14-Nov-23 22:13:20 GMT", 1700000000),
    "now": ("Tue, 14 Nov 2023 22:13:20 GMT", 1700000000),
    "another zone": ("Tue, 14 Nov 2023 22:13:20 CET", None),
    "numeric zone": ("Tue, 14 Nov 2023 22:13:20 +0000", None),
    "ISO": ("2023-11-14T22:13:20Z", None),
    "unix": ("1700000000", None),
    "no such day": ("Tue, 31 Nov 2023 22:13:20 GMT", None),
    "no such hour": ("Tue, 14 Nov 2023 24:13:20 GMT", None),
    "no such month": ("Tue, 14 Nop 2023 22:13:20 GMT", None),
    "between two months": ("Tue, 14 Anf 2023 22:13:20 GMT", None),
    "two dates": ("Tue, 14 Nov 2023 22:13:20 GMT, Tue, 14 Nov 2023 22:13:20 GMT", None),
    "year 0": ("Tue, 14 Nov 0000 22:13:20 GMT", None),
    "other digits": ("Tue, \u0661\u0664 Nov 2023 22:13:20 GMT", None),
    "empty": ("", None),
}


@pytest.mark.parametrize(("text", "seconds"), TIMES.values(), ids=TIMES)
def test_reads_http_dates(text, seconds):
    assert http_time(text) == seconds


# -- what is signed ----------------------------------------------------------------------------------------

LINES = {
    "header": ("x-a", "x-a: 1"),
    "spelled as listed": ("X-A", "X-A: 1"),
    "empty header": ("x-empty", "x-empty: "),
    "missing header": ("x-b", "x-b:"),
    "content type": ("content-type", "content-type: text/plain"),
    "content length the server set empty": ("content-length", "content-length:"),
    "host": ("host", "host: shop.example"),
    "target": ("@request-target", "@request-target: post /a%2Fb/?q=%41"),
    "request line": ("request-line", "POST /a%2Fb/?q=%41 HTTP/1.1"),
    "request line in another spelling": ("Request-Line", "Request-Line:"),
    "outside ASCII": ("x-l", "x-l: \xe9"),
}
ENVIRON = {
    "REQUEST_METHOD": "POST",
    "RAW_URI": "/a%2Fb/?q=%41",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "CONTENT_TYPE": "text/plain",
    "CONTENT_LENGTH": "",
    "HTTP_HOST": "shop.example",
    "HTTP_X_A": "1",
    "HTTP_X_EMPTY": "",
    "HTTP_X_L": "\xe9",
}


@pytest.mark.parametrize(("name", "line"), LINES.values(), ids=LINES)
def test_writes_a_line_for_each_name(name, line):
    assert signing_text(ENVIRON, ["x-a", name]) == b"x-a: 1\n" + line.encode("latin-1")


VERSIONS = {"HTTP/1.0": "HTTP/1.0", "HTTP/2": "HTTP/2.0", "HTTP/2.0": "HTTP/2.0"}


@pytest.mark.parametrize(("protocol", "version"), VERSIONS.items())
def test_the_request_line_has_a_whole_version(protocol, version):
    line = signing_text({**ENVIRON, "SERVER_PROTOCOL": protocol}, ["request-line"])
    assert line == f"POST /a%2Fb/?q=%41 {version}".encode()


def test_a_header_comes_before_the_target_of_that_name():
    environ = {**ENVIRON, "HTTP_REQUEST_LINE": "x"}
    assert signing_text(environ, ["request-line"]) == b"request-line: x"


@pytest.mark.parametrize("size", ["sha1", "sha256", "sha384", "sha512"])
def test_signs_by_the_name_of_the_algorithm(size):
    assert signature(b"secret", f"hmac-{size}", b"text") == hmac.new(b"secret", b"text", size).digest()
