"""What is sent when a plugin answers instead of the app: exits and negotiated error bodies.

The shapes are Kong's (``kong/pdk/response.lua``, ``kong/tools/http.lua``), with one defect mended: a
message is escaped for the format it is written in.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, NoReturn, TypeAlias

from plugmw.wsgi.headers import first

if TYPE_CHECKING:
    from _typeshed import OptExcInfo
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

HeaderItems: TypeAlias = "Mapping[str, str | list[str]] | Iterable[tuple[str, str]] | None"

#: The only text that a client sees of a failure inside plugmw or a plugin.
UNEXPECTED: Final = "An unexpected error occurred"

#: Default texts of :func:`error_body`; other statuses get "The upstream server responded with N".
MESSAGES: Final = {
    400: "Bad request",
    401: "Unauthorized",
    402: "Payment required",
    403: "Forbidden",
    404: "Not found",
    405: "Method not allowed",
    406: "Not acceptable",
    407: "Proxy authentication required",
    408: "Request timeout",
    409: "Conflict",
    410: "Gone",
    411: "Length required",
    412: "Precondition failed",
    413: "Payload too large",
    414: "URI too long",
    415: "Unsupported media type",
    416: "Range not satisfiable",
    417: "Expectation failed",
    418: "I'm a teapot",
    421: "Misdirected request",
    422: "Unprocessable entity",
    423: "Locked",
    424: "Failed dependency",
    425: "Too early",
    426: "Upgrade required",
    428: "Precondition required",
    429: "Too many requests",
    431: "Request header fields too large",
    451: "Unavailable for legal reasons",
    494: "Request header or cookie too large",
    500: UNEXPECTED,
    501: "Not implemented",
    502: "An invalid response was received from the upstream server",
    503: "The upstream server is currently unavailable",
    504: "The upstream server is timing out",
    505: "HTTP version not supported",
    506: "Variant also negotiates",
    507: "Insufficient storage",
    508: "Loop detected",
    510: "Not extended",
    511: "Network authentication required",
}

_REASONS: Final = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}
_NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+").fullmatch
_UNSAFE: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]|[^\x00-\xff]").search


class Exit(BaseException):
    """A plugin answers instead of the app.

    Derived from ``BaseException`` so that a plugin's ``except Exception`` cannot swallow it.
    ``headers`` is a list of (name, value); ``body`` the bytes to send.
    """

    #: Why, for the log; without it the answer's message is logged.
    because = ""

    def __init__(self, status: int, body: bytes, headers: list[tuple[str, str]]) -> None:
        if not 100 <= status <= 599:
            raise ValueError(f"status: got {status!r}, expected a number between 100 and 599")
        self.status = status
        self.body = body
        self.headers = headers
        super().__init__(status)


class Delegate(Exit):
    """Another WSGI app answers instead of the wrapped one, in phases before the app is called."""

    def __init__(self, app: WSGIApplication) -> None:
        self.status, self.body, self.headers = 0, b"", []
        self.app = app
        BaseException.__init__(self, app)


def status_line(status: int) -> str:
    """Return ``404 Not Found`` for 404; a status without a registered phrase gets ``Unknown``."""
    return _REASONS.get(status) or f"{status} Unknown"


def check_header(name: str, value: str) -> None:
    """Raise ``ValueError`` unless the field may be sent (RFC 9110 section 5; no response splitting)."""
    if not _NAME(name):
        raise ValueError(f"header name: got {name!r}, expected a token (RFC 9110 section 5.6.2)")
    if not (value.isascii() and value.isprintable()) and _UNSAFE(value):
        raise ValueError(f"header {name}: the value has a control character or one outside latin-1")


def header_items(headers: HeaderItems) -> list[tuple[str, str]]:
    """Flatten a mapping (a list value means repeated fields) or pairs to checked (name, value) pairs."""
    if not headers:
        return []
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    items: list[tuple[str, str]] = []
    for name, value in pairs:
        for one in value if isinstance(value, (list, tuple)) else (value,):
            text = one if isinstance(one, str) else str(one)
            check_header(name, text)
            items.append((name, text))
    return items


def leave(status: int, body: object = None, headers: HeaderItems = None) -> NoReturn:
    """Raise the :class:`Exit` for a status, a body and headers.

    A dict or list is sent as JSON, ``str`` as UTF-8 text, ``bytes`` as they are (without a
    Content-Type), ``None`` as an empty body. A Transfer-Encoding among the headers is dropped: framing
    is the server's. With 1xx, 204 and 304, which have no content, the body is dropped.
    """
    items = [item for item in header_items(headers) if item[0].lower() != "transfer-encoding"]
    kind = None
    if status in (204, 304) or 100 <= status <= 199:
        body = None
    if isinstance(body, bytes):
        data = body
    elif body is None:
        data = b""
    elif isinstance(body, str):
        data, kind = body.encode(), "text/plain; charset=utf-8"
    else:
        data, kind = to_json(body), "application/json; charset=utf-8"
    if kind and first(items, "content-type") is None:
        items.append(("Content-Type", kind))
    raise Exit(status, data, items)


def respond(
    left: Exit, environ: WSGIEnvironment, start_response: StartResponse, exc_info: OptExcInfo | None = None
) -> list[bytes]:
    """Answer with an exit, as an app does: with its length, and without its body for HEAD."""
    headers = [*left.headers, ("Content-Length", str(len(left.body)))]
    if exc_info is None:
        start_response(status_line(left.status), headers)
    else:
        start_response(status_line(left.status), headers, exc_info)
    return [] if environ.get("REQUEST_METHOD") == "HEAD" else [left.body]


def to_json(value: object) -> bytes:
    """Encode compactly as UTF-8 JSON; NaN and Infinity are refused with ``ValueError``."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


_JSON: Final = "application/json; charset=utf-8"
_HTML: Final = "text/html; charset=utf-8"
_XML: Final = "application/xml; charset=utf-8"
_PLAIN: Final = "text/plain; charset=utf-8"
_OFFERS: Final = {
    "application/json": _JSON,
    "text/html": _HTML,
    "application/xml": _XML,
    "text/xml": _XML,
    "text/plain": _PLAIN,
    "application/*": _JSON,
    "text/*": _HTML,
    "*/*": _JSON,
}


def negotiate(accept: str) -> str:
    """Pick the error format for an Accept header: the offer with the highest q, the first on a tie."""
    best, quality = _JSON, 0.0
    for part in accept.lower().split(","):
        media, *parameters = (piece.strip() for piece in part.split(";"))
        q = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                try:
                    q = float(parameter[2:])
                except ValueError:
                    q = 0.0
        if media in _OFFERS and quality < q <= 1.0:
            best, quality = _OFFERS[media], q
    return best


def error_body(kind: str, message: str, request_id: str) -> bytes:
    """Write ``message`` and ``request_id`` in the format that the Content-Type ``kind`` names."""
    if "html" in kind:
        text = (
            '<!doctype html>\n<html>\n  <head>\n    <meta charset="utf-8">\n    <title>Error</title>\n'
            f"  </head>\n  <body>\n    <h1>Error</h1>\n    <p>{html.escape(message)}.</p>\n"
            f"    <p>request_id: {html.escape(request_id)}</p>\n  </body>\n</html>\n"
        )
    elif "xml" in kind:
        text = (
            '<?xml version="1.0" encoding="UTF-8"?>\n<error>\n'
            f"  <message>{html.escape(message)}</message>\n"
            f"  <requestid>{html.escape(request_id)}</requestid>\n</error>\n"
        )
    elif "plain" in kind:
        text = f"{message}\nrequest_id: {request_id}\n"
    else:
        return json.dumps({"message": message, "request_id": request_id}).encode()
    return text.encode()


def error_exit(
    status: int,
    message: str | None,
    headers: HeaderItems,
    accept: str,
    request_id: str,
    because: str = "",
) -> Exit:
    """Build the exit for an error status (400 to 599), its format chosen by Content-Type or Accept."""
    if not 400 <= status <= 599:
        raise ValueError(f"status: got {status!r}, expected a number between 400 and 599")
    items = header_items(headers)
    kind = first(items, "content-type")
    if kind is None:
        kind = negotiate(accept) if accept else _JSON
        items.append(("Content-Type", kind))
    text = message or MESSAGES.get(status) or f"The upstream server responded with {status}"
    refusal = Exit(status, error_body(kind, text, request_id), items)
    refusal.because = because
    return refusal
