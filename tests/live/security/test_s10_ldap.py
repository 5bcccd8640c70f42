"""S10: no name is another's DN, no password is none, all else a client sends is 401 (a real OpenLDAP)."""

from __future__ import annotations

from base64 import b64encode

import pytest

from tests.security.test_s10_ldap import INJECTIONS
from tests.security.test_s10_ldap import ldap as ldap
from tests.support import raw
from tests.support.slapd import PEOPLE


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
