"""S17: an answer names listed origins only, matched whole; star and credentials never meet; Vary says so."""

from __future__ import annotations

import pytest
from werkzeug.test import Client

from plugmw import Gateway
from plugmw.contrib.cors import Cors
from plugmw.testing import gateway, hello_app

SHOP = "https://shop.example"


PRIVATE = "Access-Control-Request-Private-Network"


@pytest.mark.parametrize("private", [False, True])
def test_s17_a_private_network_is_open_only_if_configured(private):
    app = gateway(Cors(origins=[SHOP], private_network=private))
    headers = {"Origin": SHOP, "Access-Control-Request-Method": "GET", PRIVATE: "true"}
    answer = Client(app).options("/", headers=headers)
    assert answer.headers.get("Access-Control-Allow-Private-Network") == ("true" if private else None)
    del headers[PRIVATE]
    assert "Access-Control-Allow-Private-Network" not in Client(app).options("/", headers=headers).headers


def test_s17_a_preflight_is_refused_by_what_comes_before_it():
    plugins = [
        {"name": "cors", "config": {"origins": [SHOP]}},
        {"name": "ip-restriction", "config": {"deny": ["127.0.0.1"]}},
    ]
    app = Gateway(hello_app, {"store": "memory://", "plugins": plugins})
    headers = {"Origin": SHOP, "Access-Control-Request-Method": "GET"}
    environ = {"REMOTE_ADDR": "127.0.0.1"}
    assert Client(app).options("/", headers=headers, environ_overrides=environ).status_code == 403
