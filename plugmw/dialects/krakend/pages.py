"""KrakenD's own answers: ``/__health``, ``/__debug/*``, ``/__echo/*``, and those of its router."""

from __future__ import annotations

import html
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

from plugmw.dialects.krakend.encoding import encode
from plugmw.dialects.krakend.forwarding import query_of
from plugmw.dialects.krakend.logger import Logger
from plugmw.dialects.krakend.model import Router
from plugmw.dialects.krakend.replies import Headers, own_headers, send
from plugmw.dialects.krakend.wrappers import Values, by_name
from plugmw.wsgi.answer import status_line
from plugmw.wsgi.body import read_request
from plugmw.wsgi.headers import headers_in
from plugmw.wsgi.paths import PATH_SAFE, SENDABLE, escape, full_path
from plugmw.wsgi.redaction import REDACTED
from plugmw.wsgi.request_target import sent
from plugmw.wsgi.text import decode

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_PLAIN: Final = ("Content-Type", "text/plain; charset=utf-8")
_DEBUG: Final = "[ENDPOINT: /__debug/*]"
_DEFAULTS: Final = {404: b"404 page not found", 405: b"405 method not allowed"}
#: In which a client's credentials come; what else is one, the configuration of the gateway says.
_SECRET: Final = frozenset(("authorization", "proxy-authorization", "cookie", "apikey", "x-api-key"))


def health(started: float) -> WSGIApplication:
    """Return the page that says ``ok``; ``started`` is the monotonic time that Go's ``m=`` counts from."""

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        now = f"{datetime.now().astimezone():%Y-%m-%d %H:%M:%S.%f000 %z %Z}"
        now += f" m=+{time.monotonic() - started:.9f}"
        return _json(environ, start_response, 200, {"agents": {}, "now": now, "status": "ok"}, [])

    return answer


def debug(logger: Logger, limit: int, secret: Callable[[], Iterable[str]]) -> WSGIApplication:
    """Return the page that logs what it is asked, values of credentials left out."""

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        names = _SECRET | {name.lower() for name in secret()}
        query = _without(query_of(environ, "*"), names)
        target = sent(environ).partition("?")[0] + (f"?{_encoded(query)}" if query else "")
        logger.debug(_DEBUG, "Method:", environ["REQUEST_METHOD"])
        logger.debug(_DEBUG, "URL:", target)
        logger.debug(_DEBUG, "Query:", query)
        logger.debug(_DEBUG, "Params:", {"param": full_path(environ)[len("/__debug") :]})
        logger.debug(_DEBUG, "Headers:", _without(_headers(environ), names))
        logger.debug(_DEBUG, "Body:", read_request(environ, limit).decode("utf-8", "replace"))
        return _json(environ, start_response, 200, {"message": "pong"}, [])

    return answer


def echo(limit: int) -> WSGIApplication:
    """Return the page that tells the client what it has asked."""

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        query, headers = query_of(environ, "*"), _headers(environ)
        page = {
            "req_uri": sent(environ),
            "req_uri_details": {
                "user": "",
                "host": environ.get("HTTP_HOST", ""),
                "path": decode(full_path(environ), "replace"),
                "query": _encoded(query),
                "fragment": "",
            },
            "req_method": environ["REQUEST_METHOD"],
            "req_querystring": query,
            "req_body": read_request(environ, limit).decode("utf-8", "replace"),
            "req_headers": headers,
        }
        return _json(environ, start_response, 200, page, [])

    return answer


def refusal(
    environ: WSGIEnvironment,
    start_response: StartResponse,
    status: int,
    router: Router,
    allowed: Iterable[str] = (),
) -> Iterable[bytes]:
    """Answer 404 or 405, with the body that ``error_body`` has for it."""
    headers = [*own_headers(router), *([("Allow", ", ".join(allowed))] if allowed else [])]
    if status in router.error_body:
        return _json(environ, start_response, status, router.error_body[status], headers)
    head = environ["REQUEST_METHOD"] == "HEAD"
    # Without a charset, as the original's pages.
    return send(start_response, status, [*headers, ("Content-Type", "text/plain")], _DEFAULTS[status], head)


def redirect(environ: WSGIEnvironment, start_response: StartResponse, path: str) -> Iterable[bytes]:
    """Send the client to another path, with the same query."""
    get = environ["REQUEST_METHOD"] == "GET"
    query = environ.get("QUERY_STRING", "")
    # A path that begins with two slashes would be another host.
    location = "/" + quote(path.lstrip("/"), safe=PATH_SAFE, errors="surrogateescape")
    location += f"?{escape(query, SENDABLE)}" if query else ""
    status, headers = (301 if get else 307), [("Location", location)]
    if not get:
        return send(start_response, status, headers, b"")
    body = f'<a href="{html.escape(location)}">{status_line(status)[4:]}</a>.\n\n'
    return send(
        start_response, status, [*headers, ("Content-Type", "text/html; charset=utf-8")], body.encode()
    )


def plain_text(start_response: StartResponse, status: int, message: str) -> Iterable[bytes]:
    """Answer with a line of text, without headers of an endpoint."""
    return send(start_response, status, [_PLAIN], message.encode())


def _json(
    environ: WSGIEnvironment, start_response: StartResponse, status: int, value: Any, headers: Headers
) -> Iterable[bytes]:
    body, media = encode("json", value)
    head = environ["REQUEST_METHOD"] == "HEAD"
    return send(start_response, status, [*headers, ("Content-Type", media)], body, head)


def _headers(environ: WSGIEnvironment) -> Values:
    headers = by_name(headers_in(environ))
    # Go keeps it elsewhere.
    headers.pop("Host", None)
    return headers


def _without(values: Values, names: Iterable[str]) -> Values:
    return {name: [REDACTED] if name.lower() in names else found for name, found in values.items()}


def _encoded(values: Values) -> str:
    return urlencode(sorted(values.items()), doseq=True, errors="surrogateescape")
