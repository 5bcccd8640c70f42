"""passwords: how they are written, kept and checked."""

from __future__ import annotations

import hashlib

import pytest
from werkzeug.security import generate_password_hash

from plugmw.auth import passwords

ID = "00000001-0000-4000-8000-000000000001"
KONG = "kong-sha1$" + hashlib.sha1(b"kong" + ID.encode()).hexdigest()
END = "$salt$" + "0" * 64

WRITTEN = {
    "plain": "kong",
    "scrypt": generate_password_hash("kong", "scrypt:128:8:1"),
    "pbkdf2": generate_password_hash("kong", "pbkdf2:sha256:10"),
    "Kong's": KONG,
    "Kong's in capitals": "kong-sha1$" + KONG[10:].upper(),
}


@pytest.mark.parametrize("written", WRITTEN.values(), ids=WRITTEN)
def test_a_password_matches_however_it_is_written(written):
    assert passwords.readable(written)
    kept = passwords.stored(written, ID)
    assert passwords.matches(kept, "kong")
    assert not passwords.matches(kept, "Kong")
    assert not passwords.matches(kept, "")
    assert not passwords.matches(kept, written) or written == "kong"


def test_a_plain_password_is_not_kept():
    kept = passwords.stored("correct-horse", ID)
    assert "correct-horse" not in kept
    assert kept != passwords.stored("correct-horse", ID), "salted"


def test_kongs_form_is_salted_with_the_id_of_the_consumer():
    assert not passwords.matches(passwords.stored(KONG, "other"), "kong")


def test_an_id_may_have_the_sign_that_separates():
    written = "kong-sha1$" + hashlib.sha1(b"konga$b").hexdigest()
    assert passwords.matches(passwords.stored(written, "a$b"), "kong")


PLAIN = {
    "begins like a hash": "scrypto",
    "dollars": "a$b$c",
    "40 hexadecimal digits": "0123456789abcdef0123456789abcdef01234567",
}


@pytest.mark.parametrize("written", PLAIN.values(), ids=PLAIN)
def test_what_looks_a_little_like_a_hash_is_a_password(written):
    assert passwords.readable(written)
    assert passwords.matches(passwords.stored(written, ID), written)


UNREADABLE = {
    "without salt": "scrypt:128:8:1$" + "0" * 64,
    "without digest": "scrypt:128:8:1$salt$",
    "without rounds": f"pbkdf2:sha256{END}",
    "no rounds": f"pbkdf2:sha256:0{END}",
    "no power of two": f"scrypt:127:8:1{END}",
    "no memory": f"scrypt:1:8:1{END}",
    "no blocks": f"scrypt:128:0:1{END}",
    "too little memory by werkzeug's own count": f"scrypt:16:8:1{END}",
    "more rounds than there can be": f"pbkdf2:sha256:{2**64}{END}",
    "unknown digest": f"pbkdf2:md77:10{END}",
    "unknown method": f"scrypt${END}",
    "Kong's, too short": "kong-sha1$0123",
    "Kong's with a salt": f"kong-sha1{END}",
}


@pytest.mark.parametrize("written", UNREADABLE.values(), ids=UNREADABLE)
def test_a_hash_that_cannot_be_checked_is_no_password(written):
    assert not passwords.readable(written)


COSTS = {
    "scrypt": (passwords.USUAL + "salt$00", 262144),
    "pbkdf2": (f"pbkdf2:sha256:1000{END}", 1000),
    "Kong's": (passwords.stored(KONG, ID), 0),
    "plain": (passwords.stored("kong", ID), 1),
}


@pytest.mark.parametrize(("kept", "rounds"), COSTS.values(), ids=COSTS)
def test_the_cost_of_a_check(kept, rounds):
    assert passwords.cost(kept) == rounds


DECOYS = {
    "none known": ([], "pbkdf2:sha256:1"),
    "plain": (["plain"], "pbkdf2:sha256:1"),
    "Kong's": (["Kong's"], "pbkdf2:sha256:1"),
    "the dearest counts": (["plain", "pbkdf2", "scrypt", "Kong's"], "scrypt:128:8:1"),
}


@pytest.mark.parametrize(("known", "method"), DECOYS.values(), ids=DECOYS)
def test_a_decoy_is_as_much_work_as_the_dearest_and_matches_nothing(known, method):
    decoy = passwords.decoy(passwords.stored(WRITTEN[name], ID) for name in known)
    assert decoy.startswith(f"{method}$")
    assert not passwords.matches(decoy, "")


@pytest.mark.slow
def test_a_decoy_for_what_cannot_be_known_is_as_long_as_a_hash_of_werkzeug():
    real, decoy = generate_password_hash("x"), passwords.decoy([passwords.USUAL])
    assert [len(hash.rpartition("$")[2]) for hash in (real, decoy)] == [128, 128]


@pytest.mark.slow
def test_the_usual_method_is_that_of_werkzeug():
    assert generate_password_hash("x").startswith(passwords.USUAL)


@pytest.mark.slow
def test_a_password_is_made_slow_and_a_hash_is_left_as_it_is():
    assert passwords.slow("kong").startswith(passwords.USUAL)
    assert passwords.matches(passwords.slow("kong"), "kong")
    assert [passwords.slow(WRITTEN[name]) for name in ("pbkdf2", "Kong's")] == [WRITTEN["pbkdf2"], KONG]
