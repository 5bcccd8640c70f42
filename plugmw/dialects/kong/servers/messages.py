"""The messages of Kong's plugin protocol, and which PDK method takes and gives which (pluginsocket.proto)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from plugmw.dialects.kong.servers.protobuf import (
    Field,
    Message,
    decode,
    encode,
    read_list,
    read_struct,
    write_struct,
    write_value,
)

INSTANCE_STATUS: Final[Message] = {
    1: Field("name", "string"),
    2: Field("id", "int"),
    4: Field("started", "int"),
}
RPC_RETURN: Final[Message] = {1: Field("sequence", "int"), 33: Field("status", INSTANCE_STATUS)}

_STRING: Final[Message] = {1: Field("v", "string")}
_BYTES: Final[Message] = {1: Field("v", "bytes")}
_INT: Final[Message] = {1: Field("v", "int")}
_NUMBER: Final[Message] = {1: Field("v", "double")}
_BOOL: Final[Message] = {1: Field("v", "bool")}
_KV: Final[Message] = {1: Field("k", "string"), 2: Field("v", "Value")}
_EXIT: Final[Message] = {1: Field("status", "int"), 2: Field("body", "bytes"), 3: Field("headers", "Struct")}
_RAW_BODY: Final[Message] = {1: Field("content", "bytes"), 3: Field("error", "string")}
_CAPTURES: Final[Message] = {
    1: Field("unnamed", "bytes", repeated=True),
    2: Field("named", "", map_of="bytes"),
}
_KEY: Final[Message] = {1: Field("id", "string")}
_TARGET: Final[Message] = {1: Field("host", "string"), 2: Field("port", "int")}
_CONSUMER_SPEC: Final[Message] = {1: Field("id", "string"), 2: Field("by_username", "bool")}
_CONSUMER: Final[Message] = {
    1: Field("id", "string"),
    2: Field("created_at", "int"),
    3: Field("username", "string"),
    4: Field("custom_id", "string"),
    5: Field("tags", "string", repeated=True),
}
_CREDENTIAL: Final[Message] = {1: Field("id", "string"), 2: Field("consumer_id", "string")}
_AUTHENTICATE: Final[Message] = {1: Field("consumer", _CONSUMER), 2: Field("credential", _CREDENTIAL)}
_ROUTE: Final[Message] = {
    1: Field("id", "string"),
    2: Field("created_at", "int"),
    3: Field("updated_at", "int"),
    4: Field("name", "string"),
    5: Field("protocols", "string", repeated=True),
    6: Field("methods", "string", repeated=True),
    7: Field("hosts", "string", repeated=True),
    8: Field("paths", "string", repeated=True),
    10: Field("https_redirect_status_code", "int"),
    11: Field("regex_priority", "int"),
    12: Field("strip_path", "bool"),
    13: Field("preserve_host", "bool"),
    17: Field("tags", "string", repeated=True),
    18: Field("service", _KEY),
}
_SERVICE: Final[Message] = {
    1: Field("id", "string"),
    2: Field("created_at", "int"),
    3: Field("updated_at", "int"),
    4: Field("name", "string"),
    5: Field("retries", "int"),
    6: Field("protocol", "string"),
    7: Field("host", "string"),
    8: Field("port", "int"),
    9: Field("path", "string"),
    10: Field("connect_timeout", "int"),
    11: Field("write_timeout", "int"),
    12: Field("read_timeout", "int"),
    13: Field("tags", "string", repeated=True),
}
_LUA_VM: Final[Message] = {1: Field("http_allocated_gc", "int"), 2: Field("pid", "int")}
_DICT: Final[Message] = {1: Field("allocated_slabs", "int"), 2: Field("capacity", "int")}
_DICTS: Final[Message] = {1: Field("kong", _DICT), 2: Field("kong_db_cache", _DICT)}
_MEMORY: Final[Message] = {
    1: Field("lua_shared_dicts", _DICTS),
    2: Field("workers_lua_vms", _LUA_VM, repeated=True),
}

Reads: TypeAlias = "Callable[[bytes], list[object]]"
#: Of a value whose type goes with the message.
Writes: TypeAlias = "Callable[[Any], bytes]"


def _nothing(data: bytes) -> list[object]:
    return []


def _names(message: Message, *names: str) -> Reads:
    """Read a message's fields as the arguments of a PDK function."""
    return lambda data: [decode(message, data)[name] for name in names]


def _exit(data: bytes) -> list[object]:
    message = decode(_EXIT, data)
    return [message["status"], message["body"] or None, message["headers"]]


def _consumer_and_credential(data: bytes) -> list[object]:
    """Read Authenticate's two; one that is empty is none."""
    message = decode(_AUTHENTICATE, data)
    parts = (message["consumer"], message["credential"])
    return [part if part and part["id"] else None for part in parts]


def _text(data: bytes) -> list[object]:
    """Read a String; the usual short one without the general reader, which costs three times as much."""
    if data[:1] == b"\x0a" and len(data) > 1 and data[1] == len(data) - 2 < 0x80 and data.isascii():
        return [data[2:].decode("ascii")]
    return [decode(_STRING, data)["v"]]


def _kv(data: bytes) -> list[object]:
    """Read a KV; the usual one of two short texts without the general reader."""
    if data[:1] == b"\x0a" and len(data) > 1 and data.isascii():
        end = 2 + data[1]
        rest = data[end:]
        if (
            rest[:1] == b"\x12"
            and rest[2:3] == b"\x1a"
            and len(rest) > 3
            and rest[3] == len(rest) - 4 == rest[1] - 2
        ):
            return [data[2:end].decode("ascii"), rest[4:].decode("ascii")]
    message = decode(_KV, data)
    return [message["k"], message["v"]]


_int: Final = _names(_INT, "v")


def _no_result(value: object) -> bytes:
    return b""


def _boxed(message: Message) -> Writes:
    return lambda value: encode(message, {"v": value}) if value is not None else b""


def _string(value: object) -> bytes:
    """Write a String; None arrives as ``""``, a flag (``?name``) as ``true``."""
    if value is None:
        return b""
    return encode(_STRING, {"v": "true" if value is True else value})


def _whole(message: Message) -> Writes:
    return lambda value: encode(message, value) if isinstance(value, Mapping) else b""


def _struct(value: Mapping[str, object] | None) -> bytes:
    return write_struct(value or {})


def _raw_body(value: object) -> bytes:
    return encode(_RAW_BODY, {"content": value})


def write_error(text: str) -> bytes:
    """Write a RawBodyResult that carries an error: the only message that can."""
    return encode(_RAW_BODY, {"error": text})


_integer, _number, _truth, _data = _boxed(_INT), _boxed(_NUMBER), _boxed(_BOOL), _boxed(_BYTES)

#: PDK method -> (read its arguments, write its result); the 74 of ``service Kong`` that plugmw offers.
METHODS: Final[dict[str, tuple[Reads, Writes]]] = {
    "kong.client.get_ip": (_nothing, _string),
    "kong.client.get_forwarded_ip": (_nothing, _string),
    "kong.client.get_port": (_nothing, _integer),
    "kong.client.get_forwarded_port": (_nothing, _integer),
    "kong.client.get_credential": (_nothing, _whole(_CREDENTIAL)),
    "kong.client.load_consumer": (_names(_CONSUMER_SPEC, "id", "by_username"), _whole(_CONSUMER)),
    "kong.client.get_consumer": (_nothing, _whole(_CONSUMER)),
    "kong.client.authenticate": (_consumer_and_credential, _no_result),
    "kong.client.get_protocol": (_names(_BOOL, "v"), _string),
    "kong.ctx.shared.set": (_kv, _no_result),
    "kong.ctx.shared.get": (_text, write_value),
    "kong.ip.is_trusted": (_text, _truth),
    "kong.log.set_serialize_value": (_kv, _no_result),
    "kong.log.serialize": (_nothing, _string),
    "kong.nginx.get_var": (_text, _string),
    "kong.nginx.get_tls1_version_str": (_nothing, _string),
    "kong.nginx.set_ctx": (_kv, _no_result),
    "kong.nginx.get_ctx": (_text, write_value),
    "kong.nginx.req_start_time": (_nothing, _number),
    "kong.nginx.get_subsystem": (_nothing, _string),
    "kong.node.get_id": (_nothing, _string),
    "kong.node.get_memory_stats": (_nothing, _whole(_MEMORY)),
    "kong.request.get_scheme": (_nothing, _string),
    "kong.request.get_host": (_nothing, _string),
    "kong.request.get_port": (_nothing, _integer),
    "kong.request.get_forwarded_scheme": (_nothing, _string),
    "kong.request.get_forwarded_host": (_nothing, _string),
    "kong.request.get_forwarded_port": (_nothing, _integer),
    "kong.request.get_http_version": (_nothing, _number),
    "kong.request.get_method": (_nothing, _string),
    "kong.request.get_path": (_nothing, _string),
    "kong.request.get_path_with_query": (_nothing, _string),
    "kong.request.get_raw_query": (_nothing, _string),
    "kong.request.get_query_arg": (_text, _string),
    "kong.request.get_query": (_int, _struct),
    "kong.request.get_header": (_text, _string),
    "kong.request.get_headers": (_int, _struct),
    "kong.request.get_raw_body": (_nothing, _raw_body),
    "kong.request.get_uri_captures": (_nothing, _whole(_CAPTURES)),
    "kong.response.get_status": (_nothing, _integer),
    "kong.response.get_header": (_text, _string),
    "kong.response.get_headers": (_int, _struct),
    "kong.response.get_source": (_nothing, _string),
    "kong.response.set_status": (_int, _no_result),
    "kong.response.set_header": (_kv, _no_result),
    "kong.response.add_header": (_kv, _no_result),
    "kong.response.clear_header": (_text, _no_result),
    "kong.response.set_headers": (lambda data: [read_struct(data)], _no_result),
    "kong.response.exit": (_exit, _no_result),
    "kong.router.get_route": (_nothing, _whole(_ROUTE)),
    "kong.router.get_service": (_nothing, _whole(_SERVICE)),
    "kong.service.set_upstream": (_text, _truth),
    "kong.service.set_target": (_names(_TARGET, "host", "port"), _no_result),
    "kong.service.request.set_scheme": (_text, _no_result),
    "kong.service.request.set_path": (_text, _no_result),
    "kong.service.request.set_raw_query": (_text, _no_result),
    "kong.service.request.set_method": (_text, _no_result),
    "kong.service.request.set_query": (lambda data: [read_struct(data)], _no_result),
    "kong.service.request.set_header": (_kv, _no_result),
    "kong.service.request.add_header": (_kv, _no_result),
    "kong.service.request.clear_header": (_text, _no_result),
    "kong.service.request.set_headers": (lambda data: [read_struct(data)], _no_result),
    "kong.service.request.set_raw_body": (_names(_BYTES, "v"), _no_result),
    "kong.service.response.get_status": (_nothing, _integer),
    "kong.service.response.get_header": (_text, _string),
    "kong.service.response.get_headers": (_int, _struct),
    # go-pdk reads a RawBodyResult here although the .proto says ByteString; both hold the bytes in field 1.
    "kong.service.response.get_raw_body": (_nothing, _data),
    **{
        f"kong.log.{level}": (read_list, _no_result)
        for level in ("alert", "crit", "err", "warn", "notice", "info", "debug")
    },
}
#: Methods whose result can carry an error.
CARRIES_ERROR: Final = frozenset(("kong.request.get_raw_body", "kong.service.response.get_raw_body"))
