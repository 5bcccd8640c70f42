"""Lint a ``krakend.json``: unknown fields and namespaces, with suggestions.

At run time they are left alone, as by ``krakend run``; the old names of version 2 are the dangerous ones,
for what they said is not done any more. Fields that start with ``@``, ``$``, ``_`` or ``#`` are comments.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from plugmw.dialects.krakend.fields import BackendFields, EndpointFields, File, Plugins
from plugmw.dialects.krakend.namespaces import KNOWN, is_known
from plugmw.documents import Document
from plugmw.documents.document import Place
from plugmw.documents.shapes import folded
from plugmw.errors import ConfigError
from plugmw.schema import fields_of
from plugmw.schema.messages import suggest

_COMMENTS: Final = ("@", "$", "_", "#")
#: What fields of version 2 are called in version 3.
_RENAMED: Final = {
    "headers_to_pass": "input_headers",
    "querystring_params": "input_query_strings",
    "whitelist": "allow",
    "blacklist": "deny",
}

Found = tuple[Place, str]


def lint(document: Document) -> list[ConfigError]:
    """Return the unknown fields and namespaces of a file, in the order of the file."""
    document = folded(document, File)
    return [document.error(place, problem) for place, problem in _file(document.data)]


def _file(data: Mapping[str, object]) -> Iterator[Found]:
    yield from _unknown(data, File, ())
    yield from _unknown(data.get("plugin"), Plugins, ("plugin",))
    for place, endpoint in _items(data, "endpoints", ()):
        yield from _unknown(endpoint, EndpointFields, place)
        for inner, backend in _items(endpoint, "backend", place):
            yield from _unknown(backend, BackendFields, inner)


def _items(holder: object, name: str, place: Place) -> Iterator[tuple[Place, object]]:
    items = holder.get(name) if isinstance(holder, Mapping) else None
    for index, item in enumerate(items if isinstance(items, list) else ()):
        yield (*place, name, index), item


def _unknown(data: object, cls: type, place: Place) -> Iterator[Found]:
    """Yield the unknown fields of a mapping and the unknown namespaces of its ``extra_config``."""
    if not isinstance(data, Mapping):
        return
    known = [field.name for field in fields_of(cls)]
    for key in _without_comments(data):
        if key not in known:
            renamed = _RENAMED.get(key)
            hint = f'; in version 3 it is "{renamed}"' if renamed in known else suggest(key, known)
            yield (*place, key), f'unknown field "{key}"{hint}'
    extra_config = data.get("extra_config")
    for key in _without_comments(extra_config) if isinstance(extra_config, Mapping) else ():
        if not is_known(key):
            where: Place = (*place, "extra_config", key)
            yield where, f'unknown namespace "{key}"{suggest(key, KNOWN)}'


def _without_comments(data: Mapping[str, object]) -> Iterable[str]:
    return (key for key in data if not key.startswith(_COMMENTS))
