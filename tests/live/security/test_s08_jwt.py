"""S8: no confusion of algorithms, no key from the token, no claim or header that is more than a 401."""

from __future__ import annotations

import random
from base64 import urlsafe_b64decode

from plugmw.auth.public_keys import ALGORITHMS
from plugmw.testing import get
from tests.security.gates import bearer, good_token
from tests.security.test_s08_jwt import CREDENTIALS, HEADER, claims, gateway
from tests.support.tokens import KEYS, LATER, RSA, SECRET, b64, pem, raw_token, token

#: What an attacker may send who knows every public key and one good token of HS256 for ``key``.
ATTACKS = {
    "none": raw_token('{"alg":"none"}', claims(f'"exp":{LATER}')).rpartition(".")[0] + ".",
    "none with a signature": raw_token('{"alg":"None"}', claims(f'"exp":{LATER}')),
    "no signature": good_token().rpartition(".")[0] + ".",
    "public key as HMAC secret": token({"iss": "rsa", "exp": LATER}, "HS256", pem(RSA)),
    "public key as HMAC secret of a credential of HMAC": token(
        {"iss": "pem", "exp": LATER}, "HS256", pem(RSA)
    ),
    "algorithm of another credential": token({"iss": "key", "exp": LATER}, "RS256", RSA),
    "crit": token({"iss": "key", "exp": LATER}, crit=["exp"]),
    "jwk": token({"iss": "key", "exp": LATER}, jwk={"kty": "oct", "k": b64(SECRET.encode())}),
    "jku": token({"iss": "key", "exp": LATER}, jku="http://127.0.0.1:9/keys"),
    "x5u": token({"iss": "key", "exp": LATER}, x5u="http://127.0.0.1:9/keys"),
    "claim twice": raw_token(HEADER, claims(f'"exp":1,"exp":{LATER}')),
    "two subjects": raw_token(HEADER, claims(f'"exp":{LATER},"sub":"a","sub":"b"')),
    "algorithm twice": raw_token('{"alg":"none","alg":"HS256"}', claims(f'"exp":{LATER}')),
    "payload is a list": raw_token(HEADER, '["key"]'),
    "payload is a text": raw_token(HEADER, '"key"'),
    "payload is a number": raw_token(HEADER, "1"),
    "payload is null": raw_token(HEADER, "null"),
    "payload is nothing": raw_token(HEADER, ""),
    "exp is a text": raw_token(HEADER, claims(f'"exp":"{LATER}"')),
    "exp is NaN": raw_token(HEADER, claims('"exp":NaN')),
    "exp is Infinity": raw_token(HEADER, claims('"exp":Infinity')),
    "exp is 1e400": raw_token(HEADER, claims('"exp":1e400')),
    "exp is true": raw_token(HEADER, claims('"exp":true')),
    "exp is null": raw_token(HEADER, claims('"exp":null')),
    "exp is a list": raw_token(HEADER, claims(f'"exp":[{LATER}]')),
    "exp is missing": raw_token(HEADER, claims('"nbf":1')),
    "exp is past": raw_token(HEADER, claims('"exp":1')),
    "100 KB": good_token(a="a" * 100_000),
    "100 KB of no token": "a" * 100_000,
    "deep": raw_token(HEADER, claims('"a":' + "[" * 5000 + "]" * 5000)),
}


def test_s8_what_is_no_good_token_is_401_on_every_server(gate):
    assert gate.ask("/jwt", bearer(good_token())).status == 200
    assert gate.ask("/jwt", bearer(token({"iss": "rsa", "exp": LATER}, "RS256", RSA))).status == 200
    found = gate.statuses("/jwt", {name: (bearer(text),) for name, text in ATTACKS.items()})
    found |= {
        f"{name} in {where}": gate.ask(path, *lines).status
        for name, text in ATTACKS.items()
        for where, path, lines in (
            ("query", f"/jwt?jwt={text}", ()),
            ("cookie", "/jwt", (f"Cookie: a=b; jwt={text}",)),
        )
    }
    assert {name: status for name, status in found.items() if status != 401} == {}
    assert "Traceback" not in gate.server.log()


def test_s8_a_list_of_audiences_is_no_trouble_because_no_audience_is_looked_at(gate):
    # Kong's contract: claims_to_verify knows exp and nbf; the app gets the token and looks at the others.
    assert gate.ask("/jwt", bearer(good_token(aud=["a", {"b": 1}]))).status == 200


def test_s8_only_the_algorithm_of_the_credential_verifies_whatever_the_token_says():
    app, passed = gateway(), set()
    for credential in CREDENTIALS:
        for algorithm in ALGORITHMS:
            made = [(KEYS[algorithm], algorithm)]
            if algorithm.startswith("HS"):
                # What everybody knows: the public key, as a text of any form.
                public = credential.get("rsa_public_key") or pem(RSA)
                made += [(text, algorithm) for text in (public, public.strip(), public + "\n", "")]
            for key, name in made:
                answer = get(
                    app,
                    headers={"Authorization": f"Bearer {token({'iss': credential['key']}, name, key)}"},
                )
                assert answer.status_code in (200, 401)
                if answer.status_code == 200:
                    passed.add((credential["key"], name, key == KEYS[name]))
    same = {(f"{name} ", name, True) for name in KEYS}
    assert passed == same | {(f"{name} both", name, True) for name, key in KEYS.items() if key != SECRET}


def test_s8_a_good_token_with_anything_changed_is_401_and_never_500():
    app, dice, text = gateway(), random.Random(8), token({"iss": "HS256 ", "exp": LATER})
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=.+/% ~\xe9"
    found = {}
    for _ in range(2000):
        place = dice.randrange(len(text))
        kind = dice.random()
        changed = text[:place] + (dice.choice(letters) if kind < 0.8 else "") + text[place + (kind < 0.9) :]
        if changed != text and not is_same(changed, text):
            answer = get(app, headers={"Authorization": f"Bearer {changed}"})
            found.setdefault(answer.status_code, []).append(changed)
    assert set(found) == {401}


def is_same(changed: str, text: str) -> bool:
    """Say whether only bits have changed that the last character of a signature has too many of."""
    signed, _, signature = changed.rpartition(".")
    before, _, right = text.rpartition(".")
    return signed == before and signature[:-1] == right[:-1] and decoded(signature) == decoded(right)


def decoded(text: str) -> bytes:
    try:
        return urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        return b""
