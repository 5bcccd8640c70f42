"""What a function may return, and what goes out."""

from __future__ import annotations

import json
from http import HTTPStatus

import pytest

from plugmw.dialects.prest.results import WrongType, error_text, send
from tests.support.wsgi import environ_of, serve

JSON = [("Content-Type", "application/json")]


def sent(made, method="GET"):
    result = serve(lambda environ, start: send(made, environ, start), environ_of(method=method))
    if result.raised:
        raise result.raised
    return result.status, [item for item in result.headers if item[0] != "Content-Length"], result.body


@pytest.mark.parametrize(
    ("made", "answer"),
    [
        ("text", ("200 OK", JSON, b"text")),
        ("", ("200 OK", JSON, b"")),
        ("é", ("200 OK", JSON, "é".encode())),
        (("text", 202), ("202 Accepted", JSON, b"text")),
        (("text", HTTPStatus.CREATED), ("201 Created", JSON, b"text")),
        (("text", -1), ("200 OK", JSON, b"text")),
        (("text", 299), ("299 Unknown", JSON, b"text")),
        (("text", 200, {"X-A": "b"}), ("200 OK", [("X-A", "b"), *JSON], b"text")),
        (("text", 200, None), ("200 OK", JSON, b"text")),
        (
            ("text", 200, [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]),
            ("200 OK", [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), *JSON], b"text"),
        ),
        (("<b>", 200, {"content-type": "text/html"}), ("200 OK", [("content-type", "text/html")], b"<b>")),
        (
            ("text", 200, {"Connection": "close", "Transfer-Encoding": "chunked", "Content-Length": "9"}),
            ("200 OK", JSON, b"text"),
        ),
        (b"\xff\x00", ("200 OK", JSON, b"\xff\x00")),
        ({"a": [1, "é"]}, ("200 OK", JSON, '{"a":[1,"é"]}'.encode())),
        ([1, 2], ("200 OK", JSON, b"[1,2]")),
        (({"a": 1}, 201, {"X-A": "b"}), ("201 Created", [("X-A", "b"), *JSON], b'{"a":1}')),
        (("gone", 204), ("204 No Content", [], b"")),
        (("same", 304, {"ETag": '"a"'}), ("304 Not Modified", [("ETag", '"a"')], b"")),
    ],
)
def test_what_a_function_returns_is_sent(made, answer):
    assert sent(made) == answer


@pytest.mark.parametrize(
    ("made", "body"),
    [
        (("no such thing", 404), '{\n\t"error": "no such thing"\n}'),
        ((" no such thing\n", 404), '{\n\t"error": "no such thing"\n}'),
        (("NaN", 400), '{\n\t"error": "NaN"\n}'),
        (('say "no"', 400), '{\n\t"error": "say \\"no\\""\n}'),
        (("", 500), '{\n\t"error": ""\n}'),
        ((' {"a": 1}\n', 422), '{"a": 1}'),
        ((b"bytes", 400), "bytes"),
        (({"a": 1}, 400), '{"a":1}'),
        (("text", 400, {"Content-Type": "text/plain"}), "text"),
    ],
    ids=["text", "text-trimmed", "no-number", "quotes", "nothing", "json-trimmed", "bytes", "dict", "typed"],
)
def test_a_text_with_an_error_status_that_is_no_json_is_wrapped(made, body):
    assert sent(made)[2].decode() == body


@pytest.mark.parametrize(
    "made",
    [
        None,
        5,
        2.5,
        ("text",),
        ("text", "200"),
        ("text", True),
        ("text", 200, {}, 1),
        (5, 200),
        pytest.param(object(), id="an object"),
        {1, 2},
    ],
    ids=repr,
)
def test_anything_else_is_a_wrong_type(made):
    with pytest.raises(WrongType, match="got "):
        sent(made)


@pytest.mark.parametrize("status", [0, 1, 100, 199, 600, -2])
def test_a_status_that_cannot_be_sent_is_an_error(status):
    with pytest.raises(ValueError, match=f"status: got {status}, expected a number between 200 and 599"):
        sent(("text", status))


def test_head_has_the_length_and_no_body():
    result = serve(lambda environ, start: send("text", environ, start), environ_of(method="HEAD"))
    assert (result.header("Content-Length"), result.body) == ("4", b"")


def test_errors_are_valid_json_whatever_the_reason_is():
    assert json.loads(error_text('a "quoted"\nreason')) == {"error": 'a "quoted"\nreason'}
