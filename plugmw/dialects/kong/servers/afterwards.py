"""The log phase of remote plugins: what an exchange was is copied, and told to the server after the response.

Kong runs it from a timer with saved data; here a bounded queue and a thread do, so that neither the client
nor the worker waits for a plugin server.
"""

from __future__ import annotations

from plugmw.exchange import Exchange

#: Environ keys that are gone when the response is.
_GONE = ("wsgi.input", "wsgi.errors", "wsgi.file_wrapper", "werkzeug.request", "gunicorn.socket")


def past(x: Exchange) -> Exchange:
    """Copy an exchange in its log phase: headers, status, ctx and all that the log entry is made from.

    Its request body is gone.
    """
    x.request_id  # noqa: B018 - makes one, so that all see the same
    environ = {key: value for key, value in x.environ.items() if key not in _GONE}
    ctx = dict(x.ctx)
    private = ctx.get("plugmw.kong.private")
    if private:
        ctx["plugmw.kong.private"] = {name: dict(values) for name, values in private.items()}
    environ["plugmw.ctx"] = ctx
    changes = environ.get("plugmw.record.changes")
    if changes:
        environ["plugmw.record.changes"] = list(changes)
    return x.snapshot(environ)
