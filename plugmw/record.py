"""The log entry of an exchange: one shape for every plugin that reports, built once, secrets left out.

The fields, units and rules are Kong's (``kong/pdk/log.lua``). Cookies, keys in queries and the like are
redacted by the plugins that send the entry, by their own settings.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote_plus

import attrs

from plugmw.answer import status_line

if TYPE_CHECKING:
    from plugmw.exchange import Exchange

REDACTED: Final = "REDACTED"
#: Request headers whose value never goes out.
REDACTED_HEADERS: Final = frozenset(("authorization", "proxy-authorization"))
_CHANGES: Final = "plugmw.record.changes"
_PIECES: Final = re.compile(r"(?:\\.|[^.\\])+")


def entry(x: Exchange) -> dict[str, Any]:
    """Return the log entry; fields that do not apply are absent. Phase: log."""
    environ = x.environ
    uri = raw_target(x)
    made: dict[str, Any] = {
        "request": {
            "id": x.request_id,
            "method": environ["REQUEST_METHOD"],
            "uri": uri,
            "url": f"{x.scheme}://{_host_and_port(x)}{uri}",
            "querystring": grouped(_query(environ.get("QUERY_STRING", ""))),
            "headers": request_headers(x),
            "size": _request_size(x, uri),
        },
        "response": {
            "status": x.status or 500,
            "headers": grouped((name.lower(), value) for name, value in x.header_list or ()),
            "size": _response_size(x),
        },
        "upstream_uri": uri if x.source == "service" else "",
        "upstream_status": _upstream_status(x),
        "latencies": latencies(x),
        "tries": environ.get("plugmw.upstream.tries") or [],
        "client_ip": str(x.client_ip or ""),
        "started_at": int(x.started * 1000),
        "source": "upstream" if x.source == "service" else "kong",
    }
    _add_scope(x, made)
    _add_tls(x, made["request"])
    for key in ("trace_id", "correlation_id"):
        value = environ.get(f"plugmw.{key}")
        if value:
            made[key] = value
    for key, value, mode in environ.get(_CHANGES) or ():
        change(made, key, value, mode)
    return made


def raw_target(x: Exchange) -> str:
    """Return the request target with its query, as sent where the server tells it."""
    raw = x.environ.get("RAW_URI") or x.environ.get("REQUEST_URI")
    if raw:
        return str(raw)
    path = x.environ.get("SCRIPT_NAME", "") + x.environ.get("PATH_INFO", "")
    query = x.environ.get("QUERY_STRING", "")
    return f"{path}?{query}" if query else str(path)


def request_headers(x: Exchange) -> dict[str, Any]:
    """Return the request's headers, names in lower case, credentials redacted."""
    made: dict[str, Any] = {}
    for key, value in x.environ.items():
        if key.startswith("HTTP_"):
            name = key[5:].lower().replace("_", "-")
        elif key in ("CONTENT_TYPE", "CONTENT_LENGTH") and value:
            name = key.lower().replace("_", "-")
        else:
            continue
        made[name] = REDACTED if name in REDACTED_HEADERS else str(value)
    return made


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


def grouped(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Return names to values, a list where a name is repeated."""
    made: dict[str, Any] = {}
    for name, value in pairs:
        if name not in made:
            made[name] = value
        elif isinstance(made[name], list):
            made[name].append(value)
        else:
            made[name] = [made[name], value]
    return made


def _query(query: str) -> Iterable[tuple[str, Any]]:
    for part in query.split("&"):
        if part:
            name, equals, value = part.partition("=")
            yield unquote_plus(name), unquote_plus(value) if equals else True


def _host_and_port(x: Exchange) -> str:
    host = x.host
    if host.rpartition(":")[2].isdigit() and not host.endswith("]"):
        return host
    return f"{host}:{x.environ.get('SERVER_PORT') or (443 if x.scheme == 'https' else 80)}"


def _request_size(x: Exchange, uri: str) -> int:
    """Return the bytes of request line, headers and declared body, as close as WSGI shows them."""
    environ = x.environ
    head = len(f"{environ['REQUEST_METHOD']} {uri} {environ.get('SERVER_PROTOCOL', 'HTTP/1.1')}\r\n\r\n")
    for key, value in environ.items():
        if key.startswith("HTTP_"):
            head += len(key) - 5 + len(str(value)) + 4
    for key in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if environ.get(key):
            head += len(key) + len(str(environ[key])) + 4
    length = str(environ.get("CONTENT_LENGTH") or "")
    return head + (int(length) if length.isascii() and length.isdigit() else 0)


def _response_size(x: Exchange) -> int:
    head = len(f"HTTP/1.1 {x.status_line or status_line(500)}\r\n\r\n")
    return head + sum(len(n) + len(v) + 4 for n, v in x.header_list or ()) + x.sent


def _upstream_status(x: Exchange) -> Any:
    told = x.environ.get("plugmw.upstream.status")
    if told:
        return told
    return str(x.status) if x.source == "service" else ""


def _add_scope(x: Exchange, made: dict[str, Any]) -> None:
    if x.route is not None:
        made["route"] = x.route.described()
    if x.service_facts:
        made["service"] = dict(x.service_facts)
    if x.consumer is not None:
        made["consumer"] = {k: v for k, v in attrs.asdict(x.consumer).items() if v and k != "groups"}
    if x.credential is not None:
        made["authenticated_entity"] = {"id": x.credential.id, "consumer_id": x.credential.consumer_id}


def _add_tls(x: Exchange, request: dict[str, Any]) -> None:
    if x.environ.get("wsgi.url_scheme") == "https":
        request["tls"] = {
            "version": str(x.environ.get("SSL_PROTOCOL") or ""),
            "cipher": str(x.environ.get("SSL_CIPHER") or ""),
            "client_verify": str(x.environ.get("SSL_CLIENT_VERIFY") or "NONE"),
        }


# -- changes by plugins ----------------------------------------------------------------------------------


def changes_of(x: Exchange) -> list[tuple[str, Any, str]]:
    """Return the list of (dotted key, value, mode) to apply to this exchange's entry, in order."""
    found: list[tuple[str, Any, str]] = x.environ.setdefault(_CHANGES, [])
    return found


def check_value(value: Any, depth: int = 0) -> None:
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


def change(made: dict[str, Any], key: str, value: Any, mode: str = "set") -> None:
    """Apply one change: ``a.b`` enters or makes objects, ``a\\.b`` is one key, None deletes.

    Raises ``ValueError`` for a key that leads through something that is no object.
    """
    pieces = [piece.replace("\\.", ".") for piece in _PIECES.findall(key)]
    target = made
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
        target[last] = value
