"""``kong.client``: addresses, consumers, protocols."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from plugmw.dialects.kong import kong
from plugmw.errors import StoreError
from plugmw.kernel.identity import Consumer, Credential
from plugmw.testing import gateway, get
from tests.support.kong import during, plugin, through

ask = kong.client
ID = "5f1b2a3c-0000-4000-8000-000000000001"
ALICE = {"id": ID, "username": "alice", "custom_id": "c-1"}
CONSUMERS = {"config": {"consumers": [ALICE]}}


@pytest.mark.parametrize(
    ("name", "environ", "wanted"),
    [
        ("get_ip", {"REMOTE_ADDR": "10.0.0.1"}, "10.0.0.1"),
        ("get_forwarded_ip", {"REMOTE_ADDR": "10.0.0.1"}, "1.2.3.4"),
        ("get_forwarded_ip", {"REMOTE_ADDR": "11.0.0.1"}, "11.0.0.1"),
        ("get_forwarded_ip", {"REMOTE_ADDR": "", "HTTP_X_FORWARDED_FOR": ""}, ""),
        ("get_port", {"REMOTE_PORT": "1234"}, 1234),
        ("get_port", {"REMOTE_PORT": ""}, None),
        ("get_forwarded_port", {"REMOTE_PORT": 1234}, 1234),
        ("get_forwarded_port", {"REMOTE_PORT": ""}, None),
    ],
)
def test_addresses_are_the_peers_or_the_trusted_ones(name, environ, wanted):
    environ = {"HTTP_X_FORWARDED_FOR": "1.2.3.4", **environ}
    config = {"trusted": ["10.0.0.0/8"]}
    assert during("access", getattr(ask, name), environ=environ, config=config) == wanted


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ((ID,), "alice"),
        (("alice", True), "alice"),
        ((ID, True), "alice"),
        (("c-1", True), None),
        ((ID.replace("5", "6"),), None),
        (("bob", True), None),
    ],
)
def test_loads_a_consumer_by_id_or_name(arguments, found):
    consumer, error = during("access", ask.load_consumer, *arguments, **CONSUMERS)
    assert (getattr(consumer, "username", None), error) == (found, None)


@pytest.mark.parametrize(
    ("argument", "error", "text"),
    [
        (1, TypeError, "consumer_id must be a string"),
        ("alice", ValueError, "cannot load a consumer with an id that is not a uuid"),
    ],
)
def test_only_a_uuid_is_an_id(argument, error, text):
    with pytest.raises(error, match=f"^{text}$"):
        during("access", ask.load_consumer, argument, **CONSUMERS)


def test_a_directory_that_is_down_is_an_expected_failure():
    def down(*arguments):
        raise StoreError("redis://x", "is down")

    found = []
    made = gateway(plugin(access=lambda config: found.append(ask.load_consumer(ID))))
    made.runtime.consumers = SimpleNamespace(consumer=down, credential=down)
    get(made)
    assert found == [(None, "redis://x: is down")]


def authenticated(consumer, credential, **request):
    saw = []

    def access(config):
        ask.authenticate(consumer, credential)
        saw.append((ask.get_consumer(), ask.get_credential()))

    def app(environ, start_response):
        saw.append(environ)
        start_response("200 OK", [])
        return [b""]

    through(plugin(access=access), app=app, headers={"X-Consumer-Username": "evil"}, **request)
    return saw


@pytest.mark.parametrize("consumer", [{**ALICE, "tags": ["t"], "groups": ["g"]}, Consumer(**ALICE)])
def test_authenticates_and_tells_the_app(consumer):
    (known, used), environ = authenticated(consumer, {"id": "k", "key": "secret"})
    assert (known.username, used.id, used.consumer_id) == ("alice", "k", ID)
    assert environ["HTTP_X_CONSUMER_USERNAME"] == "alice"


def test_a_credential_may_stand_alone():
    (known, used), environ = authenticated(None, Credential(id="k", consumer_id="c"))
    assert (known, used.id) == (None, "k")
    assert "HTTP_X_CONSUMER_USERNAME" not in environ


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ((None, None), ValueError, "either credential or consumer must be provided"),
        (("a", None), TypeError, "consumer must be a table or nil"),
        ((None, "a"), TypeError, "credential must be a table or nil"),
        (({}, None), TypeError, "consumer.id must be a string"),
    ],
)
def test_wrong_identities_raise_with_kongs_text(arguments, error, text):
    with pytest.raises(error, match=f"^{text}$"):
        during("access", ask.authenticate, *arguments)


@pytest.mark.parametrize(
    ("protocols", "arguments", "wanted"),
    [
        (["http", "https"], (), "http"),
        (["http", "https"], (True,), "https"),
        (["http"], (True,), "http"),
        (None, (), None),
    ],
)
def test_the_protocol_is_the_routes_or_the_connections(protocols, arguments, wanted):
    routes = [{"name": "r", "paths": ["/"], "protocols": protocols}] if protocols else []
    found, error = during(
        "access",
        ask.get_protocol,
        *arguments,
        config={"routes": routes, "trusted": ["127.0.0.1"]},
        environ={"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_PROTO": "https"},
    )
    assert (found, error) == (wanted, None if wanted else "No active route found")
