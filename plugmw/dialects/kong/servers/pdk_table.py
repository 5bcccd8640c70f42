"""What a plugin server may call: the allow-list of PDK methods.

This table is the security boundary: a method that is not in :data:`METHODS` or :data:`LOGS` cannot be called,
whatever ``kong`` has under that name. Each line names the function, what its arguments must be, and how its
result is told (:mod:`plugmw.dialects.kong.servers.converters`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

import attrs

from plugmw.dialects.kong.pdk import kong
from plugmw.dialects.kong.pdk.log import LEVELS
from plugmw.dialects.kong.servers import pdk_functions
from plugmw.dialects.kong.servers.converters import (
    arguments,
    as_is,
    as_text,
    body,
    captures,
    data,
    entity,
    flag,
    header_map,
    header_value,
    integer,
    json_text,
    multi_map,
    nothing,
    plain,
    table,
    text,
    wsgi_text,
)

Convert: TypeAlias = "Callable[[Any], object]"


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


def _get(
    call: Callable[..., object], *arguments: Convert, result: Convert = as_is, needed: int = -1
) -> Method:
    return Method(call, arguments, result, len(arguments) if needed < 0 else needed)


def _try(
    call: Callable[..., object], *arguments: Convert, result: Convert = as_is, needed: int = -1
) -> Method:
    return Method(call, arguments, result, len(arguments) if needed < 0 else needed, fallible=True)


def _do(call: Callable[..., object], *arguments: Convert, needed: int = -1) -> Method:
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
    "kong.client.authenticate": _do(pdk_functions.authenticate, table, table, needed=0),
    "kong.client.get_protocol": _try(_client.get_protocol, flag, needed=0),
    "kong.client.tls.get_full_client_certificate_chain": _get(_client.tls.get_full_client_certificate_chain),
    "kong.ctx.shared.get": _get(pdk_functions.get_shared, text),
    "kong.ctx.shared.set": _do(pdk_functions.set_shared, text, plain),
    "kong.ctx.plugin.get": _get(pdk_functions.get_private, text),
    "kong.ctx.plugin.set": _do(pdk_functions.set_private, text, plain),
    "kong.ip.is_trusted": _get(kong.ip.is_trusted, text),
    "kong.log.set_serialize_value": _do(kong.log.set_serialize_value, text, plain, table, needed=2),
    "kong.log.serialize": _get(kong.log.serialize, result=json_text),
    "kong.nginx.get_var": _get(pdk_functions.get_var, text, result=as_text),
    "kong.nginx.get_tls1_version_str": _get(pdk_functions.get_tls_version),
    "kong.nginx.get_ctx": _get(pdk_functions.get_nginx_ctx, text),
    "kong.nginx.set_ctx": _do(pdk_functions.set_nginx_ctx, text, plain),
    "kong.nginx.req_start_time": _get(pdk_functions.get_start_time),
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
