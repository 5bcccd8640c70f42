"""Kinds of fields: nothing is coerced."""

from __future__ import annotations

import pytest

from plugmw.dialects.tyk.kinds import Amount, Flag, Number, Text, amount, flag, number, text
from plugmw.errors import ConfigErrors
from plugmw.schema import build, config


@config
class Fields:
    flag: Flag = flag("A flag.")
    text: Text = text("A text.")
    number: Number = number("A number.")
    amount: Amount = amount("An amount.")


def test_what_is_not_given_is_zero():
    assert build(Fields, {}, "x") == Fields(flag=False, text="", number=0, amount=0.0)


def test_an_amount_may_be_written_without_a_point():
    assert type(build(Fields, {"amount": 3}, "x").amount) is float


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("flag", 1, "true or false"),
        ("text", 5, "a text"),
        ("number", "5", "a number"),
        ("number", True, "a number"),
        ("number", 1.5, "a number"),
        ("amount", True, "a number"),
        ("amount", "5", "a number"),
    ],
)
def test_a_value_of_another_kind_is_refused(field, value, expected):
    with pytest.raises(ConfigErrors, match=f"{field}: got {value!r}, expected {expected}"):
        build(Fields, {field: value}, "x")
