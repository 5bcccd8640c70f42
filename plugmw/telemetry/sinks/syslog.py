"""Syslog: severities and facilities as numbers, and what goes before a message (RFC 3164, RFC 5424)."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable
from typing import Any, Final, Literal, Protocol

from plugmw.schema import field

Severity = Literal["debug", "info", "notice", "warning", "err", "crit", "alert", "emerg"]
SEVERITIES: Final = {
    "emerg": 0,
    "alert": 1,
    "crit": 2,
    "err": 3,
    "warning": 4,
    "notice": 5,
    "info": 6,
    "debug": 7,
}
Facility = Literal[
    "auth",
    "authpriv",
    "cron",
    "daemon",
    "ftp",
    "kern",
    "lpr",
    "mail",
    "news",
    "syslog",
    "user",
    "uucp",
    "local0",
    "local1",
    "local2",
    "local3",
    "local4",
    "local5",
    "local6",
    "local7",
]
FACILITIES: Final = {
    "kern": 0,
    "user": 1,
    "mail": 2,
    "daemon": 3,
    "auth": 4,
    "syslog": 5,
    "lpr": 6,
    "news": 7,
    "uucp": 8,
    "cron": 9,
    "authpriv": 10,
    "ftp": 11,
    "local0": 16,
    "local1": 17,
    "local2": 18,
    "local3": 19,
    "local4": 20,
    "local5": 21,
    "local6": 22,
    "local7": 23,
}
#: The name under which messages are sent, which is Kong's.
IDENTITY: Final = "kong"


def severity(text: str) -> Any:
    """Declare a field that is a severity."""
    return field("info", help=text)


class Severities(Protocol):
    """The fields that configuration classes of plugins with severities need."""

    @property
    def log_level(self) -> Severity:
        """The least severity that is sent."""

    @property
    def successful_severity(self) -> Severity:
        """Of answers below 400."""

    @property
    def client_errors_severity(self) -> Severity:
        """Of answers from 400 to 499."""

    @property
    def server_errors_severity(self) -> Severity:
        """Of answers from 500 on."""


def severity_of(config: Severities, status: int) -> int | None:
    """Return the number for an answer of this status; None if the message is not to be sent."""
    if status >= 500:
        name = config.server_errors_severity
    elif status >= 400:
        name = config.client_errors_severity
    else:
        name = config.successful_severity
    number = SEVERITIES[name]
    return number if number <= SEVERITIES[config.log_level] else None


def header_3164(facility: int, severity: int) -> str:
    """Return what goes before a message to the daemon of this machine, which adds time and host."""
    return f"<{facility * 8 + severity}>{IDENTITY}: "


def header_5424(facility: int, severity: int, host: str, data: str = "-", now: float | None = None) -> str:
    """Return the header of RFC 5424 with structured ``data``; ``now`` is in unix seconds."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
    return f"<{facility * 8 + severity}>1 {stamp} {host} {IDENTITY} - - {data} "


def host_name(ask: Callable[[], str] = socket.gethostname) -> str:
    """Return this machine's name as RFC 5424 wants it: printable ASCII, at most 255 characters."""
    return re.sub(r"[^!-~]", "-", ask())[:255] or "-"


def quoted(value: str) -> str:
    """Return a value of structured data with its delimiters escaped (RFC 5424 section 6.3.3)."""
    return re.sub(r'(["\\\]])', r"\\\1", value)
