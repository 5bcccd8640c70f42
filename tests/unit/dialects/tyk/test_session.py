"""Sessions: their fields and types, and the consumer that each is."""

from __future__ import annotations

import pytest

from plugmw.dialects.tyk.session import (
    AccessSpec,
    SessionState,
    TextMap,
    consumer_of,
    session_of,
    set_session,
)
from plugmw.kernel.exchange import Exchange
from plugmw.kernel.runtime import Runtime


def test_a_new_session_is_empty():
    session = SessionState()
    assert (session.rate, session.expires, session.alias, session.metadata) == (0.0, 0, "", {})
    assert (session.tags, session.access_rights, session.basic_auth_data.password) == ([], {}, "")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rate", "1"),
        ("rate", True),
        ("expires", 1.5),
        ("alias", 1),
        ("is_inactive", "yes"),
        ("oauth_keys", {"a": 1}),
    ],
)
def test_a_value_of_another_type_is_refused(name, value):
    with pytest.raises(TypeError):
        setattr(SessionState(), name, value)


def test_a_field_that_does_not_exist_is_refused():
    with pytest.raises(AttributeError):
        SessionState().nothing = 1


def test_numbers_and_bytes_are_taken_as_the_original_takes_them():
    session = SessionState(rate=3, alias=b"ann")
    assert (session.rate, type(session.rate), session.alias) == (3.0, float, "ann")


def test_metadata_that_is_no_text_comes_as_json():
    assert SessionState(metadata={"a": {"b": [1, None]}, "c": "d"}).metadata == {
        "a": '{"b": [1, null]}',
        "c": "d",
    }


def test_a_text_map_reads_as_protocol_buffers_do():
    found = TextMap({"a": "1"}, b=b"2")
    assert (found["a"], found["b"], found["c"], found.get("c"), "c" in found) == ("1", "2", "", None, False)
    assert (found.setdefault("a", "9"), found.setdefault("d", "4"), found.setdefault("e")) == ("1", "4", "")
    found.MergeFrom({"a": "5"})
    assert found["a"] == "5"
    for wrong in ({"x": 1}, {1: "x"}):
        with pytest.raises(TypeError):
            found.update(wrong)


def test_an_access_definition_is_made_when_it_is_asked_for():
    session = SessionState()
    session.access_rights["api"].api_name = "Test"
    session.access_rights["api"].allowed_urls.append(AccessSpec(url="/x", methods=["GET"]))
    other = SessionState()
    other.CopyFrom(session)
    other.access_rights["api"].allowed_urls[0].url = "/y"
    assert session.access_rights["api"].allowed_urls == [AccessSpec(url="/x", methods=["GET"])]


def test_a_copy_shares_nothing():
    session = SessionState(tags=["a"], metadata={"a": "1"})
    copied = session.copy()
    copied.tags.append("b")
    copied.metadata["b"] = "2"
    copied.jwt_data.secret = "s"
    assert (session.tags, session.metadata, session.jwt_data.secret) == (["a"], {"a": "1"}, "")
    assert isinstance(copied.metadata, TextMap)


def test_secrets_are_not_in_the_repr():
    session = SessionState(key_id="topsecret", hmac_secret="topsecret", metadata={"token": "topsecret"})
    session.basic_auth_data.password = session.jwt_data.secret = "topsecret"
    assert "topsecret" not in repr(session)


def test_the_consumer_has_the_alias_the_tags_and_the_policies():
    session = SessionState(
        org_id="o",
        key_id="k",
        alias="ann",
        tags=["t"],
        apply_policies=["gold", "a,b", "old"],
        apply_policy_id="old",
    )
    consumer = consumer_of(session)
    assert (consumer.username, consumer.tags, consumer.groups) == ("ann", ("t",), ("gold", "old"))
    assert consumer.id == consumer_of(SessionState(org_id="o", key_id="k")).id
    assert consumer.id != consumer_of(SessionState(org_id="p", key_id="k")).id
    assert "k" not in consumer.id.split("-")


def test_a_session_without_alias_is_known_by_the_id():
    consumer = consumer_of(SessionState(key_id="k"))
    assert consumer.username == consumer.id


def test_setting_a_session_authenticates_the_exchange():
    kind = type("X", (Exchange,), {"runtime": Runtime()})
    x = kind({"HTTP_X_CONSUMER_USERNAME": "root"}, None)
    assert session_of(x) is None
    session = SessionState(key_id="k", alias="ann")
    set_session(x, session)
    assert session_of(x) is session
    assert x.consumer.username == x.environ["HTTP_X_CONSUMER_USERNAME"] == "ann"
    assert "k" not in (x.credential.id, x.environ["HTTP_X_CREDENTIAL_IDENTIFIER"])


def test_an_alias_with_control_characters_is_nobodys_name():
    consumer = consumer_of(SessionState(alias="jo\r\nroot", key_id="k"))
    assert consumer.username == consumer.id
    assert consumer_of(SessionState(alias="jo", key_id="k")).username == "jo"
