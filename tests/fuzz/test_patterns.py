"""Patterns that configuration may bring: whatever is accepted takes any text of its length in time."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugmw.schema.patterns import compiled
from tests.fuzz.budget import tried

#: Few characters, so that loops take what others could take too.
ATOMS = ["a", "b", "ab", "bot", ".", "[ab]", "[^/]", "/", r"\w", r"\d", r"\s", "[a-z]", "x", "aba", "(?i:AB)"]
REPEATS = ["*", "+", "?", "*?", "+?", "{2}", "{0,3}", "{1,9}", "{3,}", "{0,50}", "{200}"]


def repeated(part):
    return st.builds("{}{}".format, part, st.sampled_from(REPEATS))


def grown(part):
    return st.one_of(
        st.lists(part, min_size=2, max_size=5).map("".join),
        repeated(part.map("(?:{})".format)),
        repeated(part.map("({})".format)),
        st.lists(part, min_size=2, max_size=4).map(lambda parts: f"(?:{'|'.join(parts)})"),
        st.sampled_from(["(?={})", "(?!{})", "({})", "^{}", "{}$"]).flatmap(
            lambda form: part.map(form.format)
        ),
    )


LOOPED = [atom for atom in ATOMS if len(atom) == 1 or atom[0] in "[\\("]
SIMPLE = st.one_of(st.sampled_from(ATOMS), repeated(st.sampled_from(LOOPED)))
PATTERNS = st.recursive(SIMPLE, grown, max_leaves=12)
WAYS = st.sampled_from(["match", "fullmatch", "search", "found"])
WORDS = re.compile(r"[a-z/]+")


def worst(pattern, length, rng):
    """Yield texts of a length that loops can share out in many ways, most of them without an end."""
    words = [*WORDS.findall(pattern), "a", "b", "ab", "/", "1", " ", "a/", "x"]
    yield from ((word * length)[:length] for word in dict.fromkeys(words))
    for _ in range(4):
        # One word after the other, each for its share: what each loop waits for comes many times.
        chosen = [rng.choice(words) for _ in range(rng.randint(2, 4))]
        share = length // len(chosen)
        yield "".join((word * share)[:share] for word in chosen)
        piece = "".join(rng.choice(words) for _ in range(rng.randint(2, 6)))
        yield (piece * length)[: length - 1] + "\n"
        yield "".join(rng.choice(words) for _ in range(length))[:length]


def attack(pattern, how, seed=0):
    """Try the worst texts on a pattern if it is accepted."""
    try:
        accepted = compiled(pattern, how)
    except ValueError:
        return
    for text in worst(pattern, accepted.longest, random.Random(seed)):
        tried(accepted.find, text)


@given(PATTERNS, WAYS, st.integers(0, 999))
def test_an_accepted_pattern_costs_milliseconds(pattern, how, seed):
    attack(pattern, how, seed)


#: What has taken long, or is close to it.
KNOWN = [
    ".*a.*b",
    "/x.*/a.*b$",
    "bot.*crawl.*spider",
    "bot.*crawl.*spider.*x",
    ".*a.*a.*a.*b",
    r"[^@]+@[^@]+\.[a-z]+",
    "(?:a{1,10}){10}b",
    "(?:[ab]{1,3}){4}x",
    "(?:(a)|(b)|(ab))*x",
    "(?:(a)|(b))*x",
    "(?:(?:a)|(?:b))*?x",
    "((a)|b)+x",
    "[ab]{0,200}[ab]{0,200}x",
    "(?:a?b?)*x",
    "(?:(?:ab*){2}c){50}",
    "(?:(?:[^/]*x)?a)*/",
    "(?=.*a.*b).*x",
    "(?:.*a){2}x",
    r"(?P<x>[ab]+)(?P=x)x",
    "(?:/[a-z]+)*/1",
    "(?i)(?:Ab|bA)+x",
    ".*(?:ab|ba|aa|bb).*x",
    r"\s*(.*?)\s*x",
    "(a)?(b)?(?(1)a*|b*)x",
]


@pytest.mark.parametrize("how", ["match", "fullmatch", "search", "found"])
@pytest.mark.parametrize("pattern", KNOWN)
def test_a_pattern_that_took_long_does_not(pattern, how):
    attack(pattern, how)
