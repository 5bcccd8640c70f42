"""Keep the code of a dry run from calling out: no connections, processes or threads while it lasts.

    with dry_run():
        plugin.access(x)             # raises SideEffect instead of connecting

Python's audit events say what code is about to do, whoever wrote it, so no plugin has to declare anything.
Only the thread (or greenlet) inside the ``with`` is held back. A C library that opens its own sockets
raises no events and is not seen.
"""

from __future__ import annotations

import contextlib
import functools
import sys
import threading
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Final

_held: ContextVar[bool] = ContextVar("plugmw_dry_run", default=False)


class SideEffect(BaseException):
    """Code in a dry run was about to do ``what`` (``connect to localhost:6379``).

    Derived from ``BaseException`` so that a plugin's own error policy does not answer for it.
    """

    def __init__(self, what: str) -> None:
        self.what = what
        super().__init__(what)


@contextlib.contextmanager
def dry_run() -> Iterator[None]:
    """Hold back the code inside: it gets :class:`SideEffect` where it would call out."""
    _install()
    token = _held.set(True)
    try:
        yield
    finally:
        _held.reset(token)


@functools.lru_cache(maxsize=1)
def _install() -> None:
    # A hook stays for the life of the process (PEP 578); outside `dry_run` it is one dictionary look-up.
    sys.addaudithook(_hook)
    if sys.version_info < (3, 12):  # pragma: no branch
        _check_threads()


def _check_threads() -> None:
    """Ask before a thread starts, which raises no event before Python 3.12."""
    start = threading.Thread.start

    def checked(thread: threading.Thread) -> None:
        _hook("_thread.start_new_thread", ())
        start(thread)

    threading.Thread.start = checked  # type: ignore[assignment, method-assign]


def _hook(event: str, arguments: tuple[object, ...]) -> None:
    describe = _EVENTS.get(event)
    if describe is not None and _held.get():
        raise SideEffect(describe(arguments))


def _address(address: object) -> str:
    if isinstance(address, tuple):
        return ":".join(_text(part) for part in address[:2])
    return _text(address)


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


#: The events held back (https://docs.python.org/3/library/audit_events.html): how to put each in words.
_EVENTS: Final[dict[str, Callable[[tuple[object, ...]], str]]] = {
    "socket.connect": lambda args: f"connect to {_address(args[1])}",
    "socket.getaddrinfo": lambda args: f"connect to {_address(args[:2])}",
    "socket.gethostbyname": lambda args: f"look up {_text(args[0])}",
    "socket.sendto": lambda args: f"send to {_address(args[1])}",
    "socket.sendmsg": lambda args: f"send to {_address(args[1])}",
    "subprocess.Popen": lambda args: f"run {_text(args[0])}",
    "os.system": lambda args: "run a command",
    "os.posix_spawn": lambda args: f"run {_text(args[0])}",
    "os.exec": lambda args: f"run {_text(args[0])}",
    "os.fork": lambda args: "start a process",
    "os.forkpty": lambda args: "start a process",
    "_thread.start_new_thread": lambda args: "start a thread",
    "_thread.start_joinable_thread": lambda args: "start a thread",
    "syslog.syslog": lambda args: "write to syslog",
}
