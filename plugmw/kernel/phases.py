"""The phases of a plugin's life, in the order in which they are called."""

from __future__ import annotations

from typing import Final

INIT_WORKER: Final = "init_worker"
CONFIGURE: Final = "configure"
CERTIFICATE: Final = "certificate"
REWRITE: Final = "rewrite"
ACCESS: Final = "access"
RESPONSE: Final = "response"
HEADER_FILTER: Final = "header_filter"
BODY_FILTER: Final = "body_filter"
LOG: Final = "log"
WRAP: Final = "wrap"

#: Called for every request, in this order.
REQUEST_PHASES: Final = (REWRITE, ACCESS, RESPONSE, HEADER_FILTER, BODY_FILTER, LOG)

#: Every name a plugin may define, with what it is called for; ``plugmw plugins`` and the docs print it.
PHASES: Final = {
    INIT_WORKER: "once per process, after the fork and before its first request",
    CONFIGURE: "when the entry is built, and again on reload",
    CERTIFICATE: "on a TLS handshake; global entries only",
    REWRITE: "before routing; global entries only",
    ACCESS: "after routing, before the app is called",
    RESPONSE: "when the whole answer has been read; turns buffering on",
    HEADER_FILTER: "when status and headers are known, before they go out",
    BODY_FILTER: "for each chunk of the body, with exactly one end",
    LOG: "after the last byte, exactly once",
    WRAP: "when the chain is compiled; cuts it and nests the rest",
}
