"""A steady load on a real server while something is broken, and what each request of it got.

with Load(server.port, "/page", headers=("apikey: k",)) as load:
    os.kill(peer, signal.SIGSTOP)
    ...
assert load.statuses == {200}
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import Counter
from collections.abc import Sequence

import attrs

from tests.support import raw
from tests.support.waiting import until

#: gunicorn's kinds of workers, with what each is started with.
WORKERS: dict[str, list[str]] = {"sync": [], "gthread": ["--threads", "4"], "gevent": []}
#: Requests a second, and the clients that send them in turn.
RATE, CLIENTS = 50.0, 10
#: Seconds in which what was broken has to serve again.
RECOVERY = 2.0
#: Seconds until something is taken to be never coming.
PATIENCE = 15.0


@attrs.frozen
class Got:
    """What one request of the load got: status 0 is no whole answer."""

    path: str
    status: int
    seconds: float
    answer: raw.Answer | None
    error: str = ""


class Load:
    """Requests at a steady pace, each on a connection of its own, until the end of the block.

    ``path`` may have a ``{n}``, the number of the request. A client that waits for an answer sends no other
    one meanwhile, so a server that hangs is asked by no more than :data:`CLIENTS` at once.
    """

    def __init__(
        self, port: int, path: str = "/{n}", headers: Sequence[str] = (), rate: float = RATE
    ) -> None:
        self.got: list[Got] = []
        self._port, self._path, self._headers = port, path, headers
        self._pause = CLIENTS / rate
        self._done = threading.Event()
        self._numbers = iter(range(10**9))
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._client, args=(n / rate,)) for n in range(CLIENTS)]

    def _client(self, begin: float) -> None:
        at = time.monotonic() + begin
        while not self._done.wait(max(0.0, at - time.monotonic())):
            with self._lock:
                path = self._path.format(n=next(self._numbers))
            self.got.append(ask(self._port, path, *self._headers))
            at = max(at + self._pause, time.monotonic())

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join(PATIENCE)
        assert not any(thread.is_alive() for thread in self._threads), "a request hangs"

    def wait(self, count: int = 25) -> None:
        """Let so many more requests be answered: at the usual pace half a second's."""
        wanted = len(self.got) + count
        until(lambda: len(self.got) >= wanted)

    @property
    def counts(self) -> Counter[int]:
        return Counter(got.status for got in self.got)

    @property
    def statuses(self) -> set[int]:
        return set(self.counts)

    @property
    def bad(self) -> list[Got]:
        """What was not answered 200."""
        return [got for got in self.got if got.status != 200]


def ask(port: int, path: str, *headers: str, timeout: float = PATIENCE) -> Got:
    """Send one request; whatever goes wrong is told, not raised."""
    begun = time.monotonic()
    try:
        answer = raw.exchange(port, raw.request(path, *headers), timeout)
        status, error = answer.status if answer.raw and answer.complete else 0, ""
    except (OSError, ValueError) as failure:
        answer, status, error = None, 0, repr(failure)
    return Got(path, status, time.monotonic() - begun, answer, error)


def links(pid: int) -> list[str]:
    """Return what the open files and sockets of a process are called in /proc."""
    found = []
    for number in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(OSError):  # closed meanwhile
            found.append(os.readlink(f"/proc/{pid}/fd/{number}"))
    return found
