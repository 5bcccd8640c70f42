"""The upstream: what goes to a service, what comes back, and what is answered when it cannot."""

from __future__ import annotations

import pytest

from tests.support import raw
from tests.support.services import Service

SERVED = """
    from plugmw import Gateway
    import os

    def app(environ, start_response):
        start_response("200 OK", [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")])
        body = environ["wsgi.input"].read()
        return [f"{environ['REQUEST_METHOD']} {environ['RAW_URI']} {len(body)} ".encode(), b"x" * 1000]
"""
FRONT = """
    import os
    from plugmw import Gateway

    def none(environ, start_response):
        raise AssertionError("not asked")

    app = Gateway(none, {
        "services": [{"name": "s", "url": os.environ["SERVICE"] + "/base"}],
        "routes": [{"name": "r", "paths": ["/api"], "service": "s", "strip_path": True}],
    })
"""


@pytest.mark.parametrize(
    ("worker_class", "more"), [("sync", []), ("gthread", ["--threads", "4"]), ("gevent", [])]
)
def test_real_servers_on_both_sides(gunicorn, worker_class, more):
    service = gunicorn(SERVED)
    server = gunicorn(FRONT, worker_class=worker_class, args=more, workers=2, env={"SERVICE": service.url})
    got = raw.get(server.port, "/api/a%2fb/../c?x=%20")
    assert got.status == 200
    assert got.body.startswith(b"GET /base/a%2fb/../c?x=%20 0 ")
    assert [value for name, value in got.headers if name == "set-cookie"] == ["a=1", "b=2"]
    got = raw.get(server.port, "/api", method="POST", body=b"z" * 100_000)
    assert got.body.startswith(b"POST /base/ 100000 ")
    chunked = b"POST /api/c HTTP/1.1\r\nHost: t\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    got = raw.exchange(server.port, chunked + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    assert got.body.startswith(b"POST /base/c 5 ")
    got = raw.get(server.port, "/api/h", method="HEAD")
    assert (got.status, got.body) == (200, b"")
    service.stop()
    assert raw.get(server.port, "/api").status == 502


def test_a_real_answer_that_is_cut_off_is_not_taken_for_whole(gunicorn):
    def cut(connection):
        connection.request()
        connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")

    with Service(cut) as service:
        server = gunicorn(FRONT, env={"SERVICE": service.url})
        got = raw.get(server.port, "/api")
    assert got.body[:3] == b"abc"
    assert not got.complete
