"""Plain data: the types of text, and what a document may hold."""

import pytest

from plugmw.documents import load
from plugmw.documents.plain_data import scalar
from plugmw.errors import ConfigError

SCALARS = [
    ("60", 60),
    ("-5", -5),
    ("+5", 5),
    ("0", 0),
    ("0x1F", 31),
    ("0o17", 15),
    ("1.5", 1.5),
    (".5", 0.5),
    ("1.", 1.0),
    ("1e3", 1000.0),
    ("true", True),
    ("False", False),
    ("TRUE", True),
    ("yes", "yes"),
    ("off", "off"),
    ("null", "null"),
    ("", ""),
    ("0123", "0123"),
    ("00.5", "00.5"),
    ("1_000", "1_000"),
    ("12:30", "12:30"),
    ("1e999", "1e999"),
    (".inf", ".inf"),
    ("nan", "nan"),
    ("٣", "٣"),
    ("1\n", "1\n"),
    ("2026-01-01", "2026-01-01"),
    ("[1]", "[1]"),
    ("9" * 5000, "9" * 5000),
]


@pytest.mark.parametrize(("text", "value"), SCALARS, ids=[text[:12] or "empty" for text, _ in SCALARS])
def test_text_has_its_yaml_1_2_type(text, value):
    result = scalar(text)
    assert result == value
    assert type(result) is type(value)


def test_a_mapping_is_copied_and_tuples_become_lists():
    given = {"plugins": ({"name": "cors"},)}
    document = load(given)
    document.data["plugins"][0]["name"] = "acl"
    assert given == {"plugins": ({"name": "cors"},)}
    assert document.data == {"plugins": [{"name": "acl"}]}


def test_other_objects_in_a_mapping_are_kept_for_the_schema():
    thing = object()
    assert load({"modifier": thing}).data["modifier"] is thing


BAD = {
    "not a number": (
        {"a": [float("nan")]},
        "a[0]: not a finite number, expected a number that JSON can write",
    ),
    "beyond all fractions": ({"a": -(10**309)}, "a: too large a number, expected one up to 1e+308"),
    "infinity": ({"a": float("-inf")}, "a: not a finite number, expected a number that JSON can write"),
    "half a surrogate pair": ({"a": "\ud800"}, "a: text with half a surrogate pair, expected Unicode text"),
    "number as key": ({"a": {404: "x"}}, "a: got key 404, expected keys that are text"),
}


@pytest.mark.parametrize(("data", "message"), BAD.values(), ids=BAD)
def test_refuses_what_is_not_plain(data, message):
    with pytest.raises(ConfigError) as caught:
        load(data)
    assert str(caught.value) == message


def test_reports_all_that_is_not_plain_together():
    with pytest.raises(ConfigError) as caught:
        load({"a": float("nan"), "b": {1: 2}})
    assert [error.path for error in caught.value.errors] == ["a", "b"]


def test_a_mapping_that_holds_itself_twice_is_refused_once():
    data = {}
    data["a"] = data["b"] = data
    with pytest.raises(ConfigError, match="nested deeper than 100 levels") as caught:
        load(data)
    assert len(caught.value.errors) == 1
