"""Which parts of plain data a configuration class describes, and its keys in the spelling of the class.

A field that is read item by item says what its items are: ``Annotated[Any, Holds(list[Endpoint])]``.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, TypeVar, Union

import attrs

from plugmw.documents.document import Document, Place
from plugmw.documents.translated import Translated
from plugmw.errors import ConfigError
from plugmw.schema import fields_of, is_config

T = TypeVar("T")


@attrs.frozen(eq=False)
class Holds:
    """What a field holds: a type hint, or hints by key where keys are exact."""

    hint: object


def described(
    hint: object, value: object, place: Place = (), inside: bool = True
) -> Iterator[tuple[Place, type, dict[str, object]]]:
    """Yield every mapping that a configuration class describes, with its place and class, outer ones first.

    ``inside`` says whether fields that hold what is read item by item are gone into.
    """
    hint = _hint(hint, inside)
    if is_config(hint) and isinstance(value, dict):
        yield place, hint, value
    for step, inner, child in _children(hint, value):
        yield from described(inner, child, (*place, step), inside)


def folded(document: Document, hint: object) -> Document:
    """Return a document whose keys are spelled as the fields of ``hint``, in whatever case they are written.

    Its errors name the places as they are written; a key that is given in two spellings is one of them.
    """
    folding = _Folding(document)
    data = folding.value(hint, document.data, (), ())
    if not folding.places and not folding.errors:
        return document
    translated = Translated(document, data, folding.places)
    translated.errors = [*document.errors, *folding.errors]
    return translated


def fold(key: str) -> str:
    """Return a key as Go's decoders compare it; only the long s is a letter whose lower case is another's."""
    return key.lower().replace("\N{LATIN SMALL LETTER LONG S}", "s")


def folded_get(mapping: Mapping[str, T], name: str) -> T | None:
    """Return the value of a key in whatever case it is written, the later of two; None if there is none."""
    found = [value for key, value in mapping.items() if fold(key) == name]
    return found[-1] if found else None


class _Folding:
    """One document: the places of the keys that were spelled otherwise, and of those given twice."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.places: dict[Place, Place] = {}
        self.errors: list[ConfigError] = []

    def value(self, hint: object, value: Any, place: Place, written: Place) -> Any:
        """Return a copy of a value with its keys folded; ``written`` is its place in the file."""
        hint = _hint(hint)
        if is_config(hint) and isinstance(value, Mapping):
            value = self._mapping([field.name for field in fields_of(hint)], value, place, written)
        elif isinstance(value, (dict, list)):
            value = value.copy()
        for step, inner, child in _children(hint, value):
            below: Place = (*place, step)
            value[step] = self.value(inner, child, below, self.places.get(below, (*written, step)))
        return value

    def _mapping(
        self, known: list[str], data: Mapping[str, object], place: Place, written: Place
    ) -> dict[str, object]:
        names = {fold(name): name for name in known}
        spellings: dict[str, str] = {}
        for key in data:
            name = key if key in known else names.get(fold(key), key)
            if name in spellings:
                problem = f"given beside {spellings[name]!r}"
                self.errors.append(self.document.error((*written, key), problem, "only one of the two"))
                continue
            spellings[name] = key
            if name != key:
                self.places.update({(*place, name): (*written, key)})
        return {name: data[key] for name, key in spellings.items()}


def _hint(hint: object, inside: bool = True) -> object:
    """Return what a hint stands for: without ``| None``, and what it holds where it says so."""
    if typing.get_origin(hint) is Annotated:
        holds = next((one for one in typing.get_args(hint)[1:] if isinstance(one, Holds)), None)
        return _hint(holds.hint if holds and inside else typing.get_args(hint)[0], inside)
    if typing.get_origin(hint) in (Union, types.UnionType):
        return next(_hint(one, inside) for one in typing.get_args(hint) if one is not types.NoneType)
    return hint


def _children(hint: object, value: object) -> Iterator[tuple[str | int, object, object]]:
    """Yield (step, hint, value) for the parts of a value that its hint describes."""
    origin = typing.get_origin(hint)
    if isinstance(value, Mapping):
        if isinstance(hint, Mapping):
            yield from ((key, inner, value[key]) for key, inner in hint.items() if key in value)
        elif origin is dict:
            yield from ((key, typing.get_args(hint)[1], child) for key, child in value.items())
        elif is_config(hint):
            declared = [field for field in fields_of(hint) if field.name in value]
            yield from ((field.name, field.hint, value[field.name]) for field in declared)
    elif origin is list and isinstance(value, list):
        yield from ((index, typing.get_args(hint)[0], child) for index, child in enumerate(value))
