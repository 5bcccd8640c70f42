"""S19: no value that a client or a plugin sends becomes a line of its own; gunicorn looks at the app's."""

from __future__ import annotations

import pytest

from tests.security.test_s19_splitting import OWN as OWN
from tests.security.test_s19_splitting import WAYS as WAYS
from tests.support import raw
from tests.support.wire import WORKERS, replies, side_by_side, talk

SOURCE = """
    from plugmw import Entry, Gateway
    from tests.support.plugins import made
    from tests.security.test_s19_splitting import WAYS, OWN

    def site(environ, start_response):
        status, headers = OWN.get(environ["PATH_INFO"].rpartition("/")[2], ("200 OK", []))
        start_response(status, headers)
        return [b"whole"]

    REFLECTING = [
        {"name": "correlation-id", "config": {"header_name": "X-Id", "echo_downstream": True}},
        {"name": "request-transformer", "route": "change", "config": {"add": {"headers": [
            "X-Copy:$(query_params.v)", "X-Other:$(headers['x-v'] or query_params['v'])"]}}},
        {"name": "request-transformer", "route": "path", "config": {
            "replace": {"uri": "/$(query_params.v)"}}},
        {"name": "cors", "route": "cors", "config": {"origins": ["*"], "credentials": False}},
    ]
    routes = [{"name": name, "paths": [f"/{name}"]} for name in ("change", "path", "cors")]
    routes += [{"name": "secure", "paths": ["/secure"], "protocols": ["https"],
                "https_redirect_status_code": 308}]
    ways = [made(name, place, **{phase: change})
            for place, (name, (phase, change)) in enumerate(WAYS.items(), 10)]
    app = Gateway(site, {
        "store": "memory://", "routes": routes + [{"name": name, "paths": [f"/{name}"]} for name in WAYS],
        "plugins": REFLECTING,
    }, plugins=[Entry(plugin, route=plugin.name) for plugin in ways])
"""
#: What a client sends where something of it comes back: (target, header lines).
SENT = {
    "correlation-id": ("/", [b"X-Id: a\rX-Split: 1"]),
    "correlation-id, escaped": ("/", [b"X-Id: a%0d%0aX-Split: 1"]),
    "correlation-id, other line ends": ("/", ["X-Id: a\u2028X-Split: 1".encode(), b"X-Id: a\x85X-Split: 1"]),
    "transformer": ("/change?v=a%0d%0aX-Split:%201", []),
    "transformer, LF": ("/change?v=a%0aX-Split:%201", []),
    "transformer, twice escaped": ("/change?v=a%250d%250aX-Split:%201", []),
    "transformer, NUL": ("/change?v=a%00X-Split:%201", []),
    "path": ("/path?v=a%0d%0aX-Split:%201", []),
    "redirect": ("/secure/%0d%0aX-Split:%201", []),
    "redirect of a whole URL": ("http://t/secure/%0d%0aX-Split:%201?%0d%0a", []),
    "redirect, query": ("/secure?%0d%0aX-Split:%201", []),
    "redirect, host": ("/secure", [b"Host: t%0d%0aX-Split: 1"]),
    "origin": ("/cors", [b"Origin: http://a%0d%0aX-Split: 1"]),
    "error": ("/%0d%0aX-Split:%201/..;/", []),
}


@pytest.fixture(scope="module", params=WORKERS)
def server(request, gunicorn_for_module):
    return gunicorn_for_module(SOURCE, worker_class=request.param, args=WORKERS[request.param])


def test_s19_nothing_that_a_client_sends_is_a_line_of_the_answer(server):
    mark = len(server.log())

    def ask(name):
        target, lines = SENT[name]
        host = [] if any(line.startswith(b"Host") for line in lines) else [b"Host: t"]
        head = [f"GET {target} HTTP/1.1".encode(), *host, *lines, b"Connection: close"]
        return name, talk(server.port, b"\r\n".join([*head, b"", b""]))

    for name, data in side_by_side(ask, SENT):
        [answer] = replies(data, ["GET"])
        assert answer.header("x-split") is None, (name, answer.raw)
        assert data.count(b"HTTP/1.1 ") == 1, (name, answer.raw)
        if name.startswith("redirect"):
            assert answer.status == 308, (name, answer.raw)
            assert "\r" not in answer.header("location")
        if name in ("transformer", "transformer, LF", "transformer, NUL"):
            # Nothing half-changed reaches the app.
            assert answer.status == 500, (name, answer.raw)
    assert "Traceback" not in server.log()[mark:]


@pytest.mark.parametrize("way", [*WAYS, *OWN])
def test_s19_what_a_plugin_or_the_app_sets_is_refused_as_a_whole(server, way):
    answer = raw.get(server.port, f"/{way}")
    assert answer.status == 500
    assert b"X-Split" not in answer.raw
    assert answer.raw.count(b"HTTP/1.1 ") == 1
    if way in WAYS:
        assert b"An unexpected error occurred" in answer.body
