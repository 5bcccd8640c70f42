"""``kong.response``: reading, changing, answering."""

from __future__ import annotations

import json

import pytest

from plugmw.dialects.kong import kong
from plugmw.dialects.kong.pdk.response import body_state
from plugmw.kernel.exchange import Exchange
from tests.support.kong import during, plugin, through

ask = kong.response


def streaming(*chunks):
    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain"), ("X-App", "1"), ("X-App", "2")])
        return iter(chunks)

    return app


def in_access(call, *arguments, **request):
    return through(plugin(access=lambda config: call(*arguments)), **request)


def in_header_filter(call, *arguments, **request):
    return through(plugin(header_filter=lambda config: call(*arguments)), **request)


# -- reading ---------------------------------------------------------------------------------------------


def test_reads_status_headers_and_source():
    app = streaming(b"a")
    assert during("log", ask.get_status, app=app) == 200
    assert during("header_filter", ask.get_header, "x_app", app=app) == "1"
    assert during("header_filter", ask.get_header, "x-none", app=app) is None
    found = during("header_filter", ask.get_headers, app=app)
    assert (found["X-App"], found.err) == (["1", "2"], None)
    assert during("header_filter", ask.get_headers, 1, app=app).err == "truncated"
    assert during("log", ask.get_source, app=app) == "service"


@pytest.mark.parametrize(
    ("access", "source"),
    [(lambda config: kong.response.exit(200), "exit"), (lambda config: 1 / 0, "error")],
)
def test_the_source_tells_exits_and_errors_apart(access, source):
    told = []
    log = plugin("log", 1, log=lambda config: told.append(ask.get_source()))
    through(plugin(access=access), log)
    assert told == [source]


# -- changing --------------------------------------------------------------------------------------------


def test_changes_status_and_headers_of_the_service():
    def change(config):
        ask.set_status(201)
        ask.set_header("x_one", ["a", "b"])
        ask.add_header("X-One", True)
        ask.set_headers({"X-Two": 2, "x-app": ""})
        ask.clear_header("content_type")

    answer = through(plugin(header_filter=change), app=streaming(b"a"))
    assert answer.status_code == 201
    assert answer.headers.getlist("X-One") == ["a", "b", "true"]
    assert answer.headers["X-Two"] == "2"
    assert answer.headers["X-App"] in (" ", "")
    assert "Content-Type" not in answer.headers


def test_headers_set_in_access_are_on_the_answer_and_a_status_is_the_services():
    def change(config):
        ask.set_header("X-Early", "1")
        ask.set_status(418)

    answer = through(plugin(access=change))
    assert (answer.status_code, answer.headers["X-Early"]) == (200, "1")


@pytest.mark.parametrize("name", ["Transfer-Encoding", "transfer_encoding"])
def test_transfer_encoding_is_ignored_and_that_is_logged(name, caplog):
    def change(config):
        ask.set_header(name, "chunked")
        ask.add_header(name, "chunked")
        ask.set_headers({name: "chunked", "X-A": "1"})

    answer = through(plugin(header_filter=change))
    assert "Transfer-Encoding" not in answer.headers
    assert answer.headers["X-A"] == "1"
    assert caplog.text.count("manually setting Transfer-Encoding. Ignored.") == 3


def test_of_several_headers_all_are_set_or_none():
    def change(config):
        with pytest.raises(TypeError):
            ask.set_headers({"X-A": "1", "X-B": None})
        with pytest.raises(ValueError, match="control character"):
            ask.set_headers({"X-A": "1", "X-B": "a\r\nb"})

    assert "X-A" not in through(plugin(header_filter=change)).headers


@pytest.mark.parametrize(
    ("name", "arguments", "error", "text"),
    [
        ("get_header", (1,), TypeError, "header name must be a string"),
        ("get_headers", (0,), ValueError, "max_headers must be >= 1"),
        ("set_status", ("200",), TypeError, "code must be a number"),
        ("set_status", (199,), ValueError, "code must be a number between 200 and 599"),
        ("set_header", (1, "a"), TypeError, "invalid header name 1: got int, expected string"),
        ("add_header", ("a", None), TypeError, 'invalid header value for "a"'),
        ("clear_header", (1,), TypeError, "header name must be a string"),
        ("set_headers", ([],), TypeError, "headers must be a table"),
        ("exit", ("200",), TypeError, "code must be a number"),
        ("exit", (600,), ValueError, "code must be a number between 200 and 599"),
        ("exit", (100,), ValueError, "code must be a number between 200 and 599"),
        ("exit", (199,), ValueError, "code must be a number between 200 and 599"),
        ("exit", (200, 5), TypeError, "body must be a nil, string or table"),
        ("exit", (200, None, []), TypeError, "headers must be a nil or table"),
        ("error", (True,), TypeError, "code must be a number"),
        ("error", (399,), ValueError, "code must be a number between 400 and 599"),
        ("error", (400, 5), TypeError, "message must be a nil, a string or a table"),
        ("error", (400, None, []), TypeError, "headers must be a nil or table"),
    ],
)
def test_wrong_arguments_raise_with_kongs_text(name, arguments, error, text):
    with pytest.raises(error, match=f"^{text}"):
        during("header_filter", getattr(ask, name), *arguments)


# -- exit ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "body", "kind"),
    [
        ((200, {"a": "é"}), '{"a":"é"}'.encode(), "application/json; charset=utf-8"),
        ((200, [1]), b"[1]", "application/json; charset=utf-8"),
        ((200, [1], {"Content-Type": "application/x"}), b"[1]", "application/x"),
        ((200, [1], {"content_type": ["application/y"]}), b"[1]", "application/y"),
        ((200, "text"), b"text", None),
        ((200, b"\xff"), b"\xff", None),
        ((403,), b"", None),
        ((599,), b"", None),
    ],
)
def test_an_exit_answers_with_a_body_type_and_length(arguments, body, kind):
    answer = in_access(ask.exit, *arguments)
    assert (answer.status_code, answer.data) == (arguments[0], body)
    assert answer.headers.get("Content-Type") == kind
    assert answer.headers["Content-Length"] == str(len(body))


def test_the_headers_of_an_exit_may_be_lists_and_join_those_set_before():
    def access(config):
        ask.set_header("X-Early", "1")
        ask.exit(200, None, {"X-A": ["1", "2"], "Transfer-Encoding": "chunked"})

    answer = through(plugin(access=access))
    assert answer.headers.getlist("X-A") == ["1", "2"]
    assert answer.headers["X-Early"] == "1"
    assert "Transfer-Encoding" not in answer.headers


def test_an_exit_is_not_caught_by_except_exception():
    def access(config):
        try:
            ask.exit(401)
        except Exception:
            raise AssertionError("caught") from None

    assert through(plugin(access=access)).status_code == 401


def test_an_exit_in_header_filter_replaces_the_answer():
    answer = in_header_filter(ask.exit, 503, {"a": 1}, app=streaming(b"secret"))
    assert (answer.status_code, answer.json) == (503, {"a": 1})
    assert answer.headers["Content-Length"] == str(len(answer.data))


# -- error -----------------------------------------------------------------------------------------------

EVIL = 'say "<b>"'


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", "application/json; charset=utf-8"),
        ("text/html;q=0.5, application/xml", "application/xml; charset=utf-8"),
        ("text/plain", "text/plain; charset=utf-8"),
        ("image/png", "application/json; charset=utf-8"),
    ],
)
def test_an_error_has_the_format_that_is_accepted(accept, kind):
    answer = in_access(ask.error, 400, EVIL, headers={"Accept": accept})
    assert answer.headers["Content-Type"] == kind
    if "json" in kind:
        assert answer.json["message"] == EVIL
        assert len(answer.json["request_id"]) == 32


def test_an_error_takes_a_content_type_a_table_and_the_default_text():
    assert in_access(ask.error, 400, None, {"Content-Type": "text/plain"}).text.startswith("Bad request\n")
    assert json.loads(in_access(ask.error, 422, {"a": [1]}).json["message"]) == {"a": [1]}
    assert in_access(ask.error, 419).json["message"] == "The upstream server responded with 419"


# -- bodies ----------------------------------------------------------------------------------------------


def test_a_raw_body_is_whole_at_the_end_and_chunks_are_held_back_meanwhile():
    seen = []

    def change(config):
        body = ask.get_raw_body()
        seen.append(body)
        if body is not None:
            ask.set_raw_body(body.upper() + b"!")

    answer = through(plugin(body_filter=change), app=streaming(b"a", b"b"))
    assert (answer.data, seen) == (b"AB!", [None, None, b"ab"])


def test_a_raw_body_may_be_asked_for_twice():
    seen = []

    def twice(config):
        seen.append((ask.get_raw_body(), ask.get_raw_body()))

    assert through(plugin(body_filter=twice), app=streaming(b"a", b"b")).data == b"ab"
    assert seen == [(None, None), (None, None), (b"ab", b"ab")]


def test_a_body_set_before_the_end_ends_it_and_an_empty_one_is_a_line_end():
    cut = plugin(body_filter=lambda config: ask.set_raw_body("cut"))
    assert through(cut, app=streaming(b"a", b"b", b"c")).data == b"cut"
    empty = plugin(body_filter=lambda config: ask.set_raw_body(""))
    assert through(empty, app=streaming(b"a")).data == b"\n"


def test_a_body_over_the_limit_is_an_error_and_nothing_of_it_goes_out():
    answer = through(
        plugin(body_filter=lambda config: ask.get_raw_body()),
        app=streaming(b"secret", b"more"),
        config={"max_response_body": 8},
    )
    assert answer.status_code == 500
    assert b"secret" not in answer.data


def test_a_body_is_text():
    with pytest.raises(TypeError, match=r"^body must be a string$"):
        during("body_filter", ask.set_raw_body, 5)


def test_a_native_plugin_has_no_raw_body():
    with pytest.raises(RuntimeError, match="made plugins by `adapt`"):
        body_state(Exchange({}, print))
