"""Send metrics of each exchange to a Datadog agent, by DogStatsD.

    plugins:
      - name: datadog
        config:
          host: 127.0.0.1
          prefix: shop

Sends, after the response, one UDP datagram per metric, tagged by service, status and consumer. An agent
that is away delays no request: lines wait in a bounded queue.

Fails open: metrics are lost, requests are served. Contract: Kong's datadog (``kong/plugins/datadog``), with
tag values cleaned, values drawn for a sample rate below 1, and no upstream latency of -1.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final, Literal

from plugmw.errors import ConfigError
from plugmw.kernel.exchange import Exchange
from plugmw.schema import Finding, between, config, each, field, matches
from plugmw.schema.fields import Port
from plugmw.telemetry import log_entry
from plugmw.telemetry.queue_config import QueueConfig
from plugmw.telemetry.sinks.datagrams import UDP
from plugmw.telemetry.statsd_lines import (
    FLUSH_TIMEOUT,
    NO_RETRY_COUNT,
    QUEUE_SIZE,
    TYPES,
    VALUES,
    Measuring,
    drawn,
    identified,
    number,
    old_field,
    tag_value,
    value_of,
)

_TAG: Final = matches(r"[^,|#\x00-\x1f\x7f]*[^:,|#\x00-\x1f\x7f]", "tags like K:V, not ending in a colon")


@config
class Metric:
    """One metric and how it is sent."""

    name: Literal[
        "request_count", "latency", "request_size", "response_size", "upstream_latency", "kong_latency"
    ] = field(help="What is measured.")
    stat_type: Literal["counter", "gauge", "histogram", "meter", "set", "timer", "distribution"] = field(
        help="Its type."
    )
    sample_rate: float | None = field(
        None, between(0, 1), help="Share of exchanges that are sent, 1 for all."
    )
    tags: list[str] = field([], each(_TAG), help="Tags that every line of the metric carries.")
    consumer_identifier: Literal["consumer_id", "custom_id", "username"] | None = field(
        None, help="What names the consumer; no consumer tag if not given."
    )

    def check(self) -> Iterator[Finding]:
        if self.stat_type in ("counter", "gauge") and self.sample_rate is None:
            yield "sample_rate", f"missing, expected a number from 0 to 1 with stat_type {self.stat_type}"


def _metric(name: str, stat_type: str, rate: float | None = None) -> dict[str, object]:
    metric = {"name": name, "stat_type": stat_type, "tags": ["app:kong"], "consumer_identifier": "custom_id"}
    return metric | ({"sample_rate": rate} if rate else {})


DEFAULTS: Final = [
    _metric("request_count", "counter", 1),
    _metric("latency", "timer"),
    _metric("request_size", "timer"),
    _metric("response_size", "timer"),
    _metric("upstream_latency", "timer"),
    _metric("kong_latency", "timer"),
]


@config
class Config:
    """Where metrics go and which."""

    host: str | None = field(
        "localhost", help="Host of the agent; null takes KONG_DATADOG_AGENT_HOST from the environment."
    )
    port: Port | None = field(8125, help="Its port; null takes KONG_DATADOG_AGENT_PORT from the environment.")
    prefix: str = field("kong", help="First part of every name.")
    service_name_tag: str = field("name", help="Name of the tag that holds the service.")
    status_tag: str = field("status", help="Name of the tag that holds the response's status.")
    consumer_tag: str = field("consumer", help="Name of the tag that holds the consumer.")
    metrics: list[Metric] = field(DEFAULTS, help="What is sent.")
    queue: QueueConfig = field(QueueConfig(), help="How the lines of an exchange wait and are sent.")
    retry_count: int | None = old_field(NO_RETRY_COUNT)
    queue_size: int | None = old_field(*QUEUE_SIZE)
    flush_timeout: float | None = old_field(*FLUSH_TIMEOUT)


class Datadog(Measuring[Config]):
    """Phases: log."""

    name, priority, Config = "datadog", 10, Config

    def configure(self) -> None:
        super().configure()
        self._host = self.config.host or os.environ.get("KONG_DATADOG_AGENT_HOST", "")
        if not self._host:
            raise ConfigError("host", "is null and KONG_DATADOG_AGENT_HOST is not set", "a host")
        port = self.config.port
        self._port: int = _told_port() if port is None else port

    def sink(self) -> UDP:
        return UDP(self._host, self._port)

    def lines(self, x: Exchange) -> Iterator[str]:
        entry = log_entry.entry(x)
        for metric in drawn(self.config.metrics):
            value = value_of(metric.name, entry)
            if value is None:
                continue
            rate = metric.sample_rate
            sampled = "" if rate is None or rate == 1 else f"|@{number(rate)}"
            name = f"{self.config.prefix}.{VALUES[metric.name][0]}"
            tags = ",".join(self._tags(x, metric, entry))
            yield f"{name}:{value}|{TYPES[metric.stat_type]}{sampled}|#{tags}"

    def _tags(self, x: Exchange, metric: Metric, entry: log_entry.LogEntry) -> Iterator[str]:
        """Yield the tags in Kong's order: service, status, consumer, then the metric's own."""
        config = self.config
        facts = x.service_facts or {"name": x.service}
        service = str(facts.get("name") or facts.get("host") or "").replace(".", "_")
        yield f"{config.service_name_tag}:{tag_value(service)}"
        yield f"{config.status_tag}:{entry['response']['status']}"
        wanted = metric.consumer_identifier
        consumer = identified(x, wanted) if wanted else None
        if consumer:
            shown = consumer.replace("-", "_") if wanted == "consumer_id" else consumer
            yield f"{config.consumer_tag}:{tag_value(shown)}"
        yield from metric.tags


def _told_port() -> int:
    text = os.environ.get("KONG_DATADOG_AGENT_PORT", "8125")
    if not (text.isascii() and text.isdigit() and int(text) <= 65535):
        raise ConfigError("port", f"got {text!r} from KONG_DATADOG_AGENT_PORT", "a port from 0 to 65535")
    return int(text)
