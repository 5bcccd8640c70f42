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


def test_a_quota_that_is_never_renewed_counts(client):
    limited = client(plugmw={"sessions": listed({"good": {"quota_max": 2}})})
    assert statuses(limited, "good") == [201, 201, 403]


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
        ([{"key": "s3cret", "nothing": 1}], '[0].nothing: unknown field "nothing", expected a field of a'),
        (["s3cret"], "[0]: got str, expected a session with its key"),
        ([{"key": "a"}, {"key": "s3cret", "rate": "x"}], "[1].rate: got 'x', expected a number"),
        ([{"key": "a", "hmac_string": 5, "jwt_data": {"secret": ["s3cret"]}}], "[0].hmac_string: "),
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


# -- what a session may do with an API -----------------------------------------------------------------


def statuses_of(client, *requests, token="good"):
    """Return the statuses of requests such as ``"GET /api/x"``."""
    headers = {"Authorization": token}
    split = [one.split() for one in requests]
    return [client.open(path, method=method, headers=headers).status_code for method, path in split]


def with_rights(client, access, options=None, **session):
    rights = {"id1": access}
    own = {"sessions": listed({"good": {"access_rights": rights, **session}})}
    return client(plugmw=own, options=options)


def test_a_session_may_go_only_where_its_allowed_urls_say(client, upstream):
    urls = [{"url": "/users", "methods": ["GET"]}, {"url": "/orders/{id}$", "methods": ["GET", "PUT"]}]
    client = with_rights(client, {"allowed_urls": urls})
    allowed = ("GET /api/users", "GET /api/users/5", "PUT /api/orders/7")
    refused = (
        "GET /api/admin",
        "POST /api/users",
        "HEAD /api/users",
        "GET /api/orders",
        "PUT /api/orders/7/x",
    )
    around = ("GET /api/users/../admin", "GET /api/users/%2e%2e/admin", "GET /api/admin/users", "GET /api/")
    assert statuses_of(client, *allowed) == [201] * 3
    asked = len(upstream.asked)
    assert statuses_of(client, *refused, *around) == [403] * 9
    assert len(upstream.asked) == asked
    answer = client.get("/api/admin", headers={"Authorization": "good"})
    assert answer.json == {"error": "Access to this resource has been disallowed"}


def test_a_path_that_is_too_long_to_be_looked_at_is_not_allowed(client):
    client = with_rights(client, {"allowed_urls": [{"url": "/users", "methods": ["GET"]}]})
    assert statuses_of(client, f"GET /api/users{'x' * 8192}") == [403]


def test_a_url_may_be_the_whole_path(client):
    client = with_rights(client, {"allowed_urls": [{"url": "/api/users", "methods": ["GET"]}]})
    assert statuses_of(client, "GET /api/users", "GET /api/admin") == [201, 403]


@pytest.mark.parametrize(
    ("conf", "compat", "expected"),
    [
        ({}, None, [201, 201, 403]),
        ({"enable_path_suffix_matching": True}, None, [201, 403, 403]),
        ({}, "tyk", [201, 201, 201]),
        ({"enable_path_prefix_matching": False}, None, [201, 201, 201]),
        ({"enable_path_prefix_matching": True}, "tyk", [201, 201, 403]),
    ],
)
def test_how_much_of_a_path_a_url_has_to_match_tyk_conf_says(client, conf, compat, expected):
    rights = {"id1": {"allowed_urls": [{"url": "/users", "methods": ["GET"]}]}}
    own = {
        "sessions": listed({"good": {"access_rights": rights}}),
        "tyk_conf": {"http_server_options": conf},
    }
    client = client(plugmw=own, options={"compat": compat} if compat else {})
    assert statuses_of(client, "GET /api/users", "GET /api/users/5", "GET /api/x/users") == expected


def test_keys_inside_a_session_are_read_in_any_case(client):
    access = {"Allowed_URLs": [{"URL": "/users", "Methods": ["GET"]}], "Limit": {"RATE": 1, "Per": 60}}
    client = with_rights(client, access)
    assert statuses_of(client, "GET /api/admin", "GET /api/users", "GET /api/users") == [403, 201, 429]


def test_a_limit_of_an_api_counts_instead_of_the_sessions(client):
    client = with_rights(client, {"limit": {"rate": 1, "per": 60}}, rate=100, per=60)
    assert statuses_of(client, "GET /api/x", "GET /api/y") == [201, 429]


def test_a_quota_of_an_api_counts_instead_of_the_sessions(client):
    client = with_rights(client, {"limit": {"quota_max": 1, "quota_renewal_rate": 60}}, quota_max=9)
    assert statuses_of(client, "GET /api/x", "GET /api/y") == [201, 403]


def test_an_endpoint_has_a_rate_of_its_own(client):
    methods = [{"name": "get", "limit": {"rate": 1, "per": 60}}]
    client = with_rights(client, {"endpoints": [{"path": "/slow", "methods": methods}]}, rate=2, per=60)
    slow, fast = ["GET /api/slow"] * 2, ["GET /api/fast"] * 3
    assert statuses_of(client, *slow, *fast) == [201, 429, 201, 201, 429]


@pytest.mark.parametrize(("versions", "status"), [(["v1"], 201), (["v2"], 403), ([], 403)])
def test_a_session_needs_a_right_to_the_version_of_a_versioned_api(client, versions, status):
    data = {"not_versioned": False, "versions": {"v1": {"name": "v1"}}}
    own = {"sessions": listed({"good": {"access_rights": {"id1": {"versions": versions}}}})}
    assert statuses_of(client(plugmw=own, version_data=data), "GET /api/x") == [status]


def test_a_hooks_session_has_its_rights_too(client):
    text = """
from plugmw.dialects.tyk import ctx
from plugmw.dialects.tyk.session import AccessDefinition, AccessSpec
def auth(rw, r):
    rights = {"id1": AccessDefinition(allowed_urls=[AccessSpec(url=u, methods=["GET"]) for u in ("(", "/a")])}
    ctx.set_session(r, ctx.SessionState(alias="ann", access_rights=rights))
"""
    client = client(text, auth_check="auth", custom_plugin_auth_enabled=True)
    assert statuses_of(client, "GET /api/a", "GET /api/b") == [201, 403]


@pytest.mark.parametrize(
    ("session", "message"),
    [
        (
            {"access_rights": {"id1": {"allowed_urls": [{"url": "("}]}}},
            "access_rights.id1.allowed_urls[0].url: got '(', expected a regular expression",
        ),
        (
            {"access_rights": {"id1": {"endpoints": [{"path": "("}]}}},
            "access_rights.id1.endpoints[0].path: got '(', expected a regular expression",
        ),
        (
            {"access_rights": {"id1": {"limit": {"rate": "x"}}}},
            "access_rights.id1.limit.rate: got 'x', expected a number",
        ),
        (
            {"access_rights": {"id1": {"allowed_types": [{"name": "Query"}]}}},
            "access_rights.id1.allowed_types: has no counterpart",
        ),
        (
            {"access_rights": {"id1": {"allowed_url": []}}},
            'access_rights.id1.allowed_url: unknown field "allowed_url"',
        ),
        ({"certificate": "abc"}, "certificate: has no counterpart, expected certificates of clients"),
        (
            {"mtls_static_certificate_bindings": ["abc"]},
            "mtls_static_certificate_bindings: has no counterpart",
        ),
    ],
)
def test_what_decides_what_a_session_may_do_is_read_or_an_error(client, session, message):
    with pytest.raises(ConfigErrors) as raised:
        client(plugmw={"sessions": [{"key": "a", **session}]})
    assert f"plugmw.sessions[0].{message}" in str(raised.value)


def test_other_fields_of_a_session_that_nothing_reads_are_warnings(api):
    limit = {"throttle_interval": 1}
    stored = {"throttle_interval": 1, "date_created": "2020", "access_rights": {"id1": {"limit": limit}}}
    own = {"sessions": [{"key": "a", **stored}]}
    gateway = Gateway.from_tyk(None, api("", use_keyless=False, plugmw=own))
    assert [str(warning).partition(":")[0] for warning in gateway.plan.warnings] == [
        "plugmw.sessions[0].throttle_interval",
        "plugmw.sessions[0].date_created",
        "plugmw.sessions[0].access_rights.id1.limit.throttle_interval",
    ]


# -- policies ------------------------------------------------------------------------------------------

RIGHT = {
    "access_rights": {"id1": {"allowed_urls": [{"url": "/users", "methods": ["GET"]}]}},
    "org_id": "org1",
}


def with_policies(client, policies, *names, **session):
    own = {"policies": policies, "sessions": listed({"good": {"apply_policies": list(names), **session}})}
    return client(plugmw=own)


@pytest.mark.parametrize("field", [{"apply_policies": ["gone"]}, {"apply_policy_id": "gone"}])
def test_a_session_whose_policy_does_not_exist_opens_nothing_and_check_says_so(api, field):
    own = {"sessions": [{"key": "good", **field}], "policies": {"there": RIGHT}}
    gateway = Gateway.from_tyk(None, api("", use_keyless=False, plugmw=own))
    answer = Client(gateway).get("/api/users", headers={"Authorization": "good"})
    assert (answer.status_code, answer.json) == (403, {"error": "Access to this API has been disallowed"})
    (warning,) = map(str, gateway.plan.warnings)
    assert warning == (
        f"plugmw.sessions[0].{next(iter(field))}: names no policy that there is, so requests with this token "
        "are refused: got gone, expected ids in plugmw.policies"
    )
    with pytest.raises(ConfigErrors, match="names no policy that there is"):
        Gateway.from_tyk(None, api("", use_keyless=False, plugmw={**own, "strict": True}))


def test_a_policys_rights_and_limits_are_put_in_place_of_the_sessions(client):
    policy = {**RIGHT, "rate": 2, "per": 60, "tags": ["t"], "meta_data": {"plan": "small"}}
    client = with_policies(client, {"p": policy}, "p", access_rights={"id2": {}}, rate=100, per=60)
    assert statuses_of(client, "GET /api/users", "GET /api/admin", "GET /api/users", "GET /api/users") == [
        *(201, 403, 201, 429)
    ]


def test_several_policies_add_their_rights_and_the_most_generous_limit_counts(client):
    orders = {"allowed_urls": [{"url": "/orders", "methods": ["GET"]}]}
    small = {**RIGHT, "rate": 1, "per": 60, "quota_max": 1}
    large = {**RIGHT, "access_rights": {"id1": orders}, "rate": 3, "per": 60, "quota_max": -1}
    client = with_policies(client, {"small": small, "large": large}, "small", "gone", "large")
    requests = ("GET /api/users", "GET /api/orders", "GET /api/users", "GET /api/users", "GET /api/x")
    assert statuses_of(client, *requests) == [201, 201, 201, 429, 403]


@pytest.mark.parametrize("policy", [{"is_inactive": True}, {"active": False}])
def test_an_inactive_policy_makes_its_sessions_inactive(client, policy):
    client = with_policies(client, {"p": {**RIGHT, **policy}}, "p")
    assert client.get("/api/users", headers={"Authorization": "good"}).json == {
        "error": "Key is inactive, please renew"
    }


def test_a_policy_without_rights_opens_nothing(client):
    assert statuses_of(with_policies(client, {"p": {"org_id": "org1"}}, "p"), "GET /api/users") == [403]


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ({**RIGHT, "org_id": "other"}, "org_id: got 'other', which is not the API's, expected 'org1'"),
        ({**RIGHT, "partitions": {"acl": True}}, "partitions: has no counterpart"),
        ({**RIGHT, "nothing": 1}, 'nothing: unknown field "nothing", expected a field of a policy'),
        ({**RIGHT, "rate": "x"}, "rate: got 'x', expected a number"),
    ],
)
def test_what_a_policy_cannot_say_here_is_an_error(client, policy, message):
    with pytest.raises(ConfigErrors) as raised:
        with_policies(client, {"p": policy})
    assert f"plugmw.policies.p.{message}" in str(raised.value)


@pytest.mark.parametrize(("name", "status"), [("p", 201), ("gone", 403)])
def test_a_hooks_session_has_the_rights_of_its_policies(client, name, status):
    text = f"""
from plugmw.dialects.tyk import ctx
def auth(rw, r):
    ctx.set_session(r, ctx.SessionState(alias="ann", apply_policies=[{name!r}]))
"""
    client = client(
        text, auth_check="auth", custom_plugin_auth_enabled=True, plugmw={"policies": {"p": RIGHT}}
    )
    assert statuses_of(client, "GET /api/users", "GET /api/admin") == [status, 403]


def test_the_groups_of_a_consumer_are_no_policies(client):
    client = client(plugmw={"consumers": CONSUMERS})
    assert statuses_of(client, "GET /api/x", token="k1") == [201]
