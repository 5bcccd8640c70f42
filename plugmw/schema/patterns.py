"""Regular expressions of operators that are matched against what clients send.

Python's engine goes back and tries again: a loop in a loop, as in ``(a+)+b``, can take longer than the
universe lasts on thirty characters. Such patterns are refused when the configuration is read. What is left
takes at most the length of the text to the power of the loops that follow each other, so the text is to be
cut to a length as well.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from typing import Any, Final

# Private since 3.11, but the only parser of exactly the language that is run.
_parser: Final[Any] = importlib.import_module("re._parser" if sys.version_info >= (3, 11) else "sre_parse")
#: Characters of a path, a header or an argument that patterns are matched against.
LONGEST: Final = 8192
#: A part that may be repeated more often than this is a loop.
_FEW: Final = 10


def problem(pattern: str) -> str | None:
    """Say what is wrong with a pattern, None if it may be used."""
    try:
        compiled(pattern)
    except ValueError as error:
        kind = "safe" if error.__cause__ is None else "valid"
        return f"not a {kind} regex: {pattern} ({error})"
    return None


def compiled(pattern: str) -> re.Pattern[str]:
    """Return a pattern that may be used; raises ``ValueError`` with the reason for any other."""
    try:
        regex = re.compile(pattern)
        tree = _parser.parse(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(str(error)) from error
    if _explodes(tree, False):
        raise ValueError("a repeated part holds one of varying length, or alternatives")
    return regex


def _explodes(tree: Any, looped: bool) -> bool:
    """Say whether one text can be matched in a number of ways that grows with every character."""
    for operator, arguments in tree:
        name, inside = str(operator), looped
        if name.endswith("_REPEAT"):
            low, high, _ = arguments
            if looped and low != high:
                return True
            inside = looped or high > _FEW
        elif name == "BRANCH" and looped and not _are_distinct(arguments[1]):
            return True
        if any(_explodes(part, inside) for part in _parts(arguments)):
            return True
    return False


def _are_distinct(branches: Any) -> bool:
    """Say whether the first character decides between alternatives."""
    first = [chr(part[0][1]).casefold() if part and str(part[0][0]) == "LITERAL" else "" for part in branches]
    return "" not in first and len(set(first)) == len(first)


def _parts(arguments: Any) -> Iterator[Any]:
    """Yield the patterns inside one."""
    if isinstance(arguments, _parser.SubPattern):
        yield arguments
    elif isinstance(arguments, (list, tuple)):
        for argument in arguments:
            yield from _parts(argument)
