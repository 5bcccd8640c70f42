"""Checking data against a definition, as ``kong/db/schema/init.lua`` does, in its words.

Failures are nested as the data is: a text, a mapping by field (``@entity`` holds what is wrong across
fields), or a list with None for elements that are good.
"""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from plugmw.dialects.kong.schema.entity_checks import ENTITY_CHECKS, Failure
from plugmw.dialects.kong.schema.typedefs import Definition
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


def is_reference(definition: Definition, value: object) -> bool:
    """Say whether a value is a vault reference in a field that may have one: it is not checked."""
    return bool(definition.get("referenceable")) and isinstance(value, str) and _VAULT(value) is not None


def filled(definition: Definition, value: object) -> object:
    """Return ``value`` with defaults in the place of what is missing; sets lose what is double."""
    if isinstance(value, Mapping) and definition["type"] == "record":
        return filled_record(definition, value)
    if isinstance(value, (list, tuple)) and definition["type"] in ("array", "set"):
        items = [filled(definition["elements"], item) for item in value]
        return _unique(items) if definition["type"] == "set" else items
    if isinstance(value, Mapping) and definition["type"] == "map":
        return {key: filled(definition["values"], item) for key, item in value.items()}
    if definition["type"] == "integer" and isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def filled_record(definition: Definition, data: Mapping[str, object]) -> dict[str, object]:
    """Return the fields of a record with defaults in the place of what is missing."""
    record = dict(data)
    for name, shorthand in definition["shorthand_fields"].items():
        if name in record:
            record.update(shorthand["func"](record.pop(name)))
    for name, inner in definition["fields"].items():
        record[name] = filled(inner, record[name]) if name in record else _default(inner)
    return record


def _unique(items: list[object]) -> list[object]:
    return [item for place, item in enumerate(items) if item not in items[:place]]


def _default(definition: Definition) -> object:
    if definition.get("default") is not None:
        return filled(definition, copy.deepcopy(definition["default"]))
    return filled(definition, {}) if definition["type"] == "record" and definition.get("required") else None


def failure(definition: Definition, value: object) -> Failure | None:
    """Return what is wrong with a value, None if nothing is. ``value`` has its defaults already."""
    if value is None:
        return _failure_of_null(definition)
    if "eq" in definition and definition["eq"] is None:
        return str(definition.get("err") or "value must be null")
    kind = definition["type"]
    types, expected = _TYPES.get(kind, ((object,), ""))
    if not isinstance(value, types) or (isinstance(value, bool) and kind in ("integer", "number")):
        return expected
    if kind in ("integer", "number") and not _is_number(value, whole=kind == "integer"):
        return expected
    if kind == "function" and not callable(value):
        return "expected a function"
    if is_reference(definition, value):
        return None
    inside = _inside(definition, value)
    if inside is not None:
        return inside
    if kind == "string" and "len_min" not in definition:
        definition = {**definition, "len_min": 1}
    problem = first_failure(definition, value)
    # Some of Kong's texts quote the value.
    return "invalid value" if problem and definition.get("encrypted") and str(value) in problem else problem


def _failure_of_null(definition: Definition) -> str | None:
    if "ne" in definition and definition["ne"] is None:
        return str(definition.get("err") or "value must not be null")
    if definition.get("eq") is not None:
        return f"value must be {shown(definition['eq'])}"
    return REQUIRED if definition.get("required") else None


def _is_number(value: object, whole: bool) -> bool:
    if not isinstance(value, (int, float)) or not math.isfinite(value):
        return False
    return not whole or value == math.floor(value)


def _inside(definition: Definition, value: object) -> Failure | None:
    """Return what is wrong inside of a list, map or record."""
    kind = definition["type"]
    if kind in ("array", "set") and isinstance(value, Iterable):
        problems = [failure(definition["elements"], item) for item in value]
        return problems if any(problem is not None for problem in problems) else None
    if not isinstance(value, Mapping):
        return None
    if kind == "map":
        for key, item in value.items():
            problem = failure(definition["keys"], key) or failure(definition["values"], item)
            if problem is not None:
                return {str(key): problem}
    return failures(definition, value) or None if kind == "record" else None


def failures(definition: Definition, data: Mapping[str, object]) -> dict[str, Failure]:
    """Return all that is wrong with a complete record by field, ``{}`` if nothing is."""
    fields = definition["fields"]
    problems: dict[str, Failure] = {}
    for name, value in data.items():
        problem = failure(fields[name], value) if name in fields else UNKNOWN
        if problem is not None:
            problems[str(name)] = problem
    for check in definition["entity_checks"]:
        for kind, rule in check.items():
            _run_check(kind, rule, definition, data, problems)
    return problems


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
    kind: str, rule: Any, definition: Definition, data: Mapping[str, object], problems: dict[str, Failure]
) -> None:
    names = _names(kind, rule)
    if any(is_reference(_field(definition, name), value_of(data, name)) for name in names):
        return
    if kind in _NEED_GOOD and any(name in problems for name in names):
        return

    def judge(name: str, match: Definition) -> Failure | None:
        return failure({**_field(definition, name), **match}, value_of(data, name))

    for name, text in ENTITY_CHECKS[kind](rule, data, judge):
        put_failure(problems, name.split(".") if name else (), text)


def _names(kind: str, rule: Any) -> list[str]:
    if kind not in _SOURCES:
        return list(rule)
    values = [rule.get(source) or () for source in _SOURCES[kind]]
    return [name for value in values for name in ([value] if isinstance(value, str) else value)]


def _field(definition: Definition, path: str) -> Definition:
    """Return the definition at a dotted path; of any type where there is none."""
    for name in path.split("."):
        definition = definition.get("fields", {}).get(name, {"type": "any"})
    return definition


def put_failure(problems: dict[str, Failure], path: Sequence[str], failure: Failure) -> None:
    """Add what is wrong at a path, of the record as a whole if it is empty; not below another failure."""
    if not path:
        texts = problems.setdefault(ENTITY, [])
        if isinstance(texts, list):
            texts.append(failure)
        return
    for name in path[:-1]:
        inner = problems.setdefault(name, {})
        if not isinstance(inner, dict):
            return
        problems = inner
    problems[path[-1]] = failure
