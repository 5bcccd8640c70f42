"""Encodings of backends and of replies."""

from __future__ import annotations

import json

import pytest
import yaml

from plugmw.dialects.krakend.encoding import DecodeError, decode, encode, is_encoding

BODIES = {
    "json": ("json", b'{"a":[1]}', False, {"a": [1]}),
    "json null": ("json", b"null", False, None),
    "json array": ("json", b"[1]", True, {"collection": [1]}),
    "json null for an array": ("json", b"null", True, {"collection": None}),
    "unknown": ("msgpack", b"{}", False, {}),
    "safejson object": ("safejson", b'{"a":1}', False, {"a": 1}),
    "safejson array": ("safejson", b"[1]", False, {"collection": [1]}),
    "safejson text": ("safejson", b'"x"', True, {"content": "x"}),
    "string": ("string", "é".encode(), False, {"content": "é"}),
    "xml": ("xml", b"<a>1</a>", False, {"a": "1"}),
    "xml collection": ("xml", b"<a>1</a>", True, {"collection": {"a": "1"}}),
    "yaml": ("yaml", b"a: [1, no]", False, {"a": [1, "no"]}),
    "no-op": ("no-op", b"x", False, {}),
    "yaml list": ("yaml", b"- 1", True, {"collection": [1]}),
}


@pytest.mark.parametrize(("kind", "body", "is_collection", "data"), BODIES.values(), ids=BODIES)
def test_decodes_a_body_as_a_map(kind, body, is_collection, data):
    assert decode(kind, body, is_collection) == data


BAD = {
    "json array": ("json", b"[]", False, "expected an object"),
    "json object for an array": ("json", b"{}", True, "expected an array"),
    "no json": ("json", b"<html>", False, "Expecting value"),
    "no xml": ("xml", b"{}", False, "no XML"),
    "no yaml": ("yaml", b"a: b: c", False, "not YAML"),
    "yaml of other bytes": ("yaml", b"\xff", False, "utf-8"),
    "yaml bomb": (
        "yaml",
        b"a: &a [1]\n" + b"".join(b"%c: &%c [*%c, *%c]\n" % (c, c, c - 1, c - 1) for c in range(98, 123)),
        False,
        "alias",
    ),
    "no feed": ("rss", b"<a/>", False, "neither"),
}


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "body", "is_collection", "told"), BAD.values(), ids=BAD)
def test_what_is_not_the_encoding_is_an_error(kind, body, is_collection, told):
    with pytest.raises(DecodeError, match=told) as raised:
        decode(kind, body, is_collection)
    assert str(raised.value).startswith(f"invalid {kind} body: ")


JSON, TEXT, YAML = (
    "application/json; charset=utf-8",
    "text/plain; charset=utf-8",
    "application/yaml; charset=utf-8",
)
REPLIES = {
    "json": ("json", {"b": "<", "a": 1}, b'{"a":1,"b":"\\u003c"}', JSON),
    "unknown": ("bson", {}, b"{}", JSON),
    "json-collection": ("json-collection", {"collection": [1], "a": 2}, b"[1]", JSON),
    "json-collection without one": ("json-collection", {"a": 2}, b"[]", JSON),
    "string": ("string", {"content": "é"}, "é".encode(), TEXT),
    "string without text": ("string", {"content": 5}, b"", TEXT),
    "xml": ("xml", {"a": 1}, b"<a>1</a>", "application/xml"),
    "yaml": ("yaml", {"b": [1, None], "a": {"x": "é"}}, "a:\n  x: é\nb:\n- 1\n- null\n".encode(), YAML),
}


@pytest.mark.parametrize(("kind", "data", "body", "content_type"), REPLIES.values(), ids=REPLIES)
def test_encodes_a_map_as_a_body(kind, data, body, content_type):
    assert encode(kind, data) == (body, content_type)


def test_bytes_that_are_no_text_pass_through_the_string_encoding():
    data = decode("string", b"\xff\x00x")
    assert encode("string", data)[0] == b"\xff\x00x"
    assert json.loads(encode("json", data)[0]) == {"content": "\ufffd\x00x"}


@pytest.mark.parametrize("code", [0xD800, 0xDCFF], ids=["half a character", "no UTF-8"])
@pytest.mark.parametrize(
    ("kind", "found"),
    [("json", '{"content":"a\\ufffd"}'), ("yaml", "content: a\ufffd\n"), ("xml", "<content>a<")],
)
def test_text_that_is_no_unicode_is_written_all_the_same(kind, found, code):
    assert found in encode(kind, {"content": "a" + chr(code)})[0].decode()


def test_yaml_has_numbers_as_they_were_written_and_no_aliases():
    data = decode("json", b'{"a":1.50,"b":12345678901234567890,"c":[{"x":1}]}')
    data["d"] = data["c"]
    body = encode("yaml", data)[0]
    assert body.startswith(b"a: 1.50\nb: 12345678901234567890\n")
    assert yaml.safe_load(body)["d"] == [{"x": 1}]
    assert b"&" not in body


ACCEPTED = {
    "": JSON,
    "*/*": JSON,
    "application/json": JSON,
    "application/*": JSON,
    "image/png": JSON,
    "text/xml": JSON,
    "text/plain": YAML,
    "text/*": YAML,
    "application/x-yaml, application/json": YAML,
    "text/html, application/xml": "application/xml",
    "APPLICATION/XML": "application/xml",
    "application/xml;q=0.1, application/json": JSON,
    "application/xml;q=0": JSON,
}


@pytest.mark.slow
@pytest.mark.parametrize(("accept", "content_type"), ACCEPTED.items(), ids=list(ACCEPTED) or "none")
def test_negotiate_takes_the_first_kind_that_the_client_prefers(accept, content_type):
    assert encode("negotiate", {"a": 1}, accept)[1] == content_type


def test_knows_the_encodings_of_replies():
    assert all(map(is_encoding, ("json", "json-collection", "string", "xml", "yaml", "negotiate", "no-op")))
    assert not is_encoding("safejson")
