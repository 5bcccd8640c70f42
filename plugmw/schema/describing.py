"""Describe what a configuration class takes: in words, and as JSON Schema."""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Union

import attrs

from plugmw.schema.declaring import SCALARS, Field, Kind, fields_of, is_config
from plugmw.schema.messages import listed

#: A JSON Schema, as ``json`` writes it.
JSONSchema = dict[str, Any]


def describe(hint: object) -> str:
    """Say what a type hint wants, for messages and tables: ``a list of strings``."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        kind = next((m for m in arguments[1:] if isinstance(m, Kind)), None)
        return kind.expected if kind else describe(arguments[0])
    if origin in (Union, types.UnionType):
        return " or ".join(describe(a) for a in arguments if a is not type(None))
    if origin in (list, tuple, set, frozenset):
        return f"a list of {plural(arguments[0])}"
    if origin is Literal:
        return f"one of {listed(arguments)}"
    if origin is dict or is_config(hint):
        return "a mapping"
    return SCALARS[hint].expected


def plural(hint: object) -> str:
    """Say what a type hint wants in the plural: ``strings``."""
    text = describe(hint)
    words = text.split(" ", 1)
    return f"{words[1]}s" if words[0] in ("a", "an") and " " not in words[1] else text


def expected(field: Field) -> str:
    """Say what a field wants: what its first check does, else its type."""
    return field.checks[0].expected if field.checks else describe(field.hint)


def json_schema(cls: type) -> JSONSchema:
    """Return the JSON Schema (2020-12) of a configuration class: what it takes, but for its ``check``."""
    properties = {}
    required = []
    rules: list[JSONSchema] = []
    for field in fields_of(cls):
        schema = _json_type(field.hint, field.empty)
        for check in field.checks:
            for option in schema.get("anyOf", [schema]):
                _narrow(option, check.json)
        schema["description"] = field.help
        names = (field.name, *field.aliases)
        properties.update(dict.fromkeys(names, schema))
        one_of_them = [{"required": [name]} for name in names]
        if field.required:
            if len(names) == 1:
                required.append(field.name)
            else:
                rules.append({"oneOf": one_of_them})
            continue
        if len(names) > 1:
            rules.append({"oneOf": [*one_of_them, {"not": {"anyOf": one_of_them}}]})
        default = field.default
        if default is not None and not attrs.has(type(default)):
            schema["default"] = list(default) if isinstance(default, (tuple, set)) else default
    described: JSONSchema = {"type": "object", "properties": properties, "additionalProperties": False}
    if required:
        described["required"] = required
    if rules:
        described["allOf"] = rules
    return described


#: The JSON types that a keyword says something about; others are for all.
_ABOUT: Final = {
    "exclusiveMinimum": ("number", "integer"),
    "minimum": ("number", "integer"),
    "maximum": ("number", "integer"),
    "pattern": ("string",),
    "minItems": ("array",),
    "items": ("array",),
    "minProperties": ("object",),
}


def _narrow(schema: JSONSchema, rule: Mapping[str, Any]) -> None:
    """Add the keywords of a check to the schema of a type, where they are about that type."""
    kind = schema.get("type")
    for keyword, value in rule.items():
        if kind == "null" or (kind is not None and kind not in _ABOUT.get(keyword, (kind,))):
            continue
        if keyword == "items":
            schema["items"] = dict(schema.get("items", {}))
            _narrow(schema["items"], value)
        else:
            schema[keyword] = value


def _json_type(hint: object, empty: bool = False) -> JSONSchema:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        kind = next((m for m in arguments[1:] if isinstance(m, Kind)), None)
        return _of_kind(kind, empty) if kind else _json_type(arguments[0], empty)
    if origin in (Union, types.UnionType):
        return {"anyOf": [{"type": "null"} if a is type(None) else _json_type(a, empty) for a in arguments]}
    if origin in (list, tuple, set, frozenset):
        return {"type": "array", "items": _json_type(arguments[0], empty)}
    if origin is dict:
        described = {"type": "object", "additionalProperties": _json_type(arguments[1], empty)}
        return described if empty else {**described, "propertyNames": {"minLength": 1}}
    if origin is Literal:
        return {"enum": list(arguments)}
    if is_config(hint):
        return json_schema(hint)
    return _of_kind(SCALARS[hint], empty)


def _of_kind(kind: Kind, empty: bool) -> JSONSchema:
    described = dict(kind.json)
    if described.get("type") == "string" and not empty:
        described["minLength"] = 1
    return described


def default_text(field: Field) -> str:
    """Write a field's default for a table of fields: ``required``, ``none`` or the value as JSON."""
    if field.required:
        return "required"
    default = field.default
    if attrs.has(type(default)):
        return "its defaults"
    return "none" if default is None else json.dumps(default)
