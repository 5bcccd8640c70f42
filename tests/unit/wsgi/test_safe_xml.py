"""XML from strangers: what a document may not define, fetch or nest."""

from __future__ import annotations

import tracemalloc

import pytest

from plugmw.wsgi.safe_xml import MAX_DEPTH, local, read

BAD = {
    "an entity": '<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>',
    "an entity that is not used": '<!DOCTYPE a [<!ENTITY x "y">]><a/>',
    "a parameter entity": '<!DOCTYPE a [<!ENTITY % x "y">]><a/>',
    "an external entity": '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
    "an entity of an external subset": '<!DOCTYPE a SYSTEM "http://127.0.0.1:1/a.dtd"><a>&x;</a>',
    "a default of an attribute": '<!DOCTYPE a [<!ATTLIST b c CDATA "d">]><a><b/></a>',
    "too deep": "<a>" * (MAX_DEPTH + 1),
    "not closed": "<a>",
    "two roots": "<a/><a/>",
    "an encoding nobody knows": b'<?xml version="1.0" encoding="x-none"?><a/>',
    "half a surrogate pair": "<a>\udc80</a>",
}


def events(document):
    found = []
    read(document, lambda name, found_: found.append((name, found_)), found.append, found.append)
    return found


def test_elements_and_texts_come_in_their_order():
    assert events(b'<n:a b="1">x<c/>&lt;</n:a>') == [
        ("n:a", {"b": "1"}), "x", ("c", {}), "c", "<", "n:a",
    ]  # fmt: skip
    assert (local("n:a"), local("a")) == ("a", "a")


@pytest.mark.parametrize("document", BAD.values(), ids=BAD)
def test_refuses(document):
    with pytest.raises(ValueError):
        events(document)


def test_depth_is_that_of_open_elements():
    assert len(events("<a>" + "<b/>" * (MAX_DEPTH * 2) + "</a>")) == MAX_DEPTH * 4 + 2


def test_s25_a_default_of_an_attribute_is_not_multiplied():
    value, count = "x" * 50_000, 2000
    bomb = f'<!DOCTYPE a [<!ATTLIST b c CDATA "{value}">]><a>' + "<b/>" * count + "</a>"
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="of its own"):
            events(bomb)
        assert tracemalloc.get_traced_memory()[1] < 10 * len(bomb)
    finally:
        tracemalloc.stop()
