"""The ``when`` of an entry."""

from __future__ import annotations

import pytest

from plugmw.errors import ConfigErrors, LoadError
from plugmw.gateway import Gateway
from plugmw.routing.conditions import Condition, compiled
from plugmw.schema import build
from plugmw.schema.patterns import LONGEST
from plugmw.testing import get, hello_app
from plugmw.wsgi.paths import TOO_MANY
from tests.support.plugins import made


def asked(exchange):
    """Be the ``call`` of a condition."""
    return exchange.get_header("x-ask")


def failing(exchange):
    raise ValueError("no")


HERE = "tests.unit.routing.test_conditions"
ALICE = {"username": "alice", "acls": [{"group": "staff"}], "keyauth_credentials": [{"key": "k"}]}


def applies(condition, path="/", plugins=(), **request):
    """Say whether an entry with this condition applies to a request."""
    seen = []
    entry = {"name": "key-auth", "priority": 2000, "config": {"anonymous": "nobody"}}
    found = Gateway(
        hello_app,
        {"store": "memory://", "consumers": [ALICE, {"username": "nobody"}]},
        plugins=[entry, _entry(made("x", access=lambda x: seen.append(1)), condition)],
    )
    assert get(found, path=path, **request).status_code == 200
    return bool(seen)


def _entry(plugin, condition):
    from plugmw.kernel.order import Entry

    return Entry(plugin, when=compiled(build(Condition, condition, "when")))


@pytest.mark.parametrize(
    ("condition", "request_", "wanted"),
    [
        ({"methods": ["POST", "PUT"]}, {"method": "PUT"}, True),
        ({"methods": ["POST"]}, {"method": "GET"}, False),
        ({"paths": ["/api", "/é"]}, {"path": "/api/x"}, True),
        ({"paths": ["/é"]}, {"path": "/é"}, True),
        ({"paths": ["/api"]}, {"path": "/other"}, False),
        ({"headers": {"x-tier": "free|trial"}}, {"headers": {"X-Tier": "trial"}}, True),
        ({"headers": {"x-tier": "free"}}, {"headers": {"X-Tier": "free2"}}, False),
        ({"headers": {"x-tier": "free"}}, {}, False),
        ({"headers": {"x-tier": "(free)?"}}, {}, True),
        ({"query": {"v": r"\d+"}}, {"query_string": "v=12"}, True),
        ({"query": {"v": r"\d+"}}, {"query_string": "v=x"}, False),
        ({"query": {"v": ".+"}}, {"query_string": "v"}, False),
        ({"query": {"v": ".+"}}, {}, False),
        ({"query": {"v": ".+"}}, {"query_string": "v=%ff"}, True),
        ({"addresses": ["10.0.0.0/8", "::/0"]}, {"environ": {"REMOTE_ADDR": "10.1.2.3"}}, True),
        ({"addresses": ["10.0.0.0/8"]}, {"environ": {"REMOTE_ADDR": "11.1.2.3"}}, False),
        ({"addresses": ["10.0.0.0/8"]}, {"environ": {"REMOTE_ADDR": ""}}, False),
        ({"groups": ["staff"]}, {"headers": {"apikey": "k"}}, True),
        ({"groups": ["other"]}, {"headers": {"apikey": "k"}}, False),
        ({"groups": ["staff"]}, {}, False),
        ({"call": f"{HERE}:asked"}, {"headers": {"X-Ask": "yes"}}, True),
        ({"call": f"{HERE}:asked"}, {}, False),
    ],
)
def test_a_condition_is_asked_of_the_request(condition, request_, wanted):
    assert applies(condition, **request_) is wanted
    assert applies({**condition, "negate": True}, **request_) is not wanted


def test_every_condition_must_hold():
    condition = {"methods": ["GET"], "paths": ["/a"], "headers": {"x-a": "1"}}
    assert applies(condition, path="/a", headers={"X-A": "1"})
    assert not applies(condition, path="/a")
    assert not applies(condition, path="/b", headers={"X-A": "1"})


@pytest.mark.parametrize("value", ["free,other", "other,free", "other, free ,x", "free"])
def test_a_header_that_came_twice_makes_the_entry_apply_with_any_of_its_values(value):
    assert applies({"headers": {"x-tier": "free"}}, headers={"X-Tier": value})
    assert not applies({"headers": {"x-tier": "paid"}}, headers={"X-Tier": value})


def test_a_negated_header_that_came_twice_does_too():
    negated = {"headers": {"x-tier": "paid.*"}, "negate": True}
    assert applies(negated, headers={"X-Tier": "paid,free"})
    assert applies(negated, headers={"X-Tier": "free,paid"})
    assert not applies(negated, headers={"X-Tier": "paid,paid too"})


def test_a_value_with_commas_of_its_own_fits_as_a_whole():
    agent = {"User-Agent": "Browser/5 (like Gecko, as all)"}
    assert applies({"headers": {"user-agent": "Browser.*all[)]"}}, headers=agent)
    assert not applies({"headers": {"user-agent": "Browser.*"}, "negate": True}, headers=agent)
    assert applies({"headers": {"x-a": "1,2"}}, headers={"X-A": "1,2"})


@pytest.mark.parametrize(
    "path", ["//admin", "/x/../admin", "/%61dmin", "/;x/admin", "/admin/../x", "/\\admin"]
)
def test_a_path_that_can_be_read_in_several_ways_makes_the_entry_apply(path):
    assert applies({"paths": ["/admin"]}, environ={"PATH_INFO": path})


def test_a_negated_path_that_can_be_read_in_several_ways_does_too():
    assert applies({"paths": ["/public"], "negate": True}, path="/public/../admin")
    assert not applies({"paths": ["/public"], "negate": True}, path="/public")


def test_a_method_in_another_case_makes_the_entry_apply():
    assert applies({"methods": ["POST"]}, environ={"REQUEST_METHOD": "post"})
    assert applies({"methods": ["POST"], "negate": True}, environ={"REQUEST_METHOD": "Post"})
    assert not applies({"methods": ["POST"], "negate": True}, method="POST")


@pytest.mark.parametrize("negate", [False, True])
def test_a_path_with_very_many_readings_makes_the_entry_apply(negate):
    path = "/a/%" + "25" * TOO_MANY + "41;x\\ //y"
    assert applies({"paths": ["/admin"], "negate": negate}, environ={"PATH_INFO": path})


@pytest.mark.parametrize("query", ["a=0&a=1", "a=1&a=0", "a&%61=1", "a=0&a=2&a=%31"])
def test_any_value_of_an_argument_makes_the_entry_apply(query):
    assert applies({"query": {"a": "1"}}, query_string=query)
    assert applies({"query": {"a": "1"}, "negate": True}, query_string=query)
    assert not applies({"query": {"a": "[0-2]?"}, "negate": True}, query_string=query)


def test_a_guard_on_get_holds_for_head_and_one_on_head_not_for_get():
    assert applies({"methods": ["GET"]}, method="HEAD")
    assert not applies({"methods": ["HEAD"]}, method="GET")
    assert not applies({"methods": ["GET"]}, method="POST")


def test_what_is_for_all_but_get_is_for_head():
    assert applies({"methods": ["GET"], "negate": True}, method="HEAD")
    assert not applies({"methods": ["GET", "HEAD"], "negate": True}, method="HEAD")


@pytest.mark.parametrize("header", ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"])
def test_a_method_that_an_override_header_asks_for_makes_the_entry_apply(header):
    assert applies({"methods": ["DELETE"]}, method="POST", headers={header: "delete"})
    assert applies({"methods": ["POST"]}, method="POST", headers={header: "DELETE"})
    assert applies({"methods": ["POST"], "negate": True}, method="POST", headers={header: "DELETE"})
    assert not applies({"methods": ["PUT"]}, method="POST", headers={header: "DELETE"})


def test_a_path_below_a_mount_that_a_client_names_is_read_with_and_without_it():
    moved = {"SCRIPT_NAME": "/x", "PATH_INFO": "/admin"}
    named = {**moved, "HTTP_SCRIPT_NAME": "/x"}
    assert applies({"paths": ["/admin"]}, environ=named)
    assert applies({"paths": ["/x/admin"]}, environ=named)
    assert applies({"paths": ["/x"], "negate": True}, environ=named)
    assert not applies({"paths": ["/admin"]}, environ=moved)
    assert not applies({"paths": ["/x"], "negate": True}, environ=moved)


@pytest.mark.parametrize("negate", [False, True])
def test_a_value_that_is_too_long_for_a_pattern_makes_the_entry_apply(negate):
    long, fitting = "a" * (LONGEST + 1), "a" * LONGEST
    for condition, ask in (
        ({"headers": {"X-A": ".?b"}}, lambda value: {"headers": {"X-A": value}}),
        ({"query": {"q": ".?b"}, "paths": ["/"]}, lambda value: {"query_string": f"q={value}"}),
    ):
        assert applies({**condition, "negate": negate}, **ask(long))
        assert applies({**condition, "negate": negate}, **ask(fitting)) is negate


@pytest.mark.parametrize(
    ("condition", "text"),
    [
        ({}, "at least one of methods, paths, headers, query, addresses, groups, call must be given"),
        ({"negate": True}, "at least one of methods, paths"),
        ({"methods": ["get"]}, "expected a list of HTTP methods in capitals"),
        ({"paths": ["a"]}, "paths[0]: got 'a', expected a path that starts with /"),
        ({"headers": {"a b": "x"}}, "headers[\"a b\"]: got 'a b', expected a header name"),
        ({"headers": {"a": "("}}, "headers.a: got '(', expected a regular expression"),
        ({"query": {"a": "(a+)+"}}, "query.a: got '(a+)+', expected a regular expression (a repeated part"),
        ({"addresses": ["x"]}, "addresses[0]: got 'x', expected an IP address or CIDR range"),
    ],
)
def test_a_condition_that_is_none_is_told_with_its_place(condition, text):
    with pytest.raises(ConfigErrors) as caught:
        Gateway(hello_app, {"plugins": [{"name": "cors", "when": condition}]})
    assert text in str(caught.value)


def test_a_call_that_cannot_be_imported_is_told_with_its_place():
    with pytest.raises(LoadError):
        compiled(build(Condition, {"call": f"{HERE}:nothing"}, "when"))
    with pytest.raises(ConfigErrors, match=r"plugins\[0\].when.call: "):
        Gateway(hello_app, {"plugins": [{"name": "cors", "when": {"call": f"{HERE}:nothing"}}]})


@pytest.mark.parametrize(("policy", "status"), [("closed", 500), ("open", 200)])
def test_a_call_that_fails_is_a_failure_of_its_entry(policy, status):
    entry = {"name": "cors", "when": {"call": f"{HERE}:failing"}, "on_error": policy}
    assert get(Gateway(hello_app, {"store": "memory://", "plugins": [entry]})).status_code == status
