"""Consumers from a Python callable."""

from __future__ import annotations

import pytest

from plugmw import Gateway
from plugmw.auth.directories import CallableDirectory
from plugmw.contrib.key_auth import KeyAuth
from plugmw.errors import StoreError
from plugmw.testing import get, hello_app
from tests.support.events import listening

ALICE = {"username": "alice", "keyauth_credentials": [{"key": "k1"}]}


class Find:
    """A callable that notes what it is asked."""

    def __init__(self, answer=ALICE):
        self.answer = answer
        self.asked = []

    def __call__(self, kind, key):
        self.asked.append((kind, key))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer if key in ("k1", "alice") else None


def test_finds_credentials_and_their_consumers_and_asks_once(clock):
    find = Find()
    directory = CallableDirectory(find, clock=clock)
    for _ in range(2):
        credential = directory.credential("key-auth", "k1")
        assert directory.consumer(credential.consumer_id).username == "alice"
        assert directory.credential("key-auth", "k2") is None
    assert find.asked == [("key-auth", "k1"), ("key-auth", "k2")]


def test_finds_consumers_by_name():
    assert CallableDirectory(Find()).consumer("alice").username == "alice"
    assert CallableDirectory(Find()).consumer("bob") is None


def test_asks_again_after_its_time_and_when_cleared(clock):
    find = Find()
    directory = CallableDirectory(find, 10, clock=clock)
    directory.credential("key-auth", "k1")
    clock.now += 10
    directory.credential("key-auth", "k1")
    directory.clear()
    directory.credential("key-auth", "k1")
    assert len(find.asked) == 3


def test_a_consumer_outlives_the_credential_it_came_with(clock):
    directory = CallableDirectory(Find(), 10, clock=clock)
    credential = directory.credential("key-auth", "k1")
    clock.now += 10
    assert directory.consumer(credential.consumer_id).username == "alice"


def test_a_consumer_without_the_credential_is_no_answer():
    assert CallableDirectory(Find({"username": "alice"})).credential("key-auth", "k1") is None


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (ValueError("of k1"), "consumers=Find: raised ValueError"),
        ({"name": "x"}, "consumers=Find: consumer[0].name: unknown field"),
        ("alice", "consumers=Find: consumer[0]: got "),
    ],
    ids=["raises", "bad mapping", "no mapping"],
)
def test_fails_when_the_callable_does(answer, message):
    with pytest.raises(StoreError) as raised:
        CallableDirectory(Find(answer)).credential("key-auth", "k1")
    assert str(raised.value).startswith(message)
    assert "k1" not in str(raised.value)


def test_authenticates_through_an_app_and_fails_closed():
    find = Find()
    app = Gateway(hello_app, plugins=[KeyAuth()], consumers=find)
    assert get(app, headers={"apikey": "k1"}).status_code == 200
    assert get(app, headers={"apikey": "k2"}).status_code == 401
    find.answer = OSError()
    assert get(app, headers={"apikey": "k3"}).status_code == 500


def test_an_outage_is_told_when_it_begins_and_when_it_ends(caplog):
    def find(kind, key):
        if key == "bad":
            raise OSError("the password is x")
        return None

    wrapped = Gateway(hello_app, {"store": "memory://"}, consumers=find)
    taken = listening(wrapped.runtime.events)
    for _ in range(2):
        with pytest.raises(StoreError):
            wrapped.runtime.consumers.credential("key-auth", "bad")
    wrapped.runtime.consumers.credential("key-auth", "good")
    name = f"consumers={find.__qualname__}"
    begins, ends = [record.getMessage() for record in caplog.records]
    assert (begins, taken) == (f"store {name} fails: raised OSError", [("store_errors", "", 1)] * 2)
    assert ends.startswith(f"store {name} works again, after ")
