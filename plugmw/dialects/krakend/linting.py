"""What a ``krakend.json`` has that nothing here reads: left to the server, or unknown, with suggestions.

All of it is a warning; ``--lint`` makes errors of what KrakenD does not know either. The old names of
version 2 are the dangerous ones, for what they said is not done any more. Fields that start with ``@``,
``$``, ``_`` or ``#`` are comments.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from plugmw.dialects.krakend.fields import BackendFields, EndpointFields, File, Plugins
from plugmw.dialects.krakend.namespaces import COMMENTS, KNOWN, is_known
from plugmw.documents import Document
from plugmw.documents.document import Place
from plugmw.documents.shapes import fold, folded
from plugmw.documents.translation import Unread
from plugmw.errors import ConfigError
from plugmw.schema import fields_of
from plugmw.schema.messages import suggest

#: What fields of version 2 are called in version 3.
_RENAMED: Final = {
    "headers_to_pass": "input_headers",
    "querystring_params": "input_query_strings",
    "whitelist": "allow",
    "blacklist": "deny",
}

_SERVER: Final = Unread("is left out: it belongs to the server that runs the app")
_CONNECTIONS: Final = Unread("is left out: connections to backends are those of the gateway")
#: What KrakenD reads and nothing here does.
_LEFT_OUT: Final[dict[type, dict[str, Unread]]] = {
    File: {
        **dict.fromkeys(("address", "listen_ip", "read_timeout", "write_timeout", "idle_timeout"), _SERVER),
        **dict.fromkeys(("read_header_timeout", "max_header_bytes", "max_shutdown_wait_time"), _SERVER),
        **dict.fromkeys(("use_h2c", "sequential_start"), _SERVER),
        **dict.fromkeys(("disable_keep_alives", "disable_compression", "dns_cache_ttl"), _CONNECTIONS),
        **dict.fromkeys(("max_idle_connections", "max_idle_connections_per_host"), _CONNECTIONS),
        **dict.fromkeys(("idle_connection_timeout", "response_header_timeout"), _CONNECTIONS),
        **dict.fromkeys(("expect_continue_timeout", "dialer_timeout"), _CONNECTIONS),
        **dict.fromkeys(("dialer_fallback_delay", "dialer_keep_alive"), _CONNECTIONS),
        "disable_rest": Unread("is left out: parameters are whole segments"),
    },
    BackendFields: {"sd_scheme": Unread("is left out: nothing is discovered here")},
}

Found = tuple[Place, str]


def lint(document: Document) -> list[ConfigError]:
    """Return the unknown fields and namespaces of a file, in the order of the file."""
    document = folded(document, File)
    return [document.error(place, problem) for place, problem in _file(document.data)]


def unread(data: Mapping[str, object]) -> Iterator[tuple[Place, Unread]]:
    """Yield the places of a file, its keys folded, that nothing reads, and what to say of each."""
    for place, cls, holder in _holders(data):
        for key in _without_comments(holder):
            found = _LEFT_OUT.get(cls, {}).get(fold(key))
            if found is not None and holder[key] not in (None, "", False, 0):
                yield (*place, key), found
    if data.get("port"):
        yield ("port",), _SERVER
    for place, problem in _file(data):
        yield place, Unread(problem)


def _file(data: Mapping[str, object]) -> Iterator[Found]:
    for place, cls, holder in _holders(data):
        yield from _unknown(holder, cls, place)


def _holders(data: object) -> Iterator[tuple[Place, type, Mapping[str, object]]]:
    """Yield what has fields: the root, the section of plugins, endpoints and their backends."""
    parts: list[tuple[Place, type, object]] = [((), File, data)]
    if isinstance(data, Mapping):
        parts.append((("plugin",), Plugins, data.get("plugin")))
    for place, endpoint in _items(data, "endpoints", ()):
        parts.append((place, EndpointFields, endpoint))
        parts += [(inner, BackendFields, one) for inner, one in _items(endpoint, "backend", place)]
    for place, cls, holder in parts:
        if isinstance(holder, Mapping):
            yield place, cls, holder


def _items(holder: object, name: str, place: Place) -> Iterator[tuple[Place, object]]:
    items = holder.get(name) if isinstance(holder, Mapping) else None
    for index, item in enumerate(items if isinstance(items, list) else ()):
        yield (*place, name, index), item


def _unknown(data: Mapping[str, object], cls: type, place: Place) -> Iterator[Found]:
    """Yield the unknown fields of a mapping and the unknown namespaces of its ``extra_config``."""
    known = [field.name for field in fields_of(cls)]
    left_out = _LEFT_OUT.get(cls, {})
    for key in _without_comments(data):
        if key not in known and fold(key) not in left_out:
            renamed = _RENAMED.get(key)
            hint = f'; in version 3 it is "{renamed}"' if renamed in known else suggest(key, known)
            yield (*place, key), f'unknown field "{key}"{hint}'
    extra_config = data.get("extra_config")
    for key in _without_comments(extra_config) if isinstance(extra_config, Mapping) else ():
        if not is_known(key):
            where: Place = (*place, "extra_config", key)
            yield where, f'unknown namespace "{key}"{suggest(key, KNOWN)}'


def _without_comments(data: Mapping[str, object]) -> Iterable[str]:
    return (key for key in data if not key.startswith(COMMENTS))
