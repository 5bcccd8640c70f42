"""Configuration classes: every type, every check, every message, and the JSON Schema that says the same."""

from __future__ import annotations

import sys
from typing import Annotated, Any, Literal

import attrs
import pytest
from jsonschema import Draft202012Validator

from plugmw import schema
from plugmw.errors import ConfigError, ConfigErrors
from plugmw.schema import (
    REQUIRED,
    above,
    at_least,
    between,
    build,
    config,
    describing,
    each,
    field,
    matches,
    messages,
    not_empty,
    one_of,
    read,
)
from plugmw.schema.fields import HeaderName, Network, Port, URLPath
from plugmw.schema.messages import shown


@config
class Inner:
    size: int = field(help="A size.")
    label: str | None = field(None, help="A label.")


@config
class Outer:
    text: str = field("x", help="Text.")
    blank: str = field("x", help="Text or none.", empty=True)
    count: int = field(1, help="A count.")
    number: float = field(1, help="A number.")
    flag: bool = field(False, help="A flag.")
    anything: Any = field(None, help="Anything.")
    maybe: int | None = field(None, help="A count or none.")
    either: list[str] | int = field(1, help="Names or a count.")
    names: list[str] = field([], help="Names.")
    unique: set[str] = field([], help="Names, once each.")
    pair: tuple[int, ...] = field((), help="Counts.")
    table: dict[str, int] = field({}, help="Counts by name.")
    lists: dict[str, list[int]] = field({}, help="Counts by name.")
    choice: Literal["a", "b", 1] = field("a", help="A choice.")
    inner: Inner | None = field(None, help="One inside.")
    inners: list[Inner] = field([], help="Several inside.")
    positive: float | None = field(None, above(0), help="Above 0.")
    low: int = field(5, at_least(2), help="At least 2.")
    ranged: int = field(3, between(1, 5), help="Between.")
    picked: str = field("x", one_of("x", "y"), help="One of.")
    matched: str = field("ab", matches("[ab]+", "letters a and b"), help="Matching.")
    filled: list[str] = field(["x"], not_empty(), help="Not empty.")
    mapped: dict[str, int] = field({"x": 1}, not_empty(), help="Not empty.")
    capitals: list[str] = field([], each(matches("[A-Z]+", "words in capitals")), help="Each.")
    counts: list[int] | None = field(None, each(above(0)), help="Each.")
    port: Port | None = field(None, help="A port.")
    header: HeaderName | None = field(None, help="A header.")
    path: URLPath | None = field(None, help="A path.")
    renamed: int = field(1, help="A count.", aliases=("older", "oldest"))
    noted: Annotated[int, "a note"] = field(1, help="Annotated with what is no kind.")


SAMPLES = {
    "text": (["a", "é"], ["", 1, None, True, ["a"]]),
    "blank": (["", "a"], [1]),
    "count": ([0, -1, 10**30], ["1", 1.5, True, None, [1]]),
    "number": ([0, 1.5, -2], ["1", True, None]),
    "flag": ([True, False], [0, 1, "true", None]),
    "anything": ([None, 1, "", [], {}], []),
    "maybe": ([None, 1], ["1", False, 1.5]),
    "either": ([["a"], [], 5], ["a", [1], None, 1.5]),
    "names": ([[], ["a", "a"]], ["a", [1], [""], None, {"a": 1}]),
    "unique": ([["a", "b"]], ["a", [1]]),
    "pair": ([[1, 2], []], [["a"], 1]),
    "table": ([{}, {"a": 1}], [[], {"a": "b"}, {"": 1}, "a"]),
    "lists": ([{"a": [1]}], [{"a": 1}, {"a": ["b"]}]),
    "choice": (["a", "b", 1], ["c", 2, None, True, [1]]),
    "inner": (
        [None, {"size": 1}, {"size": 1, "label": None}],
        [{}, {"size": "x"}, {"size": 1, "more": 1}, 5],
    ),
    "inners": ([[], [{"size": 1}]], [[{}], {"size": 1}, [5]]),
    "positive": ([None, 0.1], [0, -5, "x"]),
    "low": ([2, 3], [1, 1.5]),
    "ranged": ([1, 5], [0, 6]),
    "picked": (["x", "y"], ["z", "", 1]),
    "matched": (["a", "abba"], ["c", "", "abc", 1]),
    "filled": ([["a"]], [[], [""]]),
    "mapped": ([{"a": 1}], [{}]),
    "capitals": ([[], ["AB"]], [["a"], [1]]),
    "counts": ([None, [], [1]], [[0], [1, -1], ["a"], 5]),
    "port": ([0, 65535, None], [65536, -1, "1"]),
    "header": (["X-A", None], ["", 5]),
    "path": (["/a", None], ["a", "", 5]),
    "renamed": ([1], ["x"]),
    "older": ([1], ["x"]),
    "noted": ([1], ["x"]),
}
VALIDATOR = Draft202012Validator(schema.json_schema(Outer))


def test_there_are_samples_for_every_field():
    assert {attribute.name for attribute in attrs.fields(Outer)} <= set(SAMPLES)


def test_the_json_schema_is_one():
    Draft202012Validator.check_schema(schema.json_schema(Outer))


@pytest.mark.parametrize("name", SAMPLES)
def test_reading_and_the_json_schema_agree(name):
    good, bad = SAMPLES[name]
    for value in good:
        assert read(Outer, {name: value})[1] == [], value
        assert VALIDATOR.is_valid({name: value}), value
    for value in bad:
        assert read(Outer, {name: value})[1], value
        assert not VALIDATOR.is_valid({name: value}), value


def test_the_json_schema_refuses_unknown_fields_and_missing_ones():
    assert not VALIDATOR.is_valid({"unknown": 1})
    assert not Draft202012Validator(schema.json_schema(Inner)).is_valid({})


@config
class Renamed:
    name: str = field(help="Required, under either name.", aliases=("title",))
    size: int = field(1, help="Optional.", aliases=("length",))


@pytest.mark.parametrize(
    ("data", "good"),
    [
        ({"name": "a"}, True),
        ({"title": "a"}, True),
        ({}, False),
        ({"name": "a", "title": "b"}, False),
        ({"name": "a", "length": 1}, True),
        ({"name": "a", "length": 1, "size": 1}, False),
    ],
    ids=str,
)
def test_an_older_spelling_is_read_but_not_beside_the_newer(data, good):
    assert (read(Renamed, data)[1] == []) is good
    assert Draft202012Validator(schema.json_schema(Renamed)).is_valid(data) is good


def test_defaults_are_in_the_json_schema():
    properties = schema.json_schema(Outer)["properties"]
    assert properties["filled"]["default"] == ["x"]
    assert properties["pair"]["default"] == []
    assert "default" not in properties["maybe"]
    assert properties["flag"]["default"] is False


# -- messages ---------------------------------------------------------------------------------------------

MESSAGES = {
    "text": ({"text": 5}, "text: got 5, expected a string"),
    "empty text": ({"text": ""}, "text: got '', expected a string of at least one character"),
    "integer": ({"count": "5"}, "count: got '5', expected an integer"),
    "truth is no integer": ({"count": True}, "count: got True, expected an integer"),
    "number": ({"number": "5"}, "number: got '5', expected a number"),
    "not a number": ({"number": float("nan")}, "number: got nan, expected a number"),
    "infinity": ({"number": float("inf")}, "number: got inf, expected a number"),
    "boolean": ({"flag": "yes"}, "flag: got 'yes', expected a boolean"),
    "optional": ({"maybe": "x"}, "maybe: got 'x', expected an integer"),
    "either": ({"either": "x"}, "either: got 'x', expected a list of strings or an integer"),
    "inside of either": ({"either": ["x", 5]}, "either[1]: got 5, expected a string"),
    "list": ({"names": "x"}, "names: got 'x', expected a list of strings"),
    "list item": ({"names": ["x", 5]}, "names[1]: got 5, expected a string"),
    "list of integers": ({"pair": 5}, "pair: got 5, expected a list of integers"),
    "list of mappings": ({"inners": 5}, "inners: got 5, expected a list of mappings"),
    "mapping": ({"table": 5}, "table: got 5, expected a mapping"),
    "mapping value": ({"table": {"a": "x"}}, "table.a: got 'x', expected an integer"),
    "literal": ({"choice": "c"}, "choice: got 'c', expected one of a, b, 1"),
    "literal of another type": ({"choice": True}, "choice: got True, expected one of a, b, 1"),
    "record": ({"inner": 5}, "inner: got 5, expected a mapping"),
    "record field": ({"inner": {"size": "x"}}, "inner.size: got 'x', expected an integer"),
    "missing": ({"inner": {}}, "inner.size: missing, expected an integer"),
    "in a list of records": (
        {"inners": [{"size": 1}, {"size": None}]},
        "inners[1].size: got None, expected an integer",
    ),
    "above": ({"positive": -5}, "positive: got -5, expected a number above 0"),
    "at least": ({"low": 1}, "low: got 1, expected a number of at least 2"),
    "between": ({"ranged": 6}, "ranged: got 6, expected a number between 1 and 5"),
    "one of": ({"picked": "z"}, "picked: got 'z', expected one of x, y"),
    "matches": ({"matched": "c"}, "matched: got 'c', expected letters a and b"),
    "not empty": ({"filled": []}, "filled: got [], expected at least one item"),
    "each": ({"capitals": ["a"]}, "capitals: got ['a'], expected a list of words in capitals"),
    "unknown, close": ({"nams": []}, 'nams: unknown field "nams"; did you mean "names"?'),
    "both spellings": (
        {"renamed": 1, "older": 2},
        "older: given beside 'renamed', expected only one of the two",
    ),
    "long": ({"count": "x" * 100}, f"count: got '{'x' * 76}..., expected an integer"),
    "no mapping": (5, "got 5, expected a mapping"),
}


@pytest.mark.parametrize(("data", "message"), MESSAGES.values(), ids=MESSAGES)
def test_a_problem_says_where_what_and_what_instead(data, message):
    with pytest.raises(ConfigErrors) as caught:
        build(Outer, data, "Thing")
    assert str(caught.value) == f"Thing: {message}"


def test_an_unknown_field_without_a_likeness_gets_the_list():
    (problem,) = read(Inner, {"size": 1, "xyz": 1})[1]
    assert problem == (("xyz",), 'unknown field "xyz"', "one of size, label")
    (problem,) = read(schema.Nothing, {"xyz": 1})[1]
    assert problem == (("xyz",), 'unknown field "xyz"', "no fields")


def test_all_problems_are_told_at_once_in_order():
    with pytest.raises(ConfigErrors) as caught:
        build(Outer, {"text": 5, "inner": {"size": "x", "no": 1}, "names": [1, 2], "zzz": 1}, "T")
    assert [error.path for error in caught.value.errors] == [
        "text",
        "names[0]",
        "names[1]",
        "inner.size",
        "inner.no",
        "zzz",
    ]
    assert str(caught.value).count("\n") == 5
    assert isinstance(caught.value, ConfigError)
    assert isinstance(caught.value, ValueError)


def test_several_values_are_read_as_their_types():
    made = build(
        Outer, {"unique": ["b", "a", "b"], "pair": [1, 2], "inner": {"size": 2}, "names": ("a",)}, "T"
    )
    assert (made.unique, made.pair, made.inner.size, made.names) == (["b", "a"], (1, 2), 2, ["a"])


def test_what_is_built_already_is_taken_as_it_is():
    inner = Inner(size=1)
    assert build(Outer, {"inner": inner}, "T").inner is inner


def test_a_built_configuration_cannot_be_changed():
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        build(Inner, {"size": 1}, "T").size = 2


def test_two_configurations_share_no_default():
    one, two = build(Outer, {}, "T"), build(Outer, {}, "T")
    one.names.append("x")
    assert two.names == []


@config
class Checked:
    low: int = field(1, help="Low.")
    ranges: list[int] = field([], help="Ranges.")

    def check(self):
        if self.low > 5:
            yield "low", "too high"
        for index, value in enumerate(self.ranges):
            if value < 0:
                yield f"ranges[{index}].start", f"got {value}"
        if self.low == 0:
            yield "nothing at all"


@pytest.mark.parametrize(
    ("data", "problems"),
    [
        (
            {"low": 6, "ranges": [1, -1]},
            [(("low",), "too high", None), (("ranges", 1, "start"), "got -1", None)],
        ),
        ({"low": 0}, [((), "nothing at all", None)]),
        ({"low": "x"}, [(("low",), "got 'x'", "an integer")]),
        ({}, []),
    ],
    ids=str,
)
def test_a_check_of_the_whole_names_its_field_when_the_fields_are_good(data, problems):
    assert read(Checked, data)[1] == problems


# -- secrets ----------------------------------------------------------------------------------------------


@config
class Secrets:
    key: str = field("", matches("[a-z]+", "small letters"), help="A key.", secret=True, empty=True)
    keys: list[str] = field([], help="Keys.", secret=True)
    either: list[str] | str = field([], help="Keys.", secret=True)
    inner: Inner | None = field(None, help="A record.", secret=True)
    table: dict[str, int] = field({}, help="Numbers.", secret=True)
    choice: Literal["a"] = field("a", help="A choice.", secret=True)


@pytest.mark.parametrize(
    "data",
    [
        {"key": "S3CRET"}, {"key": 5318008}, {"keys": "S3CRET"}, {"keys": [5318008]}, {"either": 5318008},
        {"inner": "S3CRET"}, {"table": "S3CRET"}, {"table": {"a": "S3CRET"}}, {"choice": "S3CRET"},
    ],
    ids=str,
)  # fmt: skip
def test_no_secret_is_in_a_message(data):
    with pytest.raises(ConfigErrors) as caught:
        build(Secrets, data, "T")
    assert "got a secret value" in str(caught.value)
    assert "S3CRET" not in str(caught.value)
    assert "5318008" not in str(caught.value)


def test_a_url_is_quoted_without_user_and_password():
    assert shown("https://user:p@ss/w@h.example/a") == "'https://***@h.example/a'"
    assert shown(["https://u:p@a", "https://b"]) == "['https://***@a', 'https://b']"


@config
class Quiet:
    values: list[str] = field([], repr=False, help="Values.")
    one: str = field("", repr=False, empty=True, help="A value.")


def test_values_that_may_be_secret_are_not_in_a_repr():
    assert repr(build(Quiet, {"values": ["a"], "one": "b"}, "T")) == "Quiet()"


def test_a_secret_that_refers_to_what_is_not_there_is_told(monkeypatch):
    monkeypatch.delenv("PLUGMW_NOT_SET", raising=False)
    (problem,) = read(Secrets, {"keys": ["{env://PLUGMW_NOT_SET}"]})[1]
    assert problem[0] == ("keys", 0)
    assert "PLUGMW_NOT_SET" in problem[1]


def test_no_secret_is_in_a_repr():
    made = build(Secrets, {"key": "small", "keys": ["hidden"], "table": {"a": 5318008}}, "T")
    for secret in ("small", "hidden", "5318008"):
        assert secret not in repr(made)


# -- text that was taken for a number -----------------------------------------------------------------------


@config
class Typed:
    key: str = field(help="Text.")
    number: int | None = field(None, help="A number.")
    maybe: str | None = field(None, help="Text.")
    names: list[str] = field([], help="Texts.")
    either: int | str = field(0, help="One of two.")
    level: Literal["1", "2"] = field("1", help="A choice.")


def test_a_field_that_wants_text_gets_the_text_it_was():
    texts = {
        ("key",): "1e10",
        ("maybe",): "true",
        ("names", 1): "007",
        ("either",): "08",
        ("level",): "2",
        ("number",): "07",
    }
    data = {"key": 1e10, "maybe": True, "names": ["a", 7], "either": 8, "level": 2, "number": 7}
    made, problems = read(Typed, data, text=texts.get)
    assert problems == []
    assert (made.key, made.maybe, made.names, made.either, made.level, made.number) == (
        "1e10", "true", ["a", "007"], 8, "2", 7,
    )  # fmt: skip


def test_without_its_text_a_number_is_no_string():
    assert read(Typed, {"key": 5})[1] == [(("key",), "got 5", "a string")]


# -- words ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "text"),
    [((), ""), (("a",), "a"), (("a", 2, "b", "c"), "a[2].b.c"), ((0,), "[0]"), (("a", 1, 2), "a[1][2]")],
)
def test_places_are_written_and_read_back(path, text):
    assert messages.place(path) == text
    assert messages.steps(text) == path


def test_the_table_of_fields_has_their_defaults():
    texts = {each.name: describing.default_text(each) for each in schema.fields_of(Outer)}
    assert (texts["text"], texts["maybe"], texts["filled"], texts["flag"]) == (
        '"x"',
        "none",
        '["x"]',
        "false",
    )
    assert describing.default_text(schema.fields_of(Inner)[0]) == "required"


def test_a_check_in_place_of_the_default_is_refused():
    with pytest.raises(TypeError) as error:

        @config
        class Wrong:
            size: int = field(above(0), help="A size.")

    assert str(error.value) == (
        "field() got the check for a number above 0 as default,"
        " expected REQUIRED or a default before the checks"
    )


def test_a_required_field_may_have_checks():
    @config
    class Checked:
        size: int = field(REQUIRED, above(0), help="A size.")

    assert read(Checked, {})[1] == [(("size",), "missing", "a number above 0")]
    assert read(Checked, {"size": 0})[1] == [(("size",), "got 0", "a number above 0")]


@config
class Nested:
    inner: Inner = field(Inner(size=1), help="One inside.")


def test_a_record_as_default_is_told_as_such():
    declared = schema.fields_of(Nested)[0]
    assert describing.default_text(declared) == "its defaults"
    assert "default" not in schema.json_schema(Nested)["properties"]["inner"]


@pytest.mark.parametrize(
    ("hint", "text"),
    [
        (str, "a string"),
        (list[str], "a list of strings"),
        pytest.param(list[Network], "a list of IP address or CIDR range", id="list[Network]"),
        (int | None, "an integer"),
        (dict[str, int], "a mapping"),
        (Inner, "a mapping"),
        (Literal["a", "b"], "one of a, b"),
        (Annotated[int, "note"], "an integer"),
    ],
    ids=str,
)
def test_types_are_described(hint, text):
    if hint == list[Network]:
        assert describing.describe(hint).startswith("a list of ")
    else:
        assert describing.describe(hint) == text


def test_a_likely_word_is_suggested():
    assert messages.suggest("mniute", ["minute", "hour"]) == '; did you mean "minute"?'
    assert messages.suggest("xyz", ["minute"]) == ""
    # They share a beginning, and nothing else.
    assert messages.suggest("request-id", ["request-termination"]) == ""


def test_a_class_may_inherit_fields_from_one_of_another_module():
    module = type(sys)("other_module")
    exec(
        "from __future__ import annotations\nfrom plugmw import config, field\n"
        "@config\nclass Base:\n    size: int = field(1, help='A size.')\n",
        module.__dict__,
    )
    module.Base.__module__ = "other_module"
    sys.modules["other_module"] = module
    try:

        @config
        class Derived(module.Base):
            label: str = field("x", help="A label.")

        assert build(Derived, {"size": 2}, "T") == Derived(size=2)
    finally:
        del sys.modules["other_module"]
