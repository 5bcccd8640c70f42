"""What a plugin server may call, and how: the allow-list of PDK methods.

A method that is not in :data:`METHODS` cannot be called, whatever ``kong`` has under that name. Arguments
are checked and brought into our types here; what comes out is plain data in UTF-8. (WSGI carries header
bytes as latin-1 text: :func:`to_text` and :func:`to_wsgi` go between the two.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import attrs

from plugmw import answer, current
from plugmw.dialects.kong.pdk import kong
from plugmw.dialects.kong.pdk.log import LEVELS
from plugmw.dialects.kong.servers.wire import Failed
from plugmw.exchange import Exchange
from plugmw.record import check_value
from plugmw.wsgi.headers import cgi_key
from plugmw.wsgi.text import decode, encode, utf8_or_latin1

Convert = Callable[[Any], Any]


def to_text(value: str) -> str:
    """Turn WSGI's latin-1 text into what the bytes say in UTF-8; bytes that are none stay latin-1."""
    try:
        return decode(value, "strict")
    except UnicodeError:
        return value


def to_wsgi(value: str) -> str:
    """Turn text into WSGI's latin-1 form of its UTF-8 bytes."""
    return encode(value, "replace")


# -- arguments ---------------------------------------------------------------------------------------------


def text(value: Any) -> str:
    """Take text, or the bytes of it."""
    if isinstance(value, (bytes, bytearray)):
        return utf8_or_latin1(bytes(value))
    if not isinstance(value, str):
        raise TypeError(f"got {type(value).__name__}, expected a string")
    return value


def wsgi_text(value: Any) -> str:
    return to_wsgi(text(value))


def integer(value: Any) -> int:
    """Take a whole number; JavaScript sends it as a float."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"got {type(value).__name__}, expected an integer")
    return value


def flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"got {type(value).__name__}, expected a boolean")
    return value


def header_value(value: Any) -> Any:
    """Take a header's value, or the list of its values."""
    if isinstance(value, (list, tuple)):
        return [header_value(one) for one in value]
    return value if isinstance(value, (bool, int, float)) else wsgi_text(value)


def header_map(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise TypeError(f"got {type(value).__name__}, expected a table")
    return {text(name): header_value(one) for name, one in value.items()}


def arguments(value: Any) -> dict[str, Any]:
    """Take query or form arguments."""
    if not isinstance(value, Mapping):
        raise TypeError(f"got {type(value).__name__}, expected a table")
    return {text(name): plain(one) for name, one in value.items()}


def data(value: Any) -> bytes:
    """Take a body."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape")
    if not isinstance(value, (bytes, bytearray)):
        raise TypeError(f"got {type(value).__name__}, expected a string")
    return bytes(value)


def body(value: Any) -> Any:
    """Take what an exit may send: text, bytes, a table or nothing."""
    if isinstance(value, (dict, list)):
        return plain(value)
    return None if value is None else data(value)


def plain(value: Any) -> Any:
    """Take JSON types; bytes become text."""
    made = _plain(value)
    check_value(made)
    return made


def _plain(value: Any, depth: int = 0) -> Any:
    if depth > 100:
        raise ValueError("value must not be nested deeper than 100 levels")
    if isinstance(value, (bytes, bytearray)):
        return text(value)
    if isinstance(value, Mapping):
        return {text(name): _plain(one, depth + 1) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one, depth + 1) for one in value]
    return value


def table(value: Any) -> dict[str, Any]:
    """Take an entity, like a consumer."""
    made = plain(value)
    if not isinstance(made, dict):
        raise TypeError(f"got {type(value).__name__}, expected a table")
    return made


# -- results -----------------------------------------------------------------------------------------------


def as_is(value: Any) -> Any:
    return value


def nothing(value: Any) -> None:
    return None


def as_text(value: Any) -> Any:
    return to_text(value) if isinstance(value, str) else value


def multi_map(value: Mapping[str, Any]) -> dict[str, list[str]]:
    """Give names to lists of values; a flag (``?name``) has an empty list, as in Kong."""
    return {to_text(name): list(_texts(one)) for name, one in value.items()}


def _texts(value: Any) -> Iterable[str]:
    for one in value if isinstance(value, list) else (value,):
        if one is not True:
            yield to_text(str(one))


def entity(value: Any) -> Any:
    """Give a consumer, credential, route or service as a table, without what it does not have."""
    if value is None:
        return None
    if not isinstance(value, Mapping):
        value = attrs.asdict(value, filter=lambda attribute, _: attribute.name not in ("data", "expires"))
    return {
        key: list(one) if isinstance(one, tuple) else one for key, one in value.items() if one is not None
    }


def captures(value: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "unnamed": [as_text(one) for one in value["unnamed"]],
        "named": {name: as_text(one) for name, one in value["named"].items()},
    }


def json_text(value: Any) -> str:
    """Give the log entry as JSON, as Kong does over both protocols."""
    return answer.to_json(value).decode()


# -- functions that Kong has for plugin servers only ---------------------------------------------------------


def _exchange(name: str) -> Exchange:
    x = current.exchange()
    if x is None:
        raise RuntimeError(f"{name} cannot be called outside a request")
    return x


def _get_shared(name: str) -> Any:
    return plain_or_none(_exchange("kong.ctx.shared.get").ctx.get(name))


def _set_shared(name: str, value: Any) -> None:
    ctx = _exchange("kong.ctx.shared.set").ctx
    if value is None:
        ctx.pop(name, None)
    else:
        ctx[name] = value


def _private(name: str) -> dict[Any, Any]:
    _exchange(name)
    return kong.ctx.plugin or {}


def _get_private(name: str) -> Any:
    return plain_or_none(_private("kong.ctx.plugin.get").get(name))


def _set_private(name: str, value: Any) -> None:
    _private("kong.ctx.plugin.set")[name] = value


def _nginx_ctx() -> dict[str, Any]:
    found: dict[str, Any] = _exchange("kong.nginx.get_ctx").state(_nginx_ctx).setdefault("ctx", {})
    return found


def _get_nginx_ctx(name: str) -> Any:
    return _nginx_ctx().get(name)


def _set_nginx_ctx(name: str, value: Any) -> None:
    _nginx_ctx()[name] = value


def plain_or_none(value: Any) -> Any:
    """Give what can be carried over; an in-process plugin may have kept an object under the name."""
    try:
        return plain(value)
    except (TypeError, ValueError):
        raise Failed("the value is no plain data", expected=True) from None


#: nginx's variables that have a counterpart: its name -> environ key.
_VARIABLES: Final = {
    "remote_addr": "REMOTE_ADDR",
    "remote_port": "REMOTE_PORT",
    "request_method": "REQUEST_METHOD",
    "request_uri": "RAW_URI",
    "args": "QUERY_STRING",
    "query_string": "QUERY_STRING",
    "scheme": "wsgi.url_scheme",
    "server_port": "SERVER_PORT",
    "server_name": "SERVER_NAME",
    "server_protocol": "SERVER_PROTOCOL",
    "http_host": "HTTP_HOST",
    "content_type": "CONTENT_TYPE",
    "content_length": "CONTENT_LENGTH",
    "ssl_protocol": "SSL_PROTOCOL",
    "ssl_cipher": "SSL_CIPHER",
}


def _get_var(name: str) -> str | None:
    """Return an nginx variable as far as WSGI has it; request headers are ``http_<name>``."""
    x = _exchange("kong.nginx.get_var")
    if name in ("request_id", "kong_request_id"):
        return x.request_id
    if name == "uri":
        return str(x.environ.get("PATH_INFO", ""))
    key = _VARIABLES.get(name) or (cgi_key(name[5:]) if name.startswith("http_") else "")
    found = x.environ.get(key)
    return None if found is None else str(found)


def _tls_version() -> str:
    return str(_exchange("kong.nginx.get_tls1_version_str").environ.get("SSL_PROTOCOL") or "")


def _start_time() -> float:
    return _exchange("kong.nginx.req_start_time").started


def _consumer(value: dict[str, Any] | None) -> Any:
    return value if value and value.get("id") else None


def _authenticate(consumer: Any, credential: Any) -> None:
    kong.client.authenticate(_consumer(consumer), _consumer(credential))


# -- the table ---------------------------------------------------------------------------------------------


@attrs.frozen
class Method:
    """One callable method: function, converters of its arguments and result, and how it is to be taken.

    ``needed`` arguments must be there. ``effect``: whether calling it twice may differ from once.
    ``fallible``: the function returns ``(value, error, ...)``.
    """

    call: Callable[..., Any]
    arguments: tuple[Convert, ...] = ()
    result: Convert = as_is
    needed: int = 0
    effect: bool = False
    fallible: bool = False


def _get(call: Callable[..., Any], *arguments: Convert, result: Convert = as_is, needed: int = -1) -> Method:
    return Method(call, arguments, result, len(arguments) if needed < 0 else needed)


def _try(call: Callable[..., Any], *arguments: Convert, result: Convert = as_is, needed: int = -1) -> Method:
    return Method(call, arguments, result, len(arguments) if needed < 0 else needed, fallible=True)


def _do(call: Callable[..., Any], *arguments: Convert, needed: int = -1) -> Method:
    return Method(call, arguments, nothing, len(arguments) if needed < 0 else needed, effect=True)


_request, _response, _service, _client = kong.request, kong.response, kong.service, kong.client

METHODS: Final[dict[str, Method]] = {
    "kong.client.get_ip": _get(_client.get_ip),
    "kong.client.get_forwarded_ip": _get(_client.get_forwarded_ip),
    "kong.client.get_port": _get(_client.get_port),
    "kong.client.get_forwarded_port": _get(_client.get_forwarded_port),
    "kong.client.get_consumer": _get(_client.get_consumer, result=entity),
    "kong.client.get_credential": _get(_client.get_credential, result=entity),
    "kong.client.load_consumer": _try(_client.load_consumer, text, flag, result=entity, needed=1),
    "kong.client.authenticate": _do(_authenticate, table, table, needed=0),
    "kong.client.get_protocol": _try(_client.get_protocol, flag, needed=0),
    "kong.client.tls.get_full_client_certificate_chain": _get(_client.tls.get_full_client_certificate_chain),
    "kong.ctx.shared.get": _get(_get_shared, text),
    "kong.ctx.shared.set": _do(_set_shared, text, plain),
    "kong.ctx.plugin.get": _get(_get_private, text),
    "kong.ctx.plugin.set": _do(_set_private, text, plain),
    "kong.ip.is_trusted": _get(kong.ip.is_trusted, text),
    "kong.log.set_serialize_value": _do(kong.log.set_serialize_value, text, plain, table, needed=2),
    "kong.log.serialize": _get(kong.log.serialize, result=json_text),
    "kong.nginx.get_var": _get(_get_var, text, result=as_text),
    "kong.nginx.get_tls1_version_str": _get(_tls_version),
    "kong.nginx.get_ctx": _get(_get_nginx_ctx, text),
    "kong.nginx.set_ctx": _do(_set_nginx_ctx, text, plain),
    "kong.nginx.req_start_time": _get(_start_time),
    "kong.nginx.get_subsystem": _get(kong.nginx.get_subsystem),
    "kong.node.get_id": _get(kong.node.get_id),
    "kong.node.get_hostname": _get(kong.node.get_hostname),
    "kong.node.get_memory_stats": _get(kong.node.get_memory_stats, text, integer, needed=0),
    "kong.plugin.get_id": _get(kong.plugin.get_id),
    "kong.request.get_scheme": _get(_request.get_scheme),
    "kong.request.get_host": _get(_request.get_host, result=as_text),
    "kong.request.get_port": _get(_request.get_port),
    "kong.request.get_forwarded_scheme": _get(_request.get_forwarded_scheme),
    "kong.request.get_forwarded_host": _get(_request.get_forwarded_host, result=as_text),
    "kong.request.get_forwarded_port": _get(_request.get_forwarded_port),
    "kong.request.get_forwarded_path": _get(_request.get_forwarded_path, result=as_text),
    "kong.request.get_forwarded_prefix": _get(_request.get_forwarded_prefix, result=as_text),
    "kong.request.get_http_version": _get(_request.get_http_version),
    "kong.request.get_method": _get(_request.get_method),
    "kong.request.get_path": _get(_request.get_path, result=as_text),
    "kong.request.get_raw_path": _get(_request.get_raw_path, result=as_text),
    "kong.request.get_path_with_query": _get(_request.get_path_with_query, result=as_text),
    "kong.request.get_raw_query": _get(_request.get_raw_query, result=as_text),
    "kong.request.get_query_arg": _get(_request.get_query_arg, text, result=as_text),
    "kong.request.get_query": _get(_request.get_query, integer, result=multi_map, needed=0),
    "kong.request.get_header": _get(_request.get_header, text, result=as_text),
    "kong.request.get_headers": _get(_request.get_headers, integer, result=multi_map, needed=0),
    "kong.request.get_raw_body": _try(_request.get_raw_body, integer, needed=0),
    "kong.request.get_body": _try(_request.get_body, text, integer, integer, needed=0),
    "kong.request.get_start_time": _get(_request.get_start_time),
    "kong.request.get_uri_captures": _get(_request.get_uri_captures, result=captures),
    "kong.response.get_status": _get(_response.get_status),
    "kong.response.get_header": _get(_response.get_header, text, result=as_text),
    "kong.response.get_headers": _get(_response.get_headers, integer, result=multi_map, needed=0),
    "kong.response.get_source": _get(_response.get_source),
    "kong.response.set_status": _do(_response.set_status, integer),
    "kong.response.set_header": _do(_response.set_header, text, header_value),
    "kong.response.add_header": _do(_response.add_header, text, header_value),
    "kong.response.clear_header": _do(_response.clear_header, text),
    "kong.response.set_headers": _do(_response.set_headers, header_map),
    "kong.response.exit": _do(_response.exit, integer, body, header_map, needed=1),
    "kong.response.error": _do(_response.error, integer, text, header_map, needed=1),
    "kong.router.get_route": _get(kong.router.get_route, result=entity),
    "kong.router.get_service": _get(kong.router.get_service, result=entity),
    "kong.service.set_upstream": Method(_service.set_upstream, (text,), as_is, 1, effect=True, fallible=True),
    "kong.service.set_target": _do(_service.set_target, text, integer),
    "kong.service.set_retries": _do(_service.set_retries, integer),
    "kong.service.set_timeouts": _do(_service.set_timeouts, integer, integer, integer),
    "kong.service.request.enable_buffering": _do(_service.request.enable_buffering),
    "kong.service.request.set_scheme": _do(_service.request.set_scheme, text),
    "kong.service.request.set_path": _do(_service.request.set_path, text),
    "kong.service.request.set_raw_query": _do(_service.request.set_raw_query, wsgi_text),
    "kong.service.request.set_query": _do(_service.request.set_query, arguments),
    "kong.service.request.clear_query_arg": _do(_service.request.clear_query_arg, text),
    "kong.service.request.set_method": _do(_service.request.set_method, text),
    "kong.service.request.set_header": _do(_service.request.set_header, text, header_value),
    "kong.service.request.add_header": _do(_service.request.add_header, text, header_value),
    "kong.service.request.clear_header": _do(_service.request.clear_header, text),
    "kong.service.request.set_headers": _do(_service.request.set_headers, header_map),
    "kong.service.request.set_raw_body": _do(_service.request.set_raw_body, data),
    "kong.service.request.set_body": Method(
        _service.request.set_body, (arguments, text), as_is, 1, effect=True, fallible=True
    ),
    "kong.service.response.get_status": _get(_service.response.get_status),
    "kong.service.response.get_header": _get(_service.response.get_header, text, result=as_text),
    "kong.service.response.get_headers": _get(
        _service.response.get_headers, integer, result=multi_map, needed=0
    ),
    "kong.service.response.get_raw_body": _get(_service.response.get_raw_body),
    "kong.service.response.get_body": _try(_service.response.get_body, text, integer, needed=0),
}
#: Take any number of values of any kind.
LOGS: Final[dict[str, Callable[..., None]]] = {
    "kong.log": kong.log.notice,
    **{f"kong.log.{level}": getattr(kong.log, level) for level in LEVELS},
    "kong.log.deprecation": kong.log.deprecation,
    "kong.log.inspect": kong.log.inspect,
}


class Calls:
    """The PDK calls of one event; to be used with the exchange in force (:mod:`plugmw.current`)."""

    __slots__ = ("effect",)

    def __init__(self) -> None:
        #: Whether a call was made that a second try would make again.
        self.effect = False

    def ask(self, name: str, given: list[Any]) -> Any:
        """Make one call; raises :class:`Failed`, or the Exit of ``kong.response.exit`` and ``error``."""
        method = METHODS.get(name)
        if method is None:
            return self._log(name, given)
        converters = method.arguments
        while given and given[-1] is None:
            given.pop()
        if len(given) > len(converters):
            raise Failed(f"{name}: got {len(given)} arguments, expected at most {len(converters)}")
        if len(given) < method.needed:
            given += [None] * (method.needed - len(given))
        if method.effect:
            self.effect = True
        try:
            taken = [None if one is None else convert(one) for convert, one in zip(converters, given)]
            found = method.call(*taken)
            if method.fallible:
                if found[1] is not None and found[0] is None:
                    raise Failed(str(found[1]), expected=True)
                found = found[0]
            return method.result(found) if found is not None else None
        except Failed:
            raise
        except Exception as error:
            raise Failed(str(error) or type(error).__name__) from error

    def _log(self, name: str, given: list[Any]) -> None:
        log = LOGS.get(name)
        if log is None:
            raise Failed(f"{name[:200]} is not a function that plugin servers may call")
        log(*(text(one) if isinstance(one, (str, bytes)) else one for one in given))
