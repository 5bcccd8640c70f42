"""The queues of a gateway, shared by the entries that send to the same place; drained when it closes."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING

from plugmw.concurrency.process import LazyLock, on_fork
from plugmw.events import Events
from plugmw.telemetry.queue import SHUTDOWN_TIMEOUT, Queue, stop_all

if TYPE_CHECKING:
    from plugmw.kernel.runtime import Runtime


class Queues:
    """The queues of one gateway, by key; entries with the same key share one.

    Ask for the queue each time, and keep none: once closed it is forgotten.
    """

    def __init__(self, events: Events | None = None) -> None:
        self._events = events
        #: Of every queue made from now on.
        self.shutdown_timeout = SHUTDOWN_TIMEOUT
        self._queues: dict[Hashable, Queue] = {}
        self._lock = LazyLock()
        on_fork(self)

    @classmethod
    def of(cls, runtime: Runtime) -> Queues:
        """Return those of a gateway."""
        return runtime.resource("queues", lambda: cls(runtime.events))

    def get(self, key: Hashable, make: Callable[[], Queue]) -> Queue:
        """Return the queue under ``key``, made on first use."""
        queue = self._queues.get(key)
        if queue is None:
            with self._lock.get():
                queue = self._queues.get(key)
                if queue is None:
                    queue = self._queues[key] = make()
                    queue.shutdown_timeout = self.shutdown_timeout
                    queue.events = self._events
        return queue

    def all(self) -> list[Queue]:
        """Return the queues made so far, for counters."""
        return list(self._queues.values())

    @property
    def patience(self) -> float:
        """The seconds that :meth:`close` may take now."""
        return max((queue.patience for queue in self.all()), default=0.0)

    def after_fork(self) -> None:
        """Forget the parent's queues."""
        self._queues = {}

    def close(self) -> int:
        """Drain all queues, in :attr:`shutdown_timeout` together; return how many entries were left."""
        queues, self._queues = self._queues, {}
        return stop_all(queues.values())
