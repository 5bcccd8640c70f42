"""A Kong-style schema table becomes a configuration class at run time.

    cls = config_class("my-plugin", {"fields": [{"config": {"type": "record", "fields": [
        {"my_file_path": {"type": "string", "required": True}}, {"reopen": {"type": "boolean"}}]}}]})

The class is read, shown and documented like any other of :mod:`plugmw.schema`; what is checked, and how it
is told, is Kong's (:mod:`plugmw.dialects.kong.schema.engine`). Objects have their fields as attributes and
as items: ``config.reopen``, ``config["reopen"]``. :func:`as_table` gives back the table one was made from.
"""

from __future__ import annotations

import copy
import functools
import keyword
import re
from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Final

import attrs

from plugmw.dialects.kong.schema.definitions import BadSchema, record
from plugmw.dialects.kong.schema.engine import ENTITY, REQUIRED, UNKNOWN, failures, filled, filled_record
from plugmw.dialects.kong.schema.entity_checks import Failure
from plugmw.dialects.kong.schema.typedefs import Definition
from plugmw.errors import LoadError
from plugmw.schema import REQUIRED as NO_DEFAULT
from plugmw.schema import Kind, Nothing, field
from plugmw.schema.messages import Path, shown, unknown
from plugmw.schema.reading import Reader

_SCALARS: Final = {"string": str, "integer": int, "number": float, "boolean": bool}


class Record:
    """The base of the classes made here."""

    #: The definition that the class was made from.
    definition: ClassVar[Definition]
    __plugmw_hints__: ClassVar[dict[str, object]]
    #: The classes of fields that are records, by attribute name.
    records: ClassVar[Mapping[str, type[Record]]]

    def __getitem__(self, name: str) -> Any:
        return getattr(self, type(self)._attributes()[name])

    def get(self, name: str, default: object = None) -> Any:
        return self[name] if name in type(self)._attributes() else default

    @classmethod
    def _attributes(cls) -> dict[str, str]:
        """Return the attribute names by the schema's own names."""
        return {field.metadata["kong_name"]: field.name for field in _fields_of(cls)}

    @classmethod
    def __plugmw_read__(cls, reader: Reader, data: Mapping[str, object], path: Path) -> Record | None:
        """Read data for :class:`plugmw.schema.Reader`: the object, or None and problems reported to it."""
        complete = filled_record(cls.definition, _texts_of_record(cls.definition, data, path, reader))
        problems = failures(cls.definition, complete)
        for where, value, text, definition in _leaves(problems, complete, cls.definition, path):
            reader.problem(where, *_in_our_words(value, text, definition, where))
        return None if problems else cls.made_of(complete)

    @classmethod
    def made_of(cls, data: Mapping[str, object]) -> Record:
        """Return the object for data that is complete and good."""
        return cls(**{name: cls._value(name, data[key]) for key, name in cls._attributes().items()})

    @classmethod
    def _value(cls, attribute: str, value: object) -> object:
        """Return an attribute's value; that of a record is an object of its class."""
        record_class = cls.records.get(attribute)
        return record_class.made_of(value) if record_class and isinstance(value, Mapping) else value


def _fields_of(cls: type[object]) -> Sequence[attrs.Attribute[Any]]:
    """Return the fields of a class that attrs has made."""
    fields: Sequence[attrs.Attribute[Any]] = attrs.fields(cls) if attrs.has(cls) else ()
    return fields


def config_class(name: str, table: Definition) -> type:
    """Return the configuration class of a plugin's schema; raises :class:`LoadError`.

    The plugin's own fields are those of the record ``config``; what stands beside it (protocols, consumer)
    is the entry's. Checks across ``config.x`` count as checks of the record.
    """
    config_table = _config_of(name, table)
    if config_table is None:
        return Nothing
    try:
        checks = [_below_config(check) for check in table.get("entity_checks") or ()]
        own_checks = config_table.get("entity_checks") or ()
        merged = {**config_table, "entity_checks": [*own_checks, *filter(None, checks)]}
        return _class(_class_name(name), record(merged, (name, "config")))
    except BadSchema as error:
        raise LoadError(name, f"Schema: {error}", error.expected) from None
    except Exception as error:
        # Rules are taken for what they should be: of any other shape, they fail at their first use.
        raise LoadError(name, f"Schema: {type(error).__name__}: {error}", "Kong's schema language") from error


def _config_of(name: str, table: Definition) -> Definition | None:
    fields = table.get("fields") if isinstance(table, Mapping) else None
    # kong-pdk for JavaScript gives {} where Lua would an empty list.
    if not isinstance(fields, (list, tuple, Mapping)):
        raise LoadError(name, f"Schema: fields: got {fields!r}", "a list")
    for item in [fields] if isinstance(fields, Mapping) else fields:
        if isinstance(item, Mapping) and isinstance(item.get("config"), Mapping):
            config_table: Definition = item["config"]
            return config_table
    return None


def _below_config(check: object) -> Definition | None:
    """Take a check over ``config.x`` for one over ``x``; others are about the entry."""
    if not isinstance(check, Mapping) or "config." not in repr(check):
        return None
    return {name: _stripped(rule) for name, rule in check.items()}


def _stripped(rule: object) -> object:
    if isinstance(rule, str):
        return rule.removeprefix("config.")
    if isinstance(rule, Mapping):
        return {key: _stripped(value) for key, value in rule.items()}
    return [_stripped(one) for one in rule] if isinstance(rule, (list, tuple)) else rule


# -- classes ---------------------------------------------------------------------------------------------


def _class(name: str, definition: Definition) -> type[Record]:
    """Make the class of a record."""
    members: dict[str, Any] = {}
    hints: dict[str, object] = {}
    records: dict[str, type[Record]] = {}
    for key, inner in definition["fields"].items():
        attribute = _attribute_name(key, members)
        if inner["type"] == "record":
            records[attribute] = _class(_class_name(key), inner)
        hint = records.get(attribute) or _hint(inner)
        members[attribute] = _field(key, attribute, inner, records.get(attribute))
        hints[attribute] = hint if inner.get("required") else hint | None
    cls: type[Record] = attrs.make_class(
        name, members, bases=(Record,), frozen=True, kw_only=True, slots=False
    )
    cls.__doc__ = str(definition.get("description") or f"The configuration of {name}.")
    cls.definition, cls.records = definition, records
    # Types are known only now: what plugmw.schema would otherwise read from annotations.
    cls.__plugmw_hints__ = hints
    return cls


def _field(key: str, attribute: str, definition: Definition, cls: type[Record] | None) -> Any:
    default = filled({**definition, "type": "any"}, copy.deepcopy(definition.get("default")))
    if default is None:
        default = NO_DEFAULT if definition.get("required") else None
    declared = field(
        default,
        help=str(definition.get("description") or f"Field of type {definition['type']}."),
        secret=bool(definition.get("encrypted")),
        empty=definition.get("len_min") == 0,
        aliases=() if attribute == key else (key,),
    )
    if cls is not None and (definition.get("required") or definition.get("default") is not None):
        # A record without a value is filled from its own defaults, where they are enough.
        start = filled_record(definition, copy.deepcopy(definition.get("default") or {}))
        declared._default = (
            NO_DEFAULT
            if failures(definition, start)
            else attrs.Factory(functools.partial(cls.made_of, start))
        )
    declared.metadata = {**declared.metadata, "kong_name": key}
    return declared


def _hint(definition: Definition) -> Any:
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


def _json_rules(definition: Definition) -> dict[str, object]:
    """Return the validators that JSON Schema has words for."""
    keywords: dict[str, object] = {}
    if "between" in definition:
        keywords["minimum"], keywords["maximum"] = definition["between"]
    for rule, word in (
        ("gt", "exclusiveMinimum"),
        ("one_of", "enum"),
        ("len_min", "minLength"),
        ("len_max", "maxLength"),
    ):
        if rule in definition:
            keywords[word] = definition[rule]
    return keywords


def _class_name(name: str) -> str:
    camel_case = "".join(part.capitalize() for part in re.split(r"\W|_", name)) + "Config"
    return camel_case if camel_case.isidentifier() else f"K{camel_case}"


def _attribute_name(key: str, taken: Container[str]) -> str:
    """Return a name that Python takes for a field's name; the schema's own is its alias then."""
    name = re.sub(r"\W", "_", key).lstrip("_") or "field"
    if name[0].isdigit():
        name = f"n{name}"
    if keyword.iskeyword(name) or name in ("definition", "records", "get", "made_of"):
        name += "_"
    while name in taken:
        name += "_"
    return name


# -- problems --------------------------------------------------------------------------------------------


def _texts_of_record(
    definition: Definition, data: Mapping[str, object], path: Path, reader: Reader
) -> dict[str, object]:
    fields = definition["fields"]
    return {
        key: _texts(fields[key], item, (*path, key), reader) if key in fields else item
        for key, item in data.items()
    }


def _texts(definition: Definition, value: object, path: Path, reader: Reader) -> object:
    """Give back to string fields the text of what ``${KEY}`` was before it was taken for a number."""
    kind = definition["type"]
    if kind == "string" and isinstance(value, (int, float)):
        return reader.text(path) or value
    if kind == "record" and isinstance(value, Mapping):
        return _texts_of_record(definition, value, path, reader)
    if kind == "map" and isinstance(value, Mapping):
        return {key: _texts(definition["values"], item, (*path, key), reader) for key, item in value.items()}
    if kind in ("array", "set") and isinstance(value, (list, tuple)):
        items = enumerate(value)
        return [_texts(definition["elements"], item, (*path, place), reader) for place, item in items]
    return value


def _leaves(
    failure: Failure, value: Any, definition: Definition, path: Path
) -> Iterator[tuple[Path, object, str, Definition]]:
    """Yield (path, value, text, definition) of everything that is wrong."""
    if isinstance(failure, str):
        yield path, value, failure, definition
    elif isinstance(failure, list):
        for place, inner in enumerate(failure):
            if inner is not None:
                yield from _leaves(inner, value[place], definition["elements"], (*path, place))
    else:
        for name, inner in failure.items():
            if name == ENTITY:
                yield from ((path, None, str(text), {"type": ENTITY}) for text in inner)
                continue
            inside = definition.get("fields", {}).get(name) or definition.get("values") or definition
            item = value.get(name) if isinstance(value, Mapping) else None
            yield from _leaves(inner, item, inside, (*path, name))


def _in_our_words(value: object, text: str, definition: Definition, path: Path) -> tuple[str, str | None]:
    """Return a failure as plugmw tells it: (what was found, what would be right)."""
    if text == UNKNOWN:
        return unknown(path[-1], list(definition["fields"]))
    if text == REQUIRED:
        return "missing", f"a value of type {definition['type']}"
    if definition["type"] == ENTITY:
        return text, None
    got = "got a secret value" if definition.get("encrypted") else f"got {shown(value)}"
    return (got, text.removeprefix("expected ")) if text.startswith("expected ") else (f"{got}: {text}", None)


def as_table(config: object) -> dict[str, object]:
    """Return a configuration object as plain data under the names of its schema, None for what is not set."""
    return {
        field.metadata.get("kong_name", field.name): as_plain(getattr(config, field.name))
        for field in _fields_of(type(config))
    }


def as_plain(value: object) -> object:
    """Return a value of a configuration object as plain data: what is below it as :func:`as_table` does."""
    if attrs.has(type(value)):
        return as_table(value)
    if isinstance(value, Mapping):
        return {key: as_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [as_plain(item) for item in value]
    return value
