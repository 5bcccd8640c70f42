"""S1: where a request ends is the server's to say; what plugins read, change or leave never moves it."""

from __future__ import annotations

import json

import pytest

from tests.security.test_s01_smuggling import head
from tests.support import raw
from tests.support.wire import WORKERS, replies, side_by_side, talk

SOURCE = """
    import json, os
    from plugmw import Gateway

    def site(environ, start_response):
        body = environ["wsgi.input"].read()
        os.write(1, f"SERVED {environ['RAW_URI']}\\n".encode())
        told = {name: environ.get(key) for name, key in (
            ("path", "RAW_URI"), ("length", "CONTENT_LENGTH"), ("encoding", "HTTP_TRANSFER_ENCODING"))}
        answer = json.dumps({**told, "body": body.decode("latin-1")}).encode()
        start_response("200 OK", [("Content-Length", str(len(answer)))])
        return [answer]

    names = ("none", "size", "stream", "change", "hmac", "exit")
    app = Gateway(site, {
        "store": "memory://",
        "routes": [{"name": name, "paths": [f"/{name}"]} for name in names],
        "consumers": [{"username": "alice", "hmacauth_credentials": [
            {"username": "alice", "secret": "secret"}]}],
        "plugins": [
            {"name": "correlation-id", "config": {"header_name": "X-Id", "echo_downstream": True}},
            {"name": "request-size-limiting", "route": "size", "config": {"allowed_payload_size": 1}},
            {"name": "request-size-limiting", "route": "stream",
             "config": {"allowed_payload_size": 1, "streaming": True}},
            {"name": "request-transformer", "route": "change", "config": {"add": {"body": ["added:yes"]}}},
            {"name": "hmac-auth", "route": "hmac",
             "config": {"validate_request_body": True, "algorithms": ["hmac-sha256"]}},
            {"name": "request-termination", "route": "exit",
             "config": {"status_code": 403, "message": "no"}},
        ],
    })
"""
#: What reads bodies whole, as they come or not at all.
PATHS = ("none", "size", "stream", "change", "hmac", "exit")
#: A body that is a request to whoever misjudges where it begins.
HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: t\r\nX-Id: 9\r\n\r\n"
NEXT = b"GET /next HTTP/1.1\r\nHost: t\r\nX-Id: 2\r\nConnection: close\r\n\r\n"


def chunks(*parts, extension=b"", trailer=b""):
    written = b"".join(b"%x%s\r\n%s\r\n" % (len(part), extension, part) for part in parts)
    return written + b"0" + extension + b"\r\n" + trailer + b"\r\n"


LENGTH = b"Content-Length: %d\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
#: Framing as it should be: (its headers, what goes over the wire, the body).
GOOD = {
    "a length": (LENGTH % len(HIDDEN), HIDDEN, HIDDEN),
    "a length with zeros": (b"Content-Length: 000%d\r\n" % len(HIDDEN), HIDDEN, HIDDEN),
    "no body": (b"", b"", b""),
    "one chunk": (CHUNKED, chunks(HIDDEN), HIDDEN),
    "chunks of one byte": (CHUNKED, chunks(*(bytes([c]) for c in HIDDEN)), HIDDEN),
    "no chunk": (CHUNKED, chunks(), b""),
    "extensions": (CHUNKED, chunks(HIDDEN, extension=b';a=b;c="GET /hidden HTTP/1.1"'), HIDDEN),
    "trailers": (CHUNKED, chunks(HIDDEN, trailer=b"X-Id: 9\r\nX-Trailer: 1\r\n"), HIDDEN),
    "another case": (b"tRANSFER-eNCODING: CHUNKED\r\n", chunks(HIDDEN), HIDDEN),
    "a chunk that looks like an end": (CHUNKED, chunks(b"0\r\n\r\n", HIDDEN), b"0\r\n\r\n" + HIDDEN),
}
#: Framing that two readers could understand in two ways: (headers, what follows).
BAD = {
    **{
        f"length {text!r}": (b"Content-Length: %s\r\n" % text, HIDDEN)
        for text in (b"+10", b"-1", b"0x1", b"1_0", b"1 0", b"1,1", b"10, 10", b"", b"1.0", b"\xb2", b"1e1")
    },
    "two lengths": (LENGTH % 4 + LENGTH % 5, HIDDEN),
    "the same length twice": (LENGTH % 4 * 2, HIDDEN),
    "length and chunks": (LENGTH % 4 + CHUNKED, chunks(HIDDEN)),
    "chunks and length": (CHUNKED + LENGTH % 4, chunks(HIDDEN)),
    "a blank before the colon": (b"Content-Length : 4\r\n", HIDDEN),
    "a folded length": (b"Content-Length:\r\n 4\r\n", HIDDEN),
    "chunked twice": (CHUNKED * 2, chunks(HIDDEN)),
    "chunked, chunked": (b"Transfer-Encoding: chunked, chunked\r\n", chunks(HIDDEN)),
    "chunked, identity": (b"Transfer-Encoding: chunked, identity\r\n", chunks(HIDDEN)),
    "identity": (b"Transfer-Encoding: identity\r\n", chunks(HIDDEN)),
    "xchunked": (b"Transfer-Encoding: xchunked\r\n", chunks(HIDDEN)),
    "a control character": (b"Transfer-Encoding: \x0bchunked\r\n", chunks(HIDDEN)),
    "a size with 0x": (CHUNKED, b"0x4\r\nabcd\r\n0\r\n\r\n"),
    "a size with a sign": (CHUNKED, b"+4\r\nabcd\r\n0\r\n\r\n"),
    "a size below zero": (CHUNKED, b"-4\r\nabcd\r\n0\r\n\r\n"),
    "a size with a line": (CHUNKED, b"0_4\r\nabcd\r\n0\r\n\r\n"),
    "a size that is none": (CHUNKED, b"four\r\nabcd\r\n0\r\n\r\n"),
    "a chunk that is too long": (CHUNKED, b"3\r\nabcd\r\n0\r\n\r\n"),
    "an extension that ends in LF": (CHUNKED, b"4;a\nX: b\r\nabcd\r\n0\r\n\r\n"),
}


@pytest.fixture(scope="module", params=WORKERS)
def server(request, gunicorn_for_module):
    return gunicorn_for_module(SOURCE, worker_class=request.param, args=WORKERS[request.param])


def served(server, mark):
    return [line.split(" ")[1] for line in server.log()[mark:].split("\n") if line.startswith("SERVED")]


def ids(found):
    """Return which requests the answers are to: 9 is the hidden one, None what the server answers alone."""
    return [answer.header("x-id") for answer in found]


@pytest.mark.parametrize("path", PATHS)
def test_s1_the_next_request_is_answered_right_or_the_connection_is_closed(server, path):
    mark = len(server.log())

    def ask(name):
        framing, wire, body = GOOD[name]
        return name, replies(talk(server.port, head(path, framing, body), wire + NEXT), ["POST", "GET"])

    for name, found in side_by_side(ask, GOOD):
        body = GOOD[name][2]
        assert ids(found) in (["1", "2"], ["1"]), name
        # gunicorn's sync worker never keeps a connection.
        assert len(found) == 2 or found[0].header("connection") == "close", name
        assert found[0].status == (403 if path == "exit" else 200), (name, found[0].raw)
        if path != "exit":
            told = json.loads(found[0].body)
            assert told["path"] == f"/{path}", name
            if path == "change":
                framing_of_it = (told["length"], told["encoding"])
                assert framing_of_it == (str(len(told["body"])), None), name
                assert "added=yes" in told["body"], name
            else:
                assert told["body"].encode("latin-1") == body, name
        assert [json.loads(answer.body)["path"] for answer in found[1:]] == ["/next"] * (len(found) - 1)
    assert "/hidden" not in served(server, mark)


@pytest.mark.parametrize("path", PATHS)
def test_s1_framing_that_can_be_read_in_two_ways_ends_the_connection(server, path):
    mark = len(server.log())

    def ask(name):
        framing, wire = BAD[name]
        return name, replies(talk(server.port, head(path, framing), wire + NEXT), ["POST", "GET", "GET"])

    for name, found in side_by_side(ask, BAD):
        # A plugin that does not read the body answers before the server sees what is wrong with a chunk.
        refusals = [answer.status for answer in found]
        assert refusals in ([403], [403, 400], [400], [500], [501], []), (name, refusals)
    assert served(server, mark) == []


def test_s1_chunks_do_not_exist_in_http_1_0(server):
    data = head("size", CHUNKED).replace(b"HTTP/1.1", b"HTTP/1.0")
    [answer] = replies(talk(server.port, data, chunks(HIDDEN) + NEXT), ["POST"])
    assert answer.status == 400


@pytest.mark.parametrize("path", ["size", "stream", "exit"])
def test_s1_a_body_that_nobody_reads_is_not_taken_for_requests(server, path):
    body = HIDDEN * 60_000  # above every limit, also of what gunicorn reads for nothing
    mark = len(server.log())
    for framing, wire in ((LENGTH % len(body), body), (CHUNKED, chunks(body))):
        found = replies(talk(server.port, head(path, framing), wire + NEXT), ["POST", "GET"])
        # What is left unread may reset the connection before the answer is read.
        assert [answer.status for answer in found[:1]] in ([413], [403], [])
        assert ids(found)[1:] in (["2"], [])
    assert set(served(server, mark)) <= {"/next"}


def test_s1_a_body_that_comes_after_the_refusal_is_still_a_body(server):
    mark = len(server.log())
    for more in (b"", b"Expect: 100-continue\r\n"):
        with raw.connect(server.port) as client:
            client.sendall(head("exit", LENGTH % len(HIDDEN), more=more))
            first = raw.read_until(client, b"}")
            try:
                client.sendall(HIDDEN + NEXT)
            except OSError:
                pass
            found = replies(first + raw.read_all(client), ["POST", "GET"])
        assert ids(found) in (["1", "2"], ["1"])
    assert "/hidden" not in served(server, mark)
