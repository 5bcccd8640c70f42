"""Clients that send a byte at a time, or hang up in the middle: ended once, logged once, nothing kept."""

from __future__ import annotations

import socket
import struct
import time

import pytest

from tests.security.load import WORKERS, Load
from tests.support import raw
from tests.support.waiting import until

SOURCE = """
    import os, time
    from plugmw import Gateway
    from tests.support.plugins import made

    def note(*words):
        os.write(1, ("NOTE " + " ".join(map(str, words)) + "\\n").encode())

    class Body:
        def __init__(self, name):
            self.name, self.left = name, 400
        def __iter__(self):
            return self
        def __next__(self):
            self.left -= 1
            if not self.left:
                raise StopIteration
            return b"x" * 65536
        def close(self):
            note("close", self.name)

    def site(environ, start_response):
        path = environ["PATH_INFO"]
        if path.startswith("/long"):
            start_response("200 OK", [("Content-Type", "text/plain")])
            return Body(path)
        environ["wsgi.input"].read()
        start_response("200 OK", [("Content-Length", "2")])
        return [b"ok"]

    def access(x):
        if x.path.startswith("/buffered"):
            x.read_body()

    app = Gateway(site, {"store": "memory://"}, plugins=[
        made("reading", 3, access=access),
        made("filtering", 2, body_filter=lambda x, chunk, eof: chunk),
        made("noting", 1, log=lambda x: note("log", x.path, x.status)),
    ])
"""
BODY = b"a=" + b"b" * 4


@pytest.fixture(scope="module", params=WORKERS)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def server(kind, gunicorn_for_module):
    return gunicorn_for_module(SOURCE, workers=2, worker_class=kind, args=WORKERS[kind])


def notes(server, path):
    """Return what was noted about a path, without it."""
    lines = (line.partition("NOTE ")[2] for line in server.log().split("\n") if f" {path}" in line)
    return [line.replace(f" {path}", "") for line in lines if line]


def reset(client):
    """Hang up as a process does that is killed with unread data: by a reset."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def test_a_client_that_sends_a_byte_now_and_then_holds_up_nobody(server):
    with raw.connect(server.port) as client, Load(server.port) as load:
        head = raw.request("/buffered/slowly", method="POST", body=BODY)[: -len(BODY)]
        client.sendall(head)
        for byte in BODY:
            time.sleep(0.2)
            client.sendall(bytes([byte]))
        answer = raw.Answer(raw.read_all(client))
    assert (answer.status, answer.body) == (200, b"ok")
    assert load.bad == []
    until(lambda: notes(server, "/buffered/slowly") == ["log 200"])


@pytest.mark.parametrize("path", ["/buffered/gone", "/unread/gone"])
def test_a_client_that_hangs_up_in_its_request_is_logged_once(server, path):
    with Load(server.port) as load:
        for end in (socket.socket.close, reset):
            client = socket.create_connection(("127.0.0.1", server.port))
            client.sendall(raw.request(f"{path}/{end.__name__}", method="POST", body=BODY)[:-2])
            # So that it is being read by then.
            load.wait(5)
            end(client)
        load.wait(10)
    assert load.bad == []
    for end in (socket.socket.close, reset):
        until(lambda: len(notes(server, f"{path}/{end.__name__}")) == 1)
    assert server.log().count("Traceback") == 0, server.log()


def test_a_client_that_hangs_up_in_its_answer_ends_it_once(server):
    with Load(server.port) as load:
        for end in (socket.socket.close, reset):
            client = socket.create_connection(("127.0.0.1", server.port))
            client.sendall(raw.request(f"/long/{end.__name__}"))
            client.recv(1000)
            end(client)
        load.wait(10)
    assert load.bad == []
    for end in (socket.socket.close, reset):
        until(lambda: notes(server, f"/long/{end.__name__}") == ["close", "log 200"])
