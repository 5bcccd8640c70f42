"""The connections of one process to one plugin server, and the epoch that instance ids belong to.

Ids count from 0 anew when a server starts again, so an id is good only while the process that gave it
lives. Every connection carries the epoch in which it was made; a new one begins with any failure, and
whenever another server process answers at the socket.
"""

from __future__ import annotations

import os
import socket
import stat
import struct
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from plugmw.concurrency.deadline import Deadline
from plugmw.concurrency.process import started_at
from plugmw.concurrency.sockets import has_news
from plugmw.dialects.kong.servers.wire import Closed, Connection, Wire

#: Idle connections kept; more come and go with the load.
_IDLE: Final = 64
#: Seconds between two tries to connect to a server that is starting.
_PAUSE: Final = 0.02
_UCRED: Final = struct.Struct("3i")


class Pool:
    """Connections to the socket that ``find()`` names. Thread-safe; of one process.

    ``step`` is the patience for one message and ``patience`` for a server that is (re)starting, in
    seconds. After ``patience`` seconds without a connection, further calls try once instead of waiting.
    """

    def __init__(
        self,
        find: Callable[[], str],
        made: Callable[[Wire], Connection],
        step: float,
        patience: float,
    ) -> None:
        self._find = find
        self._made = made
        self._step = step
        self._patience = patience
        self._idle: deque[Connection] = deque()
        self._lock = threading.Lock()
        self._peer: object = None
        self._impatient_until = Deadline(0.0)
        self._closed = False
        self.epoch = 1

    def take(self, deadline: Deadline) -> Connection:
        """Return an idle connection or a new one; raises :class:`Closed` if there is no server."""
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return self._connect(deadline)
            if connection.wire.epoch != self.epoch:
                connection.wire.close()
            elif has_news(connection.wire.sock):
                # A call that came after its event: it would act on another request.
                self.discard(connection)
            else:
                return connection

    def give(self, connection: Connection) -> None:
        """Take a connection back on which nothing is in flight."""
        usable = connection.wire.epoch == self.epoch and not connection.has_more()
        if usable and len(self._idle) < _IDLE and not self._closed:
            self._idle.append(connection)
        else:
            connection.wire.close()

    def discard(self, connection: Connection) -> None:
        """Close a connection that ended as it should; its server is as it was."""
        connection.wire.close()
        if connection.wire.peer is None:
            # Nobody can tell whether the next one reaches the same process.
            self._new_epoch(connection.wire.epoch)

    def fail(self, connection: Connection) -> None:
        """Close a connection that broke: a new epoch begins."""
        connection.wire.close()
        self._new_epoch(connection.wire.epoch)

    def close(self) -> None:
        """Close the idle connections; those in use close when they are given back."""
        self._closed = True
        self._new_epoch(self.epoch)

    def forget(self) -> None:
        """In a forked child: give back the descriptors that are copies of the parent's."""
        self._closed = True
        for connection in self._idle:
            connection.wire.close()
        self._idle = deque()

    def _new_epoch(self, old: int) -> None:
        with self._lock:
            # Of many that break at once the first one counts.
            if old != self.epoch:
                return
            self.epoch += 1
            self._peer = None
            stale, self._idle = self._idle, deque()
        for connection in stale:
            connection.wire.close()

    # -- connecting -----------------------------------------------------------------------------------

    def _connect(self, deadline: Deadline) -> Connection:
        """Connect, waiting for a server that is starting."""
        patient = self._impatient_until.expired and not deadline.expired
        deadline = deadline.within(self._patience if patient else 0.0)
        while True:
            epoch = self.epoch
            try:
                sock, peer = connect(self._find(), self._step)
            except OSError as error:
                self._new_epoch(epoch)
                if deadline.left() < _PAUSE:
                    if patient:
                        # Others need not wait as long to learn the same.
                        self._impatient_until = Deadline.after(self._patience)
                    raise Closed(error.strerror or str(error)) from None
                time.sleep(_PAUSE)
            else:
                self._impatient_until = Deadline(0.0)
                return self._made(Wire(sock, self._step, peer, self._epoch_of(peer)))

    def _epoch_of(self, peer: object) -> int:
        """Return the epoch of a new connection to ``peer``."""
        with self._lock:
            if peer == self._peer or self._peer is None:
                self._peer = peer
                return self.epoch
        self._new_epoch(self.epoch)
        return self._epoch_of(peer)


def connect(path: str, timeout: float) -> tuple[socket.socket, object]:
    """Connect to a socket of ours; return it with what identifies the process behind it.

    Raises OSError. A socket of another user, or in a folder that others can write to, is refused.
    """
    check_owner(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(timeout)
        sock.connect(path)
        return sock, _identity(sock)
    except BaseException:
        sock.close()
        raise


def check_owner(path: str) -> None:
    """Raise ``PermissionError`` unless socket and folder belong to this user or root."""
    ours = (os.geteuid(), 0)
    status = os.lstat(path)
    if not stat.S_ISSOCK(status.st_mode):
        raise FileNotFoundError(2, f"{path} is no socket")
    folder = os.stat(os.path.dirname(path) or ".")
    if status.st_uid not in ours or folder.st_uid not in ours:
        raise PermissionError(13, f"{path} belongs to another user")
    if folder.st_mode & 0o022 and not folder.st_mode & stat.S_ISVTX:
        raise PermissionError(13, f"{path} is in a folder that other users can write to")


def _identity(sock: socket.socket) -> object:
    """Return (pid, start time) of the process that listens; None where the system does not tell."""
    if not sys.platform.startswith("linux"):
        return None
    pid, uid, _ = _UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    if uid not in (os.geteuid(), 0):
        raise PermissionError(13, "the process behind the socket belongs to another user")
    # No number: it is in another pid namespace.
    return (pid, started_at(pid)) if pid else None
