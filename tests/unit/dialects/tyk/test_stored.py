"""Sessions as a file has them."""

from __future__ import annotations

import attrs

from plugmw.dialects.tyk.session import AccessSpec, EndpointLimit, Limit, MethodLimit, SessionState
from plugmw.dialects.tyk.stored import SessionFields, session
from plugmw.schema import build, fields_of

STORED = {
    "key": "token",
    "rate": 5,
    "meta_data": {"tier": "gold", "n": 1},
    "hmac_string": "secret",
    "basic_auth_data": {"password": "p", "hash_type": "bcrypt"},
    "jwt_data": {"secret": "s"},
    "monitor": {"trigger_limits": [80]},
    "enable_detail_recording": True,
    "access_rights": {
        "id1": {
            "api_id": "id1",
            "versions": ["v1"],
            "allowed_urls": [{"url": "/a", "methods": ["GET"]}],
            "limit": {"rate": 1, "per": 60, "quota_max": 7, "quota_renewal_rate": 3600},
            "endpoints": [{"path": "/b", "methods": [{"name": "GET", "limit": {"rate": 2, "per": 10}}]}],
            "allowance_scope": "id1",
        }
    },
}


def test_a_session_of_a_file_is_one_of_hooks_with_all_that_it_says():
    found = session(build(SessionFields, STORED, "session"))
    assert (found.rate, found.hmac_secret, found.enable_detailed_recording) == (5.0, "secret", True)
    assert found.metadata == {"tier": "gold", "n": "1"}
    assert (found.basic_auth_data.password, found.basic_auth_data.hash) == ("p", "bcrypt")
    assert (found.jwt_data.secret, found.monitor.trigger_limits) == ("s", [80])
    access = found.access_rights["id1"]
    assert (access.api_id, access.versions, access.allowance_scope) == ("id1", ["v1"], "id1")
    assert access.allowed_urls == [AccessSpec("/a", ["GET"])]
    assert access.limit == Limit(1, 60, 7, 3600)
    assert access.endpoints == [EndpointLimit("/b", [MethodLimit("GET", 2, 10)])]


def test_every_field_of_a_file_is_one_that_hooks_see():
    renamed = {"key", "meta_data", "hmac_string", "enable_detail_recording"}
    hooks = {field.name for field in attrs.fields(SessionState)}
    assert {field.name for field in fields_of(SessionFields)} - renamed <= hooks
