"""Bodies with named values: what the rules make of them, and what stays byte for byte."""

from __future__ import annotations

import json

import pytest

from plugmw.contrib.request_transformer.bodies import body_kind, change_body
from plugmw.transform.rewriting import Rules
from plugmw.wsgi.forms import FORM, JSON, MULTIPART

ALL = Rules(
    remove=("gone",),
    rename=(("old", "new"), ("same", "same")),
    replace=(("there", "R"), ("absent", "R")),
    add=(("more", "A"), ("has", "A")),
    append=(("list", "P"),),
)
ADD = Rules(add=(("p", "v"),))

KINDS = {
    "application/json": JSON,
    "Application/JSON; charset=utf-8": JSON,
    "x; application/json, text/plain": JSON,
    "multipart/form-data; boundary=x": MULTIPART,
    "application/x-www-form-urlencoded": FORM,
    "application/problem+json": None,
    "text/plain": None,
    "": None,
}


@pytest.mark.parametrize(("content_type", "kind"), KINDS.items(), ids=KINDS)
def test_tells_the_kind(content_type, kind):
    assert body_kind(content_type) == kind


def test_other_kinds_are_not_changed():
    assert change_body(ADD, "text/plain", b"a=1") == b"a=1"


# -- forms --------------------------------------------------------------------------------------------


def test_changes_a_form():
    data = b"gone=1&old=2&new=3&there=4&has=5&list=6&gone=7"
    assert change_body(ALL, FORM, data) == b"new=2&there=R&has=5&list=6&list=P&more=A"


@pytest.mark.parametrize(("data", "made"), [(b"", b"p=v"), (b"p=0", b"p=0"), (b"x%5b", b"x%5B&p=v")])
def test_adds_to_a_form(data, made):
    assert change_body(ADD, FORM, data) == made


def test_a_form_that_no_rule_changes_keeps_its_spelling():
    assert change_body(Rules(remove=("z",)), FORM, b"a=%7e+b") == b"a=%7e+b"


# -- JSON ---------------------------------------------------------------------------------------------


def test_changes_an_object():
    data = b'{"gone":1,"old":null,"new":3,"there":null,"has":null,"list":"6","same":1}'
    assert json.loads(change_body(ALL, JSON, data)) == {
        "new": None,
        "there": "R",
        "has": None,
        "list": ["6", "P"],
        "same": 1,
        "more": "A",
    }


def test_false_counts_as_missing():
    rules = Rules(rename=(("a", "x"),), replace=(("a", "R"),), add=(("b", "A"),))
    assert json.loads(change_body(rules, JSON, b'{"a":false,"b":false}')) == {"a": False, "b": "A"}


APPENDED = {
    '"text"': ["text", "P"],
    "[]": ["P"],
    "[1]": [1, "P"],
    "5": ["P"],
    "null": ["P"],
    "true": ["P"],
    '{"a":1}': ["P"],
}


@pytest.mark.parametrize(("old", "made"), APPENDED.items(), ids=APPENDED)
def test_append_makes_a_list(old, made):
    data = f'{{"list":{old}}}'.encode()
    assert json.loads(change_body(Rules(append=(("list", "P"),)), JSON, data)) == {"list": made}


def test_append_to_a_missing_member_makes_a_list():
    assert change_body(Rules(append=(("list", "P"),)), JSON, b"{}") == b'{"list":["P"]}'


def test_an_empty_body_becomes_an_object_if_there_is_something_to_add():
    assert change_body(ADD, JSON, b"") == b'{"p":"v"}'
    assert change_body(Rules(remove=("a",)), JSON, b"") == b""


def test_empty_lists_stay_lists_and_of_repeated_names_the_last_counts():
    assert change_body(ADD, JSON, b'{"a":[],"b":1,"b":2}') == b'{"a":[],"b":2,"p":"v"}'


def test_an_object_that_no_rule_changes_keeps_its_spelling():
    assert change_body(Rules(remove=("z",)), JSON, b'{ "a" : 1.0 }') == b'{ "a" : 1.0 }'


UNREADABLE = {
    "no JSON": b"malformed json body",
    "list": b"[1]",
    "text": b'"a"',
    "NaN": b'{"a":NaN}',
    "beyond floats": b'{"a":1e999}',
    "not UTF-8": b'{"a":"\xff"}',
    "too deep": b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "blank": b" ",
}


@pytest.mark.parametrize("data", UNREADABLE.values(), ids=UNREADABLE)
def test_what_is_no_object_goes_on_byte_for_byte(data):
    assert change_body(ADD, JSON, data) is data


# -- multipart ----------------------------------------------------------------------------------------

TYPE = 'multipart/form-data; boundary="B"'


def multipart(*parts):
    return b"".join(b"--B\r\n" + part + b"\r\n" for part in parts) + b"--B--\r\n"


def named(name, content, more=""):
    return f'Content-Disposition: form-data; name="{name}"{more}\r\n\r\n{content}'.encode()


FILE = (
    b'Content-Type: image/png\r\ncontent-disposition: form-data;\r\n filename="a; name=\\"x\\".png"; name=old'
    b"\r\nX-Own: 1\r\n\r\n\x00\r\n\xff"
)


def test_changes_multipart():
    data = multipart(
        named("gone", 1),
        named("old", 2),
        named("new", 3),
        named("there", 4),
        named("has", 5),
        named("there", 6),
    )
    made = change_body(ALL, TYPE, data)
    assert made == multipart(named("new", 2), named("there", "R"), named("has", 5), named("more", "A"))


def test_a_part_is_renamed_before_one_is_removed():
    rules = Rules(remove=("a",), rename=(("a", "b"),))
    assert change_body(rules, TYPE, multipart(named("a", 1))) == multipart(named("b", 1))


def test_a_file_that_no_rule_names_survives_byte_for_byte():
    data = multipart(FILE, named("gone", 1))
    assert change_body(Rules(remove=("gone",)), TYPE, data) == multipart(FILE)


def test_a_renamed_file_keeps_all_but_its_name():
    made = change_body(Rules(rename=(("old", 'n"w'),)), TYPE, multipart(FILE))
    renamed = FILE.replace(b"; name=old", b'; name="n%22w"')
    assert made == multipart(renamed)


def test_a_renamed_part_has_one_name_only():
    part = b"Content-Disposition: form-data; name=old; name*=UTF-8''old\r\n\r\n1"
    made = change_body(Rules(rename=(("old", "new"),)), TYPE, multipart(part))
    assert made == multipart(named("new", 1))


def test_append_does_nothing_to_multipart():
    data = multipart(named("list", 1))
    assert change_body(Rules(append=(("list", "P"),)), TYPE, data) is data


def test_an_empty_multipart_body_takes_additions():
    assert change_body(ADD, TYPE, b"") == multipart(named("p", "v"))


@pytest.mark.parametrize(
    ("content_type", "data"),
    [
        ("multipart/form-data", multipart(named("a", 1))),
        (TYPE, b"--B\r\nno end"),
        ("multipart/form-data", b""),
    ],
    ids=["no boundary", "no end", "nothing"],
)
def test_multipart_that_cannot_be_read_goes_on_byte_for_byte(content_type, data):
    assert change_body(ADD, content_type, data) is data
