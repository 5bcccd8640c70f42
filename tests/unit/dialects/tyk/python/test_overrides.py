"""Answers from hooks instead of the app's: every row of ReturnOverrides."""

from __future__ import annotations

import pytest


def hook(**fields):
    lines = "".join(
        f"    request.object.return_overrides.{name} = {value!r}\n" for name, value in fields.items()
    )
    return (
        f"@Hook\ndef H(request, session, metadata, spec):\n{lines}    metadata['token'] = 't'\n"
        "    return request, session, metadata\n"
    )


TEMPLATE = b'{\n    "error": "no"\n}'
ALL_KINDS = pytest.mark.parametrize("kind", ["pre", "auth_check", "post_key_auth", "post"])


@ALL_KINDS
@pytest.mark.parametrize("override", [False, True])
@pytest.mark.parametrize("code", [0, -1, -5])
def test_a_code_of_zero_and_below_goes_on(serve, kind, code, override):
    text = hook(response_code=code, override_error=override, response_error="no", headers={"X-A": "1"})
    answer = serve(text, **{kind: "H"}).get("/")
    assert (answer.status_code, "X-A" in answer.headers) == (201, False)


@ALL_KINDS
@pytest.mark.parametrize("override", [False, True])
@pytest.mark.parametrize("code", [200, 302, 399])
def test_a_code_below_400_answers_with_headers_and_body(serve, kind, code, override):
    headers = {"X-A": "é", "Content-Type": "application/json", "Content-Length": "99", "Connection": "close"}
    text = hook(response_code=code, override_error=override, response_body="{}", headers=headers)
    answer = serve(text, **{kind: "H"}).get("/")
    assert (answer.status_code, answer.data, answer.content_type) == (code, b"{}", "application/json")
    assert answer.headers["X-A"] == "é".encode().decode("latin-1")
    assert answer.headers["Content-Length"] == "2"
    assert {"Connection", "X-Generator"}.isdisjoint(answer.headers.keys())


@ALL_KINDS
def test_a_code_from_400_on_gets_the_error_template(serve, log, kind):
    headers = {"X-A": "1", "Content-Type": "text/html"}
    text = hook(response_code=418, response_body="no", headers=headers)
    answer = serve(text, **{kind: "H"}).get("/")
    assert (answer.status_code, answer.data, answer.content_type) == (418, TEMPLATE, "application/json")
    assert (answer.headers["X-A"], answer.headers["X-Generator"]) == ("1", "tyk.io")
    assert "hook H refused the request" in log.text


@ALL_KINDS
def test_without_a_text_the_template_says_key_not_authorised(serve, kind):
    assert serve(hook(response_code=403), **{kind: "H"}).get("/").json == {"error": "Key not authorised"}


@ALL_KINDS
def test_with_override_error_the_body_goes_out_as_it_is(serve, log, kind):
    text = hook(response_code=500, override_error=True, response_body="nö", headers={"X-A": "1"})
    answer = serve(text, **{kind: "H"}).get("/")
    assert (answer.status_code, answer.data, answer.headers["X-A"]) == (500, "nö".encode(), "1")
    assert (answer.content_type, "X-Generator" in answer.headers) == ("text/plain; charset=utf-8", False)
    assert "refused" not in log.text


@pytest.mark.parametrize(
    ("fields", "body"),
    [
        ({"response_code": 200, "response_error": "error", "response_body": "body"}, b"error"),
        ({"response_code": 418, "response_error": "no", "response_body": "body"}, TEMPLATE),
        ({"response_code": 418, "response_error": "e", "response_body": "b", "override_error": True}, b"e"),
        ({"response_code": 200}, b""),
        ({"response_code": 204, "response_body": "dropped"}, b""),
    ],
)
def test_response_error_wins_over_response_body(serve, fields, body):
    assert serve(hook(**fields), pre="H").get("/").data == body


def test_an_answer_ends_the_chain(serve):
    text = hook(response_code=200) + "@Hook\ndef Never(request, session, spec):\n    raise AssertionError\n"
    assert serve(text, pre=["H", "Never"], auth_check="Never", post="Never").get("/").status_code == 200


def test_headers_that_must_not_be_sent_are_500(serve):
    answer = serve(hook(response_code=200, headers={"X-A": "a\r\nSet-Cookie: b"}), pre="H").get("/")
    assert (answer.status_code, answer.json) == (500, {"error": "Middleware error"})
