"""public_keys: which key goes with which algorithm."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from plugmw.auth.public_keys import ALGORITHMS, HMAC, public_key
from tests.support.rsa_keys import rsa_key


def pem(key):
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


RSA = rsa_key(2048)
KEYS = {
    "RSA": pem(RSA),
    "P-256": pem(ec.generate_private_key(ec.SECP256R1())),
    "P-384": pem(ec.generate_private_key(ec.SECP384R1())),
    "P-521": pem(ec.generate_private_key(ec.SECP521R1())),
    "Ed25519": pem(ed25519.Ed25519PrivateKey.generate()),
    "Ed448": pem(ed448.Ed448PrivateKey.generate()),
}
GOES = {
    **{name: ["RSA"] for name in ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")},
    "ES256": ["P-256"],
    "ES384": ["P-384"],
    "ES512": ["P-521"],
    "EdDSA": ["Ed25519", "Ed448"],
}


def test_these_are_all_algorithms_with_a_public_key():
    assert set(GOES) == set(ALGORITHMS) - set(HMAC)


@pytest.mark.parametrize("algorithm", GOES)
@pytest.mark.parametrize("kind", KEYS)
def test_a_key_goes_with_its_own_algorithms_only(algorithm, kind):
    if kind in GOES[algorithm]:
        assert public_key(algorithm, KEYS[kind])
    else:
        with pytest.raises(ValueError, match=f"key .*for {algorithm}"):
            public_key(algorithm, KEYS[kind])


def test_a_short_rsa_key_is_refused():
    with pytest.raises(ValueError, match="an RSA key of at least 2048 bits for PS256"):
        public_key("PS256", pem(rsa_key(1024)))


NO_KEYS = {
    "nothing": "",
    "text": "secret",
    "a private key": RSA.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
    "damaged": KEYS["RSA"].replace("M", "N"),
}


@pytest.mark.parametrize("text", NO_KEYS.values(), ids=NO_KEYS)
def test_what_is_no_public_key_is_refused(text):
    with pytest.raises(ValueError, match="a public key in PEM form"):
        public_key("RS256", text)
