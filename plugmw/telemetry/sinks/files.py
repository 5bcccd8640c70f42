"""Files that lines are appended to: one descriptor per path and process, one ``write`` per line."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Final

from plugmw.concurrency.process import LazyLock

if TYPE_CHECKING:
    from plugmw.kernel.runtime import Runtime

#: Never waits for a reader of a FIFO; never becomes the terminal of the process.
_FLAGS: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_NOCTTY


class Files:
    """The open files of one gateway in one process."""

    def __init__(self) -> None:
        self._open: dict[str, int] = {}
        #: Paths whose last line broke off and is still there.
        self._torn: set[str] = set()
        # A forked child shares the files.
        self._lock = LazyLock()

    @classmethod
    def of(cls, runtime: Runtime) -> Files:
        """Return those of a gateway."""
        return runtime.resource("files", cls)

    def append(self, path: str, line: bytes, mode: int, reopen: bool = False) -> None:
        """Append a line, which ends with a newline, by one call to the system.

        The file is made with ``mode``; ``reopen`` opens it for this line anew, for every entry with that
        path. Raises OSError with a message for the log when the line was not written whole.
        """
        with self._lock.get():
            if reopen:
                self._forget(path)
            try:
                file = self._open.get(path)
                if file is None:
                    file = self._open[path] = _opened(path, mode)
            except (OSError, ValueError) as error:
                # What is no OSError is a NUL in the path, which Python words in several ways.
                reason = error.strerror if isinstance(error, OSError) else "embedded null character"
                raise OSError(f"failed to open the file: {reason}") from error
            try:
                torn = path in self._torn and os.fstat(file).st_size > 0
                data = b"\n" + line if torn else line
                written = os.write(file, data)
            except OSError as error:
                raise OSError(f"failed to write to the file: {error.strerror}") from error
            if written < len(data):
                if not _taken_back(file, written):
                    self._torn.add(path)
                raise OSError(f"failed to write to the file: {written} of {len(data)} bytes were written")
            self._torn.discard(path)

    def _forget(self, path: str) -> None:
        file = self._open.pop(path, None)
        if file is not None:
            os.close(file)

    def close(self) -> None:
        """Close all; the next line opens its file again."""
        with self._lock.get():
            for path in list(self._open):
                self._forget(path)


def _taken_back(file: int, size: int) -> bool:
    """Remove the beginning of a line that was just written, unless another process has written behind it.

    Other processes know nothing of it, and would join their next line to it.
    """
    try:
        end = os.lseek(file, 0, os.SEEK_CUR)
        if os.fstat(file).st_size != end:
            return False
        os.ftruncate(file, end - size)
    except OSError:
        return False  # a pipe or a device
    return True


def _opened(path: str, mode: int) -> int:
    folder = os.stat(os.path.dirname(path) or ".")
    # Where everybody can make links, a link is not followed.
    shared = folder.st_mode & stat.S_IWOTH
    return os.open(path, _FLAGS | (os.O_NOFOLLOW if shared else 0), mode)
