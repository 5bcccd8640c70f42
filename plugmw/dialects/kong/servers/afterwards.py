"""The log phase of remote plugins: what an exchange was is copied, and told to the server after the response.

Kong runs it from a timer with saved data; here a bounded queue and a thread do, so that neither the client
nor the worker waits for a plugin server.
"""

from __future__ import annotations

from typing import Any

from plugmw import keys, state
from plugmw.dialects.kong.pdk.rest import Ctx
from plugmw.exchange import Exchange

#: Attributes of an exchange that live on its class or are set late.
_KEPT = (
    *("status_line", "source", "error", "begun", "app_called", "first_byte", "ended", "sent"),
    *("route", "service", "runtime", "_started"),
)
#: Environ keys that are gone when the response is.
_GONE = ("wsgi.input", "wsgi.errors", "wsgi.file_wrapper", "werkzeug.request", "gunicorn.socket")


class Past(Exchange):
    """An exchange as it was at its end; its request body is gone."""

    def __init__(self, x: Exchange) -> None:
        x.request_id  # noqa: B018 - makes one, so that all see the same
        x.started  # noqa: B018 - likewise
        private = x.state(Ctx)
        environ = {key: value for key, value in x.environ.items() if key not in _GONE}
        environ[keys.CTX] = dict(x.ctx)
        environ[keys.STATE] = environ[keys.STATE].copy()
        state.of(environ, Ctx).update({name: dict(memory) for name, memory in private.items()})
        super().__init__(environ, _nobody)
        kept: dict[str, Any] = self.__dict__
        for name in _KEPT:
            kept[name] = getattr(x, name)
        kept["header_list"] = list(x.header_list or ())
        self.phase = "log"


def past(x: Exchange) -> Past:
    """Copy an exchange in its log phase: headers, status, ctx and all that the log entry is made from."""
    made = Past(x)
    changes = x.environ.get(keys.RECORD_CHANGES)
    if changes:
        made.environ[keys.RECORD_CHANGES] = list(changes)
    return made


def _nobody(*arguments: Any) -> Any:
    raise RuntimeError("the response has gone out")
