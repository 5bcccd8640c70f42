"""``kong.service``: the request to the app or upstream, and its answer (``kong/pdk/service/*.lua``)."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from plugmw.dialects.kong.pdk.phase import ANSWERED, BEFORE_APP, Unsupported, of_type, phases, unsupported
from plugmw.dialects.kong.pdk.request import parse_body
from plugmw.dialects.kong.pdk.values import Headers, checked_max, collect, fold, header_texts, query_pairs
from plugmw.kernel.exchange import Exchange
from plugmw.transform.rewriting import replace_path
from plugmw.wsgi import answer, keys, request_target
from plugmw.wsgi.forms import FORM, JSON, MULTIPART, field_part, media_type, replace_query, write_parts
from plugmw.wsgi.headers import cgi_key
from plugmw.wsgi.paths import PATH_SAFE, unescape
from plugmw.wsgi.text import encode
from plugmw.wsgi.upstream_request import UpstreamRequest

METHODS = (
    *("GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "MKCOL", "COPY", "MOVE"),
    *("PROPFIND", "PROPPATCH", "LOCK", "UNLOCK", "PATCH", "TRACE"),
)


class ServiceRequest:
    """``kong.service.request``. Phases: rewrite, access."""

    @phases(*BEFORE_APP)
    def enable_buffering(self, x: Exchange) -> None:
        """Read the whole answer before it is sent on, so that ``kong.service.response`` has its body."""
        UpstreamRequest.of(x.environ).buffer = True

    @phases(*BEFORE_APP)
    def set_scheme(self, x: Exchange, scheme: str) -> None:
        """Set the scheme of the upstream: ``http`` or ``https``."""
        of_type(scheme, str, "scheme", "a string")
        if scheme not in ("http", "https"):
            raise ValueError(f"invalid scheme: {scheme}")
        UpstreamRequest.of(x.environ).scheme = scheme

    @phases(*BEFORE_APP)
    def set_path(self, x: Exchange, path: str) -> None:
        """Set the whole path; it starts with ``/``, existing percent-escapes are kept.

        Nothing is stripped from it and no path of the service put before it.
        """
        of_type(path, str, "path", "a string")
        if not path.startswith("/"):
            raise ValueError("path must start with /")
        request_target.keep(x.environ)
        x.environ["SCRIPT_NAME"] = ""
        replace_path(x.environ, unescape(encode(path, "surrogateescape")))
        if x.phase == "access":
            # Before, the router has yet to look at it.
            UpstreamRequest.of(x.environ).path = quote(path.encode(), safe=PATH_SAFE + "%")

    @phases(*BEFORE_APP)
    def set_raw_query(self, x: Exchange, query: str) -> None:
        """Set the query string, without ``?``; control characters are refused."""
        of_type(query, str, "query", "a string")
        if any(sign < " " or sign == "\x7f" for sign in query):
            raise ValueError("query must not have control characters")
        replace_query(x.environ, query)

    @phases(*BEFORE_APP)
    def set_query(self, x: Exchange, args: Mapping[str, object]) -> None:
        """Set the query from a mapping: values are text, numbers, booleans or lists; sorted by name."""
        of_type(args, Mapping, "args", "a table")
        replace_query(x.environ, encode_args(args))

    @phases(*BEFORE_APP)
    def clear_query_arg(self, x: Exchange, name: str) -> None:
        """Remove every argument of this name; the order of the rest stays."""
        of_type(name, str, "query argument name", "a string")
        parts = x.environ.get("QUERY_STRING", "").split("&")
        rest = [part for part in parts if part and next(iter(query_pairs(part)))[0] != name]
        replace_query(x.environ, "&".join(rest))

    @phases(*BEFORE_APP)
    def set_method(self, x: Exchange, method: str) -> None:
        """Set the method, one of Kong's fifteen (no CONNECT)."""
        of_type(method, str, "method", "a string")
        if method not in METHODS:
            raise ValueError(f"invalid method: {method}")
        x.environ["REQUEST_METHOD"] = method

    @phases(*BEFORE_APP)
    def set_header(self, x: Exchange, name: str, value: object) -> None:
        """Set a request header (several values become one field); ``host`` is also the upstream's host."""
        _set_headers(x, {name: value})

    @phases(*BEFORE_APP)
    def add_header(self, x: Exchange, name: str, value: object) -> None:
        """Add to a request header: repeated request fields are one under WSGI, joined by commas."""
        texts = header_texts(name, value)
        present = x.environ.get(cgi_key(name))
        _set_headers(x, {name: [present, *texts] if present and name.lower() != "host" else texts})

    @phases(*BEFORE_APP)
    def clear_header(self, x: Exchange, name: str) -> None:
        """Remove a request header."""
        of_type(name, str, "header", "a string")
        x.remove_request_header(name)

    @phases(*BEFORE_APP)
    def set_headers(self, x: Exchange, headers: Mapping[str, object]) -> None:
        """Set several request headers, all or none."""
        of_type(headers, Mapping, "headers", "a table")
        _set_headers(x, headers)

    @phases(*BEFORE_APP)
    def set_raw_body(self, x: Exchange, body: str | bytes) -> None:
        """Set the request body."""
        of_type(body, (str, bytes), "body", "a string")
        x.replace_body(body.encode() if isinstance(body, str) else body)

    @phases(*BEFORE_APP)
    def set_body(
        self, x: Exchange, args: Mapping[str, object], mimetype: str | None = None
    ) -> tuple[bool | None, str | None]:
        """Set the body from a mapping as form, JSON or multipart, and the Content-Type: (True, None)."""
        of_type(args, Mapping, "args", "a table")
        if mimetype is not None:
            of_type(mimetype, str, "mime", "a string")
        kind = mimetype or str(x.environ.get("CONTENT_TYPE") or "")
        if not kind:
            text = "content type was neither explicitly given as an argument or received as a header"
            return None, text
        mime = kind.partition(";")[0]
        if mime == FORM:
            data = encode_args(args).encode()
        elif mime == JSON:
            data = answer.to_json(args)
        elif mime == MULTIPART:
            kind, data = _multipart(args, kind)
        else:
            raise ValueError(f"unsupported content type {kind}")
        x.replace_body(data)
        x.set_request_header("Content-Type", kind)
        return True, None


class ServiceResponse:
    """``kong.service.response``: what the app or upstream answered. Phases: response to log."""

    @phases(*ANSWERED)
    def get_status(self, x: Exchange) -> int | None:
        """Return the status the app gave, None if it was not asked."""
        return _answered(x)[0]

    @phases(*ANSWERED)
    def get_header(self, x: Exchange, name: str) -> str | None:
        """Return the first header of this name that the app gave."""
        of_type(name, str, "name", "a string")
        wanted = fold(name)
        return next((value for key, value in _answered(x)[1] if fold(key) == wanted), None)

    @phases(*ANSWERED)
    def get_headers(self, x: Exchange, max_headers: int | None = None) -> Headers:
        """Return the headers the app gave (100, or 1 to 1000; ``.err`` is "truncated" beyond)."""
        pairs = ((name.lower(), value) for name, value in _answered(x)[1])
        return collect(Headers(), pairs, checked_max(max_headers, "max_headers"))

    @phases(*ANSWERED)
    def get_raw_body(self, x: Exchange) -> bytes:
        """Return the body the app gave; raises unless the answer is buffered.

        It is by ``kong.service.request.enable_buffering`` or any ``response`` handler of the request.
        """
        body = x.environ.get(keys.SERVICE_BODY)
        if body is None and UpstreamRequest.of(x.environ).buffer:
            return b""
        if body is None:
            raise RuntimeError(
                "service body is only available with buffered proxying "
                "(see: kong.service.request.enable_buffering function)"
            )
        return bytes(body)

    @phases(*ANSWERED)
    def get_body(
        self, x: Exchange, mimetype: str | None = None, max_args: int | None = None
    ) -> tuple[Any, str | None, str | None]:
        """Return the parsed body, an error or None, and its type, as ``kong.request.get_body`` does."""
        kind = mimetype or self.get_header("content-type") or ""
        body = self.get_raw_body()
        return parse_body(kind, lambda: (body, None), max_args)


class Service:
    """``kong.service``: where the request goes. Phases: access (set_target also rewrite)."""

    def __init__(self) -> None:
        self.request = ServiceRequest()
        self.response = ServiceResponse()

    @phases("access")
    def set_upstream(self, x: Exchange, name: str) -> tuple[None, str]:
        """Return (None, error): there is no load balancing, so there are no upstreams to choose from."""
        of_type(name, str, "host", "a string")
        return None, f"could not find an Upstream named '{name}'"

    @phases(*BEFORE_APP)
    def set_target(self, x: Exchange, host: str, port: int) -> None:
        """Send the request to ``host:port`` (0 to 65535); only for services with a URL."""
        of_type(host, str, "host", "a string")
        of_type(port, int, "port", "an integer")
        if not 0 <= port <= 65535:
            raise ValueError("port must be an integer between 0 and 65535: given " + str(port))
        if x.phase == "access" and not (x.service_facts or {}).get("host"):
            raise Unsupported("kong.service.set_target: the service is the wrapped app, which has no address")
        to = UpstreamRequest.of(x.environ)
        to.host, to.port, to.host_header = host, port, host

    @phases("access")
    def set_retries(self, x: Exchange, retries: int) -> None:
        """Set how often a failed connection is tried again (0 to 32767)."""
        of_type(retries, int, "retries", "an integer")
        if not 0 <= retries <= 32767:
            raise ValueError("retries must be an integer between 0 and 32767: given " + str(retries))
        UpstreamRequest.of(x.environ).retries = retries

    @phases("access")
    def set_timeouts(self, x: Exchange, connect: int, write: int, read: int) -> None:
        """Set connect, write and read timeouts in milliseconds (1 to 2147483646)."""
        for name, value in (("connect", connect), ("write", write), ("read", read)):
            of_type(value, int, f"{name}_timeout", "an integer")
            if not 1 <= value <= 2147483646:
                raise ValueError(f"{name}_timeout must be an integer between 1 and 2147483646: given {value}")
        to = UpstreamRequest.of(x.environ)
        to.connect_timeout, to.write_timeout, to.read_timeout = connect / 1000, write / 1000, read / 1000

    set_tls_cert_key = unsupported(
        "kong.service.set_tls_cert_key",
        "services have no client certificates; put a TLS proxy between",
    )
    set_tls_verify = unsupported(
        "kong.service.set_tls_verify", "verification is set on the service in the configuration"
    )
    set_tls_verify_depth = unsupported(
        "kong.service.set_tls_verify_depth", "Python's ssl has no such setting"
    )
    set_tls_verify_store = unsupported(
        "kong.service.set_tls_verify_store", "the CA is set on the service in the configuration"
    )
    set_target_retry_callback = unsupported(
        "kong.service.set_target_retry_callback", "a request is sent to one target; use set_retries"
    )


def encode_args(args: Mapping[str, object]) -> str:
    """Encode arguments, sorted: True is a bare name, False is left out, lists repeat the name."""
    pieces = []
    for name, value in args.items():
        of_type(name, str, "arg keys", "strings")
        values = value if isinstance(value, (list, tuple)) else [value]
        pieces.append("&".join(_argument(name, one) for one in values if one is not False))
    return "&".join(sorted(piece for piece in pieces if piece))


def _argument(name: str, value: object) -> str:
    if value is True:
        return quote(name, safe="")
    if not isinstance(value, (str, int, float)):
        raise TypeError(f"arg values must be strings, numbers or booleans, got {value!r} for {name!r}")
    return urlencode({name: value}, quote_via=quote, safe="")


def _multipart(args: Mapping[str, object], kind: str) -> tuple[str, bytes]:
    """Return the Content-Type and the body, fields sorted by name; the boundary is in no value."""
    for name, value in args.items():
        of_type(name, str, f"invalid key {name!r}", "a string")
        of_type(value, (str, int, float, bool), f'invalid value "{name}"', "a string, number or boolean")
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in args.items()}
    boundary = media_type(kind)[1]
    while not boundary or any(boundary.decode("latin-1") in text for text in texts.values()):
        boundary = uuid.uuid4().hex.encode()
    body = write_parts((field_part(name, texts[name]) for name in sorted(texts)), boundary)
    return f"{MULTIPART}; boundary={boundary.decode()}", body


def _set_headers(x: Exchange, headers: Mapping[str, object]) -> None:
    texts = {name: ", ".join(header_texts(name, value)) for name, value in headers.items()}
    for name, text in texts.items():
        answer.check_header(name, text)
    for name, text in texts.items():
        x.set_request_header(name, text)
        if name.lower() == "host":
            UpstreamRequest.of(x.environ).host_header = text


def _answered(x: Exchange) -> tuple[int | None, list[tuple[str, str]]]:
    """Return the status and the headers that the service gave; (None, []) if it was not asked."""
    response: tuple[int | None, list[tuple[str, str]]] = x.environ.get(keys.SERVICE) or (None, [])
    return response
