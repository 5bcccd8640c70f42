"""A foreign document in plugmw's own shape, whose errors still name the places of the foreign file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import attrs

from plugmw.documents.document import Document, Origin, Place, parse_place
from plugmw.errors import ConfigError
from plugmw.kernel.order import Entry

if TYPE_CHECKING:
    from plugmw.kernel.runtime import Logger


@attrs.frozen
class Options:
    """Settings for reading a foreign document, by the code that builds the gateway."""

    #: Keep the original's behaviour where plugmw's own is another by default.
    compat: bool = False
    #: What is missing or broken is an error, where the original only logs it; None: unless `compat`.
    strict: bool | None = None
    #: Whether there is an app for what the document says nothing about.
    has_app: bool = True
    #: Fetch nothing: the document is only looked at.
    offline: bool = False
    #: Nothing is served: what would be answered as a refusal of all requests is an error.
    checks: bool = False
    logger: Logger | None = None

    @property
    def refuses(self) -> bool:
        """Whether what could guard, and cannot be used, is an error."""
        return not self.compat if self.strict is None else self.strict

    @property
    def reports(self) -> bool:
        """Whether what would be served as a refusal of all requests is an error: to who only looks, it is."""
        return bool(self.strict) or self.offline or self.checks

    def switched(self, strict: bool | None, compat: bool) -> Options:
        """Return the options with what a document says itself, which is less than what code says."""
        return attrs.evolve(
            self, strict=strict if self.strict is None else self.strict, compat=self.compat or compat
        )


class Translated(Document):
    """``data`` translated from ``original``; ``places`` maps its places to those in the original."""

    def __init__(self, original: Document, data: dict[str, object], places: Mapping[Place, Place]) -> None:
        super().__init__(data, original.source, original.fingerprints)
        self.original = original
        self._places = dict(places)
        #: Entries without a mapping in ``data``, with their places in the original.
        self.entries: list[tuple[Place, Entry]] = []

    def foreign(self, place: Place | str) -> Place:
        """Return the place in the original of the value at ``place``."""
        steps = parse_place(place) if isinstance(place, str) else tuple(place)
        for length in range(len(steps), 0, -1):
            origin = self._places.get(steps[:length])
            if origin is not None:
                return (*origin, *steps[length:])
        return steps

    def origin(self, place: Place | str) -> Origin:
        return self.original.origin(self.foreign(place))

    def text(self, place: Place | str) -> str | None:
        return self.original.text(self.foreign(place))

    def error(self, place: Place | str, problem: str, expected: str | None = None) -> ConfigError:
        return self.original.error(self.foreign(place), problem, expected)
