"""S25: whoever keeps a body keeps so much and no more, counted while it comes; nothing unfolds in memory.

The limits are small here, so that what is beyond one stands out; memory is what Python has allocated.
"""

from __future__ import annotations

import gzip
import socket
import threading
import tracemalloc
import zlib
from contextlib import contextmanager
from pathlib import Path

import pytest
from werkzeug.test import Client

import plugmw
from plugmw import Gateway
from plugmw.dialects.krakend.encoding import DecodeError, decode
from plugmw.dialects.krakend.failures import BackendError
from plugmw.dialects.krakend.http_client import Unpacked
from plugmw.kernel.exchange import Exchange
from plugmw.kernel.plugin import Plugin
from plugmw.telemetry.sinks.http import HTTP, READ
from plugmw.testing import gateway, hello_app
from tests.support.stub import Told, stub
from tests.support.wsgi import environ_of

KIB, MIB = 1024, 1024 * 1024
LIMIT = 64 * KIB
FORM, JSON = "application/x-www-form-urlencoded", "application/json"
AWS = {
    "aws_key": "k",
    "aws_secret": "s",
    "aws_region": "r",
    "host": "127.0.0.1",
    "port": 1,
    "disable_https": True,
}


@contextmanager
def allocating(most):
    """Fail if the block allocates more than so many bytes at any time."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        yield
        assert tracemalloc.get_traced_memory()[1] - before < most
    finally:
        tracemalloc.stop()


#: Whoever opens the body of a request; each counts, or leaves that to the app.
READERS = {
    "wsgi/body.py": "read_request: max_request_body",
    "contrib/request_size_limiting/plugin.py": "allowed_payload_size",
    "contrib/request_size_limiting/body_limit.py": "allowed_payload_size",
    "contrib/galileo/log_format.py": "log_bodies of galileo: a copy of what the app reads, cut",
    "upstream/forwarding.py": "on its way to a service, in pieces",
}


def test_s25_nobody_else_reads_request_bodies():
    root = Path(plugmw.__file__).parent
    found = set()
    for path in root.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if 'environ["wsgi.input"]' in text:
            found.add(path.relative_to(root).as_posix())
    assert found == set(READERS)


# -- responses -------------------------------------------------------------------------------------------


class Collects(Plugin):
    """Wants bodies whole."""

    name = "collects"

    def response(self, x: Exchange) -> None:
        pass


def endless(environ, start_response):
    start_response("200 OK", [("Content-Type", JSON)])
    while True:
        yield b" " * LIMIT


def test_s25_a_response_that_is_collected_has_a_limit():
    app = gateway(Collects(), app=endless, max_response_body=MIB)
    with allocating(4 * MIB):
        answer = Client(app).get("/", buffered=True)
    assert answer.status_code == 500


def test_s25_a_response_that_is_changed_is_kept_up_to_a_limit():
    from plugmw.contrib.response_transformer import ResponseTransformer

    app = gateway(ResponseTransformer(add={"json": ["a:b"]}), app=endless, max_response_body=MIB)
    with allocating(6 * MIB):
        pieces = iter(app(environ_of("/"), lambda *_: lambda data: None))
        got = 0
        while got < 16 * MIB:
            got += len(next(pieces))
        pieces.close() if hasattr(pieces, "close") else None


# -- answers of others -----------------------------------------------------------------------------------


def krakend(port):
    backend = {"url_pattern": "/b"}
    return {
        "version": 3,
        "host": [f"http://127.0.0.1:{port}"],
        "timeout": "20s",
        "endpoints": [{"endpoint": "/a", "backend": [backend]}],
    }


def bomb(size):
    """Return so many zeros, packed."""
    packer = zlib.compressobj(9, wbits=31)
    return b"".join([*(packer.compress(b"\0" * MIB) for _ in range(size // MIB)), packer.flush()])


@pytest.mark.slow
def test_s25_a_bomb_in_one_piece_is_unpacked_in_small_ones():
    packed = bomb(64 * MIB)
    assert len(packed) * 900 < 64 * MIB
    with allocating(MIB + 3 * len(packed)):
        pieces = iter(Unpacked([packed]))
        assert max(len(next(pieces)) for _ in range(100)) <= LIMIT
        pieces.close()
    with pytest.raises(BackendError):
        list(Unpacked([packed[:-20]]))
    # Packed twice, it is unpacked once.
    assert b"".join(Unpacked([gzip.compress(packed)])) == packed


@pytest.mark.slow
def test_s25_an_endless_answer_of_a_backend_is_left_at_the_limit():
    body = b'{"a": "' + b"x" * (40 * MIB)
    with stub(lambda asked: Told(200, [("Content-Type", JSON)], body)) as backend:
        gateway_ = Gateway.from_krakend(hello_app, krakend(backend.port))
        with allocating(12 * MIB):  # the limit is the usual one, 8 MiB
            assert Client(gateway_).get("/a").status_code == 500
        gateway_.stop()


@pytest.mark.slow
def test_s25_an_endless_answer_of_a_function_is_left_at_the_limit():
    told = Told(200, [("Content-Type", JSON)], b"x" * (40 * MIB))
    with stub(lambda asked: told) as function:
        entry = {"name": "aws-lambda", "config": {"function_name": "f", **AWS, "port": function.port}}
        app = Gateway(hello_app, {"store": "memory://", "max_response_body": MIB, "plugins": [entry]})
        Client(app).get("/")  # botocore keeps what it loads once
        with allocating(8 * MIB):
            assert Client(app).get("/").status_code == 500
        app.stop()


def test_s25_an_endless_answer_of_a_log_server_is_left():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sent = []

        def serve():
            client, _ = listener.accept()
            with client:
                client.recv(65536)
                client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                try:
                    while True:
                        client.sendall(b"x" * LIMIT)
                        sent.append(LIMIT)
                except OSError:
                    pass

        thread = threading.Thread(target=serve)
        thread.start()
        sink = HTTP("POST", f"http://127.0.0.1:{listener.getsockname()[1]}/", {}, 20)
        with allocating(4 * MIB):
            status, told = sink.send(b"{}")
        sink.close()
        thread.join(20)
        assert (status, len(told)) == (200, 200)
        assert sum(sent) < READ + 16 * MIB  # what the sockets hold


# -- what costs more than it weighs ------------------------------------------------------------------------

SHAPES = {
    "lists": (JSON, b'{"a":[' + b"[]," * 20_000 + b"[]]}"),
    "objects": (JSON, b'{"a":[' + b"{}," * 20_000 + b"{}]}"),
    "members": (JSON, b"{" + b",".join(b'"%d":0' % n for n in range(10_000)) + b"}"),
    "objects with members": (JSON, b'{"a":[' + b'{"b":1},' * 10_000 + b"{}]}"),
    "depth": (JSON, b'{"a":' * 20_000),
    "numbers": (JSON, b'{"a":[' + b"1e9," * 10_000 + b"0]}"),
    "a long number": (JSON, b'{"a":' + b"9" * 60_000 + b"}"),
    "escapes": (JSON, b'{"a":"' + b"\\ud800" * 10_000 + b'"}'),
    "one wide character": (JSON, b'{"a":"' + b"a" * 60_000 + '😀"}'.encode()),
    "ampersands": (FORM, b"&" * 60_000),
    "names": (FORM, b"ab&" * 20_000),
    "pairs": (FORM, b"a=b&" * 20_000),
    "escaped": (FORM, b"%61=%62&" * 10_000),
    "parts": ("multipart/form-data; boundary=x", b"--x\r\n\r\n" * 8_000 + b"--x--\r\n"),
    "heads": (
        "multipart/form-data; boundary=x",
        b'--x\r\nContent-Disposition: form-data; name="a"' + b"; a=b" * 10_000 + b"\r\n\r\n\r\n--x--\r\n",
    ),
    "lines of a head": (
        "multipart/form-data; boundary=x",
        b"--x\r\n" + b"a:\r\n" * 10_000 + b"\r\n--x--\r\n",
    ),
    "a query of a megabyte": (FORM, b"a=" + b"%2561" * 12_000),
}


ONE_FIELD = ("a query of a megabyte", "heads", "lines of a head")


@pytest.mark.slow
@pytest.mark.parametrize("shape", [name for name, (kind, _) in SHAPES.items() if kind != JSON])
def test_s25_nor_does_a_transformer(shape):
    from plugmw.contrib.request_transformer import RequestTransformer

    kind, data = SHAPES[shape]
    app = gateway(RequestTransformer(add={"body": ["z:1"]}, rename={"body": ["a:b"]}))
    Client(app).post("/", data=data[:10], content_type=kind)
    with allocating(100 * len(data) + MIB):
        answer = Client(app).post("/", data=data, content_type=kind)
    # One field, however large, is a form; thousands are not what the transformer is to change.
    assert answer.status_code == (200 if shape in ONE_FIELD else 413)


ANSWERS = {
    "json lists": ("json", SHAPES["lists"][1]),
    "json objects": ("json", SHAPES["objects with members"][1]),
    "json numbers": ("json", b'{"a":[' + b"1.0," * 10_000 + b"0]}"),
    "xml elements": ("xml", b"<a>" + b"<b/>" * 16_000 + b"</a>"),
    "xml names": ("xml", b"<a>" + b"".join(b"<b%d/>" % n for n in range(8_000)) + b"</a>"),
    "xml attributes": ("xml", b"<a>" + b'<b c="d"/>' * 8_000 + b"</a>"),
    "rss items": ("rss", b"<rss><channel>" + b"<item/>" * 8_000 + b"</channel></rss>"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ANSWERS)
def test_s25_nor_does_an_answer_of_a_backend(name):
    encoding, data = ANSWERS[name]
    with allocating(100 * len(data)):
        try:
            decode(encoding, data, False)
        except DecodeError:
            pass
