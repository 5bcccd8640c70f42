"""What the translations of all dialects have in common: what becomes of a document, and what was wrong.

A key that a table does not have is never passed over by accident: :meth:`Translation.unread` asks the
dialect what to say of it (:class:`Unread`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, ClassVar, TypeVar

import attrs

from plugmw.documents.document import Document, Place, render_place
from plugmw.documents.shapes import described
from plugmw.documents.translated import Options, Translated
from plugmw.errors import ConfigError
from plugmw.kernel.order import Entry
from plugmw.schema import fields_of, read

T = TypeVar("T")


@attrs.frozen
class Unread:
    """How a key that nothing reads is reported."""

    problem: str
    expected: str | None = None
    #: Whether leaving it out would change who may pass or where a request goes.
    is_error: bool = False


class Translation:
    """A document on its way to a gateway document. Places are those in the original."""

    #: Values that stand for what is not given.
    blank: ClassVar[tuple[object, ...]] = (None,)

    def __init__(self, document: Document, options: Options | None = None) -> None:
        self.document = document
        self.options = options or Options()
        self.errors: list[ConfigError] = list(document.errors)
        self.warnings: list[ConfigError] = []
        #: The gateway document, and where in the original its parts stand.
        self.native: dict[str, Any] = {}
        self.places: dict[Place, Place] = {}
        self.entries: list[tuple[Place, Entry]] = []

    # -- what was wrong ------------------------------------------------------------------------------

    def error(self, place: Place, problem: str, expected: str | None = None) -> None:
        """Report an error, once even if a value is read several times."""
        error = self.document.error(place, problem, expected)
        if str(error) not in map(str, self.errors):
            self.errors.append(error)

    def warn(self, place: Place, problem: str, expected: str | None = None) -> None:
        self.warnings.append(self.document.error(place, problem, expected))

    def report(self, place: Place, unread: Unread) -> None:
        """Report a key that nothing reads."""
        (self.error if unread.is_error else self.warn)(place, unread.problem, unread.expected)

    def where(self, place: Place) -> str:
        """Return a place as messages write it."""
        return self.document.error(place, "").path or render_place(place)

    # -- reading -------------------------------------------------------------------------------------

    def mappings(
        self, value: object, place: Place, shown: Callable[[object], str] = repr
    ) -> Iterator[tuple[Place, dict[str, Any]]]:
        """Yield (place, item) of a list of mappings; anything else is an error."""
        if value in self.blank:
            return
        if not isinstance(value, list):
            self.error(place, f"got {shown(value)}", "a list")
            return
        for index, item in enumerate(value):
            if isinstance(item, dict):
                yield (*place, index), item
            else:
                self.error((*place, index), f"got {item!r}", "a mapping")

    def part(self, cls: type[T], data: object, place: Place) -> T:
        """Read the fields of a mapping, none of which is required.

        A bad value is an error, and stands as if it was not given.
        """
        if not isinstance(data, Mapping):
            self.error(place, f"got {data!r}", "a mapping")
            data = {}
        values = self._described(cls, data)
        while True:
            instance, problems = read(cls, values, place, self.document.text)
            if instance is not None:
                return instance
            removed = False
            for where, problem, expected in problems:
                self.error(where, problem, expected)
                removed = _remove(values, where[len(place) :]) or removed
            if not removed:
                values = {}

    def _described(self, cls: type, data: Mapping[str, object]) -> dict[str, object]:
        """Return the part of a mapping that a class describes, without what is blank."""
        copy = {key: _copied(value) for key, value in data.items()}
        for _, described_by, mapping in described(cls, copy, inside=False):
            known = {field.name for field in fields_of(described_by)}
            for key in [key for key in mapping if key not in known or mapping[key] in self.blank]:
                del mapping[key]
        return copy

    def unread(
        self,
        data: Mapping[str, object],
        known: Iterable[str],
        place: Place,
        rule: Callable[[str], Unread | None],
    ) -> None:
        """Report each key of a mapping that is not known and has a value, as ``rule`` says."""
        known = set(known)
        for key, value in data.items():
            unread = rule(key) if key not in known and value not in self.blank else None
            if unread is not None:
                self.report((*place, key), unread)

    # -- the result ----------------------------------------------------------------------------------

    def add(self, kind: str, item: object, place: Place, **moved: Place) -> None:
        """Add an item to the gateway document; ``moved`` are the places of fields with other names."""
        items = self.native.setdefault(kind, [])
        native: Place = (kind, len(items))
        items.append(item)
        self.places[native] = place
        self.places.update({(*native, name): origin for name, origin in moved.items()})

    def translated(self) -> Translated:
        """Return the gateway document, with what was wrong."""
        translated = Translated(self.document, self.native, self.places)
        translated.errors, translated.warnings = self.errors, self.warnings
        translated.entries = self.entries
        return translated


def _copied(value: object) -> object:
    """Copy the containers of plain data, and nothing else."""
    if isinstance(value, Mapping):
        return {key: _copied(inner) for key, inner in value.items()}
    return [_copied(inner) for inner in value] if isinstance(value, list) else value


def _remove(data: Any, steps: Place) -> bool:
    """Remove the value of a field, of a list with a bad item the whole list; say whether it was there."""
    for depth, step in enumerate(steps, 1):
        if step not in data:
            return False
        if depth == len(steps) or not isinstance(data[step], dict):
            del data[step]
            return True
        data = data[step]
    return False
