"""The ``consumers`` section."""

from __future__ import annotations

import sys

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from plugmw.auth import passwords
from plugmw.auth.consumers import directory, parse
from plugmw.errors import ConfigError, ConfigErrors
from plugmw.kernel.identity import MemoryDirectory
from plugmw.schema.messages import place
from tests.support.rsa_keys import rsa_key

ID = "00000001-0000-4000-8000-000000000001"
KEY = rsa_key(2048).public_key()
PEM = KEY.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
KONG = "kong-sha1$" + "0" * 40


def problems_of(data):
    return [
        f"{place(path)}: {found}" + (f", expected {want}" if want else "")
        for path, found, want in parse(data)[1]
    ]


def test_consumers_come_with_their_groups_tags_and_keys():
    found, problems = parse(
        [
            {
                "username": "jo",
                "tags": ["t"],
                "acls": [{"group": "a"}, {"group": "b"}],
                "keyauth_credentials": [{"key": "k1", "id": "kid"}, {"key": "k2"}],
            }
        ]
    )
    assert problems == []
    jo = found.consumer("jo")
    assert (jo.username, jo.tags, jo.groups) == ("jo", ("t",), ("a", "b"))
    assert found.credential("key-auth", "k1").id == "kid"
    assert found.credential("key-auth", "k2").consumer_id == jo.id


def test_ids_are_the_same_each_time():
    data = [{"username": "jo", "keyauth_credentials": [{"key": "k"}]}]
    one, two = parse(data)[0], parse(data)[0]
    assert one.consumer("jo").id == two.consumer("jo").id
    assert one.credential("key-auth", "k").id == two.credential("key-auth", "k").id


def test_a_key_ends_after_its_ttl():
    found, _ = parse(
        [{"username": "jo", "keyauth_credentials": [{"key": "a", "ttl": 10, "created": 100}, {"key": "b"}]}]
    )
    assert found.credential("key-auth", "a").expires == 110
    assert found.credential("key-auth", "b").expires is None


def test_a_time_to_live_needs_its_beginning():
    """Counted from the moment of loading it would begin anew with every worker and every reload."""
    assert problems_of([{"username": "jo", "keyauth_credentials": [{"key": "a", "ttl": 10}]}]) == [
        "consumers[0].keyauth_credentials[0].created: missing beside ttl"
        ", expected when it was made, in unix seconds"
    ]


WRONG = {
    "no list": ({}, "consumers: got dict, expected a list of consumers"),
    "no name": ([{}], "consumers[0]: at least one of username, custom_id must be given"),
    "no mapping": (["jo"], "consumers[0]: got 'jo', expected a mapping"),
    "unknown field": (
        [{"usrname": "jo"}],
        'consumers[0].usrname: unknown field "usrname"; did you mean "username"?',
    ),
    "same username": (
        [{"username": "jo"}, {"username": "jo"}],
        "consumers[1].username: got 'jo', which consumers[0] has already, expected a unique value",
    ),
    "group with a comma": (
        [{"username": "jo", "acls": [{"group": "x,y"}]}],
        "consumers[0].acls[0].group: got 'x,y', "
        "expected a name without commas, control characters and outer blanks",
    ),
    "empty key": (
        [{"username": "jo", "keyauth_credentials": [{"key": ""}]}],
        "consumers[0].keyauth_credentials[0].key: got '', expected a string of at least one character",
    ),
    "a secret that is no string": (
        [{"username": "jo", "keyauth_credentials": [{"key": 12345678}]}],
        "consumers[0].keyauth_credentials[0].key: got a secret value, expected a string",
    ),
    "same key": (
        [
            {"username": "jo", "keyauth_credentials": [{"key": "s3"}]},
            {"username": "al", "keyauth_credentials": [{"key": "s3"}]},
        ],
        "consumers[1].keyauth_credentials[0].key: is the same as another credential's"
        ", expected a unique value",
    ),
}


@pytest.mark.parametrize(("data", "problem"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_told_with_its_place(data, problem):
    assert problem in problems_of(data)


def test_no_secret_is_in_a_problem():
    assert "12345678" not in " ".join(problems_of(WRONG["a secret that is no string"][0]))


def test_a_key_from_the_environment_that_looks_like_a_number_is_its_text():
    texts = {("consumers", 0, "keyauth_credentials", 0, "key"): "012"}
    found, problems = parse([{"username": "jo", "keyauth_credentials": [{"key": 12}]}], text=texts.get)
    assert problems == []
    assert found.credential("key-auth", "012") is not None


def test_a_directory_is_one_or_a_list_of_consumers():
    made = MemoryDirectory()
    assert directory(made) is made
    assert directory([{"username": "jo"}]).consumer("jo").username == "jo"
    with pytest.raises(ConfigErrors, match="consumers: got int") as caught:
        directory(5)
    assert isinstance(caught.value, ConfigError)


# -- credentials -------------------------------------------------------------------------------------------


def with_one(kind, **credential):
    return {"username": "alice", kind: [credential]}


GOOD = {
    # list, fields -> kind, key, what the app is told
    "key": ("keyauth_credentials", {"key": "k", "id": "1"}, "key-auth", "k", "1"),
    "key without id": ("keyauth_credentials", {"key": "k"}, "key-auth", "k", None),
    "password": ("basicauth_credentials", {"username": "u", "password": "p"}, "basic-auth", "u", "u"),
    "HS256": ("jwt_secrets", {"key": "iss", "secret": "s"}, "jwt", "iss", "iss"),
    "RS256": ("jwt_secrets", {"key": "i", "algorithm": "RS256", "rsa_public_key": PEM}, "jwt", "i", "i"),
    "ES256 without key, which no token passes": (
        "jwt_secrets",
        {"key": "i", "algorithm": "ES256"},
        "jwt",
        "i",
        "i",
    ),
    "HS256 with a public key, which is not looked at": (
        "jwt_secrets",
        {"key": "i", "secret": "s", "rsa_public_key": "x"},
        "jwt",
        "i",
        "i",
    ),
    "HMAC": ("hmacauth_credentials", {"username": "u", "secret": "s"}, "hmac-auth", "u", "u"),
    "confidential client": (
        "oauth2_credentials",
        {"name": "n", "client_id": "c", "client_secret": "s", "redirect_uris": ["https://a.example/b?c"]},
        "oauth2",
        "c",
        "c",
    ),
    "public client": (
        "oauth2_credentials",
        {"name": "n", "client_id": "c", "client_type": "public"},
        "oauth2",
        "c",
        "c",
    ),
}


@pytest.mark.parametrize(("name", "fields", "kind", "key", "identifier"), GOOD.values(), ids=GOOD)
def test_a_credential_is_found_by_its_key(name, fields, kind, key, identifier):
    made = directory([{"id": ID, "username": "alice", name: [fields]}])
    found = made.credential(kind, key)
    assert (found.consumer_id, found.identifier, found.expires) == (ID, identifier, None)
    assert list(made.credentials(kind)) == [found]
    assert made.credential("other", key) is None
    for secret in ("password", "secret", "client_secret"):
        assert fields.get(secret) is None or repr(found).find(repr(fields[secret])) < 0


@pytest.mark.parametrize("name", [name for name, *_ in GOOD.values()])
def test_a_credential_may_say_when_it_was_made_as_kong_does(name):
    fields = next(fields for other, fields, *_ in GOOD.values() if other == name)
    assert problems_of([with_one(name, **fields, created_at=1700000000, tags=["a"])]) == []


@pytest.mark.parametrize(
    ("times", "expires"),
    [({"ttl": 10, "created": 1000}, 1010), ({"ttl": 0}, None), ({"created_at": 1000}, None)],
    ids=["time to live", "for ever", "not limited"],
)
def test_a_key_expires_after_its_time_to_live(times, expires):
    made = directory([with_one("keyauth_credentials", key="k", **times)])
    assert made.credential("key-auth", "k").expires == expires


def test_a_password_is_kept_as_a_digest():
    made = directory([with_one("basicauth_credentials", username="u", password="correct-horse")])
    kept = made.credential("basic-auth", "u").data["password"]
    assert "correct-horse" not in kept
    assert passwords.matches(kept, "correct-horse")


def test_a_secret_may_be_a_reference(monkeypatch):
    monkeypatch.setenv("PLUGMW_TEST_KEY", "correct-horse")
    made = directory([with_one("hmacauth_credentials", username="u", secret="{env://PLUGMW_TEST_KEY}")])
    assert made.credential("hmac-auth", "u").data["secret"] == "correct-horse"


BAD_CREDENTIALS = {
    "both spellings of the beginning": (
        "keyauth_credentials",
        {"key": "k", "created": 1, "created_at": 1},
        "created_at: given beside 'created', expected only one of the two",
    ),
    "empty password": (
        "basicauth_credentials",
        {"username": "u", "password": ""},
        "password: got '', expected a string of at least one character",
    ),
    "hash that is none": (
        "basicauth_credentials",
        {"username": "u", "password": "scrypt:correct-horse"},
        f"password: got a secret value, expected {passwords.EXPECTED}",
    ),
    "unknown algorithm": (
        "jwt_secrets",
        {"key": "k", "secret": "s", "algorithm": "none"},
        "algorithm: got 'none', expected one of HS256, HS384, HS512, RS256, RS384, RS512, "
        "PS256, PS384, PS512, ES256, ES384, ES512, EdDSA",
    ),
    "HS without secret": (
        "jwt_secrets",
        {"key": "k", "rsa_public_key": PEM},
        "secret: missing, expected the secret of HS256 tokens",
    ),
    "PS without key": (
        "jwt_secrets",
        {"key": "k", "secret": "s", "algorithm": "PS384"},
        "rsa_public_key: missing, expected the public key of PS384 tokens",
    ),
    "key that is none": (
        "jwt_secrets",
        {"key": "k", "algorithm": "RS256", "rsa_public_key": "correct-horse"},
        "rsa_public_key: got a secret value, expected a public key in PEM form (-----BEGIN PUBLIC KEY-----)",
    ),
    "key of another algorithm": (
        "jwt_secrets",
        {"key": "k", "algorithm": "ES256", "rsa_public_key": PEM},
        "rsa_public_key: got a secret value, expected a key on the curve secp256r1 for ES256",
    ),
    "no secret": ("hmacauth_credentials", {"username": "u"}, "secret: missing, expected a string"),
    "confidential client without secret": (
        "oauth2_credentials",
        {"name": "n", "client_id": "c"},
        "client_secret: missing, expected the secret of a confidential client",
    ),
    **{
        f"redirect to {uri}": (
            "oauth2_credentials",
            {"name": "n", "client_id": "c", "client_type": "public", "redirect_uris": ["https://a/", uri]},
            f"redirect_uris[1]: got '{uri}', expected an absolute URI without fragment",
        )
        for uri in ("/back", "a.example/back", "https://a.example/#", "https:///back", "https://[a/")
    },
}


@pytest.mark.parametrize(("name", "fields", "message"), BAD_CREDENTIALS.values(), ids=BAD_CREDENTIALS)
def test_refuses_a_bad_credential_without_showing_it(name, fields, message):
    assert problems_of([with_one(name, **fields)]) == [f"consumers[0].{name}[0].{message}"]


SAME = {
    "keyauth_credentials": ({"key": "k"}, "key"),
    "basicauth_credentials": ({"username": "u", "password": "p"}, "username"),
    "jwt_secrets": ({"key": "k", "secret": "s"}, "key"),
    "hmacauth_credentials": ({"username": "u", "secret": "s"}, "username"),
    "oauth2_credentials": ({"name": "n", "client_id": "c", "client_type": "public"}, "client_id"),
}


@pytest.mark.parametrize("name", SAME)
def test_a_credential_is_unique_over_all_consumers(name):
    fields, key = SAME[name]
    consumers = [{"username": user, name: [fields]} for user in ("alice", "bob")]
    assert problems_of(consumers) == [
        f"consumers[1].{name}[0].{key}: is the same as another credential's, expected a unique value"
    ]


def test_a_password_in_kongs_form_needs_the_id_it_is_salted_with():
    credential = {"username": "u", "password": KONG}
    assert problems_of([with_one("basicauth_credentials", **credential)]) == [
        "consumers[0].id: missing, expected the id that kong-sha1 passwords are salted with"
    ]
    assert problems_of([{**with_one("basicauth_credentials", **credential), "id": ID}]) == []


def test_without_the_library_public_keys_are_not_looked_at(monkeypatch):
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.serialization", None)
    assert problems_of([with_one("jwt_secrets", key="k", algorithm="RS256", rsa_public_key="x")]) == []


@pytest.mark.parametrize("field", ["username", "custom_id", "id"])
@pytest.mark.parametrize("name", ["jo\nroot", "jo\x1b[2J", "jo\x85", "jo\u2028x"])
def test_a_name_with_control_characters_is_refused(field, name):
    data = [{"username": "jo", field: name}]
    assert problems_of(data) == [
        f"consumers[0].{field}: got {name!r}, expected a name without control characters"
    ]
