"""Patterns of operators: which ones are refused, and on how long a text each is tried."""

from __future__ import annotations

import re
import sys

import pytest

from plugmw.schema.patterns import LONGEST, SHORTEST, TooLong, compiled, problem

#: By pattern: the characters it is tried on by match, fullmatch, search and found; 0 where it is refused.
GOOD = {
    "HelloWorld": (8192, 8192, 8192, 8192),
    "^Googlebot/[0-9.]+": (8192, 8192, 8192, 8192),
    ".*bot.*": (8192, 2048, 1024, 8192),
    "(?i).*bot.*": (8192, 2048, 1024, 8192),
    "(?i)crawl|spider": (8192, 8192, 8192, 8192),
    "(?:foo|bar)+": (8192, 8192, 8192, 8192),
    "(a|b)*": (8192, 8192, 8192, 8192),
    "(?:abc)*": (8192, 8192, 8192, 8192),
    "(?:[0-9]{1,3}){4}": (8192, 8192, 3072, 3072),
    "(?P<x>a)(?P=x)+": (4096, 4096, 3072, 3072),
    "(?:(?:ab*){2}c){50}": (8192, 8192, 0, 0),
    "/users/(?P<id>[^/]+)/orders/([0-9]+)$": (8192, 8192, 2048, 2048),
    "/api(?:/[a-z0-9-]+)*$": (8192, 8192, 1024, 1024),
    r"\d+\s+\d+": (8192, 8192, 768, 768),
    "[^@]+@[^@]+[.][a-z]+": (8192, 1024, 512, 512),
    "(?=.*a)(?=.*b).*": (8192, 8192, 768, 768),
    "bot.*crawl.*spider": (2048, 2048, 384, 384),
    "(a)?b(?(1)c|d)": (8192, 8192, 8192, 8192),
    "(?m)^a*$": (8192, 8192, 1024, 1024),
    "[\u0100-\u0200]*\u0150+x": (1024, 1024, 0, 0),
    "(?:)": (8192, 8192, 8192, 8192),
}


@pytest.mark.parametrize("pattern", GOOD)
def test_a_pattern_is_tried_on_as_many_characters_as_it_is_good_for(pattern):
    ways = ("match", "fullmatch", "search", "found")
    assert (
        tuple(0 if problem(pattern, how) else compiled(pattern, how).longest for how in ways) == GOOD[pattern]
    )


@pytest.mark.parametrize("pattern", ["(", "[", "a{99999999999}", "*", ".*(", "(" * 5000])
@pytest.mark.parametrize("how", ["match", "found"])
def test_refuses_what_does_not_compile(pattern, how):
    assert problem(pattern, how).startswith(f"not a valid regex: {pattern} (")


REPEATED = [
    "(a+)+b",
    "(a*)*",
    "(a|a)*",
    "(a|aa)*b",
    "(?i)(?:xa|Xb)*y",
    "(?:a?)*",
    "(.*,)*",
    "(|a)*",
    "x(?=(a*)*)",
    "(?:a[0-9]|[ab]x)+",
    "([a-z]+)*1",
    "(?:[\u0100-\u0200]y|\u0150.)*x",
    "(?i)(?:k1|\u212a.)*x",
]
SHARED = [
    ".*a.*a.*a.*b",
    "(?:a{1,10}){10}b",
    "(?:(?:a?){10}){10}b",
    "(?:a.|ab|b){50}c",
    "a*a*a*a*b",
    r"\s*(.*?)\s*;",
    "(?:.*a){12}b",
]
RIGHT = "a loop ends best where what follows begins, as in [^/]*/, or after a number, as in .{0,50}"


@pytest.mark.parametrize("pattern", REPEATED)
def test_refuses_a_loop_that_can_match_one_text_in_several_ways(pattern):
    text = f"not a safe regex: {pattern} (a repeated part can match one text in several ways; {RIGHT})"
    assert problem(pattern, "fullmatch") == text


@pytest.mark.parametrize("pattern", SHARED)
def test_refuses_loops_that_share_out_a_text_in_too_many_ways(pattern):
    text = f"not a safe regex: {pattern} (its loops can share out a text in too many ways; {RIGHT})"
    assert problem(pattern, "fullmatch") == text


@pytest.mark.skipif(sys.version_info < (3, 11), reason="possessive repeats came with Python 3.11")
def test_takes_possessive_repeats_and_atomic_groups():
    assert compiled("a*+a*+a*+b", "match").longest == LONGEST
    assert compiled("(?>a*)(?>a*)(?>a*)b", "match").longest == LONGEST


def test_a_text_that_is_longer_is_not_looked_at():
    pattern = compiled(".*a.*b", "match")
    assert pattern.longest == 1024
    assert pattern.find("-" * 1022 + "ab").group() == "-" * 1022 + "ab"
    with pytest.raises(TooLong, match="got 1025 characters, expected at most 1024"):
        pattern.find("-" * 1023 + "ab")
    with pytest.raises(TooLong):
        compiled("a", "search").find_all("a" * (LONGEST + 1))


def test_a_long_text_that_does_not_begin_as_the_pattern_is_no_match():
    pattern = compiled("/users/.*a.*b", "match")
    assert pattern.find("/orders/" + "a" * LONGEST) is None
    with pytest.raises(TooLong):
        pattern.find("/users/" + "a" * LONGEST)
    with pytest.raises(TooLong):
        compiled("(?i)/users/.*a.*b", "match").find("/orders/" + "a" * LONGEST)
    with pytest.raises(TooLong):
        compiled("/users", "search").find("/orders/" + "a" * LONGEST)


@pytest.mark.parametrize(
    ("how", "text", "match"),
    [
        ("match", "ab-", "ab"),
        ("match", "-ab", None),
        ("fullmatch", "ab", "ab"),
        ("fullmatch", "ab-", None),
        ("search", "-ab-", "ab"),
        ("found", "-ab-", "ab"),
    ],
)
def test_a_pattern_is_asked_in_its_way(how, text, match):
    got = compiled("ab?", how).find(text)
    assert (got and got.group()) == match


@pytest.mark.parametrize("pattern", [".*b", "(?i).*?.*B", ".*b|c", ".*", "(?s).*b$"])
def test_any_text_before_a_match_is_left_out_where_only_its_being_there_counts(pattern):
    whether = compiled(pattern, "found")
    assert whether.longest == LONGEST
    assert whether.pattern == pattern
    for text in ("", "b", "ab", "a\nb", "a\nb\n", "abc", "c", "B"):
        assert (whether.find(text) is None) is (re.search(pattern, text) is None), text


def test_what_looks_alike_and_means_something_else_stays():
    for pattern in (".*", ".*{", r".\*b", "..*b"):
        assert (compiled(pattern, "found").find("b") is None) is (re.search(pattern, "b") is None)
    if sys.version_info >= (3, 11):
        assert compiled(".*+b", "found").find("ab") is None


def test_all_matches_are_found():
    assert [match[0] for match in compiled("[0-9]", "search").find_all("1a2b")] == ["1", "2"]


def test_the_least_length_is_more_than_user_agents_have():
    assert SHORTEST == 256
