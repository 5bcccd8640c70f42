"""Send a line of JSON to the machine's syslog for every exchange.

    plugins:
      - name: syslog
        config:
          facility: local0
          server_errors_severity: err

The client sees nothing of it. The severity is that for the answer's status; a message less severe than
``log_level`` is not sent. An entry above ``max_size`` comes without headers, with its targets cut and with
``"truncated": true``, since daemons cut what is longer.

Refuses nobody; what the daemon does not take at once is lost and counted. Contract: Kong's syslog
(``kong/plugins/syslog``).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from plugmw.kernel.exchange import Exchange
from plugmw.schema import between, config, field
from plugmw.telemetry.custom_fields import Fields, custom_fields
from plugmw.telemetry.reporting import Delivering, HeaderNames, redact_headers, redact_query
from plugmw.telemetry.sinks.datagrams import LARGEST, UDP, Unix
from plugmw.telemetry.sinks.syslog import (
    FACILITIES,
    Facility,
    Severity,
    header_3164,
    header_5424,
    host_name,
    severity,
    severity_of,
)


@config
class Config:
    """Which messages to send, and as what."""

    log_level: Severity = severity("The least severe messages that are sent.")
    successful_severity: Severity = severity("Severity of answers below 400.")
    client_errors_severity: Severity = severity("Severity of answers from 400 to 499.")
    server_errors_severity: Severity = severity("Severity of answers from 500.")
    facility: Facility = field("user", help="The kind of program the messages are from.")
    address: str = field("/dev/log", help="Socket of the daemon: a path, or `host:port` for UDP.")
    format: Literal["3164", "5424"] = field("3164", help="The RFC that says what goes before the message.")
    max_size: int = field(8000, between(1024, LARGEST), help="Bytes of a message, above which it is reduced.")
    custom_fields_by_lua: Fields | None = custom_fields()
    redact_headers: HeaderNames = redact_headers()
    redact_query: list[str] = redact_query()

    def check(self) -> Iterator[tuple[str, str]]:
        if not self.address.startswith("/") and remote(self.address) is None:
            yield "address", f"got {self.address!r}, expected a path that starts with /, or host:port"


class Syslog(Delivering[Config]):
    """Phases: log."""

    name, priority, Config = "syslog", 4, Config

    def configure(self) -> None:
        super().configure()
        self._facility = FACILITIES[self.config.facility]
        self._host = host_name()
        if self.config.facility == "kern":
            self.logger.warning("syslog: facility kern is the kernel's; many daemons make it user")

    def log(self, x: Exchange) -> None:
        number = severity_of(self.config, x.status or 500)
        if number is None:
            return
        if self.config.format == "5424":
            head = header_5424(self._facility, number, self._host)
        else:
            head = header_3164(self._facility, number)
        self.put(head.encode("ascii") + self.line(x, self.config.max_size - len(head)))

    def sink(self) -> UDP | Unix:
        where = remote(self.config.address)
        return UDP(*where) if where else Unix(self.config.address)


def remote(address: str) -> tuple[str, int] | None:
    """Return the host and port in ``host:port`` or ``[address]:port``; None for all else."""
    host, _, port = address.rpartition(":")
    host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    good = host and not host.startswith("/") and port.isascii() and port.isdigit() and int(port) <= 65535
    return (host, int(port)) if good else None
