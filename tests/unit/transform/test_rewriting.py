"""Rules for named values, headers and paths."""

from __future__ import annotations

import pytest

from plugmw.transform.rewriting import (
    HeaderChange,
    Rules,
    change_lists,
    checked_path,
    grouped,
    path_template,
    rendered,
    replace_path,
    set_headers,
    written,
)
from plugmw.wsgi.templates import Unrenderable, parse


def found(source, key):
    return {("query_params", "q"): "v", ("query_params", "e"): "é", ("query_params", "bad"): "a\x01"}.get(
        (source, key)
    )


def rules(**operations):
    made = {
        name: tuple((n, parse(v)) for n, v in pairs) if name in ("replace", "add", "append") else pairs
        for name, pairs in operations.items()
    }
    return Rules(**made)


# -- lists --------------------------------------------------------------------------------------------

LISTS = {
    "remove every one": ({"remove": ("a",)}, "a=1&b=2&a=3", "b=2"),
    "remove is exact": ({"remove": ("A",)}, "a=1", "a=1"),
    "rename moves all values": ({"rename": (("a", "b"),)}, "a=1&a=2&b=3", "b=1&b=2"),
    "rename to itself": ({"rename": (("a", "a"),)}, "a=1", "a=1"),
    "rename without source": ({"rename": (("x", "b"),)}, "b=3", "b=3"),
    "replace makes one": ({"replace": (("a", "9"),)}, "a=1&a=2", "a=9"),
    "replace what is missing": ({"replace": (("x", "9"),)}, "a=1", "a=1"),
    "add": ({"add": (("x", "9"),)}, "a=1", "a=1&x=9"),
    "add what is there": ({"add": (("a", "9"),)}, "a", "a"),
    "append": ({"append": (("a", "9"),)}, "a=1", "a=1&a=9"),
    "append what is missing": ({"append": (("x", "9"),)}, "a=1", "a=1&x=9"),
    "entries see each other": ({"add": (("x", "a"),), "append": (("x", "b"),)}, "", "x=a&x=b"),
    "all in order": (
        {
            "remove": ("a",),
            "rename": (("b", "a"),),
            "replace": (("a", "r"),),
            "add": (("b", "n"),),
            "append": (("a", "p"),),
        },
        "a=1&b=2",
        "a=r&a=p&b=n",
    ),
}


@pytest.mark.parametrize(("operations", "before", "after"), LISTS.values(), ids=LISTS)
def test_changes_names_with_values(operations, before, after):
    from plugmw.wsgi.forms import read_pairs

    members = grouped(read_pairs(before))
    change_lists(rendered(rules(**operations), found), members)
    assert written(members) == after


def test_rules_are_false_without_entries():
    assert not Rules()
    assert rules(append=(("a", "b"),))


# -- headers ------------------------------------------------------------------------------------------

HEADERS = {
    "remove, any spelling": ({"remove": ("X_A",)}, {"HTTP_X_A": "1"}, {}),
    "rename": ({"rename": (("x-a", "X-B"),)}, {"HTTP_X_A": "1", "HTTP_X_B": "2"}, {"HTTP_X_B": "1"}),
    "replace a list": ({"replace": (("x-a", "3"),)}, {"HTTP_X_A": "1,2"}, {"HTTP_X_A": "3"}),
    "replace nothing": ({"replace": (("x-a", "3"),)}, {}, {}),
    "add": ({"add": (("x-a", "$(query_params.q)"),)}, {}, {"HTTP_X_A": "v"}),
    "add what is there": ({"add": (("X-A", "3"),)}, {"HTTP_X_A": ""}, {"HTTP_X_A": ""}),
    "append": ({"append": (("x-a", "2"), ("X-A", "3"))}, {"HTTP_X_A": "1"}, {"HTTP_X_A": "1, 2, 3"}),
    "append to an empty one": ({"append": (("x-a", "2"),)}, {"HTTP_X_A": ""}, {"HTTP_X_A": "2"}),
    "append a cookie": (
        {"append": (("Cookie", "b=2"),)},
        {"HTTP_COOKIE": "a=1"},
        {"HTTP_COOKIE": "a=1; b=2"},
    ),
    "UTF-8": ({"add": (("x", "$(query_params.e)"),)}, {}, {"HTTP_X": "\xc3\xa9"}),
    "content type that is none": (
        {"add": (("content-type", "a/b"),)},
        {"CONTENT_TYPE": ""},
        {"CONTENT_TYPE": "a/b"},
    ),
    "content type": ({"remove": ("Content-Type",)}, {"CONTENT_TYPE": "a/b"}, {}),
    "host is replaced": ({"replace": (("Host", "b"),)}, {"HTTP_HOST": "a"}, {"HTTP_HOST": "b"}),
    "host is not removed": ({"remove": ("Host",)}, {"HTTP_HOST": "a"}, {"HTTP_HOST": "a"}),
    "host is not renamed": (
        {"rename": (("host", "x"), ("y", "host"))},
        {"HTTP_HOST": "a"},
        {"HTTP_HOST": "a"},
    ),
    "host is not added": ({"add": (("host", "x"),)}, {}, {}),
}


@pytest.mark.parametrize(("operations", "before", "after"), HEADERS.values(), ids=HEADERS)
def test_changes_headers(operations, before, after):
    environ = dict(before)
    changes = HeaderChange(rules(**operations)).work_out(environ, found)
    assert environ == before
    set_headers(environ, changes)
    assert environ == after


def test_refuses_a_header_with_a_control_character():
    with pytest.raises(Unrenderable, match="the value of x-a has a control character"):
        HeaderChange(rules(add=(("X-A", "$(query_params.bad)"),))).work_out({}, found)


# -- paths --------------------------------------------------------------------------------------------


def test_a_path_is_decoded_where_it_was_configured_and_not_where_it_came_from():
    template = path_template(parse("/a%20b/$('%20')"))
    assert template.render(found) == "/a b/%20"


BAD_PATHS = {
    "no slash": ("a/b", "does not start with /"),
    "empty": ("", "does not start with /"),
    "dots": ("/a/../b", "has a .. segment"),
    "dots at the end": ("/a/..", "has a .. segment"),
    "encoded dots": ("/a/%2e%2E/b", "has a .. segment"),
    "backslash": ("/a/..\\b", "has a .. segment"),
    "parameter": ("/a/..;x/b", "has a .. segment"),
    "too many readings": ("/%" + "25" * 16 + "41;x\\ //y", "has a .. segment"),
}


@pytest.mark.parametrize(("path", "problem"), BAD_PATHS.values(), ids=BAD_PATHS)
def test_refuses_a_path(path, problem):
    with pytest.raises(Unrenderable, match=problem):
        checked_path(path)


@pytest.mark.parametrize("path", ["/", "/a/b", "/a..b/...", "/a b?c#d"])
def test_takes_a_path(path):
    assert checked_path(path) == path


TARGETS = {
    "query stays": ({"RAW_URI": "/old?q=1", "QUERY_STRING": "q=1"}, {"RAW_URI": "/s/a%20b%3Fc%C3%A9?q=1"}),
    "no query": ({"REQUEST_URI": "/old"}, {"REQUEST_URI": "/s/a%20b%3Fc%C3%A9"}),
    "no raw target": ({}, {}),
}


@pytest.mark.parametrize(("before", "after"), TARGETS.values(), ids=TARGETS)
def test_replaces_the_path_and_the_raw_target(before, after):
    environ = {"SCRIPT_NAME": "/s", "PATH_INFO": "/old", **before}
    replace_path(environ, "/a b?c\xc3\xa9")
    assert environ == {**environ, "SCRIPT_NAME": "/s", "PATH_INFO": "/a b?c\xc3\xa9", **after}
