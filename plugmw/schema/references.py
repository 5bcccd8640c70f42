"""References in secret fields: ``{env://NAME}`` and ``{file:///path}`` stand for a value kept elsewhere.

The whole value is the reference; what it stands for is taken as text and never looked at for references
again. One line end at the end of a file does not count, as editors and ``docker secret`` leave one there.
"""

from __future__ import annotations

import os
import re
from typing import Final

from plugmw.loading.regular import open_regular
from plugmw.loading.watching import note

#: Bytes of a file; keys and certificates have a few thousand.
LONGEST: Final = 64 * 1024
FORMS: Final = "{env://NAME} or {file:///absolute/path}"

_REFERENCE: Final = re.compile(r"\{([a-z]+)://([^{}]*)\}").fullmatch
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*").fullmatch


class Unresolved(ValueError):
    """A reference stands for nothing: ``problem`` names it, ``expected`` says what would be right."""

    def __init__(self, problem: str, expected: str) -> None:
        self.problem = problem
        self.expected = expected
        super().__init__(problem, expected)


def is_reference(value: object) -> bool:
    """Say whether a value has the form of a reference, also of a kind that is not known here."""
    return isinstance(value, str) and _REFERENCE(value) is not None


def resolve(text: str) -> str:
    """Return what a reference stands for, any other text as it is; raises :class:`Unresolved`.

    Kinds that are not known (Kong's ``{vault://...}``) are refused: taken as they are, they would be a secret
    that everybody can read in the configuration.
    """
    match = _REFERENCE(text)
    if match is None:
        return text
    kind, name = match.groups()
    if kind == "env" and _NAME(name):
        value = _variable(text, name)
    elif kind == "file" and os.path.isabs(name):
        value = _file(text, name)
    else:
        raise Unresolved(f"got {text}", FORMS)
    if not value:
        raise Unresolved(f"{text} is empty", "at least one character")
    return value


def _variable(text: str, name: str) -> str:
    value = os.environ.get(name)
    if value is None:
        raise Unresolved(f"{text} is not set", "it in the environment")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Unresolved(f"{text} is not UTF-8", "Unicode text") from None
    return value


def _file(text: str, path: str) -> str:
    if os.path.exists(path) and not os.path.isfile(path):
        raise Unresolved(f"{text} is not a regular file", "a file")
    try:
        with open_regular(path) as file:
            data = file.read(LONGEST + 1)
        note(path, data)
    except (OSError, ValueError) as error:  # a ValueError is for NUL in the path
        reason = getattr(error, "strerror", None) or str(error)
        raise Unresolved(f"{text} cannot be read: {reason.lower()}", "a file that can be read") from None
    if len(data) > LONGEST:
        raise Unresolved(f"{text} is longer than {LONGEST} bytes", "a file with one secret")
    try:
        return data.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise Unresolved(f"{text} is not UTF-8", "Unicode text") from None
