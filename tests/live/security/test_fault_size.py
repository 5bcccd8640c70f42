"""A hundred plugins on a route, fifty gateways within each other: served, at a cost that grows in line."""

from __future__ import annotations

import pytest

from plugmw import Entry, Gateway
from plugmw.testing import hello_app
from tests.security.test_fault_size import PHASES, cost
from tests.support.plugins import noting


def on_one_route(number):
    routes = [{"name": "here", "paths": ["/here"]}]
    entries = [Entry(noting(f"p{n}", [], *PHASES, priority=n), route="here") for n in range(number)]
    return Gateway(hello_app, {"store": "memory://", "routes": routes}, plugins=entries)


def nested(number):
    app = hello_app
    for n in range(number):
        app = Gateway(app, {"store": "memory://"}, plugins=[noting(f"p{n}", [], *PHASES)])
    return app


@pytest.mark.parametrize(
    ("build", "most"), [(on_one_route, 100), (nested, 50)], ids=["100 plugins on a route", "50 gateways"]
)
def test_the_cost_of_a_request_grows_in_line_with_the_plugins_it_passes(build, most):
    none, half, whole = (cost(build, number) for number in (1, 1 + most // 2, 1 + most))
    each = (half - none) / (most // 2)
    assert (whole - half) / (most // 2) == pytest.approx(each, rel=0.02)
    # Four phases, and what carries one response through another gateway.
    assert each < 100
