"""ldap-auth: configuration, who may pass and what is remembered, a real directory behind an app."""

from __future__ import annotations

import base64
import logging
import threading
from types import SimpleNamespace

import pytest

from plugmw import ConfigError
from plugmw.contrib.acl import ACL
from plugmw.contrib.key_auth import KeyAuth
from plugmw.contrib.ldap_auth import LDAPAuth
from plugmw.contrib.ldap_auth import plugin as ldap_auth
from plugmw.contrib.ldap_auth.ldap import Unreachable
from plugmw.contrib.ldap_auth.plugin import LONGEST
from plugmw.gateway import Gateway
from plugmw.testing import get, hello_app
from tests.support.slapd import PEOPLE, USERS

NEEDED = {"ldap_host": "ldap.example", "base_dn": PEOPLE, "attribute": "uid"}
NOBODY = {"id": "00000009-0000-4000-8000-000000000009", "username": "no-body", "custom_id": "none"}
PASSWORDS = {user: password for _, place, user, password in USERS if place == PEOPLE}


def header(user, password, scheme="ldap", encoding="utf-8"):
    return f"{scheme} {base64.b64encode(f'{user}:{password}'.encode(encoding)).decode()}"


RIGHT, WRONG = header("einstein", "password"), header("einstein", "wrong")


class Directory:
    """Asked instead of LDAP; notes what it is asked."""

    def __init__(self, passwords=PASSWORDS):
        self.binds = {f"uid={ldap_auth.escape(user)},{PEOPLE}": text for user, text in passwords.items()}
        self.asked = []
        self.down = False

    def __call__(self, dn, password, config):
        self.asked.append((dn, password))
        if self.down:
            raise Unreachable("ldap://ldap.example:389: refused")
        return None if self.binds.get(dn) == password else "49 invalidCredentials ''"


@pytest.fixture
def directory():
    return Directory()


def plugin(directory, **config):
    made = type("Bound", (LDAPAuth,), {"binder": staticmethod(directory)})
    return made(**{**NEEDED, **config})


def gateway_of(directory, config, clock=lambda: 1000.0, others=()):
    document = {"consumers": [NOBODY], "store": "memory://"}
    return Gateway(hello_app, document, plugins=[plugin(directory, **config), *others], clock=clock)


def ask(directory, config=None, headers=None, app=None):
    """Send a request; return the answer, and the environ the app saw (None if it was not called)."""
    saw = []
    answer = get(
        app or gateway_of(directory, config or {}), headers=headers, environ={"plugmw.testing.saw": saw}
    )
    return answer, saw[0] if saw else None


def status(directory, authorization, **config):
    return ask(directory, config, {"Authorization": authorization})[0].status_code


# -- configuration -----------------------------------------------------------------------------------------


BAD = {
    "TLS twice": (
        {"ldaps": True, "start_tls": True},
        "'ldaps' and 'start_tls' cannot be enabled simultaneously",
    ),
    "host with a port": ({"ldap_host": "ldap.example:389"}, "ldap_host: got .*a host without a port"),
    "host with a scheme": ({"ldap_host": "ldap://ldap.example"}, "ldap_host: got"),
    "port 0": ({"ldap_port": 0}, "ldap_port: got 0, expected a number above 0"),
    "attribute that is none": ({"attribute": "uid=x,cn"}, "attribute: got .*the name of an attribute"),
    "empty base": ({"base_dn": ""}, "base_dn: got ''"),
    "scheme of two words": ({"header_type": "my ldap"}, "header_type: got"),
    "no time": ({"timeout": 0}, "timeout: got 0, expected a number above 0"),
    "negative time to remember": ({"cache_ttl": -1}, "cache_ttl: got -1"),
    "negative time to keep": ({"keepalive": -1}, "keepalive: got -1"),
    "no binds": ({"max_binds": 0}, "max_binds: got 0"),
    "realm with a quote": ({"realm": 'a"b'}, "realm: got"),
}


@pytest.mark.parametrize(("config", "message"), BAD.values(), ids=BAD)
def test_refuses_a_bad_configuration(config, message):
    with pytest.raises(ConfigError, match=message):
        LDAPAuth(**{**NEEDED, **config})


@pytest.mark.parametrize("name", NEEDED)
def test_needs_to_know_where_the_users_are(name):
    with pytest.raises(ConfigError, match=f"{name}: missing"):
        LDAPAuth(**{key: value for key, value in NEEDED.items() if key != name})


@pytest.mark.parametrize("host", ["ldap.example", "192.0.2.1", "::1", "::ffff:192.0.2.1", "ldap_1"])
def test_a_host_is_a_name_or_an_address(host):
    assert LDAPAuth(**{**NEEDED, "ldap_host": host}).config.ldap_host == host


@pytest.mark.parametrize("content", [None, "no certificate"], ids=["absent", "no certificate"])
def test_authorities_must_be_readable(tmp_path, content):
    path = tmp_path / "authorities.pem"
    if content:
        path.write_text(content)
    with pytest.raises(ConfigError, match=r"ca_file: got .*authorities.pem.*expected a PEM file"):
        Gateway(hello_app, plugins=[LDAPAuth(**NEEDED, ca_file=str(path))])


WARNINGS = {
    "no TLS": ({}, "passwords go to ldap.example in the clear"),
    "no verification": ({"ldaps": True, "verify_ldap_host": False}, "of ldap.example is not verified"),
    "nothing": ({"start_tls": True}, ""),
}


@pytest.mark.parametrize(("config", "message"), WARNINGS.values(), ids=WARNINGS)
def test_warns_of(config, message, caplog):
    with caplog.at_level(logging.WARNING, "plugmw"):
        Gateway(hello_app, plugins=[LDAPAuth(**NEEDED, **config)])
    assert message in caplog.text
    assert bool(caplog.text) == bool(message)


# -- access: credentials -----------------------------------------------------------------------------------

PAIRS = {
    # scheme configured, header -> status
    "right": ("ldap", RIGHT, 200),
    "wrong password": ("ldap", WRONG, 401),
    "unknown user": ("ldap", header("nobody", "password"), 401),
    "scheme in another case": ("ldap", header("einstein", "password", "LDaP"), 200),
    "blanks": ("ldap", " \t" + header("einstein", "password", "ldap \t"), 200),
    "another scheme": ("ldap", header("einstein", "password", "Basic"), 401),
    "another scheme that ends alike": ("ldap", header("einstein", "password", "invalidldap"), 401),
    "another scheme that begins alike": ("ldap", header("einstein", "password", "ldap2"), 401),
    "scheme of its own": ("Basic", header("einstein", "password", "basic"), 200),
    "scheme that is a pattern": ("l.ap+", header("einstein", "password", "ldap"), 401),
    "scheme that could be a pattern": ("l.ap+", header("einstein", "password", "L.AP+"), 200),
    "no blank after the scheme": ("ldap", RIGHT.replace(" ", ""), 401),
    "no Base64": ("ldap", "ldap ein:stein", 401),
    "Base64 of no length": ("ldap", "ldap ZWluc", 401),
    "Base64 without padding": ("ldap", RIGHT.rstrip("="), 200),
    "two headers": ("ldap", f"{RIGHT},{RIGHT}", 401),
    "no colon": ("ldap", f"ldap {base64.b64encode(b'einstein').decode()}", 401),
    "password with a colon": ("ldap", header("colon", "password:another"), 200),
    "long password": ("ldap", header("long", "x" * 600), 200),
    "Latin-1": ("ldap", header("Jérôme", "clé", encoding="latin-1"), 200),
    "UTF-8": ("ldap", header("Jérôme", "clé"), 200),
    "special characters": ("ldap", header('a,b+c="d"<>;\\', "odd"), 200),
    "another DN": ("ldap", header("marvin,ou=robots", "password"), 401),
}


@pytest.mark.parametrize(("scheme", "sent", "expected"), PAIRS.values(), ids=PAIRS)
def test_reads_user_and_password(directory, scheme, sent, expected):
    assert status(directory, sent, header_type=scheme) == expected


UNASKED = {
    "empty password": ("einstein", ""),
    "empty name": ("", "password"),
    "name with a NUL": ("einstein\0", "password"),
    "name with a line feed": ("ein\nstein", "password"),
    "name with a character without width": ("ein\u200bstein", "password"),
    "very long name": ("x" * (LONGEST + 1), "password"),
    "very long password": ("einstein", "é" * LONGEST),
}


@pytest.mark.parametrize(("user", "password"), UNASKED.values(), ids=UNASKED)
def test_the_directory_is_not_asked_about(directory, user, password):
    assert status(directory, header(user, password)) == 401
    assert directory.asked == []


def test_the_longest_password_is_asked_about(directory):
    assert status(directory, header("einstein", "x" * LONGEST)) == 401
    assert len(directory.asked) == 1


BOTH = {
    # Proxy-Authorization, Authorization -> status, how often the directory is asked
    "first right": (RIGHT, WRONG, 200, 1),
    "first wrong": (WRONG, RIGHT, 200, 2),
    "first of another scheme": ("Basic eDp5", RIGHT, 200, 1),
    "both wrong": (WRONG, header("colon", "x"), 401, 2),
    "only the first": (RIGHT, None, 200, 1),
    "neither": (None, None, 401, 0),
}


@pytest.mark.parametrize(("proxy", "own", "expected", "asked"), BOTH.values(), ids=BOTH)
def test_the_second_header_counts_if_the_first_one_is_not_right(directory, proxy, own, expected, asked):
    both = {"Proxy-Authorization": proxy, "Authorization": own}
    answer, _ = ask(directory, {}, {name: value for name, value in both.items() if value})
    assert (answer.status_code, len(directory.asked)) == (expected, asked)


CHALLENGES = {
    "default": ({}, "LDAP"),
    "realm": ({"realm": "shop"}, 'LDAP realm="shop"'),
    "scheme": ({"header_type": "Basic"}, "Basic"),
    "both": ({"header_type": "basic", "realm": "shop"}, 'basic realm="shop"'),
}


@pytest.mark.parametrize(("config", "challenge"), CHALLENGES.values(), ids=CHALLENGES)
def test_the_client_is_told_what_to_send(directory, config, challenge):
    answer, saw = ask(directory, config)
    assert (answer.status_code, answer.json["message"], saw) == (401, "Unauthorized", None)
    assert answer.headers["WWW-Authenticate"] == challenge


# -- access: hiding ----------------------------------------------------------------------------------------

OTHER = "Basic eDp5"
HIDDEN = {
    # hide, anonymous, Proxy-Authorization, Authorization -> what is left of them
    "not asked for": (False, None, WRONG, RIGHT, (WRONG, RIGHT)),
    "after success both": (True, None, WRONG, RIGHT, (None, None)),
    "after success also of another scheme": (True, None, RIGHT, OTHER, (None, None)),
    "after failure what was meant for this plugin": (True, "no-body", WRONG, OTHER, (None, OTHER)),
    "after failure, not asked for": (False, "no-body", WRONG, OTHER, (WRONG, OTHER)),
}


@pytest.mark.parametrize(("hide", "anonymous", "proxy", "own", "left"), HIDDEN.values(), ids=HIDDEN)
def test_hides_the_password(directory, hide, anonymous, proxy, own, left):
    config = {"hide_credentials": hide, "anonymous": anonymous}
    _, saw = ask(directory, config, {"Proxy-Authorization": proxy, "Authorization": own})
    assert (saw.get("HTTP_PROXY_AUTHORIZATION"), saw.get("HTTP_AUTHORIZATION")) == left


# -- access: what is remembered ----------------------------------------------------------------------------


def test_an_answer_is_remembered_for_its_time(directory):
    now = SimpleNamespace(now=1000.0)
    app = gateway_of(directory, {"cache_ttl": 10}, lambda: now.now)
    for sent, expected in ((RIGHT, 200), (WRONG, 401)) * 2:
        assert ask(directory, headers={"Authorization": sent}, app=app)[0].status_code == expected
    assert len(directory.asked) == 2
    now.now += 9.9
    ask(directory, headers={"Authorization": RIGHT}, app=app)
    assert len(directory.asked) == 2
    directory.binds.clear()
    now.now += 0.1
    assert ask(directory, headers={"Authorization": RIGHT}, app=app)[0].status_code == 401


def test_an_answer_is_not_remembered_for_longer_when_the_clock_goes_back(directory):
    now = SimpleNamespace(now=1000.0)
    app = gateway_of(directory, {"cache_ttl": 10}, lambda: now.now)
    for now.now in (1000.0, 500.0):
        ask(directory, headers={"Authorization": RIGHT}, app=app)
    assert len(directory.asked) == 2


def test_nothing_is_remembered_if_told_so(directory):
    app = gateway_of(directory, {"cache_ttl": 0})
    for _ in range(2):
        ask(directory, headers={"Authorization": RIGHT}, app=app)
    assert len(directory.asked) == 2


def test_the_oldest_answer_makes_room_for_a_new_one(directory, monkeypatch):
    monkeypatch.setattr(ldap_auth, "MOST", 2)
    app = gateway_of(directory, {})
    for user in ("einstein", "a", "b", "einstein"):
        ask(directory, headers={"Authorization": header(user, "password")}, app=app)
    assert len(directory.asked) == 4


def test_stopping_and_starting_again_is_no_trouble(directory):
    app = gateway_of(directory, {})
    ask(directory, headers={"Authorization": RIGHT}, app=app)
    app.stop()
    assert ask(directory, headers={"Authorization": RIGHT}, app=app)[0].status_code == 200


def test_no_password_is_kept(directory):
    made = plugin(directory)
    app = Gateway(hello_app, plugins=[made])
    ask(directory, headers={"Authorization": RIGHT}, app=app)
    assert "password" not in repr(made._answers)


def test_a_colon_is_no_way_to_the_answer_for_another_user():
    directory = Directory({"einstein": "a:b"})
    app = gateway_of(directory, {})
    assert ask(directory, headers={"Authorization": header("einstein", "a:b")}, app=app)[0].status_code == 200
    assert ask(directory, headers={"Authorization": header("einstein:a", "b")}, app=app)[0].status_code == 200
    assert len(directory.asked) == 1  # the same user and password, however the pair was put together


# -- through an app ----------------------------------------------------------------------------------------


def test_the_app_is_told_the_user_and_no_consumer(directory):
    forged = {"X-Consumer-ID": "1", "X-Consumer-Username": "root", "X-Anonymous-Consumer": "true"}
    _, saw = ask(directory, {}, {"Authorization": header("Jérôme", "clé"), **forged})
    assert saw["HTTP_X_CREDENTIAL_IDENTIFIER"].encode("latin-1").decode() == "Jérôme"
    assert not [key for key in saw if key.startswith(("HTTP_X_CONSUMER", "HTTP_X_ANONYMOUS"))]
    assert saw["plugmw.consumer"] is None


def test_all_spellings_of_a_name_are_one_credential():
    directory = Directory({"Ada  Lovelace": "x", "ada lovelace": "x", "ada": "x"})
    ids = []
    for user in ("Ada  Lovelace", "ada lovelace", "ada"):
        _, saw = ask(directory, {}, {"Authorization": header(user, "x")})
        ids.append(saw["plugmw.credential"].id)
    assert ids[0] == ids[1] != ids[2]


def test_the_user_is_in_no_group(directory):
    app = gateway_of(directory, {}, others=[ACL(allow=["admins"])])
    assert ask(directory, headers={"Authorization": RIGHT}, app=app)[0].status_code == 403


@pytest.mark.parametrize("headers", [{}, {"Authorization": WRONG}], ids=["no password", "wrong password"])
def test_the_anonymous_consumer_stands_in(directory, headers):
    answer, saw = ask(directory, {"anonymous": "no-body"}, headers)
    assert (answer.status_code, saw["HTTP_X_ANONYMOUS_CONSUMER"]) == (200, "true")
    assert saw["HTTP_X_CONSUMER_USERNAME"] == "no-body"
    assert "HTTP_X_CREDENTIAL_IDENTIFIER" not in saw


def test_a_right_password_goes_before_the_anonymous_consumer(directory):
    _, saw = ask(directory, {"anonymous": "no-body"}, {"Authorization": RIGHT})
    assert saw["HTTP_X_CREDENTIAL_IDENTIFIER"] == "einstein"
    assert "HTTP_X_ANONYMOUS_CONSUMER" not in saw


def test_a_missing_anonymous_consumer_is_an_error(directory):
    answer, _ = ask(directory, {"anonymous": "nowhere"})
    assert answer.status_code == 500
    assert answer.json["message"] == "anonymous consumer nowhere is configured but doesn't exist"


def test_with_anonymous_an_earlier_credential_is_enough(directory):
    consumer = {**NOBODY, "keyauth_credentials": [{"key": "k"}]}
    plugins = [KeyAuth(anonymous="no-body"), plugin(directory, anonymous="no-body")]
    app = Gateway(hello_app, {"consumers": [consumer]}, plugins=plugins)
    answer, _ = ask(directory, headers={"apikey": "k", "Authorization": RIGHT}, app=app)
    assert (answer.status_code, directory.asked) == (200, [])


@pytest.mark.parametrize("config", [{}, {"anonymous": "no-body"}], ids=["alone", "with anonymous"])
def test_a_directory_that_is_down_lets_nobody_pass(directory, config):
    directory.down = True
    answer, saw = ask(directory, config, {"Authorization": RIGHT})
    assert (answer.status_code, answer.json["message"], saw) == (500, "An unexpected error occurred", None)
    assert "WWW-Authenticate" not in answer.headers


def test_an_outage_is_not_remembered(directory):
    app = gateway_of(directory, {})
    for directory.down, expected in ((True, 500), (False, 200)):
        assert ask(directory, headers={"Authorization": RIGHT}, app=app)[0].status_code == expected


def test_logs_the_reason_of_a_refusal_but_no_password(directory, caplog):
    with caplog.at_level(logging.DEBUG):
        ask(directory, {}, {"Authorization": header("einstein", "correct-horse")})
    assert "refused by the directory: 49 invalidCredentials" in caplog.text
    assert "correct-horse" not in caplog.text


def test_many_threads_share_what_is_remembered(directory, monkeypatch):
    monkeypatch.setattr(ldap_auth, "MOST", 3)
    app = gateway_of(directory, {})
    found = []

    def work(number):
        for turn in range(20):
            user, password = list(PASSWORDS.items())[(number + turn) % len(PASSWORDS)]
            found.append(ask(directory, headers={"Authorization": header(user, password)}, app=app)[0])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in found} == {200}
