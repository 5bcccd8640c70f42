"""What a translation of definitions has in common: what is made, what was wrong, and reading with places.

A value of the wrong kind may be asked for more than once; it is reported once.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import attrs

from plugmw.bundles import Bundles
from plugmw.dialects.tyk.documents import APIS, Definitions
from plugmw.dialects.tyk.lookup import Lookup
from plugmw.documents import Document
from plugmw.documents.document import Place
from plugmw.documents.translated import Options
from plugmw.documents.translation import Translation


class Tyk(Translation):
    """Definitions on their way."""

    def __init__(self, document: Definitions, options: Options) -> None:
        super().__init__(document, options)
        self.native = {kind: [] for kind in ("services", "routes", "consumers", "plugins")}
        self.names: set[str] = set()
        #: Host and path, with the place of the API that has them.
        self.taken: dict[tuple[str, str], Place] = {}
        self.lookups: dict[str, Lookup] = {}
        self.bundles: dict[Any, Bundles] = {}


class Reader:
    """One definition, value by value: what is of another kind is reported, and read as if it were absent."""

    def __init__(self, into: Tyk, index: int, document: Document) -> None:
        self.into = into
        self.place: Place = (APIS, index)
        self.data = document.data
        self.source = document.source
        self.folder = Path(document.source).parent if document.source else Path()
        self.options = attrs.evolve(
            into.options,
            strict=into.options.strict or self.flag("plugmw", "strict"),
            compat=into.options.compat or self.flag("plugmw", "compat"),
        )

    @property
    def keyless(self) -> bool:
        return self.flag("use_keyless")

    def at(self, *steps: str | int) -> Place:
        return (*self.place, *steps)

    def error(self, steps: Place, problem: str, expected: str | None = None) -> None:
        self.into.error(self.at(*steps), problem, expected)

    def warn(self, steps: Place, problem: str, expected: str | None = None) -> None:
        self.into.warn(self.at(*steps), problem, expected)

    def value(self, kind: Any, *steps: str, default: Any = None) -> Any:
        """Return what stands at a place, ``default`` if it is absent, null or of another kind."""
        found: Any = self.data
        for depth, step in enumerate(steps):
            if found is None:
                return default
            if not isinstance(found, Mapping):
                self.error(steps[:depth], f"got {found!r}", "a mapping")
                return default
            found = found.get(step)
        if found is None:
            return default
        if isinstance(found, kind) and not (kind is int and isinstance(found, bool)):
            return found
        self.error(steps, f"got {found!r}", _KINDS[kind])
        return default

    def mapping(self, *steps: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.value(Mapping, *steps, default={})
        return found

    def flag(self, *steps: str) -> bool:
        return bool(self.value(bool, *steps, default=False))

    def text(self, *steps: str) -> str:
        return str(self.value(str, *steps, default=""))

    def texts(self, *steps: str) -> list[Any]:
        return list(self.value(list, *steps, default=[]))


_KINDS: Final = {bool: "true or false", str: "a text", int: "a number", list: "a list", Mapping: "a mapping"}
