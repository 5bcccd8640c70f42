"""oauth2: configuration, the endpoints over HTTP, requests with a token, real clients against gunicorn."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests

from tests.support.certificates import certificates
from tests.support.servers import require_module
from tests.unit.contrib.oauth2.test_plugin import BACK, ROBOT, SHOP, document
from tests.unit.contrib.oauth2.test_plugin import shop as shop

# -- real clients ------------------------------------------------------------------------------------------

SERVED = """
    import json
    from plugmw import Gateway

    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "application/json")])
        names = ("HTTP_X_CREDENTIAL_IDENTIFIER", "HTTP_X_AUTHENTICATED_USERID", "HTTP_X_AUTHENTICATED_SCOPE")
        return [json.dumps([environ.get(name) for name in names]).encode()]

    app = Gateway(app, {document!r})
"""


@pytest.fixture(scope="module")
def live(gunicorn_for_module, tmp_path_factory):
    """A server of two workers over TLS: its address and its authority."""
    require_module("requests_oauthlib")
    made = certificates(tmp_path_factory.mktemp("tls"))
    args = ["--certfile", str(made.certificate), "--keyfile", str(made.key)]
    server = gunicorn_for_module(SERVED.format(document=document()), workers=2, args=args)
    return SimpleNamespace(url=f"https://localhost:{server.port}", ca=str(made.authority), server=server)


def session(live, client_id="shop", **options):
    from requests_oauthlib import OAuth2Session

    made = OAuth2Session(client_id, redirect_uri=BACK, scope=["email"], **options)
    made.verify = live.ca
    made.trust_env = False
    return made


def consent(live, address, user="alice"):
    """Be the application that asks the user: hand on what the client has asked for."""
    given = {
        **dict(parse_qsl(urlsplit(address).query)),
        "provision_key": "provision",
        "authenticated_userid": user,
    }
    answer = requests.post(f"{live.url}/oauth2/authorize", data=given, verify=live.ca, timeout=20)
    assert answer.status_code == 200, answer.text
    return answer.json()["redirect_uri"]


@pytest.mark.parametrize(
    ("client_id", "secret", "pkce"),
    [("shop", "secret", None), ("shop", "secret", "S256"), ("phone", None, "S256")],
    ids=["confidential", "confidential with PKCE", "public with PKCE"],
)
def test_a_client_gets_tokens_for_a_code_and_refreshes_them(live, client_id, secret, pkce):
    made = session(live, client_id, **({"pkce": pkce} if pkce else {}))
    address, _ = made.authorization_url(f"{live.url}/oauth2/authorize")
    proof = {"client_secret": secret} if secret else {}
    token = made.fetch_token(
        f"{live.url}/oauth2/token",
        authorization_response=consent(live, address),
        include_client_id=True,
        **proof,
    )
    # Both workers know every token.
    for _ in range(8):
        assert made.get(f"{live.url}/x").json() == [client_id, "alice", "email"]
    old = dict(token)
    made.refresh_token(f"{live.url}/oauth2/token", client_id=client_id, **proof)
    assert made.token["access_token"] != old["access_token"]
    assert made.get(f"{live.url}/x").status_code == 200
    headers = {"Authorization": f"Bearer {old['access_token']}"}
    assert requests.get(live.url, headers=headers, verify=live.ca, timeout=20).status_code == 401


def test_a_client_gets_a_token_in_the_address(live):
    from oauthlib.oauth2 import MobileApplicationClient

    made = session(live, client=MobileApplicationClient("shop"))
    address, _ = made.authorization_url(f"{live.url}/oauth2/authorize")
    token = made.token_from_fragment(consent(live, address))
    assert "refresh_token" not in token
    assert made.get(f"{live.url}/x").json() == ["shop", "alice", "email"]


def test_a_client_gets_a_token_for_itself(live):
    from oauthlib.oauth2 import BackendApplicationClient

    made = session(live, client=BackendApplicationClient("shop", scope=["email"]))
    made.fetch_token(f"{live.url}/oauth2/token", client_secret="secret")
    assert made.get(f"{live.url}/x").json() == ["shop", None, "email"]


def test_the_application_gets_a_token_for_a_user(live):
    from oauthlib.oauth2 import LegacyApplicationClient

    made = session(live, client=LegacyApplicationClient("shop", scope=["email"]))
    named = {"provision_key": "provision", "authenticated_userid": "carol"}
    made.fetch_token(
        f"{live.url}/oauth2/token", username="carol", password="checked", client_secret="secret", **named
    )
    assert made.get(f"{live.url}/x").json() == ["shop", "carol", "email"]
    made.refresh_token(f"{live.url}/oauth2/token", client_id="shop", client_secret="secret")
    assert made.get(f"{live.url}/x").json() == ["shop", "carol", "email"]


def test_a_client_is_told_what_is_wrong_in_words_it_knows(live):
    from oauthlib.oauth2 import BackendApplicationClient, InvalidClientError, InvalidScopeError

    made = session(live, client=BackendApplicationClient("shop", scope=["email"]))
    with pytest.raises(InvalidClientError):
        made.fetch_token(f"{live.url}/oauth2/token", client_secret="wrong")
    made = session(live, client=BackendApplicationClient("shop", scope=["other"]))
    made.scope = ["other"]
    with pytest.raises(InvalidScopeError):
        made.fetch_token(f"{live.url}/oauth2/token", client_secret="secret")


def test_of_many_who_exchange_a_code_at_once_one_gets_tokens(live):
    asked = f"?client_id=shop&response_type=code&scope=email&redirect_uri={BACK}"
    code = dict(parse_qsl(urlsplit(consent(live, asked)).query))["code"]
    given = {**SHOP, "grant_type": "authorization_code", "code": code, "redirect_uri": BACK}

    def exchange(_):
        return requests.post(f"{live.url}/oauth2/token", data=given, verify=live.ca, timeout=20).status_code

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(exchange, range(8))) == [200, *[400] * 7]


def test_tls_may_end_at_a_trusted_proxy(gunicorn):
    # gunicorn's own trust in the header is switched off, so that the plugin decides.
    server = gunicorn(SERVED.format(document=document()), args=["--forwarded-allow-ips", "192.0.2.1"])
    for told, status in (({"X-Forwarded-Proto": "https"}, 200), ({}, 400)):
        answer = requests.post(f"{server.url}/oauth2/token", json=ROBOT, headers=told, timeout=20)
        assert answer.status_code == status
