"""What is kept of a backend's reply, and how parts are merged."""

from __future__ import annotations

import copy

import pytest

from plugmw.dialects.krakend.formatting import formatter, merge
from plugmw.dialects.krakend.model import Backend

DATA = {
    "id": 1,
    "user": {"name": "Ann", "mail": "a@x", "deep": {"x": 1, "y": 2}},
    "tags": [{"a": 1, "b": 2}],
    "no": None,
}
USER = DATA["user"]

RULES = {
    "nothing": ({}, DATA),
    "target": ({"target": "user"}, USER),
    "target inside": ({"target": "user.deep"}, {"x": 1, "y": 2}),
    "target that is missing": ({"target": "user.gone.x"}, {}),
    "target that is no object": ({"target": "tags"}, {}),
    "allow": ({"allow": ["id", "gone"]}, {"id": 1}),
    "allow inside": ({"allow": ["user.name", "user.deep.y"]}, {"user": {"name": "Ann", "deep": {"y": 2}}}),
    "allow a whole object": ({"allow": ["user"]}, {"user": USER}),
    "allow nothing that is there": ({"allow": ["user.gone", "id.x"]}, {}),
    "allow inside an array": ({"allow": ["tags.a"]}, {}),
    "allow an array": ({"allow": ["tags"]}, {"tags": [{"a": 1, "b": 2}]}),
    "allow an object, then a name inside": ({"allow": ["user", "user.name"]}, {"user": {"name": "Ann"}}),
    "allow a name inside, then the object": ({"allow": ["user.name", "user"]}, {"user": USER}),
    "allow wins over deny": ({"allow": ["id"], "deny": ["id"]}, {"id": 1}),
    "deny": ({"deny": ["user", "tags", "gone"]}, {"id": 1, "no": None}),
    "deny inside": (
        {"allow": [], "deny": ["user.deep.x", "user.mail", "tags", "no"]},
        {"id": 1, "user": {"name": "Ann", "deep": {"y": 2}}},
    ),
    "deny all inside": (
        {"deny": ["user.deep.x", "user.deep.y", "user.name", "user.mail", "tags", "no"]},
        {"id": 1, "user": {"deep": {}}},
    ),
    "deny inside an array": ({"deny": ["tags.a", "user", "no"]}, {"id": 1, "tags": [{"a": 1, "b": 2}]}),
    "deny an object and a name inside": (
        {"deny": ["user.name", "user", "user.deep.x", "tags", "no"]},
        {"id": 1},
    ),
    "mapping": ({"allow": ["id"], "mapping": {"id": "key", "gone": "x"}}, {"key": 1}),
    "mapping to a dotted name": ({"allow": ["id"], "mapping": {"id": "key.x"}}, {"key": 1}),
    "mapping of each other": ({"target": "user.deep", "mapping": {"x": "y", "y": "x"}}, {"y": 1, "x": 2}),
    "mapping over a name that is there": ({"target": "user.deep", "mapping": {"x": "y"}}, {"y": 1}),
    "group": ({"allow": ["id"], "group": "g"}, {"g": {"id": 1}}),
    "group of nothing": ({"target": "gone", "group": "g"}, {"g": {}}),
    "flatmap_filter in the place of the others": (
        {
            "target": "user",
            "allow": ["name"],
            "mapping": {"name": "n"},
            "group": "g",
            "extra_config": {"proxy": {"flatmap_filter": [{"type": "del", "args": ["mail", "deep"]}]}},
        },
        {"g": {"name": "Ann"}},
    ),
    "all": (
        {"target": "user", "allow": ["name"], "mapping": {"name": "n"}, "group": "g"},
        {"g": {"n": "Ann"}},
    ),
}


@pytest.mark.parametrize(("rules", "made"), RULES.values(), ids=RULES)
def test_formats_as_lura_does(rules, made):
    data = copy.deepcopy(DATA)
    assert formatter(Backend(url_pattern="/", **rules))(data) == made
    assert data == DATA


def test_later_parts_win_and_objects_are_not_merged():
    assert merge([{"a": {"x": 1}, "b": 1}, {"a": {"y": 2}}, {}]) == {"a": {"y": 2}, "b": 1}
    assert merge([]) == {}
