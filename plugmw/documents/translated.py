"""A foreign document in plugmw's own shape, whose errors still name the places of the foreign file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from plugmw.documents.document import Document, Origin, Place, parse_place
from plugmw.errors import ConfigError
from plugmw.kernel.order import Entry


@attrs.frozen
class Options:
    """What whoever builds the gateway says about a foreign document."""

    #: Keep the original's behaviour where plugmw's own is another by default.
    compat: bool = False
    #: What is missing or broken is an error, where the original only logs it.
    strict: bool = False
    #: Whether there is an app for what the document says nothing about.
    has_app: bool = True
    #: Fetch nothing: the document is only looked at.
    offline: bool = False
    logger: Any = None


class Translated(Document):
    """``data`` made from ``original``; ``places`` maps places in it to those they were made from."""

    def __init__(self, original: Document, data: dict[str, Any], places: Mapping[Place, Place]) -> None:
        super().__init__(data, original.source, original.fingerprints)
        self.original = original
        self._places = dict(places)
        #: Entries that are made of no mapping, with their places in the original.
        self.entries: list[tuple[Place, Entry]] = []

    def foreign(self, place: Place | str) -> Place:
        """Return the place in the original that the value at ``place`` was made from."""
        steps = parse_place(place) if isinstance(place, str) else tuple(place)
        for length in range(len(steps), 0, -1):
            found = self._places.get(steps[:length])
            if found is not None:
                return (*found, *steps[length:])
        return steps

    def origin(self, place: Place | str) -> Origin:
        return self.original.origin(self.foreign(place))

    def text(self, place: Place | str) -> str | None:
        return self.original.text(self.foreign(place))

    def error(self, place: Place | str, problem: str, expected: str | None = None) -> ConfigError:
        return self.original.error(self.foreign(place), problem, expected)
