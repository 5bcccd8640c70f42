"""S10: no name is another's DN, no password is none, all else a client sends is 401 (a real OpenLDAP)."""

from __future__ import annotations

import random
import re
from base64 import b64encode
from types import SimpleNamespace

import pytest

from plugmw import Gateway
from plugmw.contrib.ldap_auth import LDAPAuth
from plugmw.testing import get, hello_app
from tests.support import raw
from tests.support.slapd import PEOPLE, SUFFIX, USERS, slapd


@pytest.fixture(scope="module")
def ldap(tmp_path_factory):
    with slapd(tmp_path_factory.mktemp("ldap")) as directory:
        yield directory


@pytest.fixture(scope="module")
def asked():
    """What was sent to the directory: every DN and password of a bind."""
    return []


@pytest.fixture(scope="module")
def app(ldap, asked):
    plugin = LDAPAuth(
        ldap_host="localhost",
        ldap_port=ldap.port,
        start_tls=True,
        ca_file=ldap.authority,
        base_dn=PEOPLE,
        attribute="uid",
        cache_ttl=0,
        timeout=10_000,
    )
    gateway = Gateway(hello_app, plugins=[plugin])
    gateway.start()
    bind = plugin._bind
    plugin._bind = lambda dn, password: (asked.append((dn, password)), bind(dn, password))[1]
    yield gateway
    gateway.stop()


def login(app, user, password):
    if isinstance(user, str):
        user = user.encode("utf-8", "surrogatepass")
    pair = b64encode(user + b":" + password.encode("utf-8", "surrogatepass")).decode()
    saw = []
    answer = get(app, headers={"Authorization": f"ldap {pair}"}, environ={"plugmw.testing.saw": saw})
    who = saw[0]["HTTP_X_CREDENTIAL_IDENTIFIER"] if saw else None
    return SimpleNamespace(status=answer.status_code, user=who)


#: User name and password; the password is that of some entry, were the name read as more than one value.
INJECTIONS = {
    "einstein is below robots": ("marvin,ou=robots", "password"),
    "escaped comma": ("marvin\\,ou=robots", "password"),
    "escaped comma in hexadecimal": ("marvin\\2cou=robots", "password"),
    "in quotes": ('"einstein"', "password"),
    "two values": ("einstein+cn=einstein", "password"),
    "semicolon": ("marvin;ou=robots", "password"),
    "another attribute": ("x,uid=einstein", "password"),
    "hexadecimal value": ("#0408" + b"einstein".hex(), "password"),
    "escaped letter": ("\\65instein", "password"),
    "any name": ("*", "password"),
    "beginning of a name": ("ein*", "password"),
    "filter": ("einstein)(|(uid=*)", "password"),
    "filter in hexadecimal": ("einstein\\29\\28uid=*", "password"),
    "whole DN": (f"einstein,{PEOPLE}", "password"),
    "administrator": (f"admin,{SUFFIX}", "admin-password"),
    "administrator by escape": (f"cn=admin,{SUFFIX}", "admin-password"),
    "nobody": ("", "password"),
    "NUL behind": ("einstein\0", "password"),
    "NUL and more": ("einstein\0,x", "password"),
    "NUL in front": ("\0einstein", "password"),
    "NUL in the password": ("einstein", "password\0"),
    "NUL and more in the password": ("einstein", "password\0x"),
    "line feed": ("einstein\n", "password"),
    "invisible": ("einst\u200bein", "password"),
    "soft hyphen": ("einst\u00adein", "password"),
    "lone surrogate": ("einstein\ud800", "password"),
    "4 KB name": ("e" * 4096, "password"),
    "4 KB name around a good one": ("einstein" + " " * 4096, "password"),
    "4 KB password": ("einstein", "password" + "x" * 4096),
    "4 KB of commas": ("," * 4096, "password"),
    "1 KB of what must be escaped": (",+=" * 341, "password"),
    "empty password": ("einstein", ""),
    "password of NULs": ("einstein", "\0\0"),
    "bytes that are no UTF-8": (b"einstein\xff\xfe", "password"),
}


@pytest.mark.parametrize(("user", "password"), INJECTIONS.values(), ids=INJECTIONS)
def test_s10_is_401_and_nobody(app, user, password):
    found = login(app, user, password)
    assert (found.status, found.user) == (401, None)


def test_s10_names_of_every_letter_are_themselves(app):
    for _, place, user, password in USERS:
        if place == PEOPLE:
            assert login(app, user, password).status == 200, user
            assert login(app, user, password + "x").status == 401, user


@pytest.mark.parametrize("user", ["einstein", "colon", "nobody", "#x"])
def test_s10_an_empty_password_never_gets_to_the_directory_which_would_say_yes(app, asked, user):
    # OpenLDAP runs with bind_anon_cred: a DN without password is a success there (RFC 4513 section 5.1.2).
    asked.clear()
    assert [login(app, user, password).status for password in ("", "")] == [401, 401]
    assert asked == []


def test_s10_whatever_is_asked_is_that_name_below_the_base(app, asked):
    dice, special = random.Random(10), ',+="<>;\\#*()= \u00e9\u4e2d\U0001f600aeuid'
    for _ in range(300):
        user = "".join(dice.choice(special) for _ in range(dice.randrange(1, 12)))
        asked.clear()
        assert login(app, user, "password").status == 401, user
        assert [read_dn(dn) for dn, _ in asked] == [user]


#: The first value of a DN, as RFC 4514 section 3 lets it be written.
_VALUE = re.compile(
    r"""uid=((?![ #])(?:[^"+,;<>\\\0]|\\["+,;<>\\ #=]|\\[0-9a-fA-F]{2})+(?<!(?<!\\) )),""" + re.escape(PEOPLE)
).fullmatch


def read_dn(dn: str) -> str:
    """Return the name in a DN of one name below the base."""
    found = _VALUE(dn)
    assert found, dn
    pieces = re.findall(r"\\[0-9a-fA-F]{2}|\\.|[^\\]+", found[1])
    value = b"".join(
        piece.encode()
        if piece[0] != "\\"
        else piece[1:].encode()
        if len(piece) == 2
        else bytes.fromhex(piece[1:])
        for piece in pieces
    )
    return value.decode()


@pytest.mark.parametrize("worker_class", ["sync", "gthread", "gevent"])
def test_s10_the_same_on_every_server(ldap, gunicorn, worker_class):
    server = gunicorn(
        f"""
        from plugmw.contrib.ldap_auth.plugin import LDAPAuth
        from plugmw.testing import hello_app
        app = LDAPAuth.middleware(
            hello_app, ldap_host="localhost", ldap_port={ldap.port}, start_tls=True,
            ca_file={ldap.authority!r}, base_dn={PEOPLE!r}, attribute="uid",
        )
        """,
        worker_class=worker_class,
        args=["--threads", "2"] if worker_class == "gthread" else [],
    )

    def status(user, password):
        pair = b64encode(f"{user}:{password}".encode()).decode()
        return raw.get(server.port, "/", f"Authorization: ldap {pair}").status

    assert status("einstein", "password") == 200
    tried = [(user, password) for user, password in INJECTIONS.values() if isinstance(user, str)]
    tried = [pair for pair in tried if "\ud800" not in pair[0]]
    assert {pair: code for pair in tried if (code := status(*pair)) != 401} == {}
    assert "Traceback" not in server.log()
