"""Consumers and credentials, looked up by digest."""

from __future__ import annotations

from plugmw.kernel.identity import Consumer, Credential, MemoryDirectory, digest, stable_id

JO = Consumer(id="1", username="jo", custom_id="x")
AL = Consumer(id="2", username="al", custom_id="jo")


def test_a_consumer_is_found_by_id_then_username_then_custom_id():
    directory = MemoryDirectory([JO, AL, Consumer(id="3", username="jo-anne")])
    assert directory.consumer("jo-anne").id == "3"
    assert [directory.consumer(name) for name in ("1", "jo", "x", "al", "nobody")] == [JO, JO, JO, AL, None]


def test_a_credential_is_found_by_its_kind_and_key_alone():
    directory = MemoryDirectory()
    credential = Credential(id="c", consumer_id="1")
    assert directory.add("key-auth", "k", credential)
    assert directory.credential("key-auth", "k") is credential
    assert directory.credential("basic-auth", "k") is None
    assert directory.credential("key-auth", "") is None


def test_a_key_belongs_to_the_first_who_has_it():
    directory = MemoryDirectory()
    first, second = (Credential(id=name, consumer_id=name) for name in "ab")
    assert directory.add("key-auth", "k", first)
    assert not directory.add("key-auth", "k", second)
    assert directory.add("key-auth", "k", first)
    assert directory.credential("key-auth", "k") is first
    assert directory.credentials("key-auth") == (first,)


def test_the_credentials_of_a_kind_are_listed():
    directory = MemoryDirectory()
    one, two, other = (Credential(id=name, consumer_id=name) for name in "abc")
    for kind, credential in (("jwt", one), ("key-auth", other), ("jwt", two)):
        directory.add(kind, credential.id, credential)
    assert directory.credentials("jwt") == (one, two)
    assert directory.credentials("basic-auth") == ()


def test_digests_keep_kind_and_key_apart_and_take_any_text():
    assert digest("a", "b\0c") == digest("a", "b\0c") != digest("a\0b", "d")
    assert len(digest("a", "\udcff")) == 32


def test_an_id_made_of_the_same_parts_is_the_same_in_every_worker():
    assert stable_id("consumer", "jo") == stable_id("consumer", "jo") != stable_id("consumer", "al")
    assert stable_id("a", "bc") != stable_id("ab", "c")


def test_secrets_are_not_in_the_repr_of_a_credential():
    assert "s3cret" not in repr(Credential(id="c", consumer_id="1", data={"key": "s3cret"}))


def test_lists_consumers_once_and_credentials_by_digest():
    directory = MemoryDirectory([JO, AL])
    credential = Credential(id="c", consumer_id="1")
    directory.add("key-auth", "k", credential)
    assert sorted(consumer.id for consumer in directory.listed()) == ["1", "2"]
    assert directory.items() == [("key-auth", digest("key-auth", "k"), credential)]
