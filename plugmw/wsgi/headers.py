"""Names of headers, and lists of them, as WSGI has them: in an environ, and as (name, value) pairs."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

#: Fields that concern one connection only (RFC 9110 section 7.6.1), and what goes with them. ``trailers`` is
#: what PEP 3333 servers refuse, by a slip of RFC 2616.
HOP_BY_HOP: Final = frozenset(
    (
        *("connection", "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization"),
        *("te", "trailer", "trailers", "transfer-encoding", "upgrade", "http2-settings"),
    )
)
#: Headers that have no ``HTTP_`` before their names in an environ; servers set them empty if there are none.
_CONTENT: Final = frozenset(("CONTENT_TYPE", "CONTENT_LENGTH"))
_BASIC: Final = re.compile(r"[ \t]*[Bb]asic[ \t]*([A-Za-z0-9+/]+)={0,2}[ \t]*").fullmatch


def hop_by_hop(name: str) -> bool:
    """Say whether a header (any case) concerns one connection only, and must not be sent on."""
    return name.lower() in HOP_BY_HOP


def cgi_key(name: str) -> str:
    """Return the environ key of a request header."""
    key = name.upper().replace("-", "_")
    return key if key in _CONTENT else "HTTP_" + key


def headers_in(
    environ: Mapping[str, object], spell: Callable[[str], str] = str.lower
) -> Iterator[tuple[str, str]]:
    """Yield the name and value of each request header, values as WSGI has them.

    ``spell`` makes the name of ``X-REQUEST-ID``: ``str.lower``, ``str.title``, or a dialect's own.
    """
    for key, value in environ.items():
        if key.startswith("HTTP_"):
            yield spell(key[5:].replace("_", "-")), str(value)
        elif value and key in _CONTENT:
            yield spell(key.replace("_", "-")), str(value)


def first(items: Iterable[tuple[str, str]], name: str) -> str | None:
    """Return the first value of a header (any case), None if it is not among ``items``."""
    name, size = name.lower(), len(name)
    for key, value in items:
        # Most names differ in length already, which costs less to see.
        if len(key) == size and key.lower() == name:
            return value
    return None


def cookie_values(header: str, name: str) -> list[str]:
    """Return every value of a cookie in a ``Cookie`` header, as sent."""
    pairs = (piece.strip().partition("=") for piece in header.split(";"))
    return [value for found, _, value in pairs if found == name]


def basic_credentials(value: str) -> bytes | None:
    """Return the decoded credentials of an Authorization header of scheme Basic (RFC 7617), else None."""
    match = _BASIC(value)
    return None if match is None else unpadded_base64(match[1])


def unpadded_base64(text: str) -> bytes | None:
    """Decode characters of Base64 without padding; None for a length that nothing is encoded to."""
    return None if len(text) % 4 == 1 else base64.b64decode(text + "=" * (-len(text) % 4))
