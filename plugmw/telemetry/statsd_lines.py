"""Lines in StatsD's format, and plugins that send some for each exchange.

A line is ``name:value|type[|@rate]``, with tags in one of four styles. Nothing that comes from a request
can forge a line: parts of names and tag values lose every character that means something to a parser.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Protocol, TypeVar

from plugmw.concurrency.throttle import Throttle
from plugmw.events import QUEUE_DROPPED
from plugmw.kernel.exchange import Exchange
from plugmw.kernel.plugin import Plugin
from plugmw.schema import Check, as_dict, between, field
from plugmw.telemetry.log_entry import LogEntry
from plugmw.telemetry.queue import Lost, Queue
from plugmw.telemetry.queue_config import QueueConfig
from plugmw.telemetry.queues import Queues
from plugmw.telemetry.reporting import Sink

#: Spelled-out metric types to what stands on the line.
TYPES: Final = {
    "counter": "c",
    "gauge": "g",
    "histogram": "h",
    "meter": "m",
    "set": "s",
    "timer": "ms",
    "distribution": "d",
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
#: Characters of a part of a name, and of a tag's value.
LONGEST: Final = 200
_NOT_NAME: Final = re.compile(r"[^A-Za-z0-9_-]")
_NOT_TAG: Final = re.compile(r"[,|:#\[\]=\x00-\x20\x7f-\xa0\u2028\u2029]")


def name_part(text: str) -> str:
    """Return ``text`` as one part of a metric's name: letters, digits, ``_`` and ``-`` only."""
    return _NOT_NAME.sub("_", text[:LONGEST])


def tag_value(text: str) -> str:
    """Return ``text`` as a tag's value: without separators, blanks and control characters."""
    return _NOT_TAG.sub("_", text[:LONGEST])


def number(value: float) -> str:
    """Write a value as a plain decimal, never ``1e-05``."""
    return str(value) if isinstance(value, int) else f"{value:.12f}".rstrip("0").rstrip(".")


def line(
    name: str,
    value: str,
    kind: str,
    rate: float | None = None,
    tags: Mapping[str, str] | None = None,
    style: str | None = None,
) -> str:
    """Return one line; ``kind`` is the short type, ``tags`` are clean already."""
    sampled = "" if rate is None or rate == 1 else f"|@{number(rate)}"
    if not tags or style is None:
        return f"{name}:{value}|{kind}{sampled}"
    if style == "dogstatsd":
        return f"{name}:{value}|{kind}{sampled}|#{','.join(f'{k}:{v}' for k, v in tags.items())}"
    pairs = ",".join(f"{k}={v}" for k, v in tags.items())
    opening, closing = {"influxdb": (",", ""), "librato": ("#", ""), "signalfx": ("[", "]")}[style]
    return f"{name}{opening}{pairs}{closing}:{value}|{kind}{sampled}"


class Sampled(Protocol):
    """A metric that may be sent for a part of the exchanges only."""

    @property
    def sample_rate(self) -> float | None:
        """The part, above 0 to 1."""


M = TypeVar("M", bound=Sampled)


def value_of(metric: str, entry: LogEntry) -> int | None:
    """Return the value of a metric of :data:`VALUES`; None for the upstream latency of an exit."""
    path = VALUES[metric][1]
    value = 1 if path is None else int(entry[path[0]][path[1]])
    return value if value >= 0 else None


def drawn(metrics: Iterable[M]) -> Iterator[M]:
    """Yield the metrics that are sent this time, by one draw for all their ``sample_rate``."""
    draw = random.random()  # noqa: S311 (sampling, no secret)
    return (metric for metric in metrics if metric.sample_rate is None or draw < metric.sample_rate)


def identified(x: Exchange, identifier: str) -> str | None:
    """Return what names the consumer: ``consumer_id``, ``custom_id`` or ``username``."""
    name = "id" if identifier == "consumer_id" else identifier
    return None if x.consumer is None else getattr(x.consumer, name)


def packets(lines: Iterable[bytes], size: int) -> Iterator[bytes]:
    """Join lines by line ends into datagrams of at most ``size`` bytes; 0 gives one line each.

    A line that is longer by itself goes alone.
    """
    waiting = b""
    for text in lines:
        if waiting and len(waiting) + 1 + len(text) <= size:
            waiting += b"\n" + text
        else:
            if waiting:
                yield waiting
            waiting = text
    if waiting:
        yield waiting


# -- plugins that send lines -----------------------------------------------------------------------------


def old_field(now: str, *checks: Check) -> Any:
    """Declare ``retry_count``, ``queue_size`` or ``flush_timeout`` in a configuration class."""
    return field(None, *checks, help=f"Of older versions; {now}.")


NO_RETRY_COUNT: Final = "does nothing"
QUEUE_SIZE: Final = "now `queue.max_batch_size`", between(1, 1_000_000)
FLUSH_TIMEOUT: Final = "now `queue.max_coalescing_delay`", between(0, 3600)


class MeasuringConfig(Protocol):
    """The fields that configuration classes of plugins with metrics need."""

    @property
    def queue(self) -> QueueConfig:
        """How the lines of an exchange wait."""

    @property
    def retry_count(self) -> int | None:
        """Of older versions."""

    @property
    def queue_size(self) -> int | None:
        """Of older versions."""

    @property
    def flush_timeout(self) -> float | None:
        """Of older versions."""


C = TypeVar("C", bound=MeasuringConfig)


class Measuring(Plugin[C]):
    """A plugin that sends lines for each exchange from a queue of its own. It delays and breaks no answer.

    Its configuration has ``queue`` and the three :func:`old_field`.
    """

    needs_timings = True

    def lines(self, x: Exchange) -> Iterable[str]:
        """Return the lines of an exchange. Phase: log."""
        raise NotImplementedError

    def sink(self) -> Sink:
        """Return what the queue sends by; opens nothing."""
        raise NotImplementedError

    def send(self, sink: Sink, batch: list[list[bytes]]) -> None:
        """Send the lines of a batch of exchanges; OSError, before any was sent, for an unknown host."""
        self.give(sink, [line for lines in batch for line in lines])

    def configure(self) -> None:
        config = self.config
        self._failing = Throttle()
        changed: dict[str, object] = {}
        # Unless they have their old defaults, as in Kong.
        if config.queue_size not in (None, 1):
            changed["max_batch_size"] = config.queue_size
        if config.flush_timeout not in (None, 2):
            changed["max_coalescing_delay"] = config.flush_timeout
        self._settings = QueueConfig(**as_dict(config.queue) | changed)
        old = ("retry_count", "queue_size", "flush_timeout")
        if any(getattr(config, name) is not None for name in old):
            self.logger.warning("%s: %s are of older versions, use queue", self.name, ", ".join(old))

    def log(self, x: Exchange) -> None:
        lines = [text.encode("utf-8", "replace") for text in self.lines(x)]
        if lines:
            Queues.of(self.runtime).get(self, self._queue).put(lines, sum(map(len, lines)))

    def _queue(self) -> Queue:
        sink = self.sink()
        return Queue(
            self.scope[0] or self.name,
            self._settings,
            lambda batch: self.send(sink, batch),
            self.logger,
            close=sink.close,
        )

    def give(self, sink: Sink, entries: list[bytes]) -> None:
        """Hand entries to a sink; what it loses is logged and forgotten: to repeat it would count twice."""
        while entries:
            try:
                sink.send(entries)
            except Lost as error:
                self.runtime.events.count(QUEUE_DROPPED, self.name, error.count)
                if self._failing():
                    self.logger.error("%s: %s", self.name, error)
            else:
                return
