"""Several answers on one connection, and the three kinds of workers that give them.

found = talk(server.port, request_1 + request_2)      # all that comes until the server closes
[first, second] = replies(found, ["HEAD", "GET"])     # each a tests.support.raw.Answer
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from tests.support import raw

WORKERS = {"sync": [], "gthread": ["--threads", "4"], "gevent": []}
K = TypeVar("K")
V = TypeVar("V")


def talk(port: int, *parts: bytes, timeout: float = raw.TIMEOUT) -> bytes:
    """Send the parts, say that no more comes, and return what the server says until it closes."""
    with raw.connect(port, timeout) as client:
        try:
            for part in parts:
                client.sendall(part)
            client.shutdown(1)
        except OSError:
            pass  # the server has hung up already; what it said before may be read all the same
        return raw.read_all(client)


def replies(data: bytes, methods: Sequence[str]) -> list[raw.Answer]:
    """Cut what a connection gave into answers to requests of these methods; it must be cut nowhere else.

    Answers with 100 are left out. The last answer may end with the connection.
    """
    found: list[raw.Answer] = []
    while data:
        head, end, rest = data.partition(b"\r\n\r\n")
        assert end, data
        assert head.startswith(b"HTTP/1."), data
        answer = raw.Answer(head + end)
        if answer.status == 100:
            data = rest
            continue
        assert len(found) < len(methods), data
        size = _body_size(answer, rest, methods[len(found)])
        found.append(raw.Answer(head + end + rest[:size]))
        data = rest[size:]
    return found


def _body_size(answer: raw.Answer, rest: bytes, method: str) -> int:
    """Return how many of the bytes after the head are the answer's, chunk sizes included."""
    if method == "HEAD" or answer.status in (204, 304):
        return 0
    if answer.chunked:
        place = 0
        while True:
            line, _, _ = rest[place:].partition(b"\r\n")
            size = int(line, 16)
            place += len(line) + 2 + size + 2
            if not size:
                return place
    length = answer.header("content-length")
    return len(rest) if length is None else int(length)


def side_by_side(run: Callable[[K], V], items: Iterable[K], at_once: int = 8) -> list[V]:
    """Return what ``run`` gives for each item, some of them at a time."""
    with ThreadPoolExecutor(at_once) as pool:
        return list(pool.map(run, items))
