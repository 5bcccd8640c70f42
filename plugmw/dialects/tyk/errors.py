"""The answers of Tyk's error templates (``templates/``, ``gateway/handler_error.go``)."""

from __future__ import annotations

import html
import json
from typing import TYPE_CHECKING, Final

from plugmw.wsgi.answer import Exit, negotiate

if TYPE_CHECKING:
    from plugmw.kernel.exchange import Exchange

#: What Tyk says of a hook that failed, of a hook that refused without a word, and of one without a token.
MIDDLEWARE_ERROR: Final = "Middleware error"
NOT_AUTHORISED: Final = "Key not authorised"
FORBIDDEN: Final = "Forbidden"
#: What Tyk says of a token that it does not know, or whose session may not use the API.
DISALLOWED: Final = "Access to this API has been disallowed"

_XML: Final = ("application/xml", "text/xml", "application/soap+xml")


def error_answer(x: Exchange, status: int, message: str, compat: bool = False) -> Exit:
    """Return the answer to raise: ``{"error": message}``, or XML to requests whose Content-Type is XML.

    ``status`` 400 to 599. Unless ``compat``, requests without a Content-Type get XML if that is what their
    Accept asks for; Tyk does not look at it.
    """
    kind = _kind(x, compat)
    if kind == "application/json":
        body = f'{{\n    "error": "{_json(message)}"\n}}'
    else:
        text = html.escape(message)
        body = f'<?xml version = "1.0" encoding = "UTF-8"?>\n<error>{text}</error>\n'
    data = body.encode("utf-8", "replace")
    return Exit(status, data, [("Content-Type", kind), ("X-Generator", "tyk.io")])


def _kind(x: Exchange, compat: bool) -> str:
    media = (x.environ.get("CONTENT_TYPE") or "").partition(";")[0].strip()
    if media in _XML:
        return str(media)
    accept = x.get_header("Accept")
    if not (media or compat) and accept and "xml" in negotiate(accept):
        return "application/xml"
    return "application/json"


def _json(text: str) -> str:
    """Escape for a JSON string as Go does: safe in HTML, too."""
    escaped = json.dumps(text, ensure_ascii=False)[1:-1]
    for character in "<>&":
        escaped = escaped.replace(character, f"\\u{ord(character):04x}")
    return escaped
