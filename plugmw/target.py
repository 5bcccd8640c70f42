"""The request target as the client sent it, whatever plugins have made of path and query since.

Signatures cover what was sent. Whoever changes path, query or the server's raw target in the environ calls
:func:`keep` before; nobody else pays for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import attrs

from plugmw import keys

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

#: What may stand in a path unescaped (RFC 3986 section 3.3).
_SAFE: Final = "/!$&'()*+,;=:@~-._"


@attrs.frozen
class _Kept:
    """Holds the target out of sight: it may have the key in it that a plugin has just hidden."""

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
    if raw:
        target = _origin_form(str(raw))
    else:
        path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
        target = quote(path.encode("latin-1"), safe=_SAFE)
    # werkzeug's test client leaves a query that it was given by itself out of its raw target.
    return f"{target}?{query}" if query and "?" not in target else target


def _origin_form(raw: str) -> str:
    """Cut scheme and host off an absolute-form target (RFC 9112 section 3.2.2)."""
    scheme, colon, rest = raw.partition("://")
    if not colon or not scheme.isalnum():
        return raw
    ends = [rest.index(mark) for mark in "/?" if mark in rest]
    path = rest[min(ends) :] if ends else ""
    return path if path.startswith("/") else "/" + path
