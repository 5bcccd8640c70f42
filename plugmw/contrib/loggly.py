"""Send the log entry to Loggly, in a syslog datagram (RFC 5424) for every exchange.

    plugins:
      - name: loggly
        config:
          key: ${LOGGLY_TOKEN}
          tags: [shop]

The client sees nothing of it. The severity is that for the answer's status; a message less severe than
``log_level`` is not sent. Datagrams are sent by a thread, and nobody says whether one arrived.

Refuses nobody. Contract: Kong's loggly (``kong/plugins/loggly``), with tags escaped, and with entries that
are too big reduced as in ``udp-log``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from plugmw.kernel.exchange import Exchange
from plugmw.schema import above, config, each, field, matches
from plugmw.schema.fields import Port
from plugmw.telemetry.custom_fields import Fields, custom_fields
from plugmw.telemetry.reporting import Delivering, HeaderNames, redact_headers, redact_query
from plugmw.telemetry.sinks.datagrams import LARGEST, UDP
from plugmw.telemetry.sinks.syslog import (
    FACILITIES,
    Severity,
    header_5424,
    host_name,
    quoted,
    severity,
    severity_of,
)

#: What RFC 5424 (section 6.3.2) allows in the name of structured data.
_KEY: Final = re.compile(r'(?:(?![=\]"@])[!-~])+').fullmatch
_TAG: Final = matches(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]+", "texts without control characters")


@config
class Config:
    """Which messages to send, and for whom."""

    host: str = field("logs-01.loggly.com", help="Name or address of the server.")
    port: Port = field(514, help="UDP port of the server.")
    key: str = field(help="The customer token.", secret=True)
    tags: set[str] = field(["kong"], each(_TAG), help="Labels of the messages.")
    log_level: Severity = severity("The least severe messages that are sent.")
    successful_severity: Severity = severity("Severity of answers below 400.")
    client_errors_severity: Severity = severity("Severity of answers from 400 to 499.")
    server_errors_severity: Severity = severity("Severity of answers from 500.")
    timeout: float = field(
        10_000, above(0), inert=True, help="Of Kong, in milliseconds; datagrams are never waited for."
    )
    custom_fields_by_lua: Fields | None = custom_fields()
    redact_headers: HeaderNames = redact_headers()
    redact_query: list[str] = redact_query()

    def check(self) -> Iterator[tuple[str, str]]:
        if not _KEY(self.key):
            yield "key", "has a character that is not allowed in the name of structured data (RFC 5424)"


class Loggly(Delivering[Config]):
    """Phases: log."""

    name, priority, Config = "loggly", 6, Config

    def configure(self) -> None:
        super().configure()
        tags = " ".join(f'tag="{quoted(tag)}"' for tag in self.config.tags)
        #: 41058 is Loggly's number as an enterprise.
        self._data = f"[{self.config.key}@41058 {tags}]"
        self._host = host_name()

    def log(self, x: Exchange) -> None:
        number = severity_of(self.config, x.status or 500)
        if number is not None:
            head = header_5424(FACILITIES["user"], number, self._host, self._data).encode()
            self.put(head + self.line(x, LARGEST - len(head)))

    def sink(self) -> UDP:
        return UDP(self.config.host, self.config.port)
