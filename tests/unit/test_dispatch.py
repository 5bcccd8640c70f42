"""Dispatch: what is put round the chains, and the answers of the gateway itself (routing: test_routing)."""

from __future__ import annotations

import json

import pytest

from plugmw import Entry
from plugmw.dispatch import (
    arrangements,
    compile_chain,
    without_identity,
    without_overrides,
    without_remote_user,
)
from plugmw.gateway import Gateway
from plugmw.kernel.identity import IDENTITY_KEYS
from plugmw.kernel.runtime import Runtime
from plugmw.routing.router import Route
from plugmw.testing import hello_app
from tests.support.plugins import nothing
from tests.support.wsgi import environ_of, serve


def seen(wrapped, **environ):
    """Return what is left of these variables behind a wrapper."""
    left = {}

    def run(inside, start_response):
        left.update({name: inside[name] for name in environ if name in inside})
        return []

    wrapped(run)(environ_of(**environ), None)
    return left


@pytest.mark.parametrize("key", IDENTITY_KEYS)
def test_every_identity_header_of_a_client_is_removed(key):
    assert seen(without_identity, **{key: "root"}, HTTP_X_OTHER="1") == {"HTTP_X_OTHER": "1"}


def test_all_identity_headers_at_once_are_removed():
    assert seen(without_identity, **dict.fromkeys(IDENTITY_KEYS, "root")) == {}


def test_a_remote_user_is_removed():
    assert seen(without_remote_user, REMOTE_USER="root", HTTP_X_OTHER="1") == {"HTTP_X_OTHER": "1"}


OVERRIDES = ["HTTP_X_HTTP_METHOD_OVERRIDE", "HTTP_X_HTTP_METHOD", "HTTP_X_METHOD_OVERRIDE"]


@pytest.mark.parametrize("key", OVERRIDES)
@pytest.mark.parametrize(
    ("honour", "method", "asked", "expected"),
    [
        (True, "POST", "delete ", "DELETE"),
        (True, "POST", "nonsense", "POST"),
        (True, "GET", "DELETE", "GET"),
        (False, "POST", "DELETE", "POST"),
    ],
)
def test_a_header_that_asks_for_another_method_is_gone_and_honoured_on_a_post_only(
    key, honour, method, asked, expected
):
    found = seen(lambda run: without_overrides(run, honour), REQUEST_METHOD=method, **{key: asked})
    assert found == {"REQUEST_METHOD": expected}


def overriding(environ, start_response):
    """Be an app that honours the header, as the one of werkzeug's documentation does."""
    method = environ.get("HTTP_X_HTTP_METHOD_OVERRIDE", environ["REQUEST_METHOD"]).upper()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [method.encode()]


DELETES = {"name": "guard", "paths": ["/"], "methods": ["DELETE"]}
GUARD = {"name": "request-termination", "config": {"status_code": 403}}
GUARDS = {
    "route": {"routes": [DELETES], "plugins": [{**GUARD, "route": "guard"}]},
    "when": {"plugins": [{**GUARD, "when": {"methods": ["DELETE"]}}]},
}


@pytest.mark.parametrize(
    ("setting", "guard", "answer"),
    [
        ("keep", "route", 400),
        ("keep", "when", 403),
        ("remove", "route", b"POST"),
        ("remove", "when", b"POST"),
        ("honour", "route", 403),
        ("honour", "when", 403),
    ],
)
def test_no_guard_by_method_is_passed_by_a_header_that_asks_for_another(setting, guard, answer):
    app = Gateway(overriding, {"store": "memory://", "method_override": setting, **GUARDS[guard]})
    result = serve(app, environ_of("/", "POST", HTTP_X_HTTP_METHOD_OVERRIDE="DELETE"))
    assert (result.body if isinstance(answer, bytes) else int(result.status[:3])) == answer
    assert serve(app, environ_of("/", "POST")).body == b"POST"


def test_without_routes_and_plugins_the_app_is_called_directly():
    assert compile_chain([], hello_app, Runtime()) is hello_app


def test_without_routes_and_rewrite_the_chain_is_called_directly():
    run = compile_chain([Entry(nothing("access"))], hello_app, Runtime())
    assert run.__code__.co_filename.startswith("<plugmw chain")


def test_every_route_has_a_chain_and_requests_without_one():
    entries = [Entry(nothing("access", name="all")), Entry(nothing("access", name="one"), route="r")]
    names = {
        route and route.name: [slot.name for slot in line]
        for route, line in arrangements(entries, [Route("r"), Route("s")], "pass")
    }
    assert names == {"r": ["one", "all"], "s": ["all"], None: ["all"]}


@pytest.mark.parametrize("unrouted", ["pass", "404"])
def test_a_consumers_entry_is_for_unrouted_requests_if_they_are_passed_on(unrouted):
    entry = Entry(nothing("access", name="jo"), consumer="jo")
    *_, (route, line) = arrangements([entry], [Route("r")], unrouted)
    assert (route, [slot.name for slot in line]) == (None, ["jo"] if unrouted == "pass" else [])


ROUTES = {"routes": [{"name": "r", "paths": ["/r"]}], "unrouted": "404"}


@pytest.mark.parametrize("config", [{}, ROUTES], ids=["no app", "no route"])
@pytest.mark.parametrize(
    ("accept", "kind"), [("", "application/json"), ("text/html", "text/html"), ("text/plain", "text/plain")]
)
def test_no_route_is_one_answer_whoever_gives_it(config, accept, kind):
    environ = environ_of("/x", HTTP_ACCEPT=accept, **{"plugmw.request_id": "7"})
    found = serve(Gateway(None, config), environ)
    assert found.status == "404 Not Found"
    assert found.header("Content-Type").startswith(kind)
    assert b"no Route matched with those values" in found.body
    assert b"7" in found.body
    if kind == "application/json":
        assert json.loads(found.body) == {"message": "no Route matched with those values", "request_id": "7"}


def test_no_route_has_no_body_for_head():
    found = serve(Gateway(None), environ_of("/x", "HEAD"))
    assert (found.status, found.body) == ("404 Not Found", b"")
