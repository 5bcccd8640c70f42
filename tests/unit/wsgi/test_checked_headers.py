"""The header view of an exchange: what must not be sent does not get in."""

from __future__ import annotations

import pytest

from plugmw.kernel.exchange import Exchange
from tests.support.wsgi import environ_of

WAYS = {
    "set": lambda headers, name, value: headers.__setitem__(name, value),
    "add": lambda headers, name, value: headers.add(name, value),
    "default": lambda headers, name, value: headers.setdefault(name, value),
    "update": lambda headers, name, value: headers.update({name: value}),
    "extend": lambda headers, name, value: headers.extend([(name, value)]),
    "extend by name": lambda headers, name, value: headers.extend(**{name: value}),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_header_view_refuses_what_would_split_a_message(way):
    x = Exchange(environ_of(), None)
    for name, value in (("X-A", "a\r\nX-B: c"), ("X-A", "\x00"), ("X-A", "\u20ac"), ("X-A: b\r\nX-B", "c")):
        with pytest.raises(ValueError, match="header"):
            WAYS[way](x.headers, name, value)
    assert x.header_list == []
    WAYS[way](x.headers, "X-A", "b")
    assert (x.header_list, x.headers.setdefault("x-a", "c")) == ([("X-A", "b")], "b")


def test_what_the_app_has_set_may_be_read_and_taken_away():
    x = Exchange(environ_of(), None)
    x.header_list = [("X-A", "b\nc")]
    assert x.headers["x-a"] == "b\nc"
    del x.headers["X-A"]
    assert x.header_list == []
