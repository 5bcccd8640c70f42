"""A table of counters in a memory-mapped file, shared by the processes of one machine.

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

**kill -9 at any moment.** Numbers are aligned words of 8 bytes, which the processor stores whole. A new key
is written as: expiry 0 (free), key, count, ttl, and last the expiry, which makes it valid. What is left half
written is a free slot.

**One descriptor.** A process loses its fcntl locks on a file when it closes *any* descriptor of it. So there
is one table per file and process, shared by every store that names the file, and a forked child keeps the
inherited descriptor and mapping (neither carries a lock) but makes new thread locks.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fcntl import LOCK_EX, LOCK_NB, LOCK_UN, lockf
from hashlib import blake2b
from threading import Lock

# Taken by name at import, like Lock: either both are gevent's or, imported before its patching, sleep is the
# real one and no greenlet switch can happen while a lock is held.
from time import monotonic, sleep

from plugmw.concurrency.process import on_fork
from plugmw.errors import StoreError
from plugmw.stores.base import MOST, encode

HEADER = 4096
BUCKET = 128  # slots; fewer fill up unevenly sooner, more take longer to search
STRIPES = 64
KEY = 16
BUCKET_BYTES = BUCKET * (KEY + 3 * 8)
EXPIRES, TTL = BUCKET, 2 * BUCKET  # distance in words from a count to its expiry and to its ttl

_SPINS = 100  # polls of about 1 µs before sleeping: a holder is done in about 3 µs
_NAP = 0.0001
#: Keys whose digest is remembered; within a window the same clients come again and again.
_REMEMBERED = 4096


def size_of(slots: int) -> int:
    """Return the bytes of a file of so many slots, a multiple of ``BUCKET``."""
    return HEADER + slots // BUCKET * BUCKET_BYTES


class Table:
    """The mapped counters behind an open descriptor, which it owns.

    Thread-safe and fork-safe. Every method takes a ``clock`` and reads it with the lock held, so that time
    never runs backwards between two holders; waiting for a lock ends after ``timeout`` seconds in StoreError.
    """

    def __init__(self, fd: int, slots: int, salt: bytes, url: str, timeout: float) -> None:
        self.url = url
        self.slots = slots
        self._fd = fd
        self._timeout = timeout
        self._hasher = blake2b(digest_size=KEY, key=salt)
        self._digests: dict[str, bytes] = {}
        self._buckets = slots // BUCKET
        self._map = mmap.mmap(fd, size_of(slots))
        self._bytes = memoryview(self._map)
        self._counts = self._bytes.cast("q")
        self._times = self._bytes.cast("d")
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
            slots = [self._live(digest, now) for digest in digests]
            counts = [self._counts[slot] if slot else 0 for slot in slots]
            for count, (_, limit, _) in zip(counts, wants):
                if count >= limit:
                    return False, counts
            if not all(slots):
                self._create([(d, w[2]) for d, w, slot in zip(digests, wants, slots) if not slot], now)
            for slot in slots:
                if slot:
                    self._counts[slot] += 1
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
            slot = self._live(digest, now)
            count = self._counts[slot] if slot else 0
            if count >= limit:
                return False, [count]
            if slot:
                self._counts[slot] = count + 1
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
            slot = self._live(digest, now)
            count = min(max((self._counts[slot] if slot else 0) + amount, 0), MOST)
            if slot:
                self._counts[slot] = count
            elif count:
                self._write(digest, count, ttl, now)
            return count
        finally:
            self._unlock(stripe)

    def count(self, key: str, clock: Callable[[], float]) -> int:
        digest = self._digest(key)
        with self._held([digest]):
            slot = self._live(digest, clock())
            return self._counts[slot] if slot else 0

    def delete(self, key: str) -> None:
        digest = self._digest(key)
        with self._held([digest]):
            slot = self._find(digest)
            if slot:
                self._times[slot + EXPIRES] = 0.0

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep every other thread and process out of blocks under this same lock; counting goes on."""
        self._lock(STRIPES)
        try:
            yield
        finally:
            self._unlock(STRIPES)

    def close(self) -> None:
        """Unmap and close, once no thread is inside; calls from then on are StoreErrors."""
        for lock in self._locks:
            lock.acquire()
        for view in (self._counts, self._times, self._bytes, self._map):
            view.release() if isinstance(view, memoryview) else view.close()
        fd, self._fd = self._fd, -1
        os.close(fd)
        for lock in self._locks:
            lock.release()

    # Slots: known by the index of their count among the words of the file, never 0 as the header is there.

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
        end = start + BUCKET * KEY
        at = self._map.find(digest, start, end)
        while at >= 0 and (at - start) % KEY:  # the end of one key and the beginning of the next
            at = self._map.find(digest, at + 1, end)
        return end // 8 + (at - start) // KEY if at >= 0 else 0

    def _live(self, digest: bytes, now: float) -> int:
        """Return the slot of a living counter, else 0. Where the clock went back its end is brought near."""
        slot = self._find(digest)
        if slot:
            left = self._times[slot + EXPIRES] - now
            if left > self._times[slot + TTL]:
                self._times[slot + EXPIRES] = now + self._times[slot + TTL]
            elif not left > 0:
                return 0
        return slot

    def _create(self, keys: Sequence[tuple[bytes, float]], now: float) -> None:
        """Write a counter of 1 for each (digest, ttl); if there is no room for all, for none."""
        written: list[int] = []
        try:
            for digest, ttl in keys:
                written.append(self._write(digest, 1, ttl, now))
        except StoreError:
            for slot in written:
                self._times[slot + EXPIRES] = 0.0
            raise

    def _write(self, digest: bytes, count: int, ttl: float, now: float) -> int:
        """Write a new counter over its own dead slot or a free one and return the slot."""
        slot = self._find(digest) or self._free(self._bucket(digest), now)
        self._times[slot + EXPIRES] = 0.0
        first = self._first(self._bucket(digest))
        at = (first * 8 - BUCKET * KEY) + (slot - first) * KEY
        self._bytes[at : at + KEY] = digest
        self._counts[slot] = count
        self._times[slot + TTL] = ttl
        self._times[slot + EXPIRES] = now + ttl  # last: from here on the slot is valid
        return slot

    def _first(self, bucket: int) -> int:
        return (HEADER + bucket * BUCKET_BYTES + BUCKET * KEY) // 8

    def _free(self, bucket: int, now: float) -> int:
        """Return the slot of the bucket that was to end first, if it has ended; else StoreError."""
        first = self._first(bucket)
        ends = self._times[first + EXPIRES : first + EXPIRES + BUCKET].tolist()
        soonest = min(ends)
        if soonest > now:
            self._redate(first, now)
            raise StoreError(self.url, f"is full: no room for a new counter among {self.slots} slots")
        return first + ends.index(soonest)

    def _redate(self, first: int, now: float) -> None:
        """Bring the ends of a full bucket near, in case the clock went back after they were written."""
        for slot in range(first, first + BUCKET):
            near = now + self._times[slot + TTL]
            self._times[slot + EXPIRES] = min(self._times[slot + EXPIRES], near)

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

    def _unlock(self, stripe: int) -> None:
        lockf(self._fd, LOCK_UN, 1, 1 + stripe)
        self._locks[stripe].release()


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
