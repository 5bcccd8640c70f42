"""S4: one address per request, told by nobody who is not trusted, and the same one for every plugin."""

from __future__ import annotations

import pytest

from plugmw import Gateway
from tests.support.wsgi import environ_of, serve


@pytest.mark.parametrize(
    ("peer", "status"),
    [
        ("6.6.6.6", 403),
        ("::ffff:6.6.6.6", 403),
        ("::FFFF:606:606", 403),
        ("[::ffff:6.6.6.6]:80", 403),
        ("1.1.1.1", 200),
        ("::ffff:1.1.1.1", 200),
        ("2001:db8::6%eth0", 403),
        ("", 403),
        (None, 403),
        (" ", 403),
        ("garbage", 403),
        ("unix:", 403),
        ("\xff\xfe", 403),
    ],
)
def test_s4_whatever_a_server_says_of_the_peer_is_an_address_or_nobody(peer, status):
    entries = [{"name": "ip-restriction", "config": {"deny": ["6.6.6.6", "2001:db8::/32"]}}]
    for trust in ({}, {"trusted": ["10.0.0.0/8"]}):
        app = Gateway(
            lambda environ, start_response: start_response("200 OK", []) and [],
            {"store": "memory://", "plugins": entries, **trust},
        )
        environ = environ_of(REMOTE_ADDR=peer, HTTP_X_FORWARDED_FOR="1.1.1.1")
        assert serve(app, environ).status.startswith(str(status))
