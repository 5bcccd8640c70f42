"""A circuit breaker that looks for its backend in the background.

Closed: calls go through. The first failure opens it: calls fail at once, and one daemon thread per process
probes the backend until it answers. So no request ever waits to find out that a dead backend is still dead,
which a breaker that lets one request through from time to time would make it do.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Lock

from plugmw.concurrency.process import on_fork
from plugmw.concurrency.threads import Daemon


class Breaker:
    """``cause`` is why calls must not be tried now, or None.

    ``probe`` is called in a thread of its own, at once and then every ``pause`` seconds, until it returns
    without an exception, after which ``recovered`` is. Thread-safe; a forked child
    starts closed, as the thread stays with the parent.
    """

    def __init__(
        self,
        probe: Callable[[], object],
        pause: float = 0.25,
        recovered: Callable[[], object] = lambda: None,
    ) -> None:
        self.cause: Exception | None = None
        self._probe = probe
        self._pause = pause
        self._recovered = recovered
        self._stop = Event()
        self._lock = Lock()
        on_fork(self)

    def after_fork(self) -> None:
        self.cause = None
        self._lock = Lock()
        closed, self._stop = self._stop.is_set(), Event()
        if closed:
            self._stop.set()

    def trip(self, cause: Exception) -> None:
        """Open, and start looking for the backend unless that is under way already."""
        with self._lock:
            if self.cause is None and not self._stop.is_set():
                self.cause = cause
                try:
                    Daemon("plugmw-probe", self._look).start()
                except RuntimeError:
                    # Nobody would look for the backend, so it would stay open: the next failure tries again.
                    self.cause = None

    def close(self) -> None:
        """Stop looking; a probe under way ends by its own deadline."""
        self._stop.set()

    def _look(self) -> None:
        while not self._stop.is_set():
            try:
                self._probe()
            except Exception as error:
                # The first cause holds the frames of the request that met it; this one holds only ours.
                self.cause = error
                self._stop.wait(self._pause)
            else:
                self.cause = None
                self._recovered()
                return
