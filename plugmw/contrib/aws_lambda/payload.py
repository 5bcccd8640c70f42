"""What a Lambda function is told of a request, and what the answer to the client is made of.

The shapes are Kong's (``kong/plugins/aws-lambda/request-util.lua``): the plain one, that of
``forward_request_*`` and that of Amazon's API Gateway, payload format 1.0. Nothing here calls anybody.
"""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from plugmw.kernel.exchange import Exchange
from plugmw.telemetry.log_entry import grouped, raw_target
from plugmw.transform.rules import parse_json
from plugmw.upstream.forwarding import response_headers
from plugmw.wsgi import answer
from plugmw.wsgi.forms import FORM, JSON, MULTIPART, form_text, media_type, read_parts
from plugmw.wsgi.headers import headers_in
from plugmw.wsgi.redaction import Redaction
from plugmw.wsgi.request_target import request_path
from plugmw.wsgi.text import decode, encode

if TYPE_CHECKING:
    from plugmw.contrib.aws_lambda.plugin import Config

#: Content types that are told as text although nothing is parsed; compared whole, as in Kong.
TEXTS: Final = frozenset(
    ("text/plain", "text/html", "application/xml", "text/xml", "application/soap+xml"),
)
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
Headers = list[tuple[str, str]]


# -- what the function is told --------------------------------------------------------------------------


def query_values(raw: str) -> dict[str, object]:
    """Return names to values; a list where a name is repeated, True for a name without ``=``."""
    return grouped(Redaction().pairs(raw))


def body_values(content_type: str, data: bytes) -> object:
    """Return a form, multipart or JSON body as its values; None for what cannot be parsed."""
    kind, boundary = media_type(content_type)
    try:
        if kind == FORM:
            return query_values(form_text(data))
        if kind == MULTIPART:
            parts = [part for part in read_parts(data, boundary) if part.name]
            return grouped((str(part.name), part.content.decode("utf-8", "replace")) for part in parts)
        return parse_json(data) if kind == JSON else None
    except ValueError:
        return None


def plain(query: str, content_type: str, data: bytes) -> object:
    """Return the query's values with those of the body over them; a JSON list goes as it is."""
    values = body_values(content_type, data)
    if isinstance(values, list):
        return values
    return {**query_values(query), **(values if isinstance(values, dict) else {})}


def forwarded(x: Exchange, data: bytes, config: Config) -> dict[str, object]:
    """Return the parts of the request that ``forward_request_*`` name."""
    parts: dict[str, object] = {}
    if config.forward_request_method:
        parts["request_method"] = x.method
    if config.forward_request_headers:
        parts["request_headers"] = {name: decode(value, "replace") for name, value in headers_in(x.environ)}
    if config.forward_request_uri:
        path, query = raw_target(x).partition("?")[0], x.environ.get("QUERY_STRING", "")
        parts["request_uri"] = decode(f"{path}?{query}" if query else path, "replace")
        parts["request_uri_args"] = query_values(query)
    if config.forward_request_body:
        kind = x.environ.get("CONTENT_TYPE", "")
        values = body_values(kind, data)
        parts["request_body_args"] = values if isinstance(values, (dict, list)) else {}
        if _is_opaque(kind) and config.base64_encode_body:
            parts["request_body"] = base64.b64encode(data).decode()
            parts["request_body_base64"] = True
        else:
            parts["request_body"] = data.decode("utf-8", "replace")
    return parts


def _is_opaque(content_type: str) -> bool:
    return content_type not in TEXTS and media_type(content_type)[0] not in (FORM, JSON, MULTIPART)


def api_gateway(x: Exchange, data: bytes, encode: bool) -> dict[str, object]:
    """Return the request as API Gateway tells it (payload format 1.0)."""
    environ = x.environ
    headers = {name: decode(value, "replace") for name, value in headers_in(environ)}
    query = query_values(environ.get("QUERY_STRING", ""))
    base = str((x.service_facts or {}).get("path") or "").rstrip("/")
    path = base + decode(request_path(environ), "replace")
    host = decode(x.host, "replace")
    domain = host if host.endswith("]") else re.sub(r":[0-9]*\Z", "", host)
    now = x.runtime.clock()
    return {
        "version": "1.0",
        "resource": _resource(x) or path,
        "path": path,
        "httpMethod": x.method,
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "pathParameters": {name: decode(value, "replace") for name, value in x.captures["named"].items()},
        "queryStringParameters": {n: v[0] if isinstance(v, list) else v for n, v in query.items()},
        "multiValueQueryStringParameters": {n: v if isinstance(v, list) else [v] for n, v in query.items()},
        "body": base64.b64encode(data).decode() if encode else data.decode("utf-8", "replace"),
        "isBase64Encoded": encode,
        "requestContext": {
            "path": path,
            "protocol": str(environ.get("SERVER_PROTOCOL", "HTTP/1.1")),
            "httpMethod": x.method,
            "domainName": domain,
            "domainPrefix": domain.partition(".")[0],
            "identity": {"sourceIp": str(x.client_ip or ""), "userAgent": headers.get("user-agent", "")},
            "requestId": x.request_id,
            "requestTime": request_time(now),
            "requestTimeEpoch": int(now * 1000),
            "resourcePath": path,
        },
    }


def _resource(x: Exchange) -> str:
    """Return the path of the route that matched, a regular expression in Kong's spelling."""
    if x.route is None:
        return ""
    path: str = x.route.taken(x.path)
    return path[1:].replace("(?P<", "(?<") if path.startswith("~") else path


def request_time(now: float) -> str:
    """Write seconds since the epoch as ``06/Sep/2022:03:55:14 +0000``, in English wherever it runs."""
    at = time.gmtime(now)
    return f"{at.tm_mday:02}/{_MONTHS[at.tm_mon - 1]}/{time.strftime('%Y:%H:%M:%S', at)} +0000"


# -- what the client gets -------------------------------------------------------------------------------


def kept_headers(pairs: Iterable[tuple[str, str]]) -> Headers:
    """Return Lambda's headers without framing, hop-by-hop fields and the tail of the function's log."""
    dropped = ("content-length", "x-amz-log-result")
    return [(name, value) for name, value in response_headers(pairs) if name.lower() not in dropped]


_ARRAY: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|\[[ \t\r\n]*\]', re.DOTALL)


def without_empty_arrays(data: bytes) -> bytes:
    """Make ``{}`` of every ``[]`` in JSON, outside of its strings; nothing else changes."""
    return _ARRAY.sub(lambda match: b"{}" if match[0].startswith(b"[") else match[0], data)


def read_proxy(data: bytes) -> tuple[int, Headers, bytes]:
    """Read the answer of a function in API Gateway's form; ValueError says what is wrong with it."""
    answered = parse_json(data)
    if not isinstance(answered, dict):
        raise ValueError("response must be an object")
    status = _status(answered.get("statusCode"))
    headers = _headers(answered)
    encoded = answered.get("isBase64Encoded", False)
    if not isinstance(encoded, bool):
        raise ValueError("isBase64Encoded must be a boolean")
    body = answered.get("body", "")
    if not isinstance(body, str):
        raise ValueError("body must be a string")
    if not encoded:
        return status, headers, body.encode("utf-8", "replace")
    try:
        return status, headers, base64.b64decode(body, validate=True)
    except ValueError:
        raise ValueError("body must be base64 when isBase64Encoded is true") from None


def _status(value: object) -> int:
    """Return the status; one below 200 is no answer that a WSGI app can give."""
    if isinstance(value, str) and re.fullmatch("[0-9]{3}", value):
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 200 <= value <= 599:
        raise ValueError("statusCode validation failed")
    return value


def _headers(answered: dict[str, object]) -> Headers:
    """Return the function's headers; of a name in both, those of ``multiValueHeaders``."""
    by_name: dict[str, Headers] = {}
    for member in ("headers", "multiValueHeaders"):
        members = answered.get(member)
        if members is not None and not isinstance(members, dict):
            raise ValueError(f"{member} must be a table")
        here: dict[str, Headers] = {}
        for name, values in (members or {}).items():
            lines = here.setdefault(name.lower(), [])
            for value in values if isinstance(values, list) else [values]:
                lines.append((name, _header(name, value)))
        by_name |= here
    every = [item for lines in by_name.values() for item in lines]
    return [item for item in response_headers(every) if item[0].lower() != "content-length"]


def _header(name: str, value: object) -> str:
    if isinstance(value, bool):
        value = "true" if value else "false"
    if not isinstance(value, (str, int, float)):
        raise ValueError("headers must have text or numbers as values")
    text = encode(str(value), "replace")
    try:
        answer.check_header(name, text)
    except ValueError:
        raise ValueError("headers must have names and values that can be sent") from None
    return text


def over(headers: Headers, own: Headers) -> Headers:
    """Return Lambda's headers with the function's own in place of those of the same name."""
    names = {name.lower() for name, _ in own}
    return [item for item in headers if item[0].lower() not in names] + own
