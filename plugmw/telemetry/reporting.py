"""Plugins that send the log entry somewhere: what they have in common.

A configuration class of such a plugin has ``custom_fields_by_lua``, ``redact_headers`` and ``redact_query``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar, Protocol, TypeVar

from plugmw.kernel.exchange import Exchange
from plugmw.kernel.plugin import Plugin
from plugmw.schema import field
from plugmw.schema.fields import HeaderName
from plugmw.telemetry.custom_fields import Fields, read_fields
from plugmw.telemetry.log_entry import MAX_LENGTH, encode, entry
from plugmw.telemetry.queue import Queue
from plugmw.telemetry.queue_config import QueueConfig
from plugmw.telemetry.queues import Queues
from plugmw.wsgi.redaction import Redaction

HeaderNames = list[HeaderName]


def redact_headers() -> Any:
    """Declare ``redact_headers`` in a configuration class."""
    text = "Headers of request and response whose values are left out, beside those that hold credentials."
    return field([], help=text)


def redact_query() -> Any:
    """Declare ``redact_query`` in a configuration class."""
    return field([], help="Query parameters whose values are left out, beside those that hold credentials.")


class Sink(Protocol):
    """What a queue sends by; see :mod:`plugmw.telemetry.sinks`."""

    def send(self, batch: list[bytes]) -> None:
        """Deliver the entries or raise, as :class:`plugmw.telemetry.queue.Queue` wants it."""

    def close(self) -> None:
        """Give back what is open."""


class ReportingConfig(Protocol):
    """The fields that configuration classes of plugins with log entries need."""

    @property
    def custom_fields_by_lua(self) -> Fields | None:
        """Fields of the entry to set, by path."""

    @property
    def redact_headers(self) -> Sequence[str]:
        """Names of headers whose values are left out."""

    @property
    def redact_query(self) -> Sequence[str]:
        """Names of query parameters whose values are left out."""


C = TypeVar("C", bound=ReportingConfig)


class Reporting(Plugin[C]):
    """A plugin that makes log entries. Nothing it does may delay or break the answer."""

    needs_timings = True

    def configure(self) -> None:
        self._custom = read_fields(self.config.custom_fields_by_lua)
        self._redaction = Redaction.of(self.config.redact_headers, self.config.redact_query)

    def line(self, x: Exchange, limit: int = MAX_LENGTH) -> bytes:
        """Return the entry as one line of JSON, without a newline; see ``log_entry.encode``."""
        return encode(entry(x, self._custom, self._redaction), limit).encode("ascii")


class Delivering(Reporting[C]):
    """A plugin with a queue of its own, whose sink takes what comes, in order, as long as there is room."""

    #: A sink that cannot be reached is tried for ever, while the oldest entries give way.
    settings: ClassVar[QueueConfig] = QueueConfig(
        max_batch_size=1000, max_coalescing_delay=0, max_retry_time=math.inf
    )

    def sink(self) -> Sink:
        """Return what the queue sends by; opens nothing."""
        raise NotImplementedError

    def put(self, data: bytes) -> None:
        """Queue something to be sent."""
        Queues.of(self.runtime).get(self, self._queue).put(data, len(data))

    def _queue(self) -> Queue:
        sink = self.sink()
        return Queue(self.scope[0] or self.name, self.settings, sink.send, self.logger, close=sink.close)
