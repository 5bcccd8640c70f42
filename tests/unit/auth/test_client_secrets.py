"""Secrets of OAuth2 clients."""

from __future__ import annotations

import base64
import hashlib

import pytest

from plugmw.auth.client_secrets import decoy, matches, readable, rounds, stored
from plugmw.auth.consumers import directory
from plugmw.errors import ConfigError


def phc(secret, count=10, salt=b"salt", length=32, pad=""):
    digest = hashlib.pbkdf2_hmac("sha512", secret.encode(), salt, count, length)
    texts = [base64.b64encode(data).decode().rstrip("=") + pad for data in (salt, digest)]
    return f"$pbkdf2-sha512$i={count},l={length}${'$'.join(texts)}"


def test_a_secret_is_stored_as_kong_does():
    kept = stored("secret")
    settings, salt, digest = kept.split("$")[2:]
    assert (settings, len(salt), len(digest)) == ("i=10000,l=32", 43, 43)
    assert matches(kept, "secret")
    assert not matches(kept, "Secret")
    assert kept != stored("secret")


@pytest.mark.parametrize("pad", ["", "="])
def test_a_digest_from_elsewhere_is_kept_as_it_is(pad):
    kept = phc("secret", pad=pad)
    assert stored(kept) == kept
    assert readable(kept)
    assert matches(kept, "secret")
    assert not matches(kept, "other")


def test_a_secret_may_be_kept_as_it_is():
    assert readable("se$cret")
    assert matches("se$cret", "se$cret")
    assert not matches("se$cret", "se$cre")
    assert not matches("se$cret", "\ud800")


UNREADABLE = {
    "another function": phc("x").replace("sha512", "sha256"),
    "no rounds": phc("x").replace("i=10,", ""),
    "rounds without end": phc("x").replace("i=10,", "i=99999999,"),
    "another length": phc("x").replace("l=32", "l=33"),
    "salt that is no Base64": "$pbkdf2-sha512$i=1,l=32$a$" + "A" * 43,
    "digest that is no Base64": "$pbkdf2-sha512$i=1,l=32$AAAA$" + "A" * 41,
}


@pytest.mark.parametrize("written", UNREADABLE.values(), ids=UNREADABLE)
def test_a_digest_that_is_none_is_not_taken_for_a_secret(written):
    assert not readable(written)


def test_what_nothing_matches_is_as_much_work_as_the_dearest():
    assert rounds(decoy([phc("a", 10), "plain", phc("b", 20)])) == 20
    assert rounds(decoy(["plain"])) == rounds("plain") == 0
    assert readable(decoy([phc("a")]))
    assert decoy([]) != decoy([])


def client(**fields):
    made = {"name": "n", "client_id": "c", "client_secret": "s", **fields}
    found = directory([{"username": "alice", "oauth2_credentials": [made]}])
    return found.credential("oauth2", "c").data["client_secret"]


def test_a_client_may_be_kept_by_its_digest():
    assert client() == "s"
    assert matches(client(hash_secret=True), "s")
    assert client(client_secret=phc("s"), hash_secret=True) == phc("s")
    assert client(client_secret=None, client_type="public", hash_secret=True) is None


def test_a_client_with_a_digest_that_is_none_is_an_error():
    with pytest.raises(
        ConfigError, match=r"client_secret: got a secret value, expected a secret, or \$pbkdf2"
    ):
        client(client_secret="$pbkdf2-sha512$")
