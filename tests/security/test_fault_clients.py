"""Clients that send a byte at a time, or hang up in the middle: ended once, logged once, nothing kept."""

from __future__ import annotations

import gc
import io
import logging
import weakref

import pytest

from plugmw import Gateway
from plugmw.testing import hello_app
from tests.support.plugins import made, noting
from tests.support.wsgi import environ_of, serve

# -- what was kept of it ------------------------------------------------------------------------------


class Stream(io.BytesIO):
    """A request body that ends before its time, or with an error of the connection."""

    def __init__(self, error):
        super().__init__(b"x" * 1000)
        self._error = error

    def read(self, size=-1):
        found = super().read(min(size, 100) if size >= 0 else 100)
        if not found and self._error:
            raise self._error("in the middle")
        return found


@pytest.mark.parametrize("error", [None, ConnectionResetError, TimeoutError])
def test_a_request_body_that_breaks_off_is_dropped_at_once(error):
    held, logged = [], []
    plugins = [
        made("reading", 2, access=lambda x: (held.append(weakref.ref(x)), x.read_body())),
        made("noting", 1, log=lambda x: logged.append(x.status)),
    ]
    app = Gateway(hello_app, {"store": "memory://"}, plugins=plugins, logger=logging.Logger("nobody"))
    stream = Stream(error)
    gc.disable()
    try:
        found = serve(app, environ_of("/", "POST", **{"CONTENT_LENGTH": "5000", "wsgi.input": stream}))
        status, found.returned, found.raised = found.status, None, None
        assert held[0]() is None
    finally:
        gc.enable()
    assert (status, logged) == ("400 Bad Request", [400])


@pytest.mark.parametrize("phase", ["body_filter", "response"])
def test_an_answer_that_nobody_takes_any_more_is_dropped_at_once(phase):
    """The client goes away after the first chunk, or while the answer is still being collected."""
    journal, held = [], []

    def stream(environ, start_response):
        start_response("200 OK", [])
        try:
            for _ in range(3):
                held.append(weakref.ref(environ["stand-in"]))
                yield b"x" * 1000
        finally:
            journal.append("close")

    class StandIn:
        """Lives as long as the exchange."""

    plugins = [
        noting("buffering", [], phase, priority=2),
        noting("noting", journal, "log", priority=1),
    ]
    app = Gateway(stream, {"store": "memory://"}, plugins=plugins)
    gc.disable()
    try:
        found = serve(app, environ_of("/", **{"stand-in": StandIn()}), stop_after=1)
        assert found.raised is None
        found.returned = None
        assert held[0]() is None
    finally:
        gc.enable()
    assert journal == ["close", "noting.log"]
