"""A hundred plugins on a route, fifty gateways within each other: served, at a cost that grows in line."""

from __future__ import annotations

import sys

import pytest

from plugmw import Entry, Gateway
from plugmw.testing import hello_app
from tests.support.plugins import noting
from tests.support.wsgi import environ_of, serve

PHASES = ("access", "header_filter", "body_filter", "log")


def calls_of(run):
    """Return how many functions were called, of Python and built in, and what ``run`` returned."""
    count = 0

    def profile(frame, event, arg):
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(profile)
    try:
        found = run()
    finally:
        sys.setprofile(None)
    return count, found


def of_one_name(number):
    """One plugin with a configuration for each of so many routes: the last one is asked for."""
    routes = [{"name": f"r{n}", "paths": [f"/r{n}/"]} for n in range(number)]
    routes.append({"name": "here", "paths": ["/here"]})
    entries = [Entry(noting("p", [], *PHASES), route=route["name"]) for route in routes]
    return Gateway(hello_app, {"store": "memory://", "routes": routes}, plugins=entries)


def cost(build, number):
    """Return the calls that a request makes, once everything has started.

    What a worker does now and then, such as looking for a change, falls into one of three at most.
    """
    app = build(number)
    for _ in range(2):
        assert serve(app, environ_of("/here")).body == b"hello"
    counts = []
    for _ in range(3):
        environ = environ_of("/here")
        count, found = calls_of(lambda: serve(app, environ))
        assert (found.status, found.body) == ("200 OK", b"hello")
        counts.append(count)
    return min(counts)


@pytest.mark.slow
def test_what_is_configured_for_other_routes_costs_a_request_nothing():
    assert cost(of_one_name, 100) == cost(of_one_name, 1)


@pytest.mark.slow
def test_reading_the_configuration_grows_in_line_too():
    def read(number):
        entries = [
            {"name": "correlation-id", "instance": f"i{n}", "config": {"header_name": f"X-{n}"}}
            for n in range(number)
        ]
        return calls_of(lambda: Gateway(hello_app, {"store": "memory://", "plugins": entries}))[0]

    read(1)
    none, half, whole = (read(number) for number in (1, 51, 101))
    assert whole - half == pytest.approx(half - none, rel=0.25)
