"""One line in the log for each request that is refused: by which entry, why, whom, and its id.

    [REFUSED] 401 by key-auth (gateway.yaml: plugins[0]): No API key found in request;
        consumer -, GET /orders, request 5f1c...

The level is :data:`LEVEL`, between ``INFO`` and ``WARNING``, under a name of its own, so that it can be
looked for and filtered. A query is not in it: secrets stand there.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Final

from plugmw.kernel.levels import enabled, log
from plugmw.wsgi import keys
from plugmw.wsgi.answer import status_line
from plugmw.wsgi.paths import full_path, normalise
from plugmw.wsgi.request_id import request_id
from plugmw.wsgi.text import one_line

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

    from plugmw.kernel.exchange import Exchange
    from plugmw.kernel.identity import Consumer
    from plugmw.kernel.order import Entry
    from plugmw.kernel.runtime import Logger
    from plugmw.wsgi.answer import Exit

LEVEL: Final = 22
logging.addLevelName(LEVEL, "REFUSED")
#: Bytes of an answer in which its message is looked for.
_LARGEST: Final = 4096


def report(x: Exchange, refusal: Exit, entry: Entry | None) -> None:
    """Log an answer of an entry, or (None) of the gateway's own routing, with a status of 400 or above."""
    who = f"{entry.plugin.name} ({entry.where})" if entry else "the gateway"
    tell(x.environ, x.runtime.logger, refusal, who)


def tell(environ: WSGIEnvironment, logger: Logger, refusal: Exit, who: str = "the gateway") -> None:
    """Log an answer of the gateway's own, where there is no exchange."""
    if not enabled(logger, LEVEL):
        return
    consumer: Consumer | None = environ.get(keys.CONSUMER)
    name = (consumer.username or consumer.custom_id or consumer.id) if consumer else None
    method, path = str(environ.get("REQUEST_METHOD", "GET")), normalise(full_path(environ))
    log(
        logger,
        LEVEL,
        f"{refusal.status} by {who}: {one_line(_reason(refusal))}; consumer {one_line(name or '-')}, "
        f"{one_line(method)} {one_line(path)}, request {request_id(environ)}",
    )


def _reason(refusal: Exit) -> str:
    """Return why: what the code that refuses has said, or the message of the answer."""
    if refusal.because:
        return refusal.because
    body = refusal.body
    if body[:1] == b"{" and len(body) <= _LARGEST:
        try:
            # As the body begins with a brace, what can be read of it is an object.
            said = json.loads(body)
        except (ValueError, RecursionError):
            said = {}
        for key in ("message", "error", "error_description"):
            if isinstance(said.get(key), str):
                return str(said[key])
    return status_line(refusal.status)[4:]
