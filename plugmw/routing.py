"""Which route a request takes.

The matching rules are Kong's traditional router: a route with more kinds of conditions wins (hosts,
headers, methods, paths), then plain hosts before wildcards, then more headers, then regular expressions
by ``regex_priority``, then the longest path prefix, then the order in the file.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from plugmw.exchange import Exchange


@attrs.define(eq=False)
class Route:
    """A named set of conditions; one without any condition of a kind is open in that kind."""

    name: str
    id: str = ""
    service: str | None = None
    paths: Sequence[str] = ()
    hosts: Sequence[str] = ()
    methods: Sequence[str] = ()
    headers: dict[str, list[str]] = attrs.field(factory=dict)
    regex_priority: int = 0
    #: Whether what matched is cut from the path before the service is asked.
    strip_path: bool = False
    #: Whether an upstream gets the client's Host.
    preserve_host: bool = False
    protocols: Sequence[str] = ("http", "https")
    #: What a plain HTTP request to an https-only route is answered: 426, or a redirect.
    https_redirect_status_code: int = 426
    tags: Sequence[str] = ()

    def described(self) -> dict[str, Any]:
        """Return the route as log entries and ``kong.router.get_route`` show it."""
        made = {name: value for name, value in attrs.asdict(self).items() if value not in ((), [], {}, "")}
        made["id"] = self.id or self.name
        if self.service:
            made["service"] = {"name": self.service}
        return made

    def matched(self, path: str) -> str:
        """Return the part of ``path`` that the route's paths match, the longest; ``""`` if none does."""
        found = [m.group() for p in self.paths if (m := _prefix_pattern(p).match(path))]
        return max(found, key=len, default="")

    def captures(self, path: str) -> dict[str, Any]:
        """Return what the route's regular expressions capture: ``{"unnamed": [...], "named": {...}}``."""
        for pattern in self.paths:
            found = _prefix_pattern(pattern).match(path) if pattern.startswith("~") else None
            if found:
                named = {name: value for name, value in found.groupdict().items() if value is not None}
                return {"unnamed": [value or "" for value in found.groups()], "named": named}
        return {"unnamed": [], "named": {}}


@functools.lru_cache(maxsize=4096)
def _prefix_pattern(path: str) -> re.Pattern[str]:
    """Return the pattern of a route's path: a regular expression behind ``~``, else the text itself."""
    text = path.encode().decode("latin-1")
    return re.compile(text[1:] if text.startswith("~") else re.escape(text))


@attrs.define(eq=False)
class _Rule:
    """One path of a route, or a route without paths."""

    route: Route
    rank: tuple[Any, ...]
    prefix: str = ""
    pattern: re.Pattern[str] | None = None
    hosts: tuple[str, ...] = ()
    host_pattern: re.Pattern[str] | None = None
    methods: frozenset[str] = frozenset()
    headers: tuple[tuple[str, frozenset[str]], ...] = ()
    plain: bool = True

    def admits(self, x: Exchange, host: str) -> bool:
        """Look at everything but the path."""
        if self.methods and x.environ["REQUEST_METHOD"] not in self.methods:
            return False
        if (self.hosts or self.host_pattern) and not (
            host in self.hosts
            or without_port(host) in self.hosts
            or (self.host_pattern is not None and self.host_pattern.fullmatch(host))
        ):
            return False
        return all((x.get_header(name) or "").lower() in values for name, values in self.headers)


class Router:
    """Compiled routes. Immutable; cost grows with the number of distinct prefix lengths, not of routes."""

    def __init__(self, routes: Iterable[Route]) -> None:
        rules = [rule for place, route in enumerate(routes) for rule in _rules(route, place)]
        rules.sort(key=lambda rule: rule.rank)
        self._by_prefix: dict[str, list[tuple[int, _Rule]]] = {}
        self._patterns: list[tuple[int, _Rule]] = []
        for order, rule in enumerate(rules):
            if rule.pattern is not None:
                self._patterns.append((order, rule))
            else:
                self._by_prefix.setdefault(rule.prefix, []).append((order, rule))
        #: The methods that routes ask for.
        self.methods = frozenset(method for rule in rules for method in rule.methods)
        self._lengths = sorted({len(prefix) for prefix in self._by_prefix}, reverse=True)
        #: Whether the longest prefix alone decides: no other conditions anywhere.
        self.simple = not self._patterns and all(rule.plain for rule in rules)

    @property
    def has_patterns(self) -> bool:
        """Whether paths are matched by regular expressions."""
        return bool(self._patterns)

    def longest(self, path: str) -> Route | None:
        """Return the route with the longest prefix of ``path``; right only if :attr:`simple`."""
        table = self._by_prefix
        size = len(path)
        for length in self._lengths:
            if length <= size:
                found = table.get(path[:length])
                if found is not None:
                    return found[0][1].route
        return None

    def match(self, x: Exchange, path: str) -> Route | None:
        """Return the route for ``path`` and the request's host, method and headers, or None."""
        if self.simple:
            return self.longest(path)
        table = self._by_prefix
        host = x.host.lower()
        best: tuple[int, _Rule] | None = None
        for length in self._lengths:
            for order, rule in table.get(path[:length], ()) if length <= len(path) else ():
                if (best is None or order < best[0]) and rule.admits(x, host):
                    best = order, rule
        for order, rule in self._patterns:
            if best is not None and order >= best[0]:
                break
            found_at = rule.pattern.match(path) if rule.pattern is not None else None
            if found_at and rule.admits(x, host):
                best = order, rule
                break
        return best[1].route if best else None

    def candidates(self, x: Exchange, path: str) -> list[tuple[tuple[Any, ...], Route, str]]:
        """Return (rank, route, its path) of all that matches, the winner first: to explain, not to serve."""
        listed = [pair for pairs in self._by_prefix.values() for pair in pairs] + self._patterns
        host = x.host.lower()
        return [
            (rule.rank, rule.route, f"~{rule.pattern.pattern}" if rule.pattern else rule.prefix)
            for _, rule in sorted(listed, key=lambda pair: pair[0])
            if (rule.pattern.match(path) if rule.pattern else path.startswith(rule.prefix))
            and rule.admits(x, host)
        ]


def _rules(route: Route, place: int) -> Iterable[_Rule]:
    plain_hosts = tuple(host.lower() for host in route.hosts if "*" not in host)
    wild_hosts = [host.lower() for host in route.hosts if "*" in host]
    headers = tuple(
        (name, frozenset(value.lower() for value in values)) for name, values in sorted(route.headers.items())
    )
    kinds = sum(map(bool, (route.hosts, route.headers, route.methods, route.paths)))
    for path in route.paths or ("",):
        # Requests have their paths as WSGI has them: bytes, each as one character.
        text = path.encode().decode("latin-1")
        pattern = re.compile(text[1:]) if path.startswith("~") else None
        prefix = "" if pattern else text
        weight = (0, -route.regex_priority) if pattern else (1, 0)
        yield _Rule(
            route,
            rank=(-kinds, 0 if plain_hosts else 1, -len(headers), weight, -len(path), place),
            prefix=prefix,
            pattern=pattern,
            hosts=plain_hosts,
            host_pattern=re.compile("|".join(map(_wildcard, wild_hosts))) if wild_hosts else None,
            methods=frozenset(route.methods),
            headers=headers,
            plain=not (route.hosts or route.headers or route.methods),
        )


def without_port(host: str) -> str:
    """Cut the port: a host in a route stands for every port, as in Kong; one with a port for that one."""
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() else host


def _wildcard(host: str) -> str:
    """Translate ``*.example.org`` or ``example.*`` (an optional port included) to a pattern."""
    pattern = re.escape(host).replace(r"\*", "[^:]+")
    return pattern if ":" in host else pattern + r"(?::\d+)?"
