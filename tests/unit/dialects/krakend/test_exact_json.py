"""JSON in and out: what stays as it was written, what is escaped, what is refused."""

from __future__ import annotations

import pytest

from plugmw.dialects.krakend.exact_json import Exact, read_json, write_json

NUMBERS = [
    "0",
    "-0",
    "-0.0",
    "1",
    "1.0",
    "1.50",
    "1e5",
    "1E+2",
    "0.1e-7",
    "1e400",
    "12345678901234567890123",
    "9" * 5000,
]


@pytest.mark.parametrize("text", NUMBERS, ids=lambda text: text[:24])
def test_a_number_comes_out_as_it_came_in(text):
    assert write_json(read_json(b'{"n":[%s]}' % text.encode())) == b'{"n":[%s]}' % text.encode()


def test_a_number_that_keeps_its_text_is_a_float():
    price = read_json(b"1.50")
    assert (type(price), price * 2) == (Exact, 3.0)
    assert type(read_json(b"1.5")) is float


ESCAPES = {
    "keys are sorted by code point": ('{"é":1,"z":2,"Z":3}', '{"Z":3,"z":2,"é":1}'),
    "also beside exact numbers": ('{"b":1.0,"a":[true,null]}', '{"a":[true,null],"b":1.0}'),
    "of equal keys the last counts": ('{"a":1,"a":2}', '{"a":2}'),
    "letters of HTML": ('"<&>"', r'"\u003c\u0026\u003e"'),
    "line ends of JavaScript": (r'"\u2028\u2029"', r'"\u2028\u2029"'),
    "control characters": (r'"\u0001\t\n\r\b\f\u007f\/"', '"\\u0001\\t\\n\\r\\b\\f\x7f/"'),
    "half of a pair": (r'"\ud800x"', r'"\ufffdx"'),
    "a whole pair": (r'"\ud83d\ude00"', '"😀"'),
    "what follows the value is nobody's": (' {"a":1} trash', '{"a":1}'),
}


@pytest.mark.parametrize(("text", "written"), ESCAPES.values(), ids=ESCAPES)
def test_writes_as_go_does(text, written):
    assert write_json(read_json(text.encode())).decode() == written


def test_bytes_that_are_no_text_become_replacement_characters():
    assert read_json(b'"\xff\xfe"') == "\ufffd\ufffd"


BROKEN = ["", " ", '{"a":NaN}', "[Infinity]", '{"a":01}', "{'a':1}", '\ufeff{"a":1}', '{"a":1,}', '"\t"']


@pytest.mark.parametrize("text", BROKEN)
def test_what_is_no_json_is_refused(text):
    with pytest.raises(ValueError, match=r".+"):
        read_json(text.encode())


def test_depth_is_no_crash():
    with pytest.raises(ValueError, match="nested too deeply"):
        read_json(b"[" * 1_000_000)


@pytest.mark.parametrize(
    ("value", "error"), [(float("nan"), ValueError), (object(), TypeError)], ids=["NaN", "object"]
)
def test_what_json_cannot_say_is_refused(value, error):
    with pytest.raises(error):
        write_json({"a": value})
    with pytest.raises(error):
        write_json({"a": value, "exact": Exact.of("1.0")})
