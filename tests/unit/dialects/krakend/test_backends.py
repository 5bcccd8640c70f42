"""Backends that are WSGI apps of every kind, behaving or not, and what is read of them."""

from __future__ import annotations

from wsgiref.util import FileWrapper

import pytest

from plugmw import Gateway
from plugmw.dialects.krakend.backends import Streamed, answered, joined, reply_encoding
from plugmw.dialects.krakend.failures import BackendError
from tests.support.wsgi import BAD, GOOD, Closing, Oops, environ_of, serve
from tests.unit.dialects.krakend.running import backend, endpoint, plugin_of


def through(app):
    """Serve an app as the backend of a no-op endpoint."""
    made = endpoint("/x", backend("/"), output_encoding="no-op")
    return serve(Gateway(app, plugins=[plugin_of(made)]), environ_of("/x"))


@pytest.mark.parametrize("kind", GOOD)
def test_a_good_app_answers_as_it_does_by_itself(kind):
    closed, alone = [], []
    found, expected = through(GOOD[kind](closed)), serve(GOOD[kind](alone))
    assert (found.status[:3], found.body, found.raised) == (expected.status[:3], expected.body, None)
    assert (closed, found.all("X-Many")) == (alone, expected.all("X-Many"))
    assert found.header("X-Krakend-Completed") == "false"


def test_a_file_of_the_app_stays_a_file():
    found = through(GOOD["file"]([]))
    assert isinstance(found.returned, FileWrapper)


@pytest.mark.parametrize("kind", BAD)
def test_an_app_that_fails_is_an_empty_500_or_ends_the_stream(kind):
    closed, alone = [], []
    found, expected = through(BAD[kind](closed)), serve(BAD[kind](alone))
    assert closed == alone
    if found.raised is None:
        assert (found.status, found.body) == ("500 Internal Server Error", b"")
    else:
        assert isinstance(found.raised, Oops)
        assert (found.where, found.body) == (expected.where, expected.body)


def test_a_good_app_gives_data_as_well():
    def app(environ, start_response):
        write = start_response("200 OK", [("Content-Type", "application/json")])
        write(b'{"a": ')
        return [b"1", b"}"]

    result = serve(Gateway(app, plugins=[plugin_of(endpoint())]), environ_of("/x"))
    assert (result.status, result.body) == ("200 OK", b'{"a":1}')


def test_what_an_app_answers_is_told_at_once():
    closed = []

    def app(environ, start_response):
        start_response("203 Mine", [("X-A", "1")])
        return Closing([b"a", b"b"], closed)

    status, headers, pieces = answered(app, environ_of())
    assert (status, headers, closed) == (203, [("X-A", "1")], [])
    assert joined(pieces, 2) == b"ab"
    assert closed == ["close"]


def test_a_body_above_the_limit_is_an_error_and_is_closed():
    closed = []
    with pytest.raises(BackendError, match="the body has more than 3 bytes"):
        joined(Closing([b"ab", b"cd", b"ef"], closed), 3)
    assert closed == ["close"]


def test_a_streams_body_is_taken_or_read_once():
    closed = []
    streamed = Streamed(200, [("etag", "e"), ("ETAG", "f")], Closing([b"a"], closed), 10)
    assert (streamed.headers, streamed.read_body, streamed.original) == ({"Etag": ["e", "f"]}, None, None)
    assert (streamed.body, streamed.body, streamed.original) == (b"a", b"a", b"a")
    streamed.close()
    streamed.close()
    assert closed == ["close"]


@pytest.mark.parametrize(
    ("output", "inputs", "encoding"),
    [
        ("json", ["xml"], "json"),
        ("unknown", ["xml"], "xml"),
        ("unknown", ["xml", "xml"], "unknown"),
        ("no-op", ["json"], "no-op"),
        ("unknown", ["no-op"], "no-op"),
        ("negotiate", ["xml"], "negotiate"),
    ],
)
def test_an_unknown_encoding_of_replies_is_that_of_the_one_backend(output, inputs, encoding):
    backends = [backend(encoding=kind) for kind in inputs]
    assert reply_encoding(endpoint("/x", *backends, output_encoding=output)) == encoding
