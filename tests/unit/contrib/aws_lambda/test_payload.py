"""What a Lambda function is told, and how its answer is read."""

from __future__ import annotations

import pytest

from plugmw.contrib.aws_lambda import payload

MULTIPART = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--b--\r\n'
BODIES = {
    "form": ("application/x-www-form-urlencoded", b"a=1&a=2&b", {"a": ["1", "2"], "b": True}),
    "json": ("application/json; charset=utf-8", b'{"a": [1]}', {"a": [1]}),
    "multipart": ("multipart/form-data; boundary=b", MULTIPART, {"a": "1"}),
    "broken json": ("application/json", b"{", None),
    "text": ("text/plain", b"a=1", None),
    "nothing": ("", b"", None),
}


@pytest.mark.parametrize(("kind", "data", "values"), BODIES.values(), ids=BODIES)
def test_bodies_with_names_are_parsed(kind, data, values):
    assert payload.body_values(kind, data) == values


def test_of_query_and_body_the_body_wins_and_a_list_is_all():
    assert payload.plain("a=1&b=2", "application/json", b'{"a": 3}') == {"a": 3, "b": "2"}
    assert payload.plain("a=1", "application/json", b"[{}, []]") == [{}, []]
    assert payload.plain("a=1", "application/json", b"null") == {"a": "1"}


def test_times_are_written_as_amazon_does():
    assert payload.request_time(1662436514.9) == "06/Sep/2022:03:55:14 +0000"


ARRAYS = {
    "in an object": (b'{"a": [ ], "b": [1]}', b'{"a": {}, "b": [1]}'),
    "alone": (b"[\n]", b"{}"),
    "nested": (b"[[], [[]]]", b"[{}, [{}]]"),
    "in a text": (rb'{"a": "\"[]", "[]": []}', rb'{"a": "\"[]", "[]": {}}'),
    "in a text that does not end": (b'"[]', b'"{}'),
}


@pytest.mark.parametrize(("data", "made"), ARRAYS.values(), ids=ARRAYS)
def test_empty_arrays_become_objects_and_nothing_else_changes(data, made):
    assert payload.without_empty_arrays(data) == made


GOOD = {
    "least": (b'{"statusCode": 200}', (200, [], b"")),
    "digits": (b'{"statusCode": "201", "body": "x"}', (201, [], b"x")),
    "number with a point": (b'{"statusCode": 201.0}', (201, [], b"")),
    "no multi-value headers": (b'{"statusCode": 200, "multiValueHeaders": null}', (200, [], b"")),
    "base64": (b'{"statusCode": 200, "body": "dGVzdA==", "isBase64Encoded": true}', (200, [], b"test")),
    "not base64": (b'{"statusCode": 200, "body": "dA==", "isBase64Encoded": false}', (200, [], b"dA==")),
    "values": (
        b'{"statusCode": 200, "headers": {"A": 1, "B": true, "C": false, "D": "\\u00e9"}}',
        (200, [("A", "1"), ("B", "true"), ("C", "false"), ("D", "\xc3\xa9")], b""),
    ),
    "multi-value over single": (
        b'{"statusCode": 200, "headers": {"a": "1", "B": "2"}, "multiValueHeaders": {"A": ["3", "4"]}}',
        (200, [("A", "3"), ("A", "4"), ("B", "2")], b""),
    ),
    "framing and hop-by-hop": (
        b'{"statusCode": 200, "headers": {"Transfer-Encoding": "chunked", "transfer-encoding": "chunked",'
        b' "Content-Length": "9", "Connection": "X", "X": "1"}}',
        (200, [], b""),
    ),
}


@pytest.mark.parametrize(("data", "made"), GOOD.values(), ids=GOOD)
def test_reads_what_a_function_answers(data, made):
    assert payload.read_proxy(data) == made


STATUS, SENT = "statusCode validation failed", "headers must have names and values that can be sent"
BAD = {
    "empty": (b"", "Expecting value"),
    "no json": (b"<html>", "Expecting value"),
    "no object": (b"[1]", "response must be an object"),
    "no status": (b"{}", STATUS),
    "status true": (b'{"statusCode": true}', STATUS),
    "status text": (b'{"statusCode": "ok"}', STATUS),
    "status with a fraction": (b'{"statusCode": 200.5}', STATUS),
    "status null": (b'{"statusCode": null}', STATUS),
    "status below": (b'{"statusCode": 99}', STATUS),
    "status of no answer": (b'{"statusCode": 101}', STATUS),
    "status above": (b'{"statusCode": 600}', STATUS),
    "headers": (b'{"statusCode": 200, "headers": "a"}', "headers must be a table"),
    "multi-value headers": (b'{"statusCode": 200, "multiValueHeaders": [1]}', "Headers must be a table"),
    "value": (b'{"statusCode": 200, "headers": {"a": {}}}', "headers must have text or numbers as values"),
    "line end": (b'{"statusCode": 200, "headers": {"a": "b\\r\\nc: d"}}', SENT),
    "nul": (b'{"statusCode": 200, "headers": {"a": "b\\u0000"}}', SENT),
    "name": (b'{"statusCode": 200, "headers": {"a b": "c"}}', SENT),
    "body": (b'{"statusCode": 200, "body": 1234}', "body must be a string"),
    "body null": (b'{"statusCode": 200, "body": null}', "body must be a string"),
    "flag": (
        b'{"statusCode": 200, "body": "dGVzdA=", "isBase64Encoded": "abc"}',
        "isBase64Encoded must be a boolean",
    ),
    "bad base64": (b'{"statusCode": 200, "body": "dGVzdA=", "isBase64Encoded": true}', "body must be base64"),
}


@pytest.mark.parametrize(("data", "message"), BAD.values(), ids=BAD)
def test_says_what_is_wrong_with_an_answer(data, message):
    with pytest.raises(ValueError, match=message):
        payload.read_proxy(data)


def test_the_functions_headers_replace_those_of_lambda():
    told = payload.kept_headers(
        [("x-amzn-RequestId", "foo"), ("x-amz-log-result", "c2VjcmV0"), ("date", "d")]
    )
    assert payload.over(told, [("X-Amzn-Requestid", "bar")]) == [("date", "d"), ("X-Amzn-Requestid", "bar")]
