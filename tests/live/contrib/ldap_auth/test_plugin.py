"""ldap-auth: configuration, who may pass and what is remembered, a real directory behind an app."""

from __future__ import annotations

import itertools
import threading

import pytest
import requests

from plugmw import Gateway
from plugmw.contrib.ldap_auth import LDAPAuth
from plugmw.testing import get, hello_app
from tests.support.slapd import slapd
from tests.unit.contrib.ldap_auth.test_plugin import NEEDED, PASSWORDS, RIGHT, WRONG, header


@pytest.fixture(scope="module")
def ldap(tmp_path_factory):
    with slapd(tmp_path_factory.mktemp("slapd")) as started:
        yield started


def settings(ldap, **config):
    port = ldap.tls_port if config.get("ldaps") else ldap.port
    made = {
        **NEEDED,
        "ldap_host": "localhost",
        "ldap_port": port,
        "ca_file": ldap.authority,
        "timeout": 10000,
    }
    return {**made, **config}


MODES = {"in the clear": {}, "StartTLS": {"start_tls": True}, "LDAPS": {"ldaps": True}}
UNVERIFIED = {"ldaps": True, "ca_file": None}


@pytest.mark.parametrize("config", MODES.values(), ids=MODES)
def test_asks_a_real_directory(ldap, config):
    app = Gateway(hello_app, plugins=[LDAPAuth(**settings(ldap, **config))])
    for user, password in PASSWORDS.items():
        for text, expected in ((password, 200), (f"{password}x", 401), ("x" * 500, 401), ("", 401)):
            answer = get(app, headers={"Authorization": header(user, text)})
            assert answer.status_code == expected, (user, text)
    answer = get(app, headers={"Authorization": header("marvin,ou=robots", "password")})
    assert answer.status_code == 401
    app.stop()


@pytest.mark.parametrize(
    ("verify", "expected"), [(True, 500), (False, 200)], ids=["verified", "not verified"]
)
def test_a_directory_without_trusted_certificate_is_not_asked(ldap, verify, expected):
    app = Gateway(hello_app, plugins=[LDAPAuth(**settings(ldap, **UNVERIFIED, verify_ldap_host=verify))])
    assert get(app, headers={"Authorization": RIGHT}).status_code == expected
    app.stop()


@pytest.mark.parametrize("worker_class", ["sync", "gthread", "gevent"])
def test_asks_from_every_worker_of_gunicorn(ldap, gunicorn, worker_class):
    config = settings(ldap, ldaps=True, cache_ttl=0)
    source = f"""
        from plugmw.contrib.ldap_auth.plugin import LDAPAuth
        from plugmw.testing import hello_app
        app = LDAPAuth.middleware(hello_app, **{config!r})
    """
    args = ["--threads", "4"] if worker_class == "gthread" else []
    server = gunicorn(source, workers=2, worker_class=worker_class, args=["--preload", *args])
    found = []

    def work():
        for sent, _ in zip(itertools.cycle((RIGHT, WRONG)), range(10)):
            answer = requests.get(server.url, headers={"Authorization": sent}, timeout=20)
            found.append((sent == RIGHT, answer.status_code))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(found) == {(True, 200), (False, 401)}
    assert "Traceback" not in server.log()
