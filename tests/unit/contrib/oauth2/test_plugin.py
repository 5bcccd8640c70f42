"""oauth2: configuration, the endpoints over HTTP, requests with a token, real clients against gunicorn."""

from __future__ import annotations

import json
import logging
from types import SimpleNamespace

import pytest

from plugmw import ConfigError
from plugmw.auth.consumers import directory
from plugmw.contrib.key_auth import KeyAuth
from plugmw.contrib.oauth2 import OAuth2
from plugmw.contrib.oauth2.plugin import BAD_TOKEN, GLOBAL_TOKEN, LARGEST
from plugmw.errors import StoreError
from plugmw.gateway import Gateway
from plugmw.kernel.identity import Credential
from plugmw.kernel.order import Entry
from plugmw.stores import open_store
from plugmw.testing import get, hello_app
from plugmw.wsgi.redaction import Redaction
from tests.support.plugins import made as plugin_made

FORM, JSON = "application/x-www-form-urlencoded", "application/json"
MULTIPART = "multipart/form-data; boundary=b"
NOBODY = {"id": "00000009-0000-4000-8000-000000000009", "username": "no-body"}
BOB = {
    "id": "00000001-0000-4000-8000-000000000001",
    "username": "bob",
    "keyauth_credentials": [{"key": "k"}],
    "oauth2_credentials": [
        {
            "name": "Shop",
            "client_id": "shop",
            "client_secret": "secret",
            "redirect_uris": ["https://shop.example/back"],
        }
    ],
}
CONFIG = {
    "scopes": ["email", "profile"],
    "provision_key": "provision",
    "enable_authorization_code": True,
    "enable_client_credentials": True,
    "enable_password_grant": True,
}
SHOP = {"client_id": "shop", "client_secret": "secret"}
ROBOT = {**SHOP, "grant_type": "client_credentials", "scope": "email"}
USER = {"provision_key": "provision", "authenticated_userid": "Zoë"}
MISSING = {"error": "invalid_request", "error_description": "The access token is missing"}
INVALID = {"error": "invalid_token", "error_description": BAD_TOKEN}
PLAIN = {"error": "access_denied", "error_description": "You must use HTTPS"}


class Shop:
    """A gateway, its clock, and what its app saw last."""

    def __init__(self, config=None, others=(), store=None, service=None, consumers=None, **document):
        self.now = SimpleNamespace(now=1000.0)
        self.saw = []
        plugin = OAuth2(**{**CONFIG, **(config or {})})
        if service is not None:
            document["routes"] = [{"name": "r", "paths": ["/"], "service": service}]
        self.app = Gateway(
            hello_app,
            {"store": "memory://", **({} if consumers else {"consumers": [BOB, NOBODY]}), **document},
            plugins=[*others, Entry(plugin, service=service)],
            clock=lambda: self.now.now,
            **({"store": store} if store else {}),
            **({"consumers": consumers} if consumers else {}),
        )

    def ask(self, path="/", scheme="https", **request):
        self.saw.clear()
        environ = {"plugmw.testing.saw": self.saw, "wsgi.url_scheme": scheme, **request.pop("environ", {})}
        return get(self.app, path=path, environ=environ, **request)

    def post(self, endpoint="token", **given):
        request = {name: given.pop(name) for name in ("headers", "scheme", "environ") if name in given}
        return self.ask(f"/oauth2/{endpoint}", method="POST", json=given, **request)

    def token(self, **given):
        return self.post(**{**ROBOT, **given}).json["access_token"]

    def with_token(self, token, **request):
        return self.ask(headers={"Authorization": f"Bearer {token}"}, **request)


@pytest.fixture
def shop():
    return Shop()


# -- configuration -----------------------------------------------------------------------------------------


BAD = {
    "no grant": ({"enable_client_credentials": False}, "at least one of these fields must be true"),
    "mandatory scope of none": ({"mandatory_scope": True}, "scopes: required field missing"),
    "mandatory scope of no scopes": ({"mandatory_scope": True, "scopes": []}, "scopes: required field"),
    "scope with a blank": ({"scopes": ["a b"]}, "scopes: got .*scopes without blanks"),
    "scope that is no list": ({"scopes": "a"}, "scopes: got 'a', expected a list"),
    "negative expiration": ({"token_expiration": -1}, "token_expiration: got -1"),
    "refresh tokens that end before they begin": ({"refresh_token_ttl": -1}, "refresh_token_ttl: got -1"),
    "refresh tokens of three years": ({"refresh_token_ttl": 100000001}, "refresh_token_ttl: got 100000001"),
    "unknown mode": ({"pkce": "always"}, "pkce: got 'always', expected one of none, lax, strict"),
    "header with a blank": ({"auth_header_name": "my header"}, "auth_header_name: got"),
    "realm with a quote": ({"realm": 'a"b'}, "realm: got"),
    "empty provision key": ({"provision_key": ""}, "provision_key: got"),
}


@pytest.mark.parametrize(("config", "message"), BAD.values(), ids=BAD)
def test_refuses_a_bad_configuration(config, message):
    with pytest.raises(ConfigError, match=message):
        OAuth2(**{"enable_client_credentials": True, **config})


# -- access: the endpoints ---------------------------------------------------------------------------------


def test_an_answer_of_an_endpoint_is_json_that_nobody_keeps(shop):
    answer = shop.post(**ROBOT, state="s")
    assert (answer.status_code, answer.mimetype) == (200, "application/json")
    assert (answer.headers["Cache-Control"], answer.headers["Pragma"]) == ("no-store", "no-cache")
    assert sorted(answer.json) == ["access_token", "expires_in", "state", "token_type"]
    assert (answer.json["state"], shop.saw) == ("s", [])


def test_an_error_of_an_endpoint_is_like_that_too(shop):
    answer = shop.post(**{**ROBOT, "client_secret": "x"}, state="s")
    assert (answer.status_code, answer.headers["Cache-Control"]) == (400, "no-store")
    assert answer.json == {
        "error": "invalid_client",
        "error_description": "Invalid client authentication",
        "state": "s",
    }
    assert "WWW-Authenticate" not in answer.headers


def test_a_wrong_basic_header_is_challenged(shop):
    answer = shop.post(grant_type="client_credentials", headers={"Authorization": "Basic YTpi"})
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, 'Basic realm="OAuth2.0"')
    assert answer.headers["Cache-Control"] == "no-store"


def test_authorize_answers_with_an_address(shop):
    asked = {**USER, "client_id": "shop", "response_type": "code", "state": "s"}
    answer = shop.post("authorize", **asked)
    assert (answer.status_code, sorted(answer.json)) == (200, ["redirect_uri"])
    assert answer.json["redirect_uri"].startswith("https://shop.example/back?code=")
    answer = shop.post("authorize", **{**asked, "response_type": "x"})
    assert (answer.status_code, sorted(answer.json)) == (400, ["redirect_uri"])
    answer = shop.post("authorize", **{**asked, "provision_key": "x"})
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_provision_key")
    assert answer.json["state"] == "s"


BODIES = {
    "form": (FORM, "&".join(f"{name}={value}" for name, value in ROBOT.items())),
    "JSON": (JSON, json.dumps(ROBOT)),
    "multipart": (
        MULTIPART,
        "".join(
            f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in ROBOT.items()
        )
        + "--b--\r\n",
    ),
}


@pytest.mark.parametrize(("kind", "body"), BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("path", ["/oauth2/token", "/oauth2/token/", "/a/oauth2/token", "/a//oauth2//token"])
def test_parameters_come_in_any_form_under_any_prefix(shop, kind, body, path):
    answer = shop.ask(path, method="POST", content_type=kind, data=body)
    assert answer.status_code == 200


def test_an_endpoint_is_told_by_the_whole_path(shop):
    environ = {"SCRIPT_NAME": "/a/oauth2", "PATH_INFO": "/token"}
    answer = shop.ask("/", method="POST", json=ROBOT, environ=environ)
    assert answer.status_code == 200


def test_parameters_may_be_in_the_query(shop):
    answer = shop.ask("/oauth2/token", method="POST", query_string=ROBOT)
    assert answer.status_code == 200


def test_a_body_of_another_type_stays_unread(shop):
    answer = shop.ask("/oauth2/token", method="POST", content_type="text/plain", data="x" * 2 * LARGEST)
    assert answer.json["error"] == "invalid_client"


def test_a_body_that_is_too_large_is_refused(shop):
    assert shop.post(**ROBOT, x="x" * LARGEST).status_code == 413


METHODS = {
    "authorize": ("authorize", "GET", None, "", "authorization"),
    "token": ("token", "DELETE", None, "", "token"),
    "realm": ("token", "PUT", "shop", 'realm="shop", ', "token"),
}


@pytest.mark.parametrize(("endpoint", "method", "realm", "quoted", "kind"), METHODS.values(), ids=METHODS)
def test_only_post_is_an_endpoint_for(endpoint, method, realm, quoted, kind):
    answer = Shop({"realm": realm}).ask(f"/oauth2/{endpoint}", method=method)
    description = f"The HTTP method {method} is invalid for the {kind} endpoint"
    assert answer.status_code == 405
    assert answer.json == {"error": "invalid_method", "error_description": description}
    assert answer.headers["WWW-Authenticate"] == (
        f'Bearer {quoted}error="invalid_method", error_description="{description}"'
    )
    assert answer.headers["Allow"] == "POST"


HTTPS = {
    # config, peer, X-Forwarded-Proto, scheme -> what is wrong
    "TLS": ({}, "192.0.2.1", None, "https", None),
    "none": ({}, "127.0.0.1", None, "http", PLAIN),
    "told, but not asked for": ({}, "127.0.0.1", "https", "http", PLAIN),
    "told by a trusted peer": (
        {"accept_http_if_already_terminated": True},
        "127.0.0.1",
        "HTTPS",
        "http",
        None,
    ),
    "told by anybody": ({"accept_http_if_already_terminated": True}, "192.0.2.1", "https", "http", PLAIN),
    "told to be plain": ({"accept_http_if_already_terminated": True}, "127.0.0.1", "http", "http", PLAIN),
    "told nothing": ({"accept_http_if_already_terminated": True}, "127.0.0.1", None, "http", PLAIN),
    "told twice": (
        {"accept_http_if_already_terminated": True},
        "127.0.0.1",
        "https, http",
        "http",
        {"error": "access_denied", "error_description": "Only one X-Forwarded-Proto header allowed"},
    ),
}


@pytest.mark.parametrize(("config", "peer", "told", "scheme", "wrong"), HTTPS.values(), ids=HTTPS)
@pytest.mark.parametrize("endpoint", ["token", "authorize"])
def test_the_endpoints_need_https(config, peer, told, scheme, wrong, endpoint):
    shop = Shop(config, trusted=["127.0.0.1"])
    headers = {} if told is None else {"X-Forwarded-Proto": told}
    answer = shop.post(endpoint, **ROBOT, headers=headers, scheme=scheme, environ={"REMOTE_ADDR": peer})
    if wrong is not None:
        assert (answer.status_code, answer.json) == (400, wrong)
    else:
        assert answer.json.get("error") != "access_denied"


def test_the_endpoints_are_there_for_those_who_have_a_credential_already():
    shop = Shop({"anonymous": "no-body"}, [KeyAuth(anonymous="no-body")])
    assert "access_token" in shop.post(**ROBOT, headers={"apikey": "k"}).json


# -- access: requests with a token -------------------------------------------------------------------------


def test_the_app_is_told_who_asks_and_for_whom(shop):
    token = shop.token(**USER, scope="email profile")
    forged = {
        "X-Consumer-Custom-ID": "root",
        "X-Authenticated-UserId": "root",
        "X-Anonymous-Consumer": "true",
    }
    answer = shop.ask(headers={"Authorization": f"Bearer {token}", **forged}, scheme="http")
    saw = shop.saw[0]
    assert answer.status_code == 200
    assert (saw["HTTP_X_CONSUMER_ID"], saw["HTTP_X_CONSUMER_USERNAME"]) == (BOB["id"], "bob")
    assert saw["HTTP_X_CREDENTIAL_IDENTIFIER"] == "shop"
    assert saw["HTTP_X_AUTHENTICATED_SCOPE"] == "email profile"
    assert saw["HTTP_X_AUTHENTICATED_USERID"].encode("latin-1").decode() == "Zoë"
    assert saw["plugmw.oauth2"].userid == "Zoë"
    assert not {"HTTP_X_CONSUMER_CUSTOM_ID", "HTTP_X_ANONYMOUS_CONSUMER"} & saw.keys()


def test_the_app_is_told_of_no_user_and_scope_where_there_is_none(shop):
    token = shop.token(scope="")
    shop.ask(headers={"Authorization": f"Bearer {token}", "X-Authenticated-Scope": "all"})
    assert not [key for key in shop.saw[0] if key.startswith("HTTP_X_AUTHENTICATED")]


PLACES = {
    # header, method, query, type, body -> status
    "Bearer": ("Bearer {}", "GET", "", "", "", 200),
    "token, blanks": (" tOKEN   {} ", "GET", "", "", "", 200),
    "header without scheme": ("{}", "GET", "", "", "", 200),
    "another scheme": ("Basic {}", "GET", "", "", "", 401),
    "joined headers": ("Bearer {0},Bearer {0}", "GET", "", "", "", 401),
    "wrong header, right query": ("Bearer x", "GET", "access_token={}", "", "", 401),
    "empty header, right query": ("", "GET", "access_token={}", "", "", 401),
    "query": (None, "GET", "access_token={}", "", "", 200),
    "query twice": (None, "GET", "access_token={0}&access_token={0}", "", "", 401),
    "form": (None, "POST", "", FORM, "access_token={}", 200),
    "JSON": (None, "PUT", "", JSON, '{{"access_token": "{}"}}', 200),
    "multipart": (
        None,
        "PATCH",
        "",
        MULTIPART,
        '--b\r\nContent-Disposition: form-data; name="access_token"\r\n\r\n{}\r\n--b--\r\n',
        200,
    ),
    "body before query": (None, "POST", "access_token={}", FORM, "access_token=x", 401),
    "body of a method without": (None, "DELETE", "", FORM, "access_token={}", 401),
    "JSON twice": (None, "POST", "", JSON, '{{"access_token": "{0}", "access_token": "{0}"}}', 401),
    "JSON number": (None, "POST", "", JSON, '{{"access_token": 1}}', 401),
}


@pytest.mark.parametrize(("header", "method", "query", "kind", "body", "status"), PLACES.values(), ids=PLACES)
def test_a_token_is_looked_for(shop, header, method, query, kind, body, status):
    token = shop.token()
    headers = {} if header is None else {"Authorization": header.format(token)}
    data = body.format(token).encode()
    request = {"query_string": query.format(token), "data": data, "content_type": kind}
    answer = shop.ask(method=method, headers=headers, **request)
    assert answer.status_code == status
    if status == 200:
        assert shop.saw[0]["wsgi.input"].read() == data


def test_the_header_may_have_another_name():
    shop = Shop({"auth_header_name": "X-Token"})
    assert shop.ask(headers={"X-Token": f"Bearer {shop.token()}"}).status_code == 200
    assert shop.with_token(shop.token()).json == MISSING


REFUSALS = {
    "missing": ({}, None, MISSING, "Bearer"),
    "missing, realm": ({"realm": "shop"}, None, MISSING, 'Bearer realm="shop"'),
    "unknown": ({}, "x", INVALID, f'Bearer error="invalid_token", error_description="{BAD_TOKEN}"'),
    "unknown, realm": (
        {"realm": "shop"},
        "x",
        INVALID,
        f'Bearer realm="shop", error="invalid_token", error_description="{BAD_TOKEN}"',
    ),
}


@pytest.mark.parametrize(("config", "token", "body", "challenge"), REFUSALS.values(), ids=REFUSALS)
def test_a_request_without_good_token_is_refused(config, token, body, challenge):
    shop = Shop(config)
    answer = shop.ask() if token is None else shop.with_token(token)
    assert (answer.status_code, answer.json, shop.saw) == (401, body, [])
    assert answer.headers["WWW-Authenticate"] == challenge


def test_a_token_ends(shop):
    token = shop.token()
    shop.now.now += 7200
    assert shop.with_token(token).status_code == 200
    shop.now.now += 0.5
    assert shop.with_token(token).json == INVALID


def test_a_token_is_for_its_service():
    store = open_store("memory://")
    here, there = (Shop(store=store, service=name) for name in ("here", "there"))
    token = here.token()
    assert here.with_token(token).status_code == 200
    assert there.with_token(token).json == INVALID
    everywhere = Shop({"global_credentials": True}, store=store, service="there")
    assert everywhere.with_token(token).json == INVALID


@pytest.mark.parametrize(("compat", "status"), [(False, 401), (True, 200)])
def test_entries_of_two_routes_without_a_service_share_no_tokens_but_in_compat(compat, status):
    routes = [{"name": name, "paths": [f"/{name}"]} for name in ("a", "b")]
    entries = [Entry(OAuth2(**CONFIG, compat=compat), route=route["name"]) for route in routes]
    app = Gateway(
        hello_app,
        {"store": "memory://", "consumers": [BOB, NOBODY], "routes": routes},
        plugins=entries,
        clock=lambda: 1000.0,
    )
    https = {"wsgi.url_scheme": "https"}
    token = get(app, method="POST", path="/a/oauth2/token", json=ROBOT, environ=https).json["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    assert get(app, path="/a/x", headers=headers).status_code == 200
    assert get(app, path="/b/x", headers=headers).status_code == status


def test_a_global_token_is_for_every_service_that_takes_one():
    store = open_store("memory://")
    here, there = (
        Shop({"global_credentials": True}, store=store, service=name) for name in ("here", "there")
    )
    token = here.token()
    assert there.with_token(token).status_code == 200
    answer = Shop(store=store, service="here").with_token(token)
    assert (answer.status_code, answer.json["error_description"]) == (401, GLOBAL_TOKEN)


CHANGED = {
    "the client is gone": lambda found: None,
    "another client has its name": lambda found: Credential(id="2", consumer_id="1", data=found.data),
    "its consumer is gone": lambda found: Credential(id="1", consumer_id="2", data=found.data),
    "nothing": lambda found: found,
}


@pytest.mark.parametrize("name", CHANGED)
def test_a_token_ends_when(name):
    data = {
        "client_id": "shop",
        "client_secret": "secret",
        "client_type": "confidential",
        "redirect_uris": None,
    }
    consumers = SimpleNamespace(
        consumer=lambda name: (
            SimpleNamespace(id="1", username="bob", custom_id=None) if name == "1" else None
        ),
        credential=lambda kind, key: client,
    )
    client = made = Credential(id="1", consumer_id="1", data=data)
    shop = Shop(consumers=consumers)
    token = shop.token()
    client = CHANGED[name](made)
    assert shop.with_token(token).status_code == (200 if name == "nothing" else 401)


# -- access: hiding ----------------------------------------------------------------------------------------

LEFT = {
    # header, query, type, body -> what is left
    "header": ("Bearer {}", "access_token=1&a=2", "", "", (None, "a=2", b"")),
    "header without scheme": ("{}", "a=2", "", "", ("{}", "a=2", b"")),
    "query": (None, "a=1&access_token={}&b=2", "", "", (None, "a=1&b=2", b"")),
    "form": (None, "", FORM, "a=1&access_token={}", (None, "", b"a=1")),
    "JSON": (None, "", JSON, '{{"a": 1, "access_token": "{}"}}', (None, "", b'{"a":1}')),
    "form without it": (None, "access_token={}", FORM, "a=1", (None, "", b"a=1")),
    "a form that was not looked at": ("Bearer {}", "", FORM, "access_token=x", (None, "", b"access_token=x")),
}


@pytest.mark.parametrize(("header", "query", "kind", "body", "left"), LEFT.values(), ids=LEFT)
def test_hides_the_token(header, query, kind, body, left):
    shop = Shop({"hide_credentials": True})
    token = shop.token()
    headers = {} if header is None else {"Authorization": header.format(token)}
    request = {"query_string": query.format(token), "data": body.format(token), "content_type": kind}
    assert shop.ask(method="POST", headers=headers, **request).status_code == 200
    saw = shop.saw[0]
    expected = left[0] and left[0].format(token)
    assert (saw.get("HTTP_AUTHORIZATION"), saw["QUERY_STRING"], saw["wsgi.input"].read()) == (
        expected,
        *left[1:],
    )


def test_a_multipart_body_stays_as_it_is():
    shop = Shop({"hide_credentials": True})
    body = f'--b\r\nContent-Disposition: form-data; name="access_token"\r\n\r\n{shop.token()}\r\n--b--\r\n'
    shop.ask(method="POST", data=body, content_type=MULTIPART)
    assert shop.saw[0]["wsgi.input"].read() == body.encode()


def test_hides_nothing_unless_told_so(shop):
    token = shop.token()
    shop.with_token(token, query_string="access_token=x")
    assert shop.saw[0]["HTTP_AUTHORIZATION"] == f"Bearer {token}"
    assert shop.saw[0]["QUERY_STRING"] == "access_token=x"


# -- through an app ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("token", [None, "x"], ids=["no token", "wrong token"])
def test_the_anonymous_consumer_stands_in(token):
    shop = Shop({"anonymous": "no-body"})
    headers = {"X-Authenticated-UserId": "root", **({"Authorization": f"Bearer {token}"} if token else {})}
    answer = shop.ask(headers=headers)
    saw = shop.saw[0]
    assert (answer.status_code, saw["HTTP_X_ANONYMOUS_CONSUMER"]) == (200, "true")
    assert saw["HTTP_X_CONSUMER_USERNAME"] == "no-body"
    assert not {"HTTP_X_CREDENTIAL_IDENTIFIER", "HTTP_X_AUTHENTICATED_USERID", "plugmw.oauth2"} & saw.keys()


def test_a_missing_anonymous_consumer_is_an_error():
    answer = Shop({"anonymous": "nowhere"}).ask()
    assert answer.status_code == 500
    assert answer.json["message"] == "anonymous consumer nowhere is configured but doesn't exist"


def test_no_user_of_a_token_is_told_when_another_plugin_has_authenticated():
    def lie(x):
        x.environ.update({"HTTP_X_AUTHENTICATED_SCOPE": "all", "HTTP_X_AUTHENTICATED_USERID": "root"})

    earlier = [KeyAuth(anonymous="no-body"), plugin_made("liar", 2000, access=lie)]
    shop = Shop({"anonymous": "no-body"}, [Entry(earlier[0], priority=3000), earlier[1]])
    token = shop.token(**USER)
    answer = shop.ask(headers={"apikey": "k", "Authorization": f"Bearer {token}"})
    assert answer.status_code == 200
    assert not [key for key in shop.saw[0] if key.startswith("HTTP_X_AUTHENTICATED")]
    assert "plugmw.oauth2" not in shop.saw[0]


@pytest.mark.parametrize("config", [{}, {"anonymous": "no-body"}], ids=["alone", "with anonymous"])
def test_a_store_that_fails_lets_nobody_pass(config):
    def down(*given, **named):
        raise StoreError("redis://tokens", "timed out after 1 s")

    store = SimpleNamespace(get=down, set=down, add=down, delete=down, close=lambda: None, scope="network")
    shop = Shop(config, store=store)
    answer = shop.with_token("x")
    assert (answer.status_code, answer.json["message"]) == (500, "An unexpected error occurred")
    assert shop.post(**ROBOT).status_code == 500


def test_clients_that_nobody_can_list_are_found():
    listed = directory([BOB])
    consumers = SimpleNamespace(consumer=listed.consumer, credential=listed.credential)
    assert "access_token" in Shop(consumers=consumers).post(**ROBOT).json


def test_no_secret_is_logged(shop, caplog):
    with caplog.at_level(logging.DEBUG):
        token = shop.token(**USER)
        shop.with_token(token)
        shop.post(**{**ROBOT, "client_secret": "wrong-secret"})
    for secret in (token, "secret", "provision", "wrong-secret"):
        assert secret not in caplog.text


def test_log_entries_leave_out_what_the_endpoints_are_given(shop):
    shop.ask()
    redaction = Redaction.of().within(SimpleNamespace(runtime=shop.app.runtime))
    query = "client_secret=a&code=b&code_verifier=c&provision_key=d&refresh_token=e&access_token=f&g=h"
    left = redaction.target(f"/oauth2/token?{query}")
    assert left.count("REDACTED") == 6
    assert left.endswith("&g=h")


BACK = "https://client.example/back"
LIVE = {
    **CONFIG,
    "enable_implicit_grant": True,
    "mandatory_scope": True,
    "accept_http_if_already_terminated": True,
}


def document():
    clients = [
        {"name": "Shop", **SHOP, "hash_secret": True, "redirect_uris": [BACK]},
        {"name": "Phone", "client_id": "phone", "client_type": "public", "redirect_uris": [BACK]},
    ]
    return {
        "trusted": ["127.0.0.1"],
        "plugins": [{"name": "oauth2", "config": LIVE}],
        "consumers": [{"username": "bob", "oauth2_credentials": clients}],
    }
