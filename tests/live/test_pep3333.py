"""PEP 3333 under gunicorn's sync, gthread and gevent workers, over bare sockets."""

from __future__ import annotations

import socket
import struct

import pytest

from tests.support import raw
from tests.support.servers import require_program

SOURCE = """
    import os, socket, sys, threading, time
    from plugmw import Gateway
    from tests.support.plugins import made
    from tests.support.wsgi import APPS

    def note(text):
        os.write(1, f"NOTE {text}\\n".encode())

    class Closed(list):
        def __init__(self, name):
            self.name = name
        def append(self, what):
            note(f"{self.name} close")

    def files(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "300000")])
        file = open(__file__ + ".data", "rb")
        return environ["wsgi.file_wrapper"](file)

    def endless(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        def chunks():
            try:
                while True:
                    yield b"x" * 65536
            finally:
                note("endless close")
        return chunks()

    with open(__file__ + ".data", "wb") as data:
        data.write(b"0123456789" * 30000)

    original = socket.socket.sendfile
    def spy(self, file, *args, **kwargs):
        note(f"sendfile {type(file).__name__}")
        return original(self, file, *args, **kwargs)
    socket.socket.sendfile = spy

    def log(x):
        note(f"log {x.environ['QUERY_STRING']} {x.status} {x.source}")

    KINDS = {
        "log": [made(log=log)],
        "body": [made("body", body_filter=lambda x, chunk, eof: chunk.upper(), log=log)],
        "header": [made("header", header_filter=lambda x: x.add_header("X-Seen", "1"))],
        "response": [made("response", response=lambda x: None), made("log", log=log)],
        "late failure": [made("f", body_filter=lambda x, c, e: c if c == b"one" else 1 / 0, log=log)],
        "early failure": [made("f", body_filter=lambda x, c, e: 1 / 0), made("log", log=log)],
        "header failure": [made("f", header_filter=lambda x: 1 / 0), made("log", log=log)],
        "slow log": [made("log", log=lambda x: (time.sleep(0.3), log(x)))],
    }

    def dispatch(environ, start_response):
        name = environ["QUERY_STRING"].replace("%20", " ")
        inner = {"files": files, "endless": endless}.get(name) or APPS[name](Closed(name))
        plugins = KINDS[environ["PATH_INFO"].strip("/").replace("_", " ")]
        return Gateway(inner, {"store": "memory://"}, plugins=plugins)(environ, start_response)

    app = dispatch
"""
WORKERS = {"sync": [], "gthread": ["--threads", "4"], "gevent": []}


@pytest.fixture(scope="module", params=WORKERS)
def server(request, gunicorn_for_module):
    return gunicorn_for_module(SOURCE, worker_class=request.param, args=WORKERS[request.param])


def notes(server, mark):
    """Return what the worker noted since ``mark``."""
    lines = [line.partition("NOTE ")[2] for line in server.log()[mark:].split("\n") if "NOTE " in line]
    return [line for line in lines if line]


def ask(server, kind, app, *headers, method="GET"):
    """Return the answer and what was noted until its log phase."""
    mark = len(server.log())
    answer = raw.get(server.port, f"/{kind}?{app.replace(' ', '%20')}", *headers, method=method)
    if kind != "header":
        wait_for_log(server, mark)
    return answer, notes(server, mark)


def wait_for_log(server, mark):
    import time

    end = time.monotonic() + 15
    while not any(note.startswith("log ") for note in notes(server, mark)):
        assert time.monotonic() < end, server.log()[mark:]
        time.sleep(0.005)


BODIES = {
    "list": b"onetwo",
    "tuple": b"onetwo",
    "generator": b"onetwo",
    "late start": b"onetwo",
    "iterator with close": b"onetwo",
    "write": b"onetwo",
    "write and iterate": b"onetwo",
    "empty list": b"",
    "file": b"onetwo",
    "204": b"",
    "304": b"",
    "exc_info before the headers": b"sorry",
}


@pytest.mark.parametrize("kind", ["log", "body", "response", "header"])
def test_every_kind_of_app_is_served_whole(server, kind):
    for app, body in BODIES.items():
        answer, noted = ask(server, kind, app)
        assert answer.body == (body.upper() if kind == "body" else body), app
        # gunicorn keeps the Content-Length of an answer that was taken back, with or without us.
        assert answer.complete or app == "exc_info before the headers", app
        if kind != "header":
            assert [note for note in noted if note.startswith("log")] == noted[-1:], (app, noted)
        if app in ("iterator with close", "generator", "late start", "file"):
            assert noted.count(f"{app} close") == 1, app


def test_head_has_the_head_and_no_body(server):
    answer, _ = ask(server, "body", "write", method="HEAD")
    assert answer.status == 200
    assert answer.header("content-length") == "6"


@pytest.mark.parametrize(
    "app",
    [
        "raises at call",
        "raises after start_response",
        "raises before a late start",
        "raises at the first chunk",
    ],
)
def test_an_app_that_fails_before_the_first_byte_is_the_servers_500(server, app):
    answer, noted = ask(server, "log", app)
    assert answer.status == 500
    assert noted[-1].startswith("log ")
    assert len([note for note in noted if note.startswith("log ")]) == 1


@pytest.mark.parametrize("app", ["raises midstream", "raises after write", "exc_info after the headers"])
def test_an_app_that_fails_later_is_cut_detectably(server, app):
    for kind in ("log", "body"):
        answer, noted = ask(server, kind, app)
        assert answer.status == 200
        assert not answer.complete, (kind, answer.raw)
        assert len([note for note in noted if note.startswith("log ")]) == 1


def test_a_filter_that_fails_first_gives_a_clean_500_and_later_cuts_the_stream(server):
    for kind in ("early_failure", "header_failure"):
        answer, noted = ask(server, kind, "generator")
        assert (answer.status, answer.complete) == (500, True), kind
        assert b"An unexpected error occurred" in answer.body
        assert noted[-1].endswith("500 error")
    answer, _ = ask(server, "late_failure", "generator")
    assert (answer.status, answer.complete, answer.body if answer.complete else b"one") == (
        200,
        False,
        b"one",
    )


def test_a_file_goes_by_sendfile_also_under_a_log_plugin(server):
    for kind in ("log", "header"):
        mark = len(server.log())
        answer, _ = ask(server, kind, "files")
        assert len(answer.body) == 300_000
        assert [note for note in notes(server, mark) if note.startswith("sendfile")], kind
    mark = len(server.log())
    answer, _ = ask(server, "body", "files")
    assert len(answer.body) == 300_000
    assert not [note for note in notes(server, mark) if note.startswith("sendfile")]


@pytest.mark.parametrize("kind", ["log", "body"])
def test_a_client_that_goes_away_midstream_ends_the_app_and_is_logged(server, kind):
    mark = len(server.log())
    with raw.connect(server.port) as client:
        client.sendall(raw.request(f"/{kind}?endless"))
        client.recv(100_000)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wait_for_log(server, mark)
    assert notes(server, mark)[-2:] == ["endless close", "log endless 200 service"]


def test_a_client_that_goes_away_before_the_answer_is_logged_all_the_same(server):
    mark = len(server.log())
    with raw.connect(server.port) as client:
        client.sendall(raw.request("/log?endless"))
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wait_for_log(server, mark)
    assert notes(server, mark)[-1] == "log endless 200 service"


def test_log_runs_after_the_last_byte(server):
    mark = len(server.log())
    with raw.connect(server.port) as client:
        client.sendall(raw.request("/slow_log?one%20chunk"))
        found = raw.read_until(client, b"\r\n\r\none")
        assert found.endswith(b"one")
        assert not [note for note in notes(server, mark) if note.startswith("log")]
    wait_for_log(server, mark)


def test_the_kernel_call_is_sendfile(gunicorn):
    """The proof that no spy can fake: strace sees the worker call sendfile(2)."""
    strace = require_program("strace")
    server = gunicorn(SOURCE, prefix=[strace, "-f", "-qq", "-e", "trace=sendfile,sendfile64"])
    answer, _ = ask(server, "log", "files")
    assert len(answer.body) == 300_000
    assert "sendfile(" in server.log()
    server.stop()
