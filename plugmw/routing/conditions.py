"""The ``when`` of an entry: conditions on the request, asked once, at the entry's first phase.

    plugins:
      - name: rate-limiting
        when: {methods: [POST], headers: {X-Tier: free|trial}}
        config: {minute: 5}

Every condition given must hold; within one, any of its values will do. Patterns match a value as a whole; an
entry with a pattern applies to every value that is too long to be looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from plugmw.kernel.exchange import Exchange
from plugmw.loading.imports import resolve
from plugmw.schema import Finding, config, each, field, matches
from plugmw.schema.fields import HeaderName, Network, Pattern, URLPath
from plugmw.schema.patterns import Pattern as Compiled
from plugmw.schema.patterns import TooLong
from plugmw.wsgi.forms import pair_values
from plugmw.wsgi.paths import TOO_MANY, full_path, interpretations, is_plain
from plugmw.wsgi.text import encode

Test = Callable[[Exchange], bool]


@config
class Condition:
    """When an entry applies; at least one field."""

    methods: list[str] = field([], each(matches("[A-Z]+", "HTTP methods in capitals")), help="Methods.")
    paths: list[URLPath] = field([], help="Prefixes of the normalised path.")
    headers: dict[HeaderName, Pattern] = field({}, help="Request headers and a pattern for each value.")
    query: dict[str, Pattern] = field({}, help="Query arguments and a pattern for each (first) value.")
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


def compiled(condition: Condition) -> Test:
    """Return the test for a condition; raises LoadError for a ``call`` that cannot be imported.

    Each test is True or False for an exchange; an exception in ``call`` is the entry's failure. Where apps
    could read a path or a method in several ways, one that makes it apply will do, as does a value that is
    too long for a pattern: the entry may be a guard.
    """
    tests = list(_tests(condition))
    wanted = not condition.negate
    prefixes = tuple(encode(path, "surrogateescape") for path in condition.paths)

    def holds(x: Exchange) -> bool:
        others = all(test(x) for test in tests)
        path = full_path(x.environ)
        if is_plain(path):
            return (others and path.startswith(prefixes)) is wanted
        ways = interpretations(path)
        return len(ways) >= TOO_MANY or any((others and way.startswith(prefixes)) is wanted for way in ways)

    test = holds if prefixes else lambda x: all(test(x) for test in tests) is wanted
    return _applying(test) if condition.headers or condition.query else test


def _tests(condition: Condition) -> Iterator[Test]:
    """Yield the tests of everything but paths."""
    if condition.methods:
        methods = frozenset(condition.methods)
        # Frameworks take `post` for POST.
        read = str if condition.negate else str.upper
        yield lambda x: read(x.environ["REQUEST_METHOD"]) in methods
    for name, pattern in condition.headers.items():
        yield _header(name, pattern)
    for name, pattern in condition.query.items():
        yield _argument(name, pattern)
    if condition.addresses:
        networks = condition.addresses
        yield lambda x: any(_inside(x.client_ip, network) for network in networks)
    if condition.groups:
        groups = frozenset(condition.groups)
        yield lambda x: x.consumer is not None and not groups.isdisjoint(x.consumer.groups)
    if condition.call:
        call = resolve(condition.call)
        yield lambda x: bool(call(x))


def _applying(test: Test) -> Test:
    """Return a test that also holds where there is too much to look at."""

    def holds(x: Exchange) -> bool:
        try:
            return test(x)
        except TooLong:
            return True

    return holds


def _header(name: str, pattern: Compiled) -> Test:
    return lambda x: pattern.find(x.get_header(name) or "") is not None


def _argument(name: str, pattern: Compiled) -> Test:
    def test(x: Exchange) -> bool:
        values = pair_values(x.environ.get("QUERY_STRING", ""), name)
        return pattern.find(values[0] or "" if values else "") is not None

    return test


def _inside(address: IPv4Address | IPv6Address | None, network: IPv4Network | IPv6Network) -> bool:
    return address is not None and address.version == network.version and address in network
