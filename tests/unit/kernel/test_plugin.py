"""The base class of plugins, and a plugin as a plain WSGI middleware."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from plugmw import ConfigError, Gateway, Plugin, config, field
from plugmw.errors import LoadError
from plugmw.kernel.plugin import check_class, inject
from plugmw.kernel.runtime import NoLogger, Runtime
from plugmw.schema import above
from plugmw.stores import open_store
from plugmw.testing import get, hello_app
from plugmw.upstream.forwarding import request_headers
from tests.support.plugins import made, nothing
from tests.support.wsgi import environ_of, serve


@config
class GreetingConfig:
    text: str = field("hi", help="What to say.")
    times: int = field(1, above(0), help="How often.")


class Greeting(Plugin):
    name, priority, Config = "greeting", 5, GreetingConfig

    def configure(self) -> None:
        self.line = " ".join([self.config.text] * self.config.times)

    def header_filter(self, x: Any) -> None:
        x.add_header("X-Greeting", self.line)


def test_a_plugin_is_built_from_its_fields():
    assert Greeting(text="a").config == GreetingConfig(text="a")
    assert get(Greeting(text="a", times=2)).headers["X-Greeting"] == "a a"


def test_a_bad_field_is_told_with_the_class():
    with pytest.raises(ConfigError, match=r"^Greeting: times: got 0, expected a number above 0$"):
        Greeting(times=0)


def test_a_plugin_without_fields_takes_none():
    with pytest.raises(ConfigError, match='Nothing: x: unknown field "x", expected no fields'):
        type(nothing("access"))(x=1)


def test_a_parsed_configuration_is_taken_as_it_is():
    made_config = GreetingConfig(text="b")
    assert Greeting.load(made_config).config is made_config


def test_a_plugin_logs_nothing_before_it_is_bound_and_under_its_name_after():
    plugin = Greeting()
    assert isinstance(plugin.logger, NoLogger)
    plugin.logger.warning("nobody hears %s", "this")
    plugin.bind(Runtime(logger=logging.getLogger("mine")))
    assert plugin.logger.name == "mine.greeting"
    other = object()
    plugin.bind(Runtime(logger=other))
    assert plugin.logger is other


# -- as a middleware --------------------------------------------------------------------------------------


def test_every_plugin_is_a_middleware():
    app = Greeting.middleware(hello_app, text="x")
    assert isinstance(app, Gateway)
    assert serve(app).header("X-Greeting") == "x"


def test_middlewares_nest_like_any_other():
    app = Greeting.middleware(Greeting.middleware(hello_app, text="inner"), text="outer")
    assert serve(app).all("X-Greeting") == ["inner", "outer"]


def test_a_middleware_has_consumers_a_store_trust_and_a_logger():
    store, logger = open_store("memory://"), logging.getLogger("mine")
    app = Greeting.middleware(
        hello_app, consumers=[{"username": "jo"}], store=store, trusted=["10.0.0.0/8"], logger=logger
    )
    runtime = app.runtime
    assert runtime.consumers.consumer("jo").username == "jo"
    assert (runtime.store, runtime.logger) == (store, logger)
    assert not runtime.trusted.nobody
    assert Greeting.middleware(hello_app, trusted=2).runtime.trusted.hops == 2


def test_a_middleware_that_authenticates_removes_what_clients_say_they_are():
    saw: list = []
    auth = type(made("auth", access=lambda x: None, authenticates=True))
    serve(auth.middleware(hello_app), environ_of(HTTP_X_CONSUMER_ID="root", **{"plugmw.testing.saw": saw}))
    assert "HTTP_X_CONSUMER_ID" not in saw[0]


def test_a_middleware_runs_the_rewrite_phase():
    plugin = type(made(rewrite=lambda x: x.exit(418)))
    assert serve(plugin.middleware(hello_app)).status.startswith("418")


@pytest.mark.parametrize("alone", [True, False])
def test_a_client_cannot_take_away_what_a_forwarding_plugin_has_set(alone):
    """By naming in Connection a header that it sends itself."""
    sent: list[dict[str, str]] = []

    def access(x):
        x.set_request_header("X-Tenant", "acme")
        sent.append({name.lower(): value for name, value in request_headers(x.environ)})

    plugin = made(access=access, forwards=True)
    app = type(plugin).middleware(hello_app) if alone else Gateway(hello_app, plugins=[plugin])
    serve(app, environ_of(HTTP_CONNECTION="close, x-tenant", HTTP_X_TENANT="mine"))
    assert sent[0]["x-tenant"] == "acme"


def test_a_middleware_without_rewrite_is_the_chain_and_what_removes_identity_headers_round_it():
    app = Greeting.middleware(hello_app)
    app.start()
    assert app._run.__qualname__ == "without_identity.<locals>.stripped"
    (chain,) = [cell.cell_contents for cell in app._run.__closure__]
    assert chain.__code__.co_filename.startswith("<plugmw chain")


def test_a_middleware_starts_its_plugin_once_per_process():
    notes = []
    plugin = type(made(init_worker=lambda: notes.append(1), access=lambda x: None))
    app = plugin.middleware(hello_app)
    serve(app)
    serve(app)
    assert notes == [1]


def test_an_injected_logger_goes_through_a_middleware():
    class App:
        def register_logger(self, logger):
            self.logger = logger

        def __call__(self, environ, start_response):
            raise NotImplementedError

    inner = App()
    app = Greeting.middleware(inner)
    logger = logging.getLogger("new")
    app.register_logger(logger)
    assert (inner.logger, app.runtime.logger) == (logger, logger)
    assert app.entries[0].plugin.logger.name == "new.greeting"


def test_an_app_that_takes_no_logger_is_left_alone():
    inject(hello_app, logging.getLogger("x"))


# -- what is a plugin class -------------------------------------------------------------------------------


def access(self, x):
    pass


def class_of(**members):
    return type("Thing", (Plugin,), {"name": "thing", "access": access, **members})


GOOD = {
    "float": {"priority": 1.5},
    "negative": {"priority": -5},
    "two numbers": {"version": "0.1"},
    "response alone": {"response": access},
}


@pytest.mark.parametrize("members", GOOD.values(), ids=GOOD)
def test_a_good_class_is_returned(members):
    found = class_of(**members)
    assert check_class(found, "ref") is found


BAD = {
    "no name": ({"name": ""}, "the class has no name, expected a class attribute `name`"),
    "text": ({"priority": "1"}, "priority: got '1', expected a number"),
    "truth": ({"priority": True}, "priority: got True, expected a number"),
    "nan": ({"priority": float("nan")}, "priority: got nan, expected a number"),
    "infinity": ({"priority": float("inf")}, "priority: got inf, expected a number"),
    "one number": ({"version": "1"}, "version: got '1', expected a text like 1.2.3"),
    "four numbers": ({"version": "1.2.3.4"}, "version: got '1.2.3.4', expected a text like 1.2.3"),
    "a number": ({"version": 1.2}, "version: got 1.2, expected a text like 1.2.3"),
    "header_filter": (
        {"response": access, "header_filter": access},
        "has response beside header_filter or body_filter, expected one or the other",
    ),
    "body_filter": (
        {"response": access, "body_filter": access},
        "has response beside header_filter or body_filter, expected one or the other",
    ),
}


@pytest.mark.parametrize(("members", "problem"), BAD.values(), ids=BAD)
def test_a_bad_class_is_refused_with_the_reason(members, problem):
    with pytest.raises(LoadError) as caught:
        check_class(class_of(**members), "ref")
    assert str(caught.value) == f"ref: {problem}"


@pytest.mark.parametrize("found", [5, object, Greeting()], ids=["a number", "a class", "an object"])
def test_what_is_no_plugin_class_is_refused(found):
    with pytest.raises(LoadError, match=r"expected a class derived from plugmw\.Plugin"):
        check_class(found, "ref")
