"""Read the parts of a ``krakend.json`` and keep everything that is wrong with them, each with its place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeVar

from plugmw.dialects.krakend.fields import BackendHttpFields
from plugmw.dialects.krakend.namespaces import (
    BACKEND_HTTP,
    COMMENTS,
    normalised,
    not_carried_over,
    spelled,
)
from plugmw.documents import Document
from plugmw.documents.document import Origin, Place
from plugmw.documents.plain_data import scalar
from plugmw.documents.translation import Translation
from plugmw.schema import fields_of
from plugmw.schema.messages import suggest

T = TypeVar("T")

_PREFIX: Final = "KRAKEND_"


class Reading(Translation):
    """One file."""

    #: Go takes null and an empty text for what is not given.
    blank = (None, "")

    def namespace(self, cls: type[T], extra_config: Mapping[str, object], alias: str) -> T:
        """Read a namespace of the root."""
        value = normalised(extra_config).get(alias, {})
        return self.part(cls, value, ("extra_config", spelled(extra_config, alias)))

    def inside(self, value: object, place: Place, cls: type) -> None:
        """Report what a namespace has and nothing reads: all but the fields of a class, and comments."""
        known = [field.name for field in fields_of(cls)]
        keys = [key for key in value if not key.startswith(COMMENTS)] if isinstance(value, Mapping) else []
        for key in keys:
            if key not in known:
                self.warn((*place, key), f"is left out: it has no counterpart{suggest(key, known)}")

    def features(self, extra_config: Mapping[str, object], place: Place, level: str) -> None:
        """Report namespaces of an ``extra_config`` that are not carried over."""
        for steps, unread in not_carried_over(extra_config, level):
            self.report((*place, "extra_config", *steps), unread)
        if level == "backend":
            name = spelled(extra_config, BACKEND_HTTP)
            self.inside(extra_config.get(name), (*place, "extra_config", name), BackendHttpFields)


def override(document: Document, environ: Mapping[str, str]) -> None:
    """Put ``KRAKEND_PORT`` and so on in place of the texts, numbers and booleans that the root has."""
    for key, value in list(document.data.items()):
        name = _PREFIX + key.upper()
        text = environ.get(name)
        if text is None or not isinstance(value, (str, int, float)):
            continue
        made = text if isinstance(value, str) else scalar(text)
        document.put((key,), made, Origin(f"${name}", ((name, text),), None if made is text else text))
