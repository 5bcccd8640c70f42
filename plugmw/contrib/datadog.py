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
import random
from collections.abc import Iterator
from typing import Any, Final, Literal

from plugmw import record
from plugmw.delivery import Queue, QueueConfig
from plugmw.errors import ConfigError
from plugmw.exchange import Exchange
from plugmw.fields import Port
from plugmw.plugin import Plugin
from plugmw.schema import between, config, each, field, matches
from plugmw.statsd_lines import TYPES, number, send_udp, tag_value

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

    def check(self) -> Iterator[Any]:
        if self.stat_type in ("counter", "gauge") and self.sample_rate is None:
            yield "sample_rate", f"missing, expected a number from 0 to 1 with stat_type {self.stat_type}"


def _metric(name: str, stat_type: str, rate: float | None = None) -> dict[str, Any]:
    made = {"name": name, "stat_type": stat_type, "tags": ["app:kong"], "consumer_identifier": "custom_id"}
    return made | ({"sample_rate": rate} if rate else {})


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
    queue: QueueConfig = field({}, help="How lines wait and are sent.")


#: Metric names on the line, and where their values are in the log entry.
VALUES: Final = {
    "request_count": ("request.count", None),
    "latency": ("latency", ("latencies", "request")),
    "request_size": ("request.size", ("request", "size")),
    "response_size": ("response.size", ("response", "size")),
    "upstream_latency": ("upstream_latency", ("latencies", "proxy")),
    "kong_latency": ("kong_latency", ("latencies", "kong")),
}


class Datadog(Plugin):
    """Phases: log."""

    name, priority, Config = "datadog", 10, Config
    measures = True

    def configure(self) -> None:
        self._host = self.config.host or os.environ.get("KONG_DATADOG_AGENT_HOST", "")
        port = self.config.port
        told = os.environ.get("KONG_DATADOG_AGENT_PORT", "8125")
        if not self._host:
            raise ConfigError("host", "is null and KONG_DATADOG_AGENT_HOST is not set", "a host")
        if port is None and not (told.isascii() and told.isdigit() and int(told) <= 65535):
            raise ConfigError("port", f"got {told!r} from KONG_DATADOG_AGENT_PORT", "a port from 0 to 65535")
        self._port = int(told) if port is None else port

    def log(self, x: Exchange) -> None:
        lines = list(self._lines(x, record.entry(x)))
        if lines:
            self._queue().put(lines, sum(map(len, lines)))

    def _queue(self) -> Queue:
        key = (self.name, id(self))
        return self.runtime.queues.get(
            key, lambda: Queue(self.name, self.config.queue, self._send, self.logger)
        )

    def _send(self, batch: list[Any]) -> None:
        """Send the lines of a batch of exchanges, a datagram each; OSError for an unknown host."""
        send_udp(self._host, self._port, (text for lines in batch for text in lines), self.logger)

    def _lines(self, x: Exchange, entry: dict[str, Any]) -> Iterator[str]:
        draw = random.random()  # noqa: S311 (sampling, no secret)
        for metric in self.config.metrics:
            rate = metric.sample_rate
            if rate is not None and rate < 1 and draw >= rate:
                continue
            name, path = VALUES[metric.name]
            value = 1 if path is None else int(entry[path[0]][path[1]])
            if value < 0:
                continue  # the upstream latency of what was not proxied
            sampled = "" if rate is None or rate == 1 else f"|@{number(rate)}"
            tags = ",".join(self._tags(x, metric, entry))
            yield f"{self.config.prefix}.{name}:{value}|{TYPES[metric.stat_type]}{sampled}|#{tags}"

    def _tags(self, x: Exchange, metric: Any, entry: dict[str, Any]) -> Iterator[str]:
        """Yield the tags in Kong's order: service, status, consumer, then the metric's own."""
        config = self.config
        facts = x.service_facts or {"name": x.service}
        service = str(facts.get("name") or facts.get("host") or "").replace(".", "_")
        yield f"{config.service_name_tag}:{tag_value(service)}"
        yield f"{config.status_tag}:{entry['response']['status'] or '-'}"
        consumer = self._consumer(x, metric)
        if consumer:
            yield f"{config.consumer_tag}:{tag_value(consumer)}"
        yield from metric.tags

    def _consumer(self, x: Exchange, metric: Any) -> str | None:
        if x.consumer is None or metric.consumer_identifier is None:
            return None
        if metric.consumer_identifier == "consumer_id":
            return x.consumer.id.replace("-", "_")
        found: str | None = getattr(x.consumer, metric.consumer_identifier)
        return found
