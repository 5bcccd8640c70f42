"""Server plugins: which handlers wrap an app, in which order, and what the log says."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from werkzeug.test import Client

from plugmw import HandlerRegisterer
from plugmw.dialects.krakend.handlers import wrap_handlers
from plugmw.dialects.krakend.loader import Loader
from plugmw.dialects.krakend.registry import HANDLER
from plugmw.errors import LoadError
from tests.unit.dialects.krakend import conftest as sources

NAMESPACE = "plugin/http-server"


def app(environ, start_response):
    """Answer with the trace of the handlers that the request passed."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return ["".join(environ.get("trace", [])).encode()]


def tracing(name):
    def factory(context, extra, h):
        def wrapped(environ, start_response):
            environ.setdefault("trace", []).append(name)
            return h(environ, start_response)

        return wrapped

    return factory


def failing(context, extra, h):
    raise ValueError("configuration not found")


@pytest.fixture
def wrap(log):
    """Wrap ``app`` for a namespace with these handlers registered."""

    def run(extra, strict=False, **handlers):
        loader = Loader(log)
        loader.register.handlers.update(handlers)
        return wrap_handlers(app, loader, {NAMESPACE: extra}, strict)

    return run


def trace(wrapped):
    return Client(wrapped).get("/").text


def test_the_last_name_is_outermost_and_sees_the_request_first(wrap, log):
    wrapped = wrap({"name": ["A", "B", "C"]}, A=tracing("A"), B=tracing("B"), C=tracing("C"))
    assert trace(wrapped) == "CBA"
    assert log.lines == [f"INFO: [PLUGIN: Server] Injecting plugin {name}" for name in "ABC"]


def test_a_name_may_be_a_string(wrap):
    assert trace(wrap({"name": "A"}, A=tracing("A"))) == "A"


def test_a_name_in_the_list_that_is_no_string_is_dropped(wrap):
    assert trace(wrap({"name": [5, "A", None]}, A=tracing("A"))) == "A"


UNUSABLE = {
    "unknown": (None, "No plugin registered as X"),
    "wrong type": (5, "Wrong plugin handler type: X"),
    "raising": (failing, "Error getting the plugin handler: configuration not found"),
    "returning an error": (lambda c, e, h: (h, "missing"), "Error getting the plugin handler: missing"),
    "returning nothing": (
        lambda c, e, h: None,
        "Error getting the plugin handler: got None, expected a WSGI app or a handler (w, req)",
    ),
}


@pytest.mark.parametrize(("broken", "told"), UNUSABLE.values(), ids=UNUSABLE)
def test_what_cannot_be_used_is_skipped_with_an_error_and_the_rest_still_wraps(wrap, log, broken, told):
    handlers = {"A": tracing("A"), "C": tracing("C")}
    if broken is not None:
        handlers["X"] = broken
    assert trace(wrap({"name": ["A", "X", "C"]}, **handlers)) == "CA"
    assert log.lines[1] == f"ERROR: [PLUGIN: Server] {told}"
    with pytest.raises(LoadError, match="plugin/http-server: "):
        wrap({"name": ["A", "X", "C"]}, strict=True, **handlers)


def test_a_factory_gets_the_whole_namespace_and_the_context(wrap):
    seen = []
    extra = {"name": ["A"], "A": {"path": "/x"}, "other": 1}
    wrap(extra, A=lambda context, extra, h: seen.append((context.done.is_set(), extra)) or h)
    assert seen == [(False, extra)]


def test_a_factory_may_return_a_handler_and_no_error(wrap):
    assert trace(wrap({"name": "A"}, A=lambda c, e, h: (tracing("A")(c, e, h), None))) == "A"


def test_a_factory_may_return_a_go_style_handler(wrap):
    def factory(context, extra, h):
        def handler(w, req):
            w.header()["X-Go"] = "1"
            h.serve_http(w, req)

        return handler

    answer = Client(wrap({"name": ["B", "A"]}, A=factory, B=tracing("B"))).get("/")
    assert (answer.text, answer.headers["X-Go"]) == ("B", "1")


@pytest.mark.parametrize(
    ("extra", "line"),
    [
        (None, None),
        ("text", "DEBUG: [PLUGIN: Server] Wrong extra_config type"),
        ({}, "DEBUG: [PLUGIN: Server] No plugins required in the extra config"),
        ({"name": 5}, "DEBUG: [PLUGIN: Server] No plugins required in the extra config"),
        ({"name": []}, None),
    ],
    ids=["absent", "no object", "no name", "name of a wrong type", "no names"],
)
def test_without_names_the_app_stays_unwrapped(wrap, log, extra, line):
    assert wrap(extra, A=tracing("A")) is app
    assert log.lines == ([line] if line else [])


def test_without_plugins_the_app_stays_unwrapped(wrap, log):
    assert wrap({"name": ["A"]}) is app
    assert log.lines == ["DEBUG: [PLUGIN: Server] No plugins registered for the module"]
    with pytest.raises(LoadError, match="no plugins registered, A required"):
        wrap({"name": ["A"]}, strict=True)


def test_the_long_key_works_too(log):
    loader = Loader(log)
    loader.register.handlers["A"] = tracing("A")
    assert trace(wrap_handlers(app, loader, {HANDLER.namespaces[1]: {"name": "A"}})) == "A"


class Module:
    """A module with two handlers."""

    class HandlerRegisterer:
        def register_handlers(self, f):
            f("A", tracing("A"))
            f("B", tracing("B"))
            f("config", lambda context, extra, h: h if "config" in extra else (h, "configuration not found"))


class TestHandlerRegisterer:
    def test_wraps_an_app_in_one_module(self, log):
        assert trace(HandlerRegisterer(app, Module, {"name": ["B", "A"]}, logger=log)) == "AB"

    def test_without_a_name_all_that_the_module_registers_is_used(self, log):
        assert trace(HandlerRegisterer(app, Module, {"config": {}}, logger=log)) == "BA"

    @pytest.mark.parametrize("key", HANDLER.namespaces)
    def test_takes_a_whole_extra_config(self, log, key):
        assert trace(HandlerRegisterer(app, Module, {key: {"name": "A"}, "other": {}}, logger=log)) == "A"

    def test_a_namespace_of_another_type_leaves_the_app_alone(self, log):
        assert trace(HandlerRegisterer(app, Module, "text", logger=log)) == ""
        assert "DEBUG: [PLUGIN: Server] Wrong extra_config type" in log.lines

    def test_takes_a_file(self, folder, log):
        folder("hello.py", sources.HANDLER.format(name="hello"))
        assert trace(HandlerRegisterer(app, "plugins/hello.py", logger=log)) == "hello"

    def test_a_failing_factory_is_logged_and_the_app_stays(self, log):
        assert trace(HandlerRegisterer(app, Module, {"name": "config"}, logger=log, strict=False)) == ""
        assert (
            "ERROR: [PLUGIN: Server] Error getting the plugin handler: configuration not found" in log.lines
        )

    def test_a_failure_is_logged_without_a_logger_too(self, caplog):
        HandlerRegisterer(app, Module, {"name": "config"}, strict=False)
        assert [record.name for record in caplog.records if record.levelname == "ERROR"] == [
            "plugmw.http-server"
        ]

    @pytest.mark.parametrize("source", ["nowhere.py", SimpleNamespace()], ids=["file", "symbol"])
    def test_strict_refuses_what_cannot_be_loaded(self, log, source):
        assert trace(HandlerRegisterer(app, source, logger=log, strict=False)) == ""
        with pytest.raises(LoadError):
            HandlerRegisterer(app, source, logger=log)

    def test_strict_refuses_a_failing_factory(self, log):
        with pytest.raises(LoadError, match="configuration not found"):
            HandlerRegisterer(app, Module, {"name": "config"}, logger=log)

    def test_two_of_them_nest_like_any_middleware(self, log):
        inner = HandlerRegisterer(app, Module, {"name": "A"}, logger=log)
        assert trace(HandlerRegisterer(inner, Module, {"name": "B"}, logger=log)) == "BA"

    def test_passes_an_injected_logger_to_the_plugin_and_to_the_app_inside(self, log):
        got = []

        class Registerer:
            def register_logger(self, logger):
                got.append(logger)

            def register_handlers(self, f):
                f("A", tracing("A"))

        inner = HandlerRegisterer(app, Registerer(), logger=log)
        outer = HandlerRegisterer(inner, Registerer(), logger=log)
        del got[:]
        outer.register_logger("new")
        assert [logger.target for logger in got] == ["new", "new"]
