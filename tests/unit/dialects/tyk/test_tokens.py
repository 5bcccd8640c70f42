"""Tyk's own token authentication, and what sessions may do."""

from __future__ import annotations

import pytest
from werkzeug.test import Client

from plugmw import Gateway
from plugmw.errors import ConfigErrors
from tests.unit.dialects.tyk.conftest import headers_seen, write

SESSIONS = {
    "good": {"alias": "alice", "org_id": "org1", "meta_data": {"tier": "gold"}},
    "inactive": {"is_inactive": True},
    "expired": {"expires": 999},
    "not yet": {"expires": 1001},
    "other": {"access_rights": {"id2": {}}},
    "mine": {"access_rights": {"id1": {}}},
}


def listed(sessions):
    return [{"key": key, **fields} for key, fields in sessions.items()]


@pytest.fixture
def client(serve):
    """Return a client of an API with token authentication: ``client(**fields)``."""

    def start(text="", options=None, **fields):
        own = {"sessions": listed(SESSIONS), "store": "memory://", **fields.pop("plugmw", {})}
        options = {"clock": lambda: 1000.0, **(options or {})}
        return serve(text, use_keyless=False, plugmw=own, options=options, **fields)

    return start


def test_a_request_without_token_is_answered_401_in_tyks_format(client, upstream):
    answer = client().get("/api/x")
    assert (answer.status_code, answer.data) == (401, b'{\n    "error": "Authorization field missing"\n}')
    assert answer.headers["Content-Type"] == "application/json"
    assert not upstream.asked


@pytest.mark.parametrize("kind", ["application/xml", "text/xml", "application/soap+xml; charset=utf-8"])
def test_requests_of_xml_are_answered_xml(client, kind):
    answer = client().post("/api/x", data=b"<a/>", content_type=kind)
    assert answer.data == (
        b'<?xml version = "1.0" encoding = "UTF-8"?>\n<error>Authorization field missing</error>\n'
    )
    assert answer.headers["Content-Type"] == kind.partition(";")[0]


@pytest.mark.parametrize(
    ("token", "status", "problem"),
    [
        ("good", 201, None),
        ("Bearer good", 201, None),
        ("bearer good", 201, None),
        ("not yet", 201, None),
        ("mine", 201, None),
        ("unknown", 403, "Access to this API has been disallowed"),
        ("other", 403, "Access to this API has been disallowed"),
        ("inactive", 403, "Key is inactive, please renew"),
        ("expired", 401, "Key has expired, please renew"),
        ("Bearer ", 401, "Authorization field missing"),
    ],
)
def test_a_token_opens_its_session(client, token, status, problem):
    answer = client().get("/api/x", headers={"Authorization": token})
    assert (answer.status_code, answer.json.get("error")) == (status, problem)


def test_hooks_see_the_session_and_the_token(client):
    text = """
from plugmw.dialects.tyk import ctx
def after(rw, r):
    session = ctx.get_session(r)
    r.Header.Set("X-Session", f"{session.alias} {session.metadata['tier']} {ctx.get_auth_token(r)}")
    session.alias = "changed"
"""
    client = client(text, post_key_auth=["after"])
    for _ in range(2):
        seen = headers_seen(client.get("/api/x", headers={"Authorization": "good"}))
        assert (seen["X-Session"], seen["X-Consumer-Username"]) == ("alice gold good", "alice")


CONSUMERS = [
    {"username": "bob", "acls": [{"group": "admins"}], "keyauth_credentials": [{"key": "k1"}]},
    {"username": "carl", "keyauth_credentials": [{"key": "k2", "ttl": 10, "created": 5}]},
]


@pytest.mark.parametrize("where", ["definition", "code"])
def test_keys_of_consumers_are_tokens(client, where):
    own = {"plugmw": {"consumers": CONSUMERS}} if where == "definition" else {}
    options = {"consumers": CONSUMERS} if where == "code" else {}
    client = client(options=options, **own)
    seen = headers_seen(client.get("/api/x", headers={"Authorization": "k1"}))
    assert seen["X-Consumer-Username"] == "bob"
    assert client.get("/api/x", headers={"Authorization": "k2"}).status_code == 403


def test_a_credential_whose_consumer_is_gone_opens_nothing(client):
    from plugmw.kernel.identity import Credential, MemoryDirectory

    directory = MemoryDirectory()
    directory.add("key-auth", "k1", Credential(id="c", consumer_id="gone"))
    client = client(options={"consumers": directory})
    assert client.get("/api/x", headers={"Authorization": "k1"}).status_code == 403


PLACES = {
    "header": ({"auth_header_name": "X-Key"}, "/api/x", {"X-Key": "good"}),
    "parameter": ({"use_param": True}, "/api/x?Authorization=good", {}),
    "named parameter": ({"param_name": "key", "use_param": True}, "/api/x?key=good&a=1", {}),
    "parameter by its name alone": ({"param_name": "key"}, "/api/x?key=good", {}),
    "cookie": ({"use_cookie": True}, "/api/x", {"Cookie": "a=1; Authorization=good"}),
    "named cookie": ({"cookie_name": "key"}, "/api/x", {"Cookie": "key=good"}),
    "twice the same": ({"param_name": "key"}, "/api/x?key=good", {"Authorization": "good"}),
}


@pytest.mark.parametrize("name", ["auth", "auth_configs"])
@pytest.mark.parametrize(("auth", "path", "headers"), PLACES.values(), ids=PLACES)
def test_a_token_is_where_the_definition_says(client, auth, path, headers, name):
    given = {"auth": auth} if name == "auth" else {"auth_configs": {"authToken": auth}}
    assert client(**given).get(path, headers=headers).status_code == 201
    assert client().get("/api/x?Authorization=good", headers={"Cookie": "key=good"}).status_code == 401


@pytest.mark.parametrize(("auth", "path", "headers"), PLACES.values(), ids=PLACES)
def test_the_upstream_may_get_the_request_without_the_token(client, upstream, auth, path, headers):
    assert client(auth=auth, strip_auth_data=True).get(path, headers=headers).status_code == 201
    asked = upstream.asked[0]
    assert "good" not in f"{asked.target} {[item for item in asked.headers if item[0] != 'X-Forwarded-Path']}"
    if "Cookie" in headers and "a=1" in headers["Cookie"]:
        assert asked.get("Cookie") == "a=1"


def test_a_header_may_be_left_out(client):
    client = client(auth={"disable_header": True, "use_param": True})
    assert client.get("/api/x", headers={"Authorization": "good"}).status_code == 401


def test_different_tokens_are_refused_where_tyk_takes_the_last(client):
    headers = {"Authorization": "unknown"}
    fields = {"auth": {"use_param": True}}
    assert client(**fields).get("/api/x?Authorization=good", headers=headers).status_code == 403
    compat = client(options={"compat": "tyk"}, **fields)
    assert compat.get("/api/x?Authorization=good", headers=headers).status_code == 201


@pytest.mark.parametrize(
    ("cookie", "status"),
    [
        ("; =; Authorization", 401),
        ('Authorization="good"', 201),
        ("Authorization=good; Authorization=x", 403),
    ],
)
def test_cookies_are_read_as_they_come(client, cookie, status):
    assert client(auth={"use_cookie": True}).get("/api/x", headers={"Cookie": cookie}).status_code == status


LIMITED = {
    "good": {"alias": "alice", "rate": 2, "per": 60},
    "quota": {"quota_max": 1, "quota_renewal_rate": 60},
}


def statuses(client, token):
    return [client.get("/api/x", headers={"Authorization": token}).status_code for _ in range(3)]


def test_rate_and_quota_of_a_session_are_kept(client):
    limited = client(plugmw={"sessions": listed(LIMITED)})
    assert statuses(limited, "good") == [201, 201, 429]
    assert statuses(limited, "quota") == [201, 403, 403]


def test_rate_and_quota_can_be_switched_off(client):
    free = client(plugmw={"sessions": listed(LIMITED)}, disable_rate_limit=True, disable_quota=True)
    assert statuses(free, "good") + statuses(free, "quota") == [201] * 6


def test_use_standard_auth_asks_for_a_token_after_auth_check(client):
    text = "def auth(rw, r):\n    r.Header.Set('X-Auth', '1')\n"
    client = client(text, auth_check="auth", custom_plugin_auth_enabled=True, use_standard_auth=True)
    assert client.get("/api/x").status_code == 401
    assert headers_seen(client.get("/api/x", headers={"Authorization": "good"}))["X-Auth"] == "1"


@pytest.mark.parametrize("disabled", [True, False], ids=["disabled", "not switched on"])
def test_an_auth_check_that_is_not_in_force_leaves_token_authentication(serve, upstream, disabled):
    hook = {"name": "auth", "path": "plugin.so", "disabled": disabled}
    client = serve(
        "def auth(rw, r):\n    1 / 0\n",
        use_keyless=False,
        custom_plugin_auth_enabled=disabled,
        custom_middleware={"auth_check": hook},
    )
    assert client.get("/api/x").status_code == 401
    answer = client.get("/api/x", headers={"Authorization": "x"})
    assert answer.json == {"error": "Access to this API has been disallowed"}


def test_a_session_that_a_hook_took_away_is_refused_later(client, upstream):
    text = "def after(rw, r):\n    r.environ.pop('plugmw.tyk.session')\n"
    answer = client(text, post_key_auth=["after"]).get("/api/x", headers={"Authorization": "good"})
    assert (answer.status_code, upstream.asked) == (400, [])


@pytest.mark.parametrize(
    ("sessions", "problem"),
    [
        ([{"key": "s3cret", "nothing": 1}], '[0]: unknown field "nothing", expected the fields of a session'),
        (["s3cret"], "[0]: got str, expected a session with its key"),
        ([{"key": "a"}, {"key": "s3cret", "rate": "x"}], "[1]: "),
        ([{"key": "s3cret"}, {"key": "s3cret"}], "[1].key: is the token of another session"),
        ([{"alias": "s3cret"}], "[0].key: missing or no text, expected the token"),
    ],
)
def test_sessions_that_are_no_sessions_are_errors_without_their_token(client, sessions, problem):
    with pytest.raises(ConfigErrors) as raised:
        client(plugmw={"sessions": sessions})
    assert f"plugmw.sessions{problem}" in str(raised.value)
    assert "s3cret" not in str(raised.value)


def test_a_token_may_come_from_the_environment_whatever_it_looks_like(api, tmp_path, monkeypatch):
    monkeypatch.setenv("PARTNER_KEY", "1e10")
    own = {"sessions": [{"key": "${PARTNER_KEY}", "alias": "partner"}]}
    path = write(tmp_path / "api.json", api("", use_keyless=False, plugmw=own))
    client = Client(Gateway.from_tyk(None, str(path)))
    assert client.get("/api/x", headers={"Authorization": "1e10"}).status_code == 201
    assert client.get("/api/x", headers={"Authorization": "10000000000.0"}).status_code == 403
