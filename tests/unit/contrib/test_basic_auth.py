"""basic-auth: configuration, which header counts, passwords, and through an app."""

from __future__ import annotations

import hashlib
from base64 import b64encode

import pytest
from werkzeug.security import generate_password_hash

from plugmw import ConfigError
from plugmw.auth import passwords
from plugmw.contrib import basic_auth
from plugmw.contrib.basic_auth import LONGEST, BasicAuth, read
from plugmw.contrib.key_auth import KeyAuth
from plugmw.errors import StoreError
from plugmw.gateway import Gateway
from plugmw.kernel.identity import Consumer, Credential, MemoryDirectory
from plugmw.testing import get, hello_app

ID = "00000001-0000-4000-8000-000000000001"
SLOW = "pbkdf2:sha256:20"
BOB = {
    "id": ID,
    "username": "bob",
    "custom_id": "B",
    "keyauth_credentials": [{"key": "kong"}],
    "basicauth_credentials": [
        {"username": "bob", "password": "kong"},
        {"username": "user123", "password": "password123"},
        {"username": "user321", "password": "password:123"},
        {"username": "zoé", "password": "clé"},
        {"username": "hashed", "password": generate_password_hash("kong", SLOW)},
        {"username": "scrypt", "password": generate_password_hash("kong", "scrypt:128:8:1")},
        {"username": "moved", "password": "kong-sha1$" + hashlib.sha1(f"kong{ID}".encode()).hexdigest()},
        {"username": "longest", "password": "p" * LONGEST},
    ],
}
NOBODY = {"id": "00000009-0000-4000-8000-000000000009", "username": "no-body", "custom_id": "none"}
CONSUMERS = [BOB, NOBODY]
PROXY = "Proxy-Authorization"


def basic(text, scheme="Basic "):
    return scheme + b64encode(text if isinstance(text, bytes) else text.encode()).decode()


def ask(authorization=None, proxy=None, config=None, consumers=CONSUMERS, plugins=(), **request):
    """Send a request; return the answer, and the environ the app saw (None if it was not called)."""
    saw = []
    headers = {"Authorization": authorization, PROXY: proxy, **request.pop("headers", {})}
    answer = get(
        [BasicAuth(**(config or {})), *plugins],
        {"consumers": consumers},
        environ={"plugmw.testing.saw": saw},
        headers={name: value for name, value in headers.items() if value is not None},
        **request,
    )
    return answer, saw[0] if saw else None


# -- configuration -----------------------------------------------------------------------------------------


BAD = {
    "realm with a quote": ({"realm": 'a"b'}, "realm: got .* expected text without quotes"),
    "realm with a backslash": ({"realm": "a\\b"}, "realm: got"),
    "realm with a line end": ({"realm": "a\r\nb"}, "realm: got"),
    "no realm": ({"realm": None}, "realm: got None, expected a string"),
    "empty realm": ({"realm": ""}, "realm: got ''"),
    "flag that is no boolean": (
        {"hide_credentials": "yes"},
        "hide_credentials: got 'yes', expected a boolean",
    ),
    "anonymous that is no text": ({"anonymous": 9}, "anonymous: got 9, expected a string"),
    "unknown field": ({"hide_credential": True}, 'did you mean "hide_credentials"'),
}


@pytest.mark.parametrize(("config", "message"), BAD.values(), ids=BAD)
def test_refuses_a_bad_configuration(config, message):
    with pytest.raises(ConfigError, match=message):
        BasicAuth(**config)


# -- reading a header --------------------------------------------------------------------------------------

READ = {
    "user and password": (basic("bob:kong"), ("bob", "kong")),
    "scheme in small letters": (basic("bob:kong", "basic "), ("bob", "kong")),
    "scheme in capitals": (basic("bob:kong", "BASIC "), None),
    "no blank": (basic("bob:kong", "Basic"), ("bob", "kong")),
    "many blanks": ("  Basic \t " + basic("bob:kong", "") + "  ", ("bob", "kong")),
    "colon in the password": (basic("a:b:c"), ("a", "b:c")),
    "empty password": (basic("bob:"), ("bob", "")),
    "empty user": (basic(":kong"), None),
    "no colon": (basic("bob"), None),
    "nothing": (basic(""), None),
    "no Base64": ("Basic !!!!", None),
    "Base64 with a blank inside": ("Basic Ym9i Omtvbmc=", None),
    "Base64 for URLs": ("Basic Ym9iOj8_", None),
    "without padding": ("Basic Ym9iOmtvbmc", ("bob", "kong")),
    "impossible length": ("Basic Ym9iO", None),
    "something behind": (basic("bob:kong") + "x", None),
    "two headers joined": (basic("bob:kong") + "," + basic("bob:kong"), None),
    "another scheme": ("Bearer Ym9iOmtvbmc=", None),
    "scheme alone": ("Basic", None),
    "empty": ("", None),
    "UTF-8": (basic("zoé:clé"), ("zoé", "clé")),
    "Latin-1": (basic("zoé:clé".encode("latin-1")), ("zoé", "clé")),
    "shifted to garbage": (basic(b"\xd8\x9b\xb9:\x00"), ("Ø\x9b¹", "\x00")),
}


@pytest.mark.parametrize(("value", "pair"), READ.values(), ids=READ)
def test_reads_a_header(value, pair):
    assert read(value) == pair


# -- access ------------------------------------------------------------------------------------------------

GOOD, WRONG, UNKNOWN = basic("user123:password123"), basic("bob:wrong"), basic("nobody:x")
COUNTS = {
    # Authorization, Proxy-Authorization -> the user that is told, None for 401
    "neither": (None, None, None),
    "without colon": (basic("kong"), None, None),
    "a user alone": (basic("bob"), None, None),
    "good": (GOOD, None, "user123"),
    "user and consumer differ": (basic("bob:kong"), None, "bob"),
    "colon in the password": (basic("user321:password:123"), None, "user321"),
    "wrong password": (WRONG, None, None),
    "unknown user": (UNKNOWN, None, None),
    "empty password": (basic("bob:"), None, None),
    "case of the user counts": (basic("BOB:kong"), None, None),
    "proxy": (None, basic("bob:kong"), "bob"),
    "proxy counts first": (GOOD, basic("bob:kong"), "bob"),
    "proxy counts first, also before nonsense": ("hello", basic("bob:kong"), "bob"),
    "proxy unknown, then the other": (GOOD, UNKNOWN, "user123"),
    "proxy unreadable, then the other": (GOOD, "hello", "user123"),
    "proxy wrong ends it": (GOOD, WRONG, None),
    "proxy unknown, the other wrong": (WRONG, UNKNOWN, None),
    "proxy unknown, the other unreadable": ("hello", UNKNOWN, None),
    "proxy unknown, alone": (None, UNKNOWN, None),
    "both unreadable": ("hello", "hello", None),
    "repeated": (f"{GOOD},{GOOD}", None, None),
    "outside ASCII": (basic("zoé:clé"), None, "zo\xc3\xa9"),
    "outside ASCII in Latin-1": (basic("zoé:clé".encode("latin-1")), None, "zo\xc3\xa9"),
    "hashed": (basic("hashed:kong"), None, "hashed"),
    "hashed, wrong": (basic("hashed:Kong"), None, None),
    "scrypt": (basic("scrypt:kong"), None, "scrypt"),
    "Kong's": (basic("moved:kong"), None, "moved"),
    "Kong's, wrong": (basic("moved:Kong"), None, None),
    "the hash is no password": (basic("hashed:" + BOB["basicauth_credentials"][4]["password"]), None, None),
    "as long as may be": (basic("longest:" + "p" * LONGEST), None, "longest"),
}


@pytest.mark.parametrize(("authorization", "proxy", "user"), COUNTS.values(), ids=COUNTS)
def test_who_is_let_through(authorization, proxy, user):
    answer, saw = ask(authorization, proxy)
    if user:
        assert (answer.status_code, saw["HTTP_X_CREDENTIAL_IDENTIFIER"]) == (200, user)
    else:
        assert (answer.status_code, saw, answer.json["message"]) == (401, None, "Unauthorized")
        assert answer.headers["WWW-Authenticate"] == 'Basic realm="service"'


def test_a_credential_that_has_expired_or_has_no_owner_is_unknown():
    directory = MemoryDirectory()
    app = Gateway(hello_app, plugins=[BasicAuth()], consumers=directory, clock=lambda: 1000)
    data = {"password": passwords.stored("kong", ID)}
    directory.add("basic-auth", "old", Credential(id="1", consumer_id="2", data=data, expires=1000))
    directory.add("basic-auth", "orphan", Credential(id="1", consumer_id="2", data=data))
    for user in ("old", "orphan"):
        assert get(app, headers={"Authorization": basic(f"{user}:kong")}).status_code == 401


# -- access: work ------------------------------------------------------------------------------------------


@pytest.fixture
def checks(monkeypatch):
    """Note the method of every password that is checked."""
    methods = []

    def noting(kept, password):
        methods.append(kept.partition("$")[0])
        return passwords.matches(kept, password)

    class Noting:
        def __getattr__(self, name):
            return noting if name == "matches" else getattr(passwords, name)

    monkeypatch.setattr(basic_auth, "passwords", Noting())
    return methods


def only(*forms):
    return [{**BOB, "basicauth_credentials": [BOB["basicauth_credentials"][place] for place in forms]}]


PLAIN, HASHED, MOVED = 0, 4, 6
WORK = {
    # credentials, user -> methods checked when the password is wrong
    "plain: wrong password": ([PLAIN], "bob", [passwords.PLAIN]),
    "plain: unknown user": ([PLAIN], "x", [passwords.PLAIN]),
    "nobody known": ([], "x", [passwords.PLAIN]),
    "hashed: wrong password": ([HASHED], "hashed", [SLOW]),
    "hashed: unknown user": ([HASHED], "x", [SLOW]),
    "Kong's: wrong password": ([MOVED], "moved", ["kong-sha1", passwords.PLAIN]),
    "Kong's: unknown user": ([MOVED], "x", [passwords.PLAIN]),
    "some hashed: unknown user": ([PLAIN, HASHED], "x", [SLOW]),
    "some hashed: wrong password of another": ([PLAIN, HASHED], "bob", [passwords.PLAIN, SLOW]),
}


@pytest.mark.parametrize(("forms", "user", "methods"), WORK.values(), ids=WORK)
@pytest.mark.parametrize("header", ["authorization", "proxy"])
def test_a_wrong_password_and_an_unknown_user_are_the_same_work(forms, user, methods, header, checks):
    answer, _ = ask(**{header: basic(f"{user}:wrong")}, consumers=only(*forms))
    assert (answer.status_code, checks) == (401, methods)


@pytest.mark.slow
def test_a_directory_that_cannot_list_its_credentials_is_taken_to_have_slow_hashes(checks):
    class Remote:
        def consumer(self, name):
            return None

        def credential(self, kind, key):
            return None

    get(
        Gateway(hello_app, plugins=[BasicAuth()], consumers=Remote()),
        headers={"Authorization": basic("x:y")},
    )
    assert checks == ["scrypt:32768:8:1"]


def test_a_right_password_is_not_hashed_again_for_a_minute(checks):
    now = [1000.0]
    app = Gateway(hello_app, {"consumers": only(HASHED)}, plugins=[BasicAuth()], clock=lambda: now[0])
    for seconds, hashed in ((0, 1), (59, 1), (1, 2)):
        now[0] += seconds
        assert get(app, headers={"Authorization": basic("hashed:kong")}).status_code == 200
        assert len(checks) == hashed
    for _ in range(2):
        assert get(app, headers={"Authorization": basic("hashed:wrong")}).status_code == 401
    assert len(checks) == 4, "a wrong one is not remembered"


def test_a_changed_password_counts_for_the_next_request():
    class Changing(MemoryDirectory):
        password = passwords.stored("old", ID)

        def credential(self, kind, key):
            return Credential(id="c", consumer_id=ID, data={"password": self.password})

    directory = Changing([Consumer(id=ID, username="bob")])
    app = Gateway(hello_app, plugins=[BasicAuth()], consumers=directory)
    assert get(app, headers={"Authorization": basic("bob:old")}).status_code == 200
    directory.password = passwords.stored("new", ID)
    assert get(app, headers={"Authorization": basic("bob:old")}).status_code == 401
    assert get(app, headers={"Authorization": basic("bob:new")}).status_code == 200


def test_remembers_a_bounded_number_of_passwords(monkeypatch):
    monkeypatch.setattr(basic_auth, "MOST", 2)
    plugin = BasicAuth()
    app = Gateway(hello_app, {"consumers": CONSUMERS}, plugins=[plugin])
    for user in ("bob:kong", "hashed:kong", "moved:kong"):
        assert get(app, headers={"Authorization": basic(user)}).status_code == 200
    assert len(plugin._right) == 1
    assert b"kong" not in repr(plugin._right).encode()


@pytest.mark.parametrize("user", ["longest", "x"], ids=["known", "unknown"])
def test_a_very_long_password_is_wrong_without_being_hashed(user, checks):
    assert ask(basic(f"{user}:" + "p" * (LONGEST + 1)))[0].status_code == 401
    assert checks == []


# -- through an app ----------------------------------------------------------------------------------------


def test_the_app_is_told_the_consumer_and_the_user_but_nothing_of_a_clients_own():
    forged = {"X-Consumer-ID": "1", "X-Credential-Identifier": "root", "X-Anonymous-Consumer": "true"}
    _, saw = ask(GOOD, headers=forged)
    told = {key[7:]: value for key, value in saw.items() if key.startswith(("HTTP_X_C", "HTTP_X_A"))}
    assert told == {
        "CONSUMER_ID": ID,
        "CONSUMER_USERNAME": "bob",
        "CONSUMER_CUSTOM_ID": "B",
        "CREDENTIAL_IDENTIFIER": "user123",
    }


@pytest.mark.parametrize("authorization", [None, WRONG, UNKNOWN], ids=["none", "wrong", "unknown"])
@pytest.mark.parametrize("anonymous", [NOBODY["id"], "no-body"], ids=["by id", "by username"])
def test_the_anonymous_consumer_stands_in(anonymous, authorization):
    answer, saw = ask(authorization, config={"anonymous": anonymous})
    assert (answer.status_code, saw["HTTP_X_ANONYMOUS_CONSUMER"]) == (200, "true")
    assert saw["HTTP_X_CONSUMER_USERNAME"] == "no-body"
    assert "HTTP_X_CREDENTIAL_IDENTIFIER" not in saw


@pytest.mark.parametrize("anonymous", ["nowhere", "none"], ids=["unknown", "custom id"])
def test_a_missing_anonymous_consumer_is_an_error(anonymous):
    answer, saw = ask(config={"anonymous": anonymous})
    assert (answer.status_code, saw) == (500, None)
    assert answer.json["message"] == f"anonymous consumer {anonymous} is configured but doesn't exist"


HIDES = {
    # Authorization, Proxy-Authorization -> what is left of them
    "the one": (GOOD, None, (None, None)),
    "the proxy's": (None, GOOD, (None, None)),
    "both, though one decides": (WRONG, GOOD, (None, None)),
    "unreadable": (basic("kong"), None, (None, None)),
    "in capitals": (basic("a:b", "BASIC "), None, (None, None)),
    "not those of others": ("Bearer abc", "hmac username", ("Bearer abc", "hmac username")),
}


@pytest.mark.parametrize(("authorization", "proxy", "left"), HIDES.values(), ids=HIDES)
def test_hides_credentials(authorization, proxy, left):
    _, saw = ask(authorization, proxy, {"hide_credentials": True, "anonymous": "no-body"})
    assert (saw.get("HTTP_AUTHORIZATION"), saw.get("HTTP_PROXY_AUTHORIZATION")) == left


def test_leaves_the_headers_alone_unless_told_to_hide():
    _, saw = ask(GOOD, UNKNOWN)
    assert (saw["HTTP_AUTHORIZATION"], saw["HTTP_PROXY_AUTHORIZATION"]) == (GOOD, UNKNOWN)


CHALLENGES = {"neither": ({}, None, "Key"), "only the key": ({"apikey": "kong"}, None, "Basic")}


@pytest.mark.parametrize(("headers", "authorization", "scheme"), CHALLENGES.values(), ids=CHALLENGES)
def test_with_key_auth_the_first_that_misses_its_own_challenges(headers, authorization, scheme):
    answer, _ = ask(authorization, headers=headers, plugins=[KeyAuth()])
    assert (answer.status_code, answer.headers["WWW-Authenticate"].partition(" ")[0]) == (401, scheme)


def test_with_key_auth_both_pass_and_the_last_identity_stays():
    _, saw = ask(GOOD, headers={"apikey": "kong"}, plugins=[KeyAuth()])
    assert saw["HTTP_X_CREDENTIAL_IDENTIFIER"] == "user123"


def test_the_challenge_names_the_realm():
    assert ask(config={"realm": "shop"})[0].headers["WWW-Authenticate"] == 'Basic realm="shop"'


def test_the_refusal_has_the_format_the_client_accepts():
    assert ask(headers={"Accept": "text/html"})[0].mimetype == "text/html"


@pytest.mark.parametrize("config", [{}, {"anonymous": "no-body"}], ids=["alone", "with anonymous"])
def test_a_store_that_fails_lets_nobody_pass(config):
    class Down(MemoryDirectory):
        def credential(self, kind, key):
            raise StoreError("redis://users", "timed out after 1 s")

    app = Gateway(hello_app, plugins=[BasicAuth(**config)], consumers=Down())
    assert get(app, headers={"Authorization": GOOD}).status_code == 500


def test_neither_users_nor_passwords_are_logged(caplog):
    with caplog.at_level("DEBUG"):
        ask(basic("correct-horse:battery-staple"))
        ask(basic("bob:battery-staple"))
    assert "battery" not in caplog.text
    assert "horse" not in caplog.text
