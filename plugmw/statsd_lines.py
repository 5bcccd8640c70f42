"""StatsD's line format and its transports, shared by statsd and datadog.

A line is ``name:value|type[|@rate]``, with tags in one of four styles. Nothing that comes from a request
can forge a line: parts of names and tag values lose every character that means something to a parser.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

#: Spelled-out metric types to what stands on the line.
TYPES: Final = {
    "counter": "c",
    "gauge": "g",
    "histogram": "h",
    "meter": "m",
    "set": "s",
    "timer": "ms",
    "distribution": "d",
}
TAG_STYLES: Final = ("dogstatsd", "influxdb", "librato", "signalfx")
#: Seconds a connection to a TCP server may take, and a send on it (Kong's ``statsd_logger.lua``).
TIMEOUT: Final = 1.0
_LONGEST: Final = 200
_NOT_NAME: Final = re.compile(r"[^A-Za-z0-9_-]")
_NOT_TAG: Final = re.compile(r"[,|:#\[\]=\x00-\x20\x7f]")


def name_part(text: str) -> str:
    """Return ``text`` as one part of a metric's name: letters, digits, ``_`` and ``-`` only."""
    return _NOT_NAME.sub("_", text)[:_LONGEST]


def tag_value(text: str) -> str:
    """Return ``text`` as a tag's value: without separators, blanks and control characters."""
    return _NOT_TAG.sub("_", text)[:_LONGEST]


def number(value: float) -> str:
    """Write a value as a plain decimal, never ``1e-05``."""
    return str(value) if isinstance(value, int) else f"{value:.6f}".rstrip("0").rstrip(".")


def line(
    name: str,
    value: str,
    kind: str,
    rate: float | None = None,
    tags: Mapping[str, str] | None = None,
    style: str | None = None,
) -> str:
    """Return one line; ``kind`` is the short type, ``tags`` are clean already."""
    sampled = "" if rate is None or rate == 1 else f"|@{number(rate)}"
    if not tags or style is None:
        return f"{name}:{value}|{kind}{sampled}"
    if style == "dogstatsd":
        return f"{name}:{value}|{kind}{sampled}|#{','.join(f'{k}:{v}' for k, v in tags.items())}"
    pairs = ",".join(f"{k}={v}" for k, v in tags.items())
    opening, closing = {"influxdb": (",", ""), "librato": ("#", ""), "signalfx": ("[", "]")}[style]
    return f"{name}{opening}{pairs}{closing}:{value}|{kind}{sampled}"


def packets(lines: Iterable[str], size: int) -> Iterator[str]:
    """Join lines by line ends into datagrams of at most ``size`` bytes; 0 gives one line each.

    A line that is longer by itself goes alone.
    """
    waiting = ""
    for text in lines:
        if size <= 0:
            yield text
        elif not waiting:
            waiting = text
        elif len(waiting) + 1 + len(text) <= size:
            waiting += "\n" + text
        else:
            yield waiting
            waiting = text
    if waiting:
        yield waiting


def send_udp(host: str, port: int, datagrams: Iterable[str], logger: Any) -> None:
    """Send datagrams from a new socket; ``OSError`` only for a host that cannot be resolved.

    A datagram that cannot be sent is logged and forgotten: to send the batch again would count twice.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, kind, protocol) as udp:
        for datagram in datagrams:
            try:
                udp.sendto(datagram.encode("ascii", "replace"), address)
            except OSError as error:
                logger.error("failed to send data to %s:%d: %s", host, port, error)


def send_tcp(host: str, port: int, lines: Iterable[str], logger: Any) -> None:
    """Send lines over a new connection; ``OSError`` when it cannot be opened within a second."""
    with socket.create_connection((host, port), TIMEOUT) as tcp:
        try:
            tcp.sendall("".join(f"{text}\n" for text in lines).encode("ascii", "replace"))
        except OSError as error:
            logger.error("failed to send data to %s:%d: %s", host, port, error)
