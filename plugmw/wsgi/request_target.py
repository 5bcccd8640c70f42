"""The request target as the client sent it, whatever plugins have made of path and query since.

Signatures cover what was sent. Whoever changes path, query or the server's raw target in the environ calls
:func:`keep` before; nobody else pays for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from plugmw.wsgi import keys
from plugmw.wsgi.paths import SENDABLE, escape, full_path, unescape

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


@attrs.frozen
class _Kept:
    """Wrapper with an empty repr, so that dumps of environ do not show a key in the query."""

    target: str = attrs.field(repr=False)


def keep(environ: WSGIEnvironment) -> None:
    """Remember the target before it is changed; the first call of a request counts."""
    if keys.TARGET not in environ:
        environ[keys.TARGET] = _Kept(sent(environ))


def sent(environ: WSGIEnvironment) -> str:
    """Return the target with its query in WSGI's latin-1 form, without scheme and host.

    Exactly as sent where the server tells it (RAW_URI, REQUEST_URI). Elsewhere it is put together from the
    decoded path, so that needless escapes, and ``%2F``, do not survive.
    """
    kept: _Kept | None = environ.get(keys.TARGET)
    if kept is not None:
        return kept.target
    raw, query = environ.get("RAW_URI") or environ.get("REQUEST_URI"), environ.get("QUERY_STRING", "")
    target = _origin_form(str(raw)) if raw else escape(full_path(environ))
    # werkzeug's test client leaves a query that it was given by itself out of its raw target.
    return f"{target}?{query}" if query and "?" not in target else target


def request_path(environ: WSGIEnvironment) -> str:
    """Return the path to send, in the client's own spelling where that is known and nobody changed it."""
    path = str(environ.get("PATH_INFO", ""))
    script = str(environ.get("SCRIPT_NAME", ""))
    raw = escape(sent(environ).partition("?")[0], SENDABLE)
    taken = _length_of(script, raw)
    if taken is not None and unescape(raw[taken:]) == path:
        return raw[taken:]
    return escape(path)


def _length_of(script: str, raw: str) -> int | None:
    """Return how much of an escaped path is ``script``, which ends with a segment; None if it is not."""
    taken, read = 0, ""
    while len(read) < len(script) and taken < len(raw):
        end = raw.find("/", taken + 1)
        end = len(raw) if end < 0 else end
        read += unescape(raw[taken:end])
        taken = end
    return taken if read == script else None


def _origin_form(raw: str) -> str:
    """Cut scheme and host off an absolute-form target (RFC 9112 section 3.2.2)."""
    scheme, colon, rest = raw.partition("://")
    if not colon or not scheme.isalnum():
        return raw
    ends = [rest.index(mark) for mark in "/?" if mark in rest]
    path = rest[min(ends) :] if ends else ""
    return path if path.startswith("/") else "/" + path
