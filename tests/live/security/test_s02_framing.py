"""S2: a body that a plugin changed goes on with framing and headers that are true of it, or with none."""

from __future__ import annotations

import json

import pytest

from tests.support.wire import WORKERS, replies, side_by_side, talk

SOURCE = """
    import gzip, io, json, zlib
    from plugmw import Entry, Gateway
    from plugmw.dialects.response_modifier import ResponseModifierPlugin
    from tests.support.plugins import made

    BODY = json.dumps({"a": "x" * 50}).encode()
    ABOUT = [("ETag", '"v1"'), ("Content-MD5", "x"), ("Accept-Ranges", "bytes"), ("Digest", "x")]
    KIND = ("Content-Type", "application/json")

    def length(data):
        return ("Content-Length", str(len(data)))

    def parts():
        yield BODY[:7]
        yield b""
        yield BODY[7:]

    def site(environ, start_response):
        name = environ["QUERY_STRING"]
        if name == "echo":
            told = {key: environ.get(key) for key in ("CONTENT_LENGTH", "HTTP_TRANSFER_ENCODING")}
            told["body"] = environ["wsgi.input"].read().decode("latin-1")
            start_response("200 OK", [])
            return [json.dumps(told).encode()]
        # As many apps do, HEAD is answered with the body of GET.
        packed = gzip.compress(BODY, mtime=0)
        status, headers, body = {
            "list": ("200 OK", [KIND, length(BODY), *ABOUT], [BODY]),
            "two": ("200 OK", [KIND, length(BODY), *ABOUT], [BODY[:7], BODY[7:]]),
            "stream": ("200 OK", [KIND, *ABOUT], parts()),
            "file": ("200 OK", [KIND, length(BODY), *ABOUT], environ["wsgi.file_wrapper"](io.BytesIO(BODY))),
            "gzip": ("200 OK", [KIND, length(packed), ("Content-Encoding", "gzip"), *ABOUT], [packed]),
            "error": ("404 Not Found", [KIND, length(BODY), *ABOUT], [BODY]),
            "none": ("204 No Content", [], []),
            "same": ("304 Not Modified", [KIND, *ABOUT, length(BODY)], []),
            "wrong": ("204 No Content", [KIND, *ABOUT, length(BODY)], [BODY]),
        }[name]
        start_response(status, headers)
        return body

    def shorter(x, chunk, eof):
        x.forget_body_headers()
        return chunk[::2]

    def whole(x):
        x.body = x.body + b" "

    def modified(res):
        res.body = b"modified"
        return res

    def set_status(status):
        return lambda x: setattr(x, "status", status)

    WAYS = {
        "transformer": {"name": "response-transformer", "config": {"add": {"json": ["b:c"]}}},
        "modifier": ResponseModifierPlugin(function=modified),
        "filter": made("filter", body_filter=shorter),
        "appended": made("appended", body_filter=lambda x, chunk, eof: chunk + (b"." if eof else b"")),
        "dropped": made("dropped", body_filter=lambda x, chunk, eof: b""),
        "response": made("response", response=whole),
        "replaced": made("replaced", header_filter=lambda x: setattr(x, "body", b"replaced")),
        "exit": made("exit", header_filter=lambda x: x.exit(403, "left")),
        "late": made("late", response=lambda x: x.exit(403, "left")),
        "to-204": made("to-204", header_filter=set_status(204)),
        "to-304": made("to-304", response=set_status(304)),
        "failing": made("failing", body_filter=lambda x, chunk, eof: 1 / 0),
        "request": {"name": "request-transformer", "config": {"add": {"body": ["b:c"]}}},
    }
    app = Gateway(
        site,
        {
            "store": "memory://",
            "routes": [{"name": name, "paths": [f"/{name}"]} for name in WAYS],
            "plugins": [{**way, "route": name} for name, way in WAYS.items() if isinstance(way, dict)],
        },
        plugins=[Entry(way, route=name) for name, way in WAYS.items() if not isinstance(way, dict)],
    )
"""
ANSWERS = ("list", "two", "stream", "file", "gzip", "error", "none", "same", "wrong")
BODY = json.dumps({"a": "x" * 50}).encode()
WAYS = {
    "transformer": json.dumps({"a": "x" * 50, "b": "c"}, separators=(",", ":")).encode(),
    "modifier": b"modified",
    "filter": None,
    "appended": BODY + b".",
    "dropped": b"",
    "response": BODY + b" ",
    "replaced": b"replaced",
    "exit": b"left",
    "late": b"left",
    "to-204": b"",
    "to-304": b"",
    "failing": None,
}
ABOUT = {"content-encoding", "etag", "content-md5", "accept-ranges", "digest"}
FILTERS = ("filter", "appended", "dropped", "failing")
#: Ways that change bytes without a word to the kernel, or change no bytes.
SILENT = ("appended", "dropped", "to-204", "to-304")


@pytest.fixture(scope="module", params=WORKERS)
def server(request, gunicorn_for_module):
    return gunicorn_for_module(SOURCE, worker_class=request.param, args=WORKERS[request.param])


def ask(server, way, answer, method):
    """Return the answer, having made sure that the next one on the connection begins right behind it."""
    first = f"{method} /{way}?{answer} HTTP/1.1\r\nHost: t\r\n\r\n"
    then = "GET /none?list HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"
    found = replies(talk(server.port, (first + then).encode()), [method, "GET"])
    assert found[1:] == [] or (found[1].status, found[1].body) == (200, BODY), (way, answer, method)
    assert len(found) == 2 or found[0].header("connection") == "close", (way, answer, method)
    return found[0]


@pytest.mark.parametrize("way", WAYS)
def test_s2_framing_and_headers_are_true_of_the_body_that_goes_out(server, way):
    def pair(answer):
        return answer, ask(server, way, answer, "GET"), ask(server, way, answer, "HEAD")

    for name, got, head in side_by_side(pair, ANSWERS):
        assert got.complete or got.status == 304, (name, got.raw)
        length = got.header("content-length")
        assert got.status == 304 or length in (None, str(len(got.body))), (name, got.raw)
        assert [value for key, value in got.headers if key == "content-length"][1:] == [], name
        if way in ("to-204", "to-304") or (way not in ("exit", "late") and got.status in (204, 304)):
            assert got.body == b"", (name, got.raw)
            assert length is None or got.status == 304, (name, got.raw)
            continue
        changed = way not in SILENT and got.body != BODY and not (way == "transformer" and name == "gzip")
        stale = {key for key, _ in got.headers} & ABOUT
        assert not (changed and stale), (name, got.raw)
        if WAYS[way] is not None and name not in ("gzip", "none", "same", "wrong"):
            assert got.body == WAYS[way], (name, got.raw)
        if way == "failing":
            assert got.status == 500, (name, got.raw)
        # What HEAD says of the length is what GET says, or nothing; a filter of chunks is not asked for it.
        told = head.header("content-length")
        assert way in FILTERS or told in (None, length), (name, got.raw, head.raw)


def test_s2_a_body_that_cannot_be_read_stays_as_it_is_with_what_is_said_of_it(server):
    answer = ask(server, "transformer", "gzip", "GET")
    assert answer.header("content-encoding") == "gzip"
    assert {name for name, _ in answer.headers} >= ABOUT
    assert answer.body[:2] == b"\x1f\x8b"


FORM = "Content-Type: application/x-www-form-urlencoded\r\n"
SENT = {
    "a length": (f"{FORM}Content-Length: 3\r\n", "a=b"),
    "chunks": (f"{FORM}Transfer-Encoding: chunked\r\n", "1\r\na\r\n2\r\n=b\r\n0\r\n\r\n"),
}


@pytest.mark.parametrize("framing", SENT)
def test_s2_a_changed_request_has_its_own_length_and_no_other_framing(server, framing):
    headers, body = SENT[framing]
    data = f"POST /request?echo HTTP/1.1\r\nHost: t\r\nConnection: close\r\n{headers}\r\n{body}"
    [answer] = replies(talk(server.port, data.encode()), ["POST"])
    told = json.loads(answer.body)
    assert told == {"CONTENT_LENGTH": "7", "HTTP_TRANSFER_ENCODING": None, "body": "a=b&b=c"}
