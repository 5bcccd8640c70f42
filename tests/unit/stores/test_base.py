from __future__ import annotations

import pytest

from plugmw.stores.base import LONGEST_KEY, distinct, encode, lifetime, short


def test_a_short_key_stays_as_it_is() -> None:
    assert short("k" * LONGEST_KEY) == "k" * LONGEST_KEY


def test_a_long_key_becomes_a_digest() -> None:
    assert short("k" * (LONGEST_KEY + 1)).startswith("#")
    assert len(short("k" * 10**6)) == 33


def test_the_digest_of_a_long_key_given_as_a_key_is_another_key() -> None:
    digest = short("victim" * 100)
    assert short(digest) != digest


def test_a_lone_surrogate_can_be_encoded() -> None:
    assert encode("\udcff") == b"\xed\xb3\xbf"


def test_no_ttl_is_for_ever() -> None:
    assert lifetime(None) == float("inf")


@pytest.mark.parametrize("ttl", [0.0, -1.0, float("nan")])
def test_a_ttl_must_be_above_zero(ttl: float) -> None:
    with pytest.raises(ValueError, match="expected seconds above 0"):
        lifetime(ttl)


def test_distinct_keys_pass() -> None:
    distinct([("a", 1, 1.0), ("b", 1, 1.0)])
