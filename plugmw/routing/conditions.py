"""The ``when`` of an entry: conditions on the request, asked once, at the entry's first phase.

    plugins:
      - name: rate-limiting
        when: {methods: [POST], headers: {X-Tier: free|trial}}
        config: {minute: 5}

Every condition must hold; within one, any of its values will do. Patterns match a value as a whole. Where an
app could read a request in several ways (:mod:`plugmw.wsgi.readings`), the entry applies if it does for one
of them, because it may be a guard; likewise to a value that is too long to be looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final

import attrs

from plugmw.kernel.exchange import Exchange
from plugmw.loading.imports import resolve
from plugmw.schema import Finding, config, each, field, matches
from plugmw.schema.fields import HeaderName, Network, Pattern, URLPath
from plugmw.schema.patterns import Pattern as Compiled
from plugmw.schema.patterns import TooLong
from plugmw.wsgi.headers import cgi_key
from plugmw.wsgi.readings import arguments, covered, header_values, methods, paths
from plugmw.wsgi.text import encode

Test = Callable[[Exchange], bool]

#: Headers of which one value has commas: what is between them is no reason to say that it does not fit.
_WITH_COMMAS: Final = frozenset(
    (
        *("HTTP_USER_AGENT", "HTTP_REFERER", "HTTP_COOKIE", "HTTP_AUTHORIZATION", "HTTP_CACHE_CONTROL"),
        *("HTTP_ACCEPT", "HTTP_ACCEPT_ENCODING", "HTTP_ACCEPT_LANGUAGE", "HTTP_ACCEPT_CHARSET", "HTTP_VIA"),
        *("HTTP_DATE", "HTTP_IF_MODIFIED_SINCE", "HTTP_IF_UNMODIFIED_SINCE", "HTTP_IF_NONE_MATCH"),
        *("HTTP_IF_MATCH", "HTTP_IF_RANGE", "HTTP_RANGE", "HTTP_CONNECTION", "HTTP_PREFER"),
    )
)


@config
class Condition:
    """When an entry applies; at least one field."""

    methods: list[str] = field(
        [], each(matches("[A-Z]+", "HTTP methods in capitals")), help="Methods; `GET` is for HEAD too."
    )
    paths: list[URLPath] = field([], help="Prefixes of the normalised path.")
    headers: dict[HeaderName, Pattern] = field(
        {}, help="Request headers and a pattern for any of the values."
    )
    query: dict[str, Pattern] = field({}, help="Query arguments and a pattern for any of the values.")
    addresses: list[Network] = field([], help="Networks the client's address is in.")
    groups: list[str] = field([], help="Groups of which the consumer is in one.")
    call: str | None = field(None, help="`module:callable`, asked with the exchange; its truth counts.")
    negate: bool = field(False, help="Apply when the conditions do not all hold.")

    def check(self) -> Iterator[Finding]:
        conditions = (
            self.methods,
            self.paths,
            self.headers,
            self.query,
            self.addresses,
            self.groups,
            self.call,
        )
        if not any(conditions):
            yield "at least one of methods, paths, headers, query, addresses, groups, call must be given"


@attrs.frozen
class _Question:
    """One condition: whether it holds, and whether it fails, for one reading of a request at least."""

    holds: Test
    fails: Test


def compiled(condition: Condition) -> Test:
    """Return the test for a condition; raises LoadError for a ``call`` that cannot be imported.

    Each test is True or False for an exchange; an exception in ``call`` is the entry's failure.
    """
    questions = list(_questions(condition))
    if condition.negate:
        return lambda x: any(question.fails(x) for question in questions)
    return lambda x: all(question.holds(x) for question in questions)


def _questions(condition: Condition) -> Iterator[_Question]:
    if condition.methods:
        yield _methods(frozenset(condition.methods))
    if condition.paths:
        yield _paths(tuple(encode(path, "surrogateescape") for path in condition.paths))
    for name, pattern in condition.headers.items():
        yield _header(name, pattern)
    for name, pattern in condition.query.items():
        yield _argument(name, pattern)
    if condition.addresses:
        networks = condition.addresses
        yield _plain(lambda x: any(_inside(x.client_ip, network) for network in networks))
    if condition.groups:
        groups = frozenset(condition.groups)
        yield _plain(lambda x: x.consumer is not None and not groups.isdisjoint(x.consumer.groups))
    if condition.call:
        call = resolve(condition.call)
        yield _plain(lambda x: bool(call(x)))


def _plain(test: Test) -> _Question:
    """Ask what has one reading only."""
    return _Question(test, lambda x: not test(x))


def _methods(listed: frozenset[str]) -> _Question:
    guarded = covered(listed)
    return _Question(
        lambda x: not guarded.isdisjoint(methods(x.environ)),
        lambda x: not listed.issuperset(methods(x.environ)),
    )


def _paths(prefixes: tuple[str, ...]) -> _Question:
    def ask(wanted: bool) -> Test:
        def test(x: Exchange) -> bool:
            path = paths(x.environ)
            return path.too_many or any(way.startswith(prefixes) is wanted for way in path.ways)

        return test

    return _Question(ask(True), ask(False))


def _header(name: str, pattern: Compiled) -> _Question:
    key = cgi_key(name)
    several = _values(pattern, lambda x: header_values(x.environ, key))
    if key not in _WITH_COMMAS:
        return several
    whole = _values(pattern, lambda x: [str(x.environ.get(key, ""))])
    return _Question(several.holds, whole.fails)


def _argument(name: str, pattern: Compiled) -> _Question:
    return _values(pattern, lambda x: arguments(x.environ, name))


def _values(pattern: Compiled, values: Callable[[Exchange], list[str]]) -> _Question:
    def fits(value: str, wanted: bool) -> bool:
        try:
            return (pattern.find(value) is not None) is wanted
        except TooLong:
            return True

    def ask(wanted: bool) -> Test:
        return lambda x: any(fits(value, wanted) for value in values(x))

    return _Question(ask(True), ask(False))


def _inside(address: IPv4Address | IPv6Address | None, network: IPv4Network | IPv6Network) -> bool:
    return address is not None and address.version == network.version and address in network
