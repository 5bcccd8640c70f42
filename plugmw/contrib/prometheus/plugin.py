"""Count requests, bytes and latencies for Prometheus, over all workers of a server.

    plugins:
      - name: prometheus
        config:
          status_code_metrics: true
          latency_metrics: true
          path: /metrics
          allow: [10.0.0.0/8]

Clients see nothing of it, but for ``path``: there an address in ``allow`` is answered 200 with the metrics as
text, before authentication; for any other client, and on any port but ``port`` if that is given, the path is
the app's. Without ``path`` mount :class:`Exporter` where only your Prometheus comes.

Never refuses anybody. Contract: Kong's prometheus (``kong/plugins/prometheus``), names and buckets included.
"""

from __future__ import annotations

import socket
import uuid
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final, Protocol

from plugmw.concurrency.throttle import Throttle
from plugmw.contrib.prometheus.exposition import Metric, amounts, clean, text
from plugmw.contrib.prometheus.series import DROPPED, HAPPENED, Series, series_of
from plugmw.events import RELOADS, SERVER_RESTARTS, STORE_ERRORS
from plugmw.kernel.exchange import Exchange
from plugmw.kernel.plugin import Plugin
from plugmw.schema import between, config, field
from plugmw.schema.fields import Network, URLPath
from plugmw.telemetry import log_entry
from plugmw.wsgi.answer import Exit, respond
from plugmw.wsgi.paths import full_path

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from plugmw.kernel.order import Entry

_SCOPE: Final = ("service", "route", "workspace")
_KONG: Final = (1, 2, 5, 7, 10, 15, 20, 30, 50, 75, 100, 200, 500, 750, 1000, 3000, 6000)
_WHOLE: Final = (25, 50, 80, 100, 250, 400, 700, 1000, 2000, 5000, 10000, 30000, 60000)
REQUESTS: Final = Metric(
    "kong_http_requests_total",
    "counter",
    "HTTP status codes per consumer/service/route",
    ("service", "route", "code", "source", "workspace", "consumer"),
)
BANDWIDTH: Final = Metric(
    "kong_bandwidth_bytes",
    "counter",
    "Total bandwidth (ingress/egress) in bytes",
    ("service", "route", "direction", "workspace", "consumer"),
)
KONG_LATENCY: Final = Metric(
    "kong_kong_latency_ms", "histogram", "Milliseconds spent in plugins", _SCOPE, _KONG
)
UPSTREAM_LATENCY: Final = Metric(
    "kong_upstream_latency_ms", "histogram", "Milliseconds until the app answered", _SCOPE, _WHOLE
)
REQUEST_LATENCY: Final = Metric(
    "kong_request_latency_ms", "histogram", "Milliseconds of whole requests", _SCOPE, _WHOLE
)
NODE: Final = Metric("kong_node_info", "gauge", "Node metadata", ("node_id", "version"))
ERRORS: Final = Metric("kong_nginx_metric_errors_total", "counter", "Exchanges that could not be recorded")
PLUGIN_SECONDS: Final = Metric(
    "plugmw_plugin_seconds",
    "histogram",
    "Seconds spent in a phase of a plugin",
    ("plugin", "phase"),
    (0.00001, 0.0001, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5),
)
#: Of the gateway itself, in every scrape.
OWN: Final = (NODE, ERRORS, DROPPED, *HAPPENED.values())
METRICS: Final = (*OWN, PLUGIN_SECONDS, REQUESTS, BANDWIDTH, KONG_LATENCY, UPSTREAM_LATENCY, REQUEST_LATENCY)
#: There are no workspaces here; Kong's first one has this name.
WORKSPACE: Final = "default"
CONTENT_TYPE: Final = "text/plain; charset=UTF-8"


@config
class Config:
    """What is counted, and who may see it."""

    per_consumer: bool = field(False, help="Whether requests and bytes are counted by consumer.")
    status_code_metrics: bool = field(False, help="Whether requests are counted by status.")
    latency_metrics: bool = field(False, help="Whether latencies are kept, in milliseconds.")
    bandwidth_metrics: bool = field(False, help="Whether bytes in and out are counted.")
    plugin_metrics: bool = field(
        False, help="Whether the time in each phase of each plugin is kept, in seconds."
    )
    upstream_health_metrics: bool = field(False, inert=True, help="Of Kong; there are no health checks here.")
    ai_metrics: bool = field(False, inert=True, help="Of Kong; does nothing.")
    wasm_metrics: bool = field(False, inert=True, help="Of Kong; does nothing.")
    unrouted: bool = field(False, help="Whether requests without a route count too, with empty labels.")
    path: URLPath | None = field(
        None, help="Where listed addresses get the metrics; global entries of gateways only."
    )
    port: int | None = field(
        None, between(1, 65535), help="Only on this port, another one that the server is bound to."
    )
    allow: list[Network] = field(["127.0.0.0/8", "::1"], help="Addresses or CIDR ranges that get them there.")
    folder: str | None = field(
        None, help="Folder that the workers share; PROMETHEUS_MULTIPROC_DIR or a private one if not given."
    )


class Prometheus(Plugin[Config]):
    """Phases: rewrite, log."""

    name, priority, Config = "prometheus", 13, Config
    needs_timings = True

    def configure(self) -> None:
        self._failing = Throttle()
        #: Asks the kernel for the times; see plugmw.kernel.timing.
        self.takes_times = self._took if self.config.plugin_metrics else None

    def init_worker(self) -> None:
        self._numbers()

    def rewrite(self, x: Exchange) -> None:
        c = self.config
        if x.path != c.path or (c.port and x.environ.get("SERVER_PORT") != str(c.port)):
            return
        address = x.client_ip
        if address is not None and any(address in network for network in c.allow):
            x.exit(200, scrape(self._numbers().totals()), [("Content-Type", CONTENT_TYPE)])

    def log(self, x: Exchange) -> None:
        if x.route is None and not self.config.unrouted:
            return
        try:
            for metric, labels, value in self._observed(x):
                self._numbers().record(metric, labels, value)
        except Exception as error:
            self._numbers().record(ERRORS)
            self._failed(error)

    def _took(self, plugin: str, phase: str, seconds: float) -> None:
        try:
            self._numbers().record(PLUGIN_SECONDS, (plugin, phase), seconds)
        except Exception as error:
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        if self._failing():
            self.logger.error("prometheus: an exchange could not be recorded", exc_info=error)

    def _numbers(self) -> Series:
        # The runtime keeps them, over reloads too, and closes them.
        return series_of(self.runtime, self.config.folder)

    def _observed(self, x: Exchange) -> Iterator[tuple[Metric, tuple[str, ...], float]]:
        """Yield (metric, labels, value). No label comes from what a client may choose freely."""
        c = self.config
        facts = x.service_facts or {"name": x.service}
        service = clean(str(facts.get("name") or facts.get("host") or ""))
        route = clean(x.route.name or x.route.id) if x.route else ""
        consumer = clean(x.consumer.username or "") if c.per_consumer and x.consumer else ""
        if c.status_code_metrics:
            status = x.status or 500
            code = str(status if 100 <= status <= 599 else 0)
            source = "service" if x.source == "service" else "kong"
            yield REQUESTS, (service, route, code, source, WORKSPACE, consumer), 1
        if c.latency_metrics:
            spent = log_entry.latencies(x)
            for metric, name in (
                (KONG_LATENCY, "kong"),
                (UPSTREAM_LATENCY, "proxy"),
                (REQUEST_LATENCY, "request"),
            ):
                if spent[name] >= 0:
                    yield metric, (service, route, WORKSPACE), spent[name]
        if c.bandwidth_metrics:
            entry = log_entry.entry(x)
            for direction, part in (("ingress", "request"), ("egress", "response")):
                size = entry[part]["size"]
                if size > 0:
                    yield BANDWIDTH, (service, route, direction, WORKSPACE, consumer), size


def scrape(numbers: dict[str, float], metrics: Iterable[Metric] = METRICS) -> bytes:
    """Return the text of a scrape; the gateway's own metrics are always in it."""
    from plugmw import __version__

    node = str(uuid.uuid5(uuid.NAMESPACE_DNS, socket.gethostname()))
    zeros: list[tuple[Metric, tuple[str, ...]]] = [
        (ERRORS, ()),
        (HAPPENED[STORE_ERRORS], ()),
        (HAPPENED[SERVER_RESTARTS], ()),
    ]
    zeros += [(HAPPENED[RELOADS], (result,)) for result in ("applied", "refused")]
    own = dict(amounts(NODE, (node, __version__), 1))
    for metric, labels in zeros:
        own |= amounts(metric, labels, 0)
    return text(metrics, {**own, **numbers}).encode()


class Serving(Protocol):
    """What is asked of a gateway, or of a plugin's own middleware."""

    @property
    def entries(self) -> Iterable[Entry]: ...
    def start(self, multiprocess: bool | None = None) -> None: ...


class Exporter:
    """A WSGI app with the metrics of a gateway (or of ``Prometheus.middleware(...)``) at ``/metrics``.

    It asks nobody who they are: mount it where only your Prometheus comes.
    """

    def __init__(self, gateway: Serving) -> None:
        self._gateway = gateway

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = full_path(environ).rstrip("/")
        status, kind, body = 200, CONTENT_TYPE, b"Kong Prometheus exporter, visit /metrics\n"
        if path.endswith("/metrics"):
            body = self._metrics(bool(environ.get("wsgi.multiprocess")))
        elif path:
            status, kind, body = 404, "application/json", b'{"message":"Not found"}'
        return respond(Exit(status, body, [("Content-Type", kind)]), environ, start_response)

    def _metrics(self, multiprocess: bool) -> bytes:
        self._gateway.start(multiprocess=multiprocess)
        plugins = [entry.plugin for entry in self._gateway.entries if entry.enabled]
        for plugin in plugins:
            if isinstance(plugin, Prometheus) and plugin.broken is None:
                return scrape(series_of(plugin.runtime, plugin.config.folder).totals())
        # Without the plugin there is nothing to tell of routes.
        return scrape({}, OWN)
