"""``kong.client``: addresses, consumers, protocols, with servers and processes."""

from __future__ import annotations

import ssl
from types import SimpleNamespace

from tests.support.kong import during
from tests.unit.dialects.kong.pdk.test_client import ask


def test_the_certificate_of_a_client_comes_from_the_server():
    call = ask.tls.get_full_client_certificate_chain
    assert during("access", call) is None
    assert during("access", call, environ={"SSL_CLIENT_CERT": "PEM"}) == "PEM"
    peer = SimpleNamespace(getpeercert=lambda binary: b"der")
    told = during("access", call, environ={"gunicorn.socket": peer})
    assert told == ssl.DER_cert_to_PEM_cert(b"der")
    silent = SimpleNamespace(getpeercert=lambda binary: None)
    assert during("access", call, environ={"gunicorn.socket": silent}) is None
