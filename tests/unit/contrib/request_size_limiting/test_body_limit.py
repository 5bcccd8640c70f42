"""Bodies that are measured: into a spool, or as the app reads."""

from __future__ import annotations

import gc
import io
import os

import pytest

from plugmw.concurrency.deadline import Deadline
from plugmw.contrib.request_size_limiting.body_limit import IN_MEMORY, PATIENCE, Metered, answering, spool
from plugmw.wsgi.answer import Exit
from tests.support.clock import Clock
from tests.support.wsgi import Closing, environ_of, serve


class Reading(io.BytesIO):
    """A stream that notes how much was asked for, and gives out little at a time."""

    asked = 0

    def read(self, size=-1):
        assert size >= 0
        self.asked += size
        return super().read(min(size, 50_000))


# -- spool --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 100_000, IN_MEMORY + 1])
def test_a_body_up_to_the_limit_is_handed_on_with_its_length(size):
    data = os.urandom(size)
    environ = environ_of(HTTP_TRANSFER_ENCODING="chunked", **{"wsgi.input": Reading(data)})
    assert spool(environ, size)
    assert environ["wsgi.input"].read() == data
    assert (environ["CONTENT_LENGTH"], environ["wsgi.input_terminated"]) == (str(size), True)
    assert "HTTP_TRANSFER_ENCODING" not in environ


def test_a_request_without_a_body_stays_as_it_is():
    environ = environ_of(**{"wsgi.input": Reading(b"")})
    before = dict(environ)
    assert spool(environ, 5)
    assert environ == before


def test_no_more_than_one_byte_above_the_limit_is_read():
    stream = Reading(b"x" * 200_000)
    environ = environ_of(**{"wsgi.input": stream})
    assert not spool(environ, 70_000)
    assert stream.tell() == 70_001
    assert environ["wsgi.input"] is stream


@pytest.mark.slow
def test_a_large_body_is_in_a_file_that_goes_with_the_request():
    environ = environ_of(**{"wsgi.input": Reading(b"a\nb" * IN_MEMORY)})
    assert spool(environ, 10 * IN_MEMORY)
    file = environ["wsgi.input"]
    assert file.fileno() > 2
    assert (file.readline(), next(iter(file))[:2]) == (b"a\n", b"ba")
    # Warnings are errors here: a file that is left to the garbage collector would be one.
    del environ, file
    gc.collect()


# -- metered ------------------------------------------------------------------------------------------

REFUSAL = Exit(413, b"no", [("Content-Type", "text/plain")])

WAYS = {
    "read": lambda stream: stream.read(),
    "read None": lambda stream: stream.read(None),
    "read a part": lambda stream: stream.read(4) + stream.read(4) + stream.read(4),
    "readline": lambda stream: stream.readline() + stream.readline(None) + stream.readline(),
    "readline, a part": lambda stream: b"".join(iter(lambda: stream.readline(3), b"")),
    "readlines": lambda stream: b"".join(stream.readlines()),
    "iterate": lambda stream: b"".join(stream),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_exactly_the_limit_is_read(way):
    assert way(Metered(io.BytesIO(b"ab\ncd\nef"), 8, REFUSAL)) == b"ab\ncd\nef"


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_one_byte_more_is_refused_and_no_more_is_read(way):
    stream = io.BytesIO(b"ab\ncd\nefghijk")
    with pytest.raises(Exit):
        way(Metered(stream, 8, REFUSAL))
    assert stream.tell() == 9


def test_it_is_refused_again_for_an_app_that_goes_on_reading():
    metered = Metered(io.BytesIO(b"x" * 100), 8, REFUSAL)
    for _ in range(2):
        with pytest.raises(Exit):
            metered.read()


# -- answering ----------------------------------------------------------------------------------------


def at_call(environ, start_response):
    raise REFUSAL


def at_call_after_start(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/html")])
    raise REFUSAL


def in_iteration(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/html")])
    raise REFUSAL
    yield b""


def before_start_in_iteration(environ, start_response):
    raise REFUSAL
    yield b""


APPS = [at_call, at_call_after_start, in_iteration, before_start_in_iteration]


@pytest.mark.parametrize("app", APPS)
def test_the_refusal_becomes_the_answer(app):
    result = serve(answering(app), environ_of())
    assert (result.status[:3], result.body, result.raised) == ("413", b"no", None)
    assert result.headers == [("Content-Type", "text/plain"), ("Content-Length", "2")]


@pytest.mark.parametrize("app", APPS)
def test_to_head_it_has_no_body(app):
    result = serve(answering(app), environ_of(method="HEAD"))
    assert (result.status[:3], result.body) == ("413", b"")


def test_a_response_that_has_begun_is_broken_off():
    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/html")])
        yield b"one"
        raise REFUSAL

    result = serve(answering(app), environ_of())
    assert (result.status, result.body, type(result.raised)) == ("200 OK", b"one", ConnectionAbortedError)


def test_other_errors_stay_what_they_are():
    def app(environ, start_response):
        raise KeyError

    assert type(serve(answering(app), environ_of()).raised) is KeyError


def test_the_app_is_closed():
    closed = []

    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return Closing([b"one"], closed)

    assert (serve(answering(app), environ_of()).body, closed) == (b"one", ["close"])


def test_lists_and_files_are_handed_on_as_they_are():
    def answers(make):
        def app(environ, start_response):
            start_response("200 OK", [("Content-Type", "text/plain")])
            return make(environ)

        return serve(answering(app), environ_of()).returned

    assert answers(lambda environ: [b"x"]) == [b"x"]
    assert answers(lambda environ: (b"x",)) == (b"x",)
    file = answers(lambda environ: environ["wsgi.file_wrapper"](io.BytesIO(b"x")))
    assert type(file).__name__ == "FileWrapper"


def test_a_file_wrapper_that_is_a_function_is_no_type_to_look_for():
    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return iter([b"x"])

    assert serve(answering(app), environ_of(**{"wsgi.file_wrapper": lambda *a: a})).body == b"x"


def test_a_body_that_does_not_come_in_time_is_not_waited_for():
    clock = Clock(0.0)

    class Slow:
        def read(self, size):
            clock.now += 100
            return b"x"

    environ = {"wsgi.input": Slow()}
    with pytest.raises(TimeoutError):
        spool(environ, 10**9, Deadline.after(PATIENCE, clock))
    assert clock.now == 300
