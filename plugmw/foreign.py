"""Documents of other gateways: whose one is, and how it becomes a gateway document.

Each dialect has a ``translate(document, options)`` that returns a
:class:`~plugmw.documents.translated.Translated`; it is imported when a document of its kind is read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import attrs

from plugmw.documents import Document, load
from plugmw.documents.translated import Options, Translated


@attrs.frozen
class Foreign:
    """A dialect that has documents."""

    name: str
    #: Looks for what its project requires in every document.
    recognise: Callable[[Mapping[str, Any]], bool]
    translate: Callable[[Document, Options], Translated]
    #: Reads the document, for those that may be several files.
    load: Callable[[Any], Document] = load


def _kong(document: Document, options: Options) -> Translated:
    from plugmw.dialects.kong.declarative import translate

    return translate(document)


def _krakend(document: Document, options: Options) -> Translated:
    from plugmw.dialects.krakend.configuration import translate

    return translate(document, options)


def _tyk(document: Document, options: Options) -> Translated:
    from plugmw.dialects.tyk.definition import translate

    return translate(document, options)


def _load_tyk(source: Any) -> Document:
    from plugmw.dialects.tyk.definition import load_definitions

    return load_definitions(source)


def _prest(document: Document, options: Options) -> Translated:
    from plugmw.dialects.prest.configuration import translate

    return translate(document, options)


def _is_tyk(data: Mapping[str, Any]) -> bool:
    proxy = data.get("proxy")
    return "x-tyk-api-gateway" in data or (isinstance(proxy, Mapping) and "listen_path" in proxy)


def _is_prest(data: Mapping[str, Any]) -> bool:
    known = "pluginpath" in data or "pluginmiddlewarelist" in data
    return known or isinstance(data.get("pg"), Mapping)


DIALECTS: Final = (
    Foreign("kong", lambda data: "_format_version" in data, _kong),
    Foreign("krakend", lambda data: "endpoints" in data and isinstance(data.get("version"), int), _krakend),
    Foreign("tyk", _is_tyk, _tyk, _load_tyk),
    Foreign("prest", _is_prest, _prest),
)


def dialect(data: Mapping[str, Any]) -> str:
    """Say whose document this is by its content: plugmw, kong, krakend, tyk or prest."""
    return next((found.name for found in DIALECTS if found.recognise(data)), "plugmw")


def read(source: Any, name: str | None, options: Options) -> Document:
    """Read a document; one of another gateway comes translated.

    ``name`` says which dialect it is; without it the content does. Raises
    :class:`~plugmw.errors.ConfigErrors`; what a translation finds wrong is in its ``errors``.
    """
    named = next((found for found in DIALECTS if found.name == name), None)
    document = source if isinstance(source, Document) else (named.load if named else load)(source)
    found = named or next((found for found in DIALECTS if found.recognise(document.data)), None)
    return found.translate(document, options) if found else document
