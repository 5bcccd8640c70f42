"""HTTP over a bare socket: exactly these bytes out, exactly those bytes in.

answer = exchange(server.port, b"GET / HTTP/1.1\\r\\nHost: t\\r\\nConnection: close\\r\\n\\r\\n")
answer = get(server.port, "/path", "X-Key: a", method="HEAD")
answer.status, answer.header("content-length"), answer.body, answer.complete

with connect(server.port) as client:       # to hang up half-way, or to send slowly
    client.sendall(request("/stream"))
    client.recv(100)
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager

#: Seconds; a test that waits longer than this on a socket has failed.
TIMEOUT = 15.0


class Answer:
    """One response, parsed as little as possible; ``raw`` is all that was received."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        head, _, self._rest = raw.partition(b"\r\n\r\n")
        self.lines = head.decode("latin-1").split("\r\n")

    @property
    def status_line(self) -> str:
        return self.lines[0].partition(" ")[2]

    @property
    def status(self) -> int:
        return int(self.status_line[:3] or 0)

    @property
    def headers(self) -> list[tuple[str, str]]:
        """(name in lower case, value) in the order sent."""
        pairs = (line.partition(":") for line in self.lines[1:])
        return [(name.lower(), value.strip()) for name, _, value in pairs]

    def header(self, name: str) -> str | None:
        """Return the first field of this name (any case), or None."""
        return next((value for key, value in self.headers if key == name.lower()), None)

    @property
    def chunked(self) -> bool:
        return (self.header("transfer-encoding") or "").lower() == "chunked"

    @property
    def body(self) -> bytes:
        """The body, chunks joined."""
        return b"".join(self._chunks()) if self.chunked else self._rest

    @property
    def complete(self) -> bool:
        """Whether the whole body arrived, as far as its framing can tell."""
        if self.chunked:
            return self._rest.endswith(b"0\r\n\r\n")
        length = self.header("content-length")
        return length is None or len(self._rest) == int(length)

    def _chunks(self) -> Iterator[bytes]:
        rest = self._rest
        while True:
            size, _, rest = rest.partition(b"\r\n")
            length = int(size or b"0", 16)
            if not length:
                return
            yield rest[:length]
            rest = rest[length + 2 :]

    def without_date(self) -> bytes:
        """Return ``raw`` with the value of Date blanked, to compare two answers byte for byte."""
        return re.sub(rb"\r\n[Dd]ate: [^\r]*", b"\r\ndate: -", self.raw)


@contextmanager
def connect(port: int, timeout: float = TIMEOUT) -> Iterator[socket.socket]:
    """Yield a connected socket to 127.0.0.1."""
    with socket.create_connection(("127.0.0.1", port), timeout) as client:
        yield client


def request(
    path: str = "/",
    *headers: str,
    method: str = "GET",
    body: bytes = b"",
    version: str = "1.1",
    close: bool = True,
) -> bytes:
    """Write a request; ``headers`` are whole lines. With ``close`` it asks for one answer per connection."""
    lines = [f"{method} {path} HTTP/{version}", "Host: test.example", *headers]
    if close:
        lines.append("Connection: close")
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def read_all(client: socket.socket) -> bytes:
    """Read until the server closes or resets the connection."""
    parts = []
    try:
        while part := client.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def read_until(client: socket.socket, text: bytes) -> bytes:
    """Read until ``text`` was received, or the connection ends."""
    found = b""
    while text not in found:
        part = client.recv(65536)
        if not part:
            break
        found += part
    return found


def exchange(port: int, data: bytes, timeout: float = TIMEOUT) -> Answer:
    """Send ``data`` and return what comes back until the server closes."""
    with connect(port, timeout) as client:
        client.sendall(data)
        return Answer(read_all(client))


def get(port: int, path: str = "/", *headers: str, method: str = "GET", body: bytes = b"") -> Answer:
    """Send one request on a connection of its own."""
    return exchange(port, request(path, *headers, method=method, body=body))
