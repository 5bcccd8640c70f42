"""Passwords of consumers: how they may be written in a configuration, and checking one.

    scrypt:32768:8:1$<salt>$<hex>       a hash of werkzeug's generate_password_hash (scrypt or pbkdf2)
    kong-sha1$<hex>                     what Kong stores: SHA-1 of the password and the consumer's id
    anything else                       the password itself

In memory all of them are ``method$salt$digest``.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable
from typing import Final

from werkzeug.security import check_password_hash, generate_password_hash

KONG: Final = "kong-sha1"
#: For passwords that the configuration holds as they are: there is nothing left to protect by slow work.
PLAIN: Final = "pbkdf2:sha256:1"
#: Stands for what cannot be known: werkzeug's default.
USUAL: Final = "scrypt:32768:8:1"
EXPECTED: Final = f"a password, a hash of werkzeug.security or {KONG}$ and 40 hexadecimal digits"

#: What begins like this is meant to be a hash, and no password if it cannot be read as one.
_MEANT: Final = re.compile(rf"(?:scrypt|pbkdf2|{KONG})[:$]").match
_HASH: Final = re.compile(r"((?:scrypt|pbkdf2)(?::[\w:-]+)?)\$[^$]+\$[0-9a-f]{32,}").fullmatch
_KONG: Final = re.compile(rf"{KONG}\$([0-9a-fA-F]{{40}})").fullmatch


def is_kong(written: str) -> bool:
    """Say whether a password is written in Kong's form, which needs the consumer's own id."""
    return written.startswith(f"{KONG}$")


def stored(written: str, consumer_id: str) -> str:
    """Return what to keep of a password in a configuration; raises ``ValueError`` for a hash that is none."""
    if not _MEANT(written):
        return generate_password_hash(written, PLAIN)
    kong = _KONG(written)
    if kong:
        return f"{KONG}${consumer_id}${kong[1].lower()}"
    found = _HASH(written)
    if found is None:
        raise ValueError(EXPECTED)
    cost(found[1])
    return written


def matches(kept: str, password: str) -> bool:
    """Check a password against what :func:`stored` returned, in constant time."""
    if is_kong(kept):
        _, salt, digest = kept.split("$", 1)[0], *kept.split("$", 1)[1].rsplit("$", 1)
        # Kong's own, and no better for being salted: see the pages on basic-auth.
        found = hashlib.sha1((password + salt).encode(), usedforsecurity=False).hexdigest()
        return hmac.compare_digest(found, digest)
    return check_password_hash(kept, password)


def method(kept: str) -> str:
    """Return the method of what :func:`stored` returned: ``scrypt:32768:8:1``."""
    return kept.partition("$")[0]


def cost(name: str) -> int:
    """Return about how many rounds of work a method is; raises ``ValueError`` if there is no such method."""
    kind, *arguments = name.split(":")
    if kind == KONG:
        return 0
    if kind == "scrypt":
        n, r, p = map(int, arguments or USUAL.split(":")[1:])
        if n < 2 or n & (n - 1) or r < 1 or p < 1:
            raise ValueError(EXPECTED)
        return n * r * p
    digest, rounds = [*arguments, "sha256", "1000000"][:2] if not arguments else [*arguments, "1000000"][:2]
    hashlib.new(digest, usedforsecurity=False)
    if int(rounds) < 1:
        raise ValueError(EXPECTED)
    return int(rounds)


def decoy(kept: Iterable[str]) -> str:
    """Return what no password matches, and what is as much work to find out as the dearest of ``kept``."""
    dearest = max((method(one) for one in kept), key=cost, default=PLAIN)
    return f"{PLAIN if dearest == KONG else dearest}$0123456789abcdef${'0' * 64}"
