"""What a function returns, as a response.

    return "text"                               200
    return "text", 202                          the status; -1 means 200
    return "text", 202, {"X-A": "1"}            headers as well, a mapping or pairs
    return {"msg": "hello"}                     a dict or list goes out as JSON, bytes as they are
    return webob.Response(...)                  or any other WSGI callable: it answers itself

The Content-Type is ``application/json`` whatever the text is, unless the headers say another. A text with a
status of 400 or above that is no JSON becomes ``{"error": text}``, without blanks at its ends; so does what a
library returns. That is prestd's way (``middlewares/utils.go``).
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final, NoReturn

from plugmw.wsgi.answer import header_items, status_line, to_json
from plugmw.wsgi.headers import first, hop_by_hop

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

JSON: Final = "application/json"
_EMPTY: Final = (204, 304)


class WrongType(TypeError):
    """A function returned a value that is no response."""


def send(result: object, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answer with what a function returned.

    Raises :class:`WrongType`, or ``ValueError`` and ``TypeError`` for a status, a header or a JSON value that
    cannot be sent.
    """
    if callable(result):
        answer: Iterable[bytes] = result(environ, start_response)
        return answer
    body, status, headers = _parts(result)
    status = 200 if status == -1 else status
    if not 200 <= status <= 599:
        raise ValueError(f"status: got {status}, expected a number between 200 and 599")
    # Framing is the server's.
    items = [(n, v) for n, v in header_items(headers) if not hop_by_hop(n) and n.lower() != "content-length"]
    if status in _EMPTY:
        start_response(status_line(status), items)
        return []
    data = _encoded(body, status >= 400 and first(items, "content-type") is None)
    if first(items, "content-type") is None:
        items.append(("Content-Type", JSON))
    items.append(("Content-Length", str(len(data))))
    start_response(status_line(status), items)
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [data]


def error_text(reason: str) -> str:
    """Return prestd's JSON for an error."""
    return json.dumps({"error": reason}, indent="\t", ensure_ascii=False)


def _parts(result: object) -> tuple[object, int, Any]:
    """Return body, status and headers; raises :class:`WrongType`."""
    body, status, headers = result, 200, None
    if isinstance(result, tuple) and len(result) == 2:
        body, status = result
    elif isinstance(result, tuple) and len(result) == 3:
        body, status, headers = result
    if isinstance(status, bool) or not (
        isinstance(status, int) and isinstance(body, (str, bytes, dict, list))
    ):
        if inspect.iscoroutine(result):
            result.close()
        raise WrongType(f"got {type(result).__name__}")
    return body, status, headers


def _encoded(body: object, error: bool) -> bytes:
    if isinstance(body, bytes):
        return body
    if not isinstance(body, str):
        return to_json(body)
    return (_error(body) if error else body).encode()


def _error(text: str) -> str:
    text = text.strip()
    try:
        json.loads(text, parse_constant=_refuse)
    except ValueError:
        return error_text(text)
    return text


def _refuse(constant: str) -> NoReturn:
    """Refuse NaN and infinities, which are no JSON."""
    raise ValueError(constant)
