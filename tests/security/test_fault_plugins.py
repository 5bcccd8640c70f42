"""Plugins that hang, run out of memory or files, end the process, or answer what is no answer."""

from __future__ import annotations

import gc
import logging
import weakref

import pytest

from plugmw import Gateway
from plugmw.testing import hello_app
from tests.support.plugins import made, noting
from tests.support.wsgi import serve


@pytest.mark.parametrize("others", [[], ["log"]], ids=["alone", "with a log phase"])
@pytest.mark.parametrize("phase", ["access", "header_filter", "body_filter", "response"])
def test_what_a_failed_plugin_had_open_is_given_back_without_the_garbage_collector(phase, others, no_gc):
    held = []

    def fail(*args):
        thing = Held()
        held.append(weakref.ref(thing))
        raise MemoryError

    plugins = [made("bad", 2, **{phase: fail}), noting("noting", [], "access", *others)]
    # A logger without handlers: nobody keeps the trace.
    app = Gateway(hello_app, {"store": "memory://"}, plugins=plugins, logger=logging.Logger("nobody"))
    assert serve(app).status.startswith("500")
    assert [ref() for ref in held] == [None]


class Held:
    """Stands for an open file, or a gigabyte."""


@pytest.fixture
def no_gc():
    gc.disable()
    yield
    gc.enable()


#: (phase, what the plugin does there); each raises where it is done, or is found when it is sent.
GARBAGE = {
    "status 99 in exit": ("access", lambda x: x.exit(99)),
    "status as text in exit": ("access", lambda x: x.exit("200")),
    "body of no known type in exit": ("access", lambda x: x.exit(200, object())),
    "headers that are no pairs in exit": ("access", lambda x: x.exit(200, "a", [("A",)])),
    "headers that are a number in exit": ("access", lambda x: x.exit(200, "a", 5)),
    "header set to a number": ("access", lambda x: x.set_header("X", 5)),
    "header added as a number": ("access", lambda x: x.add_header("X", 5)),
    "header put in as a number": ("access", lambda x: x.headers.update({"X": 5})),
    "header put in as bytes": ("response", lambda x: x.headers.__setitem__("X", b"5")),
    "header put in with a line break": ("header_filter", lambda x: x.headers.add("X", "a\r\nb: c")),
    "header with a line break": ("header_filter", lambda x: x.set_header("X", "a\r\nb: c")),
    "header of no name": ("header_filter", lambda x: x.set_header("", "a")),
    "status 99": ("header_filter", lambda x: setattr(x, "status", 99)),
    "status that is a text": ("header_filter", lambda x: setattr(x, "status", "200 OK")),
    "body that is a text": ("header_filter", lambda x: setattr(x, "body", "text")),
    "body that is nothing": ("response", lambda x: setattr(x, "body", None)),
    "status 1000": ("response", lambda x: setattr(x, "status", 1000)),
    "chunk that is a text": ("body_filter", lambda x, chunk, eof: "text"),
    "chunk that is nothing": ("body_filter", lambda x, chunk, eof: None),
    "chunk that is a list": ("body_filter", lambda x, chunk, eof: [chunk]),
    "chunk that can change": ("body_filter", lambda x, chunk, eof: bytearray(chunk)),
    "app that answers nothing": ("access", lambda x: x.delegate(lambda environ, start: None)),
    "app that is none": ("access", lambda x: x.delegate(5)),
}


@pytest.mark.parametrize("garbage", GARBAGE)
def test_garbage_of_a_plugin_is_a_500_and_the_log_names_it(garbage, caplog):
    phase, do = GARBAGE[garbage]
    logged = []
    plugins = [made("garbler", 2, **{phase: do}), made("noting", 1, log=lambda x: logged.append(x.status))]
    found = serve(Gateway(hello_app, {"store": "memory://"}, plugins=plugins))
    assert (found.status, found.raised) == ("500 Internal Server Error", None)
    assert b"An unexpected error occurred" in found.body
    [record] = caplog.records
    assert f"garbler failed in {phase}" in record.getMessage()
    assert logged == [500]
