"""signed_tokens: taking one apart, verifying its signature and its claims."""

from __future__ import annotations

import pytest

from plugmw.contrib.jwt.tokens import LONGEST, read, verifier, wrong_claims
from tests.support.rsa_keys import rsa_key
from tests.support.tokens import EC, KEYS, RSA, SECRET, b64, pem, raw_token, signature, token

NOW = 1_700_000_000
GOOD = token({"iss": "key"}, kid="1")


def test_takes_a_token_apart():
    made = read(GOOD)
    assert made.header == {"alg": "HS256", "typ": "JWT", "kid": "1"}
    assert made.claims == {"iss": "key"}
    assert made.signed == GOOD.rpartition(".")[0].encode()
    assert made.signature == signature("HS256", SECRET, made.signed)
    assert "signature" not in repr(made)


BAD = {
    "no token": "",
    "two parts": "e30.e30",
    "four parts": "e30.e30..",
    "padded": "e30=.e30.",
    "impossible length": "a.e30.",
    "no JSON": raw_token("{}", "x"),
    "no object": raw_token("[]", "{}"),
    "repeated name": raw_token("{}", '{"a":1,"a":1}'),
    "too long": raw_token("{}", '{"a":"%s"}' % ("a" * LONGEST)),
}


@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
def test_refuses_what_is_no_token(text):
    with pytest.raises(ValueError):
        read(text)


@pytest.mark.parametrize("algorithm", KEYS)
def test_verifies_signatures(algorithm):
    key = KEYS[algorithm]
    secret, public = (key, None) if isinstance(key, str) else (None, pem(key))
    is_signature = verifier(algorithm, secret, public, False)
    made = signature(algorithm, key, b"text")
    assert is_signature(b"text", made)
    assert not is_signature(b"test", made)
    assert not is_signature(b"text", made[:-1])


@pytest.mark.parametrize("padding", ["", "="], ids=["bare", "padded"])
@pytest.mark.parametrize("table", ["+/", "-_"], ids=["usual alphabet", "for URLs"])
def test_secrets_may_be_written_in_base64(table, padding):
    text = b64(b"\xff\xfe\xfd\xfc\xfb").replace("_", table[1]).replace("-", table[0]) + padding
    is_signature = verifier("HS256", text, None, True)
    assert is_signature(b"text", signature("HS256", b"\xff\xfe\xfd\xfc\xfb", b"text"))


UNUSABLE = {
    "no secret": ("HS256", None, None),
    "empty secret": ("HS256", "", None),
    "public key": ("HS256", pem(EC["256"]), None),
    "no public key": ("RS256", SECRET, None),
    "public key of another algorithm": ("ES256", None, pem(RSA)),
    "secret that is no Base64": ("HS256", "a!", None),
    "short public key": ("PS256", None, pem(rsa_key(1024))),
}


@pytest.mark.parametrize(("algorithm", "secret", "key"), UNUSABLE.values(), ids=UNUSABLE)
def test_a_directory_may_have_keys_that_verify_nothing(algorithm, secret, key):
    assert verifier(algorithm, secret, key, secret == "a!") is None


CLAIMS = {
    # claims, maximum -> what is wrong
    "both hold": ({"exp": NOW + 1, "nbf": NOW}, 0, {}),
    "missing": ({}, 0, {"exp": "must be a number", "nbf": "must be a number"}),
    "no numbers": ({"exp": "1", "nbf": True}, 0, {"exp": "must be a number", "nbf": "must be a number"}),
    "too late and too early": (
        {"exp": NOW, "nbf": NOW + 1},
        60,
        {"exp": "token expired", "nbf": "token not valid yet"},
    ),
    "at the maximum": ({"exp": NOW + 60, "nbf": NOW}, 60, {}),
    "above it": ({"exp": NOW + 61, "nbf": NOW}, 60, {"exp": "exceeds maximum allowed expiration"}),
}


@pytest.mark.parametrize(("claims", "maximum", "wrong"), CLAIMS.values(), ids=CLAIMS)
def test_says_what_is_wrong_with_claims(claims, maximum, wrong):
    assert wrong_claims(claims, ["exp", "nbf"], NOW, maximum) == wrong


def test_looks_at_no_claim_that_is_not_listed():
    assert wrong_claims({"exp": 1}, ["nbf"], NOW, 60) == {"nbf": "must be a number"}
