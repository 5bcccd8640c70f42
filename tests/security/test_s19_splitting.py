"""S19: no value that a client sends, and none that a plugin sets, becomes a line of its own."""

from __future__ import annotations

import pytest

from plugmw import Gateway
from tests.support.plugins import made
from tests.support.wsgi import environ_of, serve

BAD = "a\r\nX-Split: 1\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"


def _exit(x, *what):
    x.exit(403, b"no", [what])


#: How plugins set headers: (phase, call); each tries to split the response.
WAYS = {
    "set": ("header_filter", lambda x: x.set_header("X-A", BAD)),
    "add": ("header_filter", lambda x: x.add_header("X-A", BAD)),
    "name": ("header_filter", lambda x: x.add_header(f"X-A: b\r\n{BAD}", "c")),
    "view": ("header_filter", lambda x: x.headers.__setitem__("X-A", BAD)),
    "view-add": ("header_filter", lambda x: x.headers.add("X-A", BAD)),
    "view-name": ("header_filter", lambda x: x.headers.update({f"X-A: b\r\n{BAD}": "c"})),
    "early": ("access", lambda x: x.add_header("X-A", BAD)),
    "early-view": ("access", lambda x: x.headers.add("X-A", BAD)),
    "request": ("access", lambda x: x.set_request_header("X-A", BAD)),
    "exit": ("access", lambda x: _exit(x, "X-A", BAD)),
    "exit-name": ("access", lambda x: _exit(x, BAD, "b")),
    "exit-location": ("access", lambda x: x.exit(302, None, {"Location": BAD})),
    "fail": ("access", lambda x: x.fail(403, "no", [("X-A", BAD)])),
    "late-exit": ("header_filter", lambda x: _exit(x, "X-A", BAD)),
    "response": ("response", lambda x: x.set_header("X-A", BAD)),
    "response-view": ("response", lambda x: x.headers.extend({"X-A": BAD})),
    "status": ("header_filter", lambda x: setattr(x, "status", f"200 {BAD}")),
}
#: What an app may get wrong by itself: (status line, headers).
OWN = {
    "own-value": ("200 OK", [("X-A", BAD)]),
    "own-name": ("200 OK", [(f"X-A: b\r\n{BAD}", "c")]),
    "own-status": (f"200 OK\r\n{BAD}", []),
}


@pytest.mark.parametrize("way", WAYS)
def test_s19_a_server_that_looks_at_nothing_gets_nothing_from_plugins(way):
    phase, change = WAYS[way]
    plugin = made(way, **{phase: change})

    def site(environ, start_response):
        assert not [value for key, value in environ.items() if key.startswith("HTTP_X") and "\n" in value]
        start_response("200 OK", [])
        return [b"whole"]

    found = serve(Gateway(site, {"store": "memory://"}, plugins=[plugin]), environ_of())
    assert found.status == "500 Internal Server Error"
    told = [found.status, *(text for pair in found.headers for text in pair)]
    assert not [text for text in told if "\r" in text or "\n" in text]
