"""Bring what plugin servers send into our types, and what they are told into plain data in UTF-8.

WSGI carries header bytes as latin-1 text: :func:`to_text` and :func:`to_wsgi` go between the two.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from plugmw.dialects.kong.servers.wire import Failed
from plugmw.telemetry.log_entry import check_value
from plugmw.wsgi import answer
from plugmw.wsgi.text import decode, encode, utf8_or_latin1


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


def text(value: object) -> str:
    """Take text, or the bytes of it."""
    if isinstance(value, (bytes, bytearray)):
        return utf8_or_latin1(bytes(value))
    if not isinstance(value, str):
        raise TypeError(f"got {type(value).__name__}, expected a string")
    return value


def wsgi_text(value: object) -> str:
    return to_wsgi(text(value))


def integer(value: object) -> int:
    """Take a whole number; JavaScript sends it as a float."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"got {type(value).__name__}, expected an integer")
    return value


def flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"got {type(value).__name__}, expected a boolean")
    return value


def header_value(value: object) -> object:
    """Take a header's value, or the list of its values."""
    if isinstance(value, (list, tuple)):
        return [header_value(one) for one in value]
    return value if isinstance(value, (bool, int, float)) else wsgi_text(value)


def header_map(value: object) -> dict[str, object]:
    if not isinstance(value, Mapping):
        raise TypeError(f"got {type(value).__name__}, expected a table")
    return {text(name): header_value(one) for name, one in value.items()}


def arguments(value: object) -> dict[str, object]:
    """Take query or form arguments."""
    if not isinstance(value, Mapping):
        raise TypeError(f"got {type(value).__name__}, expected a table")
    return {text(name): plain(one) for name, one in value.items()}


def data(value: object) -> bytes:
    """Take a body."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape")
    if not isinstance(value, (bytes, bytearray)):
        raise TypeError(f"got {type(value).__name__}, expected a string")
    return bytes(value)


def body(value: object) -> object:
    """Take what an exit may send: text, bytes, a table or nothing."""
    if isinstance(value, (dict, list)):
        return plain(value)
    return None if value is None else data(value)


def plain(value: object) -> object:
    """Take JSON types; bytes become text."""
    copied = _plain(value)
    check_value(copied)
    return copied


def _plain(value: object, depth: int = 0) -> object:
    if depth > 100:
        raise ValueError("value must not be nested deeper than 100 levels")
    if isinstance(value, (bytes, bytearray)):
        return text(value)
    if isinstance(value, Mapping):
        return {text(name): _plain(one, depth + 1) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one, depth + 1) for one in value]
    return value


def table(value: object) -> dict[str, object]:
    """Take an entity, like a consumer."""
    entity = plain(value)
    if not isinstance(entity, dict):
        raise TypeError(f"got {type(value).__name__}, expected a table")
    return entity


# -- results -----------------------------------------------------------------------------------------------


def as_is(value: object) -> object:
    return value


def nothing(value: object) -> None:
    return None


def as_text(value: object) -> object:
    return to_text(value) if isinstance(value, str) else value


def multi_map(value: Mapping[str, object]) -> dict[str, list[str]]:
    """Give names to lists of values; a flag (``?name``) has an empty list, as in Kong."""
    return {to_text(name): list(_texts(one)) for name, one in value.items()}


def _texts(value: object) -> Iterable[str]:
    for one in value if isinstance(value, list) else (value,):
        if one is not True:
            yield to_text(str(one))


def entity(value: Any) -> dict[str, object] | None:
    """Give a consumer, credential, route or service as a table, without what it does not have."""
    if value is None:
        return None
    if not isinstance(value, Mapping):
        value = attrs.asdict(value, filter=lambda attribute, _: attribute.name not in ("data", "expires"))
    return {
        key: list(one) if isinstance(one, tuple) else one for key, one in value.items() if one is not None
    }


def captures(value: Mapping[str, Any]) -> dict[str, object]:
    return {
        "unnamed": [as_text(one) for one in value["unnamed"]],
        "named": {name: as_text(one) for name, one in value["named"].items()},
    }


def json_text(value: object) -> str:
    """Give the log entry as JSON, as Kong does over both protocols."""
    return answer.to_json(value).decode()


def plain_or_none(value: object) -> object:
    """Give what can be carried over; an in-process plugin may have kept an object under the name."""
    try:
        return plain(value)
    except (TypeError, ValueError):
        raise Failed("the value is no plain data", expected=True) from None
