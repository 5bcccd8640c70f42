"""A table of counters in a file, shared by the processes of one machine.

    header      magic, number of slots, secret salt                            4096 bytes
    bucket 0    128 keys of 16 bytes | 128 counts | 128 expiries | 128 ttls     5120 bytes
    bucket 1    ...

A key is the blake2b of its text, keyed with the salt, and can be in one bucket only: finding it is one search
in 2 KiB, whether the table is empty or full, and nobody outside can aim at a bucket. A slot whose expiry is
not in the future is free. When every slot of a bucket is alive a new key is a StoreError and no living
counter is given up: filling the table must not rid anyone of a limit. With random keys that begins at about
two thirds of all slots.

**Locks.** Buckets share 64 stripes. A stripe is a byte locked with fcntl, which the kernel gives back when
its holder dies, however it dies; and, because such locks belong to the whole process, a ``threading.Lock``
for the threads of one process.

**kill -9 at any moment.** Numbers are words of 8 bytes, each written whole by one call. A new key is written
as: expiry 0 (free), key, count, ttl, and last the expiry, which makes it valid. What is left half written is
a free slot.

**One descriptor.** A process loses its fcntl locks on a file when it closes *any* descriptor of it. So there
is one table per file and process, shared by every store that names the file, and a forked child keeps the
inherited descriptor (it carries no lock) but makes new thread locks.

**Damage.** The file is read and written, not mapped into memory, where a page that somebody has cut off kills
the process (SIGBUS). What cannot be a table any more, and one that is no longer under its name, is
:class:`Damaged`: :mod:`plugmw.stores.tables` puts a new file in its place. A shared ``flock`` keeps it from
those cleaners of temporary folders that respect one, as systemd-tmpfiles does.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from fcntl import LOCK_EX, LOCK_NB, LOCK_UN, lockf
from hashlib import blake2b
from struct import Struct
from threading import Lock

# Taken by name at import, like Lock: either both are gevent's or, imported before its patching, sleep is the
# real one and no greenlet switch can happen while a lock is held.
from time import monotonic, sleep
from typing import NoReturn

from plugmw.concurrency.process import on_fork
from plugmw.errors import StoreError
from plugmw.stores.base import MOST, encode

HEADER = 4096
BUCKET = 128  # slots; fewer fill up unevenly sooner, more take longer to search
STRIPES = 64
KEY = 16
BUCKET_BYTES = BUCKET * (KEY + 3 * 8)
EXPIRES, TTL = BUCKET, 2 * BUCKET  # distance in words from a count to its expiry and to its ttl

_SPINS = 100  # polls of about 1 µs before sleeping: a holder is done in about 10 µs
_NAP = 0.0001
#: Seconds between two looks at whether the file is still the one under its name.
LOOK_EVERY = 0.05
#: Keys whose digest is remembered; within a window the same clients come again and again.
_REMEMBERED = 4096


_COUNT = Struct("=q")
_TIME = Struct("=d")
_COUNTS = Struct(f"={BUCKET}q")
_TIMES = Struct(f"={BUCKET}d")
#: Words that the keys of a bucket take, which come before its counts.
_KEYS = BUCKET * KEY // 8


class Damaged(StoreError):
    """The file is no table any more, or no longer under its name."""


def size_of(slots: int) -> int:
    """Return the bytes of a file of so many slots, a multiple of ``BUCKET``."""
    return HEADER + slots // BUCKET * BUCKET_BYTES


class Table:
    """The counters behind an open descriptor, which it owns; ``header`` is how the file begins.

    Thread-safe and fork-safe. Every method takes a ``clock`` and reads it with the lock held, so that time
    never runs backwards between two holders; waiting for a lock ends after ``timeout`` seconds in StoreError.
    """

    def __init__(
        self, fd: int, path: str, slots: int, header: bytes, salt: bytes, url: str, timeout: float
    ) -> None:
        self.url = url
        self.slots = slots
        self._fd = fd
        self._path = path
        self._header = header
        self._timeout = timeout
        info = os.fstat(fd)
        #: Device and inode.
        self.identity = info.st_dev, info.st_ino
        #: Who owned the folder when the file was opened.
        self.folder_owner = os.stat(os.path.dirname(path) or ".").st_uid
        self._looked = monotonic()
        self._hasher = blake2b(digest_size=KEY, key=salt)
        self._digests: dict[str, bytes] = {}
        self._buckets = slots // BUCKET
        self.after_fork()
        on_fork(self)

    def after_fork(self) -> None:
        self._locks = [Lock() for _ in range(STRIPES + 1)]

    def take(
        self, wants: Sequence[tuple[str, int, float]], clock: Callable[[], float]
    ) -> tuple[bool, list[int]]:
        """See :meth:`Store.take`; the wants have been checked."""
        if len(wants) == 1:
            return self._take_one(*wants[0], clock)
        digests = [self._digest(key) for key, _, _ in wants]
        with self._held(digests):
            now = clock()
            found = [self._live(digest, now) for digest in digests]
            counts = [count for _, count in found]
            for count, (_, limit, _) in zip(counts, wants):
                if count >= limit:
                    return False, counts
            fresh = [(digest, want[2]) for digest, want, (slot, _) in zip(digests, wants, found) if not slot]
            if fresh:
                self._create(fresh, now)
            for slot, count in found:
                if slot:
                    self._set_count(slot, count + 1)
            return True, [count + 1 for count in counts]

    def _take_one(
        self, key: str, limit: int, ttl: float, clock: Callable[[], float]
    ) -> tuple[bool, list[int]]:
        """Do what ``take`` does for one key, which is what most requests ask for: no lists, one lock."""
        digest = self._digest(key)
        stripe = self._bucket(digest) % STRIPES
        self._lock(stripe)
        try:
            now = clock()
            slot, count = self._live(digest, now)
            if count >= limit:
                return False, [count]
            if slot:
                self._set_count(slot, count + 1)
            else:
                self._write(digest, 1, ttl, now)
            return True, [count + 1]
        finally:
            self._unlock(stripe)

    def incr(self, key: str, amount: int, ttl: float, clock: Callable[[], float]) -> int:
        """See :meth:`Store.incr`; ttl may be infinite."""
        digest = self._digest(key)
        stripe = self._bucket(digest) % STRIPES
        self._lock(stripe)
        try:
            now = clock()
            slot, count = self._live(digest, now)
            count = min(max(count + amount, 0), MOST)
            if slot:
                self._set_count(slot, count)
            elif count:
                self._write(digest, count, ttl, now)
            return count
        finally:
            self._unlock(stripe)

    def count(self, key: str, clock: Callable[[], float]) -> int:
        digest = self._digest(key)
        with self._held([digest]):
            return self._live(digest, clock())[1]

    def delete(self, key: str) -> None:
        digest = self._digest(key)
        with self._held([digest]):
            slot = self._find(digest)
            if slot:
                self._set_time(slot + EXPIRES, 0.0)

    def check(self) -> None:
        """Raise Damaged unless the file is whole, and the one under its name, right now."""
        with self.alone():
            self._look()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep every other thread and process out of blocks under this same lock; counting goes on."""
        self._lock(STRIPES)
        try:
            yield
        finally:
            self._unlock(STRIPES)

    def close(self) -> None:
        """Close, once no thread is inside; calls from then on are StoreErrors."""
        for lock in self._locks:
            lock.acquire()
        fd, self._fd = self._fd, -1
        os.close(fd)
        for lock in self._locks:
            lock.release()

    # Slots: known by the index of their count among the words of the file, never 0 as the header is there.

    def _read(self, size: int, at: int) -> bytes:
        data = os.pread(self._fd, size, at)
        if len(data) != size:
            raise Damaged(self.url, "is damaged: its end is missing")
        return data

    def _set_count(self, slot: int, count: int) -> None:
        os.pwrite(self._fd, _COUNT.pack(count), slot * 8)

    def _set_time(self, word: int, time: float) -> None:
        os.pwrite(self._fd, _TIME.pack(time), word * 8)

    def _digest(self, key: str) -> bytes:
        found = self._digests.get(key)
        if found is None:
            hasher = self._hasher.copy()
            hasher.update(encode(key))
            if len(self._digests) >= _REMEMBERED:
                self._digests.clear()
            found = self._digests[key] = hasher.digest()
        return found

    def _bucket(self, digest: bytes) -> int:
        return int.from_bytes(digest[:4], "little") % self._buckets

    def _find(self, digest: bytes) -> int:
        """Return the slot that holds the key, alive or not; 0 if none does."""
        start = HEADER + self._bucket(digest) * BUCKET_BYTES
        at = _place(self._read(BUCKET * KEY, start), digest)
        return start // 8 + _KEYS + at if at >= 0 else 0

    def _live(self, digest: bytes, now: float) -> tuple[int, int]:
        """Return the slot of a living counter and its count, else 0 and 0.

        Where the clock went back its end is brought near.
        """
        start = HEADER + self._bucket(digest) * BUCKET_BYTES
        # All of it by one call, which costs less than a second one for the numbers.
        bucket = self._read(BUCKET_BYTES, start)
        at = _place(bucket, digest)
        if at < 0:
            return 0, 0
        word = (_KEYS + at) * 8
        (count,) = _COUNT.unpack_from(bucket, word)
        (expires,) = _TIME.unpack_from(bucket, word + EXPIRES * 8)
        (ttl,) = _TIME.unpack_from(bucket, word + TTL * 8)
        slot, left = start // 8 + _KEYS + at, expires - now
        if left > ttl:
            self._set_time(slot + EXPIRES, now + ttl)
        elif not left > 0:
            return 0, 0
        if not _is_whole(count, expires, ttl):
            raise Damaged(self.url, "is damaged: it holds what is no counter")
        return slot, count

    def _create(self, keys: Sequence[tuple[bytes, float]], now: float) -> None:
        """Write a counter of 1 for each (digest, ttl); if there is no room for all, for none."""
        written: list[int] = []
        try:
            for digest, ttl in keys:
                written.append(self._write(digest, 1, ttl, now))
        except StoreError:
            for slot in written:
                self._set_time(slot + EXPIRES, 0.0)
            raise

    def _write(self, digest: bytes, count: int, ttl: float, now: float) -> int:
        """Write a new counter over its own dead slot or a free one and return the slot."""
        slot = self._find(digest) or self._free(self._bucket(digest), now)
        self._set_time(slot + EXPIRES, 0.0)
        first = self._first(self._bucket(digest))
        os.pwrite(self._fd, digest, (first * 8 - BUCKET * KEY) + (slot - first) * KEY)
        self._set_count(slot, count)
        self._set_time(slot + TTL, ttl)
        self._set_time(slot + EXPIRES, now + ttl)  # last: from here on the slot is valid
        return slot

    def _first(self, bucket: int) -> int:
        return (HEADER + bucket * BUCKET_BYTES + BUCKET * KEY) // 8

    def _free(self, bucket: int, now: float) -> int:
        """Return the slot of the bucket that was to end first, if it has ended; else StoreError."""
        first = self._first(bucket)
        ends = _TIMES.unpack(self._read(BUCKET * 8, (first + EXPIRES) * 8))
        soonest = min(ends)
        if soonest > now or math.isnan(soonest):
            self._refuse(first, ends, now)
        return first + ends.index(soonest)

    def _refuse(self, first: int, ends: Sequence[float], now: float) -> NoReturn:
        """Refuse a new counter; bring the ends of the full bucket near, in case the clock went back."""
        counts = _COUNTS.unpack(self._read(BUCKET * 8, first * 8))
        ttls = _TIMES.unpack(self._read(BUCKET * 8, (first + TTL) * 8))
        if not all(map(_is_whole, counts, ends, ttls)):
            raise Damaged(self.url, "is damaged: it holds what is no counter")
        for slot, (end, ttl) in enumerate(zip(ends, ttls), first):
            self._set_time(slot + EXPIRES, min(end, now + ttl))
        raise StoreError(self.url, f"is full: no room for a new counter among {self.slots} slots")

    # Locks.

    @contextmanager
    def _held(self, digests: Sequence[bytes]) -> Iterator[None]:
        """Hold the stripes of some keys; in ascending order, so that two callers cannot block each other."""
        held: list[int] = []
        try:
            for stripe in sorted({self._bucket(digest) % STRIPES for digest in digests}):
                self._lock(stripe)
                held.append(stripe)
            yield
        finally:
            for stripe in held:
                self._unlock(stripe)

    def _lock(self, stripe: int) -> None:
        lock = self._locks[stripe]
        if not lock.acquire(False) and not lock.acquire(True, self._timeout):
            raise _busy(self.url, self._timeout)
        try:
            lock_byte(self._fd, 1 + stripe, self._timeout, self.url)
        except BaseException as error:
            lock.release()
            if self._fd < 0:
                raise StoreError(self.url, "is closed") from error
            if isinstance(error, OSError):
                raise StoreError(self.url, f"cannot be locked: {error.strerror}") from error
            raise
        if monotonic() - self._looked >= LOOK_EVERY:
            try:
                self._look()
            except BaseException:
                self._unlock(stripe)
                raise

    def _look(self) -> None:
        """Raise Damaged unless the file is whole, and the one under its name."""
        self._looked = monotonic()
        try:
            info = os.stat(self._path, follow_symlinks=False)
        except OSError as error:
            raise Damaged(self.url, "is gone: it was removed") from error
        if (info.st_dev, info.st_ino) != self.identity:
            raise Damaged(self.url, "is gone: another file was put in its place")
        if info.st_size != size_of(self.slots):
            raise Damaged(self.url, f"is damaged: has {info.st_size} bytes, expected {size_of(self.slots)}")
        if os.pread(self._fd, len(self._header), 0) != self._header:
            raise Damaged(self.url, "is damaged: it does not begin as it did")

    def hold_maker(self) -> AbstractContextManager[None]:
        """Hold the lock of whoever makes the file, in this process and others."""
        return held_byte(self._fd, 0, self._timeout, self.url)

    def _unlock(self, stripe: int) -> None:
        lockf(self._fd, LOCK_UN, 1, 1 + stripe)
        self._locks[stripe].release()


def _place(bucket: bytes, digest: bytes) -> int:
    """Return which of a bucket's keys it is; -1 if it is none."""
    at = bucket.find(digest, 0, BUCKET * KEY)
    while at >= 0 and at % KEY:  # the end of one key and the beginning of the next
        at = bucket.find(digest, at + 1, BUCKET * KEY)
    return at // KEY if at >= 0 else -1


def _is_whole(count: int, expires: float, ttl: float) -> bool:
    """Say whether a slot is one that was written here, and not by accident."""
    return 0 <= count <= MOST and ttl >= 0 and not math.isnan(expires)


@contextmanager
def held_byte(fd: int, at: int, timeout: float, url: str) -> Iterator[None]:
    """Hold the lock of one byte of a file against other processes; StoreError after ``timeout`` seconds."""
    lock_byte(fd, at, timeout, url)
    try:
        yield
    finally:
        lockf(fd, LOCK_UN, 1, at)


def lock_byte(fd: int, at: int, timeout: float, url: str) -> None:
    """Lock one byte of a file against other processes; StoreError after ``timeout`` seconds.

    By polling: the kernel's own waiting has no deadline, and it sees one owner per process, so that two
    processes with two threads each can look like a deadlock to it (EDEADLK) when they are not.
    """
    try:
        lockf(fd, LOCK_EX | LOCK_NB, 1, at)
        return
    except (BlockingIOError, PermissionError):  # EAGAIN or EACCES, as the system likes
        deadline = monotonic() + timeout
    attempt = 0
    while monotonic() < deadline:
        try:
            lockf(fd, LOCK_EX | LOCK_NB, 1, at)
            return
        except (BlockingIOError, PermissionError):
            attempt += 1
            sleep(0 if attempt < _SPINS else _NAP)
    raise _busy(url, timeout)


def _busy(url: str, timeout: float) -> StoreError:
    return StoreError(url, f"is locked by another worker for more than {timeout} s")
