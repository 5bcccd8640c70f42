"""Send the log entry of every exchange to an HTTP server, in batches if wanted.

    plugins:
      - name: http-log
        config:
          http_endpoint: https://logs.internal/shop
          headers:
            X-Token: ${LOG_TOKEN}
          queue:
            max_batch_size: 100

The client sees nothing of it: entries wait in a queue and are sent by a thread, one JSON object per request,
or an array with ``max_batch_size`` above 1. An answer of 300 or more is a failure; the request is repeated
with growing pauses. When the queue is full the oldest entries give way.

Refuses nobody. Contract: Kong's http-log (``kong/plugins/http-log``), with the server's certificate verified
and with a queue for each set of ``headers``.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Final, Literal
from urllib.parse import urlsplit, urlunsplit

from plugmw.kernel.exchange import Exchange
from plugmw.schema import Finding, above, as_dict, at_least, between, config, field
from plugmw.schema.fields import URL
from plugmw.telemetry.custom_fields import Fields, custom_fields
from plugmw.telemetry.queue import Queue
from plugmw.telemetry.queue_config import QueueConfig
from plugmw.telemetry.queues import Queues
from plugmw.telemetry.reporting import HeaderNames, Reporting, redact_headers, redact_query
from plugmw.telemetry.sinks.http import HTTP
from plugmw.wsgi.answer import check_header

_OLD: Final = ("retry_count", "queue_size", "flush_timeout")
_OURS: Final = {"host": "Host", "content-length": "Content-Length", "content-type": "Content-Type"}


@config
class Config:
    """Where to send, how, and what."""

    http_endpoint: URL = field(help="The server; `user:password@` in it becomes basic auth.", secret=True)
    method: Literal["POST", "PUT", "PATCH"] = field("POST", help="Method of the requests.")
    content_type: Literal["application/json", "application/json; charset=utf-8"] = field(
        "application/json", help="Content-Type of the requests."
    )
    timeout: float = field(10_000, above(0), help="Milliseconds to connect, to send and to read.")
    keepalive: float = field(60_000, at_least(0), help="Milliseconds after which an idle connection is left.")
    headers: dict[str, str] = field({}, empty=True, secret=True, help="More headers of the requests.")
    queue: QueueConfig = field(QueueConfig(), help="How entries wait and are sent.")
    tls_verify: bool = field(True, help="Whether the server's certificate is verified.")
    tls_ca_file: str | None = field(None, help="CA certificates to verify with, instead of the usual ones.")
    custom_fields_by_lua: Fields | None = custom_fields()
    redact_headers: HeaderNames = redact_headers()
    redact_query: list[str] = redact_query()
    retry_count: int | None = field(None, help="Of older versions; does nothing.")
    queue_size: int | None = field(
        None, between(1, 1_000_000), help="Older spelling of `queue.max_batch_size`."
    )
    flush_timeout: float | None = field(
        None, between(0, 3600), help="Older spelling of `queue.max_coalescing_delay`."
    )

    def check(self) -> Iterator[Finding]:
        for name, value in self.headers.items():
            if name.lower() in _OURS:
                yield "headers", f"cannot contain '{_OURS[name.lower()]}' header"
            elif not value:
                yield f"headers.{name}", "length must be at least 1"
            else:
                try:
                    check_header(name, value)
                except ValueError as error:
                    yield "headers", str(error)
        if "@" in urlsplit(self.http_endpoint).netloc and "authorization" in map(str.lower, self.headers):
            yield "specifying both an 'Authorization' header and user info in 'http_endpoint' is not allowed"


class HTTPLog(Reporting[Config]):
    """Phases: log."""

    name, priority, Config = "http-log", 12, Config

    def configure(self) -> None:
        super().configure()
        c = self.config
        self._url, headers = split(c.http_endpoint)
        self._headers = {**c.headers, "Content-Type": c.content_type, **headers}
        self._settings = settings(c)
        self._verify: bool | str = c.tls_ca_file if c.tls_verify and c.tls_ca_file else c.tls_verify
        self._key: tuple[object, ...] = (
            *("http-log", self._url, c.method, c.timeout, c.keepalive, self._verify),
            *(tuple(sorted(self._headers.items())), self._settings),
        )
        old = [name for name in _OLD if getattr(c, name) is not None]
        if old:
            self.logger.warning("http-log: %s are of older versions, use queue", ", ".join(old))

    def log(self, x: Exchange) -> None:
        line = self.line(x)
        Queues.of(self.runtime).get(self._key, self._queue).put(line, len(line))

    def _queue(self) -> Queue:
        c = self.config
        server = HTTP(
            *(c.method, self._url, self._headers, c.timeout / 1000, c.keepalive / 1000, self._verify),
            secrets=[urlsplit(c.http_endpoint).password or ""],
        )
        alone = self._settings.max_batch_size == 1

        def send(batch: list[bytes]) -> None:
            status, told = server.send(batch[0] if alone else b"[" + b",".join(batch) + b"]")
            if status >= 300:
                raise OSError(f"request to {server.name} returned status code {status} and body {told}")

        return Queue("http-log", self._settings, send, self.logger, close=server.close)


def settings(config: Config) -> QueueConfig:
    """Return the queue's settings, with the older spellings in them unless they have their old default."""
    changed: dict[str, object] = {}
    if config.queue_size not in (None, 1):
        changed["max_batch_size"] = config.queue_size
    if config.flush_timeout not in (None, 2):
        changed["max_coalescing_delay"] = config.flush_timeout
    return QueueConfig(**{**as_dict(config.queue), **changed})


def split(endpoint: str) -> tuple[str, dict[str, str]]:
    """Return the URL to send to, without user info, query and fragment, and the header for the user info."""
    parts = urlsplit(endpoint)
    user, at, host = parts.netloc.rpartition("@")
    # Taken as it is written, not decoded, as Kong takes it.
    token = base64.b64encode(user.encode()).decode()
    url = urlunsplit((parts.scheme, host, parts.path or "/", "", ""))
    return url, {"Authorization": f"Basic {token}"} if at else {}
