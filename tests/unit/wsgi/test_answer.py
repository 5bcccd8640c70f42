"""Exits and error bodies: Kong's shapes, escaped as they should be."""

from __future__ import annotations

import json
from http import HTTPStatus
from xml.etree import ElementTree

import pytest

from plugmw.wsgi import answer


def left(*args):
    with pytest.raises(answer.Exit) as caught:
        answer.leave(*args)
    return caught.value


BODIES = {
    "dict": ({"a": "é"}, '{"a":"é"}'.encode(), "application/json; charset=utf-8"),
    "list": ([1, None], b"[1,null]", "application/json; charset=utf-8"),
    "number": (5, b"5", "application/json; charset=utf-8"),
    "text": ("é", "é".encode(), "text/plain; charset=utf-8"),
    "bytes": (b"\x00", b"\x00", None),
    "nothing": (None, b"", None),
}


@pytest.mark.parametrize(("body", "data", "kind"), BODIES.values(), ids=BODIES)
def test_an_exit_has_the_body_and_type_of_what_it_is_given(body, data, kind):
    made = left(200, body)
    assert (made.status, made.body) == (200, data)
    assert made.headers == ([("Content-Type", kind)] if kind else [])


def test_a_content_type_that_is_given_stays():
    assert left(200, "<p>", {"content-type": "text/html"}).headers == [("content-type", "text/html")]


def test_transfer_encoding_is_the_servers():
    assert left(200, None, [("Transfer-Encoding", "chunked"), ("X-A", "1")]).headers == [("X-A", "1")]


@pytest.mark.parametrize("status", [100, 204, 304])
def test_without_content_there_is_no_body_and_no_type(status):
    made = left(status, {"a": 1})
    assert (made.body, made.headers) == (b"", [])


@pytest.mark.parametrize("status", [99, 600, 0, -1])
def test_an_exit_status_is_between_100_and_599(status):
    with pytest.raises(ValueError, match=f"status: got {status}, expected a number between 100 and 599"):
        answer.leave(status)


def test_an_exit_is_no_exception_that_plugins_catch():
    assert not issubclass(answer.Exit, Exception)


def test_nan_is_no_json():
    with pytest.raises(ValueError):
        answer.to_json(float("nan"))


@pytest.mark.parametrize(
    ("headers", "items"),
    [
        (None, []),
        ({}, []),
        ({"A": "1", "B": ["2", "3"]}, [("A", "1"), ("B", "2"), ("B", "3")]),
        ([("A", "1"), ("A", "2")], [("A", "1"), ("A", "2")]),
        ({"A": 5}, [("A", "5")]),
    ],
    ids=["none", "empty", "mapping", "pairs", "number"],
)
def test_headers_are_mappings_or_pairs(headers, items):
    assert answer.header_items(headers) == items


@pytest.mark.parametrize("value", ["a\r\nb", "a\nb", "a\x00b", "a\x7fb", "\u20ac"])
def test_a_header_value_cannot_split_the_response(value):
    with pytest.raises(
        ValueError, match="header X: the value has a control character or one outside latin-1"
    ):
        answer.header_items({"X": value})


@pytest.mark.parametrize(
    ("status", "line"), [(404, "404 Not Found"), (HTTPStatus.OK, "200 OK"), (299, "299 Unknown")], ids=str
)
def test_status_lines(status, line):
    assert answer.status_line(status) == line


JSON, HTML, XML, PLAIN = (
    f"{kind}; charset=utf-8" for kind in ("application/json", "text/html", "application/xml", "text/plain")
)
ACCEPTS = {
    "": JSON,
    "text/html": HTML,
    "TEXT/HTML": HTML,
    "text/*": HTML,
    "*/*": JSON,
    "application/*": JSON,
    "text/xml": XML,
    "text/plain, application/json": PLAIN,
    "text/plain;q=0.5, application/json;q=0.9": JSON,
    "text/html;level=1;q=0.3, text/plain;q=0.2": HTML,
    "image/png": JSON,
    "image/png, text/plain;q=0.1": PLAIN,
    "text/html;q=0": JSON,
    "text/html;q=x, text/plain": PLAIN,
    "text/html;q=nan, text/plain;q=0.1": PLAIN,
    "text/html;q=7, text/plain;q=0.1": PLAIN,
    ",;,": JSON,
}


@pytest.mark.parametrize(("accept", "kind"), ACCEPTS.items(), ids=list(ACCEPTS))
def test_the_format_is_the_one_accepted_most(accept, kind):
    assert answer.negotiate(accept) == kind


EVIL = '"</p><script>&\\ \n\u20ac'


def test_a_message_is_escaped_in_every_format():
    assert json.loads(answer.error_body(JSON, EVIL, EVIL)) == {"message": EVIL, "request_id": EVIL}
    html = answer.error_body(HTML, EVIL, EVIL).decode()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    xml = ElementTree.fromstring(answer.error_body(XML, EVIL, EVIL))
    assert [element.text for element in xml] == [EVIL, EVIL]
    assert answer.error_body(PLAIN, "a", "b") == b"a\nrequest_id: b\n"


def test_an_error_has_the_default_text_of_its_status():
    for status, text in (
        (401, "Unauthorized"),
        (503, "The upstream server is currently unavailable"),
        (418, "I'm a teapot"),
        (419, "The upstream server responded with 419"),
    ):
        assert json.loads(answer.error_exit(status, None, None, "", "id").body)["message"] == text


def test_an_error_takes_the_format_of_a_given_content_type():
    made = answer.error_exit(400, "no", {"Content-Type": "text/plain"}, "text/html", "id")
    assert made.headers == [("Content-Type", "text/plain")]
    assert made.body.startswith(b"no\n")


@pytest.mark.parametrize("status", [200, 399, 600])
def test_an_error_status_is_between_400_and_599(status):
    with pytest.raises(ValueError, match="expected a number between 400 and 599"):
        answer.error_exit(status, None, None, "", "id")


@pytest.mark.parametrize(("method", "body"), [("GET", [b"gone"]), ("HEAD", [])])
def test_an_exit_is_answered_with_its_length_and_for_head_without_its_body(method, body):
    calls = []
    left = answer.Exit(410, b"gone", [("X-A", "1")])
    assert answer.respond(left, {"REQUEST_METHOD": method}, lambda *call: calls.append(call)) == body
    assert calls == [("410 Gone", [("X-A", "1"), ("Content-Length", "4")])]


def test_an_exit_passes_the_error_on_after_which_it_answers():
    calls, failure = [], (ValueError, ValueError(), None)
    left = answer.Exit(500, b"", [])
    answer.respond(left, {"REQUEST_METHOD": "GET"}, lambda *call: calls.append(call), failure)
    assert calls == [("500 Internal Server Error", [("Content-Length", "0")], failure)]
