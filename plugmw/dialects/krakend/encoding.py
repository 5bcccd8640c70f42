"""Bodies of backends as maps, and maps as bodies of replies: KrakenD's encodings.

===============  ==================================================  =========================================
encoding         a backend's body                                    a reply
===============  ==================================================  =========================================
json             an object; with ``is_collection`` an array, which   the map
                 becomes ``{"collection": [...]}``
safejson         either, and any other value as ``{"content": ...}`` --
json-collection  --                                                  what is under ``collection``, else ``[]``
string           ``{"content": text}``                               what is under ``content``, if it is text
xml              see :mod:`~plugmw.dialects.krakend.xml_maps`        the same
yaml             as json                                             the map
rss              see :mod:`~plugmw.dialects.krakend.feeds`           --
no-op            an empty map                                        --
negotiate        --                                                  json, yaml or xml, as ``Accept`` says
===============  ==================================================  =========================================

Numbers stay as they were written, except that YAML has them as numbers, which the original writes as
text. A ``null`` for an object is an empty one, which makes a merge incomplete. The quality values of
``Accept`` count, which they do not in the original. Sources: ``encoding/`` and ``router/gin/render.go``
of Lura, ``krakend-xml``, ``krakend-rss``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from plugmw.dialects.krakend.exact_json import Exact, mended, read_json, write_json
from plugmw.dialects.krakend.feeds import read_feed
from plugmw.dialects.krakend.xml_maps import read_xml, write_xml
from plugmw.errors import ConfigError, PlugmwError

Map = dict[str, object]


class DecodeError(PlugmwError):
    """A backend's body is not what its encoding says."""


def decode(kind: str, body: bytes, is_collection: bool = False) -> Map | None:
    """Return a backend's body as a map, None for ``null``; an unknown encoding is json.

    Raises :class:`DecodeError`.
    """
    try:
        return _DECODERS.get(kind, _from_json)(body, is_collection)
    except (ValueError, ConfigError) as error:
        raise DecodeError(f"invalid {kind} body: {error}") from error


def encode(kind: str, data: Map, accept: str = "") -> tuple[bytes, str]:
    """Return the body of a reply and its Content-Type; an unknown encoding is json.

    ``accept`` is the client's header, for ``negotiate``. Raises ``ValueError`` or ``TypeError`` for what
    plugins put into the map and cannot be written.
    """
    if kind == "negotiate":
        kind = _negotiated(accept)
    return _ENCODERS.get(kind, _to_json)(data)


def is_encoding(kind: str) -> bool:
    """Say whether a reply can be written in an encoding."""
    return kind in _ENCODERS or kind in ("negotiate", "no-op")


# -- decoding -------------------------------------------------------------------------------------------


def _from_json(body: bytes, is_collection: bool) -> Map | None:
    return _checked(read_json(body), is_collection)


def _from_safejson(body: bytes, _: bool) -> Map:
    value = read_json(body)
    if isinstance(value, dict):
        return value
    return {"collection" if isinstance(value, list) else "content": value}


def _from_string(body: bytes, _: bool) -> Map:
    # Bytes that are no UTF-8 survive a round trip to a text response.
    return {"content": body.decode("utf-8", "surrogateescape")}


def _from_xml(body: bytes, is_collection: bool) -> Map:
    found = read_xml(body)
    return {"collection": found} if is_collection else found


def _from_yaml(body: bytes, is_collection: bool) -> Map | None:
    from plugmw.documents.yaml_reader import parse_yaml

    return _checked(parse_yaml(body.decode(), ""), is_collection)


def _checked(value: object, is_collection: bool) -> Map | None:
    if is_collection:
        if not isinstance(value, list | None):
            raise ValueError("expected an array")
        return {"collection": value}
    if not isinstance(value, dict | None):
        raise ValueError("expected an object")
    return value


_DECODERS: Final[dict[str, Callable[[bytes, bool], Map | None]]] = {
    "json": _from_json,
    "safejson": _from_safejson,
    "string": _from_string,
    "xml": _from_xml,
    "yaml": _from_yaml,
    "rss": lambda body, _: read_feed(body),
    "no-op": lambda body, _: {},
}

# -- encoding -------------------------------------------------------------------------------------------

_JSON: Final = "application/json; charset=utf-8"
#: In the order of preference where a client has none.
_OFFERS: Final = {
    "application/json": "json",
    "text/plain": "yaml",
    "application/xml": "xml",
    "application/x-yaml": "yaml",
}


def _negotiated(accept: str) -> str:
    from werkzeug.datastructures import MIMEAccept
    from werkzeug.http import parse_accept_header

    for kind, quality in parse_accept_header(accept, MIMEAccept):
        encoding = next((_OFFERS[offer] for offer in _OFFERS if _matches(kind.lower(), offer)), None)
        if encoding and quality:
            return encoding
    return "json"


def _matches(kind: str, offer: str) -> bool:
    return kind in (offer, "*/*", f"{offer.partition('/')[0]}/*")


def _to_json(data: Map) -> tuple[bytes, str]:
    return write_json(data), _JSON


def _to_collection(data: Map) -> tuple[bytes, str]:
    return write_json(data.get("collection", [])), _JSON


def _to_string(data: Map) -> tuple[bytes, str]:
    content = data.get("content")
    text = content if isinstance(content, str) else ""
    return text.encode("utf-8", "surrogateescape"), "text/plain; charset=utf-8"


def _to_xml(data: Map) -> tuple[bytes, str]:
    return write_xml(data), "application/xml"


def _to_yaml(data: Map) -> tuple[bytes, str]:
    import yaml

    class Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
        def ignore_aliases(self, _: object) -> bool:
            return True

    Dumper.add_representer(
        Exact, lambda dumper, value: dumper.represent_scalar("tag:yaml.org,2002:float", value.text)
    )
    Dumper.add_representer(str, lambda dumper, value: dumper.represent_str(mended(value)))
    text: str = yaml.dump(data, Dumper=Dumper, allow_unicode=True, default_flow_style=False)
    return text.encode(), "application/yaml; charset=utf-8"


_ENCODERS: Final[dict[str, Callable[[Map], tuple[bytes, str]]]] = {
    "json": _to_json,
    "json-collection": _to_collection,
    "string": _to_string,
    "xml": _to_xml,
    "yaml": _to_yaml,
}
