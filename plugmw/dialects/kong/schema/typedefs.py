"""Kong's ready-made field types by name: ``{"port": {"typedef": "port"}}`` (``typedefs.lua``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from plugmw.schema import typedefs as known

#: A field's definition in Kong's schema language: what its keys hold depends on its ``type``.
Definition: TypeAlias = Mapping[str, Any]


def _text(problem: known.Problem) -> dict[str, object]:
    return {"type": "string", "custom_validator": problem}


_TAG: Final = _text(known.tag_problem)
_METHOD: Final = {"type": "string", "match": "^%u+$"}
_PROTOCOL: Final = {"type": "string", "one_of": list(known.PROTOCOLS)}
_HTTP: Final = list(known.HTTP_PROTOCOLS)

TYPEDEFS: Final[dict[str, Definition]] = {
    "http_method": _METHOD,
    "methods": {"type": "set", "elements": _METHOD},
    "protocol": _PROTOCOL,
    "protocols": {"type": "set", "required": True, "default": _HTTP, "elements": _PROTOCOL},
    "protocols_http": {
        "type": "set",
        "required": True,
        "default": _HTTP,
        "elements": {"type": "string", "one_of": _HTTP},
    },
    "host": _text(known.host_problem),
    "redis_host": _text(known.host_problem),
    "host_with_optional_port": _text(known.host_with_optional_port_problem),
    "wildcard_host": _text(known.wildcard_host_problem),
    "ip": _text(known.ip_problem),
    "ip_or_cidr": _text(known.ip_or_cidr_problem),
    "cidr_v4": _text(known.cidr_v4_problem),
    "cidr": _text(known.cidr_v4_problem),
    "port": {"type": "integer", "between": [0, 65535]},
    "path": _text(known.path_problem),
    "url": _text(known.url_problem),
    "cookie_name": _text(known.cookie_name_problem),
    "header_name": _text(known.header_name_problem),
    "timeout": {"type": "integer", "between": [0, known.MAX_TIMEOUT]},
    "uuid": {"type": "string", "uuid": True},
    "auto_timestamp_s": {"type": "integer", "timestamp": True},
    "auto_timestamp_ms": {"type": "number", "timestamp": True},
    "sni": _text(known.sni_problem),
    "redis_server_name": _text(known.sni_problem),
    "certificate": _text(known.certificate_problem),
    "key": _text(known.key_problem),
    "tag": {**_TAG, "required": True},
    "tags": {"type": "set", "elements": _TAG},
    "lua_code": {
        "type": "map",
        "keys": {"type": "string"},
        "values": {"type": "string"},
    },
    "no_route": {"type": "foreign", "reference": "routes", "eq": None},
    "no_service": {"type": "foreign", "reference": "services", "eq": None},
    "no_consumer": {"type": "foreign", "reference": "consumers", "eq": None},
}
