"""The delivery queue: finished entries go to a sink from a thread, batched, retried, bounded and counted.

A request only ever appends to a deque under a lock. The thread starts with the first entry, so after the
fork; :func:`Queues.close` drains at a graceful stop within a deadline. The rules are Kong's
(``kong/tools/queue.lua``), with bounds on everything and a count of what was lost.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from typing import Any

from plugmw.schema import between, config, field


@config
class QueueConfig:
    """How entries wait and are sent."""

    max_batch_size: int = field(1, between(1, 1_000_000), help="Entries per send.")
    max_coalescing_delay: float = field(
        1.0, between(0, 3600), help="Seconds to wait for a batch to fill after its first entry."
    )
    max_entries: int = field(10_000, between(1, 1_000_000), help="Entries waiting; the oldest is dropped.")
    max_bytes: int | None = field(None, between(1, 2**40), help="Bytes waiting; the oldest are dropped.")
    max_retry_time: float = field(
        60.0, between(-1, 86_400), help="Seconds after which a failing batch is given up; -1: never retried."
    )
    initial_retry_delay: float = field(
        0.01, between(0.001, 1_000_000), help="Seconds before the first retry."
    )
    max_retry_delay: float = field(60.0, between(0.001, 1_000_000), help="Seconds between retries, at most.")
    concurrency_limit: int = field(1, help="1: one batch after the other; -1: every entry at once, alone.")

    def check(self) -> Any:
        if self.concurrency_limit not in (1, -1):
            yield "concurrency_limit", f"got {self.concurrency_limit}, expected 1 or -1"


#: Threads that send when ``concurrency_limit`` is -1; Kong has no limit at all.
_PARALLEL = 8
#: Seconds between two log lines about the same trouble.
_QUIET = 60.0


class Queue:
    """Entries for one sink in one process. ``put`` never blocks; thread-safe; starts anew after a fork.

    ``send(batch)`` is called in the queue's thread and raises to have the batch retried. Counters:
    ``sent``, ``dropped`` (no room), ``lost`` (given up).
    """

    def __init__(
        self,
        name: str,
        settings: QueueConfig,
        send: Callable[[list[Any]], None],
        logger: Any,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.settings = settings
        self.send = send
        self.logger = logger
        self.clock = clock
        self._reset()

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._waiting: deque[tuple[Any, int]] = deque()
        self._bytes = 0
        self._cond = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._stop_by: float | None = None
        self._full = False
        self._near = False
        self._said = 0.0
        self.sent = self.dropped = self.lost = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, entry: Any, size: int = 0) -> bool:
        """Add an entry of ``size`` bytes, dropping the oldest for it; False if it can never fit."""
        if self._pid != os.getpid():
            self._reset()
        settings = self.settings
        with self._cond:
            if settings.max_bytes is not None and size > settings.max_bytes:
                self.dropped += 1
                self.logger.warning("queue %s: an entry of %d bytes exceeds max_bytes", self.name, size)
                return False
            self._make_room(size)
            self._waiting.append((entry, size))
            self._bytes += size
            self._watch_level()
            self._start()
            self._cond.notify()
        return True

    def _make_room(self, size: int) -> None:
        settings, gone = self.settings, 0
        while self._waiting and (
            len(self._waiting) >= settings.max_entries
            or (settings.max_bytes is not None and self._bytes + size > settings.max_bytes)
        ):
            self._bytes -= self._waiting.popleft()[1]
            gone += 1
        self.dropped += gone
        if gone and not self._full:
            self._full = True
            self.logger.error(
                "queue %s full, dropping old entries until processing is successful again", self.name
            )

    def _watch_level(self) -> None:
        near = len(self._waiting) >= 0.8 * self.settings.max_entries
        if near and not self._near:
            self.logger.warning("queue %s at 80%% capacity", self.name)
        self._near = near

    def _start(self) -> None:
        wanted = 1 if self.settings.concurrency_limit == 1 else _PARALLEL
        if len(self._threads) < wanted:
            thread = threading.Thread(target=self._run, name=f"plugmw-queue-{self.name}", daemon=True)
            self._threads.append(thread)
            thread.start()

    # -- in the thread ----------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            batch = self._gather()
            if not batch:
                return
            self._deliver(batch)

    def _gather(self) -> list[Any]:
        """Wait for a batch; empty when the queue has been stopped and drained."""
        alone = self.settings.concurrency_limit == -1
        most = 1 if alone else self.settings.max_batch_size
        with self._cond:
            while not self._waiting:
                if self._stop_by is not None:
                    return []
                self._cond.wait()
            ready = self.clock() + self.settings.max_coalescing_delay
            while most > 1 and len(self._waiting) < most and self._stop_by is None:
                left = ready - self.clock()
                if left <= 0:
                    break
                self._cond.wait(left)
            batch = [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]
            self._bytes -= sum(size for _, size in batch)
            return [entry for entry, _ in batch]

    def _deliver(self, batch: list[Any]) -> None:
        settings = self.settings
        give_up = self.clock() + settings.max_retry_time
        tries = 0
        while True:
            try:
                self.send(batch)
            except Exception as error:
                self._complain("queue %s could not process entries: %s", error)
            else:
                self._succeeded(len(batch))
                return
            wait = min(settings.max_retry_delay, settings.initial_retry_delay * 2 ** min(tries, 40))
            tries += 1
            stop_by = self._stop_by
            end = give_up if stop_by is None else min(give_up, stop_by)
            if settings.max_retry_time < 0 or self.clock() + wait > end:
                with self._cond:
                    self.lost += len(batch)
                self.logger.error(
                    "queue %s: could not send entries due to max_retry_time exceeded. "
                    "%d queue entries were lost",
                    self.name,
                    len(batch),
                )
                return
            with self._cond:
                if self._stop_by is None:
                    self._cond.wait(wait)
                    continue
            time.sleep(wait)

    def _succeeded(self, count: int) -> None:
        with self._cond:
            self.sent += count
            if self._full:
                self._full = False
                self.logger.info("queue %s resumed processing", self.name)

    def _complain(self, text: str, error: Exception) -> None:
        now = self.clock()
        if not self._said or now - self._said >= _QUIET:
            self._said = now
            self.logger.error(text, self.name, error)

    # -- the end ----------------------------------------------------------------------------------

    def stop(self, deadline: float) -> int:
        """Send what waits until ``deadline`` (the queue's clock); return how many entries were left."""
        if self._pid != os.getpid():
            return 0
        with self._cond:
            self._stop_by = deadline
            self._cond.notify_all()
            threads, self._threads = self._threads, []
        for thread in threads:
            thread.join(max(0.0, deadline - self.clock()))
        with self._cond:
            left = len(self._waiting)
            self._waiting.clear()
            self._bytes = 0
            self.lost += left
            if not any(thread.is_alive() for thread in threads):
                self._stop_by = None
        if left:
            self.logger.error("queue %s: %d entries were not sent before the stop", self.name, left)
        return left


class Queues:
    """The queues of one gateway, by key; entries with the same key share one."""

    def __init__(self) -> None:
        self._made: dict[Hashable, Queue] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], Queue]) -> Queue:
        """Return the queue under ``key``, made on first use."""
        found = self._made.get(key)
        if found is None:
            with self._lock:
                found = self._made.get(key)
                if found is None:
                    found = self._made[key] = make()
        return found

    def all(self) -> Sequence[Queue]:
        """Return the queues made so far."""
        return list(self._made.values())

    def after_fork(self) -> None:
        """Forget the parent's queues."""
        self._made = {}
        self._lock = threading.Lock()

    def close(self, seconds: float = 5.0) -> int:
        """Drain every queue within ``seconds`` in total; return how many entries were left."""
        queues, self._made = list(self._made.values()), {}
        deadline = time.monotonic() + seconds
        for queue in queues:
            with queue._cond:
                queue._stop_by = deadline
                queue._cond.notify_all()
        return sum(queue.stop(deadline) for queue in queues)
