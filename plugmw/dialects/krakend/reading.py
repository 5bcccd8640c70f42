"""Read the parts of a ``krakend.json`` and keep everything that is wrong with them, each with its place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeVar

from plugmw.dialects.krakend.namespaces import normalised, not_carried_over, spelled
from plugmw.documents import Document
from plugmw.documents.document import Origin, Place
from plugmw.documents.plain import scalar
from plugmw.errors import ConfigError
from plugmw.schema import fields_of, read

T = TypeVar("T")

_PREFIX: Final = "KRAKEND_"


class Reading:
    """One file, and what was found wrong with it. A place is one in the file."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.errors: list[ConfigError] = []
        self.warnings: list[ConfigError] = []

    def error(self, place: Place, problem: str, expected: str | None = None) -> None:
        self.errors.append(self.document.error(place, problem, expected))

    def warn(self, place: Place, problem: str, expected: str | None = None) -> None:
        self.warnings.append(self.document.error(place, problem, expected))

    def part(self, cls: type[T], data: Any, place: Place) -> T:
        """Read the known fields of a mapping; a bad one is told, and stands as if it was not given."""
        known = {field.name for field in fields_of(cls)}
        if not isinstance(data, Mapping):
            self.error(place, f"got {data!r}", "a mapping")
            data = {}
        # Go takes null and an empty text for what is not given.
        given = {key: value for key, value in data.items() if key in known and value not in (None, "")}
        made = None
        while made is None:
            made, problems = read(cls, given, place, self.document.text)
            for where, problem, expected in problems:
                self.error(where, problem, expected)
                given.pop(where[len(place)], None)
        return made

    def namespace(self, cls: type[T], extra_config: Mapping[str, Any], alias: str) -> T:
        """Read a namespace of the root."""
        value = normalised(extra_config).get(alias, {})
        return self.part(cls, value, ("extra_config", spelled(extra_config, alias)))

    def features(self, extra_config: Mapping[str, Any], place: Place, level: str) -> None:
        """Tell what of an ``extra_config`` is not carried over."""
        for steps, problem, expected, is_error in not_carried_over(extra_config, level):
            tell = self.error if is_error else self.warn
            tell((*place, "extra_config", *steps), problem, expected)


def override(document: Document, environ: Mapping[str, str]) -> None:
    """Put ``KRAKEND_PORT`` and so on in place of the texts, numbers and booleans that the root has."""
    for key, value in list(document.data.items()):
        name = _PREFIX + key.upper()
        text = environ.get(name)
        if text is None or not isinstance(value, (str, int, float)):
            continue
        made = text if isinstance(value, str) else scalar(text)
        document.put((key,), made, Origin(f"${name}", ((name, text),), None if made is text else text))
