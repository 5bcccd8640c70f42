"""The same bytes on the wire, with and without plugins that do nothing, under real gunicorn."""

from __future__ import annotations

import pytest

from tests.support import raw
from tests.support.plugins import filters
from tests.support.real_apps import REQUESTS
from tests.support.servers import require_module

SOURCE = """
    from plugmw import Gateway
    from tests.support.plugins import KINDS
    from tests.support.real_apps import {name}_app

    made = {name}_app()
    config = {{"store": "memory://"}}
    under = {{kind: Gateway(made, config, plugins=plugins()) for kind, plugins in KINDS.items()}}

    def app(environ, start_response):
        kind = environ.get("HTTP_X_KIND")
        return (under[kind] if kind else made)(environ, start_response)
"""
#: One of each; every mixture is tried in process. A filter may change how a stream is framed.
KINDS = ["none", "rewrite", "access", "header_filter", "log", "wrap", "everything", "response"]


def observed(answer, without_length):
    """Return the head and the body; of a stream that is filtered or read whole, not how it is framed."""
    if not without_length:
        return answer.without_date()
    framing = ("content-length", "transfer-encoding", "date")
    return [item for item in answer.headers if item[0] not in framing], answer.body


@pytest.mark.parametrize(
    ("name", "worker_class", "args"),
    [("flask", "sync", []), ("django", "gthread", ["--threads", "4"]), ("flask", "gevent", [])],
    ids=["flask-sync", "django-gthread", "flask-gevent"],
)
def test_the_bytes_are_the_same(gunicorn, name, worker_class, args):
    require_module(name)
    server = gunicorn(SOURCE.format(name=name), worker_class=worker_class, args=args)
    different = []
    for method, path, headers in REQUESTS:
        lines = [f"{key}: {value}" for key, value in headers.items()]
        body = b"some data" if method == "POST" else b""
        alone = raw.get(server.port, path, *lines, method=method, body=body)
        for kind in KINDS:
            under = raw.get(server.port, path, *lines, f"X-Kind: {kind}", method=method, body=body)
            if kind == "response" and path == "/crash-in-stream":
                assert not under.complete or under.status == 500
                continue
            framed = filters(kind)
            if observed(under, framed) != observed(alone, framed):
                different.append((method, path, kind, under.raw[:500], alone.raw[:500]))
    assert different == []
