"""Bounded mappings of headers and arguments."""

from __future__ import annotations

import pytest

from plugmw.dialects.kong.pdk.values import (
    Args,
    Headers,
    checked_max,
    collect,
    first,
    fold,
    header_texts,
    query_pairs,
)


def test_headers_are_found_in_any_case_and_with_either_dash():
    made = collect(Headers(), [("x-a", "1"), ("x_b", "2")], 10)
    assert (made["X-A"], made["x_a"], made.get("X-B"), made.get("c", 3)) == ("1", "1", "2", 3)
    assert "X_A" in made
    assert "c" not in made
    assert 5 not in made
    with pytest.raises(KeyError):
        made["c"]


def test_repeated_names_become_a_list_and_more_than_most_is_truncated():
    made = collect(Args(), [("a", 1), ("a", 2), ("a", 3), ("b", 4)], 3)
    assert (made, made.err) == ({"a": [1, 2, 3]}, "truncated")
    assert collect(Args(), [("a", 1)], 1).err is None


@pytest.mark.parametrize(("value", "most"), [(None, 100), (1, 1), (1000, 1000)])
def test_a_maximum_is_100_unless_given(value, most):
    assert checked_max(value, "max_args") == most


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (0, ValueError, "max_args must be >= 1"),
        (1001, ValueError, "max_args must be <= 1000"),
        ("5", TypeError, "max_args must be a number"),
        (True, TypeError, "max_args must be a number"),
    ],
)
def test_a_maximum_is_between_1_and_1000(value, error, text):
    with pytest.raises(error, match=f"^{text}$"):
        checked_max(value, "max_args")


def test_query_pairs_keep_flags_apart_from_empty_values():
    assert list(query_pairs("a&b=&c=1+2&&%C3%A9=%C3%A9;x")) == [
        ("a", True),
        ("b", ""),
        ("c", "1 2"),
        ("é", "é;x"),
    ]


def test_small_helpers():
    assert (first(["a", "b"]), first("a"), fold("X_A-b")) == ("a", "a", "x-a-b")


@pytest.mark.parametrize(
    ("value", "texts"),
    [
        ("a", ["a"]),
        ("", [" "]),
        (1, ["1"]),
        (1.5, ["1.5"]),
        (True, ["true"]),
        (False, ["false"]),
        (["a", ""], ["a", " "]),
        ([], []),
    ],
)
def test_header_values_become_texts(value, texts):
    assert header_texts("a", value) == texts


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        (1, "a", "invalid header name 1: got int, expected string"),
        ("a", None, 'invalid header value for "a": got NoneType, expected string, number, boolean or array'),
        ("a", [1], 'invalid header value in array "a": got int, expected string'),
    ],
)
def test_other_header_values_are_refused(name, value, text):
    with pytest.raises(TypeError, match=text):
        header_texts(name, value)
