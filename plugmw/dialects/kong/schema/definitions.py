"""Schema tables as they are read: typedefs filled in, shapes checked, one form for every spelling."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from plugmw.dialects.kong.schema.entity_checks import ENTITY_CHECKS
from plugmw.dialects.kong.schema.lua_patterns import lua_pattern
from plugmw.dialects.kong.schema.typedefs import TYPEDEFS, Definition

#: Records, lists and maps within each other; a table that is deeper is refused.
MAX_DEPTH: Final = 30
TYPES: Final = (
    *("string", "integer", "number", "boolean", "array", "set", "map", "record"),
    *("foreign", "function", "json", "any"),
)
_PATTERNS: Final[dict[str, Callable[[Any], list[str]]]] = {
    "match": lambda rule: [rule],
    "not_match": lambda rule: [rule],
    "match_all": lambda rule: [one["pattern"] for one in rule],
    "match_none": lambda rule: [one["pattern"] for one in rule],
    "match_any": lambda rule: list(rule["patterns"]),
}


class BadSchema(Exception):
    """A table that is no schema."""

    def __init__(self, path: Sequence[str], problem: str, expected: str | None = None) -> None:
        super().__init__(f"{'.'.join(path)}: {problem}")
        self.expected = expected


def record(table: Definition, path: Sequence[str], depth: int = 0) -> Definition:
    """Return a record's definition with ``fields`` as a mapping of complete definitions."""
    fields = dict(_fields(table.get("fields") or (), path, depth))
    shorthands = dict(_fields(table.get("shorthand_fields") or (), path, depth))
    for name, inner in shorthands.items():
        if not callable(inner.get("func")):
            raise BadSchema((*path, name), "shorthand_fields: no func", "a function, or the field itself")
    checks = table.get("entity_checks") or ()
    for check in checks:
        for kind in check if isinstance(check, Mapping) else [check]:
            if kind not in ENTITY_CHECKS:
                raise BadSchema(path, f"entity_checks: got {kind!r}", f"one of {', '.join(ENTITY_CHECKS)}")
    return {
        **table,
        "type": "record",
        "fields": fields,
        "shorthand_fields": shorthands,
        "entity_checks": list(checks),
    }


def _fields(listed: object, path: Sequence[str], depth: int) -> Iterator[tuple[str, Definition]]:
    """Yield (name, definition) of a list of tables with one name each; go-pdk gives a mapping, too."""
    if isinstance(listed, Mapping):
        listed = [{name: inner} for name, inner in listed.items()]
    if not isinstance(listed, (list, tuple)):
        raise BadSchema(path, f"fields: got {listed!r}", "a list")
    for item in listed:
        if not isinstance(item, Mapping) or len(item) != 1:
            raise BadSchema(path, f"fields: got {str(item)[:80]}", "tables of one name and its definition")
        for name, inner in item.items():
            yield str(name), definition(inner, (*path, str(name)), depth + 1)


def definition(table: object, path: Sequence[str], depth: int = 0) -> Definition:
    """Return a field's definition, checked, with those inside of it; raises :class:`BadSchema`."""
    if depth > MAX_DEPTH:
        raise BadSchema(path, f"nested deeper than {MAX_DEPTH} levels")
    if not isinstance(table, Mapping):
        raise BadSchema(path, f"got {str(table)[:80]}", "a table with a type")
    named = table.get("typedef")
    if named is not None:
        if named not in TYPEDEFS:
            raise BadSchema(path, f"typedef: got {named!r}", f"one of {', '.join(TYPEDEFS)}")
        table = {**TYPEDEFS[named], **table}
    kind = table.get("type")
    if kind not in TYPES:
        raise BadSchema(path, f"type: got {kind!r}", f"one of {', '.join(TYPES)}")
    for rule, listed in _PATTERNS.items():
        if rule in table:
            _check_patterns(table[rule], listed, (*path, rule))
    if kind == "record":
        return record(table, path, depth)
    complete = dict(table)
    for part, default in _INSIDE.get(kind, {}).items():
        inner = definition(table.get(part) or default, (*path, part), depth + 1)
        complete[part] = {**inner, "required": True}
    return complete


_ANY: Final = {"type": "any"}
#: What is inside of a container, and what it is where a table does not say.
_INSIDE: Final[dict[str, Definition]] = {
    "array": {"elements": _ANY},
    "set": {"elements": _ANY},
    "map": {"keys": {"type": "string"}, "values": _ANY},
}


def _check_patterns(rule: object, listed: Callable[[Any], list[str]], path: Sequence[str]) -> None:
    try:
        for pattern in listed(rule):
            lua_pattern(pattern)
    except (ValueError, re.error, KeyError, TypeError) as error:
        raise BadSchema(path, f"{type(error).__name__}: {error}", "a Lua pattern") from None
