"""Text as WSGI carries it: each byte is a character of latin-1, and the bytes are mostly UTF-8.

``errors`` says at each call what becomes of bytes that are no UTF-8, and of lone surrogates, which are no
text. There is one rule for both directions:

- ``surrogateescape`` where text is compared, or sent again: such bytes are kept as lone surrogates, which
  become the same bytes again. Any other lone surrogate raises ``UnicodeEncodeError``, a ``ValueError``:
  another text in its place could be another name.
- ``replace`` where text is shown, logged, or exchanged with other programs: nothing is refused, bytes become
  U+FFFD and surrogates ``?``.
"""

from __future__ import annotations

import re
from typing import Final, Literal, TypeAlias
from urllib.parse import unquote_to_bytes

Errors: TypeAlias = Literal["surrogateescape", "replace"]


#: What prints as something else than it is, or as nothing.
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]").search
#: Characters of a text that are logged.
_LONGEST: Final = 200


def has_control(text: str) -> bool:
    """Say whether there is a control character in a text, or what ends a line."""
    return _CONTROL(text) is not None


def one_line(text: str) -> str:
    """Return a text that others may have chosen as part of one line of a log, cut and escaped."""
    if len(text) > _LONGEST:
        text = text[:_LONGEST] + "..."
    return text if text.isascii() and text.isprintable() else repr(text)[1:-1]


def encode(text: str, errors: Errors | Literal["surrogatepass"]) -> str:
    """Return text in WSGI's form: ``"é"`` is ``"Ã©"``."""
    return text if text.isascii() else text.encode("utf-8", errors).decode("latin-1")


def decode(carried: str, errors: Errors | Literal["strict"]) -> str:
    """Return the text that WSGI carries: ``"Ã©"`` is ``"é"``."""
    return carried if carried.isascii() else carried.encode("latin-1", errors).decode("utf-8", errors)


def unquote_field(carried: str, errors: Errors) -> str:
    """Decode a name or a value of a query string, or of a form in WSGI's form; ``+`` is a blank."""
    if carried.isascii() and "%" not in carried and "+" not in carried:
        return carried
    return unquote_to_bytes(carried.replace("+", " ").encode("latin-1", errors)).decode("utf-8", errors)


def utf8_or_latin1(data: bytes) -> str:
    """Return bytes as the text they are in UTF-8, else in latin-1: of old clients, who do not say which."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")
