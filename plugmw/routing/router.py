"""Which route a request takes, if any: one decision, read by the dispatcher and by ``plugmw explain``.

The matching rules are Kong's traditional router: a route with more kinds of conditions wins (hosts,
headers, methods, paths), then plain hosts before wildcards, then more headers, then regular expressions
by ``regex_priority``, then the longest path prefix, then the order in the file. Unlike Kong's, a route of GET
is one of HEAD too, after all that name HEAD, because apps answer it by the same view.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

import attrs

from plugmw.schema.patterns import Pattern, TooLong, compiled
from plugmw.wsgi.headers import cgi_key
from plugmw.wsgi.proxies import Trusted
from plugmw.wsgi.readings import (
    covered,
    header_values,
    host_names,
    methods,
    paths,
    split_header,
    split_host,
)
from plugmw.wsgi.text import encode

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

#: ``refused`` (404) and ``unrouted`` (passed on): no route matches. ``insecure``: one does, for https only.
#: ``ambiguous``: an app could read path or method as those of another route.
Outcome = Literal["no routes", "matched", "insecure", "unrouted", "refused", "ambiguous"]

#: The order of rules, the lowest first: by kinds of conditions, plain hosts, headers, the weight of the
#: path (patterns by ``regex_priority``), its length, whether HEAD is meant by GET, the place in the file;
#: each the lower the better.
Rank = tuple[int, int, int, tuple[int, int], int, int, int]


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

    def described(self) -> dict[str, object]:
        """Return the route as log entries and ``kong.router.get_route`` show it."""
        fields = {name: value for name, value in attrs.asdict(self).items() if value not in ((), [], {}, "")}
        fields["id"] = self.id or self.name
        if self.service:
            fields["service"] = {"name": self.service}
        return fields

    def matched(self, path: str) -> str:
        """Return the part of ``path`` that the route's paths match, the longest; ``""`` if none does."""
        return max((_matched(pattern, path) or "" for pattern in self.paths), key=len, default="")

    def taken(self, path: str) -> str:
        """Return which of the route's paths, as configured, ``path`` took: a pattern, else the longest."""
        fitting = [pattern for pattern in self.paths if _matched(pattern, path) is not None]
        patterns = (pattern for pattern in fitting if pattern.startswith("~"))
        return next(patterns, None) or max(fitting, key=len, default="")

    def captures(self, path: str) -> dict[str, Any]:
        """Return what the route's regular expressions capture: ``{"unnamed": [...], "named": {...}}``."""
        for pattern in self.paths:
            match = _found(_path_pattern(pattern), path) if pattern.startswith("~") else None
            if match:
                named = {name: value for name, value in match.groupdict().items() if value is not None}
                return {"unnamed": [value or "" for value in match.groups()], "named": named}
        return {"unnamed": [], "named": {}}


@functools.lru_cache(maxsize=4096)
def _path_pattern(path: str) -> Pattern:
    """Return the pattern of a route's path that has ``~`` before it."""
    return compiled(encode(path[1:], "surrogateescape"), "match")


def _found(pattern: Pattern, path: str) -> re.Match[str] | None:
    """Return the match, None if the path is too long for the pattern: another one took the route."""
    try:
        return pattern.find(path)
    except TooLong:
        return None


def _matched(pattern: str, path: str) -> str | None:
    """Return the part of ``path`` that one of a route's paths matches, None if it does not."""
    if pattern.startswith("~"):
        match = _found(_path_pattern(pattern), path)
        return match.group() if match else None
    prefix = encode(pattern, "surrogateescape")
    return prefix if path.startswith(prefix) else None


@attrs.define(eq=False)
class Rule:
    """One path of a route, or a route without paths."""

    route: Route
    rank: Rank
    prefix: str = ""
    pattern: Pattern | None = None
    #: With a port, or for all ports; as :func:`plugmw.wsgi.readings.host_names` has them.
    hosts: frozenset[str] = frozenset()
    host_pattern: Pattern | None = None
    methods: frozenset[str] = frozenset()
    #: Environ keys and, in lower case, the values that do.
    headers: tuple[tuple[str, frozenset[str]], ...] = ()
    #: Whether the path is its only condition.
    plain: bool = True
    #: Whether plain HTTP requests are sent away.
    secure: bool = False

    @property
    def path(self) -> str:
        """The path as in the configuration, ``~`` before a regular expression."""
        return f"~{self.pattern.pattern}" if self.pattern else self.prefix

    @property
    def because(self) -> str:
        """What a request that takes the route has met."""
        route, kind = self.route, "matches" if self.pattern else "starts with"
        reasons = [f"the path {kind} {self.path}"] if route.paths else []
        reasons += ["the host is one of its hosts"] if route.hosts else []
        reasons += ["the method is one of its methods"] if route.methods else []
        reasons += ["the headers are there"] if route.headers else []
        return ", ".join(reasons)

    def admits(self, environ: WSGIEnvironment, method: str, names: tuple[str, str]) -> bool:
        """Look at everything but the path; ``names`` are those of the host."""
        if self.methods and method not in self.methods:
            return False
        if (self.hosts or self.host_pattern) and not (
            not self.hosts.isdisjoint(names)
            or (self.host_pattern is not None and self.host_pattern.find(names[1]))
        ):
            return False
        return all(
            not values.isdisjoint(split_header(environ.get(key, "").lower())) for key, values in self.headers
        )


@attrs.define(eq=False)
class Decision:
    """Where a request goes, and why."""

    outcome: Outcome
    #: The rule that matches; None if none does, or not just one.
    rule: Rule | None = None
    because: str = ""
    #: Of an ambiguous path, every way to read it (:func:`plugmw.wsgi.paths.interpretations`).
    interpretations: Collection[str] = ()

    @property
    def route(self) -> Route | None:
        return None if self.rule is None else self.rule.route


class Router:
    """Compiled routes. Immutable; cost grows with the number of distinct prefix lengths, not of routes.

    ``unrouted`` says what becomes of a request that no route matches: ``pass`` or ``404``.
    """

    def __init__(self, routes: Iterable[Route], unrouted: str = "pass") -> None:
        rules = [rule for place, route in enumerate(routes) for rule in _rules(route, place)]
        rules.sort(key=lambda rule: rule.rank)
        self._empty = not rules
        self._unrouted: Outcome = "refused" if unrouted == "404" else "unrouted"
        self._by_prefix: dict[str, list[tuple[int, Rule]]] = {}
        self._patterns: list[tuple[int, Rule]] = []
        for order, rule in enumerate(rules):
            if rule.pattern is not None:
                self._patterns.append((order, rule))
            else:
                self._by_prefix.setdefault(rule.prefix, []).append((order, rule))
        #: Environ keys of the headers that rules look at.
        self._headers = frozenset(key for rule in rules for key, _ in rule.headers)
        self._lengths = sorted({len(prefix) for prefix in self._by_prefix}, reverse=True)
        #: Whether the longest prefix alone decides: no other conditions anywhere.
        self.simple = not self._patterns and all(rule.plain for rule in rules)

    def decide(self, environ: WSGIEnvironment, trusted: Trusted) -> Decision:
        """Return where a request goes; the environ is only read."""
        if self._empty:
            return Decision("no routes", because="the file has no routes: every request takes the one chain")
        try:
            return self._decide(environ, trusted)
        except TooLong as error:
            text = f"a pattern cannot be tried on a path or a host so long ({error}), so it is refused"
            return Decision("ambiguous", because=text)

    def _decide(self, environ: WSGIEnvironment, trusted: Trusted) -> Decision:
        path = paths(environ)
        if self._patterns and path.too_long:
            text = "the path can be read in more ways than patterns are tried on, so it is refused"
            return Decision("ambiguous", because=text, interpretations=path.ways)
        method, *others = ("",) if self.simple else methods(environ)
        names = None if self.simple else host_names(trusted.host(environ), trusted.scheme(environ))
        rule = self._match(environ, path.normal, method, names)
        route = rule.route if rule else None

        def differs(way: str, method: str) -> bool:
            other = self._match(environ, way, method, names)
            return (other and other.route) is not route

        if path.too_many or (len(path.ways) > 1 and any(differs(way, method) for way in path.ways)):
            text = "an app could read the path as one of another route, so it is refused"
            return Decision("ambiguous", because=text, interpretations=path.ways)
        for other in others:
            # Frameworks do not look at the case of a method (RFC 9110 section 9.1), some at other headers.
            if any(differs(way, other) for way in path.ways):
                text = (
                    f"an app could read the method as {other}, for which is another route, so it is refused"
                )
                return Decision("ambiguous", because=text)
        if self._headers and self._are_torn(environ, path.normal, method, names, route):
            text = "a header came with values of several routes, so it is refused"
            return Decision("ambiguous", because=text)
        if rule is None:
            return Decision(self._unrouted, because="no route has all its conditions met")
        if rule.secure and trusted.scheme(environ) != "https":
            text = f"{rule.route.name} is for https only"
            return Decision("insecure", rule, text)
        return Decision("matched", rule)

    def _are_torn(
        self,
        environ: WSGIEnvironment,
        path: str,
        method: str,
        names: tuple[str, str] | None,
        route: Route | None,
    ) -> bool:
        """Say whether one of several values of a header asks for another route than all of them."""
        for key in self._headers:
            for value in header_values(environ, key)[1:]:
                other = self._match({**environ, key: value}, path, method, names)
                if other is not None and other.route is not route and key in dict(other.headers):
                    return True
        return False

    def longest(self, path: str) -> Rule | None:
        """Return the rule with the longest prefix of ``path``; right only if :attr:`simple`."""
        table = self._by_prefix
        size = len(path)
        for length in self._lengths:
            if length <= size:
                rules = table.get(path[:length])
                if rules is not None:
                    return rules[0][1]
        return None

    def match(self, environ: WSGIEnvironment, trusted: Trusted, path: str) -> Rule | None:
        """Return the first rule for ``path``, and the request's host, headers and method, or None."""
        names = host_names(trusted.host(environ), trusted.scheme(environ))
        return self._match(environ, path, environ["REQUEST_METHOD"], names)

    def _match(
        self, environ: WSGIEnvironment, path: str, method: str, names: tuple[str, str] | None
    ) -> Rule | None:
        """Return the first rule for one reading of a request; simple routers need no ``names``."""
        if self.simple or names is None:
            return self.longest(path)
        table = self._by_prefix
        best: tuple[int, Rule] | None = None
        for length in self._lengths:
            for order, rule in table.get(path[:length], ()) if length <= len(path) else ():
                if (best is None or order < best[0]) and rule.admits(environ, method, names):
                    best = order, rule
        for order, rule in self._patterns:
            if best is not None and order >= best[0]:
                break
            if rule.pattern is not None and rule.admits(environ, method, names) and rule.pattern.find(path):
                best = order, rule
                break
        return best[1] if best else None

    def candidates(self, environ: WSGIEnvironment, trusted: Trusted, path: str) -> list[Rule]:
        """Return all rules that match, the winner first: to explain, not to serve."""
        listed = [pair for pairs in self._by_prefix.values() for pair in pairs] + self._patterns
        method, names = environ["REQUEST_METHOD"], host_names(trusted.host(environ), trusted.scheme(environ))
        return [
            rule
            for _, rule in sorted(listed, key=lambda pair: pair[0])
            if (_found(rule.pattern, path) if rule.pattern else path.startswith(rule.prefix))
            and rule.admits(environ, method, names)
        ]


def _rules(route: Route, place: int) -> Iterable[Rule]:
    plain_hosts = frozenset(_host(host) for host in route.hosts if "*" not in host)
    wild_hosts = [_host(host) for host in route.hosts if "*" in host]
    headers = tuple(
        (cgi_key(name), frozenset(value.lower() for value in values))
        for name, values in sorted(route.headers.items())
    )
    kinds = sum(map(bool, (route.hosts, route.headers, route.methods, route.paths)))
    named = frozenset(route.methods)
    for path in route.paths or ("",):
        # Requests have their paths as WSGI has them: bytes, each as one character.
        pattern = _path_pattern(path) if path.startswith("~") else None
        prefix = "" if pattern else encode(path, "surrogateescape")
        weight = (0, -route.regex_priority) if pattern else (1, 0)
        rule = Rule(
            route,
            rank=(-kinds, 0 if plain_hosts else 1, -len(headers), weight, -len(path), 0, place),
            prefix=prefix,
            pattern=pattern,
            hosts=plain_hosts,
            host_pattern=compiled("|".join(map(_wildcard, wild_hosts)), "fullmatch") if wild_hosts else None,
            methods=named,
            headers=headers,
            plain=not (route.hosts or route.headers or route.methods),
            secure="http" not in route.protocols,
        )
        yield rule
        meant = covered(named) - named
        if meant:
            yield attrs.evolve(rule, methods=meant, rank=(*rule.rank[:5], 1, place))


def never_taken(routes: Sequence[Route]) -> Iterator[tuple[int, int | None, Route]]:
    """Yield whose requests another route takes: the route's place, its path's (None without), the other."""
    ranked = sorted(
        (
            (rule.rank, place, number if route.paths else None, rule)
            for place, route in enumerate(routes)
            for number, rule in enumerate(rule for rule in _rules(route, place) if not rule.rank[-2])
        ),
        key=lambda item: item[:2],
    )
    first: dict[tuple[object, ...], Route] = {}
    for _, place, number, rule in ranked:
        pattern = rule.host_pattern.pattern if rule.host_pattern else None
        other = first.setdefault((rule.path, rule.hosts, pattern, rule.methods, rule.headers), rule.route)
        if other is not rule.route:
            yield place, number, other


def _host(host: str) -> str:
    """Return a host of a route as hosts of requests are compared with it: one without a port is for all."""
    name, port = split_host(host.lower())
    name = name.rstrip(".")
    return f"{name}:{port}" if port else name


def without_port(host: str) -> str:
    """Cut the port of a host as a client has sent it."""
    return split_host(host)[0]


def _wildcard(host: str) -> str:
    """Translate ``*.example.org`` or ``example.*`` (an optional port included) to a pattern."""
    pattern = re.escape(host).replace(r"\*", "[^:]+")
    return pattern if ":" in host else pattern + r":\d+"
