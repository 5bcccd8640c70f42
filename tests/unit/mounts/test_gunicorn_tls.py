"""The ``ssl_context`` hook of gunicorn: a real handshake picks the certificate by name."""

from __future__ import annotations

import ssl

from plugmw.mounts import gunicorn as hooks


def test_what_fails_around_the_plugins_is_logged_and_leaves_the_context(monkeypatch, caplog):
    monkeypatch.setattr(hooks, "_instances", lambda: 1 / 0)
    made = hooks.ssl_context(None, lambda: ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    connection = type("Connection", (), {"context": "own"})()
    assert made.sni_callback(connection, "a", made) is None
    assert connection.context == "own"
    assert "cannot choose a certificate" in caplog.text
    monkeypatch.setattr(hooks, "_instances", list)
    assert made.sni_callback(connection, "a", made) is None
