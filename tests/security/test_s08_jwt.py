"""S8: no confusion of algorithms, no key from the token, no claim or header that is more than a 401."""

from __future__ import annotations

import json

import pytest

from plugmw import Gateway
from plugmw.auth.public_keys import ALGORITHMS
from plugmw.contrib.jwt import JWT
from plugmw.testing import get, hello_app
from tests.support.tokens import KEYS, RSA, SECRET, pem, raw_token

HEADER = '{"alg":"HS256","typ":"JWT"}'


def claims(text: str) -> str:
    return '{"iss":"key",' + text + "}"


CREDENTIALS = [
    {"key": f"{name} {form}", "algorithm": name, **fields}
    for name, key in KEYS.items()
    for form, fields in (
        {"": {"secret": SECRET}, "pem": {"secret": pem(RSA)}}
        if isinstance(key, str)
        else {"": {"rsa_public_key": pem(key)}, "both": {"rsa_public_key": pem(key), "secret": SECRET}}
    ).items()
]


def gateway():
    return Gateway(hello_app, {"consumers": [{"username": "a", "jwt_secrets": CREDENTIALS}]}, plugins=[JWT()])


@pytest.mark.slow
def test_s8_a_token_that_names_another_algorithm_than_it_is_signed_by_is_refused():
    app = gateway()
    for credential in CREDENTIALS:
        own = credential["algorithm"]
        for said in ("none", *ALGORITHMS):
            text = raw_token(
                json.dumps({"alg": said}), json.dumps({"iss": credential["key"]}), own, KEYS[own]
            )
            status = get(app, headers={"Authorization": f"Bearer {text}"}).status_code
            assert status == (200 if said == own and credential.get("secret") != pem(RSA) else 401)


VALUES = [
    "NaN",
    "1e400",
    "-1e400",
    "9" * 5000,
    '"x"',
    "true",
    "null",
    "[]",
    "{}",
    '""',
    "-1",
    "1.5",
    '"\\ud800"',
]


@pytest.mark.slow
def test_s8_claims_and_header_fields_of_any_type_are_never_500():
    app = Gateway(
        hello_app,
        {"consumers": [{"username": "a", "jwt_secrets": [{"key": "key", "secret": SECRET}]}]},
        plugins=[JWT(claims_to_verify=["exp", "nbf"], maximum_expiration=10)],
    )
    names = ["iss", "exp", "nbf", "aud", "sub", "alg", "typ", "kid", "crit", "b64", "zip"]
    for name in names:
        for value in VALUES:
            member = f'"{name}":{value}'
            for header, payload in (
                (HEADER, claims(member)),
                ('{"alg":"HS256",' + member + "}", '{"iss":"key"}'),
                (HEADER, "{" + member + "}"),
                ("{" + member + "}", json.dumps({"iss": "key"})),
            ):
                answer = get(app, headers={"Authorization": f"Bearer {raw_token(header, payload)}"})
                assert answer.status_code == 401, (header, payload)
