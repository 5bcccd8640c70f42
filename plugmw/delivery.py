"""The delivery queue: finished entries go to a sink from a thread, batched, retried, bounded and counted.

    queue = self.runtime.queues.get(key, lambda: Queue(self.name, settings, sink.send, self.logger))
    queue.put(text, len(text))

A request only ever appends to a deque under a lock. The thread starts with the first entry, so after the
fork, and ends when nothing came for a while. :meth:`Queues.close` drains at a graceful stop within a
deadline. The rules and the lines in the log are Kong's (``kong/tools/queue.lua``); in addition everything
has a bound, and what is lost is counted.
"""

from __future__ import annotations

import atexit
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any, Final

from plugmw.kernel.process import LazyLock, on_fork
from plugmw.kernel.throttle import Throttle
from plugmw.schema import between, config, field


@config
class QueueConfig:
    """How entries wait and are sent."""

    max_batch_size: int = field(1, between(1, 1_000_000), help="Entries per send.")
    max_coalescing_delay: float = field(
        1, between(0, 3600), help="Seconds to wait for a batch to fill after its first entry."
    )
    max_entries: int = field(10_000, between(1, 1_000_000), help="Entries waiting; the oldest is dropped.")
    max_bytes: int | None = field(None, between(1, 2**40), help="Bytes waiting; the oldest are dropped.")
    max_retry_time: float = field(
        60, between(-1, 1_000_000), help="Seconds after which a failing batch is given up; -1: never retried."
    )
    initial_retry_delay: float = field(
        0.01,
        between(0.001, 1_000_000),
        help="Seconds before the first retry; each further one waits twice as long.",
    )
    max_retry_delay: float = field(60, between(0.001, 1_000_000), help="Seconds between retries, at most.")
    concurrency_limit: int = field(1, help="1: one batch after the other; -1: every entry at once, alone.")

    def check(self) -> Iterator[tuple[str, str]]:
        if self.concurrency_limit not in (1, -1):
            yield "concurrency_limit", f"got {self.concurrency_limit}, expected 1 or -1"


#: Threads that send when ``concurrency_limit`` is -1; Kong has no limit at all.
PARALLEL: Final = 8
#: Seconds without an entry after which a thread ends; the next entry starts another.
IDLE: Final = 30.0
#: Seconds for the entries that are left when a process ends, unless set otherwise.
SHUTDOWN_TIMEOUT: Final = 5.0


class Lost(Exception):
    """Raised by ``send`` for ``count`` entries that it has taken off the batch and that are lost.

    What is left in the batch is sent at once.
    """

    def __init__(self, reason: str, count: int) -> None:
        self.count = count
        super().__init__(reason)


class Queue:
    """Entries for one sink in one process. ``put`` never waits; thread-safe.

    ``send(batch)`` is called in the queue's thread. It delivers a list of entries or raises, and what is
    in the list then is sent again: it may take off the front what it has delivered. ``send`` may be
    replaced at any time; waiting entries go by the latest. ``close`` is called when the queue has stopped.
    ``clock`` is in monotonic seconds. Counters: ``sent``, ``dropped`` (no room), ``lost`` (given up). In a
    forked child it is empty: what waited is the parent's to send.
    """

    def __init__(
        self,
        name: str,
        settings: QueueConfig,
        send: Callable[[list[Any]], None],
        logger: Any,
        clock: Callable[[], float] = time.monotonic,
        close: Callable[[], None] | None = None,
    ) -> None:
        self.name = name
        self.settings = settings
        self.send = send
        self.logger = logger
        self.clock = clock
        #: Seconds for what waits when the process ends.
        self.shutdown_timeout = SHUTDOWN_TIMEOUT
        self._close = close
        alone = settings.concurrency_limit == -1
        self._most = 1 if alone else settings.max_batch_size
        self._wanted = PARALLEL if alone else 1
        self._reset()
        _queues.add(self)
        on_fork(self)

    def after_fork(self) -> None:
        """Begin empty: what waited is the parent's to send."""
        self._reset()

    def _reset(self) -> None:
        self.sent = self.dropped = self.lost = 0
        self._lock = threading.Lock()
        #: Told of an entry or a full batch, and of the stop; of the stop; of a thread that has ended.
        self._news = threading.Condition(self._lock)
        self._stopping = threading.Condition(self._lock)
        self._ended = threading.Condition(self._lock)
        self._waiting: deque[tuple[Any, int]] = deque()
        self._bytes = 0
        #: Threads that run, and entries they have taken and not yet accounted for.
        self._running = 0
        self._taken = 0
        self._stop_by: float | None = None
        self._full = False
        self._near = False
        self._unsaid = 0
        self._failing = Throttle(clock=self.clock)
        self._losing = Throttle(clock=self.clock)
        self._refusing = Throttle(clock=self.clock)

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def busy(self) -> bool:
        """Whether there is something to send, or being sent."""
        return bool(self._waiting or self._taken)

    def put(self, entry: Any, size: int = 0) -> bool:
        """Add an entry of ``size`` bytes, dropping the oldest for it; False if it can never fit."""
        most = self.settings.max_bytes
        if most is not None and size > most:
            with self._lock:
                self.dropped += 1
            if self._refusing():
                self.logger.error("%s: an entry of %d bytes exceeds max_bytes (%d)", self.name, size, most)
            return False
        with self._lock:
            self._make_room(size)
            self._waiting.append((entry, size))
            self._bytes += size
            count = len(self._waiting)
            self._watch_level(count)
            if count == 1 or count >= self._most:
                self._news.notify()
            if self._running < self._wanted:
                self._start()
        return True

    def _make_room(self, size: int) -> None:
        settings, gone = self.settings, 0
        if len(self._waiting) >= settings.max_entries:
            self._drop()
            if not self._full:
                self._full = True
                self.logger.error(
                    "%s: queue full, dropping old entries until processing is successful again", self.name
                )
        if settings.max_bytes is not None:
            while self._bytes + size > settings.max_bytes:
                self._drop()
                gone += 1
            if gone and self._refusing():
                self.logger.error(
                    "%s: byte capacity exceeded, %d queue entries were dropped", self.name, gone
                )

    def _drop(self) -> None:
        self._bytes -= self._waiting.popleft()[1]
        self.dropped += 1

    def _watch_level(self, count: int) -> None:
        near = count >= 0.8 * self.settings.max_entries and self.settings.max_entries > 1
        if near and not self._near:
            self.logger.warning("%s: queue at 80%% capacity", self.name)
        self._near = near

    def _start(self) -> None:
        self._running += 1
        try:
            self._spawn()
        except RuntimeError as error:
            # The system has no more threads, or Python is ending; the next entry tries again.
            self._running -= 1
            if self._failing():
                self.logger.error("%s: cannot start a thread: %s", self.name, error)
        except BaseException:
            self._running -= 1
            raise

    def _spawn(self) -> None:
        threading.Thread(target=self._run, name=f"plugmw-{self.name}", daemon=True).start()

    # -- in the thread ----------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while True:
                batch = self._gather()
                if batch is None:
                    return
                self._deliver(batch)
        except BaseException:
            with self._lock:
                self._leave()
            raise

    def _leave(self) -> None:
        """Be no longer there, decided under the lock: an entry that comes now starts another thread."""
        self._running -= 1
        self._ended.notify_all()

    def _gather(self) -> list[Any] | None:
        """Wait for a batch; None when the thread shall end."""
        with self._lock:
            while not self._waiting:
                woken = self._stop_by is None and self._news.wait(IDLE)
                if not (woken or self._waiting):
                    self._leave()
                    return None
            ready = self.clock() + self.settings.max_coalescing_delay
            while len(self._waiting) < self._most and self._stop_by is None:
                left = ready - self.clock()
                if left <= 0:
                    break
                self._news.wait(left)
            if self._stop_by is not None and self.clock() >= self._stop_by:
                self._leave()
                return None
            count = min(self._most, len(self._waiting))
            batch = [self._waiting.popleft() for _ in range(count)]
            self._bytes -= sum(size for _, size in batch)
            self._taken += count
            return [entry for entry, _ in batch]

    def _deliver(self, batch: list[Any]) -> None:
        begun, tries = self.clock(), 0
        while batch:
            before = len(batch)
            try:
                self.send(batch)
            except Lost as error:
                if len(batch) == before:
                    batch.clear()
                gone = before - len(batch)
                self._account(gone - min(gone, error.count), min(gone, error.count), str(error))
            except Exception as error:
                if len(batch) < before:
                    self._account(before - len(batch))
                    begun, tries = self.clock(), 0
                if self._failing():
                    self.logger.error("%s: handler could not process entries: %s", self.name, error)
                wait = self.pause(tries, begun)
                if wait is None or not self._rest(wait):
                    reason = "could not send entries due to max_retry_time exceeded"
                    return self._account(0, len(batch), reason)
                tries += 1
            else:
                return self._account(before)

    def pause(self, tries: int, begun: float) -> float | None:
        """Return the seconds before retry ``tries`` (from 0) of a batch first sent at ``begun``.

        None gives the batch up.
        """
        settings = self.settings
        wait = min(settings.max_retry_delay, settings.initial_retry_delay * 2 ** min(tries, 40))
        return None if self.clock() + wait - begun > settings.max_retry_time else wait

    def _rest(self, seconds: float) -> bool:
        """Wait before another try; a stop cuts it short. False if the stop leaves no time for it."""
        with self._lock:
            until = self.clock() + seconds
            if self._stop_by is not None and until > self._stop_by:
                return False
            stopping = self._stop_by is not None
            while stopping or self._stop_by is None:
                left = until - self.clock()
                if left <= 0:
                    break
                self._stopping.wait(left)
        return True

    def _account(self, sent: int, lost: int = 0, reason: str = "") -> None:
        with self._lock:
            self.sent += sent
            self.lost += lost
            self._taken -= sent + lost
            self._unsaid += lost
            resumed = bool(sent) and self._full
            if resumed:
                self._full = False
        if sent:
            self._failing.reset()
        if resumed:
            self.logger.info("%s: queue resumed processing", self.name)
        if lost and self._losing():
            gone, self._unsaid = self._unsaid, 0
            self.logger.error("%s: %s. %d queue entries were lost", self.name, reason, gone)

    # -- the end ----------------------------------------------------------------------------------

    def begin_stop(self, deadline: float) -> None:
        """Make the threads send what waits without delay, and end; not later than ``deadline``."""
        with self._lock:
            self._stop_by = deadline
            self._news.notify_all()
            self._stopping.notify_all()

    def stop(self, deadline: float) -> int:
        """Send what waits until ``deadline`` (of the clock); return how many entries were left."""
        self.begin_stop(deadline)
        with self._lock:
            while self._running:
                seconds = deadline - self.clock()
                if seconds <= 0:
                    break
                self._ended.wait(seconds)
            left = len(self._waiting) + self._taken
            self.lost += len(self._waiting)
            self._waiting.clear()
            self._bytes = 0
            if not self._running:
                self._stop_by = None
        if left or self.dropped or self.lost:
            self.logger.error(
                "%s: queue stopped with %d entries not sent; %d were dropped and %d lost in all",
                *(self.name, left, self.dropped, self.lost),
            )
        if self._close is not None:
            self._close()
        return left


class Queues:
    """The queues of one gateway, by key; entries with the same key share one.

    Ask for the queue each time, and keep none: once closed it is forgotten.
    """

    def __init__(self) -> None:
        #: Of every queue made from now on.
        self.shutdown_timeout = SHUTDOWN_TIMEOUT
        self._made: dict[Hashable, Queue] = {}
        self._lock = LazyLock()
        on_fork(self)

    def get(self, key: Hashable, make: Callable[[], Queue]) -> Queue:
        """Return the queue under ``key``, made on first use."""
        found = self._made.get(key)
        if found is None:
            with self._lock.get():
                found = self._made.get(key)
                if found is None:
                    found = self._made[key] = make()
                    found.shutdown_timeout = self.shutdown_timeout
        return found

    def all(self) -> list[Queue]:
        """Return the queues made so far, for counters."""
        return list(self._made.values())

    @property
    def patience(self) -> float:
        """The seconds that :meth:`close` may take now."""
        return self.shutdown_timeout if any(queue.busy for queue in self.all()) else 0.0

    def after_fork(self) -> None:
        """Forget the parent's queues."""
        self._made = {}

    def close(self) -> int:
        """Drain all queues, in :attr:`shutdown_timeout` together; return how many entries were left."""
        made, self._made = self._made, {}
        return _stop(made.values())


def _stop(queues: Iterable[Queue]) -> int:
    ends = [(queue, queue.clock() + queue.shutdown_timeout) for queue in queues]
    for queue, deadline in ends:
        queue.begin_stop(deadline)
    return sum(queue.stop(deadline) for queue, deadline in ends)


#: All of this process.
_queues: weakref.WeakSet[Queue] = weakref.WeakSet()


@atexit.register
def _drain() -> None:
    """Send what waits in a process that nobody stops by a hook."""
    _stop([queue for queue in list(_queues) if queue.busy])
