"""transform: reading rules, and applying them to headers and to JSON members."""

from __future__ import annotations

import pytest

from plugmw.transform.rules import (
    HeaderRules,
    JSONRules,
    appended,
    cut,
    header_problems,
    is_json,
    name_problems,
    pair_problems,
    parse_json,
    rename_header,
    rename_problems,
    replace_header,
    typed_pairs,
    write_json,
)

CUTS = {"name:value": ("name", "value"), "a:b:c": ("a", "b:c"), "a:": ("a", ""), "a": ("a", "")}


@pytest.mark.parametrize(("entry", "parts"), CUTS.items())
def test_entries_are_cut_at_the_first_colon(entry, parts):
    assert cut(entry) == parts


PROBLEMS = {
    "pair": (pair_problems, "a:b", None),
    "pair with an empty value": (pair_problems, "a:", None),
    "pair without a colon": (pair_problems, "just_a_key", "invalid value: just_a_key"),
    "pair without a name": (pair_problems, ":b", "invalid value: :b"),
    "name": (name_problems, "X-Name", None),
    "name with a value": (name_problems, "X-Name:value", None),
    "name of the framing, to be removed": (name_problems, "Content-Length", None),
    "bad name": (name_problems, "a b", "'a b' is not a valid header"),
    "header": (header_problems, "X-Name: value", None),
    "header outside ASCII": (header_problems, "X-Name:ä€", None),
    "header without a colon": (header_problems, "X-Name", "invalid value: X-Name"),
    "header without a name": (header_problems, ":b", "invalid value: :b"),
    "bad header": (header_problems, "a b:c", "'a b' is not a valid header"),
    "line break": (header_problems, "a:b\r\nSet-Cookie: c", "the value of 'a' has a control character"),
    "hop-by-hop": (
        header_problems,
        "Transfer-Encoding:chunked",
        "'Transfer-Encoding' is not for plugins to set: framing is the server's",
    ),
    "length": (
        header_problems,
        "content-length:5",
        "'content-length' is not for plugins to set: framing is the server's",
    ),
    "rename": (rename_problems, "a:b", None),
    "rename without a colon": (rename_problems, "a", "invalid value: a"),
    "rename from a bad name": (rename_problems, "a b:c", "'a b' is not a valid header"),
    "rename to a bad name": (rename_problems, "a:b c", "'b c' is not a valid header"),
    "rename to no name": (rename_problems, "a:", "'' is not a valid header"),
    "rename to hop-by-hop": (
        rename_problems,
        "a:Connection",
        "'Connection' is not for plugins to set: framing is the server's",
    ),
}


@pytest.mark.parametrize(("problems", "entry", "text"), PROBLEMS.values(), ids=PROBLEMS)
def test_bad_entries_are_told_with_their_place(problems, entry, text):
    assert list(problems(["ok:fine", entry])) == ([(1, text)] if text else [])


def test_text_outside_ascii_goes_as_utf8_into_a_header():
    [(_, value)] = HeaderRules.read(add=["A:€"]).apply([])
    assert value.encode("latin-1") == b"\xe2\x82\xac"


# -- headers ------------------------------------------------------------------------------------------

SERVED = [("A", "1"), ("B", "2"), ("a", "3"), ("Set-Cookie", "x"), ("Set-Cookie", "y")]

HEADERS = {
    "nothing": ({}, SERVED),
    "remove all of a name": ({"remove": ["a"]}, SERVED[1:2] + SERVED[3:]),
    "remove ignores a value": ({"remove": ["b:9"]}, SERVED[:1] + SERVED[2:]),
    "rename moves all values": (
        {"rename": ["set-cookie:S"]},
        [*SERVED[:3], ("S", "x"), ("S", "y")],
    ),
    "rename overwrites": ({"rename": ["B:A"]}, [("A", "2"), *SERVED[3:]]),
    "rename of a missing one leaves the target": ({"rename": ["Z:A"]}, SERVED),
    "rename in another spelling": ({"rename": ["b:b"]}, [SERVED[0], ("b", "2"), *SERVED[2:]]),
    "replace makes one of several": ({"replace": ["A:9"]}, [("A", "9"), SERVED[1], *SERVED[3:]]),
    "replace of a missing one": ({"replace": ["Z:9"]}, SERVED),
    "add": ({"add": ["Z:9"]}, [*SERVED, ("Z", "9")]),
    "add of a present one": ({"add": ["b:9"]}, SERVED),
    "add twice": ({"add": ["Z:8", "z:9"]}, [*SERVED, ("Z", "8")]),
    "append": ({"append": ["B:9", "Z:9"]}, [*SERVED, ("B", "9"), ("Z", "9")]),
    "values may hold colons": ({"add": ["Z:a:b"]}, [*SERVED, ("Z", "a:b")]),
    "each step sees the one before": (
        {"remove": ["b"], "rename": ["a:b"], "replace": ["b:4"], "add": ["a:5", "b:6"], "append": ["b:7"]},
        [("b", "4"), *SERVED[3:], ("a", "5"), ("b", "7")],
    ),
    "removed and added": ({"remove": ["b"], "add": ["b:9"]}, [SERVED[0], *SERVED[2:], ("b", "9")]),
}


@pytest.mark.parametrize(("entries", "result"), HEADERS.values(), ids=HEADERS)
def test_headers(entries, result):
    before = list(SERVED)
    assert HeaderRules.read(**entries).apply(before) == result
    assert before == SERVED


def test_header_functions_stand_alone():
    assert rename_header([("A", "1")], "a", "B") == [("B", "1")]
    assert replace_header([("A", "1")], "a", "2") == [("a", "2")]


def test_rules_know_whether_there_are_any():
    assert not HeaderRules.read()
    assert HeaderRules.read(append=["a:b"])
    assert not JSONRules()
    assert JSONRules(remove=("a",))


# -- JSON ---------------------------------------------------------------------------------------------

MEMBERS = {
    "remove": ({"remove": ("a",)}, {"a": 1, "b": 2}, {"b": 2}),
    "remove the last": ({"remove": ("a",)}, {"a": None}, {}),
    "rename": ({"rename": (("a", "b"),)}, {"a": False, "c": 1}, {"c": 1, "b": False}),
    "rename overwrites": ({"rename": (("a", "b"),)}, {"a": [], "b": 1}, {"b": []}),
    "replace": ({"replace": (("a", "x"),)}, {"a": 1}, {"a": "x"}),
    "replace null": ({"replace": (("a", "x"),)}, {"a": None}, {"a": "x"}),
    "add": ({"add": (("a", "x"),)}, {}, {"a": "x"}),
    "add to false": ({"add": (("a", "x"),)}, {"a": False}, {"a": "x"}),
    "append to text": ({"append": (("a", "x"),)}, {"a": "w"}, {"a": ["w", "x"]}),
    "each step sees the one before": (
        {
            "remove": ("a",),
            "rename": (("b", "a"),),
            "replace": (("a", 1),),
            "add": (("b", 2),),
            "append": (("b", 3),),
        },
        {"a": 0, "b": 0},
        {"a": 1, "b": [3]},
    ),
}


@pytest.mark.parametrize(("rules", "before", "after"), MEMBERS.values(), ids=MEMBERS)
def test_members(rules, before, after):
    assert JSONRules(**rules).apply(before) is True
    assert before == after


UNTOUCHED = {
    "remove a missing one": ({"remove": ("z",)}, {"a": 1}),
    "rename a missing one": ({"rename": (("z", "a"),)}, {"a": 1}),
    "replace a missing one": ({"replace": (("z", 1),)}, {"a": 1}),
    "replace false": ({"replace": (("a", 1),)}, {"a": False}),
    "add a present one": ({"add": (("a", 1),)}, {"a": 0}),
    "add to null": ({"add": (("a", 1),)}, {"a": None}),
}


@pytest.mark.parametrize(("rules", "members"), UNTOUCHED.values(), ids=UNTOUCHED)
def test_rules_that_find_nothing_say_so(rules, members):
    before = dict(members)
    assert JSONRules(**rules).apply(members) is False
    assert members == before


APPENDED = {
    "text": ("w", ["w", "x"]),
    "list": ([1], [1, "x"]),
    "empty list": ([], ["x"]),
    "object": ({"a": 1}, [{"a": 1}, "x"]),
    "missing or null": (None, ["x"]),
    "number": (1, ["x"]),
    "boolean": (True, ["x"]),
}


@pytest.mark.parametrize(("old", "new"), APPENDED.values(), ids=APPENDED)
def test_appending_gives_a_list(old, new):
    assert appended(old, "x") == new


TYPED = {
    "text by default": ("a:1", (), (("a", "1"),)),
    "text as written": ('a:"wot"/\\', ("string",), (("a", '"wot"/\\'),)),
    "true": ("a:true", ("boolean",), (("a", True),)),
    "all else is false": ("a:True", ("boolean",), (("a", False),)),
    "integer": ("a:-1", ("number",), (("a", -1),)),
    "signed integer": ("a:+12", ("number",), (("a", 12),)),
    "float": ("a: 1.5e3 ", ("number",), (("a", 1500.0),)),
    "float without a digit before the point": ("a:.5", ("number",), (("a", 0.5),)),
    "no number": ("a:x", ("number",), ()),
    "no finite number": ("a:1e999", ("number",), ()),
    "NaN": ("a:nan", ("number",), ()),
    "Python's own spelling": ("a:1_0", ("number",), ()),
}


@pytest.mark.parametrize(("entry", "types", "pairs"), TYPED.values(), ids=TYPED)
def test_values_are_read_as_their_type(entry, types, pairs):
    assert typed_pairs([entry], types) == pairs


def test_types_go_by_position_and_an_integer_stays_one():
    pairs = typed_pairs(["a:1", "b:2", "c:3"], ["number", "string"])
    assert repr(pairs) == "(('a', 1), ('b', '2'), ('c', '3'))"


REFUSED = {
    "nothing": b"",
    "no JSON": b"{",
    "NaN": b'{"a": NaN}',
    "Infinity": b"-Infinity",
    "latin-1": b'"\xe4"',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "byte order mark": b"\xef\xbb\xbf{}",
    "endless nesting": b"[" * 100_000,
    "endless number": b"1" * 10_000,
}


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED)
def test_what_is_no_json_is_a_value_error(data):
    with pytest.raises(ValueError):
        parse_json(data)


ROUND = {
    "integers are exact": b'{"a":123456789012345678901234567890}',
    "UTF-8 stays": '{"a":"ä€😀"}'.encode(),
    "empty ones stay": b'{"a":[],"b":{},"c":""}',
    "half a surrogate pair stays": b'{"a":"\\ud800"}',
}


@pytest.mark.parametrize("data", ROUND.values(), ids=ROUND)
def test_json_comes_out_as_it_went_in(data):
    assert write_json(parse_json(data)) == data


def test_of_repeated_members_the_last_wins():
    assert parse_json(b'{"a":1,"a":2}') == {"a": 2}


def endless():
    made = []
    for _ in range(100_000):
        made = [made]
    return made


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_what_json_cannot_say_is_a_value_error(value):
    with pytest.raises(ValueError):
        write_json(value)


def test_nesting_that_cannot_be_written_is_a_value_error():
    with pytest.raises(ValueError, match="nested too deeply"):
        write_json(endless())


TYPES = {
    "application/json": True,
    "Application/JSON; charset=utf-8": True,
    "application/problem+json": True,
    "application/x-www-form-urlencoded, application/json": True,
    "application/json;a=b, text/plain": True,
    "text/json": False,
    "text/plain": False,
    "application/jsonp": False,
    "application/x-www-form-urlencoded": False,
    "application/+json": False,
    "": False,
}


@pytest.mark.parametrize(("content_type", "json"), TYPES.items())
def test_content_types_that_mean_json(content_type, json):
    assert is_json(content_type) is json
