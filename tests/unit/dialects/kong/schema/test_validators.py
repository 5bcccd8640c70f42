"""Kong's validators and Lua patterns."""

from __future__ import annotations

import pytest

from plugmw.dialects.kong.schema.lua_patterns import lua_pattern
from plugmw.dialects.kong.schema.validators import VALIDATORS, first_failure, shown

PATTERNS = {"patterns": ["^a", "b$"], "err": "a or b"}


@pytest.mark.parametrize(
    ("name", "rule", "good", "bad", "text"),
    [
        ("eq", 1, 1.0, 2, "value must be 1"),
        ("eq", True, True, 1, "value must be true"),
        ("ne", "a", "b", "a", "value must not be a"),
        ("not_one_of", ["a", "b"], "c", "a", "must not be one of: a, b"),
        ("one_of", ["a", 1], 1, True, "expected one of: a, 1"),
        ("gt", 0, 1, 0, "value must be greater than 0"),
        ("timestamp", True, 1, 0, "expected a valid timestamp"),
        ("uuid", True, "5f1b2a3c-0000-4000-8000-000000000001", "x", "expected a valid UUID"),
        ("is_regex", True, "a+", "(", "not a valid regex: ("),
        ("between", [0, 65535], 0, 65536, "value should be between 0 and 65535"),
        ("len_eq", 2, "ab", "a", "length must be 2"),
        ("len_min", 2, "é", "a", "length must be at least 2"),
        ("len_max", 2, [1], [1, 2, 3], "length must be at most 2"),
        ("starts_with", "/", "/a", "a", "should start with: /"),
        ("not_match", "%s", "ab", "a b", "invalid value: a b"),
        ("match_none", [{"pattern": "//", "err": "no empty segments"}], "/", "//", "no empty segments"),
        ("match", "^%u+$", "GET", "get", "invalid value: get"),
        ("match_all", [{"pattern": "a"}, {"pattern": "b"}], "ab", "a", "invalid value: a"),
        ("match_any", PATTERNS, "xb", "x", "a or b"),
        ("contains", "a", ["a"], ["b"], "expected to contain: a"),
        (
            "mutually_exclusive_subsets",
            [["a"], ["b", "c"]],
            ["b", "c"],
            ["a", "c"],
            "these sets are mutually exclusive: (a), (c)",
        ),
        ("custom_validator", lambda value: None if value else "no", "a", "", "no"),
    ],
)
def test_a_validator_tells_in_kongs_words(name, rule, good, bad, text):
    assert VALIDATORS[name](rule, good) is None
    assert VALIDATORS[name](rule, bad) == text


def test_only_the_first_failure_is_told_and_err_replaces_it():
    definition = {"len_min": 3, "match": "^%d+$", "one_of": ["123"]}
    assert first_failure(definition, "x") == "expected one of: 123"
    assert first_failure({**definition, "err": "a number"}, "x") == "a number"
    assert first_failure(definition, "123") is None


def test_values_are_shown_as_lua_shows_them():
    assert [shown(value) for value in (None, True, False, 1.5, "a")] == ["null", "true", "false", "1.5", "a"]


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        ("^%a+$", ["abc"], ["ab1", "", "abc\n"]),
        ("^[%w_-]+$", ["a-1_"], ["a b"]),
        ("^[^%s/]+$", ["ab"], ["a/b"]),
        ("%.", ["a.b"], ["ab"]),
        ("^a-b$", ["b", "aab"], ["ac"]),
        ("^%x%x$", ["fF"], ["fg"]),
        ("^%D+$", ["ab"], ["a1"]),
        ("a^b$c", ["a^b$c"], ["abc"]),
        ("^[]]$", ["]"], ["a"]),
        ("^[^]]$", ["a"], ["]"]),
        ("^[]-_]$", ["]", "^", "_"], ["-", "a"]),
        ("^[+--]$", ["+", ",", "-"], ["."]),
        ("^[a^-]$", ["a", "^", "-"], ["b"]),
        ("^.?(a)%1?", ["a"], ["bb"]),
    ],
)
def test_lua_patterns_match_what_lua_would(pattern, good, bad):
    if "%1" in pattern:
        with pytest.raises(ValueError, match="%1 has no counterpart"):
            lua_pattern(pattern)
        return
    for text in good:
        assert lua_pattern(pattern).find(text), text
    for text in bad:
        assert not lua_pattern(pattern).find(text), text


@pytest.mark.parametrize("pattern", ["a%", "%b()", "%f[a]", "[%S]", "[%w_--]", "(a", "a]*[", "(" * 5000])
def test_a_pattern_without_a_counterpart_is_refused(pattern):
    with pytest.raises(ValueError):
        lua_pattern(pattern)
