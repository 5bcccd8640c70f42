"""The rules of OAuth 2.0."""

from __future__ import annotations

import base64
import hashlib
import json

import pytest

from plugmw.contrib.oauth2 import oauth
from plugmw.contrib.oauth2.oauth import Parameters, Refused

FORM, JSON = "application/x-www-form-urlencoded", "application/json"


def parameters(query="", kind=JSON, **body):
    return Parameters(query, kind, json.dumps(body).encode())


# -- reading a request -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/oauth2/token", "token"),
        ("/oauth2/token/", "token"),
        ("/any/prefix/oauth2/authorize", "authorize"),
        ("/oauth2/authorize/", "authorize"),
        ("/oauth2/token/x", None),
        ("/oauth2/tokens", None),
        ("/xoauth2/token", None),
        ("/oauth2/token\n", None),
        ("/", None),
    ],
)
def test_the_endpoints_are_told_by_the_end_of_the_path(path, found):
    assert oauth.endpoint(path) == found


VALUES = {
    # query, type, body -> value of a
    "none": ("", FORM, b"", None),
    "query": ("a=1", FORM, b"", "1"),
    "body": ("", FORM, b"a=2", "2"),
    "both": ("a=1", FORM, b"a=2", "2"),
    "JSON number": ("", JSON, b'{"a": 1}', 1),
    "JSON null": ("a=1", JSON, b'{"a": null}', None),
    "several": ("a=1&a=2", FORM, b"", ["1", "2"]),
    "no value": ("a", FORM, b"", None),
    "no text": ("a=%FF", FORM, b"", b"\xed\xb3\xbf"),
    "body that cannot be read": ("a=1", JSON, b"{", "1"),
}


@pytest.mark.parametrize(("query", "kind", "body", "value"), VALUES.values(), ids=VALUES)
def test_a_parameter_comes_from_the_body_or_the_query(query, kind, body, value):
    found = Parameters(query, kind, body)
    assert found.get("a") == value
    assert found.text("a") == (value if isinstance(value, str) else None)


@pytest.mark.parametrize(
    ("value", "token"),
    [
        ("Bearer x", "x"),
        ("bearer x", "x"),
        ("TOKEN  x ", "x"),
        ("Bearer", None),
        ("Bearer x y", None),
        ("Basic x", None),
        ("x", None),
        ("", None),
    ],
)
def test_a_token_is_read_from_a_header(value, token):
    assert oauth.bearer(value) == token


@pytest.mark.parametrize(
    ("value", "pair"),
    [
        ("Basic YTpi", ("a", "b")),
        ("basic YTpiOmM=", ("a", "b:c")),
        (" Basic YQ", ("a", "")),
        ("Basic /w==", ("\udcff", "")),
        ("Basic YTpiO", None),
        ("Bearer YTpi", None),
        ("Basic YTpi,Basic YTpi", None),
        ("", None),
    ],
)
def test_a_client_is_read_from_a_header(value, pair):
    assert oauth.basic(value) == pair


@pytest.mark.parametrize(
    ("given", "equal"), [("a", True), ("b", False), ("", False), (None, False), (["a"], False)]
)
def test_secrets_are_the_same_or_not(given, equal):
    assert oauth.same("a", given) is equal


def test_no_text_is_no_secret_even_an_empty_one():
    assert oauth.same("", "")
    assert not oauth.same("", None)


def test_the_state_is_repeated_if_it_is_text():
    assert oauth.state(parameters(state="x")) == {"state": "x"}
    assert oauth.state(parameters(state=1)) == oauth.state(parameters()) == {}


# -- answering ---------------------------------------------------------------------------------------------


def test_an_error_has_a_body_of_its_own():
    refused = Refused("invalid_scope", "no")
    assert (refused.status, refused.body) == (400, {"error": "invalid_scope", "error_description": "no"})


@pytest.mark.parametrize(("realm", "quoted"), [(None, ""), ("shop", 'realm="shop", ')])
def test_a_challenge_says_what_is_wrong(realm, quoted):
    [(name, value)] = oauth.challenged(realm, "e", "d")
    assert (name, value) == ("WWW-Authenticate", f'Bearer {quoted}error="e", error_description="d"')


RESULT = {"state": "a b", "code": "é"}
MERGED = {
    "no query": ("https://a.example/b", False, "https://a.example/b?code=%C3%A9&state=a%20b"),
    "query": ("https://a.example/b?z=1&a", False, "https://a.example/b?a&code=%C3%A9&state=a%20b&z=1"),
    "same name": ("https://a.example/?code=1&code=2", False, "https://a.example/?code=%C3%A9&state=a%20b"),
    "fragment": ("https://a.example/b?z=1", True, "https://a.example/b?z=1#code=%C3%A9&state=a%20b"),
}


@pytest.mark.parametrize(("uri", "in_fragment", "merged"), MERGED.values(), ids=MERGED)
def test_a_result_becomes_part_of_the_address(uri, in_fragment, merged):
    assert oauth.with_parameters(uri, RESULT, in_fragment) == merged


# -- what may be asked for ---------------------------------------------------------------------------------

SCOPES = {
    # asked, known, mandatory -> granted
    "none": (None, ["a"], False, None),
    "one": ("a", ["a", "b"], False, "a"),
    "two": (" a  b ", ["a", "b"], True, "a b"),
    "none known": ("a", None, False, None),
}


@pytest.mark.parametrize(("asked", "known", "mandatory", "granted"), SCOPES.values(), ids=SCOPES)
def test_a_scope_is_granted(asked, known, mandatory, granted):
    assert oauth.scope(asked, known, mandatory) == granted


NO_SCOPES = {
    "unknown": ("a c", ["a"], False, '"c" is an invalid scope'),
    "no text": (["a"], ["a"], False, "scope must be a string"),
    "none, but mandatory": (None, ["a"], True, "You must specify a scope"),
    "blank, but mandatory": (" ", ["a"], True, "You must specify a scope"),
}


@pytest.mark.parametrize(("asked", "known", "mandatory", "problem"), NO_SCOPES.values(), ids=NO_SCOPES)
def test_a_scope_is_refused(asked, known, mandatory, problem):
    with pytest.raises(Refused) as caught:
        oauth.scope(asked, known, mandatory)
    assert caught.value.body == {"error": "invalid_scope", "error_description": problem}


@pytest.mark.parametrize(("given", "user"), [("alice", "alice"), ("É a", "É a"), (None, None), (" ", None)])
def test_a_user_is_named(given, user):
    assert oauth.userid(given) == user


@pytest.mark.parametrize("given", [1, ["a"], "a\r\nb", b"a"])
def test_a_user_whom_no_header_could_name_is_refused(given):
    with pytest.raises(Refused, match="Missing authenticated_userid parameter"):
        oauth.userid(given)


@pytest.mark.parametrize(("asked", "uri"), [(None, "https://a"), ("https://b", "https://b")])
def test_an_address_is_one_of_those_registered(asked, uri):
    assert oauth.redirect_uri(asked, ["https://a", "https://b"]) == uri


@pytest.mark.parametrize("asked", ["https://a/", "https://c", "", ["https://a"]])
def test_any_other_address_is_refused(asked):
    with pytest.raises(Refused, match="Invalid redirect_uri that does not match"):
        oauth.redirect_uri(asked, ["https://a", "https://b"])


# -- PKCE --------------------------------------------------------------------------------------------------

VERIFIER = "abcdelfhigklmnopqrstuvwxyz0123456789abcdefg"
CHALLENGE = "2aC4cMSkAsMRtZbhHhiZkDW3sddRf_iTRGil1r9gi8w"


@pytest.mark.parametrize(
    ("mode", "kind", "needed"),
    [
        ("none", "public", False),
        ("lax", "public", True),
        ("strict", "public", True),
        ("lax", "confidential", False),
        ("strict", "confidential", True),
    ],
)
def test_who_needs_a_challenge(mode, kind, needed):
    assert oauth.needs_challenge(mode, kind) is needed


GIVEN = {
    "none": ({}, None),
    "without method": ({"code_challenge": "abc"}, "abc"),
    "S256": ({"code_challenge": "a-_c", "code_challenge_method": "S256"}, "a-_c"),
    "s256, in another Base64": ({"code_challenge": "a+/c==", "code_challenge_method": "s256"}, "a-_c"),
}


@pytest.mark.parametrize(("given", "challenge"), GIVEN.values(), ids=GIVEN)
def test_a_challenge_is_read(given, challenge):
    assert oauth.code_challenge(parameters(**given), "confidential", False) == challenge


WRONG = {
    "method alone": (
        {"code_challenge_method": "S256"},
        "code_challenge is required when code_method is present",
    ),
    "plain": (
        {"code_challenge": "x", "code_challenge_method": "plain"},
        "code_challenge_method is not supported, must be S256",
    ),
    "method that is no text": (
        {"code_challenge": "x", "code_challenge_method": 1},
        "code_challenge_method is not supported, must be S256",
    ),
    "no text": ({"code_challenge": 1}, "code_challenge is required for public clients"),
    "empty": ({"code_challenge": ""}, "code_challenge is required for public clients"),
}


@pytest.mark.parametrize(("given", "problem"), WRONG.values(), ids=WRONG)
def test_a_challenge_that_cannot_be_used_is_refused(given, problem):
    with pytest.raises(Refused) as caught:
        oauth.code_challenge(parameters(**given), "public", False)
    assert caught.value.body == {"error": "invalid_request", "error_description": problem}


@pytest.mark.parametrize("kind", ["public", "confidential"])
def test_a_challenge_that_is_needed_must_be_there(kind):
    with pytest.raises(Refused, match=f"code_challenge is required for {kind} clients"):
        oauth.code_challenge(parameters(), kind, True)


VERIFIERS = {
    "missing": (
        None,
        CHALLENGE,
        "invalid_request",
        "code_verifier is required for PKCE authorization requests",
    ),
    "no text": (1, CHALLENGE, "invalid_request", "code_verifier is not a string"),
    "short": ("x" * 42, CHALLENGE, "invalid_request", "code_verifier must be between 43 and 128 characters"),
    "long": ("x" * 129, CHALLENGE, "invalid_request", "code_verifier must be between 43 and 128 characters"),
    "wrong": ("x" * 43, CHALLENGE, "invalid_grant", "Invalid code"),
    "of nothing": (VERIFIER, None, "invalid_grant", "Invalid code"),
}


@pytest.mark.parametrize(("verifier", "challenge", "error", "problem"), VERIFIERS.values(), ids=VERIFIERS)
def test_a_verifier_is_refused(verifier, challenge, error, problem):
    with pytest.raises(Refused) as caught:
        oauth.check_verifier(verifier, challenge)
    assert caught.value.body == {"error": error, "error_description": problem}


def test_a_verifier_is_what_the_challenge_was_made_of():
    oauth.check_verifier(VERIFIER, CHALLENGE)
    oauth.check_verifier("x" * 128, oauth_challenge("x" * 128))


def oauth_challenge(verifier):
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
