"""``kong.request``: what the client sent (``kong/pdk/request.lua``)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from plugmw.dialects.kong.pdk.phase import BEFORE_APP, REQUEST, of_type, phases
from plugmw.dialects.kong.pdk.values import Args, Headers, checked_max, collect, first, query_pairs
from plugmw.kernel.exchange import Exchange
from plugmw.wsgi import keys, request_target
from plugmw.wsgi.body import BadLength, BodyTooLarge, Incomplete, read_request
from plugmw.wsgi.forms import FORM, JSON, MULTIPART, media_type, read_parts
from plugmw.wsgi.headers import headers_in
from plugmw.wsgi.paths import normalise

#: nginx's ``client_body_buffer_size``: what Kong keeps in memory of a request body.
BUFFER = 8 * 1024
_TOO_LONG = "request body did not fit into client body buffer, consider raising 'client_body_buffer_size'"
_RESERVED = frozenset(b"!#$&'()*+,/:;=?@[]%")


class Request:
    """Reading the request. Phases: rewrite, access, response, header_filter, body_filter, log."""

    @phases(*REQUEST)
    def get_scheme(self, x: Exchange) -> str:
        """Return ``http`` or ``https`` as the server saw it."""
        return str(x.environ["wsgi.url_scheme"])

    @phases(*REQUEST)
    def get_host(self, x: Exchange) -> str:
        """Return the host asked for, in lower case, without its port."""
        return _split_host(x.environ.get("HTTP_HOST") or x.environ.get("SERVER_NAME", ""))[0]

    @phases(*REQUEST)
    def get_port(self, x: Exchange) -> int:
        """Return the port of the listening socket."""
        return int(x.environ.get("SERVER_PORT") or 0)

    @phases(*REQUEST)
    def get_forwarded_scheme(self, x: Exchange) -> str:
        """Return the scheme the client used, by X-Forwarded-Proto if the peer is trusted."""
        return x.scheme

    @phases(*REQUEST)
    def get_forwarded_host(self, x: Exchange) -> str:
        """Return the host the client asked for, by X-Forwarded-Host if the peer is trusted."""
        return _split_host(x.host)[0]

    @phases(*REQUEST)
    def get_forwarded_port(self, x: Exchange) -> int:
        """Return the port the client asked for, by X-Forwarded-Port or -Host if the peer is trusted."""
        if x.runtime.trusted.trusts(x.environ):
            text = str(x.environ.get("HTTP_X_FORWARDED_PORT", "")).rpartition(",")[2].strip()
            if text.isascii() and text.isdigit() and 1 <= int(text) <= 65535:
                return int(text)
            port = _split_host(str(x.environ.get("HTTP_X_FORWARDED_HOST", "")))[1]
            if port:
                return port
        return int(x.environ.get("SERVER_PORT") or 0)

    @phases(*REQUEST)
    def get_forwarded_path(self, x: Exchange) -> str:
        """Return the path the client asked for, by X-Forwarded-Path if the peer is trusted."""
        path = x.environ.get("HTTP_X_FORWARDED_PATH")
        if path and x.runtime.trusted.trusts(x.environ):
            return str(path)
        return normalised_path(_raw_path(x))

    @phases(*REQUEST)
    def get_forwarded_prefix(self, x: Exchange) -> str | None:
        """Return the prefix that was stripped from the path, by X-Forwarded-Prefix if the peer is trusted."""
        prefix = x.environ.get("HTTP_X_FORWARDED_PREFIX")
        if prefix and x.runtime.trusted.trusts(x.environ):
            return str(prefix)
        prefix = x.environ.get(keys.STRIPPED_PREFIX)
        return str(prefix) if prefix else None

    @phases(*REQUEST)
    def get_http_version(self, x: Exchange) -> float:
        """Return 1.0, 1.1 or 2.0."""
        return float(str(x.environ.get("SERVER_PROTOCOL", "HTTP/1.1")).rpartition("/")[2])

    @phases(*REQUEST)
    def get_method(self, x: Exchange) -> str:
        """Return the method as sent."""
        return x.method

    @phases(*REQUEST)
    def get_path(self, x: Exchange) -> str:
        """Return the path, normalised by RFC 3986: unreserved characters decoded, dots and ``//`` folded."""
        return normalised_path(_raw_path(x))

    @phases(*REQUEST)
    def get_raw_path(self, x: Exchange) -> str:
        """Return the path exactly as sent."""
        return _raw_path(x)

    @phases(*REQUEST)
    def get_path_with_query(self, x: Exchange) -> str:
        """Return the path and query exactly as sent."""
        return request_target.sent(x.environ)

    @phases(*REQUEST)
    def get_raw_query(self, x: Exchange) -> str:
        """Return the query string without ``?``, ``""`` if there is none."""
        return str(x.environ.get("QUERY_STRING", ""))

    @phases(*REQUEST)
    def get_query_arg(self, x: Exchange, name: str) -> str | bool | None:
        """Return the first value of an argument: text, True for ``?name``, None if absent."""
        of_type(name, str, "query argument name", "a string")
        values = collect(Args(), query_pairs(x.environ.get("QUERY_STRING", "")), 100)
        value: str | bool | None = first(values.get(name))
        return value

    @phases(*REQUEST)
    def get_query(self, x: Exchange, max_args: int | None = None) -> Args:
        """Return all arguments (100, or ``max_args`` of 1 to 1000; ``.err`` is "truncated" beyond)."""
        most = checked_max(max_args, "max_args")
        return collect(Args(), query_pairs(x.environ.get("QUERY_STRING", "")), most)

    @phases(*REQUEST)
    def get_header(self, x: Exchange, name: str) -> str | None:
        """Return a header (any case, ``-`` and ``_`` alike), None if absent."""
        of_type(name, str, "header name", "a string")
        return x.get_header(name)

    @phases(*REQUEST)
    def get_headers(self, x: Exchange, max_headers: int | None = None) -> Headers:
        """Return all headers in lower case (100, or ``max_headers`` of 1 to 1000; ``.err`` as get_query)."""
        return collect(Headers(), headers_in(x.environ), checked_max(max_headers, "max_headers"))

    @phases(*REQUEST)
    def get_start_time(self, x: Exchange) -> int:
        """Return when the request began, in milliseconds since 1970."""
        return int(x.started * 1000)

    @phases(*REQUEST)
    def get_uri_captures(self, x: Exchange) -> dict[str, Any]:
        """Return what the route's regular expression captured: ``{"unnamed": [...], "named": {...}}``."""
        return x.captures

    @phases(*BEFORE_APP, "response")
    def get_raw_body(
        self, x: Exchange, max_allowed_file_size: int | None = None
    ) -> tuple[bytes | None, str | None]:
        """Return ``(body, None)``, or ``(None, error)`` for a body over 8 KiB.

        ``max_allowed_file_size`` raises the limit: bytes, 0 for any size the gateway allows
        (``max_request_body``).
        """
        most = x.runtime.max_request_body
        if max_allowed_file_size is None or max_allowed_file_size < 0:
            limit = min(BUFFER, most)
        else:
            limit = min(max(max_allowed_file_size, BUFFER), most) if max_allowed_file_size else most
        try:
            return read_request(x.environ, limit), None
        except BodyTooLarge:
            return None, _TOO_LONG
        except (BadLength, Incomplete):
            return None, "request body could not be read"

    @phases(*BEFORE_APP, "response")
    def get_body(
        self,
        x: Exchange,
        mimetype: str | None = None,
        max_args: int | None = None,
        max_allowed_file_size: int | None = None,
    ) -> tuple[Any, str | None, str | None]:
        """Return ``(parsed, None, mimetype)``, or ``(None, error, mimetype or None)``.

        Understands application/x-www-form-urlencoded, application/json and multipart/form-data.
        """
        kind = mimetype or str(x.environ.get("CONTENT_TYPE") or "")
        return parse_body(kind, lambda: self.get_raw_body(max_allowed_file_size), max_args)


def parse_body(
    kind: str, read: Callable[[], tuple[bytes | None, str | None]], max_args: int | None
) -> tuple[Any, str | None, str | None]:
    """Parse what ``read`` gives by its content type; the texts and the prefix test are Kong's."""
    mime = kind.lower().split(";")[0].strip()
    if not mime:
        return None, "missing content type", None
    known = next((one for one in (FORM, JSON, MULTIPART) if mime.startswith(one)), None)
    if known is None:
        return None, f"unsupported content type '{kind}'", mime
    most = checked_max(max_args, "max_args") if known == FORM else 0
    body, error = read()
    if body is None:
        return None, error, known
    if known == FORM:
        args = collect(Args(), query_pairs(body.decode("latin-1")), most)
        return args, args.err, FORM
    if known == JSON:
        try:
            value = json.loads(body)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, (dict, list)):
            return None, "invalid json body", JSON
        return value, None, JSON
    try:
        parts = read_parts(body, media_type(kind)[1])
    except ValueError:
        return None, "unable to decode multipart body", MULTIPART
    values = ((part.name, part.content.decode("utf-8", "replace")) for part in parts if part.name is not None)
    return collect(Args(), values, len(parts)), None, MULTIPART


def _raw_path(x: Exchange) -> str:
    return request_target.sent(x.environ).partition("?")[0]


def normalised_path(path: str) -> str:
    """Normalise by RFC 3986 section 6.2.2: decode all but reserved characters, fold dots and ``//``.

    Escapes of reserved and control characters stay, in capitals (``kong/tools/uri.lua``).
    """
    out = bytearray()
    data = path.encode("latin-1", "replace")
    position = 0
    while position < len(data):
        byte = data[position]
        if byte == 0x25 and _is_hex(data[position + 1 : position + 3]):
            value = int(data[position + 1 : position + 3], 16)
            if value not in _RESERVED and value >= 0x20 and value != 0x7F:
                out.append(value)
            else:
                out += b"%%%02X" % value
            position += 3
        else:
            out.append(byte)
            position += 1
    return normalise(out.decode("latin-1"))


def _is_hex(data: bytes) -> bool:
    return len(data) == 2 and all(c in b"0123456789abcdefABCDEF" for c in data)


def _split_host(host: str) -> tuple[str, int | None]:
    """Split ``user@host:port`` into the host in lower case and the port, None if absent or out of range."""
    host = host.rpartition("@")[2].strip().lower()
    name, colon, port = host.rpartition(":")
    if colon and not host.endswith("]") and port.isascii() and port.isdigit():
        return name, int(port) if 1 <= int(port) <= 65535 else None
    return host, None
