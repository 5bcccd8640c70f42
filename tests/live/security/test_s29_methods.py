"""S29: no header and no letter case makes another method of a request than the one that plugins are for."""

from __future__ import annotations

import pytest

from tests.support import raw
from tests.support.wire import WORKERS

SOURCE = """
    from flask import Flask, request
    from plugmw import Gateway

    site = Flask("site")
    METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"]
    KEY = {"username": "alice", "keyauth_credentials": [{"key": "k"}]}
    REFUSE = {"status_code": 403}

    @site.route("/", defaults={"path": ""}, methods=METHODS)
    @site.route("/<path:path>", methods=METHODS)
    def view(path):
        return request.method

    routed = Gateway(site, {
        "store": "memory://",
        "consumers": [KEY],
        "routes": [
            {"name": "writes", "paths": ["/route"], "methods": ["POST", "DELETE"]},
            {"name": "preflight", "paths": ["/preflight"]},
        ],
        "plugins": [
            {"name": "request-termination", "route": "writes", "config": REFUSE},
            {"name": "key-auth", "route": "preflight", "config": {"run_on_preflight": False}},
        ],
    })
    conditional = Gateway(site, {"store": "memory://", "plugins": [
        {"name": "request-termination", "when": {"methods": ["POST", "DELETE"]}, "config": REFUSE},
    ]})

    def app(environ, start_response):
        chosen = conditional if environ["PATH_INFO"] == "/when" else routed
        return chosen(environ, start_response)
"""
#: Headers by which frameworks and middlewares take another method, and what nobody does so by.
SEEN = ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override")
OVERRIDES = (*SEEN, "_method", "X-Original-Method")


@pytest.fixture(scope="module", params=WORKERS)
def server(request, gunicorn_for_module):
    more = ["--permit-unconventional-http-method", *WORKERS[request.param]]
    return gunicorn_for_module(SOURCE, worker_class=request.param, args=more)


def status(server, path, method, *lines):
    answer = raw.get(server.port, path, *lines, method=method)
    return answer.status


@pytest.mark.parametrize("path", ["/route", "/when"])
def test_s29_a_method_is_guarded_in_every_letter_case(server, path):
    assert status(server, path, "GET") == 200
    for method in ("POST", "DELETE"):
        assert status(server, path, method) == 403
        for odd in (method.lower(), method.capitalize(), method.swapcase()[:-1] + method[-1]):
            # The app would take it for the method: it gets nothing that a plugin did not see as that.
            assert status(server, path, odd) in (400, 403), odd


@pytest.mark.parametrize("header", OVERRIDES)
@pytest.mark.parametrize("path", ["/route", "/when"])
def test_s29_a_header_makes_no_other_method_of_a_request(server, path, header):
    # What frameworks may take for the method is guarded as well; of two routes nobody says which is meant.
    both = {"/route": 400, "/when": 403}[path] if header in SEEN else 200
    same = {"/route": 400, "/when": 403}[path] if header in SEEN else 403
    for method, told, expected in (("POST", "GET", same), ("GET", "POST", both), ("DELETE", "get", same)):
        answer = raw.get(server.port, f"{path}?_method={told}", f"{header}: {told}", method=method)
        # The app gets what the plugins have seen: overrides are between it and its client.
        assert (answer.status, answer.body if expected == 200 else b"GET") == (expected, b"GET")


def test_s29_only_a_preflight_in_capitals_is_one(server):
    assert status(server, "/preflight", "OPTIONS") == 200
    for method, *lines in (("options",), ("Options",), ("GET", "X-HTTP-Method-Override: OPTIONS")):
        assert status(server, "/preflight", method, *lines) in (400, 401), method
