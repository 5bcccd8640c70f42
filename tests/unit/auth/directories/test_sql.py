"""Consumers in SQL tables: here SQLite, in tests/live PostgreSQL."""

from __future__ import annotations

import attrs
import pytest

from plugmw import Gateway
from plugmw.auth import passwords
from plugmw.auth.directories import SQLDirectory
from plugmw.contrib.key_auth import KeyAuth
from plugmw.errors import ConfigErrors, StoreError
from plugmw.kernel.identity import digest
from plugmw.testing import get, hello_app
from tests.unit.auth.directories.conftest import ALICE


def everything(directory):
    """Return all that the tables hold, as text."""
    tables = ("plugmw_consumers", "plugmw_credentials")
    return str([directory.database.read(f"SELECT * FROM {table}") for table in tables])


def test_finds_what_was_added(directory):
    made = directory.add(ALICE)
    assert (made.tags, made.groups) == (("t",), ("g",))
    for name in (made.id, "alice", "a-1"):
        assert directory.consumer(name) == made
    credential = directory.credential("key-auth", "k1")
    assert credential.consumer_id == made.id
    assert directory.credential("key-auth", "k2") is None
    assert directory.credential("jwt", "k1") is None
    assert directory.consumer("bob") is None


def test_an_id_goes_before_a_name_before_a_custom_id(directory):
    directory.add({"id": "1", "username": "a", "custom_id": "c"})
    directory.add({"id": "2", "username": "c", "custom_id": "1"})
    assert [directory.consumer(name).id for name in ("1", "c")] == ["1", "2"]


@pytest.mark.parametrize("name", ["a\0b", "\udc80"], ids=["NUL", "surrogate"])
def test_what_is_no_text_for_sql_is_unknown(directory, name):
    assert directory.consumer(name) is None
    assert directory.credential("basic-auth", name) is None


@pytest.mark.slow
def test_keys_and_passwords_are_not_in_the_tables(directory):
    alice = directory.add(ALICE)
    directory.add_credential(alice, "basic-auth", {"username": "al", "password": "open sesame"})
    secret = {"name": "app", "client_id": "c", "client_secret": "hush", "redirect_uris": ["https://a.test/"]}
    directory.add_credential(alice, "oauth2", secret)
    text = everything(directory)
    assert digest("key-auth", "k1").hex() in text
    assert not [word for word in ("'k1'", '"k1"', "open sesame", "hush") if word in text]
    kept = directory.credential("basic-auth", "al").data["password"]
    assert kept.startswith(passwords.USUAL)
    assert passwords.matches(kept, "open sesame")


def test_kongs_form_of_a_password_is_read(directory):
    import hashlib

    alice = directory.add(ALICE)
    sha1 = hashlib.sha1(b"pw" + alice.id.encode()).hexdigest()
    directory.add_credential(alice, "basic-auth", {"username": "al", "password": f"kong-sha1${sha1}"})
    assert passwords.matches(directory.credential("basic-auth", "al").data["password"], "pw")


def test_a_key_with_a_ttl_has_an_end(directory):
    alice = directory.add(ALICE)
    directory.add_credential(alice, "key-auth", {"key": "k2", "ttl": 10, "created": 100})
    assert directory.credential("key-auth", "k2").expires == 110


def test_lists_consumers_and_credentials_without_what_they_hold(directory):
    directory.add({"username": "bob"})
    alice = directory.add(ALICE)
    directory.add_credential(alice, "jwt", {"key": "iss", "secret": "s"})
    assert [consumer.username for consumer in directory.consumers()] == ["alice", "bob"]
    listed = directory.credentials_of(alice)
    assert [(kind, one.identifier) for kind, one in listed] == [("jwt", "iss"), ("key-auth", listed[1][1].id)]
    assert [one.data for _, one in listed] == [{}, {}]


def test_a_revoked_credential_opens_nothing(directory):
    directory.add(ALICE)
    found = directory.credential("key-auth", "k1")
    assert directory.revoke(found.id)
    assert directory.credential("key-auth", "k1") is None
    assert not directory.revoke(found.id)


def test_with_a_consumer_go_its_credentials(directory):
    alice = directory.add(ALICE)
    directory.credential("key-auth", "k1")
    assert directory.remove(alice)
    assert directory.consumer("alice") is None
    assert directory.credential("key-auth", "k1") is None
    assert not directory.remove(alice)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"username": "alice"}, "username: got 'alice', which another consumer has, expected a unique value"),
        ({"custom_id": "a-1"}, "custom_id: got 'a-1'"),
        ({"username": "b", "keyauth_credentials": [{"key": "k1"}]}, "key-auth: is the same as another"),
        ({}, "consumer: at least one of username, custom_id must be given"),
        ({"username": "b", "keyauth_credentials": "k"}, "keyauth_credentials: got "),
        ({"username": "b", "keyauth_credentials": ["k"]}, "keyauth_credentials[0]: got "),
        ({"username": "b", "basicauth_credentials": [{"username": "b", "password": 1}]}, "password: got"),
    ],
    ids=["name", "custom id", "key", "no name", "no list", "no mapping", "no password"],
)
def test_adds_all_or_nothing(directory, given, message):
    directory.add(ALICE)
    before = everything(directory)
    with pytest.raises(ConfigErrors) as raised:
        directory.add(given)
    assert message in str(raised.value)
    assert everything(directory) == before


def test_gives_no_credential_to_a_consumer_that_is_gone(directory):
    alice = directory.add(ALICE)
    with pytest.raises(ConfigErrors, match="consumer: is gone"):
        directory.add_credential(attrs.evolve(alice, id="other"), "key-auth", {"key": "k2"})


def test_a_change_by_another_process_counts(directory, other, clock):
    other.add(ALICE)
    credential = directory.credential("key-auth", "k1")
    assert directory.consumer("alice").groups == ("g",)
    other.revoke(credential.id)
    other.add({"username": "bob"})
    clock.now += directory.database.poll
    assert directory.credential("key-auth", "k1") is None
    assert directory.consumer("bob").username == "bob"


def test_a_change_by_hand_counts(directory, other, clock):
    other.add(ALICE)
    assert directory.consumer("alice")
    with other.database.transaction() as run:
        run("UPDATE plugmw_consumers SET username = ?", "al")
    clock.now += directory.database.poll
    assert directory.consumer("alice") is None


def test_asks_once_for_what_it_knows(directory, monkeypatch):
    directory.add(ALICE)
    asked = []
    read = directory.database.read
    monkeypatch.setattr(directory.database, "read", lambda *a: asked.append(a[0]) or read(*a))
    for _ in range(3):
        directory.credential("key-auth", "k1")
        directory.credential("key-auth", "k2")
    assert len([sql for sql in asked if "plugmw_credentials" in sql]) == 2


@pytest.mark.parametrize("text", ["nonsense", "[]"])
def test_a_row_that_is_no_json_mapping_is_a_failure(directory, text):
    directory.add(ALICE)
    with directory.database.transaction() as run:
        run("UPDATE plugmw_credentials SET data = ?", text)
    with pytest.raises(StoreError, match="not a JSON dict"):
        directory.credential("key-auth", "k1")


def test_authenticates_through_an_app_and_tells_it_who(directory):
    alice = directory.add(ALICE)

    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [f"{environ['plugmw.consumer'].username} {environ['HTTP_X_CONSUMER_ID']}".encode()]

    through = Gateway(app, plugins=[KeyAuth()], consumers=directory)
    assert get(through, headers={"apikey": "k1"}).data == f"alice {alice.id}".encode()
    assert get(through, headers={"apikey": "k2"}).status_code == 401


def test_a_database_that_fails_closes_the_door(directory, monkeypatch):
    directory.add(ALICE)
    app = Gateway(hello_app, plugins=[KeyAuth(anonymous="alice")], consumers=directory)

    def fail():
        raise StoreError("x", "is down")

    monkeypatch.setattr(directory.database, "mark", fail)
    assert get(app, headers={"apikey": "k1"}).status_code == 500


def test_a_fork_begins_anew(directory):
    directory.database.after_fork()
    directory.add(ALICE)
    with directory.database.held() as session:
        inherited = session.connection
    directory.after_fork()
    directory.database.after_fork()
    assert directory.consumer("alice")
    inherited.close()  # in a child it would be left as it is


def test_serves_again_after_it_was_closed(directory):
    directory.add(ALICE)
    directory.close()
    directory.close()
    assert directory.consumer("alice")


def test_a_directory_is_of_any_database(directory):
    assert isinstance(directory, SQLDirectory)
