"""Generations of a gateway: what a reload has replaced serves its running requests, then is closed.

A request holds the mark of the generation it began with, in its environ, so the last one to end lets go of
the mark. What two generations have in common (the store, a plugin object given in code, a module whose file
is as it was) is closed with the last of them.
"""

from __future__ import annotations

import gc
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

import attrs

from plugmw.kernel.user_code import contained
from plugmw.runtime import Runtime

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

#: Where a request holds the marks of the generations it runs on, the innermost gateway's first.
KEY: Final = "plugmw.generation"
#: Seconds between two looks at what has not drained; from the second of waiting on, garbage is collected.
PAUSE: Final = 0.05
LONGEST_PAUSE: Final = 2.0


class Mark:
    """Held by everything that still runs on a generation."""


@attrs.define(eq=False)
class Generation:
    """What one reading of the configuration holds in this process."""

    runtime: Runtime
    #: The distinct plugin objects of its entries, in the order in which they are closed.
    plugins: list[Any]
    #: Names in ``sys.modules`` of the files it has loaded.
    modules: frozenset[str] = frozenset()

    def marked(self, run: WSGIApplication) -> tuple[WSGIApplication, weakref.ref[Mark]]:
        """Return ``run`` so that its requests hold a mark, and a reference that ends with the last one."""
        mark = Mark()

        def marking(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            environ[KEY] = mark, environ.get(KEY)
            return run(environ, start_response)

        return marking, weakref.ref(mark)

    def close(self, living: Iterable[Generation]) -> None:
        """Close what none of the ``living`` generations uses; failures are logged."""
        living = list(living)
        used = {id(plugin) for other in living for plugin in other.plugins}
        for plugin in self.plugins:
            if id(plugin) not in used:
                try:
                    contained(plugin.close)
                except Exception as error:
                    self.runtime.logger.error("%s: close failed", plugin.name, exc_info=error)
        self.runtime.close([other.runtime for other in living])
        for name in self.modules.difference(*(other.modules for other in living)):
            sys.modules.pop(name, None)


def modules_of(modules: Iterable[ModuleType]) -> frozenset[str]:
    """Return the names of modules in ``sys.modules``."""
    return frozenset(module.__name__ for module in modules)


class Retired:
    """Generations that get no new requests; a thread closes each when it has drained.

    ``living`` tells the generation in force. Of one process: a fork begins with none.
    """

    def __init__(self, living: Callable[[], list[Generation]]) -> None:
        self._living = living
        self._lock = threading.Lock()
        self._waiting: list[tuple[Generation, weakref.ref[Mark]]] = []
        self._running = False

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, generation: Generation, mark: weakref.ref[Mark]) -> None:
        """Close ``generation`` as soon as ``mark`` has ended. Never waits."""
        with self._lock:
            self._waiting.append((generation, mark))
            start, self._running = not self._running, True
        if start:
            threading.Thread(target=self._run, name="plugmw-retired", daemon=True).start()

    def close(self) -> None:
        """Close all at once, drained or not: the process ends."""
        with self._lock:
            waiting, self._waiting = self._waiting, []
        for index, (generation, _) in enumerate(waiting):
            generation.close([*self._living(), *(other for other, _ in waiting[index + 1 :])])

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
            drained = [item for item in self._waiting if item[1]() is None]
            self._waiting = [item for item in self._waiting if item not in drained]
            left = [generation for generation, _ in self._waiting]
        for index, (generation, _) in enumerate(drained):
            generation.close([*self._living(), *left, *(other for other, _ in drained[index + 1 :])])
        return bool(drained)
