"""JSON Web Tokens made by hand with hmac and the library cryptography: nothing of plugmw or PyJWT signs them.

token({"iss": "key"}); token({"iss": "key"}, "RS256", KEYS["RS256"], kid="1"); pem(KEYS["RS256"])
"""

from __future__ import annotations

import hmac
import json
from base64 import urlsafe_b64encode

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.support.rsa_keys import rsa_key

SECRET = "plugmw-jwt-secret-0123456789abcdef-0123456789abcdef-0123456789abcdef"
#: An ``exp`` that does not come soon.
LATER = 4_102_444_800

RSA = rsa_key(2048)
BIG_RSA = rsa_key(3072)
CURVES = {"256": ec.SECP256R1(), "384": ec.SECP384R1(), "512": ec.SECP521R1()}
EC = {size: ec.generate_private_key(curve) for size, curve in CURVES.items()}
ED25519, ED448 = ed25519.Ed25519PrivateKey.generate(), ed448.Ed448PrivateKey.generate()
HASHES = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}


def b64(data):
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def pem(key):
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def signature(algorithm, key, data):
    kind, size = algorithm[:2], algorithm[2:]
    if kind == "HS":
        return hmac.new(key if isinstance(key, bytes) else key.encode(), data, f"sha{size}").digest()
    if kind == "RS":
        return key.sign(data, padding.PKCS1v15(), HASHES[size])
    if kind == "PS":
        pss = padding.PSS(padding.MGF1(HASHES[size]), HASHES[size].digest_size)
        return key.sign(data, pss, HASHES[size])
    if kind == "ES":
        length = (key.curve.key_size + 7) // 8
        numbers = decode_dss_signature(key.sign(data, ec.ECDSA(HASHES[size])))
        return b"".join(number.to_bytes(length, "big") for number in numbers)
    return key.sign(data)


def raw_token(header, claims, algorithm="HS256", key=SECRET):
    """Sign texts that need not be JSON."""
    signed = f"{b64(header.encode())}.{b64(claims.encode())}"
    return f"{signed}.{b64(signature(algorithm, key, signed.encode()))}"


def token(claims=None, algorithm="HS256", key=SECRET, **header):
    claims = {"iss": "key", "exp": LATER} if claims is None else claims
    header = {"alg": algorithm, "typ": "JWT", **header}
    return raw_token(json.dumps(header), json.dumps(claims), algorithm, key)


#: A key for each algorithm.
KEYS = {
    "HS256": SECRET,
    "HS384": SECRET,
    "HS512": SECRET,
    "RS256": RSA,
    "RS384": RSA,
    "RS512": BIG_RSA,
    "PS256": RSA,
    "PS384": BIG_RSA,
    "PS512": RSA,
    "ES256": EC["256"],
    "ES384": EC["384"],
    "ES512": EC["512"],
    "EdDSA": ED25519,
}
