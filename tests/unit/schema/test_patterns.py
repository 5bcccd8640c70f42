"""Patterns of operators: which ones are refused."""

from __future__ import annotations

import sys

import pytest

from plugmw.schema.patterns import problem

GOOD = [
    "HelloWorld",
    "^Googlebot/[0-9.]+",
    ".*bot.*",
    "(?i)crawl|spider",
    "(?:foo|bar)+",
    "(a|b)*",
    "(?:[0-9]{1,3}){4}",
    "(?P<x>a)(?P=x)+",
    "(?:abc)*",
]


@pytest.mark.parametrize("pattern", GOOD)
def test_takes(pattern):
    assert problem(pattern) is None


@pytest.mark.parametrize("pattern", ["(", "[", "a{99999999999}", "*"])
def test_refuses_what_does_not_compile(pattern):
    assert problem(pattern).startswith(f"not a valid regex: {pattern} (")


UNSAFE = [
    "(a+)+b",
    "(a*)*",
    "(a|a)*",
    "(a|aa)*b",
    "(?i)(?:xa|Xb)*y",
    "(?:a?)*",
    "(.*,)*",
    "(?:(?:ab*){2}c){50}",
    "(|a)*",
    "x(?=(a*)*)",
    "(?:a[0-9]|[ab]x)+",
]


@pytest.mark.parametrize("pattern", UNSAFE)
def test_refuses_what_could_take_for_ever(pattern):
    assert problem(pattern).startswith(f"not a safe regex: {pattern} (")


@pytest.mark.skipif(sys.version_info < (3, 11), reason="possessive repeats came with Python 3.11")
def test_takes_possessive_repeats():
    assert problem("a*+b") is None
