"""Send counters and timers of each exchange to a StatsD server.

    plugins:
      - name: statsd
        config:
          host: 127.0.0.1
          prefix: shop
          tag_style: dogstatsd

Sends, after the response, one UDP datagram per metric (or several in one, or lines over TCP). A server
that is down or slow delays no request: lines wait in a bounded queue.

Fails open: metrics are lost, requests are served. Contract: Kong's statsd (``kong/plugins/statsd``), with
names and tag values cleaned, and with values really drawn for a sample rate below 1.
"""

from __future__ import annotations

import random
import re
import socket
from collections.abc import Iterator
from typing import Any, Final, Literal

from plugmw import record
from plugmw.delivery import Queue, QueueConfig
from plugmw.exchange import Exchange
from plugmw.fields import Port
from plugmw.plugin import Plugin
from plugmw.schema import above, between, config, each, field, matches
from plugmw.statsd_lines import TYPES, line, name_part, number, packets, send_tcp, send_udp, tag_value

Name = Literal[
    "request_count",
    "latency",
    "request_size",
    "status_count",
    "response_size",
    "unique_users",
    "request_per_user",
    "upstream_latency",
    "kong_latency",
    "status_count_per_user",
    "status_count_per_workspace",
    "status_count_per_user_per_route",
    "shdict_usage",
]
ConsumerIdentifier = Literal["consumer_id", "custom_id", "username"]
ServiceIdentifier = Literal["service_id", "service_name", "service_host", "service_name_or_host"]
WorkspaceIdentifier = Literal["workspace_id", "workspace_name"]


@config
class Metric:
    """One metric and how it is sent."""

    name: Name = field(help="What is measured.")
    stat_type: Literal["counter", "gauge", "histogram", "meter", "set", "timer"] = field(help="Its type.")
    sample_rate: float | None = field(None, above(0), help="Share of exchanges that are sent, 1 for all.")
    consumer_identifier: ConsumerIdentifier | None = field(None, help="What names the consumer.")
    service_identifier: ServiceIdentifier | None = field(None, help="What names the service.")
    workspace_identifier: WorkspaceIdentifier | None = field(None, help="What names the workspace.")

    def check(self) -> Iterator[Any]:
        if self.stat_type in ("counter", "gauge") and self.sample_rate is None:
            yield "sample_rate", f"missing, expected a number above 0 with stat_type {self.stat_type}"


def _metric(name: str, stat_type: str, rate: float | None = None) -> dict[str, Any]:
    return {"name": name, "stat_type": stat_type} | ({"sample_rate": rate} if rate else {})


#: The metrics that are sent unless others are configured, in the order of their lines.
DEFAULTS: Final = [
    _metric("request_count", "counter", 1),
    _metric("latency", "timer"),
    _metric("request_size", "counter", 1),
    _metric("status_count", "counter", 1),
    _metric("response_size", "counter", 1),
    _metric("unique_users", "set"),
    _metric("request_per_user", "counter", 1),
    _metric("upstream_latency", "timer"),
    _metric("kong_latency", "timer"),
    _metric("status_count_per_user", "counter", 1),
    _metric("status_count_per_workspace", "counter", 1),
    _metric("status_count_per_user_per_route", "counter", 1),
    _metric("shdict_usage", "gauge", 1),
]
_CODES: Final = matches(r"\d+-\d+", "ranges of status codes like 200-299")


@config
class Config:
    """Where metrics go and which."""

    host: str = field("localhost", help="Host of the StatsD server.")
    port: Port = field(8125, help="Its port.")
    prefix: str = field("kong", help="First part of every name.")
    metrics: list[Metric] | None = field(None, help="What is sent; the thirteen defaults if not given.")
    allow_status_codes: list[str] | None = field(
        None, each(_CODES), help="Ranges of response statuses that are reported; all if not given."
    )
    udp_packet_size: int = field(
        0, between(0, 65507), help="Bytes of a datagram with several lines; 0: one each."
    )
    use_tcp: bool = field(False, help="Send over TCP instead of UDP.")
    hostname_in_prefix: bool = field(False, help="Put `node.<hostname>` behind the prefix.")
    consumer_identifier_default: ConsumerIdentifier = field("custom_id", help="What names consumers.")
    service_identifier_default: ServiceIdentifier = field("service_name_or_host", help="What names services.")
    workspace_identifier_default: WorkspaceIdentifier = field("workspace_id", help="What names workspaces.")
    tag_style: Literal["dogstatsd", "influxdb", "librato", "signalfx"] | None = field(
        None, help="Send scope, status and consumer as tags in this style instead of in the name."
    )
    queue: QueueConfig = field({}, help="How lines wait and are sent.")


#: Metrics that carry tags; with a tag_style only these are sent.
TAGGED: Final = {
    *("request_count", "latency", "request_size", "response_size", "upstream_latency", "kong_latency"),
}
#: Metrics with a value of their own: the end of their name, and where the value is in the log entry.
VALUES: Final = {
    "request_count": ("request.count", None),
    "latency": ("latency", ("latencies", "request")),
    "request_size": ("request.size", ("request", "size")),
    "response_size": ("response.size", ("response", "size")),
    "upstream_latency": ("upstream_latency", ("latencies", "proxy")),
    "kong_latency": ("kong_latency", ("latencies", "kong")),
}
_HOST_DOTS: Final = re.compile(r"\.")


class StatsD(Plugin):
    """Phases: log."""

    name, priority, Config = "statsd", 11, Config
    measures = True

    def configure(self) -> None:
        config = self.config
        given = config.metrics if config.metrics is not None else [Metric(**one) for one in DEFAULTS]
        self._metrics = given
        node = _HOST_DOTS.sub("_", socket.gethostname())
        in_prefix = config.hostname_in_prefix and config.tag_style is None
        self._prefix = f"{config.prefix}.node.{node}" if in_prefix else config.prefix
        self._node = tag_value(node)
        codes = config.allow_status_codes
        self._codes = None if codes is None else [tuple(map(int, code.split("-"))) for code in codes]

    def log(self, x: Exchange) -> None:
        status = x.status
        if self._codes is not None and not any(low <= status <= high for low, high in self._codes):
            return
        lines = list(self._lines(x, record.entry(x)))
        if lines:
            self._queue().put(lines, sum(map(len, lines)))

    def _queue(self) -> Queue:
        key = (self.name, id(self))
        return self.runtime.queues.get(
            key, lambda: Queue(self.name, self.config.queue, self._send, self.logger)
        )

    def _send(self, batch: list[Any]) -> None:
        """Send the lines of a batch of exchanges; OSError when the server cannot be found or reached."""
        config = self.config
        lines = [text for lines in batch for text in lines]
        if config.use_tcp:
            send_tcp(config.host, config.port, lines, self.logger)
        else:
            send_udp(config.host, config.port, packets(lines, config.udp_packet_size), self.logger)

    # -- lines --------------------------------------------------------------------------------------

    def _lines(self, x: Exchange, entry: dict[str, Any]) -> Iterator[str]:
        draw = random.random()  # noqa: S311 (sampling, no secret)
        for metric in self._metrics:
            rate = metric.sample_rate
            if rate is not None and rate < 1 and draw >= rate:
                continue
            if self.config.tag_style is not None:
                yield from self._tagged(x, metric, entry)
            else:
                yield from self._plain(x, metric, entry)

    def _tagged(self, x: Exchange, metric: Any, entry: dict[str, Any]) -> Iterator[str]:
        if metric.name not in TAGGED:
            return
        value = _value(metric.name, entry)
        if value is not None:
            tags = self._tags(x, metric, entry)
            name = f"{self._prefix}.{VALUES[metric.name][0]}"
            kind = TYPES[metric.stat_type]
            yield line(name, number(value), kind, metric.sample_rate, tags, self.config.tag_style)

    def _tags(self, x: Exchange, metric: Any, entry: dict[str, Any]) -> dict[str, str]:
        """Return the tags of a line, none without a service."""
        if not x.service:
            return {}
        route = entry.get("route") or {}
        tags = {
            "service": self._service(x, metric),
            "route": route.get("name") or route.get("id"),
            "consumer": self._consumer(x, metric),
            "node": self._node,
            "status": str(entry["response"]["status"]),
        }
        return {name: tag_value(str(value)) for name, value in tags.items() if value}

    def _plain(self, x: Exchange, metric: Any, entry: dict[str, Any]) -> Iterator[str]:
        found = self._named(x, metric, entry)
        if found is not None:
            name, value, kind = found
            yield line(f"{self._prefix}.{name}", value, kind, metric.sample_rate)

    def _named(self, x: Exchange, metric: Any, entry: dict[str, Any]) -> tuple[str, str, str] | None:
        """Return a metric's name behind the prefix, its value and type; None if it is not sent now."""
        scope, kind = self._scope(x, metric), TYPES[metric.stat_type]
        status = entry["response"]["status"]
        if metric.name in VALUES:
            value = _value(metric.name, entry)
            return None if value is None else (f"{scope}.{VALUES[metric.name][0]}", number(value), kind)
        if metric.name == "status_count":
            return f"{scope}.status.{status}", "1", kind
        if metric.name in ("status_count_per_workspace", "shdict_usage"):
            return None  # there are no workspaces and no shared dictionaries here
        user = name_part(self._consumer(x, metric) or "")
        if not user:
            return None
        if metric.name == "unique_users":
            return f"{scope}.user.uniques", user, "s"
        if metric.name == "request_per_user":
            return f"{scope}.user.{user}.request.count", "1", kind
        if metric.name == "status_count_per_user":
            return f"{scope}.user.{user}.status.{status}", "1", kind
        route = entry.get("route")
        return (
            (f"route.{name_part(str(route['id']))}.user.{user}.status.{status}", "1", kind) if route else None
        )

    def _scope(self, x: Exchange, metric: Any) -> str:
        if not x.service:
            return "global.unmatched"
        return f"service.{name_part(self._service(x, metric) or 'unnamed')}"

    def _service(self, x: Exchange, metric: Any) -> str | None:
        facts = x.service_facts or {"name": x.service}
        wanted = metric.service_identifier or self.config.service_identifier_default
        if wanted == "service_name_or_host":
            return facts.get("name") or facts.get("host")
        found: str | None = facts.get(wanted.removeprefix("service_"))
        return found

    def _consumer(self, x: Exchange, metric: Any) -> str | None:
        if x.consumer is None:
            return None
        wanted = metric.consumer_identifier or self.config.consumer_identifier_default
        found: str | None = getattr(x.consumer, "id" if wanted == "consumer_id" else wanted)
        return found


def _value(name: str, entry: dict[str, Any]) -> int | None:
    """Return a metric's value; None for the upstream latency of what was not proxied."""
    path = VALUES[name][1]
    if path is None:
        return 1
    value = int(entry[path[0]][path[1]])
    return None if name == "upstream_latency" and value < 0 else value
