"""The log entry of an exchange: one shape for every plugin that reports, built once, secrets left out.

The fields, units and rules are Kong's (``kong/pdk/log.lua``). In addition what the auth plugins take for a
credential is left out by name, and text that is no UTF-8 is mended, so that an entry is always one line of
good JSON.
"""

from __future__ import annotations

import copy
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

import attrs

from plugmw.wsgi import keys
from plugmw.wsgi.answer import Exit, status_line
from plugmw.wsgi.headers import headers_in
from plugmw.wsgi.paths import full_path
from plugmw.wsgi.redaction import REDACTED as REDACTED
from plugmw.wsgi.redaction import REDACTED_HEADERS as REDACTED_HEADERS
from plugmw.wsgi.redaction import Redaction
from plugmw.wsgi.request_target import request_path
from plugmw.wsgi.text import decode
from plugmw.wsgi.upstream_request import UpstreamRequest
from plugmw.wsgi.urls import PORTS

if TYPE_CHECKING:
    from plugmw.kernel.exchange import Exchange

#: Characters of a longer entry: more than the headers that servers let through make, less than a flood.
MAX_LENGTH: Final = 1024 * 1024
#: Characters that are left of a target in an entry that was too long.
CUT: Final = 256
#: (dotted key, what returns its value); None deletes.
Custom = tuple[str, Callable[["Exchange"], object]]
#: An entry, or an object in one: names to values of JSON's types.
LogEntry = dict[str, Any]
_PIECES: Final = re.compile(r"(?:\\.|[^.\\])+")


def entry(x: Exchange, custom: Iterable[Custom] = (), redaction: Redaction | None = None) -> LogEntry:
    """Return the log entry; fields that do not apply are absent. Phase: log.

    ``custom`` fields are applied last, in order; one that fails is reported and left out. Nothing in the
    entry is shared with the configuration or another entry.
    """
    environ = x.environ
    hide = (redaction or Redaction()).within(x)
    uri = decode(hide.target(raw_target(x)), "replace")
    proxied = x.source == "service"
    fields: LogEntry = {
        "request": {
            "id": x.request_id,
            "method": x.method,
            "uri": uri,
            "url": f"{x.scheme}://{decode(_host_and_port(x), 'replace')}{uri}",
            "querystring": grouped(hide.pairs(environ.get("QUERY_STRING", ""))),
            "headers": {name: hide.header(name, value) for name, value in headers_in(environ)},
            "size": request_size(x),
        },
        "response": {
            "status": x.status or 500,
            "headers": grouped(
                (name.lower(), hide.header(name, value)) for name, value in x.header_list or ()
            ),
            "size": _response_size(x),
        },
        "upstream_uri": decode(hide.target(_upstream_uri(x)), "replace") if proxied else "",
        "upstream_status": _upstream_status(x),
        "latencies": latencies(x),
        "tries": list(UpstreamRequest.of(environ).tries),
        "client_ip": str(x.client_ip or ""),
        "started_at": int(x.started * 1000),
        "source": "upstream" if proxied else "kong",
    }
    _add_scope(x, fields)
    _add_tls(x, fields["request"])
    for key, name in (("trace_id", keys.TRACE_ID), ("correlation_id", keys.CORRELATION_ID)):
        value = environ.get(name)
        if value:
            fields[key] = value
    for key, value, mode in environ.get(keys.RECORD_CHANGES) or ():
        try:
            change(fields, key, value, mode)
        except ValueError as error:
            _leave_out(x, key, error)
    for key, call in custom:
        try:
            change(fields, key, call(x))
        except (Exception, Exit) as error:
            _leave_out(x, key, error)
    return fields


def _leave_out(x: Exchange, key: str, error: BaseException) -> None:
    x.runtime.logger.warning("log field %r is left out: %s: %s", key, type(error).__name__, error)


def raw_target(x: Exchange) -> str:
    """Return the request target with its query: what the server tells, as plugins have left it.

    This is not :func:`plugmw.wsgi.request_target.sent`: a log must not show a key that a plugin has hidden.
    """
    raw = x.environ.get("RAW_URI") or x.environ.get("REQUEST_URI")
    if raw:
        return str(raw)
    path, query = full_path(x.environ), x.environ.get("QUERY_STRING", "")
    return f"{path}?{query}" if query else path


def _upstream_uri(x: Exchange) -> str:
    """Return the target that was sent on."""
    path = str((x.service_facts or {}).get("path") or "").rstrip("/") + request_path(x.environ)
    query = x.environ.get("QUERY_STRING", "")
    return f"{path}?{query}" if query else path


def request_headers(x: Exchange) -> dict[str, str]:
    """Return the request's headers as WSGI has them, names in lower case; what authorizes is redacted."""
    return {name: REDACTED if name in REDACTED_HEADERS else value for name, value in headers_in(x.environ)}


def latencies(x: Exchange) -> dict[str, int]:
    """Return milliseconds: request (whole), kong (until the app), proxy (its first byte), receive (the rest).

    proxy is -1 when the app did not answer.
    """
    begun, called, first, ended = x.begun, x.app_called, x.first_byte, x.ended
    whole = _ms(ended - begun) if begun else 0
    if not called or x.source != "service":
        return {"request": whole, "kong": whole, "proxy": -1, "receive": 0}
    first = first or ended
    return {
        "request": whole,
        "kong": _ms(called - begun),
        "proxy": _ms(first - called),
        "receive": _ms(ended - first),
    }


def _ms(seconds: float) -> int:
    return max(0, int(seconds * 1000))


def grouped(pairs: Iterable[tuple[str, object]]) -> LogEntry:
    """Return names to values, a list where a name is repeated."""
    values: LogEntry = {}
    for name, value in pairs:
        if name not in values:
            values[name] = value
        elif isinstance(values[name], list):
            values[name].append(value)
        else:
            values[name] = [values[name], value]
    return values


def _host_and_port(x: Exchange) -> str:
    host = x.host
    if host.rpartition(":")[2].isdigit() and not host.endswith("]"):
        return host
    return f"{host}:{x.environ.get('SERVER_PORT') or PORTS.get(x.scheme, 80)}"


def request_size(x: Exchange) -> int:
    """Return the bytes of request line, headers and declared body, as close as WSGI shows them."""
    environ, uri = x.environ, raw_target(x)
    head = len(f"{environ['REQUEST_METHOD']} {uri} {environ.get('SERVER_PROTOCOL', 'HTTP/1.1')}\r\n\r\n")
    head += sum(len(name) + len(value) + 4 for name, value in headers_in(environ))
    length = str(environ.get("CONTENT_LENGTH") or "")
    return head + (int(length) if length.isascii() and length.isdigit() else 0)


def _response_size(x: Exchange) -> int:
    head = len(f"HTTP/1.1 {x.status_line or status_line(500)}\r\n\r\n")
    return head + sum(len(n) + len(v) + 4 for n, v in x.header_list or ()) + x.sent


def _upstream_status(x: Exchange) -> str:
    status = UpstreamRequest.of(x.environ).status
    if status:
        return status
    return str(x.status) if x.source == "service" else ""


def _add_scope(x: Exchange, fields: LogEntry) -> None:
    if x.route is not None:
        fields["route"] = x.route.described()
    if x.service_facts:
        fields["service"] = dict(x.service_facts)
    if x.consumer is not None:
        fields["consumer"] = {k: v for k, v in attrs.asdict(x.consumer).items() if v and k != "groups"}
    if x.credential is not None:
        fields["authenticated_entity"] = {"id": x.credential.id, "consumer_id": x.credential.consumer_id}


def _add_tls(x: Exchange, request: LogEntry) -> None:
    environ = x.environ
    if environ.get("wsgi.url_scheme") != "https":
        return
    # gunicorn tells nothing of TLS, but lends its socket.
    connection = environ.get("gunicorn.socket")
    version, cipher, verified = (_tls_fact(connection, name) for name in ("version", "cipher", "getpeercert"))
    request["tls"] = {
        "version": str(environ.get("SSL_PROTOCOL") or version or ""),
        "cipher": str(environ.get("SSL_CIPHER") or (cipher[0] if cipher else "")),
        "client_verify": str(environ.get("SSL_CLIENT_VERIFY") or ("SUCCESS" if verified else "NONE")),
    }


def _tls_fact(connection: object, name: str) -> Any:
    """Ask a TLS connection, which may have gone since."""
    try:
        return getattr(connection, name)()
    except (AttributeError, OSError, ValueError):
        return None


# -- the line --------------------------------------------------------------------------------------------


def encode(fields: Mapping[str, object], limit: int = MAX_LENGTH) -> str:
    """Return the entry as one line of JSON in ASCII, without a newline.

    Control characters and what separates lines are escaped, lone surrogates replaced. An entry above
    ``limit`` characters comes without headers and with its targets cut, or with little more than its
    status, and says ``"truncated": true``; not even that may fit into a very small limit.
    """
    line = one_line(fields)
    for less in (_reduced, _bare):
        if len(line) <= limit:
            break
        line = one_line(less(fields))
    return line


def one_line(fields: Mapping[str, object]) -> str:
    """Return any object as such a line, as long as it is; a value that cannot be encoded is left out."""
    try:
        line = _dumped(fields)
    except (TypeError, ValueError, RecursionError):
        line = _dumped({key: value for key, value in fields.items() if _is_good(value)})
    return _SURROGATES.sub(_mended, line) if "\\ud" in line else line


def _dumped(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def _is_good(value: object) -> bool:
    try:
        _dumped(value)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


#: Escapes, one after the other; a pair of surrogates is one character and stays.
_SURROGATES: Final = re.compile(r"\\ud[89ab]..\\ud[c-f]..|\\(ud[89a-f]..|.)")


def _mended(match: re.Match[str]) -> str:
    return "\\ufffd" if match[1] and match[1].startswith("ud") else match[0]


def _reduced(fields: Mapping[str, object]) -> LogEntry:
    shorter: LogEntry = {key: value for key, value in fields.items() if key not in ("request", "response")}
    for part in ("request", "response"):
        inside = fields.get(part)
        if isinstance(inside, dict):
            shorter[part] = {k: v for k, v in inside.items() if k not in ("headers", "querystring")}
            _cut(shorter[part], "uri", "url")
    _cut(shorter, "upstream_uri")
    return {**shorter, "truncated": True}


def _cut(fields: LogEntry, *keys: str) -> None:
    for key in keys:
        if isinstance(fields.get(key), str):
            fields[key] = fields[key][:CUT]


#: What is left of an entry that is still too long.
_BARE: Final = {
    "request": ("id", "method", "size"),
    "response": ("status", "size"),
    "latencies": ("request", "kong", "proxy", "receive"),
}


def _bare(fields: Mapping[str, object]) -> LogEntry:
    shorter: LogEntry = {key: fields.get(key) for key in ("client_ip", "started_at", "source")}
    for part, names in _BARE.items():
        inside = fields.get(part)
        shorter[part] = {name: inside.get(name) for name in names} if isinstance(inside, dict) else None
    _cut(shorter["request"] or {}, "method")
    return {**shorter, "truncated": True}


# -- changes by plugins ----------------------------------------------------------------------------------


def changes_of(x: Exchange) -> list[tuple[str, object, str]]:
    """Return the list of (dotted key, value, mode) to apply to this exchange's entry, in order."""
    changes: list[tuple[str, object, str]] = x.environ.setdefault(keys.RECORD_CHANGES, [])
    return changes


def check_key(key: str) -> list[str]:
    """Return the names in a dotted key; raises ``ValueError`` if there are none."""
    pieces = [piece.replace("\\.", ".") for piece in _PIECES.findall(key)]
    if not pieces:
        raise ValueError(f"got the key {key!r}, expected names with dots between them")
    return pieces


def check_value(value: object, depth: int = 0) -> None:
    """Raise ``ValueError`` unless ``value`` is made of JSON types, without cycles (depth 100)."""
    if depth > 100:
        raise ValueError("value must not be nested deeper than 100 levels")
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise ValueError("value must have text keys only")
            check_value(item, depth + 1)
    elif isinstance(value, (list, tuple)):
        for item in value:
            check_value(item, depth + 1)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError("value must be a finite number")
    elif value is not None and not isinstance(value, (str, int, float, bool)):
        raise ValueError("value must be nil, a number, string, boolean or a non-self-referential table")


def change(fields: LogEntry, key: str, value: object, mode: str = "set") -> None:
    """Apply one change: ``a.b`` enters or makes objects, ``a\\.b`` is one key, None deletes.

    Raises ``ValueError`` for a key that leads through something that is no object.
    """
    pieces = check_key(key)
    check_value(value)
    target = fields
    for piece in pieces[:-1]:
        inside = target.get(piece)
        if inside is None:
            if value is None or mode == "replace":
                return
            inside = target[piece] = {}
        if not isinstance(inside, dict):
            raise ValueError(f"cannot set {key!r}: {piece!r} is no object")
        target = inside
    last = pieces[-1]
    if (last in target) == (mode == "add") and mode != "set":
        return
    if value is None:
        target.pop(last, None)
    else:
        target[last] = copy.deepcopy(value)
