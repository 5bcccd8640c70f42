"""The delivery queue: finished entries go to a sink from a thread, batched, retried, bounded and counted.

    queue = Queues.of(self.runtime).get(key, lambda: Queue(self.name, settings, sink.send, self.logger))
    queue.put(text, len(text))

A request only ever appends to a deque under a lock. The thread starts with the first entry, so after the
fork, and ends when nothing came for a while. :meth:`plugmw.telemetry.queues.Queues.close` drains at a
graceful stop within a deadline. The rules and the lines in the log are Kong's (``kong/tools/queue.lua``); in
addition everything has a bound, and what is lost is counted.
"""

from __future__ import annotations

import atexit
import threading
import time
import weakref
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final, Generic

from plugmw.concurrency.process import on_fork
from plugmw.concurrency.threads import Daemon
from plugmw.concurrency.throttle import Throttle
from plugmw.events import QUEUE_DROPPED, Events
from plugmw.telemetry.buffer import Buffer
from plugmw.telemetry.queue_config import QueueConfig

if TYPE_CHECKING:
    from typing import Any

    from typing_extensions import TypeVar

    from plugmw.kernel.runtime import Logger

    E = TypeVar("E", default=Any)
else:
    from typing import TypeVar

    E = TypeVar("E")

#: Threads that send when ``concurrency_limit`` is -1; Kong has no limit at all.
PARALLEL: Final = 8
#: Seconds without an entry after which a thread ends; the next entry starts another.
IDLE: Final = 30.0
#: Seconds for the entries that are left when a process ends, unless set otherwise.
SHUTDOWN_TIMEOUT: Final = 5.0
#: Seconds for those of a queue whose last try has failed: one more, and they are given up.
LAST_TRY: Final = 1.0


class Lost(Exception):
    """Raised by ``send`` for ``count`` entries that it has taken off the batch and that are lost.

    What is left in the batch is sent at once.
    """

    def __init__(self, reason: str, count: int) -> None:
        self.count = count
        super().__init__(reason)


def _start_thread(name: str, run: Callable[[], None]) -> None:
    Daemon(f"plugmw-{name}", run).start()


class Queue(Generic[E]):
    """Entries for one sink in one process. ``put`` never waits; thread-safe.

    ``send(batch)`` is called in the queue's thread. It delivers a list of entries or raises, and what is
    in the list then is sent again: it may take off the front what it has delivered. ``send`` may be
    replaced at any time; waiting entries go by the latest. ``close`` is called when the queue has stopped.
    ``clock`` is in monotonic seconds; ``wait`` stands in for ``Condition.wait``, ``start`` for the thread.
    Counters: ``sent``, ``dropped`` (no room), ``lost`` (given up). In a forked child it is empty: what waited
    is the parent's to send.
    """

    def __init__(
        self,
        name: str,
        settings: QueueConfig,
        send: Callable[[list[E]], None],
        logger: Logger,
        clock: Callable[[], float] = time.monotonic,
        close: Callable[[], None] | None = None,
        wait: Callable[[threading.Condition, float], bool] = threading.Condition.wait,
        start: Callable[[str, Callable[[], None]], None] = _start_thread,
    ) -> None:
        self.name = name
        self.settings = settings
        self.send = send
        self.logger = logger
        self.clock = clock
        #: Seconds for what waits when the process ends.
        self.shutdown_timeout = SHUTDOWN_TIMEOUT
        #: Told of each entry that is dropped or lost.
        self.events: Events | None = None
        self._close = close
        self._wait = wait
        self._start_thread = start
        alone = settings.concurrency_limit == -1
        self._most = 1 if alone else settings.max_batch_size
        self._wanted = PARALLEL if alone else 1
        self.after_fork()
        QUEUES.add(self)
        on_fork(self)

    def after_fork(self) -> None:
        """Begin empty: what waited is the parent's to send."""
        self.sent = self.lost = 0
        self._lock = threading.Lock()
        #: Told of an entry or a full batch, and of the stop; of the stop; of a thread that has ended.
        self._news = threading.Condition(self._lock)
        self._stopping = threading.Condition(self._lock)
        self._ended = threading.Condition(self._lock)
        settings = self.settings
        self._refusing = Throttle(clock=self.clock)
        #: Lines that are logged once the lock is free: a handler may take its time, or put something here.
        self._notes: list[tuple[str, str, tuple[object, ...]]] = []
        self._waiting: Buffer[E] = Buffer(
            settings.max_entries, settings.max_bytes, self._note, self._refusing, Throttle(clock=self.clock)
        )
        #: Threads that run, and entries they have taken and not yet accounted for.
        self._running = 0
        self._taken = 0
        self._stop_by: float | None = None
        #: The stop has ended, with threads that have not.
        self._left_behind = False
        #: Whether the last try has failed, and whether one had when the stop began.
        self._fails = self._given_up = False
        self._unsaid = 0
        self._failing = Throttle(clock=self.clock)
        self._losing = Throttle(clock=self.clock)

    def __len__(self) -> int:
        return len(self._waiting)

    def _note(self, level: str, text: str, *arguments: object) -> None:
        self._notes.append((level, text, arguments))

    def _tell(self) -> None:
        """Log what was noted; without the lock."""
        with self._lock:
            notes, self._notes = self._notes, []
        for level, text, arguments in notes:
            getattr(self.logger, level)(f"%s: {text}", self.name, *arguments)

    @property
    def dropped(self) -> int:
        """Entries that were dropped because there was no room."""
        return self._waiting.dropped

    @property
    def busy(self) -> bool:
        """Whether there is something to send, or being sent."""
        return bool(self._waiting or self._taken)

    @property
    def patience(self) -> float:
        """The seconds that :meth:`stop` shall have now."""
        if not self.busy:
            return 0.0
        return min(LAST_TRY, self.shutdown_timeout) if self._fails else self.shutdown_timeout

    def put(self, entry: E, size: int = 0) -> bool:
        """Add an entry of ``size`` bytes, dropping the oldest for it; False if it can never fit."""
        with self._lock:
            before = self._waiting.dropped
            fits = self._waiting.add(entry, size)
            gone = self._waiting.dropped - before
            if fits:
                count = len(self._waiting)
                if count == 1 or count >= self._most:
                    self._news.notify()
                if self._running < self._wanted:
                    self._start()
        if gone:
            self._count(gone)
        if self._notes:
            self._tell()
        return fits

    def _count(self, gone: int) -> None:
        if self.events is not None:
            self.events.count(QUEUE_DROPPED, self.name, gone)

    def _start(self) -> None:
        self._running += 1
        try:
            self._start_thread(self.name, self._run)
        except RuntimeError as error:
            # The system has no more threads, or Python is ending; the next entry tries again.
            self._running -= 1
            if self._failing():
                self._note("error", "cannot start a thread: %s", error)
        except BaseException:
            self._running -= 1
            raise

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
        if self._left_behind and not self._running:
            # What came since the stop is sent, as of a queue that was never stopped.
            self._left_behind, self._stop_by = False, None
            if self._waiting:
                self._start()

    def _gather(self) -> list[E] | None:
        """Wait for a batch; None when the thread shall end."""
        with self._lock:
            while not self._waiting:
                woken = self._stop_by is None and self._wait(self._news, IDLE)
                if not (woken or self._waiting):
                    self._leave()
                    return None
            ready = self.clock() + self.settings.max_coalescing_delay
            while len(self._waiting) < self._most and self._stop_by is None:
                left = ready - self.clock()
                if left <= 0:
                    break
                self._wait(self._news, left)
            if self._stop_by is not None and (self.clock() >= self._stop_by or self._is_hopeless):
                self._leave()
                return None
            count = min(self._most, len(self._waiting))
            self._taken += count
            return self._waiting.take(count)

    def _deliver(self, batch: list[E]) -> None:
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
                self._fails = True
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
            except BaseException as error:
                # The thread ends, and the next entry starts another.
                reason = f"the thread that sends was ended by {type(error).__name__}"
                self._account(before - len(batch), len(batch), reason)
                raise
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
            if self._stop_by is not None and (until > self._stop_by or self._is_hopeless):
                return False
            stopping = self._stop_by is not None
            while stopping or self._stop_by is None:
                left = until - self.clock()
                if left <= 0:
                    break
                self._wait(self._stopping, left)
        return True

    def _account(self, sent: int, lost: int = 0, reason: str = "") -> None:
        with self._lock:
            self.sent += sent
            self.lost += lost
            self._taken -= sent + lost
            self._unsaid += lost
            dropped = self._waiting.resume() if sent else 0
        self._count(lost)
        if sent:
            self._fails = False
            self._failing.reset()
        if dropped:
            text = "%s: queue resumed processing; %d entries were dropped meanwhile"
            self.logger.info(text, self.name, dropped)
        if lost and self._losing():
            gone, self._unsaid = self._unsaid, 0
            self.logger.error("%s: %s. %d queue entries were lost", self.name, reason, gone)

    # -- the end ----------------------------------------------------------------------------------

    @property
    def _is_hopeless(self) -> bool:
        """Whether the last try of a queue has failed that failed already when the stop began."""
        return self._given_up and self._fails

    def begin_stop(self, deadline: float) -> None:
        """Make the threads send what waits without delay, and end; not later than ``deadline``.

        A queue that is failing already gets one more try: else the end of each worker would wait for a log
        server that is down, with nobody in the worker's place.
        """
        with self._lock:
            if self._stop_by is None:
                self._given_up = self._fails
            self._stop_by = min(deadline, self.clock() + LAST_TRY) if self._given_up else deadline
            self._news.notify_all()
            self._stopping.notify_all()

    def stop(self, deadline: float) -> int:
        """Send what waits until ``deadline`` (of the clock); return how many entries were left."""
        self.begin_stop(deadline)
        with self._lock:
            deadline = self._stop_by or deadline
            while self._running:
                seconds = deadline - self.clock()
                if seconds <= 0:
                    break
                self._wait(self._ended, seconds)
            left = len(self._waiting) + self._taken
            given_up = len(self._waiting)
            self.lost += given_up
            self._waiting.clear()
            if self._running:
                self._left_behind = True
            else:
                self._stop_by = None
        self._count(given_up)
        if left or self.dropped or self.lost:
            self.logger.error(
                "%s: queue stopped with %d entries not sent; %d were dropped and %d lost in all",
                *(self.name, left, self.dropped, self.lost),
            )
        if self._close is not None:
            self._close()
        return left


#: All of this process.
QUEUES: Final[weakref.WeakSet[Queue]] = weakref.WeakSet()


def stop_all(queues: Iterable[Queue]) -> int:
    """Stop queues at once, each within its time; return how many entries were left."""
    ends = [(queue, queue.clock() + queue.shutdown_timeout) for queue in queues]
    for queue, deadline in ends:
        queue.begin_stop(deadline)
    return sum(queue.stop(deadline) for queue, deadline in ends)


@atexit.register
def drain_all() -> None:
    """Send what waits in a process that nobody stops by a hook."""
    stop_all([queue for queue in list(QUEUES) if queue.busy])
