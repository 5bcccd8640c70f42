"""Ready-made field types for configuration classes: networks, header names, URLs, patterns, ports."""

from __future__ import annotations

import re
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated
from urllib.parse import urlsplit

from plugmw.schema import patterns
from plugmw.schema.declaring import Kind
from plugmw.schema.networks import parse_network

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+").fullmatch
_LISTABLE = re.compile(r"(?! )[^,\x00-\x1f\x7f]+(?<! )").fullmatch


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError
    return value


def _network(value: object) -> IPv4Network | IPv6Network:
    if isinstance(value, (IPv4Network, IPv6Network)):
        return value
    try:
        return parse_network(_text(value))
    except ValueError:
        raise ValueError("an IP address or CIDR range") from None


def _header_name(value: object) -> str:
    if not _TOKEN(_text(value)):
        raise ValueError
    return str(value)


def listable(text: str) -> bool:
    """Say whether ``text`` is one item, the same one, when it is read out of a header that lists items."""
    return _LISTABLE(text) is not None


def _group(value: object) -> str:
    if not listable(_text(value)):
        raise ValueError
    return str(value)


def _pattern(value: object) -> patterns.Pattern:
    if isinstance(value, patterns.Pattern):
        return value
    flags = value.flags if isinstance(value, re.Pattern) else 0
    text = _text(value.pattern if isinstance(value, re.Pattern) else value)
    try:
        return patterns.compiled(text, "fullmatch", flags)
    except ValueError as error:
        raise ValueError(f"a regular expression ({error})") from None


def _url(value: object) -> str:
    try:
        parts = urlsplit(_text(value))
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise ValueError
    return str(value)


def _path(value: object) -> str:
    if not _text(value).startswith("/"):
        raise ValueError
    return str(value)


def _port(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 65535:
        raise ValueError
    return value


Network = Annotated[
    IPv4Network | IPv6Network, Kind(_network, "an IP address or CIDR range", {"type": "string"})
]
HeaderName = Annotated[str, Kind(_header_name, "a header name", {"type": "string"})]
GroupName = Annotated[
    str, Kind(_group, "a name without commas, control characters and outer blanks", {"type": "string"})
]
Pattern = Annotated[patterns.Pattern, Kind(_pattern, "a regular expression", {"type": "string"})]
URL = Annotated[str, Kind(_url, "an http or https URL", {"type": "string", "format": "uri"})]
URLPath = Annotated[str, Kind(_path, "a path that starts with /", {"type": "string", "pattern": "^/"})]
Port = Annotated[
    int, Kind(_port, "a port from 0 to 65535", {"type": "integer", "minimum": 0, "maximum": 65535})
]
