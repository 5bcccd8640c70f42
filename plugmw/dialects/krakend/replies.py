"""Send the response of an endpoint's proxy, or an error, to the client: status, headers and body.

Every reply of an endpoint carries ``X-Krakend`` and ``X-Krakend-Completed``: true for a whole, non-empty
reply that is not ``no-op``. Unless ``compat``, a status that a modifier has set is the reply's.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from plugmw.dialects.krakend.backends import NOOP, Streamed, reply_encoding
from plugmw.dialects.krakend.encoding import encode
from plugmw.dialects.krakend.model import Endpoint, Router
from plugmw.dialects.krakend.wrappers import ResponseWrapper
from plugmw.upstream.forwarding import response_headers
from plugmw.wsgi import keys
from plugmw.wsgi.answer import check_header, status_line
from plugmw.wsgi.headers import first

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

Headers = list[tuple[str, str]]

NEGOTIATE: Final = "negotiate"
#: What we say ourselves, and what describes bytes that are others now.
_OURS: Final = ("x-krakend", "x-krakend-completed", "content-length")
_OF_BYTES: Final = ("content-encoding", "etag", "content-md5", "accept-ranges", "digest")
_EMPTY: Final = (204, 304)
_CREDENTIALS: Final = ("HTTP_AUTHORIZATION", "HTTP_COOKIE", keys.CREDENTIAL)
_JSON: Final = "application/json; charset=utf-8"
_PLAIN: Final = "text/plain; charset=utf-8"


def own_headers(router: Router, completed: bool | None = False) -> Headers:
    """Return the headers that say who answers; None for those of a crash, which do not tell the second."""
    whole = [] if completed is None else [("X-Krakend-Completed", "true" if completed else "false")]
    return [("X-Krakend", router.version), *whole]


def send(
    start_response: StartResponse, status: int, headers: Headers, body: bytes, head: bool = False
) -> Iterable[bytes]:
    """Answer with a body that is at hand."""
    if status in _EMPTY:
        start_response(status_line(status), headers)
        return []
    start_response(status_line(status), [*headers, ("Content-Length", str(len(body)))])
    return [body] if body and not head else []


class Replies:
    """How an endpoint's responses are sent."""

    def __init__(self, endpoint: Endpoint, router: Router, compat: bool = False) -> None:
        self._router = router
        self._kind = reply_encoding(endpoint)
        self._age = int(endpoint.cache_ttl)
        self._compat = compat

    def send(
        self, environ: WSGIEnvironment, start_response: StartResponse, response: ResponseWrapper
    ) -> Iterable[bytes]:
        """Answer with a response; raises ``ValueError`` for a status or headers that must not be sent."""
        data = {} if self._kind == NOOP else response.data
        # Without data a body that a modifier has set is the reply, as far as the original can have one.
        if self._kind == NOOP or not (data or self._compat or not response.body):
            return self._as_it_is(start_response, response)
        headers = own_headers(self._router, bool(response.is_complete and data))
        if self._age and response.is_complete and data:
            headers.append(("Cache-Control", f"{self._audience(environ)}, max-age={self._age}"))
        if self._kind == NEGOTIATE:
            headers.append(("Vary", "Accept"))
        body, media = encode(self._kind, data, environ.get("HTTP_ACCEPT", ""))
        own = _flat(response) if data or not self._compat else []
        if first(own, "content-type") is None:
            headers.append(("Content-Type", media))
        return send(start_response, 200 if self._compat else _status(response), [*headers, *own], body)

    def _audience(self, environ: WSGIEnvironment) -> str:
        """Say whose cache may keep a reply: not a shared one if it may be about who has asked."""
        known = any(environ.get(name) for name in _CREDENTIALS)
        return "private" if known and not self._compat else "public"

    def _as_it_is(self, start_response: StartResponse, response: ResponseWrapper) -> Iterable[bytes]:
        """Send status, headers and body of a response, the body streamed unless a plugin has read it."""
        headers, status, body = (
            [*own_headers(self._router), *_flat(response)],
            _status(response),
            response.read_body,
        )
        if not isinstance(response, Streamed):
            headers = [item for item in headers if item[0].lower() not in _OF_BYTES]
            if body and first(headers, "content-type") is None:
                headers.append(("Content-Type", _JSON if response.data else _PLAIN))
        elif body is None and status not in _EMPTY:
            length = [item for item in response.backend_headers if item[0].lower() == "content-length"]
            start_response(status_line(status), [*headers, *length])
            return response.stream()
        elif body != response.original:
            outdated = {
                (name.lower(), value) for name, value in response.backend_headers if name.lower() in _OF_BYTES
            }
            headers = [(name, value) for name, value in headers if (name.lower(), value) not in outdated]
        response.close()
        return send(start_response, status, headers, body or b"")


def _status(response: ResponseWrapper) -> int:
    status = response.status_code or 200
    if not 200 <= status <= 599:
        raise ValueError(f"status: got {status!r}, expected a number between 200 and 599")
    return status


def _flat(response: ResponseWrapper) -> Headers:
    """Return a response's headers but for those that are ours, checked."""
    items = [(name, str(value)) for name, values in response.headers.items() for value in values]
    for name, value in items:
        check_header(name, value)
    return [item for item in response_headers(items) if item[0].lower() not in _OURS]
