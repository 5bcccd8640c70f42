"""One connection to a plugin server: bytes out, bytes in, with deadlines and a bound on every message."""

from __future__ import annotations

import math
import socket
import struct
import time
from collections.abc import Callable
from typing import ClassVar, Final, Protocol, TypeAlias

from plugmw.concurrency.deadline import Deadline

#: Bytes; a longer message is refused before memory is taken for it.
MAX_MESSAGE: Final = 16 * 1024 * 1024
#: PDK calls of one event; a server that steps for ever is broken.
MAX_STEPS: Final = 100_000
_PIECE: Final = 65536
#: struct timeval.
_TIMEVAL: Final = struct.Struct("ll")

#: Answers a PDK call of the server: (method, arguments) in, the value out. Raises :class:`Failed` for what
#: the plugin shall be told, :class:`plugmw.wsgi.answer.Exit` for an exit.
Ask: TypeAlias = "Callable[[str, list[object]], object]"


class Closed(Exception):
    """The server is not there: it refused, closed the connection, or died."""


class Late(Exception):
    """The server missed a deadline."""


class Garbled(Exception):
    """The server sent something that is no message of its protocol."""


class ServerError(Exception):
    """The server answered with an error of its own; the text is its."""


class Failed(Exception):
    """A PDK call failed; the text goes to the plugin.

    ``expected`` failures are ``nil, err`` in Kong; the others are mistakes of the plugin, which raise there.
    """

    def __init__(self, text: str, expected: bool = False) -> None:
        super().__init__(text)
        self.expected = expected


def double(value: float) -> float:
    """Return a number as Lua has it: one that is too large is infinite."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


class Connection(Protocol):
    """What both protocols offer over one socket. Not thread-safe: one request in flight at a time."""

    #: Whether the connection can be used again after an exit.
    survives_exit: ClassVar[bool]
    #: Whether instances may be closed (go-pdk drops busy ones of others with it).
    closes_instances: ClassVar[bool]
    wire: Wire

    def start(self, name: str, config: str, deadline: Deadline) -> int:
        """Start an instance of plugin ``name`` with ``config`` (JSON); return its id."""

    def event(self, instance: int, phase: str, ask: Ask, deadline: Deadline) -> None:
        """Run one phase, answering the calls it makes."""

    def stop(self, instance: int, deadline: Deadline) -> None:
        """Close an instance."""

    def has_more(self) -> bool:
        """Say whether more was read than the last answer; the connection is of no use then."""


class Wire:
    """A connected unix socket. ``step`` is the patience for one message, in seconds."""

    def __init__(self, sock: socket.socket, step: float, peer: object = None, epoch: int = 0) -> None:
        self.sock = sock
        self.step = step
        #: Identifies the server process, None where the system does not tell.
        self.peer = peer
        self.epoch = epoch
        self._timeout = -1.0
        self._until = 0.0
        # The system's own timeouts save a poll() per call; gevent's sockets must not block and have theirs.
        self._native = socket.socket.__module__ == "socket"
        if self._native:
            sock.settimeout(None)
        self._patience(step)

    def send(self, data: bytes, deadline: Deadline) -> None:
        """Send one message, by one ``sendall``: what is split may kill a server (kong-pdk for JavaScript)."""
        left = min(deadline.left(), self.step)
        self._until = time.monotonic() + left
        self._patience(left)
        try:
            self.sock.sendall(data)
        except (TimeoutError, BlockingIOError):
            raise Late("did not take a message") from None
        except OSError as error:
            raise Closed(f"is gone: {error.strerror or error}") from None

    def receive(self) -> bytes:
        """Return some bytes of the answer to what was sent last."""
        try:
            data = self.sock.recv(_PIECE)
        except (TimeoutError, BlockingIOError):
            raise Late("did not answer") from None
        except OSError as error:
            raise Closed(f"is gone: {error.strerror or error}") from None
        if not data:
            raise Closed("closed the connection")
        return data

    def receive_more(self) -> bytes:
        """Return further bytes of a message that has begun; the deadline does not begin anew."""
        self._patience(self._until - time.monotonic())
        return self.receive()

    def _patience(self, left: float) -> None:
        if left <= 0:
            raise Late("did not finish")
        # Each change is a call to the system: a whole step's patience is never set twice.
        if left != self._timeout:
            self._timeout = left
            if not self._native:
                self.sock.settimeout(left)
                return
            # Rounded up: 0 would mean for ever.
            value = _TIMEVAL.pack(int(left), int(left % 1 * 1e6) + 1)
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, value)
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, value)

    def close(self) -> None:
        """Close the socket."""
        self.sock.close()
