"""A Kong-style schema table becomes a configuration class at run time.

    cls = config_class("my-plugin", {"fields": [{"config": {"type": "record", "fields": [
        {"my_file_path": {"type": "string", "required": True}}, {"reopen": {"type": "boolean"}}]}}]})

The class is read, shown and documented like any other of :mod:`plugmw.schema`; what is checked, and how it
is told, is Kong's (:mod:`plugmw.dialects.kong.schema.engine`). Objects have their fields as attributes and
as items: ``config.reopen``, ``config["reopen"]``. :func:`as_plain` gives back the table one was made from.
"""

from __future__ import annotations

import copy
import functools
import keyword
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final

import attrs

from plugmw.dialects.kong.schema.definitions import BadSchema, record
from plugmw.dialects.kong.schema.engine import ENTITY, REQUIRED, UNKNOWN, failures, filled
from plugmw.errors import LoadError
from plugmw.schema import REQUIRED as NO_DEFAULT
from plugmw.schema import Kind, Nothing, field
from plugmw.schema.messages import Path, shown, unknown
from plugmw.schema.reading import Reader

_SCALARS: Final = {"string": str, "integer": int, "number": float, "boolean": bool}


class Record:
    """The base of the classes made here."""

    #: The definition that the class was made from.
    definition: Mapping[str, Any]

    def __getitem__(self, name: str) -> Any:
        return getattr(self, type(self)._attributes()[name])

    def get(self, name: str, default: Any = None) -> Any:
        return self[name] if name in type(self)._attributes() else default

    @classmethod
    def _attributes(cls) -> dict[str, str]:
        """Return the attribute names by the schema's own names."""
        listed: Any = cls
        return {attribute.metadata["kong_name"]: attribute.name for attribute in attrs.fields(listed)}

    @classmethod
    def __plugmw_read__(cls, reader: Reader, data: Mapping[str, Any], path: Path) -> Any:
        """Read data for :class:`plugmw.schema.Reader`: the object, or None and problems told to it."""
        complete = filled(cls.definition, _texts(cls.definition, data, path, reader))
        found = failures(cls.definition, complete)
        for where, value, text, definition in _leaves(found, complete, cls.definition, path):
            reader.problem(where, *_told(value, text, definition, where))
        return None if found else cls.made_of(complete)

    @classmethod
    def made_of(cls, data: Mapping[str, Any]) -> Any:
        """Return the object for data that is complete and good."""
        fields = cls.definition["fields"]
        values = {a: _objects(fields[name], data[name], cls, a) for name, a in cls._attributes().items()}
        return cls(**values)


def _objects(definition: Mapping[str, Any], value: Any, cls: Any, attribute: str) -> Any:
    if definition["type"] == "record" and value is not None:
        return cls.records[attribute].made_of(value)
    return value


def config_class(name: str, table: Mapping[str, Any]) -> type:
    """Return the configuration class of a plugin's schema; raises :class:`LoadError`.

    The plugin's own fields are those of the record ``config``; what stands beside it (protocols, consumer)
    is the entry's. Checks across ``config.x`` count as checks of the record.
    """
    found = _config_of(name, table)
    if found is None:
        return Nothing
    try:
        checks = [_below_config(check) for check in table.get("entity_checks") or ()]
        merged = {**found, "entity_checks": [*(found.get("entity_checks") or ()), *filter(None, checks)]}
        return _class(_class_name(name), record(merged, (name, "config")))
    except BadSchema as error:
        raise LoadError(name, f"Schema: {error}", error.expected) from None
    except Exception as error:
        # Rules are taken for what they should be: of any other shape, they fail at their first use.
        raise LoadError(name, f"Schema: {type(error).__name__}: {error}", "Kong's schema language") from error


def _config_of(name: str, table: Mapping[str, Any]) -> Mapping[str, Any] | None:
    fields = table.get("fields") if isinstance(table, Mapping) else None
    # kong-pdk for JavaScript gives {} where Lua would an empty list.
    if not isinstance(fields, (list, tuple, Mapping)):
        raise LoadError(name, f"Schema: fields: got {fields!r}", "a list")
    for item in [fields] if isinstance(fields, Mapping) else fields:
        if isinstance(item, Mapping) and isinstance(item.get("config"), Mapping):
            found: Mapping[str, Any] = item["config"]
            return found
    return None


def _below_config(check: Any) -> dict[str, Any] | None:
    """Take a check over ``config.x`` for one over ``x``; others are about the entry."""
    if not isinstance(check, Mapping) or "config." not in repr(check):
        return None
    return {name: _stripped(rule) for name, rule in check.items()}


def _stripped(rule: Any) -> Any:
    if isinstance(rule, str):
        return rule.removeprefix("config.")
    if isinstance(rule, Mapping):
        return {key: _stripped(value) for key, value in rule.items()}
    return [_stripped(one) for one in rule] if isinstance(rule, (list, tuple)) else rule


# -- classes ---------------------------------------------------------------------------------------------


def _class(name: str, definition: Mapping[str, Any]) -> type:
    """Make the class of a record."""
    members: dict[str, Any] = {}
    hints: dict[str, Any] = {}
    records: dict[str, type] = {}
    for key, inner in definition["fields"].items():
        attribute = _attribute_name(key, members)
        if inner["type"] == "record":
            records[attribute] = _class(_class_name(key), inner)
        hint = records.get(attribute) or _hint(inner)
        members[attribute] = _field(key, attribute, inner, records.get(attribute))
        hints[attribute] = hint if inner.get("required") else hint | None
    cls: Any = attrs.make_class(name, members, bases=(Record,), frozen=True, kw_only=True, slots=False)
    cls.__doc__ = str(definition.get("description") or f"The configuration of {name}.")
    cls.definition, cls.records = definition, records
    # Types are known only now: what plugmw.schema would otherwise read from annotations.
    cls.__plugmw_hints__ = hints
    return cls  # type: ignore[no-any-return]


def _field(key: str, attribute: str, definition: Mapping[str, Any], cls: Any) -> Any:
    default: Any = filled({**definition, "type": "any"}, copy.deepcopy(definition.get("default")))
    if default is None:
        default = NO_DEFAULT if definition.get("required") else None
    made = field(
        default,
        help=str(definition.get("description") or f"Field of type {definition['type']}."),
        secret=bool(definition.get("encrypted")),
        empty=definition.get("len_min") == 0,
        aliases=() if attribute == key else (key,),
    )
    if cls is not None and (definition.get("required") or definition.get("default") is not None):
        # A record without a value is filled from its own defaults, where they are enough.
        start = filled(definition, copy.deepcopy(definition.get("default") or {}))
        made._default = (
            NO_DEFAULT
            if failures(definition, start)
            else attrs.Factory(functools.partial(cls.made_of, start))
        )
    made.metadata = {**made.metadata, "kong_name": key}
    return made


def _hint(definition: Mapping[str, Any]) -> Any:
    """Return the type hint that describes a definition, for JSON Schema and tables of fields."""
    kind = definition["type"]
    if kind in _SCALARS:
        expected = "an integer" if kind == "integer" else f"a {kind}"
        return Annotated[
            _SCALARS[kind], Kind(_SCALARS[kind], expected, {"type": kind, **_json_rules(definition)})
        ]
    if kind == "map":
        return dict[_hint(definition["keys"]), _hint(definition["values"])]  # type: ignore[misc]
    if kind in ("array", "set"):
        return list[_hint(definition["elements"])]  # type: ignore[misc]
    return dict[str, Any] if kind == "record" else Any


def _json_rules(definition: Mapping[str, Any]) -> dict[str, Any]:
    """Return the validators that JSON Schema has words for."""
    made: dict[str, Any] = {}
    if "between" in definition:
        made["minimum"], made["maximum"] = definition["between"]
    for rule, word in (
        ("gt", "exclusiveMinimum"),
        ("one_of", "enum"),
        ("len_min", "minLength"),
        ("len_max", "maxLength"),
    ):
        if rule in definition:
            made[word] = definition[rule]
    return made


def _class_name(name: str) -> str:
    made = "".join(part.capitalize() for part in re.split(r"\W|_", name)) + "Config"
    return made if made.isidentifier() else f"K{made}"


def _attribute_name(key: str, taken: Mapping[str, Any]) -> str:
    """Return a name that Python takes for a field's name; the schema's own is its alias then."""
    made = re.sub(r"\W", "_", key).lstrip("_") or "field"
    if made[0].isdigit():
        made = f"n{made}"
    if keyword.iskeyword(made) or made in ("definition", "records", "get", "made_of"):
        made += "_"
    while made in taken:
        made += "_"
    return made


# -- problems --------------------------------------------------------------------------------------------


def _texts(definition: Mapping[str, Any], value: Any, path: Path, reader: Reader) -> Any:
    """Give back to string fields the text of what ``${KEY}`` was before it was taken for a number."""
    kind = definition["type"]
    if kind == "string" and isinstance(value, (int, float)):
        return reader.text(path) or value
    if kind == "record" and isinstance(value, Mapping):
        fields = definition["fields"]
        return {
            key: _texts(fields[key], item, (*path, key), reader) if key in fields else item
            for key, item in value.items()
        }
    if kind == "map" and isinstance(value, Mapping):
        return {key: _texts(definition["values"], item, (*path, key), reader) for key, item in value.items()}
    if kind in ("array", "set") and isinstance(value, (list, tuple)):
        items = enumerate(value)
        return [_texts(definition["elements"], item, (*path, place), reader) for place, item in items]
    return value


def _leaves(
    found: Any, value: Any, definition: Mapping[str, Any], path: Path
) -> Iterator[tuple[Path, Any, str, Mapping[str, Any]]]:
    """Yield (path, value, text, definition) of everything that is wrong."""
    if isinstance(found, str):
        yield path, value, found, definition
    elif isinstance(found, list):
        for place, inner in enumerate(found):
            if inner is not None:
                yield from _leaves(inner, value[place], definition["elements"], (*path, place))
    else:
        for name, inner in found.items():
            if name == ENTITY:
                yield from ((path, None, text, {"type": ENTITY}) for text in inner)
                continue
            inside = definition.get("fields", {}).get(name) or definition.get("values") or definition
            item = value.get(name) if isinstance(value, Mapping) else None
            yield from _leaves(inner, item, inside, (*path, name))


def _told(value: Any, text: str, definition: Mapping[str, Any], path: Path) -> tuple[str, str | None]:
    """Return a failure as plugmw tells it: (what was found, what would be right)."""
    if text == UNKNOWN:
        return unknown(path[-1], list(definition["fields"]))
    if text == REQUIRED:
        return "missing", f"a value of type {definition['type']}"
    if definition["type"] == ENTITY:
        return text, None
    got = "got a secret value" if definition.get("encrypted") else f"got {shown(value)}"
    return (got, text.removeprefix("expected ")) if text.startswith("expected ") else (f"{got}: {text}", None)


def as_plain(made: Any) -> Any:
    """Return a configuration object as plain data under the names of its schema, None for what is not set."""
    if attrs.has(type(made)):
        return {
            attribute.metadata.get("kong_name", attribute.name): as_plain(getattr(made, attribute.name))
            for attribute in attrs.fields(type(made))
        }
    if isinstance(made, Mapping):
        return {key: as_plain(value) for key, value in made.items()}
    if isinstance(made, (list, tuple, set, frozenset)):
        return [as_plain(value) for value in made]
    return made
