"""Checking data against a definition, as ``kong/db/schema/init.lua`` does, in its words.

Failures are nested as the data is: a text, a mapping by field (``@entity`` holds what is wrong across
fields), or a list with None for elements that are good.
"""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Mapping
from typing import Any, Final

from plugmw.dialects.kong.schema.entity_checks import ENTITY_CHECKS
from plugmw.dialects.kong.schema.validators import first_failure, shown
from plugmw.schema.checks import value_of

REQUIRED: Final = "required field missing"
UNKNOWN: Final = "unknown field"
ENTITY: Final = "@entity"
_VAULT: Final = re.compile(r"\{vault://[^}]+\}").fullmatch
_TYPES: Final[dict[str, tuple[tuple[type, ...], str]]] = {
    "string": ((str,), "expected a string"),
    "integer": ((int, float), "expected an integer"),
    "number": ((int, float), "expected a number"),
    "boolean": ((bool,), "expected a boolean"),
    "array": ((list, tuple), "expected an array"),
    "set": ((list, tuple, set, frozenset), "expected a set"),
    "map": ((Mapping,), "expected a map"),
    "record": ((Mapping,), "expected a record"),
    "foreign": ((str, Mapping), "expected a record"),
}


def is_reference(definition: Mapping[str, Any], value: Any) -> bool:
    """Say whether a value is a vault reference in a field that may have one: it is not checked."""
    return bool(definition.get("referenceable")) and isinstance(value, str) and _VAULT(value) is not None


def filled(definition: Mapping[str, Any], value: Any) -> Any:
    """Return ``value`` with defaults in the place of what is missing; sets lose what is double."""
    if isinstance(value, Mapping) and definition["type"] == "record":
        made = dict(value)
        for name, old in definition["shorthand_fields"].items():
            new = old["func"]
            if name in made:
                made.update(new(made.pop(name)))
        for name, inner in definition["fields"].items():
            made[name] = filled(inner, made[name]) if name in made else _default(inner)
        return made
    if isinstance(value, (list, tuple)) and definition["type"] in ("array", "set"):
        items = [filled(definition["elements"], item) for item in value]
        return _unique(items) if definition["type"] == "set" else items
    if isinstance(value, Mapping) and definition["type"] == "map":
        return {key: filled(definition["values"], item) for key, item in value.items()}
    if definition["type"] == "integer" and isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _unique(items: list[Any]) -> list[Any]:
    return [item for place, item in enumerate(items) if item not in items[:place]]


def _default(definition: Mapping[str, Any]) -> Any:
    if definition.get("default") is not None:
        return filled(definition, copy.deepcopy(definition["default"]))
    return filled(definition, {}) if definition["type"] == "record" and definition.get("required") else None


def failure(definition: Mapping[str, Any], value: Any) -> Any:
    """Return what is wrong with a value, None if nothing is. ``value`` has its defaults already."""
    if value is None:
        return _failure_of_null(definition)
    if "eq" in definition and definition["eq"] is None:
        return definition.get("err") or "value must be null"
    kind = definition["type"]
    types, told = _TYPES.get(kind, ((object,), ""))
    if not isinstance(value, types) or (isinstance(value, bool) and kind in ("integer", "number")):
        return told
    if kind in ("integer", "number") and not _is_number(value, whole=kind == "integer"):
        return told
    if kind == "function" and not callable(value):
        return "expected a function"
    if is_reference(definition, value):
        return None
    inside = _inside(definition, value)
    if inside is not None:
        return inside
    if kind == "string" and "len_min" not in definition:
        definition = {**definition, "len_min": 1}
    found = first_failure(definition, value)
    # Some of Kong's texts quote the value.
    return "invalid value" if found and definition.get("encrypted") and str(value) in found else found


def _failure_of_null(definition: Mapping[str, Any]) -> str | None:
    if "ne" in definition and definition["ne"] is None:
        return str(definition.get("err") or "value must not be null")
    if definition.get("eq") is not None:
        return f"value must be {shown(definition['eq'])}"
    return REQUIRED if definition.get("required") else None


def _is_number(value: Any, whole: bool) -> bool:
    return math.isfinite(value) and (not whole or value == math.floor(value))


def _inside(definition: Mapping[str, Any], value: Any) -> Any:
    """Return what is wrong inside of a list, map or record."""
    kind = definition["type"]
    if kind in ("array", "set"):
        found = [failure(definition["elements"], item) for item in value]
        return found if any(one is not None for one in found) else None
    if kind == "map":
        for key, item in value.items():
            told = failure(definition["keys"], key) or failure(definition["values"], item)
            if told is not None:
                return {str(key): told}
    return failures(definition, value) or None if kind == "record" else None


def failures(definition: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, Any]:
    """Return all that is wrong with a complete record by field, ``{}`` if nothing is."""
    fields = definition["fields"]
    found: dict[str, Any] = {}
    for name, value in data.items():
        told = failure(fields[name], value) if name in fields else UNKNOWN
        if told is not None:
            found[str(name)] = told
    for check in definition["entity_checks"]:
        for kind, rule in check.items():
            _run_check(kind, rule, definition, data, found)
    return found


#: Where a check names the fields it is about; others are lists of names.
_SOURCES: Final = {
    "conditional": ("if_field", "then_field"),
    "conditional_at_least_one_of": ("if_field", "then_at_least_one_of", "else_then_at_least_one_of"),
    "custom_entity_check": ("field_sources",),
    "mutually_exclusive_sets": ("set1", "set2"),
}
#: Checks that need their fields to be good in themselves.
_NEED_GOOD: Final = (
    "custom_entity_check",
    "mutually_required",
    "mutually_exclusive",
    "mutually_exclusive_sets",
)


def _run_check(
    kind: str, rule: Any, definition: Mapping[str, Any], data: Mapping[str, Any], found: dict[str, Any]
) -> None:
    names = _names(kind, rule)
    if any(is_reference(_field(definition, name), value_of(data, name)) for name in names):
        return
    if kind in _NEED_GOOD and any(name in found for name in names):
        return

    def judge(name: str, match: Mapping[str, Any]) -> Any:
        return failure({**_field(definition, name), **match}, value_of(data, name))

    for name, text in ENTITY_CHECKS[kind](rule, data, judge):
        if name:
            _put(found, name.split("."), text)
        else:
            found.setdefault(ENTITY, []).append(text)


def _names(kind: str, rule: Any) -> list[str]:
    if kind not in _SOURCES:
        return list(rule)
    values = [rule.get(source) or () for source in _SOURCES[kind]]
    return [name for value in values for name in ([value] if isinstance(value, str) else value)]


def _field(definition: Mapping[str, Any], path: str) -> Mapping[str, Any]:
    """Return the definition at a dotted path; of any type where there is none."""
    for name in path.split("."):
        definition = definition.get("fields", {}).get(name, {"type": "any"})
    return definition


def _put(found: dict[str, Any], path: list[str], text: str) -> None:
    for name in path[:-1]:
        inner = found.setdefault(name, {})
        if not isinstance(inner, dict):
            return
        found = inner
    found[path[-1]] = text
