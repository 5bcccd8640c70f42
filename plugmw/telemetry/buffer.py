"""Entries that wait to be sent, bounded in number and bytes: the oldest are dropped for new ones."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

E = TypeVar("E")


class Buffer(Generic[E]):
    """A deque of (entry, size) within bounds. To be used under the lock of its queue.

    ``log(level, text, *arguments)`` is told when it is nearly full, full, and in use again; of single entries
    that were dropped as often as ``may_tell()`` says yes, and that it is still full as ``may_repeat()`` does.
    """

    def __init__(
        self,
        most: int,
        most_bytes: int | None,
        log: Callable[..., None],
        may_tell: Callable[[], bool],
        may_repeat: Callable[[], bool],
    ) -> None:
        #: Entries that were dropped because there was no room.
        self.dropped = 0
        self._most = most
        self._most_bytes = most_bytes
        self._log = log
        self._may_tell = may_tell
        self._may_repeat = may_repeat
        self._entries: deque[tuple[E, int]] = deque()
        self._bytes = 0
        #: Entries that were dropped since it has been full; 0 while it is not.
        self._since_full = 0
        self._near = False

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, entry: E, size: int) -> bool:
        """Add an entry of ``size`` bytes, dropping the oldest for it; False if it can never fit."""
        if self._most_bytes is not None and size > self._most_bytes:
            self.dropped += 1
            if self._may_tell():
                self._log("error", "an entry of %d bytes exceeds max_bytes (%d)", size, self._most_bytes)
            return False
        self._make_room(size)
        self._entries.append((entry, size))
        self._bytes += size
        near = len(self._entries) >= 0.8 * self._most and self._most > 1
        if near and not self._near:
            self._log("warning", "queue at 80%% capacity")
        self._near = near
        return True

    def take(self, count: int) -> list[E]:
        """Take the oldest entries out."""
        batch = [self._entries.popleft() for _ in range(count)]
        self._bytes -= sum(size for _, size in batch)
        return [entry for entry, _ in batch]

    def clear(self) -> None:
        """Forget what waits."""
        self._entries.clear()
        self._bytes = 0

    def resume(self) -> int:
        """Take note that entries were sent; return how many were dropped if that ends a time of dropping."""
        dropped, self._since_full = self._since_full, 0
        return dropped

    def _make_room(self, size: int) -> None:
        if len(self._entries) >= self._most:
            self._drop()
            self._since_full += 1
            if self._since_full == 1:
                self._log("error", "queue full, dropping old entries until processing is successful again")
                self._may_repeat()
            elif self._may_repeat():
                self._log("error", "queue full, %d old entries were dropped so far", self._since_full)
        if self._most_bytes is None:
            return
        gone = 0
        while self._bytes + size > self._most_bytes:
            self._drop()
            gone += 1
        if gone and self._may_tell():
            self._log("error", "byte capacity exceeded, %d queue entries were dropped", gone)

    def _drop(self) -> None:
        self._bytes -= self._entries.popleft()[1]
        self.dropped += 1
