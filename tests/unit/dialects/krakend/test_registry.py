"""The register, and the two spellings of a registerer's methods."""

from __future__ import annotations

import pytest

from plugmw.dialects.krakend.registry import (
    CLIENT,
    HANDLER,
    KINDS,
    MODIFIER,
    Register,
    method_of,
    namespace_of,
)


def test_registering_a_name_twice_replaces_it():
    register = Register()
    register.taker(HANDLER)("a", 1)
    register.taker(HANDLER)("a", 2)
    assert register.handlers == {"a": 2}


def test_each_kind_has_names_of_its_own():
    register = Register()
    register.taker(CLIENT)("a", 1)
    register.taker(HANDLER)("b", 2)
    register.taker(MODIFIER)("c", 3, True, False)
    register.taker(MODIFIER)("d", 4, False, True)
    register.taker(MODIFIER)("e", 5, True, True)
    assert [register.names(kind) for kind in KINDS] == [["a"], ["b"], ["c", "e", "d"]]
    assert register.request_modifiers == {"c": 3, "e": 5}
    assert register.response_modifiers == {"d": 4, "e": 5}


def test_two_registers_know_nothing_of_each_other():
    Register().taker(HANDLER)("a", 1)
    assert Register().handlers == {}


class Python:
    def register_logger(self): ...


class Go:
    def RegisterLogger(self): ...


@pytest.mark.parametrize("symbol", [Python(), Go()], ids=["python", "go"])
def test_finds_a_method_under_either_spelling(symbol):
    assert method_of(symbol, "register_logger") is not None
    assert method_of(symbol, "register_context") is None


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.symbol)
def test_alias_and_long_key_give_the_same_namespace_and_the_alias_wins(kind):
    alias, long_name = kind.namespaces
    assert namespace_of({alias: 1}, kind) == namespace_of({long_name: 1}, kind) == 1
    assert namespace_of({long_name: 2, alias: 1}, kind) == 1
    assert namespace_of({}, kind) is None
