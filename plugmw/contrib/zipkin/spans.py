"""Spans of an exchange in Zipkin's JSON, version 2: what the request, the proxying and each try were.

Names, tags and annotations are Kong's (``kong/plugins/zipkin/{handler,reporter,span,request_tags}.lua``).
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any, Final

import attrs

from plugmw.kernel.exchange import Exchange
from plugmw.telemetry.propagation import Span
from plugmw.wsgi import request_target
from plugmw.wsgi.upstream_request import UpstreamRequest

#: Tags that nobody else may set.
PROTECTED: Final = frozenset(
    (
        *("error", "http.method", "http.path", "http.status_code", "kong.balancer.state"),
        *("kong.balancer.try", "kong.consumer", "kong.credential", "kong.node.id", "kong.route"),
        *("kong.service", "lc", "peer.hostname"),
    )
)
#: Tags of a request header, and characters of their names and values.
MOST, LONGEST_NAME, LONGEST_VALUE = 32, 64, 256
#: Servers join repeated headers by commas.
_NEXT: Final = re.compile(r";|,(?=\s*[^\s=;,]+\s*=)")
_NAME: Final = re.compile(r"[^\s=\x00-\x1f\x7f]+")
#: What is known of a service, or of a time that it was tried.
Facts = dict[str, Any]


def request_tags(text: str) -> tuple[dict[str, str], list[str]]:
    """Read ``a=b; c = d e``: return (good tags, what could not be read, safe to be logged)."""
    good: dict[str, str] = {}
    bad: list[str] = []
    for piece in _NEXT.split(text):
        name, equals, value = (part.strip() for part in piece.partition("="))
        fits = len(name) <= LONGEST_NAME and len(value) <= LONGEST_VALUE and len(good) < MOST
        if equals and value and _NAME.fullmatch(name) and name not in PROTECTED and fits:
            good[name] = value
        elif piece.strip() and len(bad) < MOST:
            bad.append(ascii(piece.strip()[:LONGEST_NAME])[1:-1])
    return good, bad


def path(x: Exchange) -> str:
    """Return the path that was asked for; never the query."""
    return request_target.sent(x.environ).partition("?")[0]


@attrs.frozen
class Phases:
    """When what began, in microseconds since 1970; nothing ends before it began."""

    begun: int
    access: int
    app: int
    header_filter: int
    body: int
    ended: int

    @classmethod
    def of(cls, x: Exchange, access_at: float, header_filter_at: float) -> Phases:
        """Put the clock of the server to times of its monotonic one; what did not happen took no time."""
        times = [x.begun]
        for at in (access_at, x.app_called, header_filter_at, x.first_byte):
            times.append(max(at or times[-1], times[-1]))
        times.append(max(x.ended, times[-1]))
        return cls(*(int((x.started + at - x.begun) * 1_000_000) for at in times))


@attrs.frozen
class Report:
    """Makes the spans of an exchange."""

    x: Exchange
    at: Phases
    local_name: str
    durations_as_tags: bool

    def request(self, name: str, span: Span, more: dict[str, str]) -> dict[str, object]:
        """Return the span of the whole request."""
        x, at = self.x, self.at
        consumer = x.consumer.id if x.consumer else ""
        tags = {
            "lc": "kong",
            "http.method": x.method,
            "http.host": x.host,
            "http.path": path(x),
            "http.protocol": str(x.environ.get("SERVER_PROTOCOL", "")),
            "http.status_code": str(x.status or 500),
            "kong.consumer": consumer,
            **more,
        }
        port = str(x.environ.get("REMOTE_PORT") or "")
        remote = _endpoint(None, str(x.client_ip or ""), int(port) if port.isdecimal() else None)
        described = self._span(span, name, "SERVER", at.begun, at.ended, tags, remote)
        return self._timed(described, [("rewrite", "kr", at.begun, at.access)])

    def proxy(self, name: str, span: Span, default_name: str | None) -> dict[str, object]:
        """Return the span of what was done with the request, from access on."""
        at, facts = self.at, self._facts()
        tries = self._tries()
        last = tries[-1] if tries else {}
        remote = None
        if self.x.route is not None:
            service = facts.get("name") or default_name
            remote = _endpoint(service, str(last.get("ip") or ""), last.get("port"))
        tags = {**self._scope(), "peer.hostname": str(facts.get("host") or "")}
        described = self._span(span, f"{name} (proxy)", "CLIENT", at.access, at.ended, tags, remote)
        return self._timed(
            described,
            [
                ("access", "ka", at.access, at.app),
                ("header_filter", "kh", at.header_filter, at.body),
                ("body_filter", "kb", at.body, at.ended),
            ],
        )

    def tries(self, name: str, parent: Span) -> Iterator[dict[str, object]]:
        """Yield a span for each time that the service was tried; all but the last failed."""
        tries = self._tries()
        for number, one in enumerate(tries, 1):
            tags = {"kong.balancer.try": str(number), **self._scope()}
            begun, ended = self.at.app, self.at.header_filter
            if "balancer_start" in one:
                begun = int(one["balancer_start"] * 1000)
                ended = begun + int((one.get("balancer_latency") or 0) * 1000)
            if number < len(tries) or one.get("state"):
                tags["error"] = "true"
                tags["kong.balancer.state"] = str(one.get("state") or "failed")
                tags["http.status_code"] = str(one.get("code") or "")
            remote = _endpoint(self._facts().get("name"), str(one.get("ip") or ""), one.get("port"))
            span = attrs.evolve(parent, span_id=secrets.token_hex(8), parent_id=parent.span_id)
            yield self._span(span, f"{name} (balancer try {number})", "CLIENT", begun, ended, tags, remote)

    def _tries(self) -> list[Facts]:
        return list(UpstreamRequest.of(self.x.environ).tries)

    def _facts(self) -> Facts:
        return self.x.service_facts or {"name": self.x.service}

    def _scope(self) -> dict[str, str]:
        x, facts = self.x, self._facts()
        if x.route is None:
            return {}
        return {
            "kong.route": x.route.id or x.route.name,
            "kong.route_name": x.route.name,
            "kong.service": str(facts.get("id") or facts.get("name") or ""),
            "kong.service_name": str(facts.get("name") or ""),
        }

    def _span(
        self,
        span: Span,
        name: str,
        kind: str,
        begun: int,
        ended: int,
        tags: dict[str, str],
        remote: dict[str, object] | None,
    ) -> dict[str, object]:
        fields: dict[str, object] = {
            "traceId": span.trace_id,
            "id": span.span_id,
            "name": name,
            "kind": kind,
            "timestamp": begun,
            "duration": max(0, ended - begun),
            "localEndpoint": {"serviceName": self.local_name},
            "remoteEndpoint": remote,
        }
        if span.parent_id:
            fields["parentId"] = span.parent_id
        kept = {key: value for key, value in tags.items() if value}
        return fields | ({"tags": kept} if kept else {})

    def _timed(self, fields: dict[str, Any], phases: list[tuple[str, str, int, int]]) -> dict[str, object]:
        """Say when phases began and ended, by annotations or by tags."""
        if self.durations_as_tags:
            tags = {f"kong.{name}.duration_ms": f"{(end - begin) / 1000:g}" for name, _, begin, end in phases}
            return {**fields, "tags": {**fields.get("tags", {}), **tags}}
        marks = ((f"{short}{mark}", at) for _, short, *both in phases for mark, at in zip("sf", both))
        return {**fields, "annotations": [{"value": value, "timestamp": at} for value, at in marks]}


def _endpoint(name: str | None, ip: str, port: int | None) -> dict[str, object] | None:
    if not name and not port:
        return None
    endpoint: dict[str, object] = {}
    if name:
        endpoint["serviceName"] = name
    try:
        endpoint[f"ipv{ip_address(ip).version}"] = ip
    except ValueError:
        pass  # a host's name
    return endpoint | ({"port": port} if port else {})
