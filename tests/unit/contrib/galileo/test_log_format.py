"""ALF: copies of bodies, entries and their place in an ALF."""

from __future__ import annotations

import base64
import io
import json

import pytest

from plugmw import Plugin
from plugmw.contrib.galileo import log_format
from plugmw.testing import gateway
from plugmw.wsgi import keys
from plugmw.wsgi.redaction import REDACTED, Redaction
from tests.support.wsgi import environ_of, serve

EVERY_BYTE = bytes(range(256))


# -- bodies -------------------------------------------------------------------------------------------


def test_a_copy_keeps_what_passes():
    copy = log_format.Copy()
    copy.add(b"one")
    copy.add(b"two")
    assert (copy.data, copy.size) == (b"onetwo", 6)


def test_a_copy_of_too_much_keeps_only_its_size():
    copy = log_format.Copy()
    for _ in range(21):
        copy.add(b"x" * 1024 * 1024)
    assert (copy.data, copy.size) == (b"", 21 * 1024 * 1024)


WAYS = {
    "read": lambda stream: stream.read(),
    "read some": lambda stream: stream.read(4) + stream.read(4) + stream.read(100),
    "lines": lambda stream: b"".join(stream.readlines()),
    "line by line": lambda stream: stream.readline() + stream.readline(2) + stream.readline(),
    "iterate": lambda stream: b"".join(stream),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_request_is_copied_while_it_is_read(way):
    environ, copy = {"wsgi.input": io.BytesIO(b"one\ntwo\n")}, log_format.Copy()
    log_format.watch_request(environ, copy)
    assert copy.size == 0
    assert way(environ["wsgi.input"]) == b"one\ntwo\n"
    assert copy.data == b"one\ntwo\n"
    assert environ["wsgi.input"].seekable()


def test_a_request_that_was_read_before_is_copied_at_once():
    stream, copy = io.BytesIO(b"read"), log_format.Copy()
    environ = {"wsgi.input": stream, keys.BODY: (stream, b"read")}
    log_format.watch_request(environ, copy)
    assert (copy.data, environ["wsgi.input"]) == (b"read", stream)


# -- entries ------------------------------------------------------------------------------------------


def entry_of(app, hide=None, copies=(None, None), **environ):
    found = []

    class Log(Plugin):
        name, needs_timings = "log", True

        def log(self, x):
            found.append(log_format.entry_of(x, (hide or Redaction()).within(x), *copies))

    serve(gateway(Log(), app=app), environ_of(**environ))
    return found[0]


def answering(*headers, status="200 OK", body=b""):
    def app(environ, start_response):
        start_response(status, list(headers))
        return [body]

    return app


def test_an_entry_has_these_fields():
    app = answering(("Content-Type", "a/b"), ("X-A", "1"), ("X-A", "2"), body=b"hi")
    entry = entry_of(
        app,
        path="/request/path",
        QUERY_STRING="hello=world&foobar=baz&hello=2",
        HTTP_HOST="example.com",
        HTTP_ACCEPT="a/b",
        SERVER_PROTOCOL="HTTP/1.1",
        SERVER_NAME="10.0.0.1",
    )
    timings = entry.pop("timings")
    assert entry.pop("time") == sum(timings.values())
    assert list(timings) == ["send", "wait", "receive"]
    assert entry.pop("startedDateTime")[10] == "T"
    assert entry == {
        "serverIPAddress": "10.0.0.1",
        "clientIPAddress": "127.0.0.1",
        "request": {
            "httpVersion": "HTTP/1.1",
            "method": "GET",
            "url": "http://example.com/request/path?hello=world&foobar=baz&hello=2",
            "queryString": [
                {"name": "hello", "value": "world"},
                {"name": "foobar", "value": "baz"},
                {"name": "hello", "value": "2"},
            ],
            "headers": [{"name": "host", "value": "example.com"}, {"name": "accept", "value": "a/b"}],
            "headersSize": len(
                "GET /request/path?hello=world&foobar=baz&hello=2 HTTP/1.1\r\n"
                "host: example.com\r\naccept: a/b\r\n\r\n"
            ),
            "bodyCaptured": False,
            "bodySize": 0,
        },
        "response": {
            "status": 200,
            "statusText": "",
            "httpVersion": "HTTP/1.1",
            "headers": [
                {"name": "content-type", "value": "a/b"},
                {"name": "x-a", "value": "1"},
                {"name": "x-a", "value": "2"},
            ],
            "headersSize": 0,
            "bodyCaptured": False,
            "bodySize": 0,
        },
    }


def test_what_is_empty_is_a_list():
    entry = entry_of(answering(), HTTP_HOST=None, CONTENT_TYPE="", CONTENT_LENGTH="")
    assert (entry["request"]["queryString"], entry["response"]["headers"]) == ([], [])


def test_the_size_of_headers_counts_each_of_a_repeated_name():
    headers = [
        ("accept", "application/json"),
        ("accept", "application/x-www-form-urlencoded"),
        ("host", "example.com"),
    ]
    assert log_format.headers_size("GET /request/path HTTP/1.1", headers) == 118


def test_what_was_not_proxied_did_not_wait():
    timings = entry_of(lambda environ, start_response: 1 / 0)["timings"]
    assert (timings["wait"], timings["receive"]) == (0, 0)


def test_secrets_are_left_out():
    entry = entry_of(
        answering(("Set-Cookie", "secret")),
        Redaction.of(["set-cookie"], ["key"]),
        QUERY_STRING="key=secret",
        HTTP_AUTHORIZATION="Basic secret",
    )
    assert "secret" not in json.dumps(entry)
    assert entry["request"]["queryString"] == [{"name": "key", "value": REDACTED}]


def copied(data):
    copy = log_format.Copy()
    copy.add(data)
    return copy


BODIES = {
    "none": ([], None, {"bodyCaptured": False, "bodySize": 0}),
    "declared": ([("content-length", "38")], None, {"bodyCaptured": True, "bodySize": 38}),
    "declared twice": (
        [("content-length", "3"), ("content-length", "0")],
        None,
        {"bodyCaptured": False, "bodySize": 0},
    ),
    "declared badly": ([("content-length", "+3")], None, {"bodyCaptured": False, "bodySize": 0}),
    "in chunks": ([("transfer-encoding", "chunked")], None, {"bodyCaptured": True, "bodySize": 0}),
    "ranges": (
        [("content-type", "multipart/byteranges; boundary=a")],
        None,
        {"bodyCaptured": True, "bodySize": 0},
    ),
    "recorded": (
        [("content-length", "3800"), ("content-type", "text/plain")],
        copied(b"abc"),
        {
            "bodyCaptured": True,
            "bodySize": 3,
            "postData": {"text": "YWJj", "encoding": "base64", "mimeType": "text/plain"},
        },
    ),
    "recorded without a type": (
        [],
        copied(EVERY_BYTE),
        {
            "bodyCaptured": False,
            "bodySize": 256,
            "postData": {
                "text": base64.b64encode(EVERY_BYTE).decode(),
                "encoding": "base64",
                "mimeType": "application/octet-stream",
            },
        },
    ),
    "recorded, and empty": ([], copied(b""), {"bodyCaptured": False, "bodySize": 0}),
    "not read": ([("content-length", "5")], log_format.Copy(), {"bodyCaptured": True, "bodySize": 5}),
    "recorded, and too long": (
        [("content-length", "1")],
        copied(b"x" * (log_format.MAX_BODY + 1)),
        {"bodyCaptured": True, "bodySize": log_format.MAX_BODY + 1},
    ),
}


@pytest.mark.parametrize(("headers", "copy", "told"), BODIES.values(), ids=BODIES)
def test_a_body_is_told(headers, copy, told):
    assert log_format._body("postData", headers, copy) == told


# -- the whole ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("environment", [None, "test"])
def test_an_alf_is_good_json(environment):
    whole = json.loads(log_format.head_of('a"b', environment) + b'{"a":1},{"b":2}' + log_format.TAIL)
    wanted = {"version": "1.1.0", "serviceToken": 'a"b'}
    if environment:
        wanted["environment"] = environment
    creator = {"name": "galileo-agent-kong", "version": "2.0.0"}
    assert whole == {**wanted, "har": {"log": {"creator": creator, "entries": [{"a": 1}, {"b": 2}]}}}


@pytest.mark.parametrize(("room", "count"), [(0, 0), (2, 0), (3, 1), (6, 1), (7, 2), (100, 3)])
def test_as_many_entries_as_fit(room, count):
    assert log_format.fitting([b"123", b"123", b"123"], room) == count
