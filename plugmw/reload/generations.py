"""Generations of a gateway: what a reload has replaced serves its running requests, then is closed.

A request holds the lease of the generation it began with, in its environ, so the last one to end lets go of
the lease. What two generations have in common (the store, a plugin object given in code, a module whose file
is as it was) is closed with the last of them.
"""

from __future__ import annotations

import gc
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterable
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Final

import attrs

from plugmw.concurrency.threads import Daemon
from plugmw.kernel.runtime import Runtime
from plugmw.kernel.user_code import contained
from plugmw.wsgi import keys

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from plugmw.configuration.plan import Plan
    from plugmw.kernel.order import Entry
    from plugmw.kernel.plugin import Plugin

#: Seconds between two looks at what has not drained; from the second of waiting on, garbage is collected.
PAUSE: Final = 0.05
LONGEST_PAUSE: Final = 2.0


class Lease:
    """Held by everything that still runs on a generation."""


@attrs.frozen(eq=False)
class Holdings:
    """What a generation holds in this process, to be closed when it has drained."""

    runtime: Runtime
    #: The distinct plugin objects of its entries, in the order in which they are closed.
    plugins: list[Plugin]
    #: Names in ``sys.modules`` of the files it has loaded.
    modules: frozenset[str] = frozenset()

    def close(self, living: Iterable[Holdings] = ()) -> None:
        """Close what none of the ``living`` generations holds; failures are logged."""
        living = list(living)
        used = {id(plugin) for other in living for plugin in other.plugins}
        for plugin in self.plugins:
            if id(plugin) not in used:
                try:
                    contained(plugin.close)
                except Exception as error:
                    self.runtime.logger.error("%s: close failed", plugin.name, exc_info=error)
        self.runtime.close()

    def forget(self, living: Iterable[Holdings]) -> None:
        """Take the modules out of ``sys.modules`` that none of the ``living`` generations has."""
        for name in self.modules.difference(*(other.modules for other in living)):
            sys.modules.pop(name, None)


@attrs.frozen(eq=False)
class Generation:
    """What one reading of the configuration is in force with: built apart, then put in force at once."""

    plan: Plan
    entries: list[Entry]
    #: The entries that are compiled: see :func:`plugmw.kernel.worker.in_force`.
    served: list[Entry]
    #: Serves the requests. It holds the lease, and whoever holds it keeps the generation from draining.
    run: WSGIApplication
    holdings: Holdings
    #: Ends with the last request; None if nobody knows of its requests, as it has no file.
    lease: weakref.ref[Lease] | None = None


def leased(run: WSGIApplication) -> tuple[WSGIApplication, weakref.ref[Lease]]:
    """Return ``run`` so that its requests hold a lease, and a reference that ends with the last of them."""
    lease = Lease()

    def leasing(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        environ[keys.GENERATION] = lease, environ.get(keys.GENERATION)
        return run(environ, start_response)

    return leasing, weakref.ref(lease)


def modules_of(modules: Iterable[ModuleType]) -> frozenset[str]:
    """Return the names of modules in ``sys.modules``."""
    return frozenset(module.__name__ for module in modules)


class Draining:
    """Generations that get no new requests; each is closed when it has drained, in a thread of its own.

    ``living`` returns what the generations hold that are in force or about to be. Of one process: a fork
    begins with none.
    """

    def __init__(self, living: Callable[[], list[Holdings]]) -> None:
        self._living = living
        self._lock = threading.Lock()
        self._waiting: list[tuple[Holdings, weakref.ref[Lease]]] = []
        #: Whose requests nobody knows of: closed when the process ends.
        self._lasting: list[Holdings] = []
        #: Those that are being closed.
        self._closing: list[Holdings] = []
        self._running = False

    def __len__(self) -> int:
        """Return how many are not closed yet."""
        return len(self._waiting) + len(self._lasting) + len(self._closing)

    def add(self, holdings: Holdings, lease: weakref.ref[Lease] | None) -> None:
        """Close ``holdings`` as soon as ``lease`` has ended, without one at :meth:`close`.

        Never waits, and never raises: where there is no thread to be had, the next call tries again.
        """
        with self._lock:
            if lease is None:
                self._lasting.append(holdings)
                return
            self._waiting.append((holdings, lease))
            start, self._running = not self._running, True
        if start and not _has_thread(holdings, self._run):
            with self._lock:
                self._running = False

    def close(self) -> None:
        """Close all at once, drained or not: the process ends."""
        with self._lock:
            left = [*self._lasting, *(holdings for holdings, _ in self._waiting)]
            self._waiting, self._lasting = [], []
        while left:
            holdings = left.pop(0)
            living = [*self._living(), *left]
            holdings.close(living)
            holdings.forget(living)

    def _run(self) -> None:
        pause, begun = PAUSE, time.monotonic()
        while True:
            with self._lock:
                if not self._waiting:
                    self._running = False
                    return
            if self._close_drained():
                pause, begun = PAUSE, time.monotonic()
                continue
            time.sleep(pause)
            if time.monotonic() - begun > 1:
                # An environ may be in a cycle: frameworks put their request objects into it.
                pause = min(2 * pause, LONGEST_PAUSE)
                gc.collect()

    def _close_drained(self) -> bool:
        with self._lock:
            drained = [holdings for holdings, lease in self._waiting if lease() is None]
            self._waiting = [item for item in self._waiting if item[0] not in drained]
            self._closing += drained
        for holdings in drained:
            # One that hangs must not keep the others open, if there are threads.
            if not _has_thread(holdings, close := partial(self._close, holdings)):
                close()
        return bool(drained)

    def _close(self, holdings: Holdings) -> None:
        try:
            holdings.close([other for other in self._others() if other is not holdings])
        finally:
            with self._lock:
                self._closing.remove(holdings)
            # The last of those that have a module, whichever it is, finds nobody else who has.
            holdings.forget(self._others())

    def _others(self) -> list[Holdings]:
        with self._lock:
            retired = [*(holdings for holdings, _ in self._waiting), *self._lasting, *self._closing]
        return [*self._living(), *retired]


def _has_thread(holdings: Holdings, run: Callable[[], None]) -> bool:
    """Start a thread; where the system has none left, say so in the log and return False."""
    try:
        Daemon("plugmw-draining", run).start()
    except Exception as error:
        # Its text only: the frames of its traceback would hold the lease while somebody keeps the record.
        holdings.runtime.logger.error("no thread to close a replaced configuration in: %s", str(error))
        return False
    return True
