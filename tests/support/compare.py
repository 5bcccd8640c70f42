"""Run a real app alone and under plugins that do nothing, and tell every difference a client could see.

As a program it does so for Django, whose settings want a process of their own, and prints the differences.
"""

from __future__ import annotations

import io
import json
import re
import sys
from typing import Any

from plugmw import Gateway
from tests.support.plugins import KINDS, buffers, filters
from tests.support.real_apps import REQUESTS, django_app
from tests.support.wsgi import Result, environ_of, serve


def ask(app: Any, method: str, path: str, headers: dict[str, str]) -> Result:
    """Send one of :data:`REQUESTS`."""
    data = b"some data" if method == "POST" else b""
    environ = environ_of(path, method, **{"wsgi.input": io.BytesIO(data), "CONTENT_LENGTH": str(len(data))})
    environ.update({f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()})
    return serve(app, environ)


#: Django's debug pages have addresses of objects in them, and the frames of the gateway.
_DEBUG_PAGE = re.compile(rb"Traceback|<title>RuntimeError|<title>Page not found at")


def told(result: Result, length: bool) -> dict[str, Any]:
    """Return what can be observed; ``length`` is whether Content-Length can."""
    debug = _DEBUG_PAGE.search(result.body) is not None
    unknown = {"date"} | ({"content-length", "etag"} if debug else set() if length else {"content-length"})
    return {
        "status": result.status,
        "headers": [item for item in result.headers if item[0].lower() not in unknown],
        "body": None if debug else result.body,
        "raised": repr(result.raised),
        "chunks": [] if debug else [len(chunk) for chunk in result.chunks],
    }


def differences(app: Any) -> list[str]:
    """Compare every request under every kind; return what differs, in words."""
    found = []
    for method, path, headers in REQUESTS:
        alone = ask(app, method, path, headers)
        for kind, plugins in KINDS.items():
            under = ask(Gateway(app, {"store": "memory://"}, plugins=plugins()), method, path, headers)
            if buffers(kind) and alone.raised is not None and alone.sent:
                # Read whole before anything is sent: what was cut is now not begun. It fails all the same.
                if repr(under.raised) != repr(alone.raised) or under.sent:
                    found.append(f"{method} {path} | {kind}: {under.raised!r} for {alone.raised!r}")
                continue
            stream = len(alone.chunks) > 1 or alone.raised is not None
            length = not (filters(kind) and "keeps" not in kind and stream)
            expected, got = told(alone, length), told(under, length)
            if filters(kind):
                del expected["chunks"], got["chunks"]
            found += [
                f"{method} {path} {headers} | {kind}: {key}: {got[key]!s:.300} for {expected[key]!s:.300}"
                for key in expected
                if expected[key] != got[key]
            ]
    return found


if __name__ == "__main__":
    print(json.dumps(differences(django_app(**json.loads(sys.argv[1])))))
