"""The log phase of remote plugins: what an exchange was is copied, and told to the server after the response.

Kong runs it from a timer with saved data; here a bounded queue and a thread do, so that neither the client
nor the worker waits for a plugin server.
"""

from __future__ import annotations

from plugmw.dialects.kong.pdk.rest import Ctx
from plugmw.kernel import state
from plugmw.kernel.exchange import Exchange
from plugmw.wsgi import keys

#: Environ keys that are gone when the response is.
_GONE = ("wsgi.input", "wsgi.errors", "wsgi.file_wrapper", "werkzeug.request", "gunicorn.socket")


def past(x: Exchange) -> Exchange:
    """Copy an exchange in its log phase: headers, status, ctx and all that the log entry is made from.

    Its request body is gone.
    """
    x.request_id  # noqa: B018 - makes one, so that all see the same
    private = x.state(Ctx)
    environ = {key: value for key, value in x.environ.items() if key not in _GONE}
    environ[keys.CTX] = dict(x.ctx)
    environ[keys.STATE] = environ[keys.STATE].copy()
    state.of(environ, Ctx).update({name: dict(memory) for name, memory in private.items()})
    changes = environ.get(keys.RECORD_CHANGES)
    if changes:
        environ[keys.RECORD_CHANGES] = list(changes)
    return x.snapshot(environ)
