"""request-size-limiting: configuration, the decision, what the app gets, and a real server."""

from __future__ import annotations

import pytest

from tests.support import raw

# -- a real server ------------------------------------------------------------------------------------

SOURCE = """
    from plugmw.contrib.request_size_limiting.plugin import RequestSizeLimiting

    def echo(environ, start_response):
        body = environ["wsgi.input"].read()
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
        return [body]

    measured = RequestSizeLimiting.middleware(echo, allowed_payload_size=100, size_unit="bytes")
    streamed = RequestSizeLimiting.middleware(
        echo, allowed_payload_size=100, size_unit="bytes", streaming=True
    )

    def app(environ, start_response):
        chosen = streamed if environ["PATH_INFO"] == "/streamed" else measured
        return chosen(environ, start_response)
"""


def sent(path, size):
    head = f"POST {path} HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    return head + b"%x\r\n%b\r\n0\r\n\r\n" % (size, b"a" * size)


@pytest.mark.parametrize("worker_class", ["sync", "gthread", "gevent"])
def test_the_next_request_is_answered_right(gunicorn, worker_class):
    server = gunicorn(SOURCE, worker_class=worker_class)
    last = b"GET /last HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\nConnection: close\r\n\r\nzz"
    for path in ("/measured", "/streamed"):
        answer = raw.exchange(server.port, sent(path, 100) + last)
        assert answer.raw.startswith(b"HTTP/1.1 200 OK")
        answer = raw.exchange(server.port, sent(path, 101) + last)
        assert answer.status == 413
        # What is left of the body is never taken for a request: an answer to it would be a second 4xx.
        later = [part[:3] for part in answer.raw.split(b"HTTP/1.1 ")[2:]]
        assert later in ([], [b"200"])
