"""The keys that plugmw sets and reads in a WSGI environ, and those it shares in ``x.ctx``.

No other module spells one. Apps and plugins may rely on the public ones, which the docs list; a private one
may change its name, its type and its meaning at any time. The constants are plain texts, so that a look-up
costs what it would without them.
"""

from __future__ import annotations

from typing import Final, NamedTuple

#: What every key begins with, save those of ``x.ctx``.
PREFIX: Final = "plugmw."

BODY: Final = "plugmw.body"
CONSUMER: Final = "plugmw.consumer"
CORRELATION_ID: Final = "plugmw.correlation_id"
CREDENTIAL: Final = "plugmw.credential"
CTX: Final = "plugmw.ctx"
GENERATION: Final = "plugmw.generation"
KRAKEND_CALL: Final = "plugmw.krakend.call"
LOGGER: Final = "plugmw.logger"
OAUTH2: Final = "plugmw.oauth2"
RECORD_CHANGES: Final = "plugmw.record.changes"
REQUEST_ID: Final = "plugmw.request_id"
SERVICE: Final = "plugmw.service"
SERVICE_BODY: Final = "plugmw.service_body"
STATE: Final = "plugmw.state"
STRIPPED_PREFIX: Final = "plugmw.stripped_prefix"
TARGET: Final = "plugmw.target"
TESTING_SAW: Final = "plugmw.testing.saw"
TRACE_ID: Final = "plugmw.trace_id"
TYK_API: Final = "plugmw.tyk.api"
TYK_SESSION: Final = "plugmw.tyk.session"
TYK_TOKEN: Final = "plugmw.tyk.token"  # noqa: S105
UPSTREAM: Final = "plugmw.upstream"

#: In ``x.ctx``; the names are those of Kong's ``kong.ctx.shared``.
CTX_GROUPS: Final = "authenticated_groups"
CTX_JWT: Final = "authenticated_jwt_token"


class Key(NamedTuple):
    """What is to be known of a key."""

    name: str
    #: The value's type, as one would say it in a docstring.
    type: str
    #: The module that says what the value means.
    owner: str
    public: bool
    help: str


#: The keys of the environ, by name.
KEYS: Final = (
    Key(
        BODY,
        "(stream, bytes)",
        "wsgi.body",
        False,
        "A body that was read; good while wsgi.input is that stream.",
    ),
    Key(
        CONSUMER, "Consumer or None", "kernel.exchange", True, "Who is asking; absent before authentication."
    ),
    Key(CORRELATION_ID, "str", "contrib.correlation_id", True, "The identifier of correlation-id."),
    Key(CREDENTIAL, "Credential or None", "kernel.exchange", True, "By what the consumer was authenticated."),
    Key(
        CTX,
        "dict",
        "kernel.exchange",
        True,
        "What plugins share, as `exchange.ctx`; a middleware outside may fill it.",
    ),
    Key(
        GENERATION,
        "(Lease, ...)",
        "reload.generations",
        False,
        "Held by what runs on a generation of a gateway.",
    ),
    Key(KRAKEND_CALL, "Call", "dialects.krakend.forwarding", False, "URL and deadline of a backend's call."),
    Key(LOGGER, "Logger", "dialects.inject_logger", True, "The logger that `InjectLogger` hands down."),
    Key(OAUTH2, "Grant", "contrib.oauth2.plugin", True, "The access token that oauth2 has accepted."),
    Key(RECORD_CHANGES, "list", "telemetry.log_entry", False, "Changes by plugins to the log entry."),
    Key(
        REQUEST_ID,
        "str",
        "kernel.exchange",
        True,
        "The id of this request, once asked for; may be set outside.",
    ),
    Key(
        SERVICE,
        "(int, list of headers)",
        "kernel.response_iterable",
        True,
        "The app's own status and headers, for plugins with `needs_upstream_response`.",
    ),
    Key(
        SERVICE_BODY,
        "bytes",
        "kernel.response_iterable",
        True,
        "The app's own body, for plugins with `needs_upstream_response`, if one of them asked to buffer it.",
    ),
    Key(STATE, "State", "kernel.state", False, "What each plugin keeps of this request (`exchange.state`)."),
    Key(
        STRIPPED_PREFIX,
        "str",
        "upstream.services",
        False,
        "The part of the path that `strip_path` has cut off.",
    ),
    Key(
        TARGET,
        "str, wrapped",
        "wsgi.request_target",
        False,
        "The target as the client sent it, once it was changed.",
    ),
    Key(TESTING_SAW, "list", "testing", True, "A test's list, to which `hello_app` adds the environ it saw."),
    Key(
        TRACE_ID, "dict of str", "contrib.zipkin.plugin", False, "The trace ids that were sent on, by format."
    ),
    Key(TYK_API, "Api", "dialects.tyk.api", False, "The API of the request."),
    Key(TYK_SESSION, "SessionState", "dialects.tyk.session", False, "The session that hooks see."),
    Key(TYK_TOKEN, "str", "dialects.tyk.context", False, "The token that the session was found by."),
    Key(
        UPSTREAM,
        "UpstreamRequest",
        "wsgi.upstream_request",
        True,
        "What plugins tell the upstream, and what came of it.",
    ),
)

#: The keys of ``x.ctx``, by name.
CTX_KEYS: Final = (
    Key(CTX_GROUPS, "list of str", "contrib.acl", True, "Groups that acl takes in place of the consumer's."),
    Key(CTX_JWT, "str", "contrib.jwt.plugin", True, "The token that jwt has accepted."),
)
