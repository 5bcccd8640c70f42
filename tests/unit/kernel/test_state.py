"""state: what plugins remember of a request is theirs, goes with the environ, and is not shown."""

from __future__ import annotations

import json

import pytest

from plugmw import Entry, Gateway
from plugmw.contrib.correlation_id import CorrelationID
from plugmw.contrib.cors import Cors
from plugmw.contrib.response_ratelimiting import ResponseRateLimiting
from plugmw.contrib.zipkin import Zipkin
from plugmw.dialects.kong import adapt, kong
from plugmw.kernel import state
from plugmw.testing import get
from plugmw.wsgi import keys
from tests.support.plugins import made, wrapping
from tests.support.wsgi import environ_of, serve


def test_each_owner_has_its_own_and_finds_it_again():
    environ, one, other = {}, object(), object()
    state.of(environ, one)["a"] = 1
    assert (state.of(environ, one), state.of(environ, other), state.of({}, one)) == ({"a": 1}, {}, {})


def test_an_owner_is_known_by_its_identity():
    """Also where it cannot be a key, as classes with an equality of their own."""
    environ = {}
    one, same = [], []
    state.of(environ, one)["a"] = 1
    assert state.of(environ, same) == {}
    assert state.of(environ, one) == {"a": 1}


def test_what_is_set_in_a_copy_is_not_in_the_original():
    environ, owner = {}, object()
    state.of(environ, owner)["a"] = 1
    copied = {keys.STATE: environ[keys.STATE].copy()}
    assert state.of(copied, owner) == {"a": 1}
    state.of(copied, owner)["a"] = 2
    assert state.of(environ, owner) == {"a": 1}


def remembering(name, priority, journal):
    """Return a plugin that remembers in each phase which have been, and notes at the end what it knows."""

    def remember(x):
        x.state(plugin).setdefault("phases", []).append(f"{name}.{x.phase}")

    def log(x):
        remember(x)
        journal.append(x.state(plugin)["phases"])

    plugin = made(name, priority, rewrite=remember, access=remember, header_filter=remember, log=log)
    return plugin


@pytest.mark.parametrize("wrapped", [False, True])
def test_it_is_the_same_in_all_phases_and_behind_wrapped_middlewares(wrapped):
    journal = []
    plugins = [remembering("a", 3, journal), remembering("b", 1, journal)]
    if wrapped:
        plugins.append(Entry(made("w", 2, wrap=wrapping)))
    get(plugins)
    phases = ("rewrite", "access", "header_filter", "log")
    assert sorted(journal) == [[f"{name}.{phase}" for phase in phases] for name in "ab"]


def test_gateways_inside_each_other_do_not_mix_what_their_plugins_remember():
    journal = []
    outer, inner = remembering("p", 1, journal), remembering("p", 1, journal)
    app = Gateway(Gateway(lambda environ, start: start("200 OK", []) or [], plugins=[inner]), plugins=[outer])
    assert serve(app).status == "200 OK"
    assert [len(phases) for phases in journal] == [4, 4]


# -- apps that write their environ down ------------------------------------------------------------------

PLAIN = (str, int, float, list, tuple, dict, type(None))


class Handler:
    """A handler of Kong's with a memory of its own, and filtered bodies."""

    PRIORITY = 1
    VERSION = "1.0"

    def access(self, config):
        kong.ctx.plugin["handler"] = self
        kong.service.request.set_header("Host", "upstream.example")

    def body_filter(self, config):
        kong.response.get_raw_body()


def dumping(environ, start_response):
    """Answer the environ as apps and their tests do: all of it, and what is plain."""
    told = json.dumps(environ, default=str)
    plain = json.dumps({k: v for k, v in environ.items() if isinstance(v, PLAIN)})
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps([json.loads(told), json.loads(plain)]).encode()]


def test_an_app_can_write_its_environ_down():
    plugins = [
        Zipkin(sample_ratio=1),
        Cors(preflight_continue=True),
        CorrelationID(),
        ResponseRateLimiting(limits={"video": {"minute": 5}}),
        adapt(Handler, "handler")(),
    ]
    headers = {"Origin": "http://a.example", "Access-Control-Request-Method": "GET"}
    answer = get(plugins, app=dumping, method="OPTIONS", headers=headers)
    told, plain = json.loads(answer.get_data())
    assert told[keys.STATE] == f"<state of {len(plugins)}>"
    assert keys.STATE not in plain
    assert not any("object at" in str(value) for value in plain.values())


def test_a_text_of_the_environ_does_not_show_what_is_remembered():
    environ = environ_of()
    state.of(environ, object())["secret"] = "s3cret"
    assert "s3cret" not in repr(environ)
