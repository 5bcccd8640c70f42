"""The control protocol: what connected worker processes ask for, and what they are sent.

Clients connect to the socket ``control`` in the supervisor's folder and send lines of JSON:

    {"op": "restart", "name": "my-plugin", "pid": 123}      kill a hung server, if that is its pid still
    {"op": "status", "id": 1}                               answered by {"id": 1, "servers": {...}}

and one of them is sent what servers write: ``{"name": ..., "pid": ..., "text": ..., "event": ...}``.
"""

from __future__ import annotations

import json
import selectors
import socket
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from plugmw.dialects.kong.servers.supervisor.loop import Supervisor

#: Bytes received at once, and without an end of line.
_PIECE: Final = 65536


class Client:
    """A connected worker process."""

    def __init__(self, connection: socket.socket, supervisor: Supervisor) -> None:
        self.connection = connection
        self.supervisor = supervisor
        self.rest = b""
        self.lost = 0
        supervisor.selector.register(connection, selectors.EVENT_READ, self.read)

    def read(self) -> None:
        try:
            data = self.connection.recv(_PIECE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data or len(self.rest) > _PIECE:
            self.close()
            return
        *lines, self.rest = (self.rest + data).split(b"\n")
        for line in lines:
            try:
                asked = json.loads(line)
            except ValueError:
                continue
            if isinstance(asked, dict):
                self.supervisor.command(self, asked)

    def send(self, line: bytes) -> bool:
        """Send a whole line or nothing; a client that does not read does not hold anybody up."""
        try:
            # A unix stream takes a small message whole or, when its buffer is full, not at all.
            sent = self.connection.send(line)
        except BlockingIOError:
            self.lost += 1
            return True
        except OSError:
            self.close()
            return False
        if sent < len(line):
            self.close()
        return True

    def close(self) -> None:
        if self in self.supervisor.clients:
            self.supervisor.clients.remove(self)
            self.supervisor.selector.unregister(self.connection)
            self.connection.close()
