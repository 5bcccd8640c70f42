"""Request bodies with named values: urlencoded, JSON and multipart, as request-transformer changes them.

What cannot be read, and what no rule changes, stays byte for byte. All functions are pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from plugmw.transform.rewriting import Rules, change, change_lists, grouped, written
from plugmw.wsgi.forms import (
    FORM,
    JSON,
    MULTIPART,
    Part,
    TooMuch,
    field_part,
    media_type,
    read_form,
    read_object,
    read_parts,
    write_object,
    write_parts,
)


def body_kind(content_type: str) -> str | None:
    """Return which of the kinds with names a Content-Type contains, in any case."""
    text = content_type.lower()
    return next((kind for kind in (JSON, MULTIPART, FORM) if kind in text), None)


def change_body(rules: Rules[str], content_type: str, data: bytes) -> bytes:
    """Return the body as the rules make it; ``data`` itself if they do nothing or it cannot be read.

    Raises :class:`~plugmw.wsgi.forms.TooMuch` for one that an app may well read.
    """
    kind = body_kind(content_type)
    try:
        if kind == JSON:
            return _change_json(rules, data)
        if kind == MULTIPART:
            return _change_multipart(rules, media_type(content_type)[1], data)
    except TooMuch:
        raise
    except (ValueError, RecursionError):
        return data
    return _change_form(rules, data) if kind == FORM else data


def _change_json(rules: Rules[str], data: bytes) -> bytes:
    before = read_object(data) if data else {}
    members = dict(before)
    change(rules, members, str, _appended)
    return data if members == before else write_object(members)


def _appended(old: object, value: str) -> list[object]:
    """Return the list that ``old`` becomes: text stays in it, other single values do not."""
    if isinstance(old, list):
        return [*old, value]
    return [old, value] if isinstance(old, str) else [value]


def _change_form(rules: Rules[str], data: bytes) -> bytes:
    before = grouped(read_form(data))
    members = dict(before)
    change_lists(rules, members)
    return data if members == before else written(members).encode("ascii")


# -- multipart ----------------------------------------------------------------------------------------

_DISPOSITION: Final = re.compile(rb"(?im)^content-disposition:[^\r\n]*(?:\r?\n[ \t][^\r\n]*)*")
#: Quoted values are taken whole, so that nothing inside one is read as a parameter.
_PARAMETER: Final = re.compile(rb';[ \t\r\n]*([^=;\s"]+)[ \t]*=[ \t]*("(?:[^"\\]|\\.)*"|[^;\r\n]*)', re.S)


def _change_multipart(rules: Rules[str], boundary: bytes, data: bytes) -> bytes:
    if not boundary:
        return data
    before = read_parts(data, boundary) if data else []
    # Another order than elsewhere, and no append: Kong's (``kong/plugins/request-transformer/access.lua``).
    parts = list(before)
    for old, new in rules.rename:
        if old != new and _has(parts, old):
            kept = (part for part in parts if part.name != new)
            parts = [_renamed(part, new) if part.name == old else part for part in kept]
    parts = [part for part in parts if part.name not in rules.remove]
    for name, value in rules.replace:
        if _has(parts, name):
            place = [part.name for part in parts].index(name)
            rest = [part for part in parts[place:] if part.name != name]
            parts = [*parts[:place], field_part(name, value), *rest]
    for name, value in rules.add:
        if not _has(parts, name):
            parts.append(field_part(name, value))
    return data if parts == before else write_parts(parts, boundary)


def _has(parts: Iterable[Part], name: str) -> bool:
    return any(part.name == name for part in parts)


def _renamed(part: Part, name: str) -> Part:
    """Give a part another name; its other headers and its content stay byte for byte."""
    made = field_part(name, "")
    parameter = made.raw[made.raw.index(b";") :].rstrip(b"\r\n")
    head = part.raw[: len(part.raw) - len(part.content)]
    head = _DISPOSITION.sub(lambda line: _PARAMETER.sub(_unless_name, line[0]) + parameter, head, count=1)
    return Part(name, part.content, head + part.content)


def _unless_name(parameter: re.Match[bytes]) -> bytes:
    return b"" if parameter[1].lower() in (b"name", b"name*") else parameter[0]
