"""Send exchanges as ALF 1.1.0, a JSON format like HAR, to a Galileo collector.

    plugins:
      - name: galileo
        config:
          service_token: ${GALILEO_TOKEN}
          host: collector.internal
          log_bodies: false

The client sees nothing of it: entries wait in a queue and are sent by a thread, up to ``queue_size`` in one
ALF. With ``log_bodies`` both bodies are recorded as they pass, up to 2 MiB each; a body that the app does not
read is not recorded.

Refuses nobody. Contract: Kong's galileo (``kong/plugins/galileo``, up to version 0.14), with credentials
redacted, the collector's certificate verified, and what waits sent when the worker ends.
"""

from __future__ import annotations

from typing import Final

from plugmw.contrib.galileo import log_format
from plugmw.kernel.exchange import Exchange
from plugmw.kernel.plugin import Plugin
from plugmw.schema import above, at_least, between, config, field
from plugmw.schema.fields import Port
from plugmw.telemetry.log_entry import one_line
from plugmw.telemetry.queue import Lost, Queue
from plugmw.telemetry.queue_config import QueueConfig
from plugmw.telemetry.queues import Queues
from plugmw.telemetry.reporting import HeaderNames, redact_headers, redact_query
from plugmw.telemetry.sinks.http import HTTP
from plugmw.wsgi.redaction import Redaction

#: Bytes of all entries that wait (``kong/plugins/galileo/buffer.lua``), and their number.
MAX_WAITING: Final = 200 * 1024 * 1024
MOST: Final = 1_000_000


@config
class Config:
    """Where to send, and whether with bodies."""

    service_token: str = field(help="The collector's token for this service.", secret=True)
    environment: str | None = field(None, help="Name of the environment; left out if not given.")
    log_bodies: bool = field(False, help="Whether both bodies are recorded.")
    host: str = field(help="Name or address of the collector.")
    port: Port = field(443, help="Port of the collector.")
    https: bool = field(True, help="Whether to use TLS.")
    https_verify: bool = field(True, help="Whether the collector's certificate is verified.")
    queue_size: int = field(1000, between(1, 1_000_000), help="Entries in one ALF.")
    flush_timeout: float = field(2, between(0, 3600), help="Seconds to wait for an ALF to fill.")
    retry_count: int = field(10, at_least(0), help="Tries of one ALF.")
    connection_timeout: float = field(30, above(0), help="Seconds to connect, to send and to read.")
    redact_headers: HeaderNames = redact_headers()
    redact_query: list[str] = redact_query()


class Galileo(Plugin[Config]):
    """Phases: access, body_filter, log."""

    name, priority, Config = "galileo", 3, Config
    needs_timings = True
    keeps_length = True

    def configure(self) -> None:
        self._redaction = Redaction.of(self.config.redact_headers, self.config.redact_query)

    def access(self, x: Exchange) -> None:
        if self.config.log_bodies:
            x.state(self)["bodies"] = asked, _ = log_format.Copy(), log_format.Copy()
            log_format.watch_request(x.environ, asked)

    def wants_body(self, x: Exchange) -> bool:
        return "bodies" in x.state(self)

    def body_filter(self, x: Exchange, chunk: bytes, eof: bool) -> bytes:
        x.state(self)["bodies"][1].add(chunk)
        return chunk

    def log(self, x: Exchange) -> None:
        bodies = x.state(self).pop("bodies", (None, None))
        entry = one_line(log_format.entry_of(x, self._redaction.within(x), *bodies)).encode("ascii")
        Queues.of(self.runtime).get(self, self._queue).put(entry, len(entry))

    def _queue(self) -> Queue:
        c = self.config
        host = f"[{c.host}]" if ":" in c.host else c.host
        url = f"{'https' if c.https else 'http'}://{host}:{c.port}/1.1.0/single"
        server = HTTP(
            *("POST", url, {"Content-Type": "application/json"}, c.connection_timeout),
            verify=c.https_verify,
            secrets=[c.service_token],
        )
        settings = QueueConfig(
            max_batch_size=c.queue_size,
            max_coalescing_delay=c.flush_timeout,
            max_entries=MOST,
            max_bytes=MAX_WAITING,
        )
        head = log_format.head_of(c.service_token, c.environment)

        def send(batch: list[bytes]) -> None:
            while batch:
                count = log_format.fitting(batch, log_format.MAX_ALF - len(head) - len(log_format.TAIL))
                if not count:
                    del batch[0]
                    raise Lost("ALF too large (> 20MB)", 1)
                status, told = server.send(head + b",".join(batch[:count]) + log_format.TAIL)
                answer = f"{server.name} returned status code {status} and body {told}"
                if status >= 500 or 300 <= status < 400:
                    raise OSError(answer)
                del batch[:count]
                if status >= 400:
                    raise Lost(f"ALF refused, {answer}", count)

        name = self.scope[0] or self.name
        queue = _Patient(name, settings, send, self.logger, close=server.close)
        queue.retry_count = c.retry_count
        return queue


class _Patient(Queue):
    """Waits 4, 9, 16 ... up to 60 seconds before another try, so many times."""

    retry_count = 10

    def pause(self, tries: int, begun: float) -> float | None:
        return None if tries + 1 >= self.retry_count else min(60.0, (tries + 2) ** 2)
