"""Checks of one value and across fields."""

from __future__ import annotations

import pytest

from plugmw.errors import ConfigErrors
from plugmw.schema import build, checks, config, field, one_of


@pytest.mark.parametrize(
    ("check", "good", "bad", "expected"),
    [
        (checks.length(2), "ab", "a", "a length of at least 2"),
        (checks.length(2, 3), [1, 2], [1, 2, 3, 4], "a length between 2 and 3"),
        (checks.length(2, 2), "ab", "abc", "a length of 2"),
        (checks.none_of("a", 1), "b", 1, "none of a, 1"),
        (checks.starts_with("/"), "/a", "a", "a text that starts with /"),
        (checks.contains("a"), ["a"], ["b"], "a list with 'a' in it"),
        (checks.has_none("//", "%", expected="no escapes"), "/a", "/a%", "no escapes"),
        (checks.has_all("a", "b", expected="a and b"), "ba", "b", "a and b"),
        (checks.has_any("a", "b", expected="a or b"), "b", "c", "a or b"),
        (
            checks.exclusive_subsets(["a"], ["b", "c"]),
            ["b", "c"],
            ["a", "c"],
            "members of only one of: a; b, c",
        ),
    ],
)
def test_a_check_tells_good_from_bad(check, good, bad, expected):
    assert check.test(good)
    assert not check.test(bad)
    assert check.expected == expected


NONE = {"a": None, "b": "", "c": [], "d": {"e": None}}
ONE = {**NONE, "a": 1}
TWO = {**ONE, "b": "x"}


@pytest.mark.parametrize(
    ("check", "arguments", "good", "bad", "text"),
    [
        (
            checks.at_least_one_of,
            ("a", "b"),
            [ONE, TWO],
            [NONE],
            "at least one of these fields must be non-empty",
        ),
        (checks.only_one_of, ("a", "b"), [ONE], [NONE, TWO], "exactly one of these fields must be non-empty"),
        (
            checks.distinct,
            ("a", "b"),
            [NONE, ONE, TWO],
            [{"a": [1], "b": [1]}],
            "values of these fields must be distinct",
        ),
        (checks.mutually_required, ("a", "b"), [NONE, TWO], [ONE], "all or none of these fields must be set"),
        (
            checks.mutually_exclusive,
            ("a", "b"),
            [NONE, ONE],
            [TWO],
            "only one or none of these fields must be set",
        ),
    ],
)
def test_a_check_across_fields_tells_good_from_bad(check, arguments, good, bad, text):
    for data in good:
        assert check(data, *arguments) == []
    for data in bad:
        assert check(data, *arguments) == [f"{text}: 'a', 'b'"]


def test_sets_of_fields_may_exclude_each_other():
    assert checks.mutually_exclusive_sets(ONE, ["a"], ["b", "c"]) == []
    assert checks.mutually_exclusive_sets(TWO, ["a"], ["b", "c"]) == [
        "these sets are mutually exclusive: ('a'), ('b')"
    ]


@pytest.mark.parametrize(
    ("data", "options", "told"),
    [
        ({"policy": None}, {"required": True}, []),
        ({"policy": "local"}, {"required": True}, []),
        ({"policy": "redis"}, {}, []),
        ({"policy": "redis"}, {"required": True}, [("r.host", "missing, as policy is 'redis'")]),
        ({"policy": "redis", "r": {"host": "a"}}, {"required": True}, []),
        ({"policy": "redis", "r": {"host": "a"}}, {"then_match": one_of("a")}, []),
        (
            {"policy": "redis", "r": {"host": "a"}},
            {"then_match": one_of("b")},
            [("r.host", "got 'a', expected one of b, as policy is 'redis'")],
        ),
    ],
)
def test_one_field_may_depend_on_another(data, options, told):
    assert checks.conditional(data, "policy", one_of("redis"), "r.host", **options) == told


@pytest.mark.parametrize(
    ("data", "names"),
    [
        ({"kind": None}, None),
        ({"kind": "x"}, None),
        ({"kind": "one"}, "'a', 'b'"),
        ({"kind": "one", "b": 1}, None),
        ({"kind": "two"}, "'c'"),
    ],
)
def test_one_of_some_fields_may_be_needed_by_another(data, names):
    told = checks.conditional_at_least_one_of(data, "kind", one_of("one"), ["a", "b"], one_of("two"), ["c"])
    assert told == ([f"at least one of these fields must be non-empty: {names}"] if names else [])
    assert checks.conditional_at_least_one_of({"kind": "two"}, "kind", one_of("one"), ["a"]) == []


@config
class Inner:
    host: str | None = field(None, help="Host.")


@config
class Config:
    policy: str = field("local", one_of("local", "redis"), help="Where.")
    redis: Inner = field(Inner(), help="Redis.")

    def check(self):
        yield from checks.conditional(self, "policy", one_of("redis"), "redis.host", required=True)


def test_checks_are_yielded_from_a_configuration_class():
    with pytest.raises(ConfigErrors) as caught:
        build(Config, {"policy": "redis"}, "here")
    assert str(caught.value) == "here: redis.host: missing, as policy is 'redis'"
    assert build(Config, {"policy": "redis", "redis": {"host": "a"}}, "here").redis.host == "a"
