"""ldap-auth: configuration, who may pass and what is remembered, a real directory behind an app."""

from __future__ import annotations

import itertools
import threading

import pytest
import requests

from tests.unit.contrib.ldap_auth.test_plugin import RIGHT, WRONG, settings
from tests.unit.contrib.ldap_auth.test_plugin import ldap as ldap


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
