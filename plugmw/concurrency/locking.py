"""Lock a file, so that of several processes one does the work."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

#: Seconds between two tries.
_POLL: Final = 0.05


@contextmanager
def locked(
    path: str | os.PathLike[str],
    wait: float | None = None,
    mode: int = 0o600,
    sleep: Callable[[float], object] | None = None,
) -> Iterator[int]:
    """Hold the lock of a file, see :func:`acquire`; gives the file's descriptor."""
    file = acquire(path, wait, mode, sleep)
    try:
        yield file
    finally:
        os.close(file)


def acquire(
    path: str | os.PathLike[str],
    wait: float | None = None,
    mode: int = 0o600,
    sleep: Callable[[float], object] | None = None,
) -> int:
    """Lock a file, created with ``mode`` if absent; return its descriptor, which holds the lock until closed.

    ``wait`` are the seconds after which BlockingIOError is raised; None waits in the kernel for as long as it
    takes, which stops all greenlets of the process. The system gives the lock back when
    every process that has the descriptor has ended.
    """
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, mode)
    try:
        _lock(file, wait, sleep or time.sleep)  # not bound early: gevent puts another in its place
    except BaseException:
        os.close(file)
        raise
    return file


def _lock(file: int, wait: float | None, sleep: Callable[[float], object]) -> None:
    if wait is None:
        return fcntl.flock(file, fcntl.LOCK_EX)
    end = time.monotonic() + wait
    while True:
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= end:
                raise
        sleep(_POLL)
