"""Read the parts of a ``krakend.json`` and keep everything that is wrong with them, each with its place."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, TypeVar

from plugmw.dialects.krakend.fields import BackendFields, BackendHttpFields, EndpointFields, File, Plugins
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
#: Those that the original decodes loosely (mapstructure's WeaklyTypedInput); namespaces are read otherwise.
_WEAK: Final = (File, EndpointFields, BackendFields, Plugins)
_INTEGER: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,17})", re.ASCII)
_LARGEST: Final = 2**63
#: Go's strconv.ParseBool.
_BOOLEANS: Final = {
    **dict.fromkeys(("1", "t", "T", "true", "TRUE", "True"), True),
    **dict.fromkeys(("0", "f", "F", "false", "FALSE", "False"), False),
}


class Reading(Translation):
    """One file."""

    #: Go takes null and an empty text for what is not given.
    blank = (None, "")

    def _described(self, cls: type, data: Mapping[str, object]) -> dict[str, object]:
        values = super()._described(cls, data)
        for one in fields_of(cls) if cls in _WEAK else ():
            if one.name in values:
                values[one.name] = weak(one.hint, values[one.name])
        return values

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


def weak(hint: object, value: object) -> object:
    """Return a value as the original takes it for a field of another type; what it cannot take, as it is."""
    if hint == list[str] and isinstance(value, str) and "," not in value:
        return [value]
    if hint is int and isinstance(value, (bool, float)):
        return int(value) if value == value and abs(value) < _LARGEST else value
    if hint is int and isinstance(value, str) and _INTEGER.fullmatch(value):
        return int(value)
    if hint is bool and isinstance(value, (int, float)):
        return bool(value)
    if hint is bool and value in _BOOLEANS:
        return _BOOLEANS[str(value)]
    if hint is str and isinstance(value, int):
        return str(int(value))
    return value


def override(document: Document, environ: Mapping[str, str]) -> None:
    """Put ``KRAKEND_PORT`` and so on in place of the texts, numbers and booleans that the root has."""
    for key, value in list(document.data.items()):
        name = _PREFIX + key.upper()
        text = environ.get(name)
        if text is None or not isinstance(value, (str, int, float)):
            continue
        made = text if isinstance(value, str) else scalar(text)
        document.put((key,), made, Origin(f"${name}", ((name, text),), None if made is text else text))
