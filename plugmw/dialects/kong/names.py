"""The ids and names of the entities of a ``kong.yml``: each is unique, and others refer to them.

A reference is a text, which is an id or else a name, or ``{id: ...}`` or ``{name: ...}``.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Final

from plugmw.documents.document import Place
from plugmw.documents.translation import Translation

#: What of an entity no other of its kind may have; what follows the id are names, for references too.
UNIQUE: Final[dict[str, tuple[str, ...]]] = {
    "service": ("id", "name"),
    "route": ("id", "name"),
    "consumer": ("id", "username", "custom_id"),
    "plugin": ("id", "instance_name"),
    "certificate": ("id",),
    "sni": ("id", "name"),
}


class Names:
    """What the entities of one file are called."""

    def __init__(self, translation: Translation) -> None:
        self.translation = translation
        #: (kind, key, value) -> the place that has it first.
        self._places: dict[tuple[str, str, str], Place] = {}
        #: (kind, key, value) -> what a reference to it becomes.
        self._targets: dict[tuple[str, str, str], object] = {}
        self._native: dict[str, set[str]] = {}
        self._references: list[tuple[dict[str, object], str, Place]] = []

    def native(self, kind: str, place: Place, entity: Mapping[str, object]) -> str:
        """Return the name of an entity in the gateway document, its own if it has one that is free."""
        taken = self._native.setdefault(kind, set())
        own = [str(entity[key]) for key in _names_first(kind) if entity.get(key)]
        path = self.translation.where(place)
        numbered = (f"{path} #{number}" for number in itertools.count(2))
        name = next(name for name in itertools.chain(own[:1], [path], numbered) if name not in taken)
        taken.add(name)
        return name

    def declare(self, kind: str, place: Place, entity: Mapping[str, object], target: object = None) -> None:
        """Take note of an entity; what another has already is an error, which names both places."""
        for key in UNIQUE.get(kind, ("id",)):
            if entity.get(key):
                self._declare(kind, key, str(entity[key]), (*place, key), target)

    def _declare(self, kind: str, key: str, value: str, place: Place, target: object) -> None:
        first = self._places.setdefault((kind, key, value), place)
        if first == place:
            self._targets[kind, key, value] = target
        elif kind != "consumer":  # which the gateway document's own reading reports
            where = self.translation.where(first)
            unique = "a unique name" if key.endswith("name") else "a unique id"
            self.translation.error(place, f"got {value!r}, which {where} has already", unique)

    def refer(self, holder: dict[str, object], kind: str, place: Place) -> None:
        """Take note that ``holder[kind]`` refers to an entity; :meth:`resolve` puts its native name there."""
        self._references.append((holder, kind, place))

    def resolve(self) -> None:
        """Turn every reference into a native name, when all entities are known."""
        for holder, kind, place in self._references:
            holder[kind] = self.target(kind, holder[kind], place)

    def target(self, kind: str, reference: object, place: Place) -> object:
        """Return what a reference stands for; an error if there is no such entity."""
        wanted, keys = reference, UNIQUE[kind]
        if isinstance(reference, Mapping):
            keys = tuple(key for key in keys if reference.get(key))[-1:]
            wanted = reference.get(keys[0]) if keys else None
        for key in keys:
            if (kind, key, str(wanted)) in self._targets:
                return self._targets[kind, key, str(wanted)]
        self.translation.error(place, f"no {kind} {wanted!r}", f"the name or id of a {kind} in this file")
        return None


def _names_first(kind: str) -> tuple[str, ...]:
    first, *names = UNIQUE[kind]
    return (*names, first)
