"""XML as maps, and maps as XML, by the conventions of KrakenD's ``xml`` encoding.

    <user id="7"><name>Ann</name><tag>a</tag><tag>b</tag></user>
    {"user": {"-id": "7", "name": "Ann", "tag": ["a", "b"]}}

Elements that repeat are lists, attributes begin with ``-``, the text beside them is ``#text``; every value
is text, without the space around it. Prefixes of namespaces are dropped. Differences from the original
(mxj, as ``krakend-xml`` uses it): text beside elements never hides them, and names and characters that XML
does not allow are not written.

Documents come from services; :mod:`plugmw.wsgi.safe_xml` says what is refused in them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from plugmw.dialects.krakend.exact_json import Exact
from plugmw.wsgi import safe_xml
from plugmw.wsgi.safe_xml import local

TEXT: Final = "#text"
_SPACE: Final = " \t\r\n\b"
_NOT_IN_NAMES: Final = re.compile(r"[^\w.-]|^(?=[\d.-]|$)", re.ASCII)
_NOT_IN_XML: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_ESCAPES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;"}


class _Whole(Exception):
    """The root element has ended; the rest of the document is not read."""


def read_xml(data: bytes) -> dict[str, object]:
    """Return the document's first element as ``{name: value}``; raises ``ValueError``."""
    reader = _Reader()
    try:
        safe_xml.read(data.lstrip(_SPACE.encode()), reader.start, reader.end, reader.text)
    except _Whole:
        return reader.root
    raise AssertionError("a document ends with its root element or an error")  # pragma: no cover


class _Reader:
    """What expat calls; the open elements are on a stack of (name, members, texts)."""

    def __init__(self) -> None:
        self.root: dict[str, object] = {}
        self._open: list[tuple[str, dict[str, object], list[str]]] = [("", self.root, [])]

    def start(self, name: str, attributes: dict[str, str]) -> None:
        members: dict[str, object] = {f"-{local(key)}": value for key, value in attributes.items()}
        self._open.append((local(name), members, []))

    def text(self, text: str) -> None:
        self._open[-1][2].append(text)

    def end(self, _: str) -> None:
        name, members, texts = self._open.pop()
        text = "".join(texts).strip(_SPACE)
        if members and text:
            members[TEXT] = text
        _add(self._open[-1][1], name, members or text)
        if len(self._open) == 1:
            raise _Whole


def _add(members: dict[str, object], name: str, value: object) -> None:
    """Put an element beside those of its name; no value that is put is itself a list."""
    present = members.setdefault(name, value)
    if isinstance(present, list):
        present.append(value)
    elif present is not value:
        members[name] = [present, value]


def write_xml(data: dict[str, object]) -> bytes:
    """Return a document: the only member is the root, or else ``doc`` is, round all of them."""
    name, value = next(iter(data.items()), ("", None))
    alone = len(data) == 1 and not (isinstance(value, (list, tuple)) and value) and name[:1] not in "-#"
    return "".join(_element(name, value) if alone else _element("doc", data)).encode()


def _element(name: str, value: object) -> Iterator[str]:
    if isinstance(value, (list, tuple)) and value:
        for item in value:
            yield from _element(name, item)
        return
    name = _NOT_IN_NAMES.sub("_", name)
    members = value if isinstance(value, dict) else {TEXT: value}
    attributes = "".join(
        f' {_NOT_IN_NAMES.sub("_", key[1:])}="{_text(item)}"'
        for key, item in sorted(members.items())
        if key.startswith("-")
    )
    inside = [_text(members.get(TEXT))]
    for key, item in sorted(members.items()):
        if key != TEXT and not key.startswith("-"):
            inside += _element(key, item)
    content = "".join(inside)
    yield f"<{name}{attributes}>{content}</{name}>" if content else f"<{name}{attributes}/>"


def _text(value: object) -> str:
    """Return a value as text; objects and lists inside attributes or mixed content are left out."""
    if value is None or isinstance(value, (dict, list, tuple)):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = value.text if isinstance(value, Exact) else str(value)
    return re.sub("[&<>\"']", lambda found: _ESCAPES[found[0]], _NOT_IN_XML.sub("", text))
