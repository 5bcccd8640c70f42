"""Signed JSON Web Tokens (RFC 7515, RFC 7519): taking one apart, verifying signature and claims.

Needs the libraries PyJWT and cryptography.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Final

import attrs
import cryptography  # noqa: F401  (so that a missing extra is found when this is imported)
from jwt.algorithms import get_default_algorithms
from jwt.exceptions import InvalidKeyError

from plugmw.auth.public_keys import HMAC, public_key
from plugmw.wsgi import forms

Verifier = Callable[[bytes, bytes], bool]

#: Characters; a longer token is taken for none.
LONGEST: Final = 16 * 1024

_METHODS: Final = get_default_algorithms()
_TOKEN: Final = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]*)").fullmatch


@attrs.frozen
class Token:
    """A token taken apart; nothing in it is verified yet."""

    header: Mapping[str, object]
    claims: Mapping[str, object]
    signed: bytes = attrs.field(repr=False)
    signature: bytes = attrs.field(repr=False)


def read(text: str) -> Token:
    """Take a token apart; raises ``ValueError``. A repeated name in its JSON is an error too."""
    match = _TOKEN(text) if len(text) <= LONGEST else None
    if match is None:
        raise ValueError("expected three parts in Base64")
    header, claims, signature = (_unpacked(part) for part in match.groups())
    signed = text.rpartition(".")[0].encode()
    return Token(forms.read_object(header, True), forms.read_object(claims, True), signed, signature)


def _unpacked(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def verifier(algorithm: str, secret: str | None, pem: str | None, is_base64: bool) -> Verifier | None:
    """Return what verifies signatures of an algorithm, None if there is no usable key for it."""
    try:
        if algorithm not in HMAC:
            key = public_key(algorithm, pem or "")
        elif not secret:
            return None  # with an empty key everybody could sign, and older versions of PyJWT take it
        else:
            # Refuses public keys of all forms (CVE-2022-29217).
            key = _METHODS[algorithm].prepare_key(_secret(secret, is_base64))
    except (ValueError, InvalidKeyError):
        return None
    return partial(_is_signature, _METHODS[algorithm].verify, key)


def _is_signature(verify: Callable[..., bool], key: object, signed: bytes, signature: bytes) -> bool:
    return verify(signed, key, signature)


def _secret(text: str, is_base64: bool) -> bytes:
    """Return the bytes of a secret; Base64 may be of either alphabet, with or without padding."""
    if not is_base64:
        return text.encode()
    plain = text.translate(str.maketrans("-_", "+/")).rstrip("=")
    return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)


def wrong_claims(
    claims: Mapping[str, object], names: Iterable[str], now: int, maximum: float
) -> dict[str, str]:
    """Return what is wrong with each of the claims ``names``; ``now`` and ``maximum`` are in seconds."""
    wrong = {}
    for name in names:
        value = claims.get(name)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            wrong[name] = "must be a number"
        elif name == "exp" and value <= now:
            wrong[name] = "token expired"
        elif name == "nbf" and value > now:
            wrong[name] = "token not valid yet"
        elif name == "exp" and maximum and value - now > maximum:
            wrong[name] = "exceeds maximum allowed expiration"
    return wrong
