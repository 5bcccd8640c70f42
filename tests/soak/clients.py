"""A client of the soak: one process, one connection at a time, every answer read and compared.

tally = run(Work(port=8000, seed=1, count=1000))
tally.answered, tally.left, tally.wrong
"""

from __future__ import annotations

import socket
import struct
import time
from collections import Counter
from random import Random

import attrs

from tests.soak.kinds import KINDS, Kind, payload, pick, write

#: Seconds to wait for the server, which may share its machine.
TIMEOUT = 60.0
#: Of the requests, how many the client leaves half-way.
LEAVING = 0.2
#: Of the requests that are answered, how many ask for the connection to be closed.
CLOSING = 0.2
#: What is told of answers that are not what they should be.
TOLD = 5


@attrs.frozen
class Work:
    """What one client shall do: ``count`` requests, but none after ``until`` (of ``time.time``)."""

    port: int
    seed: int
    count: int
    until: float = float("inf")


@attrs.define
class Tally:
    """What became of the requests of a client."""

    answered: int = 0
    left: int = 0
    wrong: list[str] = attrs.Factory(list)
    kinds: Counter[str] = attrs.Factory(Counter)


def run(work: Work) -> Tally:
    """Send requests until ``work`` is done."""
    tally, random = Tally(), Random(work.seed)
    line = Line(work.port, f"127.0.{work.seed % 250}.{2 + work.seed % 7}")
    try:
        for number in range(work.count):
            if time.time() > work.until or len(tally.wrong) >= TOLD:
                break
            name = pick(random)
            if random.random() < LEAVING:
                leave(line, KINDS[name], f"{work.seed}-{number}", random)
                tally.left += 1
                continue
            problem = ask(line, KINDS[name], f"{work.seed}-{number}", random)
            tally.answered += 1
            tally.kinds[name] += 1
            if problem:
                tally.wrong.append(f"{name}: {problem}")
                line.close()
    finally:
        line.close()
    return tally


def ask(line: Line, kind: Kind, who: str, random: Random) -> str:
    """Send a request; return what is wrong with its answer, ``""`` if nothing is."""
    body = payload(kind, who, random)
    close = random.random() < CLOSING or kind.sends == "promise"
    try:
        line.send(write(kind, who, body, close))
        got = line.answer(kind.method == "HEAD")
    except (OSError, ValueError) as error:
        return repr(error)
    if kind.sends == "promise":
        line.close()
    if got.status != kind.status or got.whole is kind.cut:
        return f"status {got.status}, whole: {got.whole}, {got.body[:200]!r}"
    if kind.seen and got.seen != who:
        return f"the answer of {got.seen!r} for {who!r}"
    if kind.body is not None and got.body != kind.body(who, body):
        return f"{got.body[:200]!r}... for {kind.body(who, body)[:200]!r}..."
    return ""


def leave(line: Line, kind: Kind, who: str, random: Random) -> None:
    """Go away: before the request, within it, after it, or within its answer; politely or not."""
    data = write(kind, who, payload(kind, who, random), random.random() < CLOSING)
    head = data.index(b"\r\n\r\n") + 4
    moment = random.randrange(5)
    upto = (0, random.randrange(1, head), random.randrange(head, len(data) + 1), len(data), len(data))[moment]
    try:
        line.send(data[:upto])
        if moment == 4:
            line.some(random.randrange(1, 400))
    except OSError:
        pass
    line.close(reset=random.random() < 0.5)


@attrs.frozen
class Got:
    """An answer. ``whole``: whether it came to its end."""

    status: int
    seen: str
    body: bytes
    whole: bool


class Line:
    """A connection that is made when it is needed."""

    def __init__(self, port: int, source: str) -> None:
        self._port = port
        #: Of many addresses: each has but 28,000 ports, which wait a minute after each connection.
        self._source = source
        self._socket: socket.socket | None = None
        self._got = b""

    def send(self, data: bytes) -> None:
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._port), TIMEOUT, (self._source, 0))
        self._socket.sendall(data)

    def close(self, reset: bool = False) -> None:
        if self._socket is not None:
            if reset:
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._socket.close()
        self._socket, self._got = None, b""

    def some(self, size: int) -> bytes:
        """Read up to ``size`` bytes; none is the end."""
        assert self._socket is not None
        return self._socket.recv(size)

    def answer(self, head_only: bool) -> Got:
        """Read an answer, and close the connection if the server will."""
        while b"\r\n\r\n" not in self._got:
            self._more()
        head, _, self._got = self._got.partition(b"\r\n\r\n")
        first, *rest = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)}
        status = int(first.split(" ")[1])
        whole, body = True, b""
        if not (head_only or status in (204, 304)):
            whole, body = self._body(headers)
        if not whole or headers.get("connection", "").lower() == "close":
            self.close()
        return Got(status, headers.get("x-soak-seen", ""), body, whole)

    def _body(self, headers: dict[str, str]) -> tuple[bool, bytes]:
        parts: list[bytes] = []
        try:
            if headers.get("transfer-encoding") == "chunked":
                while size := int(self._line(), 16):
                    parts.append(self._exactly(size))
                    self._exactly(2)
                self._exactly(2)
            elif "content-length" in headers:
                parts.append(self._exactly(int(headers["content-length"])))
            else:
                raise ValueError("an answer without framing")
        except EOFError:
            return False, b"".join(parts)
        return True, b"".join(parts)

    def _line(self) -> bytes:
        while b"\r\n" not in self._got:
            self._more()
        line, _, self._got = self._got.partition(b"\r\n")
        return line

    def _exactly(self, size: int) -> bytes:
        while len(self._got) < size:
            self._more()
        data, self._got = self._got[:size], self._got[size:]
        return data

    def _more(self) -> None:
        data = self.some(65536)
        if not data:
            raise End
        self._got += data


class End(EOFError, OSError):
    """The server has closed the connection."""
