"""Operations of ``flatmap_filter``; what the original does is in ``live/dialects/krakend/answers.json``."""

from __future__ import annotations

import copy

import pytest

from plugmw.dialects.krakend.flatmap import manipulator

DATA = {
    "a": {"b": {"c": 1, "e": [1, 2]}},
    "list": [{"x": 1, "y": {"z": 2}}, {"x": 3}, 5],
    "more": [{"x": 9}],
    "s": "t",
}


def shaped(*operations, data=None):
    wanted = [{"type": kind, "args": list(args)} for kind, *args in operations]
    return manipulator({"proxy": {"flatmap_filter": wanted}})(DATA if data is None else data)


def with_(**changes):
    """Return the data with other members; None takes one away."""
    made = {**copy.deepcopy(DATA), **changes}
    return {name: value for name, value in made.items() if value is not None}


OPERATIONS = {
    "del a name": ([("del", "s", "gone")], with_(s=None)),
    "del inside": ([("del", "a.b.c")], with_(a={"b": {"e": [1, 2]}})),
    "del below text": ([("del", "s.x")], DATA),
    "del in all elements": ([("del", "list.*.x")], with_(list=[{"y": {"z": 2}}, {}, 5])),
    "del an element": ([("del", "list.1")], with_(list=[{"x": 1, "y": {"z": 2}}, 5])),
    "numbers stay those of before": ([("del", "list.0"), ("del", "list.1.x")], with_(list=[{}, 5])),
    "del all elements": ([("del", "list.*")], with_(list=[])),
    "move renames": ([("move", "a.b", "a.q")], with_(a={"q": DATA["a"]["b"]})),
    "move renames in all elements": (
        [("move", "list.*.x", "list.*.q")],
        with_(list=[{"q": 1, "y": {"z": 2}}, {"q": 3}, 5]),
    ),
    "move renames no elements": ([("move", "list.0", "list.7")], DATA),
    "move over a name that is there": ([("move", "s", "more")], with_(s=None, more="t")),
    "move up": ([("move", "a.b.e", "e")], with_(a={"b": {"c": 1}}, e=[1, 2])),
    "move up in all elements": (
        [("move", "list.*.y.z", "list.*.z")],
        with_(list=[{"x": 1, "y": {}, "z": 2}, {"x": 3}, 5]),
    ),
    "move up as far as there is a way": ([("move", "a.b.c", "gone.x")], with_(a={"b": {"e": [1, 2]}}, x=1)),
    "move up into an array": (
        [("move", "a.b.c", "more.x")],
        with_(a={"b": {"e": [1, 2]}}, more=[{"x": 9}, 1]),
    ),
    "move deeper": ([("move", "s", "s.t.u")], with_(s={"t": {"u": "t"}})),
    "move deeper into what is there": (
        [("move", "s", "a.b.s")],
        with_(s=None, a={"b": {"c": 1, "e": [1, 2], "s": "t"}}),
    ),
    "move what is not there": ([("move", "s.x", "y"), ("move", "gone", "y")], DATA),
    "append": ([("append", "more", "list")], with_(more=None, list=[*DATA["list"], {"x": 9}])),
    "append after del": (
        [("del", "list.0"), ("append", "more", "list")],
        with_(more=None, list=[{"x": 3}, 5, {"x": 9}]),
    ),
    "append what is no array": ([("append", "s", "list"), ("append", "more", "gone.x")], DATA),
    "append to itself": ([("append", "more", "more")], DATA),
    "an operation that cannot be read is passed over": (
        [("sort", "list"), ("move", "s"), ("del", 5), ("del", "s")],
        with_(s=None),
    ),
}


@pytest.mark.parametrize(("operations", "made"), OPERATIONS.values(), ids=OPERATIONS)
def test_changes_a_copy(operations, made):
    before = copy.deepcopy(DATA)
    assert shaped(*operations) == made
    assert before == DATA


def test_what_is_emptied_stays_an_object():
    assert shaped(("del", "*"), data={"a": 1}) == {}


NONE = {
    "no namespace": {},
    "no object": {"proxy": "text"},
    "nothing": {"proxy": {}},
    "no list": {"proxy": {"flatmap_filter": {"type": "del"}}},
    "no operation": {"proxy": {"flatmap_filter": ["text", {"type": "del2"}, {"type": "move", "args": "x"}]}},
}


@pytest.mark.parametrize("extra_config", NONE.values(), ids=NONE)
def test_without_operations_there_is_no_manipulator(extra_config):
    assert manipulator(extra_config) is None
