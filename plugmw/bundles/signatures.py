"""RSA signatures over SHA-256 (PKCS #1 v1.5), in base64: Tyk's, and those of ``openssl dgst -sign``.

Needs the library cryptography: ``pip install 'plugmw[bundles]'``.
"""

from __future__ import annotations

import base64
import binascii
from pathlib import Path
from typing import TYPE_CHECKING, cast

from plugmw.auth.public_keys import public_key
from plugmw.errors import LoadError
from plugmw.loading.regular import read_regular
from plugmw.loading.watching import note

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
    from cryptography.hazmat.primitives.asymmetric.utils import Prehashed


def read_public_key(path: str | Path) -> RSAPublicKey:
    """Return the RSA public key in a PEM file; raises :class:`LoadError`."""
    content = _content(path)
    note(path, content)
    try:
        return cast("RSAPublicKey", public_key("RS256", content.decode("latin-1")))
    except ModuleNotFoundError:
        raise _missing(path) from None
    except ValueError as error:
        raise LoadError(str(path), "is no key that can be used", str(error)) from None


def read_private_key(path: str | Path) -> RSAPrivateKey:
    """Return the RSA private key in a PEM file without a pass phrase; raises :class:`LoadError`."""
    content = _content(path)
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
    except ModuleNotFoundError:
        raise _missing(path) from None
    try:
        key = load_pem_private_key(content, None)
    except (TypeError, ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, RSAPrivateKey):
        raise LoadError(
            str(path), "is no key that can be used", "an RSA private key in PEM form, unencrypted"
        )
    return key


def sign(key: RSAPrivateKey, sha256: bytes) -> str:
    """Return the signature of a content with this SHA-256."""
    return base64.b64encode(key.sign(sha256, *_scheme())).decode()


def is_signed(key: RSAPublicKey, sha256: bytes, signature: str) -> bool:
    """Say whether ``signature`` was made with the private part of ``key`` for a content with this SHA-256."""
    from cryptography.exceptions import InvalidSignature

    try:
        key.verify(base64.b64decode(signature, validate=True), sha256, *_scheme())
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


def _scheme() -> tuple[PKCS1v15, Prehashed]:
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
    from cryptography.hazmat.primitives.hashes import SHA256

    return PKCS1v15(), Prehashed(SHA256())


def _content(path: str | Path) -> bytes:
    try:
        return read_regular(path)
    except (OSError, ValueError) as error:
        note(path)
        raise LoadError(str(path), f"cannot be read: {getattr(error, 'strerror', error)}") from error


def _missing(path: str | Path) -> LoadError:
    return LoadError(str(path), "signatures need the library cryptography", "pip install 'plugmw[bundles]'")
