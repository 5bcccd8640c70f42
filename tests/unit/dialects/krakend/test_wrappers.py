"""What modifiers see: requests, responses, and their errors."""

from __future__ import annotations

import io

import pytest

from plugmw.dialects.krakend.wrappers import (
    ModifierError,
    RequestWrapper,
    ResponseWrapper,
    answer_of,
    as_bytes,
    as_request,
    as_response,
    body_of,
    by_name,
    is_request,
    is_response,
    value_of,
)


def test_every_field_of_a_request_has_its_go_getter():
    request = RequestWrapper(
        method="PUT",
        path="/a",
        url="http://b/a",
        params={"Id": "1"},
        query={"q": ["2"]},
        headers={"X-A": ["3"]},
        context="context",
        read=lambda: b"body",
    )
    assert (request.Method(), request.Path(), request.URL()) == ("PUT", "/a", "http://b/a")
    assert (request.Params(), request.Query(), request.Headers()) == (
        {"Id": "1"},
        {"q": ["2"]},
        {"X-A": ["3"]},
    )
    assert (request.Context(), request.Body().read(), request.Body().read()) == ("context", b"body", b"body")


def test_every_field_of_a_response_has_its_go_getter():
    response = ResponseWrapper(
        status_code=201,
        headers={"X-A": ["1"]},
        is_complete=False,
        request="request",
        context="context",
        read=lambda: b'{"a": 1}',
    )
    assert (response.StatusCode(), response.Headers(), response.IsComplete()) == (201, {"X-A": ["1"]}, False)
    assert (response.Request(), response.Context()) == ("request", "context")
    assert (response.Data(), response.Io().read(), response.Io().read()) == (
        {"a": 1},
        b'{"a": 1}',
        b'{"a": 1}',
    )


def test_a_request_body_is_read_when_it_is_asked_for():
    request = RequestWrapper(read=lambda: b"body")
    assert request.read_body is None
    assert (request.body, request.read_body) == (b"body", b"body")


@pytest.mark.parametrize(
    ("value", "data"),
    [(b"x", b"x"), ("ä", "ä".encode()), (io.BytesIO(b"s"), b"s"), (io.StringIO("t"), b"t"), (None, b"")],
)
def test_a_body_may_be_set_to_bytes_text_or_a_stream(value, data):
    assert as_bytes(value) == data
    if hasattr(value, "seek"):
        value.seek(0)
    request = RequestWrapper()
    request.body = value
    assert request.body == data


def test_a_body_cannot_be_anything_else():
    with pytest.raises(TypeError, match="body: got int"):
        as_bytes(5)


class TestData:
    def test_a_change_of_the_data_changes_the_body(self):
        response = ResponseWrapper(read=lambda: b'{"a": 1}')
        response.data["b"] = 2
        assert response.body == response.io.read() == b'{"a":1,"b":2}'

    def test_new_data_replaces_the_body(self):
        response = ResponseWrapper(read=lambda: b"text")
        response.data = {"a": 1}
        assert response.body == b'{"a":1}'

    def test_data_that_was_only_looked_at_leaves_the_bytes_alone(self):
        response = ResponseWrapper(read=lambda: b'{ "a" : 1 }')
        assert response.data == {"a": 1}
        assert response.body == b'{ "a" : 1 }'

    def test_a_new_body_is_parsed_again(self):
        response = ResponseWrapper(read=lambda: b'{"a": 1}')
        assert response.data == {"a": 1}
        response.io = io.BytesIO(b'{"b": 2}')
        assert response.data == {"b": 2}

    @pytest.mark.parametrize("body", [b"", b"text", b"[1]", b"5", b"\xff"])
    def test_is_empty_for_what_is_no_json_object(self, body):
        assert ResponseWrapper(read=lambda: body).data == {}


class GoRequest:
    def __init__(self, headers):
        self.headers_ = headers

    def Method(self):
        return "GET"

    def Headers(self):
        return self.headers_

    def Params(self):
        return {}

    Path = Query = URL = Params

    def Body(self):
        return io.BytesIO(b"body")


class GoResponse:
    def __init__(self, data, body):
        self.data_, self.body_ = data, body

    def Data(self):
        return self.data_

    def Io(self):
        return io.BytesIO(self.body_)

    def IsComplete(self):
        return True

    def StatusCode(self):
        return 200

    def Headers(self):
        return {}


def test_an_object_with_gos_getters_is_a_wrapper_too():
    assert (is_request(GoRequest({})), is_response(GoRequest({}))) == (True, False)
    assert (is_request(GoResponse({}, b"")), is_response(GoResponse({}, b""))) == (False, True)
    assert value_of(GoRequest({"A": ["1"]}), "headers") == {"A": ["1"]}


@pytest.mark.parametrize("found", [None, {}, 5, "text", object()])
def test_anything_else_is_no_wrapper(found):
    assert (is_request(found), is_response(found)) == (False, False)


@pytest.mark.parametrize(
    ("data", "stream", "body"),
    [
        ({"a": 1}, b'{ "a": 1 }', b'{ "a": 1 }'),
        ({"a": 2}, b'{ "a": 1 }', b'{"a":2}'),
        ({"a": 2}, b"new", b"new"),
    ],
    ids=["nothing new", "new data", "new stream"],
)
def test_the_body_of_an_own_object_is_its_stream_or_its_data(data, stream, body):
    assert body_of(GoResponse(data, stream), b'{ "a": 1 }') == body


def test_an_own_object_becomes_a_request():
    request = RequestWrapper()
    assert as_request(request) is request
    made = as_request(GoRequest({"A": ["1"]}))
    assert (made.method, made.headers, made.read_body) == ("GET", {"A": ["1"]}, b"body")


@pytest.mark.parametrize(
    ("data", "stream", "by_data", "body"),
    [
        ({"a": 1}, b"text", True, b'{"a":1}'),
        ({"a": 1}, b"text", False, b"text"),
        ({}, b"text", True, b"text"),
        ({}, b"", False, b""),
    ],
)
def test_an_own_object_becomes_a_response_by_its_data_or_its_stream(data, stream, by_data, body):
    response = ResponseWrapper()
    assert as_response(response, by_data) is response
    made = as_response(GoResponse(data, stream), by_data)
    assert (made.body, made.status_code, made.is_complete) == (body, 200, True)


def test_a_response_tells_whether_its_body_was_asked_for():
    response = ResponseWrapper(read=lambda: b"body")
    assert response.read_body is None
    assert (response.io.read(), response.read_body) == (b"body", b"body")
    response = ResponseWrapper(read=lambda: b'{"a": 1}')
    assert (response.data, response.read_body) == ({"a": 1}, b'{"a": 1}')
    response.close()


def test_headers_are_grouped_under_gos_spelling():
    assert by_name([("set-cookie", "a"), ("Set-Cookie", "b"), ("ETAG", "c")]) == {
        "Set-Cookie": ["a", "b"],
        "Etag": ["c"],
    }


class GoError(Exception):
    def StatusCode(self):
        return 418

    def Encoding(self):
        return "text/x-tea"


FULL = ModifierError('{"status":"ko"}', 429, "application/json", {"Retry-After": "7"})


@pytest.mark.parametrize(
    ("error", "hidden", "told"),
    [
        (ValueError("m"), (500, b"", []), (500, b"m", [("Content-Type", "text/plain; charset=utf-8")])),
        (
            ModifierError("m", 403),
            (403, b"", []),
            (403, b"m", [("Content-Type", "text/plain; charset=utf-8")]),
        ),
        (GoError("m"), (418, b"", []), (418, b"m", [("Content-Type", "text/x-tea")])),
        (
            FULL,
            (429, b"", [("Retry-After", "7")]),
            (429, b'{"status":"ko"}', [("Retry-After", "7"), ("Content-Type", "application/json")]),
        ),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), (500, b"", []), None),
    ],
    ids=["message", "status", "encoding", "headers", "an encoding without a status"],
)
def test_an_error_is_answered_by_what_it_has(error, hidden, told):
    assert answer_of(error) == hidden
    if told:
        assert answer_of(error, tell=True) == told
    else:
        assert answer_of(error, tell=True)[2] == [("Content-Type", "text/plain; charset=utf-8")]
