"""What is left out of log entries."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from plugmw import Gateway, Plugin
from plugmw.redaction import REDACTED, Redaction, credential_names, without
from plugmw.runtime import Runtime
from plugmw.schema import config, field

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


CONFIGS = {
    "key-auth": ({"key_names": ["apikey", "x-key"]}, {"apikey", "x-key"}),
    "jwt": (
        {"uri_param_names": ["jwt"], "header_names": ["authorization"], "cookie_names": []},
        {"jwt", "authorization"},
    ),
    "jwt with a cookie": ({"uri_param_names": ["jwt"], "cookie_names": ["token"]}, {"jwt", "cookie"}),
    "oauth2": ({"auth_header_name": "x-token"}, {"x-token", "access_token"}),
    "another": ({"realm": "a"}, set()),
}


@pytest.mark.parametrize(("fields", "names"), CONFIGS.values(), ids=CONFIGS)
def test_names_of_credentials_are_known_by_the_fields_of_auth_plugins(fields, names):
    assert credential_names(SimpleNamespace(**fields)) == names


def test_names_of_the_gateways_auth_plugins_are_left_out_without_being_told():
    @config
    class Config:
        key_names: list[str] = field(["x-own-key"], help="Names.")

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
