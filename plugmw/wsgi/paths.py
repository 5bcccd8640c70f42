"""One normalised path for routing and plugins, and the other ways in which an app could read it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote_to_bytes

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

#: What may stand in a path unescaped, beside letters, digits and ``-._~`` (RFC 3986 section 3.3).
PATH_SAFE: Final = "/!$&'()*+,;=:@"
#: What may stand in a target as it is, escapes included: only what cannot be sent is escaped.
SENDABLE: Final = "".join(map(chr, range(0x21, 0x7F)))
#: Paths without these read the same for everybody; almost every path is one of them.
_ODD: Final = re.compile(r"//|/\.|\\|;|%|[\x00-\x20\x7f]").search
_PARAMETERS: Final = re.compile(r";[^/]*")
_SLASHES: Final = re.compile(r"//+")
#: A path with this many interpretations was made to have them.
TOO_MANY: Final = 64


def full_path(environ: WSGIEnvironment) -> str:
    """Return SCRIPT_NAME and PATH_INFO joined by one slash, as sent otherwise; it starts with ``/``."""
    script, info = environ.get("SCRIPT_NAME", ""), environ.get("PATH_INFO", "")
    path: str = script[:-1] + info if script.endswith("/") and info.startswith("/") else script + info
    return path if path.startswith("/") else "/" + path


def escape(path: str, safe: str = PATH_SAFE) -> str:
    """Percent-encode a path (or a query) in WSGI's form, all but ``safe`` characters."""
    return quote(path.encode("latin-1", "replace"), safe=safe)


def unescape(path: str) -> str:
    """Percent-decode a path in WSGI's form, once, as servers do."""
    return unquote_to_bytes(path.encode("latin-1", "replace")).decode("latin-1")


def is_plain(path: str) -> bool:
    """Say whether every app reads ``path`` the same way."""
    return path.startswith("/") and not _ODD(path)


def normalise(path: str) -> str:
    """Collapse slashes and resolve dot segments (RFC 3986 section 5.2.4); always starts with ``/``.

    ``path`` is SCRIPT_NAME + PATH_INFO, which the server has percent-decoded once.
    """
    if is_plain(path):
        return path
    segments: list[str] = []
    parts = _SLASHES.sub("/", path).split("/")
    for part in parts:
        if part == "..":
            if segments:
                segments.pop()
        elif part not in (".", ""):
            segments.append(part)
    end = "/" if segments and parts[-1] in ("", ".", "..") else ""
    return "/" + "/".join(segments) + end


def interpretations(path: str) -> frozenset[str]:
    """Return every way to read ``path``: as it is, normalised, and as more lenient apps would.

    Lenient are: decoding twice, cutting ``;parameters``, taking ``\\`` for ``/``, stripping control
    characters and blanks. A route match that differs between them is ambiguous and is refused by the
    gateway, because a plugin could be bypassed through it (CVE-2021-43557, GHSA-gm62-rw4g-vrc4): an app
    that does not resolve ``/admin/../x`` finds it under ``/admin``, one that does finds ``/x``. The result
    is cut at :data:`TOO_MANY`; so many are refused too.
    """
    seen = {path}
    if is_plain(path):
        return frozenset(seen)
    todo = [path]
    while todo and len(seen) < TOO_MANY:
        text = todo.pop()
        for other in (
            normalise(text),
            _PARAMETERS.sub("", text),
            text.replace("\\", "/"),
            "".join(c for c in text if c > " " and c != "\x7f"),
            unescape(text),
        ):
            if other not in seen:
                seen.add(other)
                todo.append(other)
    return frozenset(seen)
