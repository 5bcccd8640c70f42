"""Requests, responses and writers with Go's names; test_hooks has what needs a gateway."""

from __future__ import annotations

import io

import pytest

from plugmw.dialects.tyk.views import Header, Query, Request, Response, ResponseWriter, body_bytes


def test_headers_have_gos_methods():
    header = Header([("Set-Cookie", "a"), ("X", "1")])
    header.Add("set-cookie", "b")
    header.Del("Nothing")
    header.Set("x", "2")
    assert (header.Values("SET-COOKIE"), header.Get("X"), header.Get("Y")) == (["a", "b"], "2", "")
    header.Del("set-cookie")
    assert header.Values("Set-Cookie") == []


def test_a_request_outside_of_a_hook_can_be_read_and_changed():
    request = Request.blank("/a?b=1", POST=b"x=1")
    assert request.Body.read() == request.body == b"x=1"
    assert request.FormValue("x") == "1"
    assert (request.FormValue("b"), request.FormValue("none")) == ("1", "")
    request.Body = io.BytesIO(b"yy")
    assert (request.ContentLength, request.body) == (2, b"yy")
    request.Header.Del("Nothing")


def test_a_query_has_gos_methods():
    query = Query(a=["1"])
    query.Add("a", "2")
    query.Del("none")
    assert (query.Get("a"), query.Encode()) == ("1", "a=1&a=2")


def test_a_response_takes_pairs_as_headers():
    response = Response()
    response.Header = [("X-A", "1")]
    assert response.headerlist == [("X-A", "1")]


def test_a_writer_without_headers_of_others_has_its_own():
    writer = ResponseWriter()
    assert (writer.Write(b"ab"), writer.status, writer.body) == (2, 200, b"ab")


@pytest.mark.parametrize(
    ("given", "expected"),
    [(None, b""), ("\xfc", "\xfc".encode()), (bytearray(b"a"), b"a"), (io.StringIO("a"), b"a")],
)
def test_a_body_is_whatever_stands_for_bytes(given, expected):
    assert body_bytes(given) == expected


def test_anything_else_is_no_body():
    with pytest.raises(TypeError, match="body: got int"):
        body_bytes(5)
