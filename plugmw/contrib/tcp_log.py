"""Send a line of JSON over TCP for every exchange.

    plugins:
      - name: tcp-log
        config:
          host: logs.internal
          port: 6514
          tls: true

The client sees nothing of it: lines wait in a queue and are sent by a thread, over one connection per worker
that is opened anew when it breaks. While the server cannot be reached the oldest of 10000 lines give way.

Refuses nobody. Contract: Kong's tcp-log (``kong/plugins/tcp-log``), with a queue, and with the server's
certificate verified.
"""

from __future__ import annotations

from ipaddress import ip_address

from plugmw.errors import ConfigError
from plugmw.kernel.exchange import Exchange
from plugmw.schema import above, at_least, config, field
from plugmw.schema.fields import Port
from plugmw.telemetry.custom_fields import Fields, custom_fields
from plugmw.telemetry.reporting import Delivering, HeaderNames, redact_headers, redact_query
from plugmw.telemetry.sinks.tcp import Lines, tls_context


@config
class Config:
    """Where to send, and what."""

    host: str = field(help="Name or address of the server.")
    port: Port = field(help="Port of the server.")
    timeout: float = field(10_000, above(0), help="Milliseconds to connect, to shake hands and to send.")
    keepalive: float = field(60_000, at_least(0), help="Milliseconds after which an idle connection is left.")
    tls: bool = field(False, help="Whether to use TLS.")
    tls_sni: str | None = field(None, help="Name in the server's certificate, if it is not `host`.")
    tls_verify: bool = field(True, help="Whether the server's certificate is verified.")
    tls_ca_file: str | None = field(None, help="CA certificates to verify with, instead of the system's.")
    custom_fields_by_lua: Fields | None = custom_fields()
    redact_headers: HeaderNames = redact_headers()
    redact_query: list[str] = redact_query()


class TCPLog(Delivering[Config]):
    """Phases: log."""

    name, priority, Config = "tcp-log", 7, Config

    def configure(self) -> None:
        super().configure()
        config = self.config
        self._tls = None
        if config.tls:
            try:
                self._tls = tls_context(config.tls_verify, config.tls_ca_file)
            except OSError as error:
                raise ConfigError("tls_ca_file", f"got {config.tls_ca_file!r}: {error}") from error
        elif not is_local(config.host):
            self.logger.warning(
                "%s: entries go to %s readable for all on the way: tls is off", self.name, config.host
            )

    def log(self, x: Exchange) -> None:
        self.put(self.line(x) + b"\n")

    def sink(self) -> Lines:
        c = self.config
        return Lines(c.host, c.port, c.timeout / 1000, c.keepalive / 1000, self._tls, c.tls_sni)


def is_local(host: str) -> bool:
    """Say whether ``host`` is this machine by its name or address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
