"""Read plain data as configuration objects.

Nothing is coerced (``"5"`` is no number), unknown keys are refused, an empty string is refused unless the
field says otherwise, and all problems are collected.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, Literal, TypeVar, Union

import attrs

from plugmw.errors import ConfigError, ConfigErrors
from plugmw.schema import references
from plugmw.schema.declaring import SCALARS, Field, Kind, fields_of, is_config
from plugmw.schema.describing import describe, expected, plural
from plugmw.schema.messages import Path, Problem, listed, place, shown, steps, unknown

T = TypeVar("T")
#: Returns the text that became the number or boolean at a path (:meth:`plugmw.documents.Document.text`).
Text = Callable[[Path], "str | None"]


class Reader:
    """Turns plain data into configuration objects and collects every problem on the way.

    ``text`` gives back what ``${KEY}`` was before it was taken for a number: a field that wants a string
    gets ``12345`` as it was written.
    """

    def __init__(self, text: Text | None = None) -> None:
        self.problems: list[Problem] = []
        self.text: Text = text or _no_text

    def problem(self, path: Path, problem: str, expected: str | None = None) -> None:
        self.problems.append((path, problem, expected))

    def instance(self, cls: type[T], data: object, path: Path, secret: bool = False) -> T | None:
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
        declared = fields_of(cls)
        values: dict[str, object] = {}
        left = dict(data)
        for field in declared:
            name = field.name
            spellings = [key for key in (name, *field.aliases) if key in left]
            if len(spellings) > 1:
                self.problem((*path, spellings[1]), f"given beside {spellings[0]!r}", "only one of the two")
            elif not spellings:
                if field.required:
                    self.problem((*path, name), "missing", expected(field))
                elif isinstance(field.default, (list, dict, set)):
                    # A list or mapping stands for what it would be if it had been given.
                    values[name] = self._typed(field.hint, field.default, (*path, name), field)
            else:
                ok, value = self.value(left[spellings[0]], (*path, spellings[0]), field)
                if ok:
                    values[name] = value
            for key in spellings:
                del left[key]
        for key in left:
            self.problem((*path, key), *unknown(key, [field.name for field in declared]))
        if len(self.problems) > before:
            return None
        instance = cls(**values)
        for text in getattr(instance, "check", _no_problems)():
            where, text = text if isinstance(text, tuple) else ("", text)
            self.problem((*path, *steps(where)), text)
        return instance if len(self.problems) == before else None

    def value(self, value: object, path: Path, field: Field) -> tuple[bool, object]:
        """Read one value against the type and the checks of its field: (good, result)."""
        before = len(self.problems)
        result = self._typed(field.hint, value, path, field)
        if len(self.problems) > before:
            return False, None
        if result is not None:
            for check in field.checks:
                if not check.test(result):
                    self.problem(path, f"got {_safe(value, field)}", check.expected)
                    return False, None
        return True, result

    def _typed(self, hint: object, value: object, path: Path, field: Field) -> object:
        origin, arguments = typing.get_origin(hint), typing.get_args(hint)
        if origin is Annotated:
            kind = next((m for m in arguments[1:] if isinstance(m, Kind)), None)
            return (
                self._scalar(kind, value, path, field)
                if kind
                else self._typed(arguments[0], value, path, field)
            )
        if origin in (Union, types.UnionType):
            return self._union(arguments, value, path, field)
        if origin in (list, tuple, set, frozenset):
            return self._list(origin, arguments[0], value, path, field)
        if origin is dict:
            return self._map(arguments, value, path, field)
        if origin is Literal:
            for reading in (value, self.text(path)):
                if any(reading == choice and type(reading) is type(choice) for choice in arguments):
                    return reading
            self.problem(path, f"got {_safe(value, field)}", f"one of {listed(arguments)}")
            return None
        if is_config(hint):
            return self.instance(hint, value, path, field.secret)
        return self._scalar(SCALARS[hint], value, path, field)

    def _scalar(self, kind: Kind, value: object, path: Path, field: Field) -> object:
        if kind.json.get("type") == "string" and isinstance(value, (int, float)):
            value = self.text(path) or value
        configured = value
        if field.secret and isinstance(value, str):
            try:
                value = references.resolve(value)
            except references.Unresolved as error:
                self.problem(path, error.problem, error.expected)
                return None
        if value == "" and not field.empty and kind.json.get("type") == "string":
            self.problem(path, "got ''", f"{kind.expected} of at least one character")
            return None
        try:
            return kind.parse(value)
        except ValueError as error:
            self.problem(path, f"got {_safe(configured, field)}", str(error) or kind.expected)
            return None

    def _union(self, arguments: tuple[object, ...], value: object, path: Path, field: Field) -> object:
        options = [a for a in arguments if a is not type(None)]
        if value is None and len(options) < len(arguments):
            return None
        trials = []
        for option in options:
            trial = Reader(self.text)
            result = trial._typed(option, value, path, field)
            if not trial.problems:
                return result
            trials.append(trial)
        # If the value is of the right shape for just one option, what is wrong is inside it.
        inside = [trial for trial in trials if all(len(where) > len(path) for where, *_ in trial.problems)]
        if len(options) == 1 or len(inside) == 1:
            self.problems += (inside or trials)[0].problems
        else:
            wanted = " or ".join(describe(option) for option in options)
            self.problem(path, f"got {_safe(value, field)}", wanted)
        return None

    def _list(self, origin: Any, hint: object, value: object, path: Path, field: Field) -> object:
        if not isinstance(value, (list, tuple, set, frozenset)):
            self.problem(path, f"got {_safe(value, field)}", f"a list of {plural(hint)}")
            return None
        before = len(self.problems)
        items = [self._typed(hint, item, (*path, index), field) for index, item in enumerate(value)]
        if len(self.problems) > before:
            return None
        return items if origin is list else list(dict.fromkeys(items)) if origin is set else origin(items)

    def _map(self, arguments: tuple[object, ...], value: object, path: Path, field: Field) -> object:
        if not isinstance(value, Mapping):
            self.problem(path, f"got {_safe(value, field)}", "a mapping")
            return None
        mapping = {}
        for key, item in value.items():
            place = (*path, key)
            child = self._typed(arguments[1], item, place, field)
            mapping[self._typed(arguments[0], key, place, field)] = child
        return mapping


def read(
    cls: type[T], data: object, path: Path = (), text: Text | None = None
) -> tuple[T | None, list[Problem]]:
    """Read ``data`` as ``cls``: the object (None when there are problems) and the problems."""
    reader = Reader(text)
    return reader.instance(cls, data, path), reader.problems


def build(cls: type[T], data: Mapping[str, object], where: str) -> T:
    """Read ``data`` as ``cls`` or raise :class:`ConfigErrors` that name ``where``."""
    instance, problems = read(cls, data)
    if instance is None:
        raise ConfigErrors([ConfigError(place(p), problem, want, where) for p, problem, want in problems])
    return instance


def _safe(value: object, field: Field) -> str:
    if not field.secret:
        return shown(value)
    return f"a value from {value}" if references.is_reference(value) else "a secret value"


def as_dict(instance: Any) -> dict[str, Any]:
    """Return a configuration object as plain data."""
    return attrs.asdict(instance)


def _no_problems() -> Iterator[str]:
    return iter(())


def _no_text(path: Path) -> None:
    return None
