"""What is left out of log entries."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from plugmw import Gateway, Plugin
from plugmw.contrib.basic_auth import BasicAuth
from plugmw.contrib.hmac_auth import HMACAuth
from plugmw.contrib.jwt import JWT
from plugmw.contrib.key_auth import KeyAuth
from plugmw.contrib.oauth2 import OAuth2
from plugmw.kernel.runtime import Runtime
from plugmw.schema import config, field
from plugmw.wsgi.redaction import REDACTED, Redaction, credential_fields, credential_names, without

HIDE = Redaction.of(headers=["X-Key"], query=["api_key"])


def test_secrets_are_taken_out_of_what_is_told_the_longest_first():
    assert without(b"key abc, key abcdef", ["abc", "abcdef", ""]) == b"key REDACTED, key REDACTED"


TARGETS = {
    "/a": "/a",
    "/a?": "/a?",
    "/a?b=1&api_key=2": "/a?b=1&api_key=REDACTED",
    "/a?api_key=&api_key=x&API-KEY=y": "/a?api_key=REDACTED&api_key=REDACTED&API-KEY=REDACTED",
    "/a?%61pi%5Fkey=2": "/a?%61pi%5Fkey=REDACTED",
    "/a?api_key": "/a?api_key",
    "/a?api_keys=2&b=api_key=3": "/a?api_keys=2&b=api_key=3",
    "/api_key=1?api_key=a?b": "/api_key=1?api_key=REDACTED",
}


@pytest.mark.parametrize(("target", "shown"), TARGETS.items())
def test_values_in_a_target_are_left_out_by_name(target, shown):
    assert HIDE.target(target) == shown


def test_the_target_in_a_referer_is_left_out_alike():
    assert HIDE.header("Referer", "https://h/a?b=1&api_key=2") == "https://h/a?b=1&api_key=REDACTED"
    assert Redaction().header("Referer", "https://h/a?api_key=2") == "https://h/a?api_key=2"


def test_a_target_is_left_as_it_is_without_names():
    assert Redaction().target("/a?b=%61;c") == "/a?b=%61;c"


def test_a_query_is_decoded_and_its_values_left_out():
    pairs = list(HIDE.pairs("a=1+%C3%A9&&b&c=&api_key=2&api_key&\xc3\xa9=%ff"))
    assert pairs == [
        ("a", "1 é"),
        ("b", True),
        ("c", ""),
        ("api_key", REDACTED),
        ("api_key", True),
        ("é", "\ufffd"),
    ]


@pytest.mark.parametrize("name", ["X-Key", "x-key", "X_KEY"])
def test_names_of_headers_have_any_case(name):
    assert HIDE.header(name, "secret") == REDACTED
    assert HIDE.header("x-keys", "caf\xc3\xa9") == "café"


def test_text_that_is_no_utf8_is_replaced():
    values = ("a", "\xc3\xa9", "\xff", "\u20ac")
    assert [HIDE.header("a", value) for value in values] == ["a", "é", "\ufffd", "?"]


@config
class Sources:
    listed: list[str] = field([], credential=True, help="Names.")
    one: str | None = field(None, empty=True, credential=True, help="A name.")
    key_names: list[str] = field(["apikey"], help="Not declared, whatever it is called.")


NAMES = {
    "lists": ({"listed": ["x-a", "b"]}, {"x-a", "b"}),
    "texts": ({"one": "x-card"}, {"x-card"}),
    "both": ({"one": "x-card", "listed": ["a"]}, {"x-card", "a"}),
    "none": ({}, set()),
    "an empty text": ({"one": ""}, set()),
}


@pytest.mark.parametrize(("fields", "names"), NAMES.values(), ids=NAMES)
def test_names_of_credentials_stand_in_the_fields_that_say_so(fields, names):
    assert credential_names(Sources(**fields)) == names
    assert credential_fields(Sources) == ["listed", "one"]


@pytest.mark.parametrize("config", [(), None, SimpleNamespace(key_names=["a"])], ids=repr)
def test_what_is_no_configuration_class_names_no_credentials(config):
    assert credential_names(config) == set()


BUNDLED = {
    "key-auth": (KeyAuth(key_names=["apikey", "x-key"]), {"apikey", "x-key"}),
    "jwt": (JWT(cookie_names=["token"]), {"jwt", "authorization", "token"}),
    "oauth2": (
        OAuth2(auth_header_name="x-token", enable_client_credentials=True),
        {
            "x-token",
            "access_token",
            "client_secret",
            "code",
            "code_verifier",
            "provision_key",
            "refresh_token",
        },
    ),
    "basic-auth": (BasicAuth(), {"authorization", "proxy-authorization"}),
    "hmac-auth": (HMACAuth(), {"authorization", "proxy-authorization"}),
}


@pytest.mark.parametrize(("plugin", "names"), BUNDLED.values(), ids=BUNDLED)
def test_bundled_plugins_say_under_which_names_they_take_credentials(plugin, names):
    assert Gateway(lambda environ, start: [], plugins=[plugin]).runtime.credential_names == names


def test_names_of_the_gateways_auth_plugins_are_left_out_without_being_told():
    @config
    class Config:
        key_names: list[str] = field(["x-own-key"], credential=True, help="Names.")

    class Auth(Plugin):
        name, Config, authenticates = "auth", config, True

        def access(self, x):
            """Have a phase."""

    Auth.Config = Config
    gateway = Gateway(lambda environ, start: [], plugins=[Auth()])
    hide = Redaction.of(query=["b"]).within(SimpleNamespace(runtime=gateway.runtime))
    assert hide.target("/?X_Own_Key=1&b=2&c=3") == "/?X_Own_Key=REDACTED&b=REDACTED&c=3"
    assert [
        hide.header(name, "v") for name in ("X-Own-Key", "Authorization", "Proxy-Authorization", "b")
    ] == [
        *[REDACTED] * 3,
        "v",
    ]


@pytest.mark.parametrize(
    "name", ["Authorization", "Proxy-Authorization", "Cookie", "Set-Cookie", "set_cookie"]
)
def test_credentials_of_every_client_are_always_left_out(name):
    x = SimpleNamespace(runtime=Runtime())
    assert Redaction().within(x).header(name, "secret") == REDACTED
