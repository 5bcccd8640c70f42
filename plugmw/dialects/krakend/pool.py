"""Calls made at the same time, by threads that are made when needed and never more than a limit.

    for index, result in pool.gather([ask_one, ask_other], deadline=Deadline.after(2)):
        ...

Whoever waits goes on at the deadline, whatever the calls do. A call that hangs keeps its thread, until
all are kept: then calls wait for a thread, and their deadlines pass. So a call never gathers from the pool
it runs in: each level of calls has its own. Under gevent, threads are greenlets.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from typing import Final, Generic, TypeVar

from plugmw.concurrency.deadline import Deadline
from plugmw.concurrency.threads import Daemon

#: Threads of one process; under gevent they cost next to nothing, elsewhere they mostly wait.
SIZE: Final = 128

T = TypeVar("T")
Job = Callable[[], object]


class _Batch(Generic[T]):
    """Calls whose results are waited for."""

    def __init__(self) -> None:
        self.ended: queue.SimpleQueue[tuple[int, T | BaseException]] = queue.SimpleQueue()
        self.over = False
        self._lock = threading.Lock()

    def run(self, index: int, call: Callable[[], T]) -> None:
        """Make a call and hand over its result or its exception."""
        if self.over:
            return
        result: T | BaseException
        try:
            result = call()
        except BaseException as error:
            result = error
        with self._lock:
            if not self.over:
                self.ended.put((index, result))
                return
        with suppress(Exception):  # nobody waits for it, and the thread has other calls to make
            discard(result)

    def end(self) -> None:
        """Stop waiting: close the results that were not taken, and those still to come."""
        with self._lock:
            self.over = True
        while not self.ended.empty():
            discard(self.ended.get()[1])


class Pool:
    """The threads of one process. To be made after the fork, and after gevent has replaced threads."""

    def __init__(self, size: int = SIZE) -> None:
        self._size = size
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._idle = threading.Semaphore(0)
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._closed = False

    def gather(
        self, calls: Sequence[Callable[[], T]], deadline: Deadline
    ) -> Generator[tuple[int, T | Exception], None, None]:
        """Yield (index, result or Exception) as calls end, until all have or the deadline has come.

        What a call raises that is no Exception is raised here.
        When the generator is closed, calls that have not begun never do, and later results are closed.
        """
        batch = _Batch[T]()
        try:
            for index, call in enumerate(calls):
                # In a context of its own each: a context cannot be entered twice.
                self._submit(partial(copy_context().run, batch.run, index, call))
            for _ in calls:
                try:
                    index, result = batch.ended.get(timeout=deadline.left())
                except queue.Empty:
                    return
                if isinstance(result, BaseException) and not isinstance(result, Exception):
                    raise result
                yield index, result
        finally:
            batch.end()

    def close(self) -> None:
        """End the threads once they have nothing to do; what is gathered later has threads of its own."""
        with self._lock:
            self._closed = True
            for _ in self._threads:
                self._jobs.put(None)

    def _submit(self, job: Job) -> None:
        with self._lock:
            if self._closed:
                _thread(job).start()
                return
            if not self._idle.acquire(blocking=False) and len(self._threads) < self._size:
                thread = _thread(self._work)
                # Where the system has none left, nobody waits for the job.
                thread.start()
                self._threads.append(thread)
            self._jobs.put(job)

    def _work(self) -> None:
        while job := self._jobs.get():
            job()
            del job
            self._idle.release()


def _thread(run: Callable[[], object]) -> threading.Thread:
    # Daemons: one that hangs must not keep the process from ending.
    return Daemon("plugmw-krakend", run)


def discard(result: object) -> None:
    """Close a result that is not used, if it has a ``close``."""
    close = getattr(result, "close", None)
    if close is not None:
        close()
