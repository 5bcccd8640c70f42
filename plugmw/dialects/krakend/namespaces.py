"""Namespaces of ``extra_config``: their two names, and what becomes of those that nothing here reads.

What would change who may pass or where a request goes if it were left out is an error, other features of
KrakenD are a warning. A namespace that KrakenD does not know either is kept and left alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from plugmw.dialects.krakend.registry import CLIENT, HANDLER, KINDS, MODIFIER
from plugmw.documents.translation import Unread

ROUTER: Final = "router"
BACKEND_HTTP: Final = "backend/http"
SWITCHES: Final = "plugmw"
#: What keys begin with that are comments.
COMMENTS: Final = ("@", "$", "_", "#")
_OLD: Final = "github.com/devopsfaith/krakend"
_OLD_SERVICE: Final = "github_com/devopsfaith/krakend"

#: Long names by alias (``cmd/krakend-ce/main.go``); the underscore in some is the original's.
LONG: Final[dict[str, tuple[str, ...]]] = {
    **{kind.namespaces[0]: kind.namespaces[1:] for kind in KINDS},
    ROUTER: ("github_com/luraproject/lura/router/gin",),
    "proxy": (f"{_OLD}/proxy",),
    BACKEND_HTTP: (f"{_OLD}/http",),
    "backend/graphql": (f"{_OLD}/transport/http/client/graphql",),
    "backend/lambda": (f"{_OLD}-lambda",),
    "backend/amqp/consumer": (f"{_OLD}-amqp/consume",),
    "backend/amqp/producer": (f"{_OLD}-amqp/produce",),
    "backend/pubsub/publisher": (f"{_OLD}-pubsub/publisher",),
    "backend/pubsub/subscriber": (f"{_OLD}-pubsub/subscriber",),
    "async/amqp": (f"{_OLD}-amqp/agent",),
    "auth/client-credentials": (f"{_OLD}-oauth2-clientcredentials",),
    "auth/validator": (f"{_OLD}-jose/validator",),
    "auth/signer": (f"{_OLD}-jose/signer",),
    "auth/revoker": ("github_com/devopsfaith/bloomfilter",),
    "qos/ratelimit/router": (f"{_OLD}-ratelimit/juju/router",),
    "qos/ratelimit/proxy": (f"{_OLD}-ratelimit/juju/proxy",),
    "qos/http-cache": (f"{_OLD}-httpcache",),
    "qos/circuit-breaker": (f"{_OLD}-circuitbreaker/gobreaker",),
    "security/bot-detector": (f"{_OLD_SERVICE}-botdetector",),
    "security/http": (f"{_OLD_SERVICE}-httpsecure",),
    "security/cors": (f"{_OLD_SERVICE}-cors",),
    "validation/cel": (f"{_OLD}-cel",),
    "validation/json-schema": (f"{_OLD}-jsonschema",),
    "modifier/martian": (f"{_OLD}-martian",),
    "modifier/lua-endpoint": (f"{_OLD}-lua/router",),
    "modifier/lua-proxy": (f"{_OLD}-lua/proxy",),
    "modifier/lua-backend": (f"{_OLD}-lua/proxy/backend",),
    "telemetry/logging": (f"{_OLD_SERVICE}-gologging",),
    "telemetry/logstash": (f"{_OLD_SERVICE}-logstash",),
    "telemetry/gelf": (f"{_OLD_SERVICE}-gelf",),
    "telemetry/metrics": (f"{_OLD_SERVICE}-metrics",),
    "telemetry/influx": ("github_com/letgoapp/krakend-influx", f"{_OLD_SERVICE}-influx"),
    "telemetry/opencensus": (f"{_OLD_SERVICE}-opencensus",),
}
#: Newer ones, which have no long name in a file.
_ALIASES_ONLY: Final = ("plugin/middleware", "telemetry/opentelemetry", "documentation/openapi", SWITCHES)
_ALIASES: Final = {long: alias for alias, names in LONG.items() for long in names}
KNOWN: Final = frozenset((*LONG, *_ALIASES, *_ALIASES_ONLY))

_CALLED: Final = {"service": "the root", "endpoint": "an endpoint", "backend": "a backend"}
#: Where the namespaces that are read here may stand.
_LEVELS: Final[dict[str, tuple[str, ...]]] = {
    HANDLER.namespaces[0]: ("service",),
    ROUTER: ("service",),
    SWITCHES: ("service",),
    MODIFIER.namespaces[0]: ("endpoint", "backend"),
    CLIENT.namespaces[0]: ("backend",),
    BACKEND_HTTP: ("backend",),
}
#: Families without a counterpart that decide who may pass, where a request goes or what it holds, and what
#: can be used instead.
_REFUSED: Final = {
    "auth/validator": "jwt",
    "auth/basic": "basic-auth",
    "auth/api-keys": "key-auth",
    "auth/": "key-auth, basic-auth, hmac-auth, jwt, oauth2 or ldap-auth",
    "qos/ratelimit/": "rate-limiting",
    "security/bot-detector": "bot-detection",
    "security/cors": "cors",
    "security/": "ip-restriction, cors, bot-detection or pre-function",
    "validation/": "pre-function or a plugin of your own",
    "modifier/": "request-transformer, response-transformer or a plugin of your own",
    "backend/": "a plugin/http-client of your own",
    "plugin/middleware": "a plugin of your own",
    "server/": "a plugin of your own",
    "governance/": "rate-limiting",
    "websocket": "a plugin of your own",
    "workflow": "a plugin of your own",
    "ai/llm": "a plugin of your own",
}
_LEFT_OUT: Final = ("ai/", "qos/", "telemetry/", "documentation/", "async/", "grpc", "redis")
#: Of the namespace ``proxy``: those that change which calls are made or which replies are shown.
_PROXY_REFUSED: Final = ("sequential", "shadow")
_PROXY_KNOWN: Final = ("flatmap_filter",)

_NO_COUNTERPART: Final = Unread("is left out: it has no counterpart")


def normalised(extra_config: Mapping[str, object]) -> dict[str, object]:
    """Return namespaces under their aliases; where both names are given, the alias counts."""
    made = {_ALIASES[key]: value for key, value in extra_config.items() if key in _ALIASES}
    return {**made, **{key: value for key, value in extra_config.items() if key not in _ALIASES}}


def spelled(extra_config: Mapping[str, object], alias: str) -> str:
    """Return the name under which a file has a namespace."""
    names = (alias, *LONG.get(alias, ()))
    return next((name for name in names if name in extra_config), alias)


def is_known(name: str) -> bool:
    """Say whether KrakenD or plugmw has a namespace of this name, or a family of them."""
    return name in KNOWN or name.startswith((*_REFUSED, *_LEFT_OUT))


def not_carried_over(
    extra_config: Mapping[str, object], level: str
) -> Iterable[tuple[tuple[str, ...], Unread]]:
    """Yield what of the ``extra_config`` of a service, an endpoint or a backend is not carried over.

    Each with its steps below ``extra_config``.
    """
    for alias, value in normalised(extra_config).items():
        name = spelled(extra_config, alias)
        instead = next((_REFUSED[family] for family in _REFUSED if alias.startswith(family)), None)
        if alias in _LEVELS:
            if level not in _LEVELS[alias]:
                wanted = f"it at {' or '.join(_CALLED[right] for right in _LEVELS[alias])}"
                yield (name,), Unread(f"is ignored at {_CALLED[level]}", wanted)
        elif alias == "proxy":
            yield from _proxy(name, value)
        elif instead is not None:
            yield (name,), Unread("has no counterpart", f"instead, given in code: {instead}", is_error=True)
        elif alias.startswith(_LEFT_OUT):
            yield (name,), _NO_COUNTERPART


def _proxy(name: str, value: object) -> Iterable[tuple[tuple[str, ...], Unread]]:
    for key, inner in value.items() if isinstance(value, Mapping) else ():
        if key in _PROXY_REFUSED and inner:
            yield (name, key), Unread("has no counterpart", "an endpoint without it", is_error=True)
        elif key not in (*_PROXY_REFUSED, *_PROXY_KNOWN) and not key.startswith(COMMENTS):
            yield (name, key), _NO_COUNTERPART
