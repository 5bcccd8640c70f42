"""Ready-made field types."""

from __future__ import annotations

import re
from ipaddress import ip_network

import pytest

from plugmw.errors import ConfigError
from plugmw.schema import build, config, field
from plugmw.schema.fields import URL, GroupName, HeaderName, Network, Pattern, Port, URLPath, listable
from plugmw.schema.patterns import compiled


@config
class All:
    network: Network | None = field(None, help="A network.")
    name: HeaderName | None = field(None, help="A name.")
    group: GroupName | None = field(None, help="A group.")
    pattern: Pattern | None = field(None, help="A pattern.")
    url: URL | None = field(None, help="A URL.")
    path: URLPath | None = field(None, help="A path.")
    port: Port | None = field(None, help="A port.")


GOOD = {
    "network": ("10.0.0.1/8", ip_network("10.0.0.0/8")),
    "mapped network": ("::ffff:10.0.0.0/104", ip_network("10.0.0.0/8")),
    "network object": (ip_network("::/0"), ip_network("::/0")),
    "name": ("X-Key", "X-Key"),
    "group": ("cn=é b", "cn=é b"),
    "pattern": ("a+", compiled("a+", "fullmatch")),
    "pattern object": (re.compile("b", re.I), compiled("b", "fullmatch", re.I)),
    "url": ("https://user@host:81/path?x", "https://user@host:81/path?x"),
    "path": ("/a", "/a"),
    "port": (0, 0),
    "highest port": (65535, 65535),
}


@pytest.mark.parametrize("case", GOOD)
def test_good_values_are_read(case):
    value, read = GOOD[case]
    kind = next(
        name for name in ("network", "name", "group", "pattern", "url", "path", "port") if name in case
    )
    assert getattr(build(All, {kind: value}, "T"), kind) == read


BAD = {
    "network": (["10.0.0.0/33", "host", 5], "an IP address or CIDR range"),
    "name": (["a b", "a:", "é", 5], "a header name"),
    "group": (
        ["a,b", " a", "a ", "a\n", "\x7f", 5],
        "a name without commas, control characters and outer blanks",
    ),
    "pattern": (["("], "a regular expression (missing ), unterminated subpattern at position 0)"),
    "url": (
        ["ftp://a", "http://", "a", "http://a:0/", "http://a:99999/", "http://[", 5],
        "an http or https URL",
    ),
    "path": (["a", 5], "a path that starts with /"),
    "port": ([-1, 65536, "80", True, 1.5], "a port from 0 to 65535"),
}


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [(name, value, expected) for name, (values, expected) in BAD.items() for value in values],
)
def test_bad_values_are_refused_with_what_would_be_right(name, value, expected):
    with pytest.raises(ConfigError) as caught:
        build(All, {name: value}, "T")
    assert str(caught.value) == f"T: {name}: got {value!r}, expected {expected}"


def test_text_is_listable_if_it_is_the_same_item_afterwards():
    assert [text for text in ("a b", "a", "", "a,b", " a", "a\r") if listable(text)] == ["a b", "a"]


def test_a_pattern_of_another_type_is_refused():
    with pytest.raises(ConfigError, match="pattern: got 5, expected a regular expression"):
        build(All, {"pattern": 5}, "T")
