"""jwt: configuration, where tokens are found, what makes one good, and through an app."""

from __future__ import annotations

import sys
from base64 import b64encode

import pytest
from werkzeug.test import Client, EnvironBuilder

from plugmw import ConfigError
from plugmw.contrib.jwt import JWT
from plugmw.contrib.jwt.tokens import LONGEST
from plugmw.contrib.key_auth import KeyAuth
from plugmw.errors import LoadError, StoreError
from plugmw.gateway import Gateway
from plugmw.kernel.identity import Credential, MemoryDirectory
from plugmw.sources import bundled
from plugmw.testing import hello_app
from tests.support.plugins import made
from tests.support.tokens import (
    EC,
    ED448,
    ED25519,
    KEYS,
    LATER,
    RSA,
    SECRET,
    b64,
    pem,
    raw_token,
    signature,
    token,
)

NOW = 1_700_000_000

GOOD = token()
OTHER = token({"iss": "key", "n": 2})

ALICE = {
    "id": "00000001-0000-4000-8000-000000000001",
    "username": "alice",
    "custom_id": "A",
    "keyauth_credentials": [{"key": "kong", "id": "cafe"}],
    "jwt_secrets": [
        {"key": "key", "secret": SECRET},
        {"key": "64", "secret": b64encode(b"\xff\xfe\x00" + SECRET.encode()).decode()},
        {"key": "64url", "secret": b64(b"\xff\xfe\x00" + SECRET.encode())},
        {"key": "pem", "secret": pem(RSA)},
        {"key": "no key", "algorithm": "ES256"},
        {"key": "Ed448", "algorithm": "EdDSA", "rsa_public_key": pem(ED448)},
        *(
            {"key": f"of {name}", "algorithm": name}
            | ({"secret": key} if isinstance(key, str) else {"rsa_public_key": pem(key)})
            for name, key in KEYS.items()
        ),
    ],
}
NOBODY = {"id": "00000009-0000-4000-8000-000000000009", "username": "no-body"}
UNAUTHORIZED = {"message": "Unauthorized"}


def ask(config=None, *, query="", headers=None, app=None, plugins=(), method="GET", now=NOW):
    """Send a request; return the answer, and the environ the app saw (None if it was not called)."""
    saw = []
    if app is None:
        app = Gateway(
            hello_app,
            {"consumers": [ALICE, NOBODY]},
            plugins=[JWT(**(config or {})), *plugins],
            clock=lambda: now,
        )
    request = EnvironBuilder(
        "/", query_string=query, headers=headers, method=method, environ_overrides={"plugmw.testing.saw": saw}
    )
    return Client(app, use_cookies=False).open(request), saw[0] if saw else None


def bearer(text):
    return {"Authorization": f"Bearer {text}"}


# -- configuration ---------------------------------------------------------------------------------


BAD = {
    "maximum without exp": (
        {"maximum_expiration": 60, "claims_to_verify": ["nbf"]},
        "claims_to_verify: expected to contain: exp",
    ),
    "maximum without claims": ({"maximum_expiration": 60}, "claims_to_verify: expected to contain: exp"),
    "negative maximum": ({"maximum_expiration": -1}, "got -1, expected a number between 0 and 3.1536e"),
    "maximum over a year": ({"maximum_expiration": 31536001}, "maximum_expiration: got 31536001"),
    "unknown claim": (
        {"claims_to_verify": ["iat"]},
        r"claims_to_verify\[0\]: got 'iat', expected one of exp, nbf",
    ),
    "header that cannot be": (
        {"header_names": ["a b"]},
        r"header_names\[0\]: got 'a b', expected a header name",
    ),
    "names that are no list": ({"cookie_names": "jwt"}, "cookie_names: got 'jwt', expected a list"),
    "realm with a quote": ({"realm": 'a"b'}, "realm: got"),
    "no key claim": ({"key_claim_name": ""}, "key_claim_name: got ''"),
    "unknown field": ({"claims_to_verfy": []}, 'did you mean "claims_to_verify"'),
}


@pytest.mark.parametrize(("config", "message"), BAD.values(), ids=BAD)
def test_refuses_a_bad_configuration(config, message):
    with pytest.raises(ConfigError, match=message):
        JWT(**config)


@pytest.mark.parametrize("library", ["jwt.algorithms", "cryptography"])
def test_a_missing_library_is_told_with_the_extra(library, monkeypatch):
    for module in ("plugmw.contrib.jwt", "plugmw.contrib.jwt.plugin", "plugmw.contrib.jwt.tokens"):
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(LoadError, match=r"pip install 'plugmw\[jwt\]'"):
        bundled.find("jwt")


# -- access: where tokens are found ----------------------------------------------------------------

MULTIPLE = {"message": "Multiple tokens provided"}
COOKIES = {"cookie_names": ["silly", "crumble"]}
FOUND = {
    # config, query, headers -> the body of a 401, None for 200
    "nowhere": ({}, "", {}, UNAUTHORIZED),
    "header": ({}, "", bearer(GOOD), None),
    "scheme in small letters": ({}, "", {"Authorization": f"bearer {GOOD}"}, None),
    "scheme in capitals": ({}, "", {"Authorization": f"BEARER {GOOD}"}, UNAUTHORIZED),
    "another scheme": ({}, "", {"Authorization": f"Basic {GOOD}"}, UNAUTHORIZED),
    "no scheme": ({}, "", {"Authorization": GOOD}, UNAUTHORIZED),
    "scheme alone": ({}, "", {"Authorization": "Bearer "}, UNAUTHORIZED),
    "many blanks": ({}, "", {"Authorization": f"  Bearer \t {GOOD} "}, None),
    "another header": ({"header_names": ["X-Token"]}, "", {"X-Token": f"Bearer {GOOD}"}, None),
    "a header that is not looked at": ({"header_names": ["X-Token"]}, "", bearer(GOOD), UNAUTHORIZED),
    "query": ({}, f"jwt={GOOD}", {}, None),
    "query, escaped": ({}, f"%6Awt={GOOD.replace('.', '%2E')}", {}, None),
    "query of another name": ({"uri_param_names": ["token"]}, f"token={GOOD}", {}, None),
    "query that is not looked at": ({"uri_param_names": []}, f"jwt={GOOD}", {}, UNAUTHORIZED),
    "query without =": ({}, "jwt", {}, UNAUTHORIZED),
    "query empty": ({}, "jwt=", {}, UNAUTHORIZED),
    "query empty beside a header": ({}, "jwt=", bearer(GOOD), None),
    "cookie": (COOKIES, "", {"Cookie": f"a=b; crumble={GOOD}; c=d"}, None),
    "cookie in another spelling": (COOKIES, "", {"Cookie": f"Crumble={GOOD}"}, UNAUTHORIZED),
    "cookie that is not looked at": ({}, "", {"Cookie": f"jwt={GOOD}"}, UNAUTHORIZED),
    "the same twice is one": ({}, f"jwt={GOOD}", bearer(GOOD), None),
    "the same in a repeated header": ({}, "", {"Authorization": f"Bearer {GOOD},Bearer {GOOD}"}, None),
    "two": ({}, f"jwt={OTHER}", bearer(GOOD), MULTIPLE),
    "two in the query": ({}, f"jwt={GOOD}&jwt=other", {}, MULTIPLE),
    "two cookies": (COOKIES, "", {"Cookie": f"silly={GOOD}; crumble={OTHER}"}, MULTIPLE),
    "two cookies of one name": (COOKIES, "", {"Cookie": f"silly={GOOD}; silly={OTHER}"}, MULTIPLE),
    "two headers joined": ({}, "", {"Authorization": f"Bearer {GOOD}, Bearer {OTHER}"}, MULTIPLE),
    "beside another scheme": ({}, "", {"Authorization": f"Basic abc, Bearer {GOOD}"}, MULTIPLE),
    "other schemes have commas": ({}, f"jwt={GOOD}", {"Authorization": 'hmac a="b", c="d"'}, None),
}


@pytest.mark.parametrize(("config", "query", "headers", "body"), FOUND.values(), ids=FOUND)
def test_finds_the_token(config, query, headers, body):
    answer, saw = ask(config, query=query, headers=headers)
    assert (answer.status_code, bool(saw)) == ((401, False) if body else (200, True))
    if body:
        assert answer.json == body
        error = "" if body is UNAUTHORIZED else ' error="invalid_token"'
        assert answer.headers["WWW-Authenticate"] == f"Bearer{error}"


# -- access: what makes a token good ---------------------------------------------------------------

BAD_JSON = {"message": "Bad token; invalid JSON"}
BAD_ALG = {"message": "Bad token; invalid alg"}
BAD_HEADER = {"message": "Bad token; invalid header"}
HEADER, CLAIMS = '{"alg":"HS256"}', '{"iss":"key"}'
TOKENS = {
    # token -> the body of a 401, None for 200
    "good": (GOOD, None),
    "without typ": (raw_token(HEADER, CLAIMS), None),
    "no token": ("hello", BAD_JSON),
    "two parts": (GOOD.rpartition(".")[0], BAD_JSON),
    "four parts": (GOOD + ".a", BAD_JSON),
    "something in front": (f"no-way-this-works{GOOD}", BAD_JSON),
    "with a blank": (GOOD.replace(".", ". "), BAD_JSON),
    "padded": (GOOD + "=", BAD_JSON),
    "impossible length": ("a." + GOOD.partition(".")[2], BAD_JSON),
    "header that is no JSON": (raw_token("alg", CLAIMS), BAD_JSON),
    "header that is no object": (raw_token('["HS256"]', CLAIMS), BAD_JSON),
    "claims that are no object": (raw_token(HEADER, '"key"'), BAD_JSON),
    "claims that are no UTF-8": (
        f"{b64(HEADER.encode())}.{b64(b'{%s}' % bytes([255]))}.{b64(b'sig')}",
        BAD_JSON,
    ),
    "a claim twice": (raw_token(HEADER, '{"iss":"key","iss":"key"}'), BAD_JSON),
    "a claim inside twice": (raw_token(HEADER, '{"iss":"key","a":[{"sub":1,"sub":2}]}'), BAD_JSON),
    "alg twice": (raw_token('{"alg":"none","alg":"HS256"}', CLAIMS), BAD_JSON),
    "exp that is NaN": (raw_token(HEADER, '{"iss":"key","exp":NaN}'), BAD_JSON),
    "exp that is infinite": (raw_token(HEADER, '{"iss":"key","exp":1e400}'), BAD_JSON),
    "exp of too many digits": (raw_token(HEADER, '{"iss":"key","exp":%s}' % ("9" * 5000)), BAD_JSON),
    "nested without end": (raw_token(HEADER, f'{{"iss":"key","a":{"[" * 10**5 + "]" * 10**5}}}'), BAD_JSON),
    "very long": (token({"iss": "key", "a": "a" * LONGEST}), BAD_JSON),
    "alg none": (raw_token('{"alg":"none"}', CLAIMS).rpartition(".")[0] + ".", BAD_ALG),
    "alg none in other letters": (raw_token('{"alg":"nOnE"}', CLAIMS), BAD_ALG),
    "alg missing": (raw_token("{}", CLAIMS), BAD_ALG),
    "alg that is no text": (raw_token('{"alg":["HS256"]}', CLAIMS), BAD_ALG),
    "alg nobody knows": (raw_token('{"alg":"ES256K"}', CLAIMS), BAD_ALG),
    "alg in small letters": (raw_token('{"alg":"hs256"}', CLAIMS), BAD_ALG),
    "crit": (token(crit=["exp"]), BAD_HEADER),
    "b64": (token(crit=["b64"], b64=False), BAD_HEADER),
    "jwk": (token(jwk={"kty": "oct", "k": "eA"}), BAD_HEADER),
    "jku": (token(jku="https://mallory.example"), BAD_HEADER),
    "x5u": (token(x5u="https://mallory.example"), BAD_HEADER),
    "kid is not looked at": (token(kid="../../dev/null"), None),
    "list of audiences": (token({"iss": "key", "aud": ["a", "b"]}), None),
    "iat and aud are not looked at": (token({"iss": "key", "aud": "x", "iat": LATER, "exp": 1}), None),
    "key missing": (token({"exp": LATER}), {"message": "No mandatory 'iss' in claims"}),
    "key empty": (token({"iss": ""}), {"message": "Invalid 'iss' in claims"}),
    "key that is no text": (token({"iss": ["key"]}), {"message": "Invalid 'iss' in claims"}),
    "key that is null": (token({"iss": None}), {"message": "Invalid 'iss' in claims"}),
    "key in the header": (token({}, iss="key"), None),
    "key unknown": (token({"iss": "nobody"}), {"message": "No credentials found for given 'iss'"}),
    "key that is a lone surrogate": (
        token({"iss": "\ud800"}),
        {"message": "No credentials found for given 'iss'"},
    ),
    "another algorithm": (token(algorithm="HS512"), {"message": "Invalid algorithm"}),
    "public key as secret": (
        token({"iss": "of RS256"}, "HS256", pem(RSA)),
        {"message": "Invalid algorithm"},
    ),
    "public key as secret of an HS credential": (
        token({"iss": "pem"}, "HS256", pem(RSA)),
        {"message": "Invalid key/secret"},
    ),
    "credential without key": (
        token({"iss": "no key"}, "ES256", EC["256"]),
        {"message": "Invalid key/secret"},
    ),
    "another secret": (token(key="other"), {"message": "Invalid signature"}),
    "no signature": (GOOD.rpartition(".")[0] + ".", {"message": "Invalid signature"}),
    "other claims": (
        ".".join((GOOD.split(".")[0], OTHER.split(".")[1], GOOD.split(".")[2])),
        {"message": "Invalid signature"},
    ),
    "secret in Base64 is a text": (
        token({"iss": "64"}, key=b"\xff\xfe\x00" + SECRET.encode()),
        {"message": "Invalid signature"},
    ),
}


@pytest.mark.parametrize(("text", "body"), TOKENS.values(), ids=TOKENS)
def test_what_makes_a_token_good(text, body):
    answer, _ = ask(headers=bearer(text))
    assert (answer.status_code, answer.json if body else None) == (401 if body else 200, body)
    if body:
        assert answer.content_type == "application/json; charset=utf-8"
        assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", KEYS)
def test_verifies_what_an_independent_signer_made(algorithm):
    key = KEYS[algorithm]
    text = token({"iss": f"of {algorithm}"}, algorithm, key)
    assert ask(headers=bearer(text))[0].status_code == 200
    head, claims, _ = text.split(".")
    size = len(signature(algorithm, key, b""))
    for wrong in (
        signature(algorithm, key, f"{head}.{claims}x".encode()),
        b"\0" * size,
        b"\0" * (size - 1),
        b"\0" * (size + 1),
        b"",
    ):
        answer, _ = ask(headers=bearer(f"{head}.{claims}.{b64(wrong)}"))
        assert (answer.status_code, answer.json) == (401, {"message": "Invalid signature"})


def test_eddsa_is_ed448_too():
    assert ask(headers=bearer(token({"iss": "Ed448"}, "EdDSA", ED448)))[0].status_code == 200
    answer, _ = ask(headers=bearer(token({"iss": "Ed448"}, "EdDSA", ED25519)))
    assert answer.json == {"message": "Invalid signature"}


def test_verifies_the_token_of_rfc_7515():
    """Appendix A.1: a secret in Base64, and line ends inside of its JSON."""
    text = (
        "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9."
        "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ."
        "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    )
    secret = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"
    plugin = JWT(secret_is_base64=True)
    consumers = [{"username": "joe", "jwt_secrets": [{"key": "joe", "secret": secret}]}]
    app = Gateway(hello_app, {"consumers": consumers}, plugins=[plugin])
    assert ask(app=app, headers=bearer(text))[0].status_code == 200


@pytest.mark.parametrize("key", ["64", "64url"], ids=["usual alphabet", "alphabet for URLs, not padded"])
def test_secrets_may_be_written_in_base64(key):
    text = token({"iss": key}, key=b"\xff\xfe\x00" + SECRET.encode())
    assert ask({"secret_is_base64": True}, headers=bearer(text))[0].status_code == 200


def test_a_secret_that_is_no_base64_verifies_nothing():
    answer, _ = ask({"secret_is_base64": True}, headers=bearer(token({"iss": "pem"})))
    assert (answer.status_code, answer.json) == (401, {"message": "Invalid key/secret"})


def test_public_keys_are_never_read_as_base64():
    text = token({"iss": "of RS256"}, "RS256", RSA)
    assert ask({"secret_is_base64": True}, headers=bearer(text))[0].status_code == 200


def test_another_claim_may_name_the_credential():
    config = {"key_claim_name": "client"}
    assert ask(config, headers=bearer(token({"client": "key"})))[0].status_code == 200
    answer, _ = ask(config, headers=bearer(GOOD))
    assert answer.json == {"message": "No mandatory 'client' in claims"}


# -- access: claims --------------------------------------------------------------------------------

BOTH = {"claims_to_verify": ["nbf", "exp"]}
DAY = {"claims_to_verify": ["exp"], "maximum_expiration": 86400}
NUMBER = "must be a number"
CLAIM = {
    # config, claims -> the body of a 401, None for 200
    "not looked at": ({}, {"exp": 1, "nbf": LATER}, None),
    "none listed": ({"claims_to_verify": []}, {"exp": 1}, None),
    "good": (BOTH, {"exp": NOW + 1, "nbf": NOW}, None),
    "missing": (BOTH, {}, {"nbf": NUMBER, "exp": NUMBER}),
    "one missing": (BOTH, {"exp": LATER}, {"nbf": NUMBER}),
    "text": (BOTH, {"exp": str(LATER), "nbf": 0}, {"exp": NUMBER}),
    "boolean": (BOTH, {"exp": LATER, "nbf": True}, {"nbf": NUMBER}),
    "expired in this second": (BOTH, {"exp": NOW, "nbf": 0}, {"exp": "token expired"}),
    "valid from the next second": (BOTH, {"exp": LATER, "nbf": NOW + 1}, {"nbf": "token not valid yet"}),
    "fractions": (BOTH, {"exp": NOW + 0.5, "nbf": NOW - 0.5}, None),
    "both wrong": (BOTH, {"exp": -1, "nbf": LATER}, {"exp": "token expired", "nbf": "token not valid yet"}),
    "number beyond any time": (BOTH, {"exp": 10**400, "nbf": -(10**400)}, None),
    "only exp": ({"claims_to_verify": ["exp"]}, {"exp": LATER, "nbf": LATER}, None),
    "at the maximum": (DAY, {"exp": NOW + 86400}, None),
    "above the maximum": (DAY, {"exp": NOW + 86401}, {"exp": "exceeds maximum allowed expiration"}),
    "maximum and no exp": (DAY, {}, {"exp": NUMBER}),
}


@pytest.mark.parametrize(("config", "claims", "body"), CLAIM.values(), ids=CLAIM)
def test_verifies_claims(config, claims, body):
    answer, _ = ask(config, headers=bearer(token({"iss": "key", **claims})), now=NOW + 0.9)
    assert (answer.status_code, answer.json if body else None) == (401 if body else 200, body)
    if body:
        assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


# -- through an app --------------------------------------------------------------------------------


def test_the_app_is_told_the_consumer_and_the_key_but_nothing_of_a_clients_own():
    forged = {"X-Consumer-ID": "1", "X-Credential-Identifier": "root", "X-Anonymous-Consumer": "true"}
    _, saw = ask(headers={**bearer(GOOD), **forged})
    told = {key[7:]: value for key, value in saw.items() if key.startswith(("HTTP_X_C", "HTTP_X_A"))}
    assert told == {
        "CONSUMER_ID": ALICE["id"],
        "CONSUMER_USERNAME": "alice",
        "CONSUMER_CUSTOM_ID": "A",
        "CREDENTIAL_IDENTIFIER": "key",
    }
    assert saw["HTTP_AUTHORIZATION"] == f"Bearer {GOOD}"


@pytest.mark.parametrize(("text", "left"), [(GOOD, GOOD), (token(key="x"), None)], ids=["good", "bad"])
def test_later_plugins_find_a_good_token_in_the_context(text, left):
    found = []
    later = made("later", 900, access=lambda x: found.append(x.ctx.get("authenticated_jwt_token")))
    ask({"anonymous": "no-body"}, headers=bearer(text), plugins=[later])
    assert found == [left]


@pytest.mark.parametrize("headers", [{}, bearer("x"), bearer(token(key="x"))], ids=["none", "bad", "wrong"])
@pytest.mark.parametrize("anonymous", [NOBODY["id"], "no-body"], ids=["by id", "by username"])
def test_the_anonymous_consumer_stands_in(anonymous, headers):
    answer, saw = ask({"anonymous": anonymous}, headers=headers)
    assert (answer.status_code, saw["HTTP_X_ANONYMOUS_CONSUMER"]) == (200, "true")
    assert saw["HTTP_X_CONSUMER_USERNAME"] == "no-body"
    assert "HTTP_X_CREDENTIAL_IDENTIFIER" not in saw


def test_a_missing_anonymous_consumer_is_an_error():
    answer, saw = ask({"anonymous": "nowhere"})
    assert (answer.status_code, saw) == (500, None)
    assert answer.json["message"] == "anonymous consumer nowhere is configured but doesn't exist"
    assert "WWW-Authenticate" not in answer.headers


KEY = {"apikey": "kong"}
EITHER = {
    # headers -> identifier, anonymous
    "both": ({**bearer(GOOD), **KEY}, "key", None),
    "only the key": (KEY, "cafe", None),
    "only the token": (bearer(GOOD), "key", None),
    "neither": ({}, None, "true"),
}


@pytest.mark.parametrize(("headers", "identifier", "anonymous"), EITHER.values(), ids=EITHER)
def test_with_key_auth_and_anonymous_one_is_enough(headers, identifier, anonymous):
    config = {"anonymous": "no-body"}
    _, saw = ask(config, headers=headers, plugins=[KeyAuth(**config)])
    assert saw.get("HTTP_X_CREDENTIAL_IDENTIFIER") == identifier
    assert saw.get("HTTP_X_ANONYMOUS_CONSUMER") == anonymous


def test_with_key_auth_alone_both_must_pass():
    for headers, status in (({**bearer(GOOD), **KEY}, 200), (KEY, 401), (bearer(GOOD), 401)):
        assert ask(headers=headers, plugins=[KeyAuth()])[0].status_code == status


REALM = {
    "no token": ({}, 'Bearer realm="test-jwt"'),
    "unknown key": (bearer(token({"iss": "x"})), 'Bearer realm="test-jwt", error="invalid_token"'),
    "no JSON": (bearer("x"), 'Bearer realm="test-jwt", error="invalid_token"'),
}


@pytest.mark.parametrize(("headers", "challenge"), REALM.values(), ids=REALM)
def test_the_challenge_names_the_realm(headers, challenge):
    answer, _ = ask({"realm": "test-jwt"}, headers=headers)
    assert answer.headers["WWW-Authenticate"] == challenge


def test_the_refusal_is_json_whatever_the_client_accepts():
    answer, _ = ask(headers={"Accept": "text/html"})
    assert (answer.mimetype, answer.json) == ("application/json", UNAUTHORIZED)


@pytest.mark.parametrize(("run", "status"), [(True, 401), (False, 200)])
def test_a_preflight_passes_without_a_token_if_told_so(run, status):
    assert ask({"run_on_preflight": run}, method="OPTIONS")[0].status_code == status


@pytest.mark.parametrize(
    ("expires", "message"),
    [
        (NOW, "No credentials found for given 'iss'"),
        (NOW + 1, "Could not find consumer for 'iss=k'"),
    ],
    ids=["expired", "owner gone"],
)
def test_a_credential_that_has_expired_or_has_no_owner(expires, message):
    directory = MemoryDirectory()
    data = {"algorithm": "HS256", "secret": SECRET}
    directory.add("jwt", "k", Credential(id="1", consumer_id="2", data=data, expires=expires))
    app = Gateway(hello_app, plugins=[JWT()], consumers=directory, clock=lambda: NOW)
    answer, _ = ask(app=app, headers=bearer(token({"iss": "k"})))
    assert (answer.status_code, answer.json) == (401, {"message": message})
    assert ("WWW-Authenticate" in answer.headers) is (expires == NOW)


@pytest.mark.parametrize("config", [{}, {"anonymous": "no-body"}], ids=["alone", "with anonymous"])
def test_a_store_that_fails_lets_nobody_pass(config):
    class Down(MemoryDirectory):
        def credential(self, kind, key):
            raise StoreError("redis://keys", "timed out after 1 s")

    app = Gateway(hello_app, plugins=[JWT(**config)], consumers=Down())
    assert ask(app=app, headers=bearer(GOOD))[0].status_code == 500


def test_a_changed_key_counts_for_the_next_request():
    class Changing(MemoryDirectory):
        secret = "old" * 20

        def credential(self, kind, key):
            data = {"algorithm": "HS256", "secret": self.secret}
            return Credential(id="1", consumer_id="2", data=data)

    directory = Changing()
    app = Gateway(hello_app, plugins=[JWT()], consumers=directory)
    messages = []
    for directory.secret in ("old" * 20, "new" * 20):
        messages.append(ask(app=app, headers=bearer(token(key="old" * 20)))[0].json["message"])
    assert messages == ["Could not find consumer for 'iss=key'", "Invalid signature"]


def test_tokens_are_not_logged(caplog):
    with caplog.at_level("DEBUG"):
        for text in (GOOD, token(key="x"), "x.y.z"):
            ask(headers=bearer(text))
    assert not any(part in caplog.text for part in GOOD.split("."))
