"""The ``consumers`` section."""

from __future__ import annotations

import pytest

from plugmw.consumers import directory, parse
from plugmw.errors import ConfigError, ConfigErrors
from plugmw.identity import MemoryDirectory
from plugmw.schema import place


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


def test_a_key_without_a_date_is_from_now(monkeypatch):
    monkeypatch.setattr("time.time", lambda: 50.0)
    found, _ = parse([{"username": "jo", "keyauth_credentials": [{"key": "a", "ttl": 10}]}])
    assert found.credential("key-auth", "a").expires == 60


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
