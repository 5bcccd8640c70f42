"""Just enough of protobuf's wire format for Kong's plugin protocol: no generated code, no library.

A message is described by a dict of field number to :class:`Field`; it is read to and written from plain
dicts. proto3 rules: zero values are left out when writing and filled in when reading, unknown fields are
skipped. Reading is bounded in depth and never reads past its bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, TypeAlias

import attrs

from plugmw.dialects.kong.servers.wire import double

#: Messages within messages, and values within google.protobuf.Struct.
MAX_DEPTH: Final = 100
_MASK: Final = (1 << 64) - 1
_double = struct.Struct("<d")


class Malformed(ValueError):
    """Bytes that are no message."""


@attrs.frozen
class Field:
    """One field: its name, its type (a scalar's name, ``Value``, ``Struct``, ``ListValue`` or a message)."""

    name: str
    type: FieldType
    repeated: bool = False
    #: Type of the values of a map with string keys; ``type`` does not count then.
    map_of: FieldType | None = None


Message: TypeAlias = Mapping[int, Field]
FieldType: TypeAlias = "str | Message"


# -- reading -----------------------------------------------------------------------------------------------


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """Return (value, next position)."""
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise Malformed("varint is cut off or too long")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & _MASK, at
        shift += 7


def fields_of(data: bytes) -> Iterator[tuple[int, int, int | bytes]]:
    """Yield (number, wire type, value) of every field: an int, or the bytes of the others."""
    at, size = 0, len(data)
    while at < size:
        tag, at = read_varint(data, at)
        number, kind = tag >> 3, tag & 7
        if number == 0:
            raise Malformed("field number 0")
        if kind == 0:
            value, at = read_varint(data, at)
            yield number, kind, value
            continue
        if kind == 2:
            length, at = read_varint(data, at)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise Malformed(f"wire type {kind}")
        if length > size - at:
            raise Malformed("a field is longer than its message")
        yield number, kind, data[at : at + length]
        at += length


def decode(message: Message, data: bytes, depth: int = 0) -> dict[str, Any]:
    """Read a message; absent fields get their zero value, absent messages None."""
    if depth > MAX_DEPTH:
        raise Malformed(f"nested deeper than {MAX_DEPTH} levels")
    values: dict[str, Any] = {field.name: _zero(field) for field in message.values()}
    for number, kind, raw in fields_of(data):
        field = message.get(number)
        if field is None:
            continue
        if field.map_of is not None:
            entry = decode(
                {1: Field("k", "string"), 2: Field("v", field.map_of)}, _bytes(kind, raw), depth + 1
            )
            values[field.name][entry["k"]] = entry["v"]
        elif field.repeated:
            values[field.name].append(_read(field.type, kind, raw, depth))
        else:
            values[field.name] = _read(field.type, kind, raw, depth)
    return values


def _zero(field: Field) -> object:
    if field.map_of is not None:
        return {}
    if field.repeated:
        return []
    if isinstance(field.type, str):
        return {"string": "", "bytes": b"", "int": 0, "bool": False, "double": 0.0}.get(field.type)
    return None


def _bytes(kind: int, raw: int | bytes) -> bytes:
    if kind != 2 or isinstance(raw, int):
        raise Malformed("wrong wire type")
    return bytes(raw)


def _read_double(kind: int, raw: int | bytes) -> float:
    if kind != 1 or isinstance(raw, int):
        raise Malformed("wrong wire type")
    value: float = _double.unpack(raw)[0]
    return value


def _read(type_: FieldType, kind: int, raw: int | bytes, depth: int) -> object:
    if not isinstance(type_, str):
        return decode(type_, _bytes(kind, raw), depth + 1)
    if type_ in ("int", "bool"):
        if kind != 0 or not isinstance(raw, int):
            raise Malformed("wrong wire type")
        return bool(raw) if type_ == "bool" else raw - (1 << 64) if raw >> 63 else raw
    if type_ == "double":
        return _read_double(kind, raw)
    if type_ == "string":
        try:
            return _bytes(kind, raw).decode()
        except UnicodeDecodeError:
            raise Malformed("a string is no UTF-8") from None
    if type_ == "bytes":
        return _bytes(kind, raw)
    return _WELL_KNOWN[type_](_bytes(kind, raw), depth + 1)


def read_value(data: bytes, depth: int = 0) -> object:
    """Read a google.protobuf.Value."""
    if depth > MAX_DEPTH:
        raise Malformed(f"nested deeper than {MAX_DEPTH} levels")
    value: object = None
    for number, kind, raw in fields_of(data):
        if number == 2:
            real = _read_double(kind, raw)
            value = int(real) if real.is_integer() and abs(real) < 2**53 else real
        elif number in _VALUE:
            value = _read(_VALUE[number], kind, raw, depth)
        elif number == 1:
            value = None
    return value


def read_struct(data: bytes, depth: int = 0) -> dict[str, object]:
    """Read a google.protobuf.Struct."""
    if depth > MAX_DEPTH:
        raise Malformed(f"nested deeper than {MAX_DEPTH} levels")
    message = decode({1: Field("fields", "", map_of="Value")}, data, depth + 1)
    return dict(message["fields"])


def read_list(data: bytes, depth: int = 0) -> list[object]:
    """Read a google.protobuf.ListValue."""
    if depth > MAX_DEPTH:
        raise Malformed(f"nested deeper than {MAX_DEPTH} levels")
    return [read_value(_bytes(kind, raw), depth + 1) for number, kind, raw in fields_of(data) if number == 1]


_VALUE: Final = {3: "string", 4: "bool", 5: "Struct", 6: "ListValue"}
_WELL_KNOWN: Final[dict[str, Callable[[bytes, int], object]]] = {
    "Value": read_value,
    "Struct": read_struct,
    "ListValue": read_list,
}


# -- writing -----------------------------------------------------------------------------------------------


def varint(value: int) -> bytes:
    """Write an integer; a negative one takes ten bytes."""
    value &= _MASK
    if value < 0x80:
        return bytes((value,))
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def sized(number: int, data: bytes) -> bytes:
    """Write a field of bytes, text or a message."""
    return varint(number << 3 | 2) + varint(len(data)) + data


def encode(message: Message, values: Mapping[str, Any]) -> bytes:
    """Write a message; None and zero values are left out."""
    out = b""
    for number, field in message.items():
        value = values.get(field.name)
        if value is None:
            continue
        if field.map_of is not None:
            for key, item in value.items():
                out += sized(number, sized(1, _utf8(key)) + _written(2, field.map_of, item, keep=True))
        elif field.repeated:
            for item in value:
                out += _written(number, field.type, item, keep=True)
        else:
            out += _written(number, field.type, value)
    return out


def _written(number: int, type_: FieldType, value: Any, keep: bool = False) -> bytes:
    if not isinstance(type_, str):
        return sized(number, encode(type_, value))
    if type_ in ("int", "bool"):
        return varint(number << 3) + varint(int(value)) if value or keep else b""
    if type_ == "double":
        return varint(number << 3 | 1) + _double.pack(value) if value or keep else b""
    if type_ in ("string", "bytes"):
        data = value if isinstance(value, bytes) else _utf8(value)
        return sized(number, data) if data or keep else b""
    return sized(number, _WRITERS[type_](value))


def _utf8(text: object) -> bytes:
    return str(text).encode("utf-8", "replace")


def write_value(value: object) -> bytes:
    """Write a google.protobuf.Value from plain data; bytes are taken for UTF-8 text."""
    if value is None:
        return b"\x08\x00"
    if isinstance(value, bool):
        return b"\x20\x01" if value else b"\x20\x00"
    if isinstance(value, (int, float)):
        return b"\x11" + _double.pack(double(value))
    if isinstance(value, Mapping):
        return sized(5, write_struct(value))
    if isinstance(value, (list, tuple)):
        return sized(6, write_list(value))
    return sized(3, value.decode("utf-8", "replace").encode() if isinstance(value, bytes) else _utf8(value))


def write_struct(value: Mapping[str, object]) -> bytes:
    """Write a google.protobuf.Struct."""
    return b"".join(
        sized(1, sized(1, _utf8(key)) + sized(2, write_value(item))) for key, item in value.items()
    )


def write_list(value: Iterable[object]) -> bytes:
    """Write a google.protobuf.ListValue."""
    return b"".join(sized(1, write_value(item)) for item in value)


_WRITERS: Final[dict[str, Callable[[Any], bytes]]] = {
    "Value": write_value,
    "Struct": write_struct,
    "ListValue": write_list,
}
