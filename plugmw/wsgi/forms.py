"""Query strings and request bodies taken apart, changed by name, and put together again.

All functions are pure, save :func:`replace_query`. Text that WSGI carries as latin-1 (query strings) goes
in and out in that form; decoded names and values are UTF-8, bytes that are none kept as lone surrogates.
Queries are split at ``&`` only: with ``;`` beside it caches and apps disagree (CVE-2021-23336).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Final, NoReturn
from urllib.parse import quote

import attrs
from werkzeug.http import parse_options_header

from plugmw.wsgi import request_target
from plugmw.wsgi.text import unquote_field

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

FORM: Final = "application/x-www-form-urlencoded"
JSON: Final = "application/json"
MULTIPART: Final = "multipart/form-data"

#: More parts or fields make a body unreadable; werkzeug and Django stop at the same number.
MAX_PARTS: Final = 1000
#: Bytes of an urlencoded body, which take two tenths of a second, and of the heads of all parts together.
MAX_FORM: Final = 1024 * 1024
MAX_HEADS: Final = 256 * 1024

_UNRESERVED: Final = re.compile(r"%(2[dDeE]|3[0-9]|[46][1-9A-Fa-f]|[57][0-9aA]|5[fF]|7[eE])")
_BREAK: Final = rb"(?:\r\n|\n|\r)"
_FOLDED: Final = re.compile(_BREAK + rb"[ \t]")
_BLANK_LINE: Final = re.compile(rb"\r\n\r\n|\n\n|\r\r")


class TooMuch(ValueError):
    """A body has more in it than is looked at."""


# -- names and values: query strings and urlencoded bodies -------------------------------------------------


def read_pairs(raw: str) -> list[tuple[str, str | None]]:
    """Decode to (name, value) in order; the value is None for a name without ``=``."""
    return [_pair(piece) for piece in raw.split("&") if piece]


def form_text(data: bytes) -> str:
    """Return an urlencoded body as text like a query; raises :class:`TooMuch`, before anything is decoded."""
    if len(data) > MAX_FORM:
        raise TooMuch(f"got a form of {len(data)} bytes, expected at most {MAX_FORM}")
    if data.count(b"&") >= MAX_PARTS:
        raise TooMuch(f"got a form of {data.count(b'&') + 1} fields, expected at most {MAX_PARTS}")
    return data.decode("latin-1")


def read_form(data: bytes) -> list[tuple[str, str | None]]:
    """Decode an urlencoded body as :func:`read_pairs` does a query; raises :class:`TooMuch`."""
    return read_pairs(form_text(data))


def write_pairs(pairs: Iterable[tuple[str, str | None]]) -> str:
    """Encode what :func:`read_pairs` returns; a blank becomes ``%20``."""
    return "&".join(_quote(name) + ("" if value is None else "=" + _quote(value)) for name, value in pairs)


def pair_values(raw: str, name: str) -> list[str | None]:
    """Return every value of ``name``, however the name is spelled."""
    return [_pair(piece)[1] for piece in raw.split("&") if _is_named(piece, name)]


def without_pair(raw: str, name: str) -> str:
    """Remove ``name``, also where it is percent-encoded; the rest keeps its order.

    If anything was removed, needless escapes in the rest become plain (RFC 3986 section 6.2.2.2), as Kong
    sends it.
    """
    pieces = raw.split("&")
    others = [piece for piece in pieces if not _is_named(piece, name)]
    if len(others) == len(pieces):
        return raw
    return _UNRESERVED.sub(lambda match: chr(int(match[1], 16)), "&".join(others))


def replace_query(environ: WSGIEnvironment, query: str) -> None:
    """Give the app another query string, also in the raw target that servers pass beside it."""
    request_target.keep(environ)
    environ["QUERY_STRING"] = query
    for key in ("RAW_URI", "REQUEST_URI"):
        if key in environ:
            environ[key] = environ[key].partition("?")[0] + (f"?{query}" if query else "")


def _pair(piece: str) -> tuple[str, str | None]:
    name, equals, value = piece.partition("=")
    return _unquote(name), _unquote(value) if equals else None


def _is_named(piece: str, name: str) -> bool:
    spelled = piece.partition("=")[0]
    # Of no spelling is it longer: each byte in an escape.
    return bool(piece) and len(spelled) <= 12 * len(name) and _unquote(spelled) == name


def _unquote(text: str) -> str:
    return unquote_field(text, "surrogateescape")


def _quote(text: str) -> str:
    return quote(text, safe="", errors="surrogateescape")


# -- JSON --------------------------------------------------------------------------------------------------


def read_object(data: bytes, unique: bool = False) -> dict[str, object]:
    """Read a JSON object; of a repeated name the last value counts. Raises ``ValueError`` for all else.

    NaN, infinities and nesting beyond Python's own limit are refused too: they could not be written again.
    ``unique`` refuses repeated names, of which another reader may take the first.
    """
    return _object(data, _once if unique else None)


def member_values(data: bytes, name: str) -> list[object]:
    """Return every value of a member of a JSON object: of several, readers disagree which one counts."""
    members: list[tuple[str, object]] = []

    def collect(pairs: list[tuple[str, object]]) -> dict[str, object]:
        # Called for the outermost object last.
        members[:] = pairs
        return dict(pairs)

    _object(data, collect)
    return [value for key, value in members if key == name]


def _object(
    data: bytes, pairs: Callable[[list[tuple[str, object]]], dict[str, object]] | None
) -> dict[str, object]:
    try:
        value = json.loads(data, parse_constant=_no_number, parse_float=_finite, object_pairs_hook=pairs)
    except RecursionError:
        raise ValueError("JSON nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError(f"got a JSON {type(value).__name__}, expected an object")
    return value


def write_object(members: dict[str, object]) -> bytes:
    """Write compact JSON in ASCII, so that lone surrogates survive."""
    return json.dumps(members, separators=(",", ":"), allow_nan=False).encode()


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("got a repeated name, expected each once")
    return members


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"got {text[:40]}, expected a number")


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _no_number(text)


# -- multipart ---------------------------------------------------------------------------------------------


@attrs.frozen
class Part:
    """One part of a multipart body. ``raw`` is all of it as sent; ``name`` None if it has none."""

    name: str | None
    content: bytes
    raw: bytes


def read_parts(data: bytes, boundary: bytes) -> list[Part]:
    """Split a multipart body (RFC 7578); raises ``ValueError`` if it does not end or has too many parts.

    As in werkzeug a line may end with CR or LF alone: what the app would read must be found here. Too many
    parts are :class:`TooMuch`, as are heads that are too long.
    """
    edge = rb"(?:\A|%b)--%b(--)?[ \t]*(?:%b|\Z)" % (_BREAK, re.escape(boundary), _BREAK)
    edges = []
    for match in islice(re.finditer(edge, data), MAX_PARTS + 1):
        edges.append(match)
        if match[1]:
            break
    if len(edges) > MAX_PARTS and not edges[-1][1]:
        raise TooMuch(f"got a multipart body of more than {MAX_PARTS} parts")
    if not boundary or not edges or not edges[-1][1]:
        raise ValueError("got a multipart body without end")
    raws = [data[start.end() : end.start()] for start, end in pairwise(edges)]
    blanks = [_BLANK_LINE.search(raw) for raw in raws]
    heads = sum(blank.start() for blank in blanks if blank is not None)
    if heads > MAX_HEADS:
        raise TooMuch(f"got parts with heads of {heads} bytes, expected at most {MAX_HEADS}")
    return [_part(raw, blank) for raw, blank in zip(raws, blanks, strict=True)]


def write_parts(parts: Iterable[Part], boundary: bytes) -> bytes:
    """Put parts together again; each goes out byte for byte."""
    lines = [b"--%b\r\n%b\r\n" % (boundary, part.raw) for part in parts]
    return b"".join(lines) + b"--%b--\r\n" % boundary


def field_part(name: str, value: str) -> Part:
    """Make the part of a plain field, its name escaped as browsers do (HTML, "multipart form data")."""
    escaped = name.replace("\r", "%0D").replace("\n", "%0A").replace('"', "%22")
    content = value.encode("utf-8", "surrogateescape")
    head = f'Content-Disposition: form-data; name="{escaped}"\r\n\r\n'
    return Part(name, content, head.encode("utf-8", "surrogateescape") + content)


def _part(raw: bytes, blank: re.Match[bytes] | None) -> Part:
    if blank is None:
        return Part(None, b"", raw)
    return Part(_part_name(raw[: blank.start()]), raw[blank.end() :], raw)


def _part_name(head: bytes) -> str | None:
    for line in _FOLDED.sub(b" ", head).splitlines():
        field, _, value = line.partition(b":")
        if field.strip().lower() == b"content-disposition":
            return parse_options_header(value.decode("utf-8", "replace"))[1].get("name")
    return None


# -- any body ----------------------------------------------------------------------------------------------


def media_type(content_type: str) -> tuple[str, bytes]:
    """Return the media type in lower case and the boundary (``b""`` if there is none)."""
    kind, options = parse_options_header(content_type)
    return kind.lower(), options.get("boundary", "").encode("latin-1", "replace")


def is_form(content_type: str) -> bool:
    """Say whether a body of this type has names: urlencoded, JSON or multipart."""
    return media_type(content_type)[0] in (FORM, JSON, MULTIPART)


def body_values(content_type: str, data: bytes, name: str) -> list[object]:
    """Return every value of ``name``; none for types without names and bodies that cannot be read.

    Text for form fields (None without ``=``), any JSON value for a JSON object's member. JSON has the bound
    of forms, :data:`MAX_FORM`.
    """
    kind, boundary = media_type(content_type)
    try:
        if kind == FORM:
            return list(pair_values(form_text(data), name))
        if kind == JSON and len(data) <= MAX_FORM:
            return member_values(data, name)
        if kind == MULTIPART:
            parts = read_parts(data, boundary)
            return [part.content.decode("utf-8", "surrogateescape") for part in parts if part.name == name]
    except ValueError:
        pass
    return []


def body_without(content_type: str, data: bytes, name: str) -> bytes:
    """Remove ``name`` from a body, same type and boundary; ``data`` itself if it is not in there."""
    if not body_values(content_type, data, name):
        return data
    kind, boundary = media_type(content_type)
    if kind == FORM:
        return without_pair(data.decode("latin-1"), name).encode("latin-1")
    if kind == JSON:
        members = read_object(data)
        del members[name]
        return write_object(members)
    return write_parts((part for part in read_parts(data, boundary) if part.name != name), boundary)
