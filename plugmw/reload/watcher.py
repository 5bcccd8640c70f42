"""The thread that notices that the files of a gateway have changed.

It looks at size, time and inode, at the content only when one of those is new, and acts on a change that
has been quiet for one look, so that a file is not read while it is being written. A new time on the
configuration file itself, its content as it was, asks for a reload too: that is ``plugmw reload``.
"""

from __future__ import annotations

import logging
import os
import threading
import weakref
from typing import Final, Protocol

from plugmw.concurrency.threads import Daemon
from plugmw.concurrency.throttle import Throttle
from plugmw.loading.watching import Files, changed

#: Seconds between two looks: with the quiet one, a change is in force in less than a second.
EVERY: Final = 0.4

_logger: Final = logging.getLogger("plugmw")

Signature = dict[str, tuple[int, int, int] | None]


class Reloadable(Protocol):
    """What is watched: its files with the hashes of what they held, and the main ones among them."""

    @property
    def files(self) -> Files: ...
    @property
    def sources(self) -> tuple[str, ...]: ...
    def reload(self) -> bool: ...


class Watcher:
    """Looks at the files of one gateway; :meth:`look` is one look, :meth:`start` makes a thread of it."""

    def __init__(self, watched: Reloadable) -> None:
        self._watched = weakref.ref(watched)
        self._stopped = threading.Event()
        #: The files as they were when all was well; None: their content is to be compared.
        self._seen: Signature | None = None
        #: What was new at the last look.
        self._fresh: Signature | None = None
        self._failing = Throttle()
        #: The main files when the configuration was read last, so that a request for another is not missed.
        self._asked = signature(dict.fromkeys(watched.sources, ""))

    def start(self) -> None:
        """Look every :data:`EVERY` seconds, until :meth:`stop` or the end of what is watched."""
        Daemon("plugmw-watcher", self._run).start()

    def stop(self) -> None:
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(EVERY) and self._watched() is not None:
            try:
                self.look()
            except BaseException as error:
                # Whatever it is, the next good file is to be taken: nobody else would look.
                if self._failing():
                    text = "looking at the files failed, the configuration in force stays"
                    _logger.error(text, exc_info=error)

    def look(self) -> bool:
        """Take one look; return whether a reload was tried. A gateway that has gone is never reloaded."""
        watched = self._watched()
        if watched is None:
            return False
        now = signature(watched.files)
        if now == self._seen:
            self._fresh = None
            return False
        if now != self._fresh:
            self._fresh = now
            return False
        self._seen, self._fresh = now, None
        before, self._asked = self._asked, {path: now.get(path) for path in watched.sources}
        if not changed(watched.files) and not _touched(before, self._asked):
            return False
        if watched.reload():
            # It may have read other files, and these again since.
            self._seen = None
        return True


def signature(files: Files) -> Signature:
    """Return what the file system tells of files without opening them."""
    return {path: _stat(path) for path in files}


def _stat(path: str) -> tuple[int, int, int] | None:
    try:
        info = os.stat(path)
    except OSError:
        return None
    return info.st_size, info.st_mtime_ns, info.st_ino


def _touched(before: Signature, now: Signature) -> bool:
    return any(now[path] != before[path] for path in now.keys() & before.keys())
