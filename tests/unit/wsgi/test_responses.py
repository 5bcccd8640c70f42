"""A whole response as a webob.Response, and back."""

from __future__ import annotations

import gzip

import pytest
import webob

from plugmw.kernel.plugin import Plugin
from plugmw.testing import get
from plugmw.wsgi.responses import put, take

GZIPPED = gzip.compress(b"hello")


def app(environ, start_response):
    headers = [
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Length", "5"),
        ("eTag", '"x"'),
        ("Set-Cookie", "a=1"),
        ("Set-Cookie", "b=2"),
    ]
    start_response("200 Fine", headers)
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [b"he", b"llo"]


def gzip_app(environ, start_response):
    start_response("200 OK", [("Content-Encoding", "gzip"), ("Content-Length", str(len(GZIPPED)))])
    return [GZIPPED]


def changed(change, app=app, **request):
    """Send a request through a plugin that changes every response by ``change(res)``."""

    class Changing(Plugin):
        name = "changing"

        def response(self, x):
            res = take(x)
            put(x, change(res) or res)

    return get(Changing(), app=app, **request)


def test_a_response_has_status_headers_and_body_but_no_length():
    seen = []
    changed(seen.append)
    (res,) = seen
    assert (res.status, res.text, res.content_length) == ("200 Fine", "hello", None)
    assert res.headers.getall("set-cookie") == ["a=1", "b=2"]


def test_what_is_not_touched_goes_out_as_it_was():
    answer = changed(lambda res: None)
    assert (answer.status, answer.data) == ("200 Fine", b"hello")
    assert sorted(answer.headers) == [
        ("Content-Length", "5"),
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Set-Cookie", "a=1"),
        ("Set-Cookie", "b=2"),
        ("eTag", '"x"'),
    ]
    assert all(type(value) is str for _, value in answer.headers)


def set_text(res):
    res.text = "longer than before"


def test_the_length_follows_the_body_and_old_descriptions_of_it_go():
    answer = changed(set_text)
    assert (answer.text, answer.headers["Content-Length"], answer.headers.get("ETag")) == (
        "longer than before",
        "18",
        None,
    )


def test_a_description_that_was_set_anew_stays():
    def change(res):
        res.text, res.etag = "new", "y"

    assert changed(change).headers["ETag"] == '"y"'


def test_an_encoding_that_was_left_goes_with_the_old_body():
    answer = changed(lambda res: setattr(res, "body", b"plain"), app=gzip_app)
    assert (answer.data, answer.headers.get("Content-Encoding")) == (b"plain", None)


def test_an_encoding_that_was_set_again_stays():
    def change(res):
        res.decode_content()
        res.body = res.body.upper()
        res.encode_content()

    answer = changed(change, app=gzip_app)
    assert (gzip.decompress(answer.data), answer.headers["Content-Encoding"]) == (b"HELLO", "gzip")


def test_another_response_takes_the_place():
    answer = changed(lambda res: webob.Response("new", status=404, content_type="text/x"))
    assert (answer.status_code, answer.text, "Set-Cookie" in answer.headers) == (404, "new", False)


def test_a_streaming_response_is_read():
    answer = changed(lambda res: webob.Response(app_iter=(part for part in [b"a", b"b"])))
    assert (answer.data, answer.headers["Content-Length"]) == (b"ab", "2")


def test_a_head_answer_keeps_the_length_of_the_body_left_out():
    assert changed(lambda res: None, method="HEAD").headers["Content-Length"] == "5"


def test_a_head_answer_with_a_changed_body_has_no_length_it_cannot_know():
    answer = changed(lambda res: setattr(res, "body", res.body + b"!"), method="HEAD")
    assert (answer.data, answer.headers.get("Content-Length")) == (b"", None)


@pytest.mark.parametrize(("status", "length"), [(204, None), (304, "5")])
def test_a_status_without_a_body_sends_none(status, length):
    def change(res):
        res.status_code = status

    answer = changed(change)
    assert (answer.status_code, answer.data, answer.headers.get("Content-Length")) == (status, b"", length)


@pytest.mark.parametrize("status", [204, 304])
def test_a_response_without_a_body_may_get_one(status):
    def empty(environ, start_response):
        start_response(f"{status} X", [])
        return []

    def change(res):
        res.status_code, res.body = 200, b"here"

    answer = changed(change, app=empty)
    assert (answer.status_code, answer.data, answer.headers["Content-Length"]) == (200, b"here", "4")


@pytest.mark.parametrize("status", [204, 304])
def test_a_body_for_a_status_without_one_is_dropped(status):
    def empty(environ, start_response):
        start_response(f"{status} X", [])
        return []

    answer = changed(lambda res: setattr(res, "body", b"here"), app=empty)
    assert (answer.data, answer.headers.get("Content-Length")) == (b"", None)


@pytest.mark.parametrize("value", ["1\r\nX-B: 2", "\x00", "\u20ac"])
def test_a_header_that_must_not_be_sent_is_a_500(value, caplog):
    answer = changed(lambda res: res.headers.add("X-A", value))
    assert (answer.status_code, "X-A" in answer.headers) == (500, False)


def test_a_response_may_be_of_another_class_of_webobs_kind():
    import webob

    class Special(webob.Response):
        pass

    class Changing(Plugin):
        name = "changing"

        def response(self, x):
            put(x, take(x, Special))
            x.set_header("X-Kind", type(take(x, Special)).__name__)

    assert get(Changing(), app=app).headers["X-Kind"] == "Special"
