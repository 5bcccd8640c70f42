"""What hooks see of a request, and what of their changes reaches the app."""

from __future__ import annotations

import json

import pytest

from tests.unit.dialects.tyk.python.conftest import raw


def hook(*lines):
    return (
        "@Hook\ndef H(request, session, spec):\n"
        + "".join(f"    {line}\n" for line in lines)
        + ("    return request, session\n")
    )


SHOW = """
import json
@Hook
def H(request, session, spec):
    o = request.object
    fields = ("headers", "url", "params", "method", "request_uri", "scheme", "body", "set_headers",
              "delete_headers", "add_params", "delete_params", "extended_params")
    shown = {name: getattr(o, name) for name in fields}
    shown["raw_body"] = o.raw_body.decode("latin-1")
    r = o.return_overrides
    shown["overrides"] = [r.response_code, r.response_error, r.response_body, r.headers, r.override_error]
    shown["get_header"] = [request.get_header(n) for n in ("X-Api-Key", "x-api-key", "X-None", "Host")]
    o.raw_body = json.dumps(shown).encode()
    return request, session
"""


@pytest.fixture
def show(serve):
    """Return what a hook sees of a request."""

    def look(*arguments, entry="H", **request):
        return json.loads(serve(SHOW, pre=[entry]).open(*arguments, **request).json["body"])

    return look


def test_all_fields_of_a_request(show):
    found = show("/p%20q?a=1&a=2&b", method="PUT", headers={"x-api-key": "k"}, **raw(b"text"))
    assert found == {
        "headers": {"X-Api-Key": "k", "Host": "localhost", "Content-Length": "4"},
        "url": "/p%20q?a=1&a=2&b",
        "params": {"a": "1", "b": ""},
        "method": "PUT",
        "request_uri": "/p%20q?a=1&a=2&b",
        "scheme": "http",
        "body": "text",
        "raw_body": "text",
        "set_headers": {},
        "delete_headers": [],
        "add_params": {},
        "delete_params": [],
        "extended_params": {},
        "overrides": [-1, "", "", {}, False],
        "get_header": ["k", None, None, "localhost"],
    }


def test_text_outside_ascii_is_text(show):
    found = show("/ü?ä=%C3%B6", headers={"X-Api-Key": "é".encode().decode("latin-1")})
    assert (found["url"], found["params"]) == ("/%C3%BC?ä=%C3%B6", {"ä": "ö"})
    assert found["get_header"][0] == "é"
    assert show("/", headers={"X-Api-Key": "\xff"})["get_header"][0] == "�"


def test_a_body_that_is_no_utf8_is_empty_as_text_and_whole_as_bytes(show):
    found = show("/", method="POST", **raw(b"\xff\x00a"))
    assert (found["body"], found["raw_body"]) == ("", "\xff\x00a")


def test_raw_body_only_leaves_the_text_out(show):
    found = show("/", entry={"name": "H", "raw_body_only": True}, method="POST", **raw(b"a"))
    assert (found["body"], found["raw_body"]) == ("", "a")


@pytest.mark.parametrize(
    ("lines", "ours", "compat"),
    [
        (["request.object.raw_body = b'new'"], "new", "new"),
        (["request.object.raw_body = bytearray(b'new')"], "new", "new"),
        (["request.object.body = 'new'"], "new", "old"),
        (["request.object.body = 'new'", "request.object.raw_body = b'raw'"], "raw", "raw"),
        (["request.object.body = 'new'", "assert request.object.raw_body == b'old'"], "new", "old"),
        (["request.object.raw_body += b'+'", "request.object.raw_body += b'+'"], "old++", "old++"),
        (["request.object.body = 'old'"], "old", "old"),
        (["request.object.raw_body = b''"], "", ""),
    ],
)
def test_raw_body_reaches_the_app_and_body_only_without_compat(serve, lines, ours, compat):
    for expected, mode in ((ours, False), (compat, True)):
        client = serve(hook(*lines), compat=mode, pre="H")
        answer = client.post("/", **raw(b"old")).json
        assert answer["body"] == expected


def test_delete_then_add_gives_the_new_value_whatever_the_order(serve):
    for lines in (
        ["request.delete_header('X-A')", "request.add_header('X-A', 'new')"],
        ["request.add_header('X-A', 'new')", "request.delete_header('X-A')"],
    ):
        seen = serve(hook(*lines), pre="H").get("/", headers=[("X-A", "1"), ("X-A", "2")]).json["headers"]
        assert seen["X_A"] == "new"


def test_headers_are_replaced_and_removed(serve):
    lines = [
        "request.add_header('x-a', 'é')",
        "request.delete_header('X-B')",
        "request.delete_header('Host')",
    ]
    seen = serve(hook(*lines), pre="H").get("/", headers={"X-A": "1", "X-B": "1"}).json["headers"]
    assert seen["X_A"] == "é".encode().decode("latin-1")
    assert "X_B" not in seen
    assert seen["HOST"] == "localhost"


def test_framing_headers_are_not_a_hooks_business(serve):
    lines = ["request.add_header('Content-Length', '1')", "request.add_header('Transfer-Encoding', 'x')"]
    lines.append("request.delete_header('content-length')")
    answer = serve(hook(*lines), pre="H").post("/", **raw(b"whole")).json
    assert answer["body"] == "whole"
    assert "TRANSFER_ENCODING" not in answer["headers"]


@pytest.mark.parametrize(
    ("lines", "query"),
    [
        (["request.add_param('b', 'x y')"], "a=1&a=2&b=x%20y&c=4"),
        (["request.delete_param('a')"], "b=3&c=4"),
        (["request.delete_param('a')", "request.add_param('a', '9')"], "a=9&b=3&c=4"),
        (["request.delete_param('nope')"], "c=4&a=1&a=2&b=3"),
        ([], "c=4&a=1&a=2&b=3"),
    ],
)
def test_parameters_are_deleted_then_set(serve, lines, query):
    assert serve(hook(*lines), pre="H").get("/?c=4&a=1&a=2&b=3").json["query"] == query


@pytest.mark.parametrize(
    ("url", "path", "query"),
    [
        ("/new", "/new", ""),
        ("/new?x=1", "/new", "x=1"),
        ("/a%20b?x=%2F#f", "/a b", "x=%2F"),
        ("/é%C3%A9", "/éé".encode().decode("latin-1"), ""),
        ("http://other.example/new?x=1", "/new", "x=1"),
        ("https://other.example", "/", ""),
    ],
)
def test_a_new_url_gives_path_and_query(serve, url, path, query):
    seen = serve(hook(f"request.object.url = {url!r}"), pre="H").get("/old?y=2").json
    assert (seen["path"], seen["query"]) == (path, query)


def test_in_compat_the_query_of_a_new_url_does_not_count(serve):
    seen = serve(hook("request.object.url = '/new?x=1'"), compat=True, pre="H").get("/old?y=2").json
    assert (seen["path"], seen["query"]) == ("/new", "y=2")


def test_parameters_are_added_to_those_of_a_new_url(serve):
    lines = ["request.object.url = '/new?x=1'", "request.add_param('z', '3')"]
    assert serve(hook(*lines), pre="H").get("/old?y=2").json["query"] == "x=1&z=3"


@pytest.mark.parametrize(
    "url", ["tyk://other-api/x", "", "new", "ftp://h/x", "http:///x", "http://[x", "/a b", "/a\n", "/a/../b"]
)
def test_a_url_that_nobody_can_ask_for_is_500(serve, log, url):
    answer = serve(hook(f"request.object.url = {url!r}"), pre="H").get("/")
    assert (answer.status_code, answer.json) == (500, {"error": "Middleware error"})
    assert "hook H failed: url" in log.text


def test_a_loop_to_another_api_is_refused_in_clear_words(serve, log):
    serve(hook("request.object.url = 'tyk://other/x'"), pre="H").get("/")
    assert "url: got 'tyk://other/x', but APIs do not call each other" in log.text


@pytest.mark.parametrize(
    ("url", "path", "script", "info"),
    [
        ("/mount/new", "/mount/new", "/mount", "/new"),
        ("/new", "/mount/new", "/mount", "/new"),
        ("/mount", "/mount/mount", "/mount", "/mount"),
    ],
)
def test_the_path_stays_under_where_the_app_is_mounted(serve, url, path, script, info):
    client = serve(
        hook("assert request.object.url == '/mount/old'", f"request.object.url = {url!r}"), pre="H"
    )
    assert client.get("/old", environ_overrides={"SCRIPT_NAME": "/mount"}).json["path"] == path


def test_the_method_is_changed(serve):
    assert serve(hook("request.object.method = 'DELETE'"), pre="H").get("/").json["method"] == "DELETE"


def test_the_next_hook_sees_what_the_one_before_did(serve):
    text = hook("request.add_header('X-A', '1')", "request.object.raw_body = b'1'").replace("def H", "def A")
    text += hook("request.object.raw_body += request.get_header('X-A').encode()")
    assert serve(text, pre=["A", "H"], post="H").get("/").json["body"] == "111"
