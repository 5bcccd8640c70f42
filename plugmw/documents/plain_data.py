"""Plain data: what any format or mapping is brought to, and the types of plain text.

Plain data can always be written as JSON: keys are strings, numbers are finite, text is Unicode, and
nothing is nested deeper than ``MAX_DEPTH``. Dates, which TOML has, become ISO 8601 text.
"""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Mapping
from typing import Any

from plugmw.documents.document import Place, render_place
from plugmw.errors import ConfigError

# Deeper than any gateway file, and far from the interpreter's recursion limit of 1000 frames.
MAX_DEPTH = 100
TOO_DEEP = f"nested deeper than {MAX_DEPTH} levels"

# YAML 1.2.2, section 10.3.2 (core schema), except that numbers with leading zeros stay text: YAML 1.1 reads
# 0123 as octal, 1.2 as decimal, and as a key or a PIN it is neither.
INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
OCTAL_OR_HEX = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
BOOLEANS = {word: word.lower() == "true" for word in ("true", "True", "TRUE", "false", "False", "FALSE")}

# The interpreter refuses to read longer decimal integers (sys.int_info.default_max_str_digits).
MAX_DIGITS = 4300

# Whoever takes a whole number for a fraction finds that it is one.
LARGEST = 10**308


class Repeated(dict[str, object]):
    """A mapping in which ``keys_twice`` were given more than once; :func:`plain` reports it."""

    keys_twice: tuple[str, ...] = ()

    @classmethod
    def of(cls, pairs: list[tuple[str, object]]) -> dict[str, object]:
        """Make a mapping from its pairs: an ordinary one unless a key repeats."""
        mapping = dict(pairs)
        if len(mapping) == len(pairs):
            return mapping
        keys = [key for key, _ in pairs]
        repeated = cls(mapping)
        repeated.keys_twice = tuple(key for key in mapping if keys.count(key) > 1)
        return repeated


def scalar(text: str) -> str | int | float | bool:
    """Give plain text its YAML 1.2 type: int, float and bool; all else, a date too, stays text.

    >>> [scalar(text) for text in ("60", "0x1F", "1e3", "true", "yes", "0123", "2026-01-01")]
    [60, 31, 1000.0, True, 'yes', '0123', '2026-01-01']
    """
    if text in BOOLEANS:
        return BOOLEANS[text]
    if INTEGER.fullmatch(text) and len(text) <= MAX_DIGITS:
        return int(text)
    if OCTAL_OR_HEX.fullmatch(text):
        return int(text, 0)
    if FLOAT.fullmatch(text) and math.isfinite(number := float(text)):
        return number
    return text


def plain(value: object, source: str | None, errors: list[ConfigError], place: Place = ()) -> object:
    """Copy ``value`` as plain data and add to ``errors`` what cannot be.

    A leaf of another type, which only a mapping given in code can hold, is kept as it is: the schema
    knows whether it may be there.
    """

    def refuse(problem: str, expected: str) -> None:
        errors.append(ConfigError(render_place(place), problem, expected, source))

    if any(error.problem == TOO_DEEP for error in errors):
        return None  # once is enough: a mapping that holds itself twice has 2 ** MAX_DEPTH such places
    if isinstance(value, (Mapping, list, tuple)) and len(place) >= MAX_DEPTH:
        refuse(TOO_DEEP, "a flatter document")
    elif isinstance(value, Mapping):
        return plain_mapping(value, source, errors, place)
    elif isinstance(value, (list, tuple)):
        return [plain(item, source, errors, (*place, index)) for index, item in enumerate(value)]
    elif isinstance(value, (datetime.date, datetime.time)):  # a datetime is a date
        return value.isoformat()
    elif isinstance(value, float) and not math.isfinite(value):
        refuse("not a finite number", "a number that JSON can write")
    elif isinstance(value, int) and abs(value) > LARGEST:
        refuse("too large a number", f"one up to {LARGEST:.0e}")
    elif isinstance(value, str) and not is_unicode(value):
        refuse("text with half a surrogate pair", "Unicode text")
    return value


def plain_mapping(
    value: Mapping[Any, object], source: str | None, errors: list[ConfigError], place: Place = ()
) -> dict[str, object]:
    """Copy a mapping as plain data, as :func:`plain` does."""
    here = render_place(place)
    for key in getattr(value, "keys_twice", ()):
        errors.append(ConfigError(here, f'key "{key}" is given twice', "each key once", source))
    copy: dict[str, object] = {}
    for key, child in value.items():
        if not isinstance(key, str) or not is_unicode(key):
            errors.append(ConfigError(here, f"got key {key!r}", "keys that are text", source))
        else:
            copy[key] = plain(child, source, errors, (*place, key))
    return copy


def kind_of(value: object) -> str:
    """Name the type of plain data as users know it."""
    kinds: dict[type, str] = {
        dict: "a mapping",
        list: "a list",
        str: "a string",
        bool: "a boolean",
        type(None): "null",
    }
    return kinds.get(type(value), "a number")


def is_unicode(text: str) -> bool:
    """Tell whether UTF-8 can write ``text``: half a surrogate pair, as from a JSON escape, it cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
