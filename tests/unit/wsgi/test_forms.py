"""forms: query strings, urlencoded, JSON and multipart bodies."""

from __future__ import annotations

import pytest
from werkzeug.formparser import FormDataParser
from werkzeug.test import EnvironBuilder

from plugmw.wsgi import forms
from plugmw.wsgi.forms import FORM, JSON, MAX_FORM, MAX_HEADS, MAX_PARTS, MULTIPART, TooMuch
from plugmw.wsgi.request_target import sent

BOUNDARY = b"plugmwBoundary7"
TYPE = f"{MULTIPART}; boundary={BOUNDARY.decode()}"


def multipart(*parts: bytes) -> bytes:
    return b"".join(b"--%b\r\n%b\r\n" % (BOUNDARY, part) for part in parts) + b"--%b--\r\n" % BOUNDARY


def part(name: str, content: bytes, extra: str = "") -> bytes:
    return f'Content-Disposition: form-data; name="{name}"{extra}\r\n\r\n'.encode() + content


# -- pairs ---------------------------------------------------------------------------------------------

PAIRS = {
    "nothing": ("", []),
    "order and repetition are kept": ("b=1&a=2&b=3", [("b", "1"), ("a", "2"), ("b", "3")]),
    "a name without = has no value": ("a&b=", [("a", None), ("b", "")]),
    "only the first = separates": ("a=b=c", [("a", "b=c")]),
    "empty pieces are nothing": ("&a=1&&", [("a", "1")]),
    "; does not separate": ("a=1;b=2", [("a", "1;b=2")]),
    "escapes and blanks": ("%61+b=c%20d", [("a b", "c d")]),
    "UTF-8 escaped": ("a=%C3%A9", [("a", "é")]),
    "UTF-8 unescaped, as WSGI carries it": ("a=\xc3\xa9", [("a", "é")]),
    "bytes that are no UTF-8": ("a=%FF", [("a", "\udcff")]),
    "broken escapes stay": ("a=%zz%4", [("a", "%zz%4")]),
}


@pytest.mark.parametrize(("raw", "pairs"), PAIRS.values(), ids=PAIRS)
def test_reads_pairs(raw, pairs):
    assert forms.read_pairs(raw) == pairs


@pytest.mark.parametrize("pairs", [pairs for _, pairs in PAIRS.values()], ids=PAIRS)
def test_written_pairs_read_the_same(pairs):
    assert forms.read_pairs(forms.write_pairs(pairs)) == pairs


def test_writes_reserved_characters_escaped():
    assert forms.write_pairs([("a[b]", "c d&e/f"), ("é", None)]) == "a%5Bb%5D=c%20d%26e%2Ff&%C3%A9"


def test_finds_every_value_of_a_name_however_it_is_spelled():
    assert forms.pair_values("a=1&%61=2&a&aa=3&A=4&a[]=5&", "a") == ["1", "2", None]


WITHOUT = {
    "order of the rest": ("c=value1&b=value2&apikey=kong&a=value3", "c=value1&b=value2&a=value3"),
    "an escaped name, plain escapes": (
        "c=valu%651&b=value2&api%6B%65%79=kong&a=valu%653",
        "c=value1&b=value2&a=value3",
    ),
    "escapes that mean something stay": ("a=%26%3d%2B%20&apikey=x", "a=%26%3d%2B%20"),
    "every occurrence": ("apikey=1&a=b&apikey&apikey=", "a=b"),
    "the only pair": ("apikey=1", ""),
    "not there, so nothing changes": (
        "valu%65=apikey&apikey[]=1&APIKEY=2",
        "valu%65=apikey&apikey[]=1&APIKEY=2",
    ),
}


@pytest.mark.parametrize(("raw", "left"), WITHOUT.values(), ids=WITHOUT)
def test_removes_a_name_from_a_query(raw, left):
    assert forms.without_pair(raw, "apikey") == left


def test_plain_escapes_are_exactly_those_of_unreserved_characters():
    plain = forms.without_pair("gone&" + "&".join(f"%{code:02x}" for code in range(256)), "gone").split("&")
    assert "".join(piece for piece in plain if len(piece) == 1) == (
        "-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~"
    )


@pytest.mark.parametrize(
    ("query", "target"), [("a=1", "/p?a=1"), ("", "/p")], ids=["another query", "no query"]
)
def test_replacing_the_query_changes_the_raw_target_too(query, target):
    environ = {"QUERY_STRING": "old", "RAW_URI": "/p?old", "REQUEST_URI": "http://host/p?old"}
    forms.replace_query(environ, query)
    assert (environ["QUERY_STRING"], environ["RAW_URI"]) == (query, target)
    assert environ["REQUEST_URI"] == "http://host" + target
    assert sent(environ) == "/p?old", "what was sent is kept"


def test_replacing_the_query_adds_no_raw_target():
    environ = {}
    forms.replace_query(environ, "a=1")
    assert environ["QUERY_STRING"] == "a=1"
    assert not {"RAW_URI", "REQUEST_URI"} & environ.keys()


# -- JSON ----------------------------------------------------------------------------------------------

BAD_JSON = {
    "no JSON": b"{",
    "nothing": b"",
    "a list": b"[1]",
    "a text": b'"a"',
    "NaN": b'{"a": NaN}',
    "infinity": b'{"a": -Infinity}',
    "a number beyond floats": b'{"a": 1e400}',
    "nested too deeply": b'{"a": ' + b"[" * 100_000,
    "no UTF-8": b'{"a": "\xff"}',
}


@pytest.mark.parametrize("data", BAD_JSON.values(), ids=BAD_JSON)
def test_refuses_what_is_no_json_object(data):
    with pytest.raises(ValueError):
        forms.read_object(data)


def test_of_a_repeated_json_name_the_last_counts():
    assert forms.read_object(b'{"a": 1, "a": 2.5}') == {"a": 2.5}


@pytest.mark.parametrize(
    "data", [b'{"a": 1, "a": 1}', b'{"b": [{"a": 1, "a": 2}]}'], ids=["outside", "inside"]
)
def test_a_repeated_json_name_is_refused_if_wanted(data):
    assert forms.read_object(b'{"a": 1, "b": {"a": 2}}', unique=True) == {"a": 1, "b": {"a": 2}}
    with pytest.raises(ValueError, match="got a repeated name"):
        forms.read_object(data, unique=True)


def test_written_json_reads_the_same():
    made = {"a": ["é", None, True, 1.5, 12345678901234567890], "b": {"c": "\ud800"}}
    assert forms.read_object(forms.write_object(made)) == made


# -- multipart -----------------------------------------------------------------------------------------


def test_reads_the_parts_of_a_multipart_body():
    data = multipart(part("a", b"1"), part("b", b"\x00\r\n\xff", '; filename="f"\r\nContent-Type: image/png'))
    assert [(p.name, p.content) for p in forms.read_parts(data, BOUNDARY)] == [
        ("a", b"1"),
        ("b", b"\x00\r\n\xff"),
    ]


NAMES = {
    "quoted": (b'Content-Disposition: form-data; name="a b"', "a b"),
    "a token": (b"content-disposition: form-data;name=a", "a"),
    "folded": (b'Content-Disposition: form-data;\r\n name="a"', "a"),
    "UTF-8": ('Content-Disposition: form-data; name="é"'.encode(), "é"),
    "no UTF-8": (b'Content-Disposition: form-data; name="\xff"', "\ufffd"),
    "behind another field": (b'Content-Type: text/plain\r\nContent-Disposition: form-data; name="a"', "a"),
    "no name": (b"Content-Disposition: form-data", None),
    "no disposition": (b"Content-Type: text/plain", None),
}


@pytest.mark.parametrize(("head", "name"), NAMES.values(), ids=NAMES)
def test_reads_the_name_of_a_part(head, name):
    (found,) = forms.read_parts(multipart(head + b"\r\n\r\nx"), BOUNDARY)
    assert (found.name, found.content) == (name, b"x")


def test_a_part_without_a_blank_line_has_no_name():
    (found,) = forms.read_parts(multipart(b"Content-Disposition: form-data; name=a"), BOUNDARY)
    assert (found.name, found.content) == (None, b"")


MULTIPARTS = {
    "lines end with LF": multipart(part("a", b"1")).replace(b"\r\n", b"\n"),
    "lines end with CR": multipart(part("a", b"1")).replace(b"\r\n", b"\r"),
    "preamble and epilogue": b"preamble\r\n" + multipart(part("a", b"1")) + b"epilogue",
    "no line break at the end": multipart(part("a", b"1")).rstrip(),
    "blanks behind the boundary": multipart(part("a", b"1")).replace(b"7\r\n", b"7 \t\r\n"),
}


@pytest.mark.parametrize("data", MULTIPARTS.values(), ids=MULTIPARTS)
def test_reads_multipart_as_apps_do(data):
    assert [(p.name, p.content) for p in forms.read_parts(data, BOUNDARY)] == [("a", b"1")]
    environ = EnvironBuilder(method="POST", content_type=TYPE, data=data).get_environ()
    assert FormDataParser().parse_from_environ(environ)[1].to_dict() == {"a": "1"}


def test_a_longer_boundary_inside_a_part_is_content():
    content = b"x\r\n--plugmwBoundary77\r\n--plugmwBoundary7x"
    (found,) = forms.read_parts(multipart(part("a", content)), BOUNDARY)
    assert found.content == content


BAD_MULTIPART = {
    "no boundary in it": (b"", BOUNDARY),
    "no end": (multipart(part("a", b"1"))[:-4], BOUNDARY),
    "empty boundary": (b"--\r\n\r\n----", b""),
}


@pytest.mark.parametrize(("data", "boundary"), BAD_MULTIPART.values(), ids=BAD_MULTIPART)
def test_refuses_what_is_no_multipart_body(data, boundary):
    with pytest.raises(ValueError, match="multipart body"):
        forms.read_parts(data, boundary)


TOO_MUCH = {
    "parts": (
        lambda: forms.read_parts(multipart(*[part("a", b"1")] * (MAX_PARTS + 1)), BOUNDARY),
        f"got a multipart body of more than {MAX_PARTS} parts",
    ),
    "heads": (
        lambda: forms.read_parts(multipart(*[part("a" * 1024, b"1")] * 256), BOUNDARY),
        f"got parts with heads of 272128 bytes, expected at most {MAX_HEADS}",
    ),
    "fields": (
        lambda: forms.read_form(b"&" * MAX_PARTS),
        f"got a form of {MAX_PARTS + 1} fields, expected at most {MAX_PARTS}",
    ),
    "bytes": (
        lambda: forms.read_form(b"%61" * MAX_FORM),
        f"got a form of {3 * MAX_FORM} bytes, expected at most {MAX_FORM}",
    ),
}


@pytest.mark.parametrize(("read", "told"), TOO_MUCH.values(), ids=TOO_MUCH)
def test_what_has_more_in_it_than_is_looked_at_is_told_apart(read, told):
    with pytest.raises(TooMuch, match=f"^{told}$"):
        read()


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (FORM, b"%61&" * MAX_PARTS + b"key=right"),
        (FORM, b"key=right&a=" + b"%61" * MAX_FORM),
        (JSON, b'{"key": "right", "a": [' + b"[]," * MAX_FORM + b"1]}"),
        (TYPE, multipart(part("key", b"right"), *[part("a", b"1")] * MAX_PARTS)),
    ],
    ids=["fields", "bytes", "json", "parts"],
)
def test_nothing_is_found_in_a_body_that_is_too_much(kind, body, monkeypatch):
    monkeypatch.setattr(forms, "_unquote", lambda text: pytest.fail("decoded"))
    monkeypatch.setattr(forms.json, "loads", lambda *_, **__: pytest.fail("decoded"))
    assert forms.body_values(kind, body, "key") == []


def test_a_name_that_is_longer_than_any_spelling_is_not_decoded(monkeypatch):
    decoded = []
    real = forms._unquote
    monkeypatch.setattr(forms, "_unquote", lambda text: decoded.append(text) or real(text))
    longest = "%F0%9F%94%91"
    assert forms.pair_values(f"{longest}=1&{longest}%61=2&{'%61' * 999}=3", "\N{KEY}") == ["1"]
    assert decoded == [longest, longest, "1"]


def test_reads_as_many_parts_as_are_allowed():
    assert len(forms.read_parts(multipart(*[part("a", b"1")] * MAX_PARTS), BOUNDARY)) == MAX_PARTS


def test_an_empty_form_has_no_parts():
    assert forms.read_parts(multipart(), BOUNDARY) == []


def test_written_parts_are_the_same_bytes():
    data = multipart(part("a", b"1"), part("b", b"\r\n\n\r", '; filename="f"'), b"X-Odd\r\n\r\n")
    assert forms.write_parts(forms.read_parts(data, BOUNDARY), BOUNDARY) == data


def test_a_made_field_reads_the_same():
    made = forms.field_part("é", "ü\udcff")
    assert forms.read_parts(forms.write_parts([made], BOUNDARY), BOUNDARY) == [made]


def test_a_made_field_cannot_break_out_of_its_head():
    raw = forms.field_part('a"; filename="f\r\nX: y', "v").raw
    assert raw == b'Content-Disposition: form-data; name="a%22; filename=%22f%0D%0AX: y"\r\n\r\nv'


# -- any body ------------------------------------------------------------------------------------------

TYPES = {
    "form": ("application/x-www-form-urlencoded", True),
    "parameters do not matter": ("application/json; charset=utf-8", True),
    "case does not matter": ("Multipart/Form-Data; boundary=a", True),
    "a relative of JSON": ("application/json-patch+json", False),
    "text": ("text/plain", False),
    "none": ("", False),
}


@pytest.mark.parametrize(("content_type", "yes"), TYPES.values(), ids=TYPES)
def test_knows_the_types_that_have_names(content_type, yes):
    assert forms.is_form(content_type) is yes


def test_reads_a_quoted_boundary_and_keeps_its_case():
    assert forms.media_type('multipart/form-data; boundary="A b"') == (MULTIPART, b"A b")


BODIES = {
    "form": (FORM, b"a=1&b=2&a=%C3%A9", ["1", "é"], b"b=2"),
    "form, name without =": (FORM, b"a&b=2", [None], b"b=2"),
    "form, other spelling of a list": (FORM, b"a[]=1&a[1]=2", [], b"a[]=1&a[1]=2"),
    "JSON text": (JSON, b'{"a": "x", "b": [1.0]}', ["x"], b'{"b":[1.0]}'),
    "JSON list": (JSON, b'{"a": ["x"]}', [["x"]], b"{}"),
    "JSON null": (JSON, b'{"a": null}', [None], b"{}"),
    "JSON twice": (JSON, b'{"a": 1, "b": {"a": 3}, "a": 2}', [1, 2], b'{"b":{"a":3}}'),
    "JSON without it": (JSON, b'{ "b": {"a": 1} }', [], b'{ "b": {"a": 1} }'),
    "JSON that cannot be read": (JSON, b'{"a": "x"', [], b'{"a": "x"'),
    "multipart": (
        TYPE,
        multipart(part("a", b"1"), part("b", b"\xff", '; filename="f"'), part("a", b"2")),
        ["1", "2"],
        multipart(part("b", b"\xff", '; filename="f"')),
    ),
    "multipart that cannot be read": (MULTIPART, b"--a", [], b"--a"),
    "other type": ("text/plain", b"a=1", [], b"a=1"),
}


@pytest.mark.parametrize(("content_type", "data", "values", "left"), BODIES.values(), ids=BODIES)
def test_finds_and_removes_a_name_in_a_body(content_type, data, values, left):
    assert forms.body_values(content_type, data, "a") == values
    assert forms.body_without(content_type, data, "a") == left
