"""The environment: placeholders in the values of a file, and overrides of them."""

import json

import pytest

from plugmw.documents import load
from plugmw.errors import ConfigErrors


@pytest.fixture
def read(tmp_path, monkeypatch):
    """Write data as gateway.json and load it with an environment."""
    monkeypatch.chdir(tmp_path)

    def read(data, **environ):
        (tmp_path / "gateway.json").write_text(json.dumps(data))
        return load("gateway.json", environ=environ)

    return read


@pytest.fixture
def messages(read):
    """Return the lines of the error that loading raises."""

    def messages(data, **environ):
        with pytest.raises(ConfigErrors) as caught:
            read(data, **environ)
        return str(caught.value).split("\n")

    return messages


PLACEHOLDERS = {
    "set": ("${A}", {"A": "x"}, "x"),
    "inside text": ("redis://${A}:${B}/0", {"A": "h", "B": "1"}, "redis://h:1/0"),
    "int": ("${A}", {"A": "60"}, 60),
    "float": ("${A}", {"A": "0.5"}, 0.5),
    "bool": ("${A}", {"A": "true"}, True),
    "null stays text": ("${A}", {"A": "null"}, "null"),
    "yes stays text": ("${A}", {"A": "yes"}, "yes"),
    "list stays text": ("${A}", {"A": "[1]"}, "[1]"),
    "leading zero stays text": ("${A}", {"A": "0123"}, "0123"),
    "empty": ("${A}", {"A": ""}, ""),
    "number inside text stays text": ("${A} ", {"A": "60"}, "60 "),
    "two numbers stay text": ("${A}${A}", {"A": "6"}, "66"),
    "default": ("${A:-60}", {}, 60),
    "default inside text": ("<${A:-a b}>", {}, "<a b>"),
    "default for an empty one": ("${A:-x}", {"A": ""}, "x"),
    "empty default": ("${A:-}", {}, ""),
    "default not needed": ("${A:-x}", {"A": "y"}, "y"),
    "dollars": ("$$ $${A} $$$$", {}, "$ ${A} $$"),
    "other dollars stay": ("^a$|$1 $A", {"A": "x"}, "^a$|$1 $A"),
    "never expanded again": ("${A}", {"A": "${B} $$"}, "${B} $$"),
}


@pytest.mark.parametrize(("text", "environ", "value"), PLACEHOLDERS.values(), ids=PLACEHOLDERS)
def test_a_placeholder_gives(read, text, environ, value):
    data = read({"a": [{"b": text}]}, **environ).data
    assert data == {"a": [{"b": value}]}
    assert type(data["a"][0]["b"]) is type(value)


def test_keys_are_not_expanded(read):
    assert read({"${A}": 1}).data == {"${A}": 1}


def test_a_default_is_no_secret_but_keeps_its_text(read):
    document = read({"key": "${A:-0x10}"})
    assert not document.is_secret("key")
    assert (document.data["key"], document.text("key")) == (16, "0x10")


def test_all_missing_variables_are_reported_at_once(messages):
    data = {"store": "${REDIS_URL}", "plugins": [{"key": "${A}${B}${A}"}], "fine": "${C:-}"}
    wanted = "is not set, expected it in the environment or a default as"
    assert messages(data) == [
        f"gateway.json: store: ${{REDIS_URL}} {wanted} ${{REDIS_URL:-...}}",
        f"gateway.json: plugins[0].key: ${{A}} {wanted} ${{A:-...}}",
        f"gateway.json: plugins[0].key: ${{B}} {wanted} ${{B:-...}}",
    ]


@pytest.mark.parametrize("text", ["${1x}", "${A", "${}", "${A-b}", "${a.b}", "${A:-${B}}"])
def test_a_broken_placeholder_is_refused(messages, text):
    (message,) = messages({"a": text}, A="secret")
    assert message.startswith('gateway.json: a: "${')
    assert message.endswith("is no placeholder, expected ${NAME}, ${NAME:-default}, or $${ for a plain ${")


def test_a_variable_that_is_not_utf_8_is_refused(messages):
    assert messages({"a": "${A}"}, A="\udcff") == [
        "gateway.json: a: ${A} is not UTF-8, expected Unicode text"
    ]


DATA = {
    "store": "memory://",
    "X-Foo": {"a_b": 1},
    "plugins": [{"name": "rate-limiting", "config": None}, {"name": "cors"}, "acl"],
}

OVERRIDES = {
    "key": ("STORE", "redis://", ("store",), "redis://"),
    "any case": ("sToRe", "x", ("store",), "x"),
    "underscore for dash": ("X_FOO__A_B", "2", ("X-Foo", "a_b"), 2),
    "index": ("PLUGINS__1__NAME", "jwt", ("plugins", 1, "name"), "jwt"),
    "into null": ("PLUGINS__0__CONFIG__MINUTE", "7", ("plugins", 0, "config", "minute"), 7),
    "by name": ("PLUGINS__RATE_LIMITING__CONFIG__MINUTE", "7", ("plugins", 0, "config", "minute"), 7),
    "whole item by name": ("PLUGINS__CORS", '{"name": "x"}', ("plugins", 1), {"name": "x"}),
    "append": ("PLUGINS__3", '{"name": "x"}', ("plugins", 3), {"name": "x"}),
    "append and fill": ("PLUGINS__3__NAME", "x", ("plugins", 3, "name"), "x"),
    "new key": ("NEW_KEY__A", "1", ("new_key", "a"), 1),
    "new list": ("ROUTES__0__PATH", "/", ("routes", 0, "path"), "/"),
    "float": ("STORE", "0.5", ("store",), 0.5),
    "true": ("STORE", "true", ("store",), True),
    "null": ("STORE", "null", ("store",), None),
    "list": ("STORE", "[1, 2]", ("store",), [1, 2]),
    "quoted": ("STORE", '"7"', ("store",), "7"),
    "no JSON": ("STORE", "[1, 2", ("store",), "[1, 2"),
    "leading zero": ("STORE", "007", ("store",), "007"),
    "NaN": ("STORE", "NaN", ("store",), "NaN"),
    "empty": ("STORE", "", ("store",), ""),
    "placeholder is not expanded": ("STORE", "${A} $$", ("store",), "${A} $$"),
    "too deep for JSON": ("STORE", "[" * 100_000, ("store",), "[" * 100_000),
}


@pytest.mark.parametrize(("name", "text", "place", "value"), OVERRIDES.values(), ids=OVERRIDES)
def test_an_override_sets(read, name, text, place, value):
    document = read(DATA, **{f"PLUGMW__{name}": text})
    here = document.data
    for step in place:
        here = here[step]
    assert here == value
    assert type(here) is type(value)
    assert str(document.origin(place)) == f"$PLUGMW__{name}"
    assert document.is_secret(place)


def test_other_values_stay_as_they_are(read):
    document = read(DATA, PLUGMW__PLUGINS__CORS__CONFIG__X="1", PLUGMW_STORE="x", plugmw__store="x")
    assert document.data == {
        **DATA,
        "plugins": [DATA["plugins"][0], {"name": "cors", "config": {"x": 1}}, "acl"],
    }
    assert document.origin("plugins[1].name").source == "gateway.json"
    assert not document.is_secret("plugins[1].config")


def test_overrides_apply_containers_first_and_indexes_in_number_order(read):
    numbers = {f"PLUGMW__A__{index}": str(index) for index in reversed(range(12))}
    document = read({}, PLUGMW__B__C="2", PLUGMW__B='{"c": 1, "d": 1}', **numbers)
    assert document.data == {"a": list(range(12)), "b": {"c": 2, "d": 1}}


def test_an_exactly_spelled_key_is_preferred(read):
    assert read({"A": 1, "a": 2}, PLUGMW__A="3").data == {"A": 3, "a": 2}


def test_an_overridden_placeholder_need_not_be_set(read):
    assert read({"store": {"url": "${NOT_SET}"}}, PLUGMW__STORE__URL="x").data == {"store": {"url": "x"}}


BAD_OVERRIDES = {
    "through a scalar": (
        {"STORE__URL": "s3cret"},
        ["$PLUGMW__STORE__URL: store: a string has no URL, expected a mapping or a list"],
    ),
    "index too high": (
        {"PLUGINS__4": "x"},
        ["$PLUGMW__PLUGINS__4: plugins: got index 4 in a list of 3, expected 0 to 3"],
    ),
    "no such name": (
        {"PLUGINS__JWT__X": "s3cret"},
        ["$PLUGMW__PLUGINS__JWT__X: plugins: no item is named JWT, expected an index or the name of an item"],
    ),
    "empty name": (
        {"A____B": "x", "": "x"},
        [
            "$PLUGMW__: an empty name, expected $PLUGMW__KEY or $PLUGMW__KEY__KEY",
            "$PLUGMW__A____B: an empty name, expected $PLUGMW__KEY or $PLUGMW__KEY__KEY",
        ],
    ),
    "same value twice": (
        {"PLUGINS__1": '{"name": "Cors"}', "PLUGINS__CORS": "x", "STORE": "1", "store": "2"},
        [
            "$PLUGMW__PLUGINS__CORS: plugins[1]: already set by $PLUGMW__PLUGINS__1, expected one of the two",
            "$PLUGMW__store: store: already set by $PLUGMW__STORE, expected one of the two",
        ],
    ),
    "key twice in JSON": (
        {"STORE": '{"a": 1, "a": 2}'},
        ['$PLUGMW__STORE: store: key "a" is given twice, expected each key once'],
    ),
    "overflow": (
        {"STORE": "1e999"},
        ["$PLUGMW__STORE: store: not a finite number, expected a number that JSON can write"],
    ),
    "too deep": (
        {"__".join("A" * 101): "1"},
        ["$PLUGMW__" + "__".join("A" * 101) + ": nested deeper than 100 levels, expected fewer names"],
    ),
}


@pytest.mark.parametrize(("environ", "expected"), BAD_OVERRIDES.values(), ids=BAD_OVERRIDES)
def test_an_override_is_refused(messages, environ, expected):
    assert messages(DATA, **{f"PLUGMW__{name}": text for name, text in environ.items()}) == expected


def test_an_override_that_shows_another_variables_value_is_refused_without_it(messages):
    overrides = {"PLUGMW__PLUGINS__0__NAME": "s3cret", "PLUGMW__PLUGINS__JWT": "x"}
    (message,) = messages(DATA, **overrides)
    assert "s3cret" not in message


def test_an_ambiguous_name_is_refused(messages):
    data = {"a-b": 1, "a_b": 2, "plugins": [{"name": "cors"}, {"name": "CORS"}]}
    assert messages(data, PLUGMW__A_B="3", PLUGMW__PLUGINS__CORS__X="1") == [
        "$PLUGMW__A_B: A_B means a-b and a_b, expected one of them, spelled exactly",
        "$PLUGMW__PLUGINS__CORS__X: plugins: 2 items are named CORS, expected an index",
    ]


def test_missing_variables_and_bad_overrides_are_reported_together(messages):
    found = messages({"a": "${A}"}, PLUGMW__A__B="1", PLUGMW__="x")
    assert [message.split(":")[0] for message in found] == ["$PLUGMW__", "$PLUGMW__A__B", "gateway.json"]
