"""The endpoints of the authorization server, without HTTP."""

from __future__ import annotations

import base64
import json
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import pytest

from plugmw.auth import client_secrets
from plugmw.auth.consumers import directory
from plugmw.contrib.oauth2.grants import Grants
from plugmw.contrib.oauth2.oauth import Parameters, Refused
from plugmw.contrib.oauth2.plugin import Config
from plugmw.contrib.oauth2.tokens import Tokens
from plugmw.schema import build
from plugmw.stores import open_store

VERIFIER = "abcdelfhigklmnopqrstuvwxyz0123456789abcdefg"
CHALLENGE = "2aC4cMSkAsMRtZbhHhiZkDW3sddRf_iTRGil1r9gi8w"
BACK = "https://shop.example/back"
CLIENTS = [
    {"client_id": "shop", "client_secret": "secret", "redirect_uris": [BACK, "https://two.example/"]},
    {"client_id": "hashed", "client_secret": "secret", "hash_secret": True, "redirect_uris": [BACK]},
    {"client_id": "robot", "client_secret": "secret"},
    {"client_id": "phone", "client_type": "public", "redirect_uris": [BACK]},
]
CONSUMERS = [{"username": "alice", "oauth2_credentials": [{"name": "n", **client} for client in CLIENTS]}]

USER = {"provision_key": "provision", "authenticated_userid": "bob"}
ASK = {**USER, "response_type": "code", "client_id": "shop", "scope": "email"}
SHOP = {"client_id": "shop", "client_secret": "secret"}
PHONE = {"client_id": "phone", "code_challenge": CHALLENGE}

INVALID_CLIENT = {"error": "invalid_client", "error_description": "Invalid client authentication"}
INVALID_CODE = {"error": "invalid_request", "error_description": "Invalid code"}
INVALID_REFRESH = {"error": "invalid_request", "error_description": "Invalid refresh_token"}
WRONG_REDIRECT = "Invalid redirect_uri that does not match with any redirect_uri created with the application"


class Server:
    """Grants with a store of their own; ``other(...)`` has the same store."""

    def __init__(self, config=None, store=None, instance="entry", known=True, consumers=CONSUMERS):
        every = {name: True for name in Config.__annotations__ if name.startswith("enable_")}
        made = {"scopes": ["email", "profile"], "provision_key": "provision", **every, **(config or {})}
        self.now = SimpleNamespace(now=1000.0)
        self.store = store or open_store("memory://", clock=lambda: 1000.0)
        self.tokens = Tokens(lambda: self.store, lambda: self.now.now)
        clients = directory(consumers)
        self.grants = Grants(
            build(Config, made, "test"),
            self.tokens,
            lambda name: clients.credential("oauth2", name),
            instance,
            clients.credentials("oauth2") if known else None,
        )

    def other(self, config=None, instance="entry"):
        return Server(config, self.store, instance)

    def authorize(self, service="", **given):
        """Return the status and the address, or what is wrong."""
        try:
            status, body = self.grants.authorize(parameters(given), service)
        except Refused as refused:
            return refused.status, refused.body
        return status, body["redirect_uri"]

    def code(self, service="", **given):
        status, uri = self.authorize(service, **{**ASK, **given})
        assert status == 200, uri
        return parse_qs(urlsplit(uri).query)["code"][0]

    def token(self, header="", service="", **given):
        """Return the tokens, or what is wrong."""
        try:
            return self.grants.token(parameters(given), header, service)
        except Refused as refused:
            return refused.body

    def exchange(self, code, **given):
        return self.token(**{"grant_type": "authorization_code", "code": code, **SHOP, **given})

    def refresh(self, text, **given):
        return self.token(**{"grant_type": "refresh_token", "refresh_token": text, **SHOP, **given})


def parameters(given):
    body = json.dumps({name: value for name, value in given.items() if value is not None})
    return Parameters("", "application/json", body.encode())


def basic(client_id, secret):
    return f"Basic {base64.b64encode(f'{client_id}:{secret}'.encode()).decode()}"


@pytest.fixture
def server():
    return Server()


# -- authorize ---------------------------------------------------------------------------------------------


def test_a_user_is_sent_back_with_a_code(server):
    status, uri = server.authorize(**ASK, state="a b")
    place, _, query = uri.partition("?code=")
    assert (status, place, query[32:]) == (200, BACK, "&state=a%20b")
    grant = server.tokens.code(query[:32]).grant
    assert (grant.client_id, grant.scope, grant.userid, grant.service) == ("shop", "email", "bob", "")


def test_a_user_is_sent_back_with_a_token(server):
    status, uri = server.authorize(**{**ASK, "response_type": "token", "state": "x"})
    place, _, fragment = uri.partition("#")
    found = parse_qs(fragment)
    assert (status, place, sorted(found)) == (
        200,
        BACK,
        ["access_token", "expires_in", "state", "token_type"],
    )
    assert server.tokens.access(found["access_token"][0]).grant.userid == "bob"


def test_a_user_is_sent_to_the_address_that_is_asked_for(server):
    _, uri = server.authorize(**ASK, redirect_uri="https://two.example/")
    assert uri.startswith("https://two.example/?code=")


ALONE = {
    "provision key wrong": ({"provision_key": "x"}, "invalid_provision_key", "Invalid provision_key"),
    "provision key missing": ({"provision_key": None}, "invalid_provision_key", "Invalid provision_key"),
    "no user": (
        {"authenticated_userid": None},
        "invalid_authenticated_userid",
        "Missing authenticated_userid parameter",
    ),
    "blank user": (
        {"authenticated_userid": " "},
        "invalid_authenticated_userid",
        "Missing authenticated_userid parameter",
    ),
    "no client": ({"client_id": None}, *INVALID_CLIENT.values()),
    "unknown client": ({"client_id": "x"}, *INVALID_CLIENT.values()),
    "client that is no text": ({"client_id": ["shop"]}, *INVALID_CLIENT.values()),
    "client without address": ({"client_id": "robot"}, *INVALID_CLIENT.values()),
    "unknown client and scope": ({"client_id": "x", "scope": "x"}, *INVALID_CLIENT.values()),
}


@pytest.mark.parametrize(("given", "error", "description"), ALONE.values(), ids=ALONE)
def test_nobody_is_sent_anywhere_for(server, given, error, description):
    status, body = server.authorize(**{**ASK, **given})
    assert (status, body) == (400, {"error": error, "error_description": description})


def test_without_provision_key_nobody_is_sent_anywhere():
    status, body = Server({"provision_key": None}).authorize(**ASK)
    assert (status, body["error"]) == (400, "invalid_provision_key")


SENT = {
    "no response type": ({"response_type": None}, "unsupported_response_type"),
    "unknown response type": ({"response_type": "id_token"}, "unsupported_response_type"),
    "response type that is no text": ({"response_type": ["code"]}, "unsupported_response_type"),
    "scope": ({"scope": "x"}, "invalid_scope"),
    "scope after response type": ({"scope": "x", "response_type": "x"}, "invalid_scope"),
    "address": ({"redirect_uri": "https://evil.example/"}, "invalid_request"),
    "address after scope": ({"redirect_uri": "https://evil.example/", "scope": "x"}, "invalid_request"),
    "PKCE after address": ({"redirect_uri": "https://evil.example/", "client_id": "phone"}, "challenge"),
    "PKCE": ({"client_id": "phone"}, "code_challenge%20is%20required%20for%20public%20clients"),
    "no PKCE for tokens": ({"client_id": "phone", "response_type": "token", "scope": "x"}, "invalid_scope"),
}


@pytest.mark.parametrize(("given", "error"), SENT.values(), ids=SENT)
def test_the_last_error_is_sent_to_a_registered_address(server, given, error):
    status, uri = server.authorize(**{**ASK, "state": "s", **given})
    assert status == 400
    assert uri.startswith(f"{BACK}?error=")
    assert uri.endswith("&state=s")
    assert error in uri


@pytest.mark.parametrize(
    ("field", "kind"), [("enable_authorization_code", "code"), ("enable_implicit_grant", "token")]
)
def test_what_is_switched_off_is_not_given(field, kind):
    status, uri = Server({field: False}).authorize(**{**ASK, "response_type": kind})
    assert (status, "unsupported_response_type" in uri) == (400, True)


# -- token: which client -----------------------------------------------------------------------------------

ROBOT = {"grant_type": "client_credentials", "scope": "email"}
PROVED = {
    "parameters": ("", SHOP),
    "Basic": (basic("shop", "secret"), {}),
    "Basic beside the id": (basic("shop", "secret"), {"client_id": "x"}),
    "parameters before Basic": (basic("shop", "wrong"), SHOP),
    "digest": ("", {**SHOP, "client_id": "hashed"}),
    "without address": ("", {**SHOP, "client_id": "robot"}),
    "an address is not looked at": ("", {**SHOP, "redirect_uri": "https://evil.example/"}),
}


@pytest.mark.parametrize(("header", "given"), PROVED.values(), ids=PROVED)
def test_a_client_gets_a_token_for_itself(server, header, given):
    made = server.token(header, **ROBOT, **given)
    assert sorted(made) == ["access_token", "expires_in", "token_type"]
    assert (made["token_type"], made["expires_in"]) == ("bearer", 7200)
    assert server.tokens.access(made["access_token"]).grant.userid is None


NOT_PROVED = {
    # header, parameters -> status
    "nothing": ("", {}, 400),
    "wrong secret": ("", {**SHOP, "client_secret": "x"}, 400),
    "wrong secret of one with a digest": ("", {"client_id": "hashed", "client_secret": "x"}, 400),
    "empty": ("", {"client_id": "", "client_secret": ""}, 400),
    "no text": ("", {"client_id": ["shop"], "client_secret": "secret"}, 400),
    "secret that is no text": ("", {"client_id": "shop", "client_secret": ["secret"]}, 400),
    "no secret": ("", {"client_id": "shop"}, 400),
    "no id": ("", {"client_secret": "secret"}, 400),
    "unknown": ("", {"client_id": "x", "client_secret": "secret"}, 400),
    "header of another kind": ("Bearer x", {"client_id": "shop"}, 400),
    "wrong secret in the header": (basic("shop", "x"), {}, 401),
    "unknown in the header": (basic("x", "secret"), {}, 401),
    "a public client has nothing to prove who it is by": ("", {"client_id": "phone"}, 400),
}


@pytest.mark.parametrize(("header", "given", "status"), NOT_PROVED.values(), ids=NOT_PROVED)
def test_a_client_that_does_not_prove_who_it_is_gets_nothing(server, header, given, status):
    with pytest.raises(Refused) as caught:
        server.grants.token(parameters({**ROBOT, **given}), header, "")
    assert (caught.value.body, caught.value.status) == (INVALID_CLIENT, status)
    told = [("WWW-Authenticate", 'Basic realm="OAuth2.0"')] if status == 401 else []
    assert caught.value.headers == told


@pytest.mark.parametrize("known", [True, False], ids=["listed", "not listed"])
def test_every_wrong_client_is_the_same_work(monkeypatch, known):
    server, work = Server(known=known), []
    checked = client_secrets.matches
    monkeypatch.setattr(
        client_secrets,
        "matches",
        lambda kept, s: work.append(client_secrets.rounds(kept)) or checked(kept, s),
    )
    spent = []
    for name in ("shop", "hashed", "x"):
        work.clear()
        server.token(**ROBOT, client_id=name, client_secret="wrong")
        spent.append(sum(work))
    assert spent == [client_secrets.ROUNDS] * 3


def test_secrets_without_digest_need_no_more_work():
    plain = [{"username": "a", "oauth2_credentials": [{"name": "n", **CLIENTS[0]}]}]
    server = Server(consumers=plain)
    assert server.token(**ROBOT, client_id="shop", client_secret="wrong") == INVALID_CLIENT
    assert server.token(**ROBOT, client_id="x", client_secret="wrong") == INVALID_CLIENT


CLIENT_WRONG = {
    "unknown before the grant type": ({"client_id": "x"}, INVALID_CLIENT["error_description"]),
    "without address": ({"client_id": "robot"}, INVALID_CLIENT["error_description"]),
    "another address": ({"redirect_uri": "https://evil.example/"}, WRONG_REDIRECT),
    "grant type": ({}, "Invalid grant_type"),
    "grant type that is no text": ({"grant_type": ["password"]}, "Invalid grant_type"),
    "public with a secret": (
        {"client_id": "phone"},
        "client_secret is disallowed for public clients",
    ),
    "public with a secret that is no text": (
        {"client_id": "phone", "client_secret": 1},
        "client_secret is disallowed for public clients",
    ),
    "public with a blank one": ({"client_id": "phone", "client_secret": " "}, "Invalid grant_type"),
}


@pytest.mark.parametrize(("given", "description"), CLIENT_WRONG.values(), ids=CLIENT_WRONG)
def test_the_client_is_looked_at_before_what_it_wants(server, given, description):
    assert server.token(**{"grant_type": "x", **SHOP, **given})["error_description"] == description


def test_a_client_without_address_in_the_header_is_told_so(server):
    with pytest.raises(Refused) as caught:
        server.grants.token(parameters({"grant_type": "password"}), basic("robot", "secret"), "")
    assert caught.value.status == 401


@pytest.mark.parametrize(
    ("field", "kind"),
    [("enable_client_credentials", "client_credentials"), ("enable_password_grant", "password")],
)
def test_a_grant_that_is_switched_off_is_unknown(field, kind):
    made = Server({field: False}).token(**USER, **SHOP, grant_type=kind)
    assert made == {"error": "unsupported_grant_type", "error_description": "Invalid grant_type"}


# -- token: client credentials and password ----------------------------------------------------------------


def test_a_client_may_name_a_user_with_the_provision_key(server):
    made = server.token(**ROBOT, **SHOP, **USER)
    assert server.tokens.access(made["access_token"]).grant.userid == "bob"
    wrong = server.token(**ROBOT, **SHOP, authenticated_userid="bob")
    assert wrong == {"error": "invalid_provision_key", "error_description": "Invalid provision_key"}


def test_the_application_gets_a_token_for_a_user(server):
    made = server.token(**SHOP, **USER, grant_type="password", scope="email profile")
    assert sorted(made) == ["access_token", "expires_in", "refresh_token", "token_type"]
    grant = server.tokens.access(made["access_token"]).grant
    assert (grant.userid, grant.scope) == ("bob", "email profile")


@pytest.mark.parametrize("kind", ["client_credentials", "password"])
def test_a_scope_must_be_one_that_there_is(server, kind):
    made = server.token(**SHOP, **USER, grant_type=kind, scope="x")
    assert made == {"error": "invalid_scope", "error_description": '"x" is an invalid scope'}


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"provision_key": "x"}, "invalid_provision_key"),
        ({"authenticated_userid": " "}, "invalid_authenticated_userid"),
    ],
)
def test_a_password_grant_needs_a_user_and_the_provision_key(server, given, error):
    assert server.token(**{**SHOP, **USER, "grant_type": "password", **given})["error"] == error


def test_a_token_for_ever_has_no_refresh_token():
    server = Server({"token_expiration": 0})
    assert sorted(server.exchange(server.code())) == ["access_token", "token_type"]


# -- token: codes ------------------------------------------------------------------------------------------


def test_a_code_is_exchanged_once(server):
    code = server.code(scope="email profile")
    made = server.exchange(code)
    grant = server.tokens.access(made["access_token"]).grant
    assert (grant.client_id, grant.scope, grant.userid) == ("shop", "email profile", "bob")
    assert len(made["refresh_token"]) == 32
    assert server.exchange(code) == INVALID_CODE


@pytest.mark.parametrize("code", [None, "", "x", ["x"]], ids=repr)
def test_an_unknown_code_is_refused(server, code):
    assert server.exchange(code) == INVALID_CODE


def test_a_code_is_for_its_client_service_and_entry(server):
    code = server.code("here")
    assert server.exchange(code, service="here", client_id="hashed") == INVALID_CODE
    assert server.exchange(code, service="there") == INVALID_CODE
    assert server.other(instance="other").exchange(code, service="here") == INVALID_CODE
    assert "access_token" in server.exchange(code, service="here")


def test_a_global_code_is_for_every_service_of_its_entry():
    server = Server({"global_credentials": True})
    code = server.code("here")
    assert server.other({"global_credentials": True}, "other").exchange(code) == INVALID_CODE
    assert "access_token" in server.exchange(code, service="there")


def test_of_two_at_once_only_one_gets_tokens(server, monkeypatch):
    code = server.code()
    found = server.tokens.code(code)
    assert "access_token" in server.exchange(code)
    monkeypatch.setattr(server.tokens, "code", lambda text: found)
    assert server.exchange(code) == INVALID_CODE


def test_a_challenge_is_answered_by_its_verifier(server):
    code = server.code(**PHONE)
    asked = {"client_id": "phone", "client_secret": None}
    for verifier, error in ((None, "invalid_request"), ("x" * 43, "invalid_grant")):
        assert server.exchange(code, **asked, code_verifier=verifier)["error"] == error
    assert "access_token" in server.exchange(code, **asked, code_verifier=VERIFIER)


def test_a_confidential_client_may_use_a_challenge_and_then_must(server):
    code = server.code(code_challenge=CHALLENGE)
    assert server.exchange(code)["error_description"].startswith("code_verifier is required")
    assert "access_token" in server.exchange(code, code_verifier=VERIFIER)


def test_a_mode_that_became_strict_refuses_codes_without_challenge(server):
    code = server.code()
    strict = server.other({"pkce": "strict"})
    assert strict.exchange(code)["error_description"].startswith("code_verifier is required")
    assert strict.exchange(code, code_verifier=VERIFIER)["error"] == "invalid_grant"


# -- token: refresh ----------------------------------------------------------------------------------------


def test_a_refresh_token_gives_a_new_pair_once(server):
    first = server.exchange(server.code())
    second = server.refresh(first["refresh_token"])
    assert sorted(second) == sorted(first)
    assert second["refresh_token"] != first["refresh_token"]
    assert server.tokens.access(first["access_token"]) is None
    assert server.tokens.access(second["access_token"]).grant.userid == "bob"
    assert server.refresh(first["refresh_token"]) == INVALID_REFRESH


def test_a_refresh_token_may_stay_the_same():
    server = Server({"reuse_refresh_token": True})
    first = server.exchange(server.code())
    second = server.refresh(first["refresh_token"])
    assert second["refresh_token"] == first["refresh_token"]
    assert server.tokens.access(first["access_token"]) is None
    assert server.tokens.access(second["access_token"]) is not None
    assert "access_token" in server.refresh(first["refresh_token"])


def test_of_two_refreshes_at_once_only_one_gets_tokens(server, monkeypatch):
    text = server.exchange(server.code())["refresh_token"]
    found = server.tokens.refresh(text)
    assert "access_token" in server.refresh(text)
    monkeypatch.setattr(server.tokens, "refresh", lambda text: found)
    assert server.refresh(text) == INVALID_REFRESH


@pytest.mark.parametrize("text", [None, "x", ["x"]], ids=repr)
def test_an_unknown_refresh_token_is_refused(server, text):
    assert server.refresh(text) == INVALID_REFRESH


def test_a_refresh_token_is_for_its_client_service_and_scopes(server):
    text = server.exchange(server.code("here"), service="here")["refresh_token"]
    assert server.refresh(text, service="there") == INVALID_REFRESH
    assert server.refresh(text, service="here", client_id="hashed") == INVALID_CLIENT
    mismatch = {"error": "invalid_scope", "error_description": "Scope mismatch"}
    assert server.other({"scopes": ["profile"]}).refresh(text, service="here") == mismatch
    assert server.other({"scopes": None}).refresh(text, service="here") == mismatch
    assert "access_token" in server.refresh(text, service="here")


def test_a_token_without_scope_mismatches_nothing(server):
    text = server.exchange(server.code(scope=None))["refresh_token"]
    assert "access_token" in server.other({"scopes": None}).refresh(text)


# -- what is used twice, or not as it was asked for ---------------------------------------------------------

TWO = "https://two.example/"
KONG = {"compat": True}


def works(server, made):
    """Say whether the access token of an answer is good."""
    return server.tokens.access(made["access_token"]) is not None


def test_a_code_that_is_used_again_ends_its_tokens(server):
    code = server.code()
    made, other = server.exchange(code), server.exchange(server.code())
    assert works(server, made)
    assert server.exchange(code) == INVALID_CODE
    assert not works(server, made)
    assert server.refresh(made["refresh_token"]) == INVALID_REFRESH
    assert works(server, other)


def test_a_code_that_is_used_again_ends_what_came_of_its_refresh_token_too(server):
    code = server.code()
    made = server.refresh(server.exchange(code)["refresh_token"])
    assert server.exchange(code) == INVALID_CODE
    assert not works(server, made)
    assert server.refresh(made["refresh_token"]) == INVALID_REFRESH


@pytest.mark.parametrize("given", [{}, {"username": "password"}])
def test_a_refresh_token_that_is_used_again_ends_its_family(server, given):
    first = server.token(**{"grant_type": "password", "scope": "email", **USER, **SHOP}) if given else None
    first = first or server.exchange(server.code())
    second = server.refresh(first["refresh_token"])
    third = server.refresh(second["refresh_token"])
    assert works(server, third)
    assert server.refresh(first["refresh_token"]) == INVALID_REFRESH
    assert not works(server, third)
    assert server.refresh(third["refresh_token"]) == INVALID_REFRESH


def test_another_client_ends_nothing_by_a_code_that_was_used(server):
    code = server.code()
    made = server.exchange(code)
    assert server.exchange(code, client_id="hashed") == INVALID_CODE
    assert server.refresh("x", client_id="hashed") == INVALID_REFRESH
    assert works(server, made)


def test_in_compat_what_is_used_twice_ends_nothing():
    server = Server(KONG)
    code = server.code()
    made = server.exchange(code)
    assert server.exchange(code) == INVALID_CODE
    second = server.refresh(made["refresh_token"])
    assert server.refresh(made["refresh_token"]) == INVALID_REFRESH
    assert works(server, second)


@pytest.mark.parametrize(
    ("asked", "given", "good"),
    [
        (None, None, True),
        (None, BACK, True),
        (None, TWO, False),
        (BACK, BACK, True),
        (BACK, None, False),
        (BACK, TWO, False),
        (TWO, TWO, True),
        (TWO, BACK, False),
    ],
)
def test_a_code_is_good_with_the_address_that_it_was_asked_with(server, asked, given, good):
    code = server.code(redirect_uri=asked)
    answer = server.exchange(code, redirect_uri=given)
    assert ("access_token" in answer) is good
    if not good:
        text = "Invalid redirect_uri that is not the one of the authorization request"
        assert answer == {"error": "invalid_grant", "error_description": text}
    kong = Server(KONG)
    assert "access_token" in kong.exchange(kong.code(redirect_uri=asked), redirect_uri=given)


def test_a_verifier_of_a_code_without_challenge_is_refused(server):
    text = "Invalid code_verifier of a code without code_challenge"
    refused = {"error": "invalid_grant", "error_description": text}
    assert server.exchange(server.code(), code_verifier=VERIFIER) == refused
    kong = Server(KONG)
    assert "access_token" in kong.exchange(kong.code(), code_verifier=VERIFIER)
