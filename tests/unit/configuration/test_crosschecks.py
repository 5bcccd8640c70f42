"""Checks across entries and routes: guards that are none. (Names, scopes and orders are in test_plan.)"""

from __future__ import annotations

import pytest

from plugmw.configuration import crosschecks
from plugmw.configuration.plan import read_plan
from plugmw.documents import Document

JO = {"username": "jo", "keyauth_credentials": [{"key": "k"}]}
KEY, ACL = {"name": "key-auth"}, {"name": "acl", "config": {"allow": ["a"]}}
TAKEN = "takes no request: one has the same conditions and comes first"
NOBODY = "no entry that authenticates runs before it, so it knows nobody, unless code names groups"
NO_KEY = "no consumer has a credential for key-auth, so every request is refused"
STRANGER = 'no consumer "x", so requests without credentials are answered 500'


def warned(**data):
    plan = read_plan(Document({"store": "memory://", **data}, "gateway.yaml"))
    return [(warning.path, warning.problem) for warning in plan.warnings]


def routes(*conditions):
    return [{"name": name, **each} for name, each in zip(("one", "two", "three"), conditions)]


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ([{"paths": ["/a"]}, {"paths": ["/a"]}], [("routes[1].paths[0]", TAKEN)]),
        ([{"paths": ["/a"]}, {"paths": ["/b", "/a"]}], [("routes[1].paths[1]", TAKEN)]),
        ([{"paths": ["~/a"]}, {"paths": ["~/a"], "regex_priority": -1}], [("routes[1].paths[0]", TAKEN)]),
        ([{"hosts": ["A.example"]}, {"hosts": ["a.example."]}], [("routes[1]", TAKEN)]),
        (
            [{"methods": ["GET", "PUT"], "headers": {"x-a": ["1"]}},
             {"methods": ["PUT", "GET"], "headers": {"X-A": ["1"]}}],
            [("routes[1]", TAKEN)],
        ),
        ([{"paths": ["/a"]}, {"paths": ["/a"], "methods": ["GET"]}], []),
        ([{"paths": ["/a"], "methods": ["GET"]}, {"paths": ["/a"], "methods": ["HEAD"]}], []),
        ([{"paths": ["/a"]}, {"paths": ["/a/b"]}, {"paths": ["~/a"]}], []),
        ([{"paths": ["/a", "/a"]}], []),
    ],
)  # fmt: skip
def test_a_route_whose_requests_another_takes_is_warned_of_with_its_place(conditions, expected):
    assert warned(routes=routes(*conditions)) == expected


def test_a_route_that_is_taken_by_a_later_one_of_a_higher_priority_is_warned_of():
    conditions = [{"paths": ["~/a"]}, {"paths": ["~/a"], "regex_priority": 1}]
    assert warned(routes=routes(*conditions)) == [("routes[0].paths[0]", TAKEN.replace("one", "two", 1))]


@pytest.mark.parametrize(
    ("plugins", "consumers", "expected"),
    [
        ([KEY], [JO], []),
        ([KEY], [], [("plugins[0]", NO_KEY)]),
        ([KEY], [{"username": "jo"}], [("plugins[0]", NO_KEY)]),
        ([{**KEY, "enabled": False}], [], []),
        ([{**KEY, "config": {"anonymous": "jo"}}], [{"username": "jo"}], []),
        ([{**KEY, "config": {"anonymous": "x"}}], [JO], [("plugins[0].config.anonymous", STRANGER)]),
        (
            [{**KEY, "config": {"anonymous": "x"}}], [{"username": "jo", "custom_id": "x"}],
            [("plugins[0].config.anonymous", STRANGER)],
        ),
        ([KEY, ACL], [JO], []),
        ([ACL], [JO], [("plugins[0]", NOBODY)]),
        ([ACL, {**KEY, "enabled": False}], [JO], [("plugins[0]", NOBODY)]),
        ([ACL, {**KEY, "priority": 1}], [JO], [("plugins[0]", NOBODY)]),
        ([{**ACL, "route": "one"}, {**KEY, "route": "one"}], [JO], []),
        ([{**ACL, "route": "one"}, {**KEY, "route": "two"}], [JO], [("plugins[0]", NOBODY)]),
        ([ACL, {**KEY, "route": "two"}], [JO], []),
    ],
)  # fmt: skip
def test_an_entry_that_can_never_guard_as_it_is_meant_is_warned_of(plugins, consumers, expected):
    listed = routes({"paths": ["/a"]}, {"paths": ["/b"]})
    assert warned(plugins=plugins, consumers=consumers, routes=listed) == expected


def test_whom_a_store_or_code_knows_is_not_looked_up(tmp_path):
    assert warned(plugins=[KEY], consumer_store=f"sqlite:///{tmp_path}/none.db") == []


@pytest.mark.parametrize("count", [3, 6])
def test_each_chain_is_arranged_once_however_many_entries_ask(count, monkeypatch):
    arranged = []

    def slots(entries, route=None, service=None):
        arranged.append(route)
        return arrange(entries, route, service)

    arrange = crosschecks.slots
    monkeypatch.setattr(crosschecks, "slots", slots)
    names = [f"r{number}" for number in range(count)]
    plugins = [{**plugin, "route": name} for name in names for plugin in (ACL, KEY)]
    # The last has nobody before it.
    plugins.pop()
    routes = [{"name": name, "paths": [f"/{name}"]} for name in names]
    assert warned(routes=routes, plugins=plugins, consumers=[JO]) == [(f"plugins[{2 * count - 2}]", NOBODY)]
    # For the orders, and for the guards.
    assert arranged == 2 * [None, *names]
