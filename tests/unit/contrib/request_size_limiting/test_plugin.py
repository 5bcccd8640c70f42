"""request-size-limiting: configuration, the decision, what the app gets, and a real server."""

from __future__ import annotations

import io

import pytest

from plugmw import ConfigError
from plugmw.contrib.request_size_limiting import RequestSizeLimiting
from plugmw.testing import gateway, get
from tests.support.plugins import made
from tests.support.wsgi import environ_of, serve

KB2 = {"allowed_payload_size": 2, "size_unit": "kilobytes"}
BYTES = {"allowed_payload_size": 2, "size_unit": "bytes"}
TOO_LARGE = "Request size limit exceeded"


class Unread:
    """A stream that nobody may read."""

    def read(self, *size):
        raise AssertionError("the body was read")


def chunked(data, **extra):
    """Return the environ of a request of unknown length, as gunicorn makes it."""
    own = {"wsgi.input": io.BytesIO(data), "wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}
    return environ_of(method="POST", **{"CONTENT_LENGTH": None, **own, **extra})


def run(environ, app=None, **config):
    """Return the status, and what the app found in its input (None if it was not called)."""
    found = []

    def reading(environ, start_response):
        length = environ.get("CONTENT_LENGTH")
        found.append(environ["wsgi.input"].read(*([int(length)] if length else [])))
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"read"]

    result = serve(gateway(RequestSizeLimiting(**config), app=app or reading), environ)
    assert result.raised is None
    return int(result.status[:3]), found[0] if found else None


# -- config -------------------------------------------------------------------------------------------

BAD = {
    "negative": (
        {"allowed_payload_size": -1},
        "allowed_payload_size: got -1, expected a number of at least 0",
    ),
    "fraction": ({"allowed_payload_size": 1.5}, "allowed_payload_size: got 1.5, expected an integer"),
    "text": ({"allowed_payload_size": "1"}, "allowed_payload_size: got '1', expected an integer"),
    "unit": ({"size_unit": "gigabytes"}, "size_unit: got 'gigabytes', expected one of megabytes, kilobytes,"),
    "no truth": ({"require_content_length": 1}, "require_content_length: got 1, expected a boolean"),
}


@pytest.mark.parametrize(("config", "message"), BAD.values(), ids=BAD)
def test_refuses_a_bad_configuration(config, message):
    with pytest.raises(ConfigError) as caught:
        RequestSizeLimiting(**config)
    assert message in str(caught.value)


def test_the_default_is_128_mebibytes():
    size = 128 * 1024 * 1024
    for length, status in ((size, 200), (size + 1, 413)):
        environ = environ_of(CONTENT_LENGTH=str(length), **{"wsgi.input": Unread()})
        result = serve(gateway(RequestSizeLimiting()), environ)
        assert int(result.status[:3]) == status


def test_cuts_the_chain_only_for_streaming():
    assert [hasattr(RequestSizeLimiting(streaming=flag), "wrap") for flag in (False, True)] == [False, True]


# -- a declared length --------------------------------------------------------------------------------

DECLARED = {
    "one less": (KB2, 2047, 200),
    "exactly": (KB2, 2048, 200),
    "one more": (KB2, 2049, 413),
    "bytes": (BYTES, 3, 413),
    "nothing allowed": ({"allowed_payload_size": 0}, 0, 200),
    "nothing allowed, one byte": ({"allowed_payload_size": 0}, 1, 413),
}


@pytest.mark.parametrize(("config", "length", "status"), DECLARED.values(), ids=DECLARED)
def test_a_declared_length_is_compared(config, length, status):
    environ = environ_of(CONTENT_LENGTH=str(length), **{"wsgi.input": io.BytesIO(b"a" * length)})
    found = run(environ, **config)
    assert found == (status, b"a" * length if status == 200 else None)


def test_a_body_with_a_declared_length_is_not_read():
    stream = Unread()
    environ = environ_of(CONTENT_LENGTH="5", **{"wsgi.input": stream, "wsgi.input_terminated": True})
    assert serve(gateway(RequestSizeLimiting()), environ).status == "200 OK"
    assert environ["wsgi.input"] is stream


def test_an_input_that_does_not_end_by_itself_ends_at_the_declared_length():
    environ = environ_of(CONTENT_LENGTH="5", **{"wsgi.input": io.BytesIO(b"12345next request")})

    def greedy(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [environ["wsgi.input"].read() + environ["wsgi.input"].read(100)]

    assert serve(gateway(RequestSizeLimiting(), app=greedy), environ).body == b"12345"


def test_two_ways_to_say_where_the_body_ends_are_refused():
    assert run(chunked(b"a", CONTENT_LENGTH="1"))[0] == 400


# -- no declared length -------------------------------------------------------------------------------

UNKNOWN = {
    "exactly": (b"ab", {}, 200),
    "one more": (b"abc", {}, 413),
    "empty": (b"", {}, 200),
    "no chunks either": (b"abc", {"HTTP_TRANSFER_ENCODING": None}, 413),
    "a length that is no number": (b"abc", {"HTTP_TRANSFER_ENCODING": None, "CONTENT_LENGTH": "+1"}, 413),
    "a length beyond all": (b"ab", {"HTTP_TRANSFER_ENCODING": None, "CONTENT_LENGTH": "9" * 5000}, 200),
    "by GET": (b"abc", {"REQUEST_METHOD": "GET"}, 413),
}


@pytest.mark.parametrize("streaming", [False, True], ids=["measured", "streaming"])
@pytest.mark.parametrize(("data", "extra", "status"), UNKNOWN.values(), ids=UNKNOWN)
def test_a_body_of_unknown_length_is_measured(data, extra, status, streaming):
    found = run(chunked(data, **extra), **BYTES, streaming=streaming)
    assert found == (status, data if status == 200 else None)


def test_a_measured_body_has_its_length():
    environ = chunked(b"ab")
    run(environ, **BYTES)
    assert (environ["CONTENT_LENGTH"], "HTTP_TRANSFER_ENCODING" in environ) == ("2", False)


def test_a_streamed_body_is_not_read_before_the_app_does():
    environ = chunked(b"", **{"wsgi.input": Unread()})
    result = serve(gateway(RequestSizeLimiting(streaming=True)), environ)
    assert (result.status, environ["HTTP_TRANSFER_ENCODING"]) == ("200 OK", "chunked")


def test_an_unknown_length_of_an_input_without_end_is_an_empty_body():
    environ = chunked(b"never read", **{"wsgi.input_terminated": None})
    assert run(environ) == (200, b"")


STRICT = {
    "nothing": ({"HTTP_TRANSFER_ENCODING": None}, 411),
    "no number": ({"HTTP_TRANSFER_ENCODING": None, "CONTENT_LENGTH": "1_0"}, 411),
    "chunked": ({}, 200),
    "another encoding": ({"HTTP_TRANSFER_ENCODING": "gzip, chunked"}, 411),
    "chunked, but without end": ({"wsgi.input_terminated": None}, 411),
    "declared": ({"HTTP_TRANSFER_ENCODING": None, "CONTENT_LENGTH": "2"}, 200),
}


@pytest.mark.parametrize(("extra", "status"), STRICT.values(), ids=STRICT)
def test_a_length_may_be_required(extra, status):
    assert run(chunked(b"ab", **extra), require_content_length=True)[0] == status


# -- the answer ---------------------------------------------------------------------------------------


def test_refusal_is_in_the_format_the_client_accepts():
    request = {"method": "POST", "data": b"abc"}
    answer = get(RequestSizeLimiting(**BYTES), **request)
    assert (answer.status_code, answer.json["message"]) == (413, TOO_LARGE)
    assert len(answer.json["request_id"]) == 32
    answer = get(RequestSizeLimiting(**BYTES), headers={"Accept": "text/html"}, **request)
    assert f"<p>{TOO_LARGE}.</p>" in answer.text


@pytest.mark.parametrize(("expect", "status"), [(" 100-Continue ", 417), ("100", 413)])
def test_refusal_of_an_announced_body_is_417(expect, status):
    answer = get(RequestSizeLimiting(**BYTES), method="POST", data=b"abc", environ={"HTTP_EXPECT": expect})
    assert (answer.status_code, answer.json["message"]) == (status, TOO_LARGE)


def test_a_missing_length_is_named():
    answer = get(RequestSizeLimiting(require_content_length=True), environ={"CONTENT_LENGTH": ""})
    assert (answer.status_code, answer.json["message"]) == (411, "A valid Content-Length header is required")


def test_later_plugins_read_a_measured_body():
    seen = []
    later = made("later", 5, access=lambda x: seen.append(x.read_body()))
    result = serve(gateway(RequestSizeLimiting(**BYTES), later), chunked(b"ab"))
    assert (result.status, seen) == ("200 OK", [b"ab"])


def test_a_refusal_while_streaming_passes_the_other_plugins():
    journal = []
    outer = made("outer", 1000, header_filter=lambda x: x.set_header("X-Outer", str(x.status)))
    inner = made("inner", 5, log=lambda x: journal.append("log"))

    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield environ["wsgi.input"].read()

    wrapped = gateway(outer, RequestSizeLimiting(**BYTES, streaming=True), inner, app=app)
    result = serve(wrapped, chunked(b"abc"))
    assert (result.status[:3], result.header("X-Outer"), journal) == ("413", "413", ["log"])
    assert TOO_LARGE in result.body.decode()
