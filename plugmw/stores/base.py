"""What every store can do, and the few rules all of them share.

A store holds *counters* (whole numbers, bounded by :data:`MOST`, never below 0) and *values* (bytes). The
two do not see each other: a counter and a value may have the same key, and only ``delete`` touches both.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Literal, Protocol

# Lua, and so Redis scripts, count in doubles: whole numbers are exact up to here. All stores stop at it.
MOST = 2**53 - 1

# Keys carry what clients send. Past this length a key is replaced by its digest, so memory stays bounded.
LONGEST_KEY = 64

Scope = Literal["process", "machine", "network"]


class Store(Protocol):
    """Shared state of plugins: every method is one atomic operation with a deadline.

    All methods may be called from any thread and greenlet, and in a process forked from the one that opened
    the store. All raise :class:`~plugmw.errors.StoreError` when the backend is down, slow, full or closed,
    and ``ValueError`` for a ttl that is not above 0. A ttl is in seconds; None means for ever. Keys are any
    text of any length.

    ``url`` names the store in messages and holds no secrets; ``scope`` says who shares the counters.
    """

    @property
    def url(self) -> str: ...

    @property
    def scope(self) -> Scope: ...

    def take(self, wants: Sequence[tuple[str, int, float]]) -> tuple[bool, list[int]]:
        """Count one hit on every (key, limit, ttl) if all are below their limit, else on none.

        Return whether it was taken and the count per key: after the hit when taken, as it stands when
        refused. A ttl starts when its counter is created. Keys must differ from each other (ValueError).
        A process killed in the middle may leave its one hit on some of the keys; no count is ever lost.
        """

    def incr(self, key: str, amount: int = 1, ttl: float | None = None) -> int:
        """Add ``amount``, which may be negative, to a counter and return the new count.

        The result stays within 0 and ``MOST``. ttl starts when the counter is created, later ones are
        ignored. An absent counter that would come to 0 is not created.
        """

    def count(self, key: str) -> int:
        """Return a counter, 0 if absent."""

    def get(self, key: str) -> bytes | None:
        """Return a value, None if absent."""

    def set(self, key: str, value: bytes, ttl: float | None = None) -> None:
        """Set a value and its ttl, whatever was there."""

    def add(self, key: str, value: bytes, ttl: float | None = None) -> bool:
        """Set a value only if there is none; return whether it was set. For nonces and locks."""

    def delete(self, key: str) -> None:
        """Remove the value and the counter of a key."""

    def close(self) -> None:
        """Give back files and connections; a second call does nothing. Shared state stays."""


def short(key: str) -> str:
    """Return the key itself, or ``#`` and its digest if it is long.

    A short key that begins with ``#`` is hashed too: else a client could send the digest of another
    client's long key and meet its counter.
    """
    if len(key) <= LONGEST_KEY and not key.startswith("#"):
        return key
    return "#" + blake2b(encode(key), digest_size=16).hexdigest()


def encode(key: str) -> bytes:
    """Return the bytes of a key; lone surrogates (undecodable header bytes) pass."""
    return key.encode("utf-8", "surrogatepass")


def lifetime(ttl: float | None) -> float:
    """Return a ttl as seconds, infinity for None; ValueError unless above 0 (NaN too)."""
    if ttl is None:
        return float("inf")
    if not ttl > 0:
        raise ValueError(f"ttl: got {ttl!r}, expected seconds above 0")
    return ttl


def distinct(wants: Sequence[tuple[str, int, float]]) -> None:
    """Check what ``take`` was given: different keys, lifetimes above 0; else ValueError."""
    for _, _, ttl in wants:
        if not ttl > 0:
            lifetime(ttl)
    if len(wants) > 1 and len({key for key, _, _ in wants}) != len(wants):
        raise ValueError("take: got the same key twice, expected different keys")
