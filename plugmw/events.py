"""What happens to a gateway beside its requests: counted for whoever exports it, told in the log once.

    runtime.events.count(RELOADS, "refused")

Writers know nothing of who listens. Until somebody does, the counts are kept, so that nothing is missing that
happened before the exporter was made; without one they are a few numbers that nobody asks for.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable
from typing import Any, Final, Protocol, TypeAlias

from plugmw.concurrency.process import on_fork
from plugmw.concurrency.throttle import Throttle

#: Reloads of the configuration; the label is ``applied`` or ``refused``.
RELOADS: Final = "reload"
#: Calls of a store, or of a consumer store, that failed.
STORE_ERRORS: Final = "store_errors"
#: Entries that a queue of log entries has dropped or given up; the label is the sink.
QUEUE_DROPPED: Final = "queue_dropped"
#: Starts of plugin servers after their first.
SERVER_RESTARTS: Final = "pluginserver_restarts"
#: Requests that a service did not answer; the label is the reason.
UPSTREAM_FAILURES: Final = "upstream_failures"

#: Takes the name of an event, its label and how often it happened; False if it takes nothing any more.
Taker: TypeAlias = Callable[[str, str, int], bool]


class Events:
    """The counts of one gateway in one process, through all its reloads. Thread-safe.

    A forked child begins at zero: what its parent has counted is the parent's.
    """

    def __init__(self) -> None:
        self.after_fork()
        on_fork(self)

    def after_fork(self) -> None:
        """Begin with new counts, a new lock, and nobody who listens."""
        self._lock = threading.Lock()
        self._kept: Counter[tuple[str, str]] = Counter()
        self._take: Taker | None = None

    def count(self, name: str, label: str = "", amount: int = 1) -> None:
        """Count an event; hand it on if somebody listens."""
        take = self._take
        if amount and not (take is not None and _taken(take, name, label, amount)):
            with self._lock:
                self._kept[name, label] += amount

    def listen(self, take: Taker) -> None:
        """Hand on what was counted so far to ``take``, and from now on each event; it is the only one."""
        with self._lock:
            self._take = take
            kept, self._kept = self._kept, Counter()
        for (name, label), amount in kept.items():
            self.count(name, label, amount)


def _taken(take: Taker, name: str, label: str, amount: int) -> bool:
    try:
        return take(name, label, amount)
    except Exception:
        # To count is never worth a request; a full disk is told of by what writes to it.
        return False


class _Logger(Protocol):
    def warning(self, msg: str, /, *args: Any) -> Any: ...
    def error(self, msg: str, /, *args: Any) -> Any: ...


class Watching(Protocol):
    """Whoever hears of an outage: the runtime of a gateway."""

    @property
    def events(self) -> Events: ...
    @property
    def logger(self) -> _Logger: ...


class Outage:
    """Whether a store fails now: each failure is counted; the beginning and the end are one line each.

    ``name`` is what the lines call it, without secrets. At most one outage is told in ``every`` seconds: a
    store that fails every other time would fill the log. Of several gateways with one store the first that
    lives is told. Thread- and fork-safe.
    """

    def __init__(self, name: str, every: float = 60.0, clock: Callable[[], float] = time.monotonic) -> None:
        self.name = name
        self._every = every
        self._clock = clock
        self._watching: list[weakref.ref[Watching]] = []
        self.after_fork()
        on_fork(self)

    def after_fork(self) -> None:
        """Begin without an outage."""
        self._lock = threading.Lock()
        self._may_tell = Throttle(self._every, self._clock)
        #: When the outage began that was told and has not ended.
        self.since: float | None = None

    def watched_by(self, gateway: Watching) -> None:
        """Tell ``gateway``, for as long as it lives."""
        with self._lock:
            living = [ref for ref in self._watching if ref() not in (None, gateway)]
            self._watching = [*living, weakref.ref(gateway)]

    def failed(self, why: object) -> None:
        """Count a failure; say why if it is the first."""
        gateway = self._gateway()
        if gateway is None:
            return
        gateway.events.count(STORE_ERRORS)
        with self._lock:
            begins = self.since is None and self._may_tell()
            if begins:
                self.since = self._clock()
        if begins:
            gateway.logger.error("store %s fails: %s", self.name, why)

    def works(self) -> None:
        """Take note that a call was answered; if that ends an outage, say so."""
        if self.since is None:
            return
        with self._lock:
            since, self.since = self.since, None
        gateway = self._gateway()
        if since is not None and gateway is not None:
            gateway.logger.warning("store %s works again, after %.1f s", self.name, self._clock() - since)

    def _gateway(self) -> Watching | None:
        return next((living for ref in self._watching if (living := ref()) is not None), None)


def watch(source: object, gateway: Watching) -> None:
    """Have a gateway told of the outages of a store or a directory, if that knows of any (``outages``)."""
    for outage in getattr(source, "outages", ()):
        outage.watched_by(gateway)
