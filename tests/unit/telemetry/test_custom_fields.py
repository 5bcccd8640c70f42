"""Fields that a configuration adds to the log entry."""

from __future__ import annotations

import sys

import pytest

from plugmw.errors import ConfigError
from plugmw.schema import config, read
from plugmw.telemetry.custom_fields import Fields, custom_fields, literal, read_fields

LITERALS = {
    "nil": None,
    "": None,
    "true": True,
    "false": False,
    "123": 123,
    "-5": -5,
    "5.0": 5,
    ".5": 0.5,
    "1e3": 1000,
    "0x10": 16,
    "'a \"b\" c'": 'a "b" c',
    '"a"': "a",
    '"a\\nb\\t\\"\\\\ \\q"': 'a\nb\t"\\ q',
    '"\\195\\169 \\xc3\\xa9 \\u{e9} \\255"': "é é é \ufffd",
    "'\\\n'": "\n",
    "[[a\nb]]": "a\nb",
    "[==[\nno ]] end]==]": "no ]] end",
}


@pytest.mark.parametrize(("text", "value"), LITERALS.items(), ids=repr)
def test_literals_of_lua_are_read_without_lua(text, value):
    found = literal(text)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    "text", ["a", "1 + 1", "'a' .. 'b'", "'a\nb'", "1e999", "[[a]] .. [[b]]", "'a", "{}", "0x"], ids=repr
)
def test_all_else_is_no_literal(text):
    with pytest.raises(ValueError):
        literal(text)


def function(x):
    return {"x": x}


GIVEN = {
    "a number": (7, 7),
    "a list": ([1, {"a": None}], [1, {"a": None}]),
    "nothing": (None, None),
    "text of JSON": ('{"a": [1]}', {"a": [1]}),
    "text of a string": ('"a:b"', "a:b"),
    "Lua": ("return 123", 123),
    "Lua with blanks": (" return  'a' ; ", "a"),
    "Lua that takes away": ("return nil", None),
    "Lua that returns nothing": ("return", None),
    "a function": (function, {"x": "exchange"}),
    "a function of the library": ("builtins:str.upper", None),
}


@pytest.mark.parametrize(("given", "value"), GIVEN.values(), ids=GIVEN)
def test_takes(given, value):
    [(key, call)] = read_fields({"a.b": given})
    assert key == "a.b"
    assert call("exchange") == (value if given != "builtins:str.upper" else "EXCHANGE")


def test_keeps_the_order():
    assert [key for key, _ in read_fields({"b": 1, "a": 2})] == ["b", "a"]
    assert read_fields(None) == []


BAD = {
    "an empty name": ("", 1, "got the key '', expected names with dots between them"),
    "a name of dots": ("..", 1, "got the key '..'"),
    "an infinite number": ("a", float("inf"), "value must be a finite number"),
    "an empty text": ("a", " ", "expected JSON, module:callable or Lua"),
    "JSON that is none": ("a", "NaN", "is no JSON"),
    "no JSON value": ("a", {1, 2}, "value must be nil"),
    "a missing module": ("a", "nowhere_at_all:f", "import failed"),
    "a missing function": ("a", "json:nothing", "has no 'nothing'"),
    "no function": ("a", "json:__name__", "is nothing that can be called"),
}


@pytest.mark.parametrize(("key", "value", "problem"), BAD.values(), ids=BAD)
def test_refuses(key, value, problem):
    with pytest.raises(ConfigError, match="custom_fields_by_lua") as caught:
        read_fields({key: value})
    assert problem in str(caught.value)


def test_other_lua_without_lupa_is_told_with_the_way_out(monkeypatch):
    monkeypatch.setitem(sys.modules, "lupa", None)
    with pytest.raises(ConfigError, match=r"needs the library lupa.*plugmw\[lua\]"):
        read_fields({"a": "return 1 + 1"})


@pytest.fixture
def lua():
    pytest.importorskip("lupa", reason="lupa is not installed (plugmw[lua])")


LUA = {
    "return 1 + 1": 2,
    "return 'a' .. 'b'": "ab",
    "local t = {1, 2, {a = true}} return t": [1, 2, {"a": True}],
    "return {a = {}, [1] = 'x', [2] = 'y'}": {"a": {}, "1": "x", "2": "y"},
    "return {}": {},
    "return 1, 2": 1,
    "return ('x'):rep(3)": "xxx",
    "return string.format('%d', 3)": "3",
    "return os, io, require, load, python, package, debug, dofile, kong": None,
    "local a = 1": None,
}


@pytest.mark.usefixtures("lua")
@pytest.mark.parametrize(("text", "value"), LUA.items(), ids=LUA)
def test_other_lua_runs_in_lupa(text, value):
    [(_, call)] = read_fields({"a": text})
    assert call(None) == value


@pytest.mark.usefixtures("lua")
@pytest.mark.parametrize("text", ["return (", "production"])
def test_bad_lua_is_an_error_of_the_configuration(text):
    with pytest.raises(ConfigError, match="no good Lua"):
        read_fields({"a": text})


@pytest.mark.usefixtures("lua")
def test_lua_that_fails_raises_where_the_entry_is_made():
    for text, problem in (("error('no')", "no"), ("return '\\255' .. ''", "decode")):
        [(_, call)] = read_fields({"a": text})
        with pytest.raises(Exception, match=problem):
            call(None)


def test_a_field_of_a_configuration_takes_any_values():
    @config
    class Config:
        custom_fields_by_lua: Fields | None = custom_fields()

    made, problems = read(Config, {"custom_fields_by_lua": {"a": 1, "b": "return 2"}})
    assert (made.custom_fields_by_lua, problems) == ({"a": 1, "b": "return 2"}, [])
    assert read(Config, {})[0].custom_fields_by_lua is None
