"""Passwords of consumers: how they may be written in a configuration, and checking one.

    scrypt:32768:8:1$<salt>$<hex>       a hash of werkzeug's generate_password_hash (scrypt or pbkdf2)
    kong-sha1$<hex>                     what Kong stores: SHA-1 of the password and the consumer's id
    anything else                       the password itself

In memory all of them are ``method$salt$digest``.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from werkzeug.security import check_password_hash, generate_password_hash

KONG: Final = "kong-sha1"
#: For passwords that the configuration holds as they are: there is nothing left to protect by slow work.
PLAIN: Final = "pbkdf2:sha256:1"
#: Begins hashes of werkzeug's default.
USUAL: Final = "scrypt:32768:8:1$"
#: Hexadecimal digits of a digest of scrypt.
SCRYPT: Final = 128
EXPECTED: Final = f"a password, a hash of werkzeug.security or {KONG}$ and 40 hexadecimal digits"

#: What begins like this is meant to be a hash, and no password if it cannot be read as one.
_MEANT: Final = re.compile(rf"(?:scrypt|pbkdf2|{KONG})[:$]").match
_KONG: Final = re.compile(rf"{KONG}\$[0-9a-fA-F]{{40}}").fullmatch
_ROUNDS: Final = re.compile(r"scrypt:(\d+):(\d+):(\d+)|pbkdf2:[\w-]+:(\d+)").fullmatch
_HASH: Final = re.compile(r"[^$]+\$[^$]+\$[0-9a-f]{32,}").fullmatch


def is_kong(written: str) -> bool:
    """Say whether a password is written in Kong's form, which is salted with the consumer's own id."""
    return written.startswith(f"{KONG}$")


def readable(written: str) -> bool:
    """Say whether a password can be read: what is meant to be a hash must be one."""
    if not _MEANT(written):
        return True
    return bool(_KONG(written) or (_HASH(written) and cost(written) and _works(method(written))))


def stored(written: str, consumer_id: str) -> str:
    """Return what to keep of a password that is :func:`readable`."""
    if is_kong(written):
        return f"{KONG}${consumer_id}${written[len(KONG) + 1 :].lower()}"
    return written if _MEANT(written) else generate_password_hash(written, PLAIN)


def slow(written: str) -> str:
    """Return a password that is :func:`readable` as a hash that is slow to guess; a hash as it is."""
    return written if _MEANT(written) else generate_password_hash(written)


def matches(hashed: str, password: str) -> bool:
    """Check a password against what :func:`stored` returned."""
    if not is_kong(hashed):
        return check_password_hash(hashed, password)
    salt, _, digest = hashed[len(KONG) + 1 :].rpartition("$")
    computed = hashlib.sha1((password + salt).encode(), usedforsecurity=False).hexdigest()
    return hmac.compare_digest(computed, digest)


def cost(hashed: str) -> int:
    """Return about how many rounds of work a check is, 0 where nothing slows it down."""
    match = _ROUNDS(method(hashed))
    return math.prod(int(number) for number in match.groups() if number) if match else 0


def decoy(hashed: Iterable[str]) -> str:
    """Return what no password matches, and what is as much work to find out as the dearest of ``hashed``.

    :data:`USUAL` among them stands for what cannot be known.
    """
    dearest = max((_decoy(PLAIN), *hashed), key=cost)
    return _decoy(method(dearest), len(dearest.rpartition("$")[2]) or SCRYPT)


def method(hashed: str) -> str:
    """Return the method of a hash: ``scrypt:32768:8:1``."""
    return hashed.partition("$")[0]


def _decoy(method: str, length: int = 64) -> str:
    return f"{method}$0123456789abcdef${'0' * length}"


@lru_cache
def _works(method: str) -> bool:
    """Say whether hashes of a method can be checked here, by checking one."""
    try:
        return not check_password_hash(_decoy(method), "")
    except (ValueError, OverflowError):
        return False
