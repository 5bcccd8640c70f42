"""Pass trace headers on, and send spans of sampled requests to a Zipkin server.

    plugins:
      - name: zipkin
        config:
          http_endpoint: http://zipkin.internal:9411/api/v2/spans
          sample_ratio: 0.01

The app gets the trace in the format in which the client sent it (``default_header_type`` if it sent none),
with a span id of its own. The client sees nothing of it, unless ``http_response_header_for_traceid`` names a
header. Spans wait in a queue; a server that is away delays no request.

Never refuses anybody. Contract: Kong's zipkin (``kong/plugins/zipkin``).
"""

from __future__ import annotations

import json
import random
import secrets
import socket
import time
import uuid
from collections.abc import Iterator
from typing import Literal
from urllib.parse import urlsplit

import attrs

from plugmw.concurrency.process import LazyLock
from plugmw.concurrency.throttle import Throttle
from plugmw.contrib.zipkin import spans
from plugmw.kernel.exchange import Exchange
from plugmw.kernel.plugin import Plugin
from plugmw.schema import above, at_least, between, config, field, one_of
from plugmw.schema.fields import URL, HeaderName
from plugmw.telemetry import propagation
from plugmw.telemetry.propagation import ALL, Format, Span, TraceContext
from plugmw.telemetry.queue import Queue
from plugmw.telemetry.queue_config import QueueConfig
from plugmw.telemetry.queues import Queues
from plugmw.telemetry.sinks.http import HTTP
from plugmw.wsgi import keys


@config
class Tag:
    """A tag of every request span."""

    name: str = field(help="Its name.")
    value: str = field(help="Its value.")


@config
class Propagation:
    """Which headers are read and written, in place of the two older fields."""

    extract: list[Format] | None = field(None, help="Formats that are looked for, in this order.")
    inject: list[Literal["preserve"] | Format] | None = field(
        None, help="Formats that the app gets; `preserve` is the one that was found."
    )
    clear: list[HeaderName] | None = field(None, help="Request headers that are removed before.")
    default_format: Format = field("b3", help="What `preserve` means when nothing was found.")


@config
class Config:
    """Where spans go, which requests have some, and what headers say."""

    http_endpoint: URL | None = field(
        None, help="Where spans are sent; nowhere if not given, headers are passed on all the same."
    )
    sample_ratio: float = field(
        0.001, between(0, 1), help="Share of requests with spans, where the client has not decided."
    )
    local_service_name: str = field("kong", help="Name of this gateway in spans.")
    default_service_name: str | None = field(None, help="Name of services that have none.")
    include_credential: bool = field(True, help="Whether the id of the credential is in the spans.")
    traceid_byte_count: int = field(16, one_of(8, 16), help="Bytes of new trace ids.")
    tags_header: HeaderName = field("Zipkin-Tags", help="Request header with more tags.")
    static_tags: list[Tag] = field([], help="Tags of every request span.")
    http_span_name: Literal["method", "method_path"] = field("method", help="What spans are called.")
    connect_timeout: int = field(2000, above(0), help="Milliseconds to connect.")
    send_timeout: int = field(5000, above(0), help="Milliseconds to send.")
    read_timeout: int = field(5000, above(0), help="Milliseconds to read; the longest counts for every step.")
    tls_verify: bool = field(True, help="Whether the server's certificate is verified.")
    http_response_header_for_traceid: HeaderName | None = field(
        None, help="Response header with the trace id."
    )
    phase_duration_flavor: Literal["annotations", "tags"] = field(
        "annotations", help="How the times of phases are told."
    )
    propagation: Propagation = field({}, help="Which headers are read and written.")
    header_type: Literal["preserve", "ignore"] | Format = field(
        "preserve", help="Without `propagation`: what is read and written."
    )
    default_header_type: Format = field("b3", help="Without `propagation`: its `default_format`.")
    trust_incoming: bool = field(
        True, help="Whether anybody's trace headers count, or those of peers in `trusted` only."
    )
    forced_per_second: int = field(
        100, at_least(0), help="Requests a second, in each worker, that clients may have sampled."
    )
    queue: QueueConfig = field(QueueConfig(), help="How spans wait and are sent.")

    def check(self) -> Iterator[tuple[str, str]]:
        seen: set[str] = set()
        for tag in self.static_tags:
            if tag.name in spans.PROTECTED:
                yield "static_tags", f"{tag.name} is set by the plugin"
            elif tag.name in seen:
                yield "static_tags", f"repeated tags are not allowed: {tag.name}"
            seen.add(tag.name)
        if self.http_endpoint and "@" in urlsplit(self.http_endpoint).netloc:
            yield "http_endpoint", "has user info, which would be readable in logs"


@attrs.define(eq=False)
class Trace:
    """What is known of a request's trace; ``times`` are monotonic seconds."""

    request: Span
    proxy: Span
    context: TraceContext | None
    access_at: float = 0.0
    header_filter_at: float = 0.0


class Zipkin(Plugin[Config]):
    """Phases: access, header_filter, log."""

    name, priority, Config = "zipkin", 100_000, Config
    needs_timings = True

    def configure(self) -> None:
        c = self.config
        self._node = str(uuid.uuid5(uuid.NAMESPACE_DNS, socket.gethostname()))
        self._warned, self._warned_tags = Throttle(), Throttle()
        self._forced = PerSecond(c.forced_per_second)
        self._propagation = rules(c)

    def access(self, x: Exchange) -> None:
        trace = self._trace(x)
        trace.access_at = time.monotonic()
        rule = self._propagation
        for name in rule.clear or ():
            x.remove_request_header(name)
        ids: dict[str, str] = {}
        for wanted in dict.fromkeys(rule.inject or ()):
            format_: Format = wanted if wanted != "preserve" else _preserved(trace.context, rule)
            for name, value in propagation.inject(format_, trace.proxy).items():
                x.set_request_header(name, value)
            ids[format_] = trace.proxy.trace_id
        if ids:
            x.environ[keys.TRACE_ID] = ids

    def header_filter(self, x: Exchange) -> None:
        trace = self._trace(x)
        trace.header_filter_at = time.monotonic()
        if self.config.http_response_header_for_traceid:
            x.set_header(self.config.http_response_header_for_traceid, trace.request.trace_id)

    def log(self, x: Exchange) -> None:
        trace = self._trace(x)
        if trace.request.sampled and self.config.http_endpoint:
            queue = Queues.of(self.runtime).get(self, self._queue)
            for span in self._spans(x, trace):
                data = json.dumps(span, separators=(",", ":")).encode()
                queue.put(data, len(data))

    # -- the trace ----------------------------------------------------------------------------------

    def _trace(self, x: Exchange) -> Trace:
        """Return the trace of a request, begun when it is first asked for."""
        state = x.state(self)
        trace: Trace | None = state.get("trace")
        if trace is None:
            trace = state["trace"] = self._begin(x)
        return trace

    def _begin(self, x: Exchange) -> Trace:
        context = None
        if self.config.trust_incoming or self.runtime.trusted.trusts(x.environ):
            context = propagation.extract(x.get_header, self._propagation.extract or (), self._warn)
        incoming = context or TraceContext("b3")
        sampled = incoming.sampled
        if sampled is None or (sampled and not self._forced()):
            sampled = random.random() < self.config.sample_ratio  # noqa: S311 (sampling, no secret)
        # A decision for debugging holds only together with the other one.
        debug = incoming.debug and sampled
        trace_id = incoming.trace_id or secrets.token_hex(self.config.traceid_byte_count)
        length = len(incoming.trace_id) if incoming.trace_id else None
        if incoming.reuse and incoming.span_id:
            own, parent = incoming.span_id, incoming.parent_id
        else:
            own, parent = secrets.token_hex(8), incoming.span_id
        request = Span(trace_id, own, parent, sampled, debug, length)
        proxy = attrs.evolve(request, span_id=secrets.token_hex(8), parent_id=own)
        return Trace(request, proxy, context)

    def _warn(self, text: str) -> None:
        if self._warned():
            self.logger.warning("zipkin: %s", text)

    # -- spans --------------------------------------------------------------------------------------

    def _spans(self, x: Exchange, trace: Trace) -> Iterator[dict[str, object]]:
        more, bad = spans.request_tags(x.get_header(self.config.tags_header) or "")
        if bad and self._warned_tags():
            self.logger.warning("Could not parse the following Zipkin tags: %s", ", ".join(bad))
        c = self.config
        phases = spans.Phases.of(x, trace.access_at, trace.header_filter_at)
        report = spans.Report(x, phases, c.local_service_name, c.phase_duration_flavor == "tags")
        name = x.method if c.http_span_name == "method" else f"{x.method} {spans.path(x)}"
        yield from report.tries(name, trace.request)
        yield report.proxy(name, trace.proxy, c.default_service_name)
        tags = {tag.name: tag.value for tag in c.static_tags} | more
        if x.credential is not None and c.include_credential:
            tags["kong.credential"] = x.credential.id
        yield report.request(name, trace.request, {"kong.node.id": self._node, **tags})

    def _queue(self) -> Queue:
        c = self.config
        timeout = max(c.connect_timeout, c.send_timeout, c.read_timeout) / 1000
        headers = {"Content-Type": "application/json"}
        server = HTTP("POST", c.http_endpoint or "", headers, timeout, verify=c.tls_verify)

        def send(batch: list[bytes]) -> None:
            try:
                status, text = server.send(b"[" + b",".join(batch) + b"]")
            except OSError as error:
                raise OSError(f"zipkin request failed: {error}") from error
            if not 200 <= status <= 299:
                raise OSError(f"zipkin request failed: {status} {text}")

        return Queue(self.scope[0] or self.name, c.queue, send, self.logger, close=server.close)


def rules(c: Config) -> Propagation:
    """Return what to read and to write, also when the two older fields say it."""
    configured = c.propagation
    if configured != Propagation():
        return configured
    inject: list[Format | Literal["preserve"]] = ["preserve"]
    if c.header_type == "ignore":
        inject = [c.default_header_type]
    elif c.header_type != "preserve":
        inject = ["preserve", c.header_type]
    return Propagation(
        extract=[] if c.header_type == "ignore" else list(ALL),
        inject=inject,
        default_format=c.default_header_type,
    )


def _preserved(context: TraceContext | None, rule: Propagation) -> Format:
    format_: Format = context.format if context else rule.default_format
    return format_


class PerSecond:
    """Says yes ``most`` times in a second; thread-safe."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._second = -1
        self._said = 0
        self._lock = LazyLock()

    def __call__(self) -> bool:
        second = int(time.monotonic())
        with self._lock.get():
            if second != self._second:
                self._second, self._said = second, 0
            self._said += 1
            return self._said <= self._most
