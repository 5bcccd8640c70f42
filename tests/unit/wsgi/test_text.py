"""text: WSGI's latin-1 form of UTF-8, and what becomes of what cannot be carried."""

from __future__ import annotations

import pytest

from plugmw.wsgi.text import decode, encode, one_line, unquote_field, utf8_or_latin1

#: Text to its form in WSGI, by the policy; an exception where it is refused.
ENCODED = {
    "ASCII": ("a b", {"surrogateescape": "a b", "replace": "a b", "surrogatepass": "a b"}),
    "UTF-8": ("é€", dict.fromkeys(("surrogateescape", "replace", "surrogatepass"), "\xc3\xa9\xe2\x82\xac")),
    "a byte that was no UTF-8": (
        "a\udc80",
        {"surrogateescape": "a\x80", "replace": "a?", "surrogatepass": "a\xed\xb2\x80"},
    ),
    "half a pair": (
        "a\ud800",
        {"surrogateescape": UnicodeEncodeError, "replace": "a?", "surrogatepass": "a\xed\xa0\x80"},
    ),
}
DECODED = {
    "ASCII": ("a b", {"surrogateescape": "a b", "replace": "a b", "strict": "a b"}),
    "UTF-8": ("\xc3\xa9", dict.fromkeys(("surrogateescape", "replace", "strict"), "é")),
    "bytes that are no UTF-8": (
        "a\xff",
        {"surrogateescape": "a\udcff", "replace": "a\ufffd", "strict": UnicodeDecodeError},
    ),
    "what WSGI cannot carry": (
        "€",
        {"surrogateescape": UnicodeEncodeError, "replace": "?", "strict": UnicodeEncodeError},
    ),
}


def rows(table):
    return [
        pytest.param(value, errors, result, id=f"{name}, {errors}")
        for name, (value, expected) in table.items()
        for errors, result in expected.items()
    ]


def check(call, value, errors, expected):
    if isinstance(expected, str):
        assert call(value, errors) == expected
    else:
        with pytest.raises(expected):
            call(value, errors)


@pytest.mark.parametrize(("text", "errors", "expected"), rows(ENCODED))
def test_text_is_carried_as_its_utf8_bytes(text, errors, expected):
    check(encode, text, errors, expected)


@pytest.mark.parametrize(("carried", "errors", "expected"), rows(DECODED))
def test_carried_text_is_read_as_utf8(carried, errors, expected):
    check(decode, carried, errors, expected)


@pytest.mark.parametrize("carried", ["abc", "\xc3\xa9", "\xff\xc3", "".join(map(chr, range(256)))])
def test_what_was_carried_comes_back_byte_for_byte(carried):
    assert encode(decode(carried, "surrogateescape"), "surrogateescape") == carried


@pytest.mark.parametrize(
    ("field", "errors", "expected"),
    [
        ("abc", "replace", "abc"),
        ("a+b%20c", "replace", "a b c"),
        ("%C3%A9\xc3\xa9", "replace", "éé"),
        ("\xc3%A9", "replace", "é"),
        ("%FF", "replace", "\ufffd"),
        ("%FF", "surrogateescape", "\udcff"),
        ("€", "replace", "?"),
    ],
)
def test_fields_of_queries_are_decoded_once(field, errors, expected):
    assert unquote_field(field, errors) == expected


def test_bytes_that_are_no_utf8_are_latin_1():
    assert [utf8_or_latin1(data) for data in (b"a", "é".encode(), b"\xe9")] == ["a", "é", "é"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a b", "a b"),
        ("a\x85b\x1b\n", "a\\x85b\\x1b\\n"),
        ("\u202ea", "\\u202ea"),
        ("x" * 200, "x" * 200),
        ("x" * 201, "x" * 200 + "..."),
    ],
)
def test_what_others_chose_is_cut_and_escaped_for_one_line(text, shown):
    assert one_line(text) == shown
