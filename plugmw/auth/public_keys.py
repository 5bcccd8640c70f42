"""Signature algorithms of tokens (RFC 7518, RFC 8037) and the public keys that go with them."""

from __future__ import annotations

from typing import Final

HMAC: Final = ("HS256", "HS384", "HS512")
ALGORITHMS: Final = (
    *HMAC,
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"),
)
#: Bits; a shorter RSA key can be broken (RFC 7518 section 3.3).
SHORTEST_RSA: Final = 2048

_CURVES: Final = {"ES256": "secp256r1", "ES384": "secp384r1", "ES512": "secp521r1"}


def public_key(algorithm: str, pem: str) -> object:
    """Read the PEM public key of an algorithm that has one; ``ValueError`` says what would be right.

    Raises ``ModuleNotFoundError`` without the library cryptography.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("a public key in PEM form (-----BEGIN PUBLIC KEY-----)") from None
    if algorithm in _CURVES:
        good = isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name == _CURVES[algorithm]
        wanted = f"a key on the curve {_CURVES[algorithm]} for {algorithm}"
    elif algorithm == "EdDSA":
        good = isinstance(key, (ed25519.Ed25519PublicKey, ed448.Ed448PublicKey))
        wanted = "an Ed25519 or Ed448 key for EdDSA"
    else:
        good = isinstance(key, rsa.RSAPublicKey) and key.key_size >= SHORTEST_RSA
        wanted = f"an RSA key of at least {SHORTEST_RSA} bits for {algorithm}"
    if not good:
        raise ValueError(wanted)
    return key
