"""What a definition may say that has no counterpart here, and what to do instead.

An error where leaving it out would change who may pass or where a request goes, a warning otherwise. Keys
that are not here, and that nothing here reads, are ignored, as Tyk does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

Found = tuple[tuple[str, ...], str, str | None]

_PLUGIN: Final = 'the plugin {} in "plugmw": {{"plugins": [...]}}, and "use_keyless": true'
#: Authentication that Tyk does itself; looked at unless the API is keyless.
AUTHENTICATION: Final = {
    ("enable_jwt",): _PLUGIN.format("jwt"),
    ("use_openid",): _PLUGIN.format("jwt"),
    ("use_basic_auth",): _PLUGIN.format("basic-auth"),
    ("enable_signature_checking",): _PLUGIN.format("hmac-auth"),
    ("use_oauth2",): _PLUGIN.format("oauth2"),
    ("external_oauth", "enabled"): _PLUGIN.format("jwt"),
    ("use_mutual_tls_auth",): "certificates of clients, checked by the server in front",
    ("auth", "use_certificate"): "certificates of clients, checked by the server in front",
    ("auth", "validate_signature"): _PLUGIN.format("hmac-auth"),
}
#: Of keyless APIs too.
ERRORS: Final = {
    ("internal",): "an API of its own, behind no listen_path",
    ("graphql", "enabled"): "the upstream to check its queries",
    ("proxy", "enable_load_balancing"): "one target_url",
    ("proxy", "service_discovery", "use_discovery_service"): "one target_url",
    ("request_signing", "is_enabled"): "a hook that signs",
    ("uptime_tests", "config", "service_discovery", "use_discovery_service"): "one target_url",
}
WARNINGS: Final = {
    ("cache_options", "enable_cache"): "answers are not cached",
    ("global_rate_limit", "rate"): "the plugin rate-limiting limits",
    ("response_processors",): "the plugins response-transformer and response-modifier change responses",
    ("event_handlers", "events"): "events are in the log",
    ("enable_detailed_recording",): "analytics are those of plugins",
    ("CORS", "debug"): "cors does not log",
    ("listen_port",): "ports are the server's",
    ("certificates",): "TLS is the server's",
    ("upstream_certificates",): "no client certificate is shown to upstreams",
    ("pinned_public_keys",): "upstreams are verified by their certificates",
}
#: Of ``extended_paths``.
PATH_ERRORS: Final[dict[str, str]] = {
    "ignored": "endpoints that need no authentication: an API of their own",
    "white_list": "an API for the endpoints that may be asked",
    "black_list": "the plugin request-termination",
    "internal": "an API of its own, behind no listen_path",
    "validate_json": "a hook that validates",
    "validate_request": "a hook that validates",
    "size_limits": "the plugin request-size-limiting",
    "rate_limit": "the plugin rate-limiting",
}
_PATHS_READ: Final = ("go_plugin",)


def _at(data: Any, steps: tuple[str, ...]) -> Any:
    for step in steps:
        data = data.get(step) if isinstance(data, Mapping) else None
    return data


def authentication(definition: Mapping[str, Any]) -> Iterator[Found]:
    """Yield (place, what is wrong, what would be right) of authentication that is not done here."""
    for steps, instead in AUTHENTICATION.items():
        if _at(definition, steps):
            yield steps, "has no counterpart", instead


def errors(definition: Mapping[str, Any]) -> Iterator[Found]:
    """Yield what would change who may pass or where requests go."""
    for steps, instead in ERRORS.items():
        if _at(definition, steps):
            yield steps, "has no counterpart", instead
    protocol = definition.get("protocol") or "http"
    if protocol not in ("http", "https", "h2c"):
        yield ("protocol",), f"got {protocol!r}", "http or https"


def warnings(definition: Mapping[str, Any]) -> Iterator[Found]:
    """Yield what is left out and does not decide anything."""
    for steps, instead in WARNINGS.items():
        if _at(definition, steps):
            yield steps, f"is left out: {instead}", None


def extended_paths(paths: Mapping[str, Any]) -> Iterator[tuple[str, str, str | None, bool]]:
    """Yield (key, what is wrong, what would be right, whether it is an error) of ``extended_paths``."""
    for key, listed in paths.items():
        active = isinstance(listed, list) and any(_enabled(one) for one in listed)
        if key in _PATHS_READ or not active:
            continue
        if key in PATH_ERRORS:
            yield key, "has no counterpart", PATH_ERRORS[key], True
        else:
            yield key, "is left out: requests to these endpoints go on as others", None, False


def _enabled(one: Any) -> bool:
    return not (isinstance(one, Mapping) and one.get("disabled"))
