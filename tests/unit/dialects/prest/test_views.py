"""HTTPVars and URLQuery as names that mean the call in force."""

from __future__ import annotations

import builtins
import json
from types import ModuleType

import pytest

from plugmw.dialects.prest.views import Builtins, Call, declared
from plugmw.kernel import context
from plugmw.kernel.exchange import Exchange


def module(source):
    made = ModuleType("made")
    vars(made)["__builtins__"] = Builtins()
    exec(source, vars(made))
    return made


def call(query=""):
    made = Call({"QUERY_STRING": query}, None)
    made.http_vars = {"file": "file", "func": "Func"}
    return made


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("HTTPVars = {}\nURLQuery = {}", {"HTTPVars", "URLQuery"}),
        ("HTTPVars: dict[str, str]", {"HTTPVars"}),
        ("URLQuery: dict[str, list[str]] = {}", {"URLQuery"}),
        ("from __future__ import annotations\nHTTPVars: NoSuchType", {"HTTPVars"}),
        ("def f(): return HTTPVars", set()),
    ],
)
def test_a_name_is_declared_with_a_value_or_a_type(source, names):
    assert declared(module(source)) == names


@pytest.mark.parametrize("value", ["'text'", "5", "[]"])
@pytest.mark.parametrize("name", ["HTTPVars", "URLQuery"])
def test_a_variable_of_another_type_is_refused(name, value):
    with pytest.raises(TypeError, match=f"{name}: got (str|int|list), expected a dict"):
        declared(module(f"{name} = {value}"))


def test_every_way_to_look_at_a_global_finds_the_call_in_force():
    made = module(
        "import json\n"
        "HTTPVars = URLQuery = None\n"
        "class Deep:\n"
        "    def seen(self): return [HTTPVars for _ in range(1)][0]\n"
        "def outer():\n"
        "    def inner(): return (lambda: URLQuery)()\n"
        "    class Local: found = HTTPVars\n"
        "    return json.dumps([Deep().seen(), inner(), Local.found, eval('HTTPVars')])\n"
    )
    declared(made)
    found = json.loads(call("a=1&a=2").run(made.outer))
    http_vars = {"file": "file", "func": "Func"}
    assert found == [http_vars, {"a": ["1", "2"]}, http_vars, http_vars]


def test_outside_of_a_call_they_are_empty_and_calls_may_be_nested():
    made = module("def seen(): return HTTPVars, URLQuery")
    assert made.seen() == ({}, {})
    inner, outer = call("a=inner"), call("a=outer")
    assert outer.run(lambda: (inner.run(made.seen)[1], made.seen()[1])) == (
        {"a": ["inner"]},
        {"a": ["outer"]},
    )
    with pytest.raises(ZeroDivisionError):
        outer.run(lambda: 1 / 0)
    assert made.seen() == ({}, {})


def test_another_exchange_in_force_is_no_call():
    made = module("def seen(): return HTTPVars")
    assert context.running(Exchange({}, None), None, made.seen) == {}


def test_other_names_are_pythons(monkeypatch):
    made = module(
        "def known(): return len('abc')\ndef late(): return _plugmw_late\ndef unknown(): return nothing"
    )
    assert made.known() == 3
    monkeypatch.setattr(builtins, "_plugmw_late", 5, raising=False)
    assert made.late() == 5
    with pytest.raises(NameError, match="'nothing' is not defined"):
        made.unknown()


@pytest.mark.parametrize(
    ("query", "values"),
    [
        ("", {}),
        ("abc=123", {"abc": ["123"]}),
        ("b=1&a=2&b=3", {"a": ["2"], "b": ["1", "3"]}),
        ("a&b=", {"a": [""], "b": [""]}),
        ("a=x+y%20z", {"a": ["x y z"]}),
        ("%C3%A9=\xc3\xa9", {"é": ["é"]}),
        ("a=%FF", {"a": ["\ufffd"]}),
    ],
)
def test_the_query_is_parsed_as_go_does(query, values):
    assert call(query).url_query == values
    assert list(call(query).url_query) == sorted(values)
