"""A native library in processes of its own: what crashes or hangs there costs one request.

    library = Isolated("lib/hello.so", timeout=10.0, processes=2)
    library.call("GETHelloHandler", call, most=8_388_608)

Each process has the library loaded and answers one call at a time; there are at most ``processes`` of them
for each worker of the server, started when they are needed. One that crashes is replaced at the next call,
one that misses the deadline is killed. A function that did so twice in a row is not called for 0.1 s, then
twice as long each time, at most 30 s; others are. So it is with starts of a library that fails while it is
loaded. They end with the worker, however it ends: their socket is closed then.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Final

from plugmw.concurrency.deadline import Deadline
from plugmw.concurrency.process import on_fork
from plugmw.concurrency.sockets import has_news
from plugmw.dialects.prest import abi
from plugmw.dialects.prest.abi import MAX_ERROR, MAX_FIELDS, MAX_HEADERS, Call, Reply, Unusable
from plugmw.errors import PlugmwError
from plugmw.kernel.runtime import Logger, NoLogger

#: Seconds that a call may take, and how many processes there are for a library.
TIMEOUT: Final = 10.0
PROCESSES: Final = 2
#: Seconds before a start that follows two failures, and at most.
_FIRST_DELAY: Final = 0.1
_LAST_DELAY: Final = 30.0
#: Seconds that a process may take to end once its connection is closed.
_GRACE: Final = 1.0
_NOTHING: Final = (b"",) * len(Call._fields)


class NativeError(PlugmwError):
    """A call failed. ``status`` is for the client: 500, 503 (no process free), 504 (too late).

    The text is for the log and never for the client.
    """

    def __init__(self, status: int, problem: str) -> None:
        self.status = status
        self.problem = problem
        super().__init__(status, problem)

    def __str__(self) -> str:
        return self.problem


class Isolated:
    """The processes of one library. Thread-safe; after a fork the child begins with none."""

    def __init__(
        self, path: str, timeout: float = TIMEOUT, processes: int = PROCESSES, logger: Logger | None = None
    ) -> None:
        """Start the first process; raises :class:`Unusable` if it says that the library cannot be used.

        Where it crashed or could not be started, calls try again.
        """
        self.path = os.path.abspath(path)
        self.name = os.path.splitext(os.path.basename(path))[0]
        self._timeout = timeout
        self._count = processes
        self._logger: Logger | NoLogger = NoLogger() if logger is None else logger
        self._known: set[str] = set()
        self._idle: deque[_Process] = deque()
        self._begin()
        on_fork(self)
        try:
            self._idle.append(self._started(Deadline.after(timeout)))
        except NativeError as error:
            self._logger.error("%s", error)

    def _begin(self) -> None:
        self._slots = threading.BoundedSemaphore(self._count)
        #: Failures in a row: of loading the library, and of the calls of each function.
        self._loading = _Row()
        self._calling: dict[str, _Row] = {}
        self._closed = False

    def has(self, name: str) -> bool:
        """Say whether the library exports a function of this name; raises :class:`NativeError`."""
        if name not in self._known:
            if not name.isidentifier() or self._ask(name, f"has {name}", _NOTHING, 0)[0] != b"yes":
                return False
            self._known.add(name)
        return True

    def call(self, name: str, request: Call, most: int) -> Reply:
        """Call a function; raises :class:`NativeError`."""
        status, *fields = self._ask(name, f"call {name} {most}", request, most)
        if status == b"no":
            raise NativeError(500, f"{self.name}: {name}: is no longer in the library, which has changed")
        return Reply(int(status), *fields)

    def close(self) -> None:
        """End the processes that are idle; a busy one ends after its call."""
        self._closed = True
        idle, self._idle = self._idle, deque()
        for process in idle:
            process.hang_up()
        for process in idle:
            process.end()

    def _ask(self, name: str, what: str, fields: Sequence[bytes], most: int) -> list[bytes]:
        """Have one of the processes, of our own for that time, answer a frame."""
        wait = self._calling.get(name, _NEVER).wait()
        if wait:
            raise NativeError(503, f"{self.name}: {name}: failed too often, is called again in {wait:.1f} s")
        slots = self._slots
        if not slots.acquire(timeout=self._timeout):
            raise NativeError(503, f"{self.name}: {name}: all {self._count} processes are busy")
        # Not earlier: what waited long must not have a process killed that is not to blame.
        deadline = Deadline.after(self._timeout)
        try:
            process = self._ready(deadline)
            try:
                answer = process.ask([what.encode(), *fields], most, deadline)
            except BaseException as error:
                row = self._calling.setdefault(name, _Row()) if name in self._known else self._loading
                raise self._failed(process, error, name, row) from None
            self._calling.pop(name, None)
            self._release(process)
            return answer
        finally:
            slots.release()

    def after_fork(self) -> None:
        """Let go of the processes, which are the parent's."""
        copied, self._idle = self._idle, deque()
        for process in copied:
            process.forget()
        self._begin()

    def _ready(self, deadline: Deadline) -> _Process:
        """Return an idle process, else a new one."""
        with contextlib.suppress(IndexError):
            while not (process := self._idle.pop()).lives():
                process.end()
                self._logger.warning(
                    "%s: its process ended with %s while idle", self.name, process.how_it_ended()
                )
            return process
        try:
            return self._started(deadline)
        except Unusable as error:
            # The library could be used before, so its file has changed since.
            raise NativeError(500, str(error)) from None

    def _release(self, process: _Process) -> None:
        if self._closed:
            process.end()
        else:
            self._idle.append(process)

    def _started(self, deadline: Deadline) -> _Process:
        loading = self._loading
        wait = loading.wait()
        if deadline.left() < wait:
            raise NativeError(503, f"{self.name}: failed too often, starts again in {wait:.1f} s")
        time.sleep(wait)
        loading.last = time.monotonic()
        try:
            process = _Process(self.path)
        except OSError as error:
            loading.failures += 1
            raise NativeError(500, f"{self.name}: loading it: cannot be started: {error.strerror}") from None
        try:
            state, reason, _, text = process.receive(0, deadline)
        except BaseException as error:
            raise self._failed(process, error, "loading it", loading) from None
        loading.failures = 0
        if state != b"ready":
            process.end()
            raise Unusable(text.decode("utf-8", "replace"), reason.decode("utf-8", "replace"))
        return process

    def _failed(self, process: _Process, error: BaseException, name: str, row: _Row) -> BaseException:
        """End a process that did not answer, count it in its row; return what is to be raised."""
        process.kill()
        if isinstance(error, TimeoutError):
            status, how = 504, f"did not answer within {self._timeout:g} s and was killed"
        elif isinstance(error, ValueError):
            status, how = 500, str(error)
        elif isinstance(error, (OSError, EOFError)):
            status, how = 500, f"its process ended with {process.how_it_ended()}"
        else:
            return error
        row.failures, row.last = row.failures + 1, time.monotonic()
        return NativeError(status, f"{self.name}: {name}: {how}")


class _Row:
    """Failures in a row, and when the last was, or what it came from was tried."""

    def __init__(self) -> None:
        self.failures = 0
        self.last = 0.0

    def wait(self) -> float:
        """Return the seconds until it may be tried again."""
        return max(0.0, self.last + _delay(self.failures) - time.monotonic())


_NEVER: Final = _Row()


def _delay(failures: int) -> float:
    """Return the seconds between two tries after so many failures in a row."""
    return min(_LAST_DELAY, _FIRST_DELAY * 2.0 ** min(failures - 2, 20)) if failures > 1 else 0.0


class _Process:
    """One process and the connection to it."""

    def __init__(self, path: str) -> None:
        self._socket, theirs = socket.socketpair()
        try:
            # By its path and isolated: it needs the standard library only, whatever this one has on sys.path.
            command = [sys.executable, "-I", "-S", abi.__file__, str(theirs.fileno()), path]
            self._popen = subprocess.Popen(  # noqa: S603 - this Python
                command, stdin=subprocess.DEVNULL, pass_fds=(theirs.fileno(),), start_new_session=True
            )
        except BaseException:
            self._socket.close()
            raise
        finally:
            theirs.close()

    def ask(self, fields: Sequence[bytes], most: int, deadline: Deadline) -> list[bytes]:
        """Send a frame and return the answer; raises OSError, EOFError, ValueError, TimeoutError."""
        abi.send(self._socket, fields, deadline.left_or_raise)
        return self.receive(most, deadline)

    def receive(self, most: int, deadline: Deadline) -> list[bytes]:
        """Return a frame; its body may have ``most`` bytes."""
        return abi.receive(
            self._socket, 4, most + MAX_HEADERS + MAX_ERROR + MAX_FIELDS, deadline.left_or_raise
        )

    def lives(self) -> bool:
        """Say whether an idle process is still there: nothing is to be read from it, nor its end."""
        return not has_news(self._socket)

    def hang_up(self) -> None:
        """Close the connection: the process ends."""
        self._socket.close()

    def end(self) -> None:
        """Wait for a process to end that has been asked to."""
        self._socket.close()
        try:
            self._popen.wait(_GRACE)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End the process and what it started, whatever it does."""
        self._socket.close()
        # One that has ended is there until it is waited for: until then its number is nobody else's.
        if self._popen.returncode is None:
            with contextlib.suppress(OSError):
                os.killpg(self._popen.pid, signal.SIGKILL)
        self._popen.wait()

    def forget(self) -> None:
        """In a forked child: give back the descriptor; the process is the parent's."""
        self._socket.close()
        self._popen.returncode = 0

    def how_it_ended(self) -> str:
        """Return the signal or the exit status."""
        status = self._popen.returncode
        return f"signal {-status} ({signal.strsignal(-status)})" if status < 0 else f"status {status}"
