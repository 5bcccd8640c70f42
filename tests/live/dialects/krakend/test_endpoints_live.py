"""Endpoints under real servers: many at once, and streams of any size in constant memory."""

from __future__ import annotations

import io
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from plugmw import Gateway
from tests.support import raw
from tests.support.services import Service, answer
from tests.support.wsgi import environ_of, serve
from tests.unit.dialects.krakend.running import backend, endpoint, missing, plugin_of

MIB = 1024 * 1024
SIZE = 200 * MIB

SERVED = """
    from plugmw import Gateway
    from plugmw.dialects.krakend.endpoints import Endpoints
    from plugmw.dialects.krakend.loader import Loader
    from plugmw.dialects.krakend.model import Backend, Endpoint, Service
    from plugmw.documents.translated import Options
    import logging

    def backend(path, **fields):
        return Backend(url_pattern=path, host=["http://127.0.0.1:{port}"], **fields)

    made = Service(endpoints=[
        Endpoint(endpoint="/two", backend=[backend("/a", group="a"), backend("/b", group="b")], timeout=20.0),
        Endpoint(endpoint="/slow", backend=[backend("/a", group="a"), backend("/never")], timeout=3.0),
        Endpoint(endpoint="/raw", method="POST", output_encoding="no-op", timeout=30.0,
                 backend=[backend("/raw", method="POST")]),
    ])
    plugin = Endpoints.of(made, Loader(logging.getLogger("krakend")), Options(has_app=False))
    app = Gateway(None, {{}}, plugins=[plugin])
"""

WORKERS = pytest.mark.parametrize(
    ("worker", "args", "together"),
    [("gthread", ["--threads", "8"], 8), ("gevent", [], 40)],
    ids=["gthread", "gevent"],
)


@WORKERS
def test_backends_of_many_requests_are_asked_at_once(gunicorn, worker, args, together):
    everybody = threading.Barrier(2 * together, timeout=30)

    def script(connection):
        while connection.request():
            everybody.wait()
            connection.send(answer(b'{"ok": true}'))

    with Service(script) as service, ThreadPoolExecutor(together) as clients:
        server = gunicorn(SERVED.format(port=service.port), worker_class=worker, args=args)
        found = list(clients.map(lambda _: requests.get(server.url + "/two", timeout=60), range(together)))
    assert [answer.json() for answer in found] == [{"a": {"ok": True}, "b": {"ok": True}}] * together


@WORKERS
def test_a_slow_backend_costs_its_part_and_bodies_stream(gunicorn, worker, args, together):
    asked = threading.Event()

    def script(connection):
        while request := connection.request():
            if request.startswith(b"GET /never"):
                asked.set()
                connection.request()
                return
            if request.startswith(b"POST /raw"):
                body = request.partition(b"\r\n\r\n")[2]
                connection.send(answer(body[::-1], "203 Mine", "Set-Cookie: a=1", "Set-Cookie: b=2"))
            else:
                connection.send(answer(b'{"ok": true}'))

    with Service(script) as service:
        server = gunicorn(SERVED.format(port=service.port), worker_class=worker, args=args)
        slow = requests.get(server.url + "/slow", timeout=60)
        assert (slow.json(), slow.headers["X-Krakend-Completed"]) == ({"a": {"ok": True}}, "false")
        assert asked.is_set()
        sent = raw.exchange(server.port, raw.request("/raw", method="POST", body=b"abc"))
        assert (sent.status, sent.body) == (203, b"cba")
        assert [value for name, value in sent.headers if name == "set-cookie"] == ["a=1", "b=2"]
        chunked = b"POST /raw HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        sent = raw.exchange(server.port, chunked + b"3\r\nabc\r\n0\r\n\r\n")
        assert sent.status == 203
        assert sent.body == b"3\r\nabc\r\n0\r\n\r\n"[::-1]
        refused = raw.get(server.port, "/nothing")
        assert (refused.status, refused.body) == (404, b"404 page not found")


class Endless(io.RawIOBase):
    """A request body that is made while it is read."""

    def __init__(self, size):
        self.left = size

    def read(self, most=-1):
        given = min(self.left, most)
        self.left -= given
        return b"x" * given


def peak_of(call):
    """The most memory that Python has allocated meanwhile, in bytes, above what it had."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        call()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def through(url, environ):
    """Send a request through a no-op endpoint; return what the server would send, not kept."""
    made = endpoint(
        "/x", backend("/b", host=url, method="POST"), method="POST", output_encoding="no-op", timeout=120.0
    )
    app, counted = Gateway(missing, plugins=[plugin_of(made)]), []

    def counting(environ, start_response):
        pieces = app(environ, start_response)
        try:
            for piece in pieces:
                counted.append(len(piece))
                yield b"."
        finally:
            pieces.close()

    result = serve(counting, environ)
    app.stop()
    return result, sum(counted)


def test_a_body_of_any_size_goes_out_in_constant_memory():
    def script(connection):
        connection.sock.recv(65536)
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % SIZE)
        for _ in range(SIZE // MIB):
            connection.send(b"x" * MIB)

    def check():
        result, size = through(service.url, environ_of("/x", "POST", CONTENT_LENGTH="0"))
        assert (result.status, size, result.header("Content-Length")) == ("200 OK", SIZE, str(SIZE))

    with Service(script) as service:
        assert peak_of(check) < 8 * MIB


def test_a_body_of_any_size_comes_in_in_constant_memory():
    def script(connection):
        size = -1
        while size < SIZE:
            data = connection.sock.recv(MIB)
            size += len(data.partition(b"\r\n\r\n")[2]) + 1 if size < 0 else len(data)
        connection.send(answer(str(size).encode()))

    def check():
        environ = environ_of("/x", "POST", CONTENT_LENGTH=str(SIZE), **{"wsgi.input": Endless(SIZE)})
        result, size = through(service.url, environ)
        assert (result.status, size) == ("200 OK", len(str(SIZE)))

    with Service(script) as service:
        assert peak_of(check) < 8 * MIB
