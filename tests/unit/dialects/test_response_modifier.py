"""response-modifier: configuration, the function's forms, and through an app."""

from __future__ import annotations

from functools import partial

import pytest
import webob
from werkzeug.test import Client

from plugmw import ConfigError, ResponseModifier
from plugmw.dialects.response_modifier import ResponseModifierPlugin
from plugmw.testing import get, hello_app


def add_header(res):
    res.headers["X-Response-Added"] = "resp-added"


class Callables:
    def method(self, res):
        add_header(res)

    def __call__(self, res):
        add_header(res)


FORMS = {
    "res": add_header,
    "res, req": lambda res, req: res.headers.update({"X-Response-Added": "resp-added"}),
    "rw, res, req": lambda rw, res, req: add_header(res),
    "a default": lambda res, more=None: add_header(res),
    "a method": Callables().method,
    "an object": Callables(),
    "a partial": partial(lambda extra, res: add_header(res), "extra"),
    "a reference": f"{__name__}:add_header",
}


@pytest.mark.parametrize("function", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("alone", [False, True], ids=["in a chain", "alone"])
def test_takes_a_function_of_one_two_or_three_parameters(function, alone):
    if alone:
        answer = Client(ResponseModifier(hello_app, function)).get("/")
    else:
        answer = get(ResponseModifierPlugin(function=function))
    assert (answer.headers["X-Response-Added"], answer.text) == ("resp-added", "hello")


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        (lambda: None, r"expected a function of \(res\), \(res, req\) or \(rw, res, req\)"),
        (lambda a, b, c, d: None, "expected a function of"),
        (5, "expected a function of"),
        ("nowhere", r"expected module:callable \(got 'nowhere'\)"),
        ("nowhere:function", r"expected module:callable \(import failed: ModuleNotFoundError"),
        (f"{__name__}:FORMS", "expected a function of"),
    ],
)
def test_refuses_what_is_no_such_function(function, problem):
    with pytest.raises(ConfigError, match=problem):
        ResponseModifier(hello_app, function)


def test_is_found_by_its_name():
    entry = {"name": "response-modifier", "config": {"function": f"{__name__}:add_header"}}
    assert get([entry]).headers["X-Response-Added"] == "resp-added"


def test_sees_the_request():
    def echo(res, req):
        res.text = f"{req.method} {req.url_path} {req.params['q']}"

    assert get(ResponseModifierPlugin(function=echo), path="/a?q=1").text == "GET /a 1"


RETURNED = {
    "a response": webob.Response("new", status=418, headers={"X-New": "1"}, content_type="text/plain"),
    "a tuple": (418, {"X-New": "1"}, "new"),
    "a tuple of bytes and pairs": (418, [("X-New", "1")], b"new"),
}


@pytest.mark.parametrize("made", RETURNED.values(), ids=RETURNED)
def test_may_return_another_response(made):
    answer = get(ResponseModifierPlugin(function=lambda res: made))
    assert (answer.status_code, answer.text, answer.headers["X-New"]) == (418, "new", "1")
    assert answer.headers["Content-Length"] == "3"


def fails(res):
    raise ValueError("secret")


@pytest.mark.parametrize(
    "function", [fails, lambda res: 5, lambda res: (1, 2)], ids=["raises", "int", "pair"]
)
def test_a_failure_is_a_clean_500(function, caplog):
    answer = get(ResponseModifierPlugin(function=function))
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert answer.headers["Content-Length"] == str(len(answer.data))
    assert "response-modifier failed in response" in caplog.text


class TestWriter:
    def test_headers_set_on_the_writer_survive(self):
        def function(rw, res, req):
            rw.header()["X-Writer"] = "1"
            rw.header()["Content-Type"] = "text/x"
            return webob.Response("new", content_type="text/plain")

        answer = get(ResponseModifierPlugin(function=function))
        assert (answer.headers["X-Writer"], answer.text) == ("1", "new")
        assert answer.headers.getlist("Content-Type") == ["text/x"]

    def test_what_is_written_goes_out_and_nothing_after_it(self):
        def function(rw, res, req):
            rw.header()["X-Writer"] = "1"
            rw.write_header(403)
            rw.write("no")
            res.text = "ignored"

        answer = get(ResponseModifierPlugin(function=function))
        assert (answer.status_code, answer.text, answer.headers["X-Writer"]) == (403, "no", "1")
        assert answer.headers["Content-Length"] == "2"


def streaming(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"a"
    yield b"b"


def upper(res):
    res.text = res.text.upper()


def test_a_stream_is_read_and_gets_its_length():
    answer = Client(ResponseModifier(streaming, upper)).get("/")
    assert (answer.text, answer.headers["Content-Length"]) == ("AB", "2")


def test_a_response_above_the_limit_is_a_500():
    answer = Client(ResponseModifier(streaming, upper, max_response_body=1)).get("/")
    assert answer.status_code == 500


def test_a_head_answer_keeps_its_length():
    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
        return []

    answer = Client(ResponseModifier(app, add_header)).head("/")
    assert (answer.headers["Content-Length"], answer.headers["X-Response-Added"]) == ("5", "resp-added")


def test_an_answer_of_another_plugin_is_left_alone():
    from plugmw.contrib.ip_restriction import IPRestriction

    plugins = [ResponseModifierPlugin(function=fails), IPRestriction(deny=["127.0.0.1"])]
    assert get(plugins, environ={"REMOTE_ADDR": "127.0.0.1"}).status_code == 403
