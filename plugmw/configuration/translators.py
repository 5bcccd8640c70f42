"""Documents of other gateways: whose one is, and how it becomes a gateway document.

Each dialect has a ``translate(document, options)`` that returns a
:class:`~plugmw.documents.translated.Translated`; it is imported when a document of its kind is read.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, Final

import attrs

from plugmw.documents import Document, load
from plugmw.documents.shapes import fold
from plugmw.documents.translated import Options, Translated


@attrs.frozen
class Translator:
    """How documents of a dialect are recognised, read and translated."""

    name: str
    #: Looks for what its project requires in every document.
    recognise: Callable[[Mapping[str, object]], bool]
    translate: Callable[[Document, Options], Translated]
    #: Reads the document, for those that may be several files.
    load: Callable[[Any], Document] = load


def _kong(document: Document, options: Options) -> Translated:
    from plugmw.dialects.kong.declarative import translate

    return translate(document, options)


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


def _load_prest(source: Any) -> Document:
    # All of it may come from the environment.
    return load(source, empty=True)


def _is_krakend(data: Mapping[str, object]) -> bool:
    """Say whether it is of any version, whether or not that version can be read."""
    keys = _folded(data)
    named = "krakend.io" in str(keys.get("$schema", ""))
    return named or ("endpoints" in keys and isinstance(keys.get("version"), (int, float, str)))


def _is_tyk(data: Mapping[str, object]) -> bool:
    keys = _folded(data)
    return "x-tyk-api-gateway" in keys or "listen_path" in _folded(keys.get("proxy"))


def _is_prest(data: Mapping[str, object]) -> bool:
    keys = {key.lower() for key in data}
    return bool(keys) and keys <= _PREST


def _folded(data: object) -> dict[str, object]:
    """Return a mapping with its keys folded, nothing of anything else."""
    return {fold(key): value for key, value in data.items()} if isinstance(data, Mapping) else {}


TRANSLATORS: Final = (
    Translator("kong", lambda data: "_format_version" in data, _kong),
    Translator("krakend", _is_krakend, _krakend),
    Translator("tyk", _is_tyk, _tyk, _load_tyk),
    Translator("prest", _is_prest, _prest, _load_prest),
)

#: The tables and keys of a ``prest.toml`` (``config/config.go``), of which a gateway document has none.
_PREST: Final = frozenset(
    (
        *("access", "auth", "cache", "context", "cors", "databases", "debug", "expose", "http", "https"),
        *("json", "jwt", "migrations", "otel", "pg", "pluginmiddlewarelist", "pluginpath", "queries"),
        *("ssl", "studio", "version"),
    )
)
_PREST_FILE: Final = "prest.toml"
#: The names by which code and commands say whose document one is.
DIALECTS: Final = tuple(one.name for one in TRANSLATORS)


def translator(data: Mapping[str, object]) -> Translator | None:
    """Return the translator of a document by its content, None for a gateway document."""
    return next((one for one in TRANSLATORS if one.recognise(data)), None)


def read(source: Any, name: str | None, options: Options) -> Document:
    """Read a document; one of another gateway comes translated.

    ``name`` says which dialect it is; without it the content does, and of a ``prest.toml`` its name. Raises
    :class:`~plugmw.errors.ConfigErrors`; what a translation finds wrong is in its ``errors``.
    """
    named = next((one for one in TRANSLATORS if one.name == (name or _by_file(source))), None)
    document = source if isinstance(source, Document) else (named.load if named else load)(source)
    chosen = named if name else translator(document.data)
    if chosen is None and "plugins" not in document.data:
        chosen = named
    return chosen.translate(document, options) if chosen else document


def _by_file(source: Any) -> str | None:
    """Return whose file is called like this one."""
    is_path = isinstance(source, (str, os.PathLike))
    return "prest" if is_path and os.path.basename(os.fsdecode(source)) == _PREST_FILE else None
