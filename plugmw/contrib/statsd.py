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

import socket
from collections.abc import Iterator
from typing import Final, Literal

from plugmw.kernel.exchange import Exchange
from plugmw.schema import Finding, above, between, config, each, field, matches
from plugmw.schema.fields import Port
from plugmw.telemetry import log_entry
from plugmw.telemetry.queue_config import QueueConfig
from plugmw.telemetry.reporting import Sink
from plugmw.telemetry.sinks.datagrams import UDP
from plugmw.telemetry.sinks.tcp import Lines
from plugmw.telemetry.statsd_lines import (
    FLUSH_TIMEOUT,
    NO_RETRY_COUNT,
    QUEUE_SIZE,
    TYPES,
    VALUES,
    Measuring,
    drawn,
    identified,
    line,
    name_part,
    number,
    old_field,
    packets,
    tag_value,
    value_of,
)

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

    def check(self) -> Iterator[Finding]:
        if self.stat_type in ("counter", "gauge") and self.sample_rate is None:
            yield "sample_rate", f"missing, expected a number above 0 with stat_type {self.stat_type}"


def _metric(name: str, stat_type: str, rate: float | None = None) -> dict[str, object]:
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
    metrics: list[Metric] = field(DEFAULTS, help="What is sent.")
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
    queue: QueueConfig = field(QueueConfig(), help="How the lines of an exchange wait and are sent.")
    retry_count: int | None = old_field(NO_RETRY_COUNT)
    queue_size: int | None = old_field(*QUEUE_SIZE)
    flush_timeout: float | None = old_field(*FLUSH_TIMEOUT)


#: Seconds a TCP connection may take to open and to send (Kong's ``statsd_logger.lua``), and to be idle.
TIMEOUT: Final = 1.0
KEEPALIVE: Final = 60.0


class StatsD(Measuring[Config]):
    """Phases: log."""

    name, priority, Config = "statsd", 11, Config

    def configure(self) -> None:
        super().configure()
        config = self.config
        self._node = name_part(socket.gethostname())
        in_prefix = config.hostname_in_prefix and config.tag_style is None
        self._prefix = f"{config.prefix}.node.{self._node}" if in_prefix else config.prefix
        codes = config.allow_status_codes
        self._codes = None if codes is None else [tuple(map(int, code.split("-"))) for code in codes]

    # -- sending ------------------------------------------------------------------------------------

    def sink(self) -> Sink:
        config = self.config
        if config.use_tcp:
            return Lines(config.host, config.port, TIMEOUT, KEEPALIVE)
        return UDP(config.host, config.port)

    def send(self, sink: Sink, batch: list[list[bytes]]) -> None:
        """Send a batch; with TCP what was sent is taken off, so that a failure repeats only the rest."""
        if self.config.use_tcp:
            while batch:
                self.give(sink, batch[0])
                del batch[0]
        else:
            size = self.config.udp_packet_size
            datagrams = list(packets((text for lines in batch for text in lines), size))
            longest = max(map(len, datagrams))
            if longest > size > 0:
                self.logger.warning("statsd: a line of %d bytes exceeds udp_packet_size (%d)", longest, size)
            self.give(sink, datagrams)

    # -- lines --------------------------------------------------------------------------------------

    def lines(self, x: Exchange) -> Iterator[str]:
        status = x.status or 500
        if self._codes is not None and not any(low <= status <= high for low, high in self._codes):
            return
        entry = log_entry.entry(x)
        make = self._plain if self.config.tag_style is None else self._tagged
        end = "\n" if self.config.use_tcp else ""
        for metric in drawn(self.config.metrics):
            text = make(x, metric, entry)
            if text is not None:
                yield text + end

    def _tagged(self, x: Exchange, metric: Metric, entry: log_entry.LogEntry) -> str | None:
        value = value_of(metric.name, entry) if metric.name in VALUES else None
        if value is None:
            return None
        name = f"{self._prefix}.{VALUES[metric.name][0]}"
        tags = self._tags(x, metric, entry)
        kind = TYPES[metric.stat_type]
        return line(name, number(value), kind, metric.sample_rate, tags, self.config.tag_style)

    def _tags(self, x: Exchange, metric: Metric, entry: log_entry.LogEntry) -> dict[str, str]:
        """Return the tags of a line, none without a service."""
        if not x.service:
            return {}
        tags = {
            "service": self._service(x, metric),
            "route": entry["route"].get("name") or entry["route"]["id"],
            "workspace": self._workspace(metric, entry),
            "consumer": self._consumer(x, metric),
            "node": self._node,
            "status": str(entry["response"]["status"]),
        }
        return {name: tag_value(str(value)) for name, value in tags.items() if value}

    def _plain(self, x: Exchange, metric: Metric, entry: log_entry.LogEntry) -> str | None:
        measured = self._named(x, metric, entry)
        if measured is None:
            return None
        name, value = measured
        # A set stays one, whatever was configured, as in Kong.
        kind = "s" if metric.name == "unique_users" else TYPES[metric.stat_type]
        return line(f"{self._prefix}.{name}", value, kind, metric.sample_rate)

    def _named(self, x: Exchange, metric: Metric, entry: log_entry.LogEntry) -> tuple[str, str] | None:
        """Return a metric's name behind the prefix, and its value; None if it is not sent now."""
        scope, status = self._scope(x, metric), entry["response"]["status"]
        if metric.name in VALUES:
            value = value_of(metric.name, entry)
            return None if value is None else (f"{scope}.{VALUES[metric.name][0]}", number(value))
        if metric.name == "status_count":
            return f"{scope}.status.{status}", "1"
        if metric.name == "shdict_usage":
            return None  # there are no shared dictionaries here
        if metric.name == "status_count_per_workspace":
            workspace = self._workspace(metric, entry)
            return (
                (f"{scope}.workspace.{name_part(str(workspace))}.status.{status}", "1") if workspace else None
            )
        user = name_part(self._consumer(x, metric) or "")
        if not user:
            return None
        if metric.name == "unique_users":
            return f"{scope}.user.uniques", user
        if metric.name == "request_per_user":
            return f"{scope}.user.{user}.request.count", "1"
        if metric.name == "status_count_per_user":
            return f"{scope}.user.{user}.status.{status}", "1"
        route = entry.get("route")
        return (f"route.{name_part(str(route['id']))}.user.{user}.status.{status}", "1") if route else None

    def _scope(self, x: Exchange, metric: Metric) -> str:
        if not x.service:
            return "global.unmatched"
        return f"service.{name_part(self._service(x, metric) or 'unnamed')}"

    def _service(self, x: Exchange, metric: Metric) -> str | None:
        facts = x.service_facts or {"name": x.service}
        wanted = metric.service_identifier or self.config.service_identifier_default
        if wanted == "service_name_or_host":
            return facts.get("name") or facts.get("host")
        found: str | None = facts.get(wanted.removeprefix("service_"))
        return found

    def _consumer(self, x: Exchange, metric: Metric) -> str | None:
        return identified(x, metric.consumer_identifier or self.config.consumer_identifier_default)

    def _workspace(self, metric: Metric, entry: log_entry.LogEntry) -> object:
        """Return what names the workspace; there is none unless a plugin puts it into the log entry."""
        wanted = metric.workspace_identifier or self.config.workspace_identifier_default
        return entry.get("workspace" if wanted == "workspace_id" else "workspace_name")
