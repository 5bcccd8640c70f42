"""Send a datagram of JSON for every exchange.

    plugins:
      - name: udp-log
        config:
          host: 127.0.0.1
          port: 5140

The client sees nothing of it: datagrams are sent by a thread, and nobody says whether one arrived. An entry
above ``max_size`` comes without headers, with its targets cut and with ``"truncated": true``.

Refuses nobody. Contract: Kong's udp-log (``kong/plugins/udp-log``), which loses entries that are too big.
"""

from __future__ import annotations

from plugmw.kernel.exchange import Exchange
from plugmw.schema import above, between, config, field
from plugmw.schema.fields import Port
from plugmw.telemetry.custom_fields import Fields, custom_fields
from plugmw.telemetry.reporting import Delivering, HeaderNames, redact_headers, redact_query
from plugmw.telemetry.sinks.datagrams import LARGEST, UDP


@config
class Config:
    """Where to send, and what."""

    host: str = field(help="Name or address of the server.")
    port: Port = field(help="Port of the server.")
    timeout: float = field(
        10_000, above(0), inert=True, help="Of Kong, in milliseconds; datagrams are never waited for."
    )
    max_size: int = field(
        LARGEST, between(1024, 65_527), help="Bytes of a datagram, above which it is reduced."
    )
    custom_fields_by_lua: Fields | None = custom_fields()
    redact_headers: HeaderNames = redact_headers()
    redact_query: list[str] = redact_query()


class UDPLog(Delivering[Config]):
    """Phases: log."""

    name, priority, Config = "udp-log", 8, Config

    def log(self, x: Exchange) -> None:
        self.put(self.line(x, self.config.max_size))

    def sink(self) -> UDP:
        return UDP(self.config.host, self.config.port)
