"""What one plugin server writes, as lines for a log."""

from __future__ import annotations

import os
import selectors
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from plugmw.dialects.kong.servers.supervisor.loop import Supervisor

#: Lines of one server passed on per second, and their length.
LINES: Final = 100
LENGTH: Final = 2000
#: Bytes read at once.
PIECE: Final = 65536


class Lines:
    """What one server writes, cut into lines, limited in length and number. The pipe is always drained."""

    def __init__(self, name: str, pid: int, pipe: int, supervisor: Supervisor) -> None:
        self.name, self.pid, self.pipe, self.supervisor = name, pid, pipe, supervisor
        self.rest = b""
        self.skipping = False
        self.second = 0.0
        self.written = self.dropped = 0
        os.set_blocking(pipe, False)
        supervisor.selector.register(pipe, selectors.EVENT_READ, self.read)
        self.open = True

    def read(self) -> None:
        """Take what there is, up to a mebibyte at a time."""
        for _ in range(16):
            try:
                data = os.read(self.pipe, PIECE)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self._close()
                return
            self._take(data)

    def _take(self, data: bytes) -> None:
        *lines, rest = (self.rest + data).split(b"\n")
        for line in lines:
            if not self.skipping:
                self._line(line)
            self.skipping = False
        if len(rest) > LENGTH:
            if not self.skipping:
                self._line(rest)
            self.skipping, rest = True, b""
        self.rest = rest

    def _line(self, line: bytes) -> None:
        now = time.monotonic()
        if now - self.second >= 1.0:
            self.tell_dropped(always=True)
            self.second, self.written = now, 0
        if self.written >= LINES:
            self.dropped += 1
            return
        self.written += 1
        text = line[:LENGTH].decode("utf-8", "replace").rstrip()
        if text:
            # One line is one line, whatever control characters it has.
            shown = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)
            self.supervisor.tell(self.name, self.pid, shown)

    def tell_dropped(self, always: bool = False) -> None:
        """Say how many lines were dropped, once a second."""
        if self.dropped and (always or time.monotonic() - self.second >= 1.0):
            self.supervisor.tell(self.name, self.pid, f"{self.dropped} lines were dropped")
            self.dropped = 0

    def finish(self) -> None:
        """Take what is left when the server has ended."""
        if self.open:
            self.read()
        if self.rest and not self.skipping:
            self._line(self.rest)
        self.tell_dropped(always=True)
        self._close()

    def _close(self) -> None:
        if self.open:
            self.open = False
            self.supervisor.selector.unregister(self.pipe)
