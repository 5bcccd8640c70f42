"""JSON whose numbers stay as they were written: ``1.50``, ``1E+2`` and forty digits come out as they came in.

What Python prints as it was written is a plain int or float. All else is an :class:`Exact`: a float with
its text. Text is UTF-8, keys are sorted, and ``<>&`` are escaped, as Go's ``encoding/json`` writes.
"""

from __future__ import annotations

import json
import re
from typing import Final, NoReturn

_SPACE: Final = " \t\r\n"
_SURROGATES: Final = re.compile("[\ud800-\udfff]")
#: Characters that are letters in JSON and more than that in HTML or JavaScript.
_ESCAPED: Final = {character: f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}


class Exact(float):
    """A number whose ``text`` is another than Python's."""

    text: str

    @classmethod
    def of(cls, text: str) -> Exact:
        number = cls(text)
        number.text = text
        return number


def _float(text: str) -> float:
    value = float(text)
    return value if repr(value) == text else Exact.of(text)


def _int(text: str) -> float:
    # The second is longer than what Python reads (sys.int_info.default_max_str_digits).
    return Exact.of(text) if text == "-0" or len(text) > 4000 else int(text)


def _constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON")


_DECODER: Final = json.JSONDecoder(parse_float=_float, parse_int=_int, parse_constant=_constant)


def read_json(data: bytes) -> object:
    """Read the first JSON value of ``data``; raises ``ValueError``.

    What follows it is left alone, and bytes that are no UTF-8 become U+FFFD, as in Go's decoder.
    """
    text = data.decode("utf-8", "replace").lstrip(_SPACE)
    try:
        return _DECODER.raw_decode(text)[0]
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def write_json(value: object) -> bytes:
    """Write a value as JSON; raises ``ValueError`` or ``TypeError`` for what JSON cannot say."""
    text = _plain(value) if _is_plain(value) else _exact(value)
    for character, escape in _ESCAPED.items():
        text = text.replace(character, escape)
    try:
        return text.encode()
    except UnicodeEncodeError:
        return mended(text, r"\ufffd").encode()


def mended(text: str, mark: str = "\ufffd") -> str:
    """Put a mark in place of every half of a character, and of every byte that was no UTF-8."""
    return _SURROGATES.sub(lambda _: mark, text)


_plain: Final = json.JSONEncoder(
    separators=(",", ":"), sort_keys=True, ensure_ascii=False, allow_nan=False
).encode


def _is_plain(value: object) -> bool:
    """Say whether there is no :class:`Exact` in a value."""
    if isinstance(value, dict):
        return all(map(_is_plain, value.values()))
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    return not isinstance(value, Exact)


def _exact(value: object) -> str:
    if isinstance(value, dict):
        members = sorted(value.items(), key=lambda member: str(member[0]))
        return "{" + ",".join(f"{_plain(str(key))}:{_exact(item)}" for key, item in members) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(_exact, value)) + "]"
    return value.text if isinstance(value, Exact) else _plain(value)
