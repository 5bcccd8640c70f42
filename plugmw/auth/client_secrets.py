"""Secrets of OAuth2 clients, as they are or as the digests that Kong stores.

    $pbkdf2-sha512$i=10000,l=32$<salt>$<digest>       PBKDF2 with HMAC-SHA512; Base64 without padding

What begins like this is meant to be a digest; anything else is the secret itself.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from typing import Final

import attrs

EXPECTED: Final = "a secret, or $pbkdf2-sha512$i=<rounds>,l=<length>$<salt>$<digest>"
#: Rounds and length of a digest, and bytes of salt, that are Kong's (``kong/plugins/oauth2/secret.lua``).
ROUNDS: Final = 10_000
LENGTH: Final = 32
SALT: Final = 32

_PREFIX: Final = "$pbkdf2-"
_DIGEST: Final = re.compile(
    r"\$pbkdf2-sha512\$i=([1-9]\d{0,6}),l=([1-9]\d)\$([A-Za-z0-9+/]+)=*\$([A-Za-z0-9+/]+)=*"
).fullmatch


@attrs.frozen
class _Digest:
    rounds: int
    salt: bytes
    digest: bytes

    @classmethod
    def read(cls, written: str) -> _Digest | None:
        match = _DIGEST(written)
        if match is None or len(match[3]) % 4 == 1 or len(match[4]) % 4 == 1:
            return None
        parsed = cls(int(match[1]), _decoded(match[3]), _decoded(match[4]))
        return parsed if len(parsed.digest) == int(match[2]) else None

    @classmethod
    def of(cls, secret: str, rounds: int, salt: bytes, length: int) -> _Digest:
        data = secret.encode("utf-8", "surrogatepass")
        return cls(rounds, salt, hashlib.pbkdf2_hmac("sha512", data, salt, rounds, length))

    def __str__(self) -> str:
        settings = f"i={self.rounds},l={len(self.digest)}"
        return f"{_PREFIX}sha512${settings}${_encoded(self.salt)}${_encoded(self.digest)}"


def readable(written: str) -> bool:
    """Say whether a secret can be read: what is meant to be a digest must be one."""
    return not written.startswith(_PREFIX) or _Digest.read(written) is not None


def stored(written: str) -> str:
    """Return the digest to keep of a secret that is :func:`readable`; a digest is kept as it is."""
    if written.startswith(_PREFIX):
        return written
    return str(_Digest.of(written, ROUNDS, secrets.token_bytes(SALT), LENGTH))


def matches(saved: str, secret: str) -> bool:
    """Check a secret against what is stored, in a time that does not depend on where they differ."""
    digest = _Digest.read(saved)
    if digest is None:
        return hmac.compare_digest(_sha256(saved), _sha256(secret))
    computed = _Digest.of(secret, digest.rounds, digest.salt, len(digest.digest))
    return hmac.compare_digest(computed.digest, digest.digest)


def rounds(saved: str) -> int:
    """Return how many rounds of work a check is, 0 for a secret that is stored as it is."""
    digest = _Digest.read(saved)
    return digest.rounds if digest else 0


def decoy(saved: Iterable[str]) -> str:
    """Return what no secret matches, and what is as much work to find out as the dearest of ``saved``."""
    dearest = max(map(rounds, saved), default=0)
    digest = secrets.token_bytes(LENGTH)
    return str(_Digest(dearest, secrets.token_bytes(SALT), digest)) if dearest else digest.hex()


def _sha256(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode().rstrip("=")


def _decoded(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4))
