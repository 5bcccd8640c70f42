"""Client plugins: what answers for a backend, and what the log says."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from werkzeug.test import Client

from plugmw import ClientRegisterer
from plugmw.dialects.krakend.clients import build_client
from plugmw.dialects.krakend.failures import BackendError
from plugmw.dialects.krakend.loader import Loader
from plugmw.dialects.krakend.registry import CLIENT
from plugmw.errors import LoadError

NAMESPACE = "plugin/http-client"
SCOPE = "[BACKEND: GET /ep -> /pattern]"


def default(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"default"]


def mine(context, extra):
    def handler(w, req):
        w.header()["X-By"] = extra["name"]
        w.write_header(404)
        w.write(f"{req.method} {req.url} {req.text}")

    return handler


@pytest.fixture
def build(log):
    """Build the client for a namespace with these clients registered."""

    def run(extra, strict=False, key=NAMESPACE, limit=1000, **clients):
        loader = Loader(log)
        loader.register.clients.update(clients)
        return build_client(loader, {key: extra}, SCOPE, "/pattern", default, strict, limit)

    return run


@pytest.mark.parametrize("key", CLIENT.namespaces)
def test_the_plugin_answers_for_the_backend(build, log, key):
    answer = Client(build({"name": "A"}, key=key, A=mine)).post("/x?y=1", data="body")
    assert (answer.status_code, answer.headers["X-By"]) == (404, "A")
    assert answer.text == "POST http://localhost/x?y=1 body"
    assert log.lines == [f"DEBUG: {SCOPE} Injecting plugin A"]


def test_the_factory_gets_the_whole_namespace_and_the_context(build):
    seen = []

    def factory(context, extra):
        seen.append((context.done.is_set(), extra))
        return mine(context, extra)

    build({"name": "A", "A": {"x": 1}}, A=factory)
    assert seen == [(False, {"name": "A", "A": {"x": 1}})]


def test_a_namespace_that_is_absent_says_nothing(log):
    assert build_client(Loader(log), {}, SCOPE, "/pattern", default) is default
    assert log.lines == []


UNUSABLE = {
    "no object": (
        "text",
        {"A": mine},
        "DEBUG",
        f"[{CLIENT.namespaces[1]}] Wrong extra config type for backend",
    ),
    "nothing registered": ({"name": "A"}, {}, "DEBUG", "No plugins registered for the module"),
    "no name": ({}, {"A": mine}, "DEBUG", "No name defined in the extra config for /pattern"),
    "a list": ({"name": ["A"]}, {"A": mine}, "DEBUG", "No name defined in the extra config for /pattern"),
    "unknown": ({"name": "B"}, {"A": mine}, "DEBUG", "No plugin registered as B"),
    "wrong type": ({"name": "A"}, {"A": 5}, "WARNING", "Wrong plugin handler type: A"),
    "error": (
        {"name": "A"},
        {"A": lambda context, extra: (None, "no key")},
        "WARNING",
        "Error getting the plugin handler: no key",
    ),
    "exception": (
        {"name": "A"},
        {"A": lambda context, extra: extra["key"]},
        "WARNING",
        "Error getting the plugin handler: 'key'",
    ),
    "no handler": (
        {"name": "A"},
        {"A": lambda context, extra: None},
        "WARNING",
        "Error getting the plugin handler: got None, expected a WSGI app or a handler (w, req)",
    ),
}


@pytest.mark.parametrize(("extra", "clients", "level", "told"), UNUSABLE.values(), ids=UNUSABLE)
def test_what_cannot_be_used_leaves_the_default_client(build, log, extra, clients, level, told):
    assert build(extra, **clients) is default
    assert log.lines == [f"{level}: {SCOPE} {told}"]
    with pytest.raises(LoadError, match="plugin/http-client: "):
        build(extra, strict=True, **clients)


def test_a_handler_and_no_error_may_come_back(build):
    assert Client(build({"name": "A"}, A=lambda c, e: (default, None))).get("/").text == "default"


class Passing:
    """A factory with a third parameter, as a method."""

    def factory(self, context, extra, next):
        def app(environ, start_response):
            environ["HTTP_X"] = "1"
            return next(environ, start_response)

        return app

    def go_factory(self, context, extra, next):
        def handler(w, req):
            next.serve_http(w, req)
            w.header()["X-Seen"] = str(w.status)

        return handler


def test_a_factory_with_a_third_parameter_gets_the_default_client(build):
    assert Client(build({"name": "A"}, A=Passing().factory)).get("/").text == "default"
    answer = Client(build({"name": "A"}, A=Passing().go_factory)).get("/")
    assert (answer.text, answer.headers["X-Seen"]) == ("default", "200")


def test_a_factory_that_tells_no_parameters_gets_two(build):
    # A callable of C without a signature; two arguments make a dict that is no handler.
    assert build({"name": "A"}, A=dict) is default


class Body:
    """A body that notes its close."""

    def __init__(self, *pieces):
        self.pieces = pieces
        self.closed = 0

    def __iter__(self):
        for piece in self.pieces:
            if isinstance(piece, Exception):
                raise piece
            yield piece

    def close(self):
        self.closed += 1


def answering(body):
    def app(environ, start_response):
        write = start_response("200 OK", [])
        write(b"first ")
        return body

    return lambda context, extra: app


def test_the_answer_is_read_whole_and_closed_once(build):
    body = Body(b"a", b"b")
    assert Client(build({"name": "A"}, A=answering(body))).get("/").text == "first ab"
    assert body.closed == 1


@pytest.mark.parametrize(
    ("pieces", "error"),
    [((b"x" * 900, b"x" * 100), BackendError), ((b"a", KeyError("x")), KeyError)],
    ids=["cap", "crash"],
)
def test_an_answer_that_fails_half_way_is_no_answer(build, pieces, error):
    body = Body(*pieces)
    with pytest.raises(error):
        Client(build({"name": "A"}, A=answering(body))).get("/")
    assert body.closed == 1


def test_an_answer_without_a_status_is_no_answer(build):
    with pytest.raises(RuntimeError, match="without calling start_response"):
        Client(build({"name": "A"}, A=lambda c, e: lambda environ, start_response: [])).get("/")


class Module:
    """A module with two clients."""

    class ClientRegisterer:
        def register_clients(self, f):
            f("A", mine)
            f("next", Passing().factory)


class TestClientRegisterer:
    def test_answers_in_place_of_the_app(self, log):
        assert (
            Client(ClientRegisterer(default, Module, logger=log)).get("/x").text == "GET http://localhost/x "
        )

    @pytest.mark.parametrize("key", [None, *CLIENT.namespaces])
    def test_takes_a_namespace_or_a_whole_extra_config(self, log, key):
        extra = {"name": "next"}
        made = ClientRegisterer(default, Module, {key: extra} if key else extra, logger=log)
        assert Client(made).get("/").text == "default"

    @pytest.mark.parametrize("extra", ["text", {"name": "gone"}], ids=["no object", "unknown"])
    def test_the_app_answers_where_the_plugin_cannot_be_used(self, log, extra):
        assert Client(ClientRegisterer(default, Module, extra, logger=log)).get("/").text == "default"
        with pytest.raises(LoadError):
            ClientRegisterer(default, Module, extra, logger=log, strict=True)

    def test_strict_refuses_what_cannot_be_loaded(self, log):
        assert Client(ClientRegisterer(default, SimpleNamespace(), logger=log)).get("/").text == "default"
        with pytest.raises(LoadError, match="ClientRegisterer not found"):
            ClientRegisterer(default, SimpleNamespace(), logger=log, strict=True)

    def test_passes_an_injected_logger_to_the_plugin_and_to_the_app_inside(self):
        got = []

        class Registerer:
            def register_logger(self, logger):
                got.append(logger)

            def register_clients(self, f):
                f("A", mine)

        made = ClientRegisterer(ClientRegisterer(default, Registerer()), Registerer())
        del got[:]
        made.register_logger("new")
        assert [logger.target for logger in got] == ["new", "new"]
