"""Read a file that a configuration names: whole, and only if it is a file.

A pipe in its place would be waited for without end, and ``/dev/zero`` read without end.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from typing import BinaryIO, Final

#: Bytes of a file that is read whole: no configuration, plugin, key or signature comes near.
LARGEST: Final = 64 * 1024 * 1024
_STEP: Final = 256 * 1024


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a file for reading; raises OSError for what is none, and never waits. ValueError is for NUL."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return open(descriptor, "rb")
    os.close(descriptor)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fsdecode(path))
    raise OSError(errno.EINVAL, "Is not a regular file", os.fsdecode(path))


def read_regular(path: str | os.PathLike[str]) -> bytes:
    """Return the content of a file of at most :data:`LARGEST` bytes; raises as :func:`open_regular`."""
    content, size = [], 0
    for block in blocks(path):
        content.append(block)
        size += len(block)
        if size > LARGEST:
            raise OSError(errno.EFBIG, f"Is larger than {LARGEST >> 20} MiB", os.fsdecode(path))
    return b"".join(content)


def blocks(path: str | os.PathLike[str]) -> Iterator[bytes]:
    """Yield the content of a file of any size; raises as :func:`open_regular`."""
    with open_regular(path) as file:
        while block := file.read(_STEP):
            yield block
