"""Requests to a gateway whose parts come from a fuzzer: whatever they are, the fault is the client's."""

from __future__ import annotations

import re
from io import BytesIO
from typing import Any

from plugmw import Gateway
from tests.fuzz.budget import tried
from tests.support.wsgi import Result, environ_of, serve

_UNSENDABLE = re.compile("[\r\n\0]").search


def seen(environ: Any, start_response: Any) -> list[bytes]:
    """Answer with the user name that the app was told; an app to put behind a gateway."""
    environ["wsgi.input"].read()
    body = environ.get("HTTP_X_CONSUMER_USERNAME", "").encode("latin-1")
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


def ask(gateway: Gateway, body: bytes = b"", **environ: Any) -> Result:
    """Return the answer to a request, of which a client may well be told that it is wrong, but no more."""

    def once() -> Result:
        made = environ_of(**environ, **{"wsgi.input": BytesIO(body)})
        if body:
            made["CONTENT_LENGTH"] = str(len(body))
        return serve(gateway, made)

    result = tried(once)
    assert result.raised is None, result.raised
    assert 200 <= int(result.status[:3]) < 500, (result.status, result.body)
    for name, value in result.headers:
        assert not _UNSENDABLE(name + value), (name, value)
        (name + value).encode("latin-1")
    return result
