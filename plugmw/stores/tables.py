"""The open counter tables of this process: one per file, made, checked and shared.

Opening a file anew and closing it again would drop the process's locks on it (see ``table.py``), so the
registry knows a file by device and inode before it is opened, and closes it with its last user.

A table that is damaged is put aside as ``<path>.damaged``, and a new one takes its place; so does one for a
file that was removed. Other processes see that at their next look (``table.py``) and open the new one too.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import stat
import struct
from threading import Lock

from plugmw.concurrency.process import on_fork
from plugmw.errors import StoreError
from plugmw.stores.table import HEADER, Damaged, Table, held_byte, size_of

#: The identity of no file.
_NOTHING = 0, 0
_LOGGER = logging.getLogger("plugmw.stores")
MAGIC = b"plugmw\x00\x01"  # the last byte is the version of the layout
_HEADER = struct.Struct("<8sQ16s")


class Tables:
    """Open tables by (device, inode), with the number of their users. Thread-safe, fork-safe."""

    def __init__(self) -> None:
        self._open: dict[tuple[int, int], tuple[Table, int]] = {}
        self.after_fork()
        on_fork(self)

    def after_fork(self) -> None:
        self._lock = Lock()

    def open(self, path: str, slots: int, url: str, timeout: float) -> Table:
        """Return the table in ``path``, made if absent; StoreError if it cannot be used.

        A table that is open already keeps the url and the timeout of its first user.
        """
        try:
            with self._lock:
                key = _identity(path)
                if key in self._open:
                    table, users = self._open[key]
                    _same_size(table.slots, slots, url)
                else:
                    (key, table), users = _open(path, slots, url, timeout), 0
                self._open[key] = table, users + 1
                return table
        except OSError as error:
            raise StoreError(url, f"cannot be opened: {error.strerror}") from error

    def renew(self, table: Table, path: str, damage: Damaged, timeout: float) -> Table:
        """Return the table that takes the place of one that is damaged, for one of its users."""
        with table.hold_maker():
            # Of all that have seen the damage, the first puts the file aside and tells.
            there = _identity(path)
            if there == table.identity:
                _put_aside(path)
        if there in (table.identity, _NOTHING):
            _LOGGER.warning("%s; a new file is begun, counters are 0 again", damage)
        _restore_folder(path, table)
        new = self.open(path, table.slots, table.url, timeout)
        self.close(table)
        return new

    def close(self, table: Table) -> None:
        """Give up one use of a table."""
        with self._lock:
            key = next(key for key, (known, _) in self._open.items() if known is table)
            users = self._open[key][1] - 1
            if users:
                self._open[key] = table, users
            else:
                del self._open[key]
                table.close()


TABLES = Tables()


def check_owner(info: os.stat_result, url: str) -> None:
    """Refuse what another user planted or may write: a link, a device, a foreign or a world-writable file."""
    if not stat.S_ISREG(info.st_mode):
        raise StoreError(url, "is not a regular file")
    if info.st_uid not in (os.geteuid(), 0):
        raise StoreError(url, f"is owned by uid {info.st_uid}, expected {os.geteuid()}")
    if info.st_mode & stat.S_IWOTH:
        raise StoreError(url, f"has mode {stat.S_IMODE(info.st_mode):o}, expected 600")


def _identity(path: str) -> tuple[int, int]:
    try:
        info = os.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return _NOTHING
    return info.st_dev, info.st_ino


def _restore_folder(path: str, table: Table) -> None:
    """Make the folder again if it went with the file; refuse one that somebody else has put there."""
    folder = os.path.dirname(path) or "."
    os.makedirs(folder, 0o700, exist_ok=True)
    owner = os.lstat(folder).st_uid
    if owner not in (table.folder_owner, os.geteuid(), 0):
        raise StoreError(table.url, f"is gone, and its folder is owned by uid {owner} by now")


def _put_aside(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.replace(path, f"{path}.damaged")


def _open(path: str, slots: int, url: str, timeout: float) -> tuple[tuple[int, int], Table]:
    try:
        table = _open_file(path, slots, url, timeout)
    except Damaged as damage:
        _LOGGER.warning("%s; a new file is begun, counters are 0 again", damage)
        table = _open_file(path, slots, url, timeout)
    return table.identity, table


def _open_file(path: str, slots: int, url: str, timeout: float) -> Table:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        info = os.fstat(fd)
        check_owner(info, url)
        with held_byte(fd, 0, timeout, url):
            try:
                header, salt = _read_or_make(fd, slots, url)
            except Damaged:
                if _identity(path) == (info.st_dev, info.st_ino):
                    _put_aside(path)
                raise
        with contextlib.suppress(OSError):
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)  # cleaners of temporary folders leave it alone
        return Table(fd, path, slots, header, salt, url, timeout)
    except BaseException:
        os.close(fd)
        raise


def _read_or_make(fd: int, slots: int, url: str) -> tuple[bytes, bytes]:
    """Return how the table begins, and its salt; it is made first if the file is empty or only half made."""
    head = os.pread(fd, HEADER, 0)
    size = os.fstat(fd).st_size
    if not head.strip(b"\0") and size <= size_of(slots):
        _reserve(fd, size_of(slots))
        head = _HEADER.pack(MAGIC, slots, os.urandom(16))
        os.pwrite(fd, head[8:], 8)
        os.pwrite(fd, head[:8], 0)  # last: from here on the file is a table
        size = size_of(slots)
    head = head[: _HEADER.size].ljust(_HEADER.size, b"\0")
    magic, found, salt = _HEADER.unpack(head)
    if magic != MAGIC:
        if magic[:-1] != MAGIC[:-1] and size == size_of(slots):
            raise Damaged(url, "is damaged: it does not begin as counters do")
        raise StoreError(url, "holds something else than counters of this version, use another path")
    _same_size(found, slots, url)
    if size != size_of(slots):
        raise Damaged(url, f"is damaged: has {size} bytes, expected {size_of(slots)}")
    return head, bytes(salt)


def _same_size(found: int, slots: int, url: str) -> None:
    if found != slots:
        raise StoreError(url, f"has {found} slots, expected {slots}: delete it or use slots={found}")


def _reserve(fd: int, size: int) -> None:
    """Make a file of ``size`` zero bytes that has its disk blocks.

    Without blocks, a full disk would make itself felt in the middle of counting.
    """
    try:
        os.posix_fallocate(fd, 0, size)
        return
    except AttributeError:  # macOS
        pass
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):  # a file system without it
            raise
    for at in range(0, size, HEADER):
        os.pwrite(fd, bytes(min(HEADER, size - at)), at)
