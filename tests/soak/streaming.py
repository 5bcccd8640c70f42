"""Large bodies each way through a gateway, in memory that does not grow with them.

stream(folder, "gthread", mib=1024)      # what was wrong, in sentences; none is good
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.soak.kinds import CHUNK
from tests.soak.readings import read
from tests.soak.soaking import WORKERS
from tests.support.servers import start_gunicorn

MIB = 1 << 20
#: MiB at the beginning, in which buffers and arenas find their size.
WARM = 8
#: KiB that a worker may hold more at any time of a stream than before it: it is up to 3,500, however long
#: the stream, and about half of that without a gateway.
GROWTH = 8192
#: Seconds that either side may be silent.
TIMEOUT = 120.0
HEAD = "Host: soak.example\r\nConnection: close\r\nContent-Type: application/octet-stream\r\n"


def stream(folder: Path, kind: str, mib: int, tell: Callable[[str], None] = lambda line: None) -> list[str]:
    """Send ``mib`` MiB down, up with a length, and up in chunks."""
    found = []
    args = ["--timeout", "1800", *WORKERS[kind]]
    server = start_gunicorn(folder, "tests.soak.large:app", worker_class=kind, args=args)
    try:
        (worker,) = server.worker_pids()
        for name, send in WAYS.items():
            for _ in send(server.port, WARM * MIB):
                pass
            before = peak = read(worker).anonymous
            for moved in send(server.port, mib * MIB):
                if moved % (4 * MIB) == 0:
                    peak = max(peak, read(worker).anonymous)
            tell(f"{kind}: {mib} MiB {name}: {before} KiB before, {peak} KiB at most")
            if peak - before > GROWTH:
                found.append(f"{kind}: {name}: from {before} to {peak} KiB")
    finally:
        server.stop()
    return found


def down(port: int, size: int) -> Iterator[int]:
    """Read an answer of so many bytes; yield how many have come. It is chunked, so a bit more is read."""
    with socket.create_connection(("127.0.0.1", port), TIMEOUT) as client:
        client.sendall(f"GET /?{size} HTTP/1.1\r\n{HEAD}\r\n".encode())
        with client.makefile("rb") as file:
            assert b" 200 " in file.readline()
            while file.readline() != b"\r\n":
                pass
            moved = 0
            while length := int(file.readline(), 16):
                assert len(file.read(length + 2)) == length + 2
                moved += length
                yield moved
            assert (moved, file.readline(), file.read()) == (size, b"\r\n", b"")


def up(port: int, size: int) -> Iterator[int]:
    """Send a body with its length; yield how many bytes have gone."""
    yield from _up(port, size, f"Content-Length: {size}", bytes(CHUNK), b"")


def up_chunked(port: int, size: int) -> Iterator[int]:
    """Send a body in chunks; yield how many bytes have gone."""
    chunk = f"{CHUNK:x}\r\n".encode() + bytes(CHUNK) + b"\r\n"
    yield from _up(port, size, "Transfer-Encoding: chunked", chunk, b"0\r\n\r\n")


def _up(port: int, size: int, framing: str, chunk: bytes, last: bytes) -> Iterator[int]:
    with socket.create_connection(("127.0.0.1", port), TIMEOUT) as client:
        client.sendall(f"POST / HTTP/1.1\r\n{HEAD}{framing}\r\n\r\n".encode())
        for moved in range(CHUNK, size + 1, CHUNK):
            client.sendall(chunk)
            yield moved
        client.sendall(last)
        with client.makefile("rb") as file:
            told = file.read().rpartition(b"\r\n\r\n")[2]
        assert told == str(size).encode(), told


WAYS: dict[str, Callable[[int, int], Iterator[int]]] = {"down": down, "up": up, "up in chunks": up_chunked}
