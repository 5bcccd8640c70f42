"""Native hooks on responses, through Gateway.from_tyk with a real upstream."""

from __future__ import annotations

import pytest
from werkzeug.test import Client

from plugmw import Gateway
from tests.support.stub import Told, stub

DOCUMENT = '''
import io

# MyPluginResponse intercepts response from upstream
def MyPluginResponse(rw, res, req):
    # add a header to our response object
    res.Header.Add("X-Response-Added", "resp-added")

    # overwrite our response body
    buf = io.BytesIO()
    buf.write(b"""{"message":"Hi! I'm a response plugin"}""")
    buf.seek(0)
    res.Body = buf
'''
BODY = b'{"message":"Hi! I\'m a response plugin"}'


def hook(lines: str) -> str:
    body = "\n".join(f"    {line}" for line in lines.splitlines())
    return f"def Hook(rw, res, req):\n{body}\n"


def test_the_documents_example_changes_header_and_body(serve):
    answer = serve(DOCUMENT, response=["MyPluginResponse"]).get("/api/x")
    assert (answer.status_code, answer.data) == (201, BODY)
    assert answer.headers["X-Response-Added"] == "resp-added"
    assert answer.headers["Content-Length"] == str(len(BODY))


@pytest.mark.parametrize(
    ("lines", "status", "body"),
    [
        ("res.StatusCode = 203\nres.Body = 'ü'", 203, "ü".encode()),
        ("res.status_code = 404\nres.body = b''", 404, b""),
        ("res.text = 'x'\nres.ContentLength = 99", 201, b"x"),
        ("res.Header.Set('Content-Length', '99')\nres.Body = None", 201, b""),
        ("res.Header.Set('Transfer-Encoding', 'chunked')\nres.Body = b'12'", 201, b"12"),
        ("res.Header = {'X-Only': '1'}\nres.Body = b'12'", 201, b"12"),
        ("res.StatusCode = 204", 204, b""),
        ("assert res.Status.startswith('201')\nres.Body = str(res.ContentLength > 9)", 201, b"True"),
    ],
)
def test_status_and_body_change_and_the_length_is_right(serve, lines, status, body):
    answer = serve(hook(lines), response=["Hook"]).get("/api/x")
    assert (answer.status_code, answer.data) == (status, body)
    assert answer.headers.get("Content-Length") == (None if status == 204 else str(len(body)))
    assert "Transfer-Encoding" not in answer.headers


def test_hooks_see_status_headers_and_body_of_the_hook_before(serve):
    text = """
def one(rw, res, req):
    assert (res.StatusCode, res.Header.Get("x-one"), res.Header.Get("X-None")) == (201, "1", "")
    assert req.Method == "GET" and req.URL.Path == "/api/x"
    res.StatusCode = 202
    res.Header.Set("X-One", "2")
    res.Header.Del("Content-Type")
    res.Body = b"one"

def two(rw, res, req):
    assert (res.StatusCode, res.Header.Values("X-One"), res.Body.read()) == (202, ["2"], b"one")
    res.Body = res.body + b" two"
"""
    answer = serve(text, response=["one", "two"]).get("/api/x")
    assert (answer.status_code, answer.data) == (202, b"one two")
    assert "Content-Type" not in answer.headers


def test_an_unrelated_change_keeps_both_cookies(serve):
    answer = serve(hook("res.Header.Set('X-Other', '1')"), response=["Hook"]).get("/api/x")
    assert answer.headers.getlist("Set-Cookie") == ["a=1", "b=2"]
    assert answer.headers["Content-Length"] == str(len(answer.data))


def test_several_values_are_added_listed_and_taken_away(serve):
    lines = """cookies = res.Header.Values("Set-Cookie")
res.Header.Del("Set-Cookie")
for cookie in reversed(cookies):
    res.Header.Add("Set-Cookie", cookie)"""
    answer = serve(hook(lines), response=["Hook"]).get("/api/x")
    assert answer.headers.getlist("Set-Cookie") == ["b=2", "a=1"]


@pytest.mark.parametrize(("pre", "seen"), [(["reads"], "abc"), ([], "")])
def test_a_hook_sees_the_request_body_that_another_has_read(serve, upstream, pre, seen):
    text = hook("res.Header.Set('X-Body', req.Body.read().decode())") + "def reads(rw, r):\n    r.body\n"
    answer = serve(text, pre=pre, response=["Hook"]).post("/api/x", data=b"abc")
    assert (answer.status_code, answer.headers["X-Body"]) == (201, seen)
    assert upstream.asked[0].body == b"abc"


def test_headers_of_the_writer_are_in_the_reply(serve):
    answer = serve(hook("rw.Header().Set('X-Writer', '1')"), response=["Hook"]).get("/api/x")
    assert (answer.status_code, answer.headers["X-Writer"], answer.headers["X-One"]) == (201, "1", "1")


WRITES = """
def one(rw, res, req):
    rw.Header().Set("X-Writer", "1")
    rw.WriteHeader(STATUS)
    rw.Write("written")

def two(rw, res, req):
    res.Header.Set("X-Two", str(res.StatusCode))
"""


def test_what_is_written_goes_out_instead_of_the_response(serve):
    answer = serve(WRITES.replace("STATUS", "202"), response=["one", "two"]).get("/api/x")
    assert (answer.status_code, answer.data, answer.headers["X-Two"]) == (202, b"written", "202")
    assert (answer.headers["X-Writer"], answer.headers["Content-Length"]) == ("1", "7")
    assert "X-One" not in answer.headers


def test_an_error_that_is_written_ends_the_chain_of_hooks(serve, log):
    answer = serve(WRITES.replace("STATUS", "400"), response=["one", "two"]).get("/api/x")
    assert (answer.status_code, answer.data) == (400, b"written")
    assert "X-Two" not in answer.headers
    assert "Response chain failed!" in log.text


def test_compat_lets_the_upstreams_body_follow_what_was_written(serve):
    options = {"compat": "tyk"}
    answer = serve(WRITES.replace("STATUS", "400"), response=["one", "two"], options=options).get("/api/x")
    assert (answer.status_code, answer.data[:8]) == (400, b"written{")
    assert (answer.headers["X-One"], answer.headers["Content-Length"]) == ("1", str(len(answer.data)))


def test_an_answer_to_head_stays_without_body(serve):
    answer = serve(DOCUMENT, response=["MyPluginResponse"]).head("/api/x")
    assert (answer.status_code, answer.data) == (201, b"")
    assert answer.headers["X-Response-Added"] == "resp-added"


def test_what_a_hook_before_answered_is_not_a_response_of_the_upstream(serve):
    text = DOCUMENT + "\ndef stop(rw, r):\n    rw.Write('stop')\n"
    answer = serve(text, pre=["stop"], response=["MyPluginResponse"]).get("/api/x")
    assert answer.data == b"stop"


@pytest.mark.parametrize(
    "lines", ["res.Body = 5", "res.Header.Set('X-A', 'a\\nb')", "res.headers['X-A'] = 'a\\r\\nb'", "1 / 0"]
)
def test_a_hook_that_fails_is_answered_500_without_the_upstreams_answer(serve, log, lines):
    answer = serve(hook(lines), response=["Hook"]).get("/api/x")
    assert (answer.status_code, answer.json) == (500, {"error": "Internal Server Error"})
    assert "X-One" not in answer.headers
    assert log.text.count("response:Hook failed") == 1


def test_a_compressed_body_that_is_replaced_is_not_called_compressed(api):
    told = Told(200, [("Content-Encoding", "gzip"), ("ETag", '"1"'), ("Connection", "close")], b"\x1f\x8b")
    with stub(lambda asked: told) as server:
        definition = api(DOCUMENT, response=["MyPluginResponse"])
        definition["proxy"]["target_url"] = f"http://127.0.0.1:{server.port}"
        answer = Client(Gateway.from_tyk(None, definition)).get("/api/x")
    assert answer.data == BODY
    assert "Content-Encoding" not in answer.headers


def test_a_response_hook_that_ends_in_so_is_native_whatever_the_driver_is(serve):
    section = {"driver": "otto"}
    answer = serve(DOCUMENT, response=["MyPluginResponse"], custom_middleware=section).get("/api/x")
    assert answer.data == BODY
