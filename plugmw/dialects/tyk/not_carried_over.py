"""What to say of the keys of a definition that :mod:`~plugmw.dialects.tyk.fields` does not have.

An error where leaving one out would change who may pass or where a request goes; of every other that has a
value a warning. Silent are only those that decide nothing, or nothing without another that is reported.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Final

from plugmw.dialects.tyk.fields import ApiDefinition, ExtendedPaths
from plugmw.documents.document import Place
from plugmw.documents.shapes import described, fold, folded_get
from plugmw.documents.translation import Unread
from plugmw.schema import fields_of
from plugmw.schema.messages import suggest

Rules = dict[tuple[str, ...], "Unread | None"]

_PLUGIN: Final = 'the plugin {} in "plugmw": {{"plugins": [...]}}, and "use_keyless": true'
_CERTIFICATES: Final = "certificates of clients, checked by the server in front"
_VERSION: Final = ("version_data", "versions", "*")
_PATHS: Final = (*_VERSION, "extended_paths")


def _refused(instead: str) -> Unread:
    return Unread("has no counterpart", instead, is_error=True)


def _left_out(why: str) -> Unread:
    return Unread(f"is left out: {why}")


#: Authentication that Tyk does itself; it means nothing if the API is keyless.
_AUTHENTICATION: Final[Rules] = {
    ("enable_jwt",): _refused(_PLUGIN.format("jwt")),
    ("use_openid",): _refused(_PLUGIN.format("jwt")),
    ("use_basic_auth",): _refused(_PLUGIN.format("basic-auth")),
    ("enable_signature_checking",): _refused(_PLUGIN.format("hmac-auth")),
    ("use_oauth2",): _refused(_PLUGIN.format("oauth2")),
    ("external_oauth", "enabled"): _refused(_PLUGIN.format("jwt")),
    ("auth", "use_certificate"): _refused(_CERTIFICATES),
    ("auth", "validate_signature"): _refused(_PLUGIN.format("hmac-auth")),
    ("auth_configs", "*", "use_certificate"): _refused(_CERTIFICATES),
    ("auth_configs", "*", "validate_signature"): _refused(_PLUGIN.format("hmac-auth")),
}
#: What matters only if requests choose a version.
_VERSIONED: Final[Rules] = {
    (*_VERSION, "expires"): _refused("an API that is taken away on that day"),
    (*_VERSION, "override_target"): _refused("an API of its own"),
}
#: Lists for single endpoints, of versions that use the extended ones.
_EXTENDED: Final[Rules] = {
    (*_PATHS, "ignored"): _refused("endpoints that need no authentication: an API of their own"),
    (*_PATHS, "white_list"): _refused("an API for the endpoints that may be asked"),
    (*_PATHS, "black_list"): _refused("the plugin request-termination"),
    (*_PATHS, "internal"): _refused("an API of its own, behind no listen_path"),
    (*_PATHS, "validate_json"): _refused("a hook that validates"),
    (*_PATHS, "validate_request"): _refused("a hook that validates"),
    (*_PATHS, "size_limits"): _refused("the plugin request-size-limiting"),
    (*_PATHS, "rate_limit"): _refused("the plugin rate-limiting"),
    (*_PATHS, "url_rewrites"): _refused("a hook that sets the path"),
    (*_PATHS, "method_transforms"): _refused("a hook that sets the method"),
    (*_PATHS, "mock_response"): _refused("a hook that answers"),
    (*_PATHS, "virtual"): _refused("a hook in Python that answers"),
    (*_PATHS, "persist_graphql"): _refused("a hook that sets the request"),
    (*_PATHS, "*"): _left_out("requests to these endpoints go on as others"),
}
#: Their older form, of versions that do not.
_OLD_PATHS: Final[Rules] = {
    (*_VERSION, "paths", steps[-1]): rule
    for steps, rule in _EXTENDED.items()
    if steps[-1] in ("ignored", "white_list", "black_list")
}
_ALWAYS: Final[Rules] = {
    ("is_oas",): _refused("a classic API definition: what its OpenAPI part says is not read"),
    ("internal",): _refused("an API of its own, behind no listen_path"),
    ("use_mutual_tls_auth",): _refused(_CERTIFICATES),
    ("expiration",): _refused("an API that is taken away on that day"),
    ("graphql", "enabled"): _refused("the upstream to check its queries"),
    ("streaming", "enabled"): _refused("the upstream to stream"),
    ("json_rpc_version",): _refused("an API of requests by path"),
    ("definition", "enabled"): _refused("an API per version"),
    ("request_signing", "is_enabled"): _refused("a hook that signs"),
    ("upstream_auth", "enabled"): _refused("a hook that sets what the upstream asks for"),
    ("proxy", "enable_load_balancing"): _refused("one target_url"),
    ("proxy", "service_discovery", "use_discovery_service"): _refused("one target_url"),
    ("proxy", "transport", "proxy_url"): _refused("an upstream that is reached without a proxy"),
    ("proxy", "transport", "ssl_force_common_name_check"): _refused("a certificate with the host's name"),
    ("uptime_tests", "config", "service_discovery", "use_discovery_service"): _refused("one target_url"),
    ("uptime_tests", "check_list"): _left_out("upstreams are taken to be up"),
    (*_VERSION, "global_size_limit"): _refused("the plugin request-size-limiting"),
    (*_VERSION, "ignore_endpoint_case"): _refused("patterns with (?i)"),
    (*_VERSION, "global_headers"): _left_out("the plugin request-transformer sets headers"),
    (*_VERSION, "global_headers_remove"): _left_out("the plugin request-transformer removes headers"),
    (*_VERSION, "global_response_headers"): _left_out("the plugin response-transformer sets headers"),
    (*_VERSION, "global_response_headers_remove"): _left_out(
        "the plugin response-transformer removes headers"
    ),
    ("cache_options", "enable_cache"): _left_out("answers are not cached"),
    ("global_rate_limit", "rate"): _left_out("the plugin rate-limiting limits"),
    ("response_processors",): _left_out(
        "the plugins response-transformer and response-modifier change responses"
    ),
    ("event_handlers", "events"): _left_out("events are in the log"),
    ("enable_detailed_recording",): _left_out("analytics are those of plugins"),
    ("custom_middleware", "traffic_logs"): _left_out("analytics_plugin sees the records"),
    ("CORS", "debug"): _left_out("cors does not log"),
    ("_id",): _left_out("only a database looks at it"),
    ("session_provider",): _left_out("tokens are in plugmw.sessions, or keys of consumers"),
    ("auth", "name"): _left_out("nothing looks at it"),
    ("auth_configs", "*", "name"): _left_out("nothing looks at it"),
    ("auth_provider", "name"): _left_out("nothing looks at it"),
    ("listen_port",): _left_out("ports are the server's"),
    ("certificates",): _left_out("TLS is the server's"),
    ("upstream_certificates",): _left_out("no client certificate is shown to upstreams"),
    ("pinned_public_keys",): _refused("upstreams that are verified by their certificates"),
    **{
        ("custom_middleware", *kind, "code"): _refused("a function in a file: name and path")
        for kind in (("pre", "*"), ("auth_check",), ("post_key_auth", "*"), ("post", "*"), ("response", "*"))
    },
}
_SESSION: Final = ("plugmw", "sessions", "*")
_POLICY: Final = ("plugmw", "policies", "*")
_GRAPHQL: Final = _refused("the upstream to check its queries")
_RIGHTS: Final[Rules] = {
    (*owner, "access_rights", "*", name): rule
    for owner in (_SESSION, _POLICY)
    for names, rule in (
        (("restricted_types", "allowed_types", "field_access_rights", "disable_introspection"), _GRAPHQL),
        (("json_rpc_methods", "json_rpc_methods_access_rights"), _refused("an API of requests by path")),
        (("mcp_primitives", "mcp_access_rights"), _refused("an API of requests by path")),
    )
    for name in names
}
_NO_WAIT: Final = _left_out("who is above a limit is refused at once")
_SIGNED: Final = _left_out("the plugin hmac-auth checks signatures")
#: Of sessions and policies.
_STORED: Final[Rules] = {
    **_RIGHTS,
    (*_SESSION, "certificate"): _refused(_CERTIFICATES),
    (*_SESSION, "mtls_static_certificate_bindings"): _refused(_CERTIFICATES),
    (*_POLICY, "partitions"): _refused("a policy that counts as a whole"),
    (*_POLICY, "graphql_access_rights"): _GRAPHQL,
    (*_POLICY, "access_rights", "*", "limit"): _left_out("the policy's own limits count"),
    (*_POLICY, "access_rights", "*", "allowance_scope"): _left_out("the policy's own limits count"),
    **{
        (*owner, name): rule
        for owner in (_SESSION, _POLICY, (*_SESSION, "access_rights", "*", "limit"))
        for name, rule in (
            ("throttle_interval", _NO_WAIT),
            ("throttle_retry_limit", _NO_WAIT),
            ("smoothing", _left_out("limits are what they are")),
            ("max_query_depth", _left_out("the upstream checks queries")),
            ("enable_http_signature_validation", _SIGNED),
            ("hmac_enabled", _SIGNED),
            ("rsa_certificate_id", _SIGNED),
            ("post_expiry_action", _left_out("nothing is kept of keys")),
            ("post_expiry_grace_period", _left_out("nothing is kept of keys")),
            ("date_created", _left_out("nothing looks at it")),
            ("last_updated", _left_out("nothing looks at it")),
            ("key_expires_in", _left_out("keys end when their sessions say")),
            ("quota_renews", _left_out("quotas begin with their first request")),
            ("quota_remaining", _left_out("quotas begin with their first request")),
            ("_id", _left_out("the key of the mapping is the id")),
            ("id", _left_out("the key of the mapping is the id")),
        )
    },
}
_UNKNOWN_TO_TYK: Final[dict[Place, str]] = {
    _SESSION[:2]: "a field of a session of Tyk's",
    _POLICY[:2]: "a field of a policy of Tyk's",
}
#: Options of what is reported if it is on, and nothing without it.
_SILENT: Final[Rules] = dict.fromkeys(
    [
        *((name,) for name in ("jwt_signing_method", "jwt_source", "jwt_jwks_uris", "jwt_skip_kid")),
        *((name,) for name in ("jwt_identity_base_field", "jwt_client_base_field", "jwt_policy_field_name")),
        *((name,) for name in ("jwt_default_policies", "jwt_scope_claim_name")),
        *((f"jwt_{name}_validation_skew",) for name in ("issued_at", "expires_at", "not_before")),
        *((name,) for name in ("jwt_scope_to_policy_mapping", "scopes", "idp_client_id_mapping_disabled")),
        *((name,) for name in ("basic_auth", "oauth_meta", "notifications", "openid_options")),
        *((name,) for name in ("hmac_allowed_clock_skew", "hmac_allowed_algorithms", "client_certificates")),
        ("certificate_pinning_disabled",),
        ("auth", "signature"),
        ("auth_configs", "*", "signature"),
        *(("proxy", name) for name in ("target_list", "check_host_against_uptime_tests")),
        *(("version_data", name) for name in ("default_version",)),
        *((*_VERSION, name) for name in ("paths", "extended_paths", "expires", "override_target")),
        *((*_VERSION, f"global_{name}_disabled") for name in ("headers", "response_headers", "size_limit")),
        *(("definition", name) for name in ("name", "default", "versions", "strip_path")),
        *(("definition", name) for name in ("strip_versioning_data", "url_versioning_pattern")),
        *(("definition", name) for name in ("fallback_to_default",)),
        *((name,) for name in ("upstream_certificates_disabled", "tags_disabled")),
    ]
)
#: What some dates are where there is none.
_NEVER: Final = "-1"
#: Switches that take away the meaning of a key beside them.
_SWITCHES: Final = {
    "global_size_limit": "global_size_limit_disabled",
    "global_headers": "global_headers_disabled",
    "global_headers_remove": "global_headers_disabled",
    "global_response_headers": "global_response_headers_disabled",
    "global_response_headers_remove": "global_response_headers_disabled",
    "upstream_certificates": "upstream_certificates_disabled",
    "pinned_public_keys": "certificate_pinning_disabled",
    "tags": "tags_disabled",
}


def unread(
    data: Mapping[str, object], definition: ApiDefinition, version: str | None
) -> Iterator[tuple[Place, Unread]]:
    """Yield (place, what to say) of every key that is not read; ``version`` is the one that is served."""
    rules = _rules(definition, version)
    for place, cls, mapping in described(ApiDefinition, data):
        if place[:2] == _VERSION[:2] and place[2:] and place[2] != version:
            continue
        if cls is ExtendedPaths and rules.get((*_PATHS, "*")) is None:
            continue
        known = [field.name for field in fields_of(cls)]
        for key, value in mapping.items():
            switch = _SWITCHES.get(fold(key))
            if key not in known and not (switch and folded_get(mapping, switch)):
                yield from _of_key(rules, (*place, key), value, known)


def _rules(definition: ApiDefinition, version: str | None) -> Rules:
    """Return the rules for a definition: what is off in it has none."""
    rules = {**_SILENT, **_ALWAYS, **_STORED}
    if not definition.use_keyless:
        rules.update(_AUTHENTICATION)
    else:
        rules.update(dict.fromkeys(_AUTHENTICATION))
    if not definition.version_data.not_versioned:
        rules.update(_VERSIONED)
    served = definition.version_data.versions.get(version or "")
    if served is not None:
        rules.update(_EXTENDED if served.use_extended_paths else _OLD_PATHS)
    return rules


def _of_key(rules: Rules, place: Place, value: object, known: list[str]) -> Iterator[tuple[Place, Unread]]:
    """Yield what the rules say of a key, or of what stands below it."""
    exact = [steps for steps in rules if len(steps) >= len(place) and _fits(place, steps[: len(place)])]
    literal = [steps for steps in exact if steps[len(place) - 1] != "*"]
    for steps in literal or exact:
        rule, inner = rules[steps], list(_below(value, steps[len(place) :]))
        if rule is not None:
            yield from (((*place, *more), rule) for more, found in inner if has_value(found))
    if not exact and place[:2] in _UNKNOWN_TO_TYK:
        yield (
            place,
            Unread(
                f"unknown field {json.dumps(place[-1])}{suggest(place[-1], known)}",
                _UNKNOWN_TO_TYK[place[:2]],
                is_error=True,
            ),
        )
    elif not exact and has_value(value):
        yield place, Unread(f"is left out: nothing here reads it{suggest(place[-1], known)}")


def _fits(place: Place, steps: tuple[str, ...]) -> bool:
    return all(
        pattern == "*" or fold(str(step)) == fold(pattern) for step, pattern in zip(place, steps, strict=True)
    )


def _below(value: object, steps: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], object]]:
    """Yield the value at some steps, in whatever case they are written."""
    if not steps:
        yield (), value
        return
    for key, inner in value.items() if isinstance(value, Mapping) else ():
        if fold(key) == steps[0]:
            yield from (((key, *more), found) for more, found in _below(inner, steps[1:]))


def has_value(value: object) -> bool:
    """Say whether a value says something: zero, empty and disabled ones do not."""
    if isinstance(value, Mapping):
        return not folded_get(value, "disabled") and any(has_value(inner) for inner in value.values())
    if isinstance(value, list):
        return any(not (isinstance(one, Mapping) and folded_get(one, "disabled")) for one in value)
    return bool(value) and value != _NEVER
