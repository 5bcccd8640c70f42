"""Configuration classes: declared once, used to check, to describe (JSON Schema) and to document.

A configuration class is an attrs class made by :func:`config`, its fields by :func:`field`:

    @config
    class Config:
        minute: float | None = field(None, above(0), help="Requests allowed per minute.")

:func:`build` turns plain data into an instance. Nothing is coerced (``"5"`` is no number), unknown keys
are refused, an empty string is refused unless the field says otherwise, and all problems are collected.
"""

from __future__ import annotations

import copy
import difflib
import functools
import re
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Annotated, Any, Final, Literal, TypeVar, Union

import attrs

from plugmw import references
from plugmw.errors import ConfigError, ConfigErrors

T = TypeVar("T")
Path = tuple[Any, ...]
Problem = tuple[Path, str, "str | None"]
#: Returns the text that became the number or boolean at a path (:meth:`plugmw.documents.Document.text`).
Text = Callable[[Path], "str | None"]
REQUIRED: Any = attrs.NOTHING


@attrs.frozen
class Check:
    """A rule for a value: ``test`` says whether it holds, ``expected`` what would be right."""

    test: Callable[[Any], bool]
    expected: str
    json: Mapping[str, Any] = attrs.field(factory=dict)


@attrs.frozen(eq=False)
class Kind:
    """How a scalar type is read: ``parse`` returns the value or raises ``ValueError``.

    Hashed by identity, as ``Annotated[...] | None`` needs it hashable and ``json`` is not.
    """

    parse: Callable[[Any], Any]
    expected: str
    json: Mapping[str, Any]


def above(low: float) -> Check:
    """Numbers greater than ``low``."""
    return Check(lambda v: v > low, f"a number above {low:g}", {"exclusiveMinimum": low})


def at_least(low: float) -> Check:
    """Numbers not below ``low``."""
    return Check(lambda v: v >= low, f"a number of at least {low:g}", {"minimum": low})


def between(low: float, high: float) -> Check:
    """Numbers from ``low`` to ``high``, both included."""
    return Check(
        lambda v: low <= v <= high,
        f"a number between {low:g} and {high:g}",
        {"minimum": low, "maximum": high},
    )


def one_of(*choices: Any) -> Check:
    """One of the given values."""
    return Check(lambda v: v in choices, f"one of {_listed(choices)}", {"enum": list(choices)})


def matches(pattern: str, expected: str) -> Check:
    """Strings that ``pattern`` matches as a whole."""
    found = re.compile(pattern).fullmatch
    return Check(lambda v: found(v) is not None, expected, {"pattern": f"^(?:{pattern})$"})


def not_empty() -> Check:
    """Lists and maps with at least one item."""
    return Check(bool, "at least one item", {"minItems": 1, "minProperties": 1})


def each(check: Check) -> Check:
    """Lists whose every item passes ``check``."""
    return Check(
        lambda v: all(check.test(item) for item in v), f"a list of {check.expected}", {"items": check.json}
    )


def field(
    default: Any = REQUIRED,
    *checks: Check,
    help: str,
    secret: bool = False,
    credential: bool = False,
    empty: bool = False,
    aliases: tuple[str, ...] = (),
    repr: bool = True,
) -> Any:
    """Declare a field: default (required if left out), checks, and one sentence of help with the unit.

    ``secret`` values never appear in messages and may be references (:mod:`plugmw.references`);
    ``credential`` values are names of headers and parameters that log entries leave out; ``empty`` allows
    ``""``; ``aliases`` are older spellings that are read too (both at once is an error). Without ``repr`` a
    value that may hold a secret is left out of the repr of its class.
    """
    metadata = {
        "checks": checks,
        "help": help,
        "secret": secret,
        "credential": credential,
        "empty": empty,
        "aliases": aliases,
    }
    if isinstance(default, (list, dict, set)):
        kept = default
        factory = functools.partial(copy.deepcopy, kept)
        return attrs.field(factory=factory, kw_only=True, repr=repr and not secret, metadata=metadata)
    return attrs.field(default=default, kw_only=True, repr=repr and not secret, metadata=metadata)


def config(cls: type[T]) -> type[T]:
    """Make a configuration class. It may define ``check(self)``, a generator of problems.

    ``check`` is called when every field is good by itself; it yields texts, or (field, text).
    """
    return attrs.define(cls, frozen=True, kw_only=True, slots=True)


@config
class Nothing:
    """The configuration of a plugin that has none."""


# -- reading values -----------------------------------------------------------------------------------


def _exactly(*kinds: type) -> Callable[[Any], Any]:
    def parse(value: Any) -> Any:
        if (isinstance(value, bool) and bool not in kinds) or not isinstance(value, kinds):
            raise ValueError
        return value

    return parse


def _number(value: Any) -> float:
    value = _exactly(int, float)(value)
    if value != value or value in (float("inf"), float("-inf")):
        raise ValueError
    return float(value) if isinstance(value, float) else value


#: User and password in a URL, up to the last @ that could end them.
_USER_INFO: Final = re.compile(r"//\S*@").sub
_KINDS: Final[dict[Any, Kind]] = {
    str: Kind(_exactly(str), "a string", {"type": "string"}),
    int: Kind(_exactly(int), "an integer", {"type": "integer"}),
    float: Kind(_number, "a number", {"type": "number"}),
    bool: Kind(_exactly(bool), "a boolean", {"type": "boolean"}),
    Any: Kind(lambda value: value, "any value", {}),
    object: Kind(lambda value: value, "any value", {}),
}


class Reader:
    """Turns plain data into configuration objects and collects every problem on the way.

    ``text`` gives back what ``${KEY}`` was before it was taken for a number: a field that wants a string
    gets ``12345`` as it was written.
    """

    def __init__(self, text: Text | None = None) -> None:
        self.problems: list[Problem] = []
        self.text: Text = text or _no_text

    def problem(self, path: Path, found: str, expected: str | None = None) -> None:
        self.problems.append((path, found, expected))

    def instance(self, cls: type[T], data: Any, path: Path, secret: bool = False) -> T | None:
        """Build ``cls`` from a mapping; None when there were problems."""
        if isinstance(data, cls):
            return data
        if not isinstance(data, Mapping):
            self.problem(path, "got a secret value" if secret else f"got {shown(data)}", "a mapping")
            return None
        # Classes made at run time from a foreign schema are read by its rules.
        foreign = getattr(cls, "__plugmw_read__", None)
        if foreign is not None:
            return foreign(self, data, path)  # type: ignore[no-any-return]
        before = len(self.problems)
        values: dict[str, Any] = {}
        left = dict(data)
        for attribute, hint in fields(cls):
            name = attribute.name
            given = [key for key in (name, *attribute.metadata["aliases"]) if key in left]
            if len(given) > 1:
                self.problem((*path, given[1]), f"given beside {given[0]!r}", "only one of the two")
            elif not given:
                if attribute.default is attrs.NOTHING:
                    self.problem((*path, name), "missing", _expected(hint, attribute))
                elif isinstance(attribute.default, attrs.Factory):  # type: ignore[arg-type]
                    # A list or mapping stands for what it would be if it had been given.
                    values[name] = self._typed(hint, attribute.default.factory(), (*path, name), attribute)
            else:
                ok, value = self.value(hint, left[given[0]], (*path, given[0]), attribute)
                if ok:
                    values[name] = value
            for key in given:
                del left[key]
        for key in left:
            self.problem((*path, key), *unknown(key, [a.name for a, _ in fields(cls)]))
        if len(self.problems) > before:
            return None
        made = cls(**values)
        for text in getattr(made, "check", _no_problems)():
            where, text = text if isinstance(text, tuple) else ("", text)
            self.problem((*path, *steps(where)), text)
        return made if len(self.problems) == before else None

    def value(self, hint: Any, value: Any, path: Path, attribute: Any) -> tuple[bool, Any]:
        """Read one value against a type hint and its field's checks: (good, result)."""
        before = len(self.problems)
        result = self._typed(hint, value, path, attribute)
        if len(self.problems) > before:
            return False, None
        if result is not None:
            for check in attribute.metadata["checks"]:
                if not check.test(result):
                    self.problem(path, f"got {_safe(value, attribute)}", check.expected)
                    return False, None
        return True, result

    def _typed(self, hint: Any, value: Any, path: Path, attribute: Any) -> Any:
        origin, arguments = typing.get_origin(hint), typing.get_args(hint)
        if origin is Annotated:
            kind = next((m for m in arguments[1:] if isinstance(m, Kind)), None)
            return (
                self._scalar(kind, value, path, attribute)
                if kind
                else self._typed(arguments[0], value, path, attribute)
            )
        if origin in (Union, types.UnionType):
            return self._union(arguments, value, path, attribute)
        if origin in (list, tuple, set, frozenset):
            return self._list(origin, arguments[0], value, path, attribute)
        if origin is dict:
            return self._map(arguments, value, path, attribute)
        if origin is Literal:
            for found in (value, self.text(path)):
                if any(found == choice and type(found) is type(choice) for choice in arguments):
                    return found
            return self.problem(path, f"got {_safe(value, attribute)}", f"one of {_listed(arguments)}")
        if attrs.has(hint):
            return self.instance(hint, value, path, attribute.metadata["secret"])
        return self._scalar(_KINDS[hint], value, path, attribute)

    def _scalar(self, kind: Kind, value: Any, path: Path, attribute: Any) -> Any:
        if kind.json.get("type") == "string" and isinstance(value, (int, float)):
            value = self.text(path) or value
        given = value
        if attribute.metadata["secret"] and isinstance(value, str):
            try:
                value = references.resolve(value)
            except references.Unresolved as error:
                return self.problem(path, error.problem, error.expected)
        if value == "" and not attribute.metadata["empty"] and kind.json.get("type") == "string":
            return self.problem(path, "got ''", f"{kind.expected} of at least one character")
        try:
            return kind.parse(value)
        except ValueError as error:
            return self.problem(path, f"got {_safe(given, attribute)}", str(error) or kind.expected)

    def _union(self, arguments: Iterable[Any], value: Any, path: Path, attribute: Any) -> Any:
        options = [a for a in arguments if a is not type(None)]
        if value is None and len(options) < len(tuple(arguments)):
            return None
        trials = []
        for option in options:
            trial = Reader(self.text)
            result = trial._typed(option, value, path, attribute)
            if not trial.problems:
                return result
            trials.append(trial)
        # If the value is of the right shape for just one option, what is wrong is inside it.
        inside = [trial for trial in trials if all(len(where) > len(path) for where, *_ in trial.problems)]
        if len(options) == 1 or len(inside) == 1:
            self.problems += (inside or trials)[0].problems
        else:
            wanted = " or ".join(describe(option) for option in options)
            self.problem(path, f"got {_safe(value, attribute)}", wanted)
        return None

    def _list(self, origin: Any, hint: Any, value: Any, path: Path, attribute: Any) -> Any:
        if not isinstance(value, (list, tuple, set, frozenset)):
            return self.problem(path, f"got {_safe(value, attribute)}", f"a list of {_plural(hint)}")
        before = len(self.problems)
        items = [self._typed(hint, item, (*path, index), attribute) for index, item in enumerate(value)]
        if len(self.problems) > before:
            return None
        return items if origin is list else list(dict.fromkeys(items)) if origin is set else origin(items)

    def _map(self, arguments: Any, value: Any, path: Path, attribute: Any) -> Any:
        if not isinstance(value, Mapping):
            return self.problem(path, f"got {_safe(value, attribute)}", "a mapping")
        made = {}
        for key, item in value.items():
            place = (*path, key)
            made[self._typed(arguments[0], key, place, attribute)] = self._typed(
                arguments[1], item, place, attribute
            )
        return made


def read(
    cls: type[T], data: Any, path: Path = (), text: Text | None = None
) -> tuple[T | None, list[Problem]]:
    """Read ``data`` as ``cls``: the object (None when there are problems) and the problems."""
    reader = Reader(text)
    return reader.instance(cls, data, path), reader.problems


def build(cls: type[T], data: Mapping[str, Any], where: str) -> T:
    """Read ``data`` as ``cls`` or raise :class:`ConfigErrors` that name ``where``."""
    made, problems = read(cls, data)
    if made is None:
        raise ConfigErrors([ConfigError(place(p), found, want, where) for p, found, want in problems])
    return made


def place(path: Path) -> str:
    """Write a path as ``plugins[2].config.minute``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def steps(where: str) -> Path:
    """Read back what :func:`place` wrote: ``paths[0].name`` is ``("paths", 0, "name")``."""
    found = re.findall(r"\[(\d+)\]|([^.\[\]]+)", where)
    return tuple(int(index) if index else key for index, key in found)


def shown(value: Any) -> str:
    """Quote a value for a message, cut to a readable length, URLs in it without user and password."""
    text = _USER_INFO("//***@", repr(value))
    return text if len(text) <= 80 else f"{text[:77]}..."


def _safe(value: Any, attribute: Any) -> str:
    if not attribute.metadata["secret"]:
        return shown(value)
    return f"a value from {value}" if references.is_reference(value) else "a secret value"


def suggest(word: Any, words: Iterable[str]) -> str:
    """Return ``; did you mean "x"?`` when a known word is close, else nothing."""
    close = difflib.get_close_matches(str(word), list(words), 1)
    return f'; did you mean "{close[0]}"?' if close else ""


def unknown(key: Any, known: list[str]) -> tuple[str, str | None]:
    """Return what was found and what would be right for a field that does not exist."""
    hint = suggest(key, known)
    if hint:
        return f'unknown field "{key}"{hint}', None
    return f'unknown field "{key}"', f"one of {', '.join(known)}" if known else "no fields"


def as_dict(made: Any) -> dict[str, Any]:
    """Return a configuration object as plain data."""
    return attrs.asdict(made)


def _no_problems() -> Iterator[str]:
    return iter(())


def _no_text(path: Path) -> None:
    return None


# -- describing ---------------------------------------------------------------------------------------


def fields(cls: type) -> list[tuple[Any, Any]]:
    """Return (attrs attribute, resolved type hint) of a configuration class, in order."""
    hints = _hints(cls)
    return [(attribute, hints[attribute.name]) for attribute in attrs.fields(cls)]


def _hints(cls: type) -> dict[str, Any]:
    found: dict[str, Any] | None = cls.__dict__.get("__plugmw_hints__")
    if found is None:
        found = typing.get_type_hints(cls, include_extras=True)
        type.__setattr__(cls, "__plugmw_hints__", found)
    return found


def describe(hint: Any) -> str:
    """Say what a type hint wants, for messages and tables: ``a list of strings``."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        kind = next((m for m in arguments[1:] if isinstance(m, Kind)), None)
        return kind.expected if kind else describe(arguments[0])
    if origin in (Union, types.UnionType):
        return " or ".join(describe(a) for a in arguments if a is not type(None))
    if origin in (list, tuple, set, frozenset):
        return f"a list of {_plural(arguments[0])}"
    if origin is Literal:
        return f"one of {_listed(arguments)}"
    if origin is dict or attrs.has(hint):
        return "a mapping"
    return _KINDS[hint].expected


def _plural(hint: Any) -> str:
    text = describe(hint)
    words = text.split(" ", 1)
    return f"{words[1]}s" if words[0] in ("a", "an") and " " not in words[1] else text


def _expected(hint: Any, attribute: Any) -> str:
    checks = attribute.metadata["checks"]
    return checks[0].expected if checks else describe(hint)


def _listed(choices: Iterable[Any]) -> str:
    return ", ".join(str(choice) for choice in choices)


def json_schema(cls: type) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a configuration class: what it takes, but for its ``check``."""
    properties = {}
    required = []
    rules: list[dict[str, Any]] = []
    for attribute, hint in fields(cls):
        schema = _json_type(hint, attribute.metadata["empty"])
        for check in attribute.metadata["checks"]:
            for option in schema.get("anyOf", [schema]):
                _narrow(option, check.json)
        schema["description"] = attribute.metadata["help"]
        names = (attribute.name, *attribute.metadata["aliases"])
        properties.update(dict.fromkeys(names, schema))
        one_of_them = [{"required": [name]} for name in names]
        if attribute.default is attrs.NOTHING:
            if len(names) == 1:
                required.append(attribute.name)
            else:
                rules.append({"oneOf": one_of_them})
            continue
        if len(names) > 1:
            rules.append({"oneOf": [*one_of_them, {"not": {"anyOf": one_of_them}}]})
        default = default_value(attribute)
        if default is not None and not attrs.has(type(default)):
            schema["default"] = list(default) if isinstance(default, (tuple, set)) else default
    made: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
    if required:
        made["required"] = required
    if rules:
        made["allOf"] = rules
    return made


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


def _narrow(schema: dict[str, Any], rule: Mapping[str, Any]) -> None:
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


def _json_type(hint: Any, empty: bool = False) -> dict[str, Any]:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        kind = next((m for m in arguments[1:] if isinstance(m, Kind)), None)
        return _of_kind(kind, empty) if kind else _json_type(arguments[0], empty)
    if origin in (Union, types.UnionType):
        return {"anyOf": [{"type": "null"} if a is type(None) else _json_type(a, empty) for a in arguments]}
    if origin in (list, tuple, set, frozenset):
        return {"type": "array", "items": _json_type(arguments[0], empty)}
    if origin is dict:
        made = {"type": "object", "additionalProperties": _json_type(arguments[1], empty)}
        return made if empty else {**made, "propertyNames": {"minLength": 1}}
    if origin is Literal:
        return {"enum": list(arguments)}
    if attrs.has(hint):
        return json_schema(hint)
    return _of_kind(_KINDS[hint], empty)


def _of_kind(kind: Kind, empty: bool) -> dict[str, Any]:
    made = dict(kind.json)
    if made.get("type") == "string" and not empty:
        made["minLength"] = 1
    return made


def default_text(attribute: Any) -> str:
    """Write a field's default for a table of fields: ``required``, ``none`` or the value as JSON."""
    import json

    if attribute.default is attrs.NOTHING:
        return "required"
    default = default_value(attribute)
    if attrs.has(type(default)):
        return "its defaults"
    return "none" if default is None else json.dumps(default)


def default_value(attribute: Any) -> Any:
    """Return a field's default, ``REQUIRED`` if it has none."""
    default = attribute.default
    return default.factory() if isinstance(default, attrs.Factory) else default  # type: ignore[arg-type]
