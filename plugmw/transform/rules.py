"""The operations of the transformers: on lists of headers and on the members of JSON objects.

Rules are read from ``name:value`` entries once; applying them changes nothing but what they name. The order
is always remove, rename, replace, add, append, and each step sees what the one before it did. (Kong judges
headers by a snapshot taken before the first step, which differs only if two steps name the same header.)
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import attrs

from plugmw.wsgi import answer
from plugmw.wsgi.headers import first, hop_by_hop
from plugmw.wsgi.text import encode

Headers = list[tuple[str, str]]
Pairs = tuple[tuple[str, str], ...]
Problems = Iterator[tuple[int, str]]

#: Beside the hop-by-hop ones (PEP 3333 forbids them), what says where a message ends belongs to the server.
_FRAMING: Final = frozenset(("content-length", "trailer", "proxy-connection"))
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?").fullmatch
_MISSING: Final[object] = object()


# -- reading entries ----------------------------------------------------------------------------------


def cut(entry: str) -> tuple[str, str]:
    """Split ``name:value`` at the first colon; an entry without one is a name."""
    name, _, value = entry.partition(":")
    return name, value


def pair_problems(entries: Iterable[str]) -> Problems:
    """Say which entries are not ``name:value``: (index, text)."""
    for index, entry in enumerate(entries):
        if ":" not in entry or entry.startswith(":"):
            yield index, f"invalid value: {entry}"


def name_problems(entries: Iterable[str]) -> Problems:
    """Say which entries do not begin with the name of a header that may be sent."""
    for index, entry in enumerate(entries):
        if not _sendable(cut(entry)[0]):
            yield index, f"'{cut(entry)[0]}' is not a valid header"


def header_problems(entries: Iterable[str]) -> Problems:
    """Say which ``name:value`` entries are not a header that a plugin may send."""
    entries = list(entries)
    yield from pair_problems(entries)
    for index, entry in enumerate(entries):
        if ":" not in entry[1:]:
            continue
        name, value = cut(entry)
        if not _sendable(name):
            yield index, f"'{name}' is not a valid header"
        elif _reserved(name):
            yield index, f"'{name}' is not for plugins to set: framing is the server's"
        elif not _sendable(name, value):
            yield index, f"the value of '{name}' has a control character"


def rename_problems(entries: Iterable[str]) -> Problems:
    """Say which ``old:new`` entries are not two names of headers, the second one to be set."""
    entries = list(entries)
    yield from pair_problems(entries)
    for index, entry in enumerate(entries):
        if ":" not in entry[1:]:
            continue
        for name in cut(entry):
            if not _sendable(name):
                yield index, f"'{name}' is not a valid header"
        if _reserved(cut(entry)[1]):
            yield index, f"'{cut(entry)[1]}' is not for plugins to set: framing is the server's"


def _header(entry: str) -> tuple[str, str]:
    name, value = cut(entry)
    return name, encode(value, "surrogateescape")


def _sendable(name: str, value: str = "") -> bool:
    try:
        answer.check_header(name, encode(value, "surrogateescape"))
    except ValueError:
        return False
    return True


def _reserved(name: str) -> bool:
    return name.lower() in _FRAMING or hop_by_hop(name)


# -- headers ------------------------------------------------------------------------------------------


@attrs.frozen
class HeaderRules:
    """What to do to a list of (name, value); names compare without case."""

    remove: frozenset[str] = frozenset()
    rename: Pairs = ()
    replace: Pairs = ()
    add: Pairs = ()
    append: Pairs = ()

    @classmethod
    def read(
        cls,
        remove: Sequence[str] = (),
        rename: Sequence[str] = (),
        replace: Sequence[str] = (),
        add: Sequence[str] = (),
        append: Sequence[str] = (),
    ) -> HeaderRules:
        """Read rules from checked entries."""
        pairs = [tuple(map(_header, entries)) for entries in (replace, add, append)]
        return cls(frozenset(cut(e)[0].lower() for e in remove), tuple(map(cut, rename)), *pairs)

    def __bool__(self) -> bool:
        return bool(self.remove or self.rename or self.replace or self.add or self.append)

    def apply(self, items: Headers) -> Headers:
        """Return the headers as the rules make them; fields are never joined."""
        if self.remove:
            items = [item for item in items if item[0].lower() not in self.remove]
        for old, new in self.rename:
            items = rename_header(items, old, new)
        for name, value in self.replace:
            items = replace_header(items, name, value)
        for name, value in self.add:
            if first(items, name) is None:
                items = [*items, (name, value)]
        return [*items, *self.append] if self.append else items


def rename_header(items: Headers, old: str, new: str) -> Headers:
    """Move all fields of ``old`` to ``new``, in place of any ``new`` there was; nothing without ``old``."""
    if first(items, old) is None:
        return items
    source, target = old.lower(), new.lower()
    return [
        (new, value) if name.lower() == source else (name, value)
        for name, value in items
        if name.lower() == source or name.lower() != target
    ]


def replace_header(items: Headers, name: str, value: str) -> Headers:
    """Make all fields of ``name`` one with ``value``, where the first was; nothing if there is none."""
    wanted, made = name.lower(), []
    done = False
    for item in items:
        if item[0].lower() != wanted:
            made.append(item)
        elif not done:
            made.append((name, value))
            done = True
    return made


# -- JSON ---------------------------------------------------------------------------------------------


@attrs.frozen
class JSONRules:
    """What to do to the members of a JSON object; names are exact."""

    remove: tuple[str, ...] = ()
    rename: Pairs = ()
    replace: tuple[tuple[str, object], ...] = ()
    add: tuple[tuple[str, object], ...] = ()
    append: tuple[tuple[str, object], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.remove or self.rename or self.replace or self.add or self.append)

    def apply(self, members: dict[str, object]) -> bool:
        """Change ``members``; return whether anything was done."""
        done = False
        for name in self.remove:
            done |= members.pop(name, _MISSING) is not _MISSING
        for old, new in self.rename:
            if old in members:
                members[new] = members.pop(old)
                done = True
        for name, value in self.replace:
            # As in Kong, where false is no value and null is one.
            if members.get(name, False) is not False:
                members[name], done = value, True
        for name, value in self.add:
            if members.get(name, False) is False:
                members[name], done = value, True
        for name, value in self.append:
            members[name], done = appended(members.get(name), value), True
        return done


def appended(old: object, value: object) -> list[object]:
    """Return the list that ``old`` becomes: text and objects stay in it, other single values do not."""
    if isinstance(old, list):
        return [*old, value]
    return [old, value] if isinstance(old, (str, dict)) else [value]


def typed_pairs(entries: Sequence[str], types: Sequence[str]) -> tuple[tuple[str, object], ...]:
    """Read ``name:value`` entries, each value as the type at its place: boolean, number, else text.

    Only ``true`` is true; an entry that is to be a number and is none is left out.
    """
    pairs = []
    for index, entry in enumerate(entries):
        name, value = cut(entry)
        member = typed(value, types[index] if index < len(types) else "string")
        if member is not _MISSING:
            pairs.append((name, member))
    return tuple(pairs)


def typed(text: str, kind: str) -> object:
    """Return ``text`` as a boolean, number or string; a marker of its own for what is no number."""
    if kind == "boolean":
        return text == "true"
    return number(text) if kind == "number" else text


def number(text: str) -> object:
    """Return the finite number that ``text`` spells, else a marker."""
    text = text.strip()
    if not _NUMBER(text):
        return _MISSING
    value = float(text)
    if not math.isfinite(value):
        return _MISSING
    return int(text) if text.lstrip("+-").isdecimal() else value


def parse_json(data: bytes) -> object:
    """Read UTF-8 JSON; ValueError for anything else, NaN and Infinity and endless nesting included."""
    try:
        return json.loads(data.decode(), parse_constant=_refuse)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def write_json(value: object) -> bytes:
    """Write compact UTF-8 JSON; ValueError for what JSON has no spelling for."""
    try:
        return answer.to_json(value)
    except UnicodeEncodeError:
        # Half a surrogate pair has no UTF-8; as an escape it goes out as it came in.
        return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is no JSON")


def is_json(content_type: str) -> bool:
    """Say whether a Content-Type means JSON: ``application/json`` or ``application/<x>+json``.

    Of a comma-separated list one member is enough; ``text/json`` does not count (Kong
    ``kong/tools/mime_type.lua``).
    """
    if "json" not in content_type.lower():
        return False
    return any(_JSON(part.partition(";")[0].strip().lower()) for part in content_type.split(","))


_JSON: Final = re.compile(r"application/(?:json|[^\s/;,]+\+json)").fullmatch
