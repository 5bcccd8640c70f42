"""``kong.service``: the request to the app or upstream, and its answer (``kong/pdk/service/*.lua``)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote_to_bytes, urlencode

from plugmw import answer
from plugmw.body import replace_request
from plugmw.dialects.kong.pdk.phase import ANSWERED, BEFORE_APP, of_type, phases, unsupported
from plugmw.dialects.kong.pdk.request import parse_body
from plugmw.dialects.kong.pdk.values import Headers, checked_max, collect, fold, query_pairs
from plugmw.exchange import Exchange, cgi_key
from plugmw.flow import Flow
from plugmw.target import keep

METHODS = (
    *("GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "MKCOL", "COPY", "MOVE"),
    *("PROPFIND", "PROPPATCH", "LOCK", "UNLOCK", "PATCH", "TRACE"),
)
#: environ key under which the upstream module finds what plugins decided about the target.
TARGET = "plugmw.upstream.target"
#: environ key by which a plugin asks for the app's answer to be read whole before it goes on.
BUFFER = "plugmw.buffer"
SERVICE_BODY = "plugmw.service_body"


class ServiceRequest:
    """``kong.service.request``. Phases: rewrite, access."""

    @phases(*BEFORE_APP)
    def enable_buffering(self, x: Exchange) -> None:
        """Read the whole answer before it is sent on, so that ``kong.service.response`` has its body."""
        x.environ[BUFFER] = True

    @phases(*BEFORE_APP)
    def set_scheme(self, x: Exchange, scheme: str) -> None:
        """Set ``http`` or ``https``."""
        of_type(scheme, str, "scheme", "a string")
        if scheme not in ("http", "https"):
            raise ValueError(f"invalid scheme: {scheme}")
        x.environ["wsgi.url_scheme"] = scheme
        _target(x)["scheme"] = scheme

    @phases(*BEFORE_APP)
    def set_path(self, x: Exchange, path: str) -> None:
        """Set the path; it starts with ``/``, existing percent-escapes are kept."""
        of_type(path, str, "path", "a string")
        if not path.startswith("/"):
            raise ValueError("path must start with /")
        keep(x.environ)
        x.environ["SCRIPT_NAME"] = ""
        x.environ["PATH_INFO"] = unquote_to_bytes(path.encode()).decode("latin-1")
        _set_uri(x, quote(path.encode(), safe="/%!$&'()*+,;=:@~-._"), x.environ.get("QUERY_STRING", ""))

    @phases(*BEFORE_APP)
    def set_raw_query(self, x: Exchange, query: str) -> None:
        """Set the query string, without ``?``."""
        of_type(query, str, "query", "a string")
        _set_query(x, query)

    @phases(*BEFORE_APP)
    def set_query(self, x: Exchange, args: Mapping[str, Any]) -> None:
        """Set the query from a mapping: values are text, numbers, booleans or lists; sorted by name."""
        of_type(args, Mapping, "args", "a table")
        _set_query(x, encode_args(args))

    @phases(*BEFORE_APP)
    def clear_query_arg(self, x: Exchange, name: str) -> None:
        """Remove every argument of this name; the order of the rest stays."""
        of_type(name, str, "query argument name", "a string")
        parts = x.environ.get("QUERY_STRING", "").split("&")
        kept = [part for part in parts if part and next(iter(query_pairs(part)))[0] != name]
        _set_query(x, "&".join(kept))

    @phases(*BEFORE_APP)
    def set_method(self, x: Exchange, method: str) -> None:
        """Set the method, one of Kong's fifteen (no CONNECT)."""
        of_type(method, str, "method", "a string")
        if method not in METHODS:
            raise ValueError(f"invalid method: {method}")
        x.environ["REQUEST_METHOD"] = method

    @phases(*BEFORE_APP)
    def set_header(self, x: Exchange, name: str, value: Any) -> None:
        """Set a request header; ``host`` also sets the upstream's host."""
        of_type(name, str, "header", "a string")
        x.set_request_header(name, _joined(name, value))

    @phases(*BEFORE_APP)
    def add_header(self, x: Exchange, name: str, value: Any) -> None:
        """Add to a request header (repeated request fields are one comma-joined value under WSGI)."""
        of_type(name, str, "header", "a string")
        present = x.environ.get(cgi_key(name))
        text = _joined(name, value)
        x.set_request_header(name, f"{present}, {text}" if present and name.lower() != "host" else text)

    @phases(*BEFORE_APP)
    def clear_header(self, x: Exchange, name: str) -> None:
        """Remove a request header."""
        of_type(name, str, "header", "a string")
        x.remove_request_header(name)

    @phases(*BEFORE_APP)
    def set_headers(self, x: Exchange, headers: Mapping[str, Any]) -> None:
        """Set several request headers, all or none."""
        of_type(headers, Mapping, "headers", "a table")
        for name, text in {n: _joined(n, v) for n, v in headers.items()}.items():
            x.set_request_header(name, text)

    @phases(*BEFORE_APP)
    def set_raw_body(self, x: Exchange, body: str | bytes) -> None:
        """Set the request body."""
        of_type(body, (str, bytes), "body", "a string")
        x.replace_body(body.encode() if isinstance(body, str) else body)

    @phases(*BEFORE_APP)
    def set_body(
        self, x: Exchange, args: Mapping[str, Any], mimetype: str | None = None
    ) -> tuple[bool | None, str | None]:
        """Set the body from a mapping as form, JSON or multipart, and the Content-Type; (True, None)."""
        of_type(args, Mapping, "args", "a table")
        kind = mimetype or str(x.environ.get("CONTENT_TYPE") or "")
        mime = kind.lower().partition(";")[0].strip()
        if mime == "application/x-www-form-urlencoded":
            data = encode_args(args).encode()
        elif mime == "application/json":
            data = answer.to_json(args)
        elif mime == "multipart/form-data":
            kind, data = _multipart(args)
        else:
            raise ValueError(f"unsupported content type '{kind}'")
        replace_request(x.environ, data)
        x.environ["CONTENT_TYPE"] = kind
        return True, None


class ServiceResponse:
    """``kong.service.response``: what the app or upstream answered. Phases: response to log."""

    @phases(*ANSWERED)
    def get_status(self, x: Exchange) -> int | None:
        """Return the status the app gave, None if it was not asked."""
        found: int | None = x.environ.get("plugmw.service_status")
        return found

    @phases(*ANSWERED)
    def get_header(self, x: Exchange, name: str) -> str | None:
        """Return the first header of this name that the app gave."""
        of_type(name, str, "header name", "a string")
        wanted = fold(name)
        headers = x.environ.get("plugmw.service_headers") or ()
        return next((value for key, value in headers if fold(key) == wanted), None)

    @phases(*ANSWERED)
    def get_headers(self, x: Exchange, max_headers: int | None = None) -> Headers:
        """Return the headers the app gave (100, or 1 to 1000; ``.err`` is "truncated" beyond)."""
        made = Headers()
        pairs = ((n.lower(), v) for n, v in x.environ.get("plugmw.service_headers") or ())
        collect(made, pairs, checked_max(max_headers, "max_headers"))
        return made

    @phases(*ANSWERED)
    def get_raw_body(self, x: Exchange) -> bytes:
        """Return the body the app gave; raises unless the answer is buffered."""
        body = x.environ.get(SERVICE_BODY)
        if body is None and x.phase == "response" and isinstance(x, Flow):
            return x.body
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
        return parse_body(kind, self.get_raw_body(), checked_max(max_args, "max_args"))


class Service:
    """``kong.service``: where the request goes. Phases: access (set_target also rewrite)."""

    def __init__(self) -> None:
        self.request = ServiceRequest()
        self.response = ServiceResponse()

    @phases("access")
    def set_upstream(self, x: Exchange, name: str) -> tuple[bool | None, str | None]:
        """Choose a configured upstream by name: (True, None) or (None, error)."""
        of_type(name, str, "host", "a string")
        if not name:
            raise ValueError("host must be a non-empty string")
        known = x.environ.get("plugmw.upstreams") or ()
        if name not in known:
            return None, f"could not find an Upstream named '{name}'"
        _target(x).update(upstream=name)
        return True, None

    @phases(*BEFORE_APP)
    def set_target(self, x: Exchange, host: str, port: int) -> None:
        """Send the request to ``host:port`` (0 to 65535); only for services with a URL."""
        of_type(host, str, "host", "a string")
        of_type(port, int, "port", "an integer")
        if not host:
            raise ValueError("host must be a non-empty string")
        if not 0 <= port <= 65535:
            raise ValueError("port must be an integer between 0 and 65535: given " + str(port))
        _target(x).update(host=host, port=port)

    @phases("access")
    def set_retries(self, x: Exchange, retries: int) -> None:
        """Set how often a failed connection is tried again (0 to 32767)."""
        of_type(retries, int, "retries", "an integer")
        if not 0 <= retries <= 32767:
            raise ValueError("retries must be an integer between 0 and 32767: given " + str(retries))
        _target(x)["retries"] = retries

    @phases("access")
    def set_timeouts(self, x: Exchange, connect: int, send: int, read: int) -> None:
        """Set connect, send and read timeouts in milliseconds (1 to 2147483646)."""
        for name, value in (("connect", connect), ("send", send), ("read", read)):
            of_type(value, int, f"{name}_timeout", "an integer")
            if not 1 <= value <= 2147483646:
                raise ValueError(f"{name}_timeout must be an integer between 1 and 2147483646: given {value}")
        _target(x).update(connect_timeout=connect, send_timeout=send, read_timeout=read)

    set_tls_cert_key = unsupported(
        "kong.service.set_tls_cert_key", "client certificates are set on the service in the configuration"
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


def encode_args(args: Mapping[str, Any]) -> str:
    """Encode arguments sorted by name: True is a bare name, False is left out, lists repeat the name."""
    pairs = []
    for name in sorted(args):
        of_type(name, str, "arg keys", "strings")
        for value in args[name] if isinstance(args[name], (list, tuple)) else [args[name]]:
            if value is True:
                pairs.append(quote(name, safe=""))
            elif isinstance(value, (str, int, float)) and not isinstance(value, bool):
                pairs.append(urlencode({name: value}, quote_via=quote, safe=""))
            elif value is not False:
                raise TypeError(
                    f"arg values must be strings, numbers or booleans, got {value!r} for {name!r}"
                )
    return "&".join(pairs)


def _multipart(args: Mapping[str, Any]) -> tuple[str, bytes]:
    from urllib3.filepost import encode_multipart_formdata

    data, kind = encode_multipart_formdata({name: str(value) for name, value in args.items()})
    return kind, data


def _joined(name: str, value: Any) -> str:
    values = value if isinstance(value, (list, tuple)) else [value]
    texts = []
    for one in values:
        if not isinstance(one, (str, int, float)):
            raise TypeError(
                f"invalid value for {json.dumps(name)}: got {type(one).__name__}, expected a string"
            )
        texts.append(("true" if one else "false") if isinstance(one, bool) else str(one))
    return ", ".join(texts)


def _target(x: Exchange) -> dict[str, Any]:
    found: dict[str, Any] = x.environ.setdefault(TARGET, {})
    return found


def _set_query(x: Exchange, query: str) -> None:
    keep(x.environ)
    x.environ["QUERY_STRING"] = query
    raw = str(x.environ.get("plugmw.raw_uri") or x.environ.get("RAW_URI") or "")
    if raw:
        _set_uri(x, raw.partition("?")[0], query)


def _set_uri(x: Exchange, path: str, query: str) -> None:
    """Keep the server's raw target in step with what plugins made of it."""
    uri = f"{path}?{query}" if query else path
    for key in ("RAW_URI", "REQUEST_URI"):
        if key in x.environ:
            x.environ[key] = uri
    x.environ["plugmw.raw_uri"] = uri
    x._path = None
