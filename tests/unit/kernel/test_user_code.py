"""What user code raises is an Exception to who called it, or comes from outside."""

from __future__ import annotations

import os
import signal
import sys

import pytest

from plugmw.gateway import Gateway
from plugmw.kernel import context
from plugmw.kernel.dry_run import SideEffect
from plugmw.kernel.order import Entry
from plugmw.kernel.user_code import UserCodeError, contained, guarded, is_failure, passed_through
from plugmw.testing import hello_app
from plugmw.wsgi.answer import Exit
from tests.support.plugins import made, noting
from tests.support.wsgi import APPS, serve

MEMORY = {"store": "memory://"}


class Stop(BaseException):
    """Something of an author's own."""


def raising(error):
    def call(*arguments):
        raise error

    return call


@pytest.mark.parametrize(
    ("error", "text"), [(SystemExit(3), "raised SystemExit: 3"), (Stop(), "raised Stop")]
)
def test_what_is_no_exception_becomes_one_with_its_cause(error, text):
    with pytest.raises(UserCodeError) as caught:
        contained(raising(error))
    assert str(caught.value) == text
    assert caught.value.__cause__ is error


@pytest.mark.parametrize(
    "error", [ValueError(), Exit(200, b"", []), KeyboardInterrupt(), GeneratorExit(), SideEffect("connect")]
)
def test_exceptions_exits_and_what_comes_from_outside_pass(error):
    with pytest.raises(type(error)) as caught:
        contained(raising(error))
    assert caught.value is error


def test_timeouts_and_kills_of_greenlets_pass():
    gevent = pytest.importorskip("gevent")
    with pytest.raises(gevent.Timeout):
        contained(raising(gevent.Timeout(1)))
    with pytest.raises(gevent.GreenletExit):
        contained(raising(gevent.GreenletExit()))


def test_what_a_signal_handler_raises_passes_as_gunicorns_abort_of_a_worker():
    class Worker:
        def handle_abort(self, number, frame):
            sys.exit(1)

    before = signal.signal(signal.SIGUSR1, Worker().handle_abort)
    try:
        with pytest.raises(SystemExit):
            contained(os.kill, os.getpid(), signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert is_failure(SystemExit())


def test_exchange_and_owner_are_in_force_during_the_call():
    x, owner = object(), object()
    assert guarded(x, owner, lambda more: (context.exchange(), context.plugin(), more), 1) == (x, owner, 1)
    assert context.exchange() is None


# -- plugins ----------------------------------------------------------------------------------------------

ERRORS = [SystemExit(3), Stop()]


@pytest.mark.parametrize("error", ERRORS, ids=["SystemExit", "own"])
@pytest.mark.parametrize("phase", ["rewrite", "access", "header_filter", "body_filter", "response"])
def test_a_plugin_that_ends_the_process_ends_its_request(phase, error):
    journal: list[str] = []
    plugin = made("stopping", 2, **{phase: raising(error)})
    gateway = Gateway(
        APPS["iterator with close"](journal), MEMORY, plugins=[plugin, noting("a", journal, "log")]
    )
    found = serve(gateway)
    assert (found.raised, found.status[:3]) == (None, "500")
    assert b"SystemExit" not in found.body
    assert journal == (["a.log"] if phase in ("rewrite", "access") else ["close", "a.log"])


@pytest.mark.parametrize("phase", ["rewrite", "access", "header_filter", "body_filter", "response"])
def test_a_plugin_is_forgiven_where_it_is_open(phase):
    plugin = made("stopping", 2, **{phase: raising(SystemExit(3))})
    found = serve(Gateway(hello_app, MEMORY, plugins=[Entry(plugin, on_error="open")]))
    assert found.status == "200 OK"


def test_a_log_phase_that_ends_the_process_is_reported_and_the_next_runs(caplog):
    journal: list[str] = []
    plugins = [made("stopping", 2, log=raising(SystemExit(3))), noting("a", journal, "log", priority=1)]
    assert serve(Gateway(hello_app, MEMORY, plugins=plugins)).status == "200 OK"
    assert journal == ["a.log"]
    assert "stopping failed in log" in caplog.text


def test_a_log_phase_lets_pass_what_comes_from_outside():
    plugins = [made("stopping", 2, log=raising(KeyboardInterrupt()))]
    assert type(serve(Gateway(hello_app, MEMORY, plugins=plugins)).raised) is KeyboardInterrupt


def test_a_body_filter_that_ends_the_process_after_the_first_bytes_cuts_its_response():
    chunks = iter([b"a"])

    def body_filter(x, chunk, eof):
        return next(chunks, None) or raising(SystemExit(3))()

    gateway = Gateway(APPS["generator"]([]), MEMORY, plugins=[made("stopping", body_filter=body_filter)])
    found = serve(gateway)
    assert type(found.raised) is UserCodeError


def test_init_worker_that_ends_the_process_breaks_its_plugin_only(caplog):
    plugin = made("stopping", init_worker=raising(SystemExit(3)), access=lambda x: None)
    assert serve(Gateway(hello_app, MEMORY, plugins=[plugin])).status == "200 OK"
    assert "stopping: init_worker failed" in caplog.text


def test_close_that_ends_the_process_is_logged(caplog):
    plugin = made("stopping", access=lambda x: None, close=raising(SystemExit(3)))
    gateway = Gateway(hello_app, MEMORY, plugins=[plugin])
    serve(gateway)
    gateway.stop()
    assert "stopping: close failed" in caplog.text


def stopping_iterator(environ, start_response):
    start_response("200 OK", [])
    yield b""
    raise SystemExit(3)


@pytest.mark.parametrize("wrapped", [raising(SystemExit(3)), stopping_iterator], ids=["call", "iteration"])
def test_a_wrapped_middleware_that_ends_the_process_raises_an_exception(wrapped):
    found = serve(Gateway(hello_app, MEMORY, plugins=[made("stopping", wrap=lambda app: wrapped)]))
    assert type(found.raised) is UserCodeError


@pytest.mark.parametrize("wrapped", [raising(SystemExit(3)), stopping_iterator], ids=["call", "iteration"])
def test_an_app_that_a_plugin_delegates_to_stands_for_the_plugin(wrapped):
    from plugmw.wsgi.answer import Delegate

    plugin = made("delegating", access=raising(Delegate(wrapped)))
    found = serve(Gateway(hello_app, MEMORY, plugins=[plugin]))
    assert (found.raised, found.status[:3]) == (None, "500")


def test_a_system_exit_of_the_app_is_the_servers():
    found = serve(
        Gateway(
            raising(SystemExit(3)),
            {**MEMORY, "answer_crashes": True},
            plugins=[made("a", access=lambda x: None)],
        )
    )
    assert type(found.raised) is SystemExit


def test_a_system_exit_of_the_app_passes_a_plugins_middleware():
    plugin = made("round", wrap=lambda app: lambda environ, start: app(environ, start))
    assert type(serve(Gateway(raising(SystemExit(3)), MEMORY, plugins=[plugin])).raised) is SystemExit


class App:
    def __call__(self, environ, start_response):
        raise SystemExit(3)

    def method(self, environ, start_response):
        raise SystemExit(3)


@pytest.mark.parametrize(
    "call", [App(), App().method, raising(SystemExit(3))], ids=["object", "method", "function"]
)
def test_an_exception_tells_what_it_came_out_of(call):
    with pytest.raises(SystemExit) as caught:
        call({}, None)
    assert passed_through(caught.value, len, call)
    assert not passed_through(caught.value, len, serve)


def test_a_certificate_phase_that_ends_the_process_leaves_the_servers_certificate(caplog):
    from plugmw.configuration.certificates import Hello, choose

    plugin = made("stopping", certificate=raising(SystemExit(3)))
    gateway = Gateway(hello_app, MEMORY, plugins=[plugin])
    assert choose(Hello("a.example", None), [gateway]) is None
    assert "stopping failed in certificate" in caplog.text
    gateway.stop()
