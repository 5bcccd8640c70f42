"""S25: whoever keeps a body keeps so much and no more, counted while it comes; nothing unfolds in memory."""

from __future__ import annotations

import json

import pytest
from werkzeug.test import Client

from plugmw import Gateway
from plugmw.testing import hello_app
from plugmw.wsgi import forms
from tests.security.gates import WORKERS
from tests.security.test_s25_bombs import AWS, FORM, JSON, KIB, LIMIT, MIB, SHAPES, allocating, bomb, krakend
from tests.support import raw
from tests.support.stub import Told, stub

SIZE = {"allowed_payload_size": LIMIT, "size_unit": "bytes"}
#: By route: a plugin that reads bodies, or the app behind one that measures them.
PLUGINS = {
    "key": {"name": "key-auth", "config": {"key_in_body": True}},
    "change": {"name": "request-transformer", "config": {"add": {"body": ["a:b"]}}},
    "echo": {"name": "request-termination", "config": {"echo": True, "status_code": 418}},
    "lambda": {"name": "aws-lambda", "config": {"function_name": "f", "forward_request_body": True, **AWS}},
    "size": {"name": "request-size-limiting", "config": SIZE},
    "streamed": {"name": "request-size-limiting", "config": {**SIZE, "streaming": True}},
    "function": {"name": "pre-function", "config": {"access": ["served:read"], "packages": ["served"]}},
}
SERVED = """
    import json
    from plugmw import Gateway

    def read(x):
        x.read_body()

    def site(environ, start_response):
        size = 0
        while piece := environ["wsgi.input"].read(65536):
            size += len(piece)
        answer = str(size).encode()
        start_response("200 OK", [("Content-Length", str(len(answer)))])
        return [answer]

    app = Gateway(site, json.loads({text!r}))
"""


def document():
    return {
        "store": "memory://",
        "max_request_body": LIMIT,
        "consumers": [{"username": "a", "keyauth_credentials": [{"key": "k"}]}],
        "routes": [{"name": name, "paths": [f"/{name}"]} for name in PLUGINS],
        "plugins": [{**entry, "route": name} for name, entry in PLUGINS.items()],
    }


@pytest.fixture(scope="module", params=WORKERS)
def server(request, gunicorn_for_module):
    text = SERVED.format(text=json.dumps(document()))
    return gunicorn_for_module(text, worker_class=request.param, args=WORKERS[request.param])


# -- requests --------------------------------------------------------------------------------------------


def head(path, *lines, kind=FORM):
    return "\r\n".join(
        [f"POST /{path} HTTP/1.1", "Host: t", f"Content-Type: {kind}", *lines, "", ""]
    ).encode()


def without_end(port, path, kind=FORM):
    """Send chunks until there is an answer; return (it, how many bytes were sent)."""
    piece = b"%x\r\n" % (8 * KIB) + b"a" * (8 * KIB) + b"\r\n"
    sent, found = 0, b""
    with raw.connect(port) as client:
        client.sendall(head(path, "Transfer-Encoding: chunked", kind=kind))
        client.settimeout(0.02)
        while not found and sent < 64 * LIMIT:
            try:
                client.sendall(piece)
                sent += 8 * KIB
                found = client.recv(65536)
            except TimeoutError:
                continue
            except OSError:
                break
        client.settimeout(raw.TIMEOUT)
        if b"\r\n\r\n" not in found:
            found += raw.read_all(client)
    return raw.Answer(found), sent


@pytest.mark.parametrize("path", PLUGINS)
def test_s25_a_body_over_the_limit_is_413_however_it_comes(server, path):
    body = b"a=" + b"b" * LIMIT
    declared = raw.exchange(
        server.port, head(path, f"Content-Length: {len(body)}", "Connection: close") + body
    )
    assert declared.status == 413
    # What is declared is not waited for.
    begun = raw.exchange(server.port, head(path, f"Content-Length: {10**15}", "Connection: close") + b"a")
    assert begun.status == 413
    answer, sent = without_end(server.port, path)
    assert answer.status == 413
    assert sent < 32 * LIMIT
    fitting = b"a=" + b"b" * (LIMIT - 2)
    fits = raw.exchange(server.port, head(path, f"Content-Length: {LIMIT}", "Connection: close") + fitting)
    assert fits.status != 413


def test_s25_a_packed_answer_of_a_backend_is_unpacked_up_to_the_limit():
    packed = bomb(200 * MIB)
    headers = [("Content-Type", JSON), ("Content-Encoding", "gzip")]
    with stub(lambda asked: Told(200, headers, packed)) as backend:
        gateway_ = Gateway.from_krakend(hello_app, krakend(backend.port))
        with allocating(12 * MIB):  # the limit is the usual one, 8 MiB
            assert Client(gateway_).get("/a").status_code == 500
        gateway_.stop()


@pytest.mark.parametrize("shape", SHAPES)
def test_s25_no_body_with_names_costs_a_hundred_times_its_size(shape):
    kind, data = SHAPES[shape]
    forms.body_values(kind, data[:10], "a")
    with allocating(100 * len(data)):
        forms.body_values(kind, data, "a")
        forms.body_without(kind, data, "a")
