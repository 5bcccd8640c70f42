"""Know the process: what a fork must renew, what runs once in each process, when a process started.

Imports the standard library only: the supervisor of plugin servers loads this file by its path.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final, Protocol, TypeVar

T = TypeVar("T")


class Lock(Protocol):
    """A lock of :mod:`threading`, or of gevent in its place."""

    def acquire(self, blocking: bool = ..., timeout: float = ...) -> bool:
        """Take it, waiting so many seconds at most."""

    def release(self) -> None:
        """Give it back."""


class Forked(Protocol):
    """Something with locks, connections or counts of its process."""

    def after_fork(self) -> None:
        """Renew them in the child, before its first own instruction. Must not raise."""


class Quiet(Protocol):
    """Something that must not be in the middle of anything while the process forks."""

    def before_fork(self) -> None:
        """Come to rest, and begin nothing new. Must not raise, nor wait for long."""

    def after_fork_in_parent(self) -> None:
        """Go on. Must not raise."""


_watched: Final[weakref.WeakSet[Forked]] = weakref.WeakSet()
_quiet: Final[weakref.WeakSet[Quiet]] = weakref.WeakSet()
_inherited: Final[list[object]] = []


def on_fork(obj: Forked) -> None:
    """Call ``obj.after_fork()`` in every child forked from now on, for as long as ``obj`` is referenced.

    A lock that another thread of the parent held during the fork stays locked in the child for ever: its
    holder does not exist there. The hook runs in the child before any of its own code, so there is nothing
    to check in each call and no second thread to race with. Objects are called in no particular order.
    """
    _watched.add(obj)


def quiet_at_fork(obj: Quiet) -> None:
    """Call ``obj.before_fork()`` before every fork, and ``after_fork_in_parent()`` after it, in the parent.

    For what has locks that the child cannot renew, as inside of a library.
    """
    _quiet.add(obj)


def _before_fork() -> None:
    for obj in members(_quiet):
        obj.before_fork()


def _after_fork_in_parent() -> None:
    for obj in members(_quiet):
        obj.after_fork_in_parent()


def members(watched: weakref.WeakSet[T]) -> list[T]:
    """Return the objects of a set to which other threads may add."""
    while True:
        try:
            return list(watched)
        except RuntimeError:  # another thread has added one meanwhile
            continue


def _after_fork() -> None:
    for obj in members(_watched):
        obj.after_fork()


if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork either
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork
    )


class Pause:
    """Keeps a lock held while the process forks, by the thread that forks it."""

    def __init__(self) -> None:
        self._by: int | None = None
        self._lock: Lock | None = None

    def begin(self, lock: Lock, timeout: float) -> bool:
        """Take the lock; False if its holder goes on for too long: then the fork does not wait for it."""
        if not lock.acquire(timeout=timeout):
            return False
        self._lock, self._by = lock, threading.get_ident()
        return True

    def end(self) -> None:
        """Give the lock back, in the parent."""
        lock = self._lock
        if lock is not None and self._by == threading.get_ident():
            self._lock = self._by = None
            lock.release()


def keep_inherited(connection: object) -> None:
    """Keep a connection of the parent's referenced, so that this child never closes it.

    To close a copy would end the parent's session, or drop the parent's locks.
    """
    _inherited.append(connection)


class LazyLock:
    """A lock that is created at its first use: after the fork, and after gevent has replaced the locks.

        with self._lock.get():
            ...

    A forked child begins with another one.
    """

    def __init__(self, reentrant: bool = False) -> None:
        self._kind = "RLock" if reentrant else "Lock"
        on_fork(self)

    def get(self) -> AbstractContextManager[Any]:
        """Return the lock of this process; of two threads that come first, both get the same."""
        lock: AbstractContextManager[Any] = self.__dict__.get("_lock") or self.__dict__.setdefault(
            "_lock", getattr(threading, self._kind)()
        )
        return lock

    @contextmanager
    def within(self, seconds: float) -> Iterator[bool]:
        """Hold the lock, or go on without it after so many seconds: say which."""
        self.get()
        lock: Lock = self.__dict__["_lock"]
        held = lock.acquire(timeout=seconds)
        try:
            yield held
        finally:
            if held:
                lock.release()

    def after_fork(self) -> None:
        """Forget the parent's lock."""
        self.__dict__.pop("_lock", None)


class OncePerProcess:
    """Run a function once in each process; what it raised is raised by each later call as well."""

    _done = False
    _error: Exception | None = None

    def __init__(self) -> None:
        on_fork(self)

    def __call__(self, function: Callable[[], object]) -> None:
        if not self._done:
            try:
                function()
            except Exception as error:
                self._error = error
            self._done = True
        if self._error is not None:
            raise self._error

    def reset(self) -> None:
        """Let the next call run its function again."""
        self._done, self._error = False, None

    def after_fork(self) -> None:
        """Let the child run a function of its own."""
        self.reset()


def started_at(pid: int) -> str:
    """Return what tells a process from a later one with its number; "" when it has ended.

    On Linux ticks since boot; elsewhere "alive", which tells no two apart.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # From field 3 on: the name in field 2 may hold anything.
            fields = file.read().rpartition(b")")[2].split()
        return "" if fields[0] == b"Z" else fields[19].decode()
    except OSError:
        pass
    if os.path.isdir("/proc/self"):
        return ""
    return "alive" if is_alive(pid) else ""


def is_alive(pid: int) -> bool:
    """Say whether there is a process with this number."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        pass
    except OSError:
        return False
    return True
