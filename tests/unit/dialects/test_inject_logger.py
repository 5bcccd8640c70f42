"""InjectLogger: one logger for everything inside."""

from __future__ import annotations

import logging

from werkzeug.test import Client

from plugmw import Gateway, HandlerRegisterer, InjectLogger, ResponseModifier
from plugmw.contrib.ip_restriction import IPRestriction

LOGGER = logging.getLogger("injected")


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["plugmw.logger"].name.encode()]


def test_an_app_finds_the_logger_in_its_environ():
    assert Client(InjectLogger(app, LOGGER)).get("/").text == "injected"


def test_an_app_that_takes_a_logger_is_given_it():
    class Taking:
        def register_logger(self, logger):
            self.logger = logger

        def __call__(self, environ, start_response): ...

    taking = Taking()
    InjectLogger(taking, LOGGER)
    assert taking.logger is LOGGER


def test_goes_through_every_middleware_down_to_the_inner_ones():
    calls = []

    class Registerer:
        def register_logger(self, logger):
            calls.append(logger.target)

        def register_handlers(self, f):
            f("x", lambda context, extra, h: h)

    inner = HandlerRegisterer(app, Registerer(), logger=LOGGER)
    middleware = IPRestriction.middleware(inner, deny=["10.0.0.0/8"])
    wrapped = Gateway(ResponseModifier(middleware, lambda res: None), plugins=[IPRestriction(deny=["::/0"])])
    del calls[:]
    other = logging.getLogger("other")
    InjectLogger(wrapped, other)
    assert calls == [other]
    assert middleware.entries[0].plugin.logger.name == "other.ip-restriction"
    assert wrapped.entries[0].plugin.logger.name == "other.ip-restriction"


def test_an_inner_one_keeps_its_own_logger():
    inner = InjectLogger(app, LOGGER)
    assert Client(InjectLogger(inner, logging.getLogger("outer"))).get("/").text == "injected"


def test_any_object_with_the_methods_of_a_logger_will_do():
    said = []

    class Mine:
        name = "mine"

        def __getattr__(self, level):
            return lambda message, *values, **options: said.append((level, message % values))

    def broken(res):
        raise ValueError

    wrapped = InjectLogger(ResponseModifier(app, broken), Mine())
    Client(wrapped).get("/")
    assert [level for level, _ in said] == ["error"]
