"""Where a session may go, and which limits count: patterns and their readings of a path."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from plugmw.dialects.tyk.rights import Counted, Matching, limit_in_force, may_go, problem
from plugmw.dialects.tyk.session import (
    AccessDefinition,
    AccessSpec,
    EndpointLimit,
    Limit,
    MethodLimit,
    SessionState,
)
from tests.support.wsgi import environ_of

STRICT, TYK = Matching(), Matching(prefix=False)
WHOLE = Matching(prefix=True, suffix=True)


def request(path, method="GET", listen="/api/"):
    route = SimpleNamespace(matched=lambda path: listen if path.startswith(listen) else "")
    return SimpleNamespace(environ=environ_of(path, method), route=route)


@pytest.mark.parametrize(
    ("url", "path", "matching", "allowed"),
    [
        ("/users", "/api/users", STRICT, True),
        ("/users", "/api/users/5", STRICT, True),
        ("/users", "/api/x/users", STRICT, False),
        ("/users", "/api/x/users", TYK, True),
        ("/users", "/api/users/5", WHOLE, False),
        ("/users$", "/api/users", WHOLE, True),
        ("users", "/api/x/users", STRICT, True),
        ("/users/{id}/posts", "/api/users/5/posts", STRICT, True),
        ("/users/{id}/posts", "/api/users/5/6/posts", STRICT, False),
        ("/users/*/posts", "/api/users/5/posts", STRICT, True),
        ("/users/*", "/api/users/5/6", WHOLE, True),
        # What is no more than the API's own path says nothing of what is below it.
        ("/a", "/api/b", STRICT, False),
        ("/api", "/api/b", STRICT, True),
        ("/api/b", "/api/b", STRICT, True),
        # Paths come in WSGI's form, patterns are text.
        ("/caf.$", "/api/caf\u00c3\u00a9", STRICT, True),
        ("/api/café$", "/api/caf\u00c3\u00a9", STRICT, True),
        ("/caf", "/api/caf\u00ff", STRICT, True),
        ("", "/api/b", STRICT, False),
        ("^$", "/api/b", STRICT, False),
        ("(", "/api/b", STRICT, False),
    ],
)
def test_a_pattern_is_looked_for_below_the_api_and_in_the_whole_path(url, path, matching, allowed):
    access = AccessDefinition(allowed_urls=[AccessSpec(url=url, methods=["GET"])])
    assert may_go(request(path), access, matching) is allowed


@pytest.mark.parametrize("path", ["/api/users/../admin", "/api/admin/../users", "/api/users/..%2fadmin"])
def test_every_reading_of_a_path_has_to_be_allowed(path):
    access = AccessDefinition(allowed_urls=[AccessSpec(url="/users", methods=["GET"])])
    assert not may_go(request(path), access, STRICT)


def test_a_method_that_an_override_asks_for_has_to_be_allowed_too():
    access = AccessDefinition(allowed_urls=[AccessSpec(url="/users", methods=["POST"])])
    x = request("/api/users", "POST")
    assert may_go(x, access, STRICT)
    x.environ["HTTP_X_HTTP_METHOD_OVERRIDE"] = "DELETE"
    assert not may_go(x, access, STRICT)


def test_an_alternative_of_a_pattern_has_to_match_from_the_beginning_too():
    access = AccessDefinition(allowed_urls=[AccessSpec(url="/public|/open", methods=["GET"])])
    assert may_go(request("/api/open"), access, STRICT)
    assert not may_go(request("/api/admin/open"), access, STRICT)
    assert may_go(request("/api/admin/open"), access, TYK)
    assert not may_go(request("/api/open/x"), access, WHOLE)


def test_without_allowed_urls_a_session_may_go_anywhere_and_methods_are_exact():
    assert may_go(request("/api/x"), AccessDefinition(), STRICT)
    access = AccessDefinition(allowed_urls=[AccessSpec(url="/x", methods=["get"])])
    assert not may_go(request("/api/x"), access, STRICT)


def test_a_pattern_that_cannot_be_used_or_would_take_for_ever_is_a_problem():
    assert problem("/users/{id}") is None
    assert problem("(") == "missing ), unterminated subpattern at position 0"
    assert problem("(a+)+b").startswith("a repeated part can match one text in several ways;")


def test_the_limit_of_the_endpoint_counts_before_that_of_the_api_and_of_the_session():
    session = SessionState(rate=9, per=60, quota_max=5, quota_renewal_rate=60)
    x = request("/api/slow")
    assert limit_in_force(x, session, "id1", STRICT) == Counted(Limit(9, 60, 5, 60))
    access = session.access_rights["id1"]
    access.endpoints.append(EndpointLimit("/slow", [MethodLimit("get", 1, 10)]))
    assert limit_in_force(x, session, "id1", STRICT) == Counted(Limit(1, 10, 5, 60), "", "get /slow")
    access.limit = Limit(rate=3, per=30)
    assert limit_in_force(request("/api/x"), session, "id1", STRICT) == Counted(Limit(3, 30), "id1")
    access.allowance_scope = "shared"
    assert limit_in_force(x, session, "id1", STRICT) == Counted(Limit(1, 10), "shared", "get /slow")
    assert limit_in_force(x, session, "id2", STRICT) == Counted(Limit(9, 60, 5, 60))
    assert "id2" not in session.access_rights


def endpoint_limits(*places):
    endpoints = [
        EndpointLimit(path=path, methods=[MethodLimit(name=method, rate=rate, per=60)])
        for method, path, rate in places
    ]
    return SessionState(rate=9, per=60, access_rights={"id1": AccessDefinition(endpoints=endpoints)})


@pytest.mark.parametrize(
    ("path", "method", "endpoint"),
    [
        ("/api/health", "GET", "GET /health"),
        ("/api/login", "GET", "GET /login"),
        ("/api/login", "HEAD", "GET /login"),
        ("/api/health/../login", "GET", "GET /login"),
        ("/api/health;/../login", "GET", "GET /login"),
        ("/api/other", "GET", ""),
        ("/api/other", "POST", ""),
    ],
)
def test_no_spelling_gets_another_limit_than_the_strictest_of_its_readings(path, method, endpoint):
    session = endpoint_limits(("GET", "/health", 1000), ("GET", "/login", 5))
    assert limit_in_force(request(path, method), session, "id1", STRICT).endpoint == endpoint


def test_a_limit_counts_for_a_path_that_is_too_long_for_its_own_pattern():
    pattern = "/[^/]+/.*/edit/.*/x$"
    session = endpoint_limits(("GET", pattern, 5))
    assert limit_in_force(request("/api/" + 3000 * "a"), session, "id1", STRICT).endpoint == f"GET {pattern}"
    assert limit_in_force(request("/api/" + 30 * "a"), session, "id1", STRICT).endpoint == ""


def test_a_limit_of_head_counts_for_it_before_that_of_get():
    session = endpoint_limits(("GET", "/x", 5), ("HEAD", "/x", 7))
    assert limit_in_force(request("/api/x", "HEAD"), session, "id1", STRICT).endpoint == "HEAD /x"
