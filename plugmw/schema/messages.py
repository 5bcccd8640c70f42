"""Paths of values and the wording of problems with them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Any, Final

Path = tuple[Any, ...]
Problem = tuple[Path, str, "str | None"]
#: What ``check`` of a configuration class yields: a text, or (field, text).
Finding = str | tuple[str, str]
#: User and password in a URL, up to the last @ that could end them.
_USER_INFO: Final = re.compile(r"//\S*@").sub


def place(path: Path) -> str:
    """Write a path as ``plugins[2].config.minute``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def steps(where: str) -> Path:
    """Read back what :func:`place` wrote: ``paths[0].name`` is ``("paths", 0, "name")``."""
    pairs = re.findall(r"\[(\d+)\]|([^.\[\]]+)", where)
    return tuple(int(index) if index else key for index, key in pairs)


def shown(value: object) -> str:
    """Quote a value for a message, cut to a readable length, URLs in it without user and password."""
    text = _USER_INFO("//***@", repr(value))
    return text if len(text) <= 80 else f"{text[:77]}..."


def suggest(word: object, words: Iterable[str]) -> str:
    """Return ``; did you mean "x"?`` when a known word is close, else nothing."""
    # With the usual 0.6 words that share a beginning are taken for each other.
    close = difflib.get_close_matches(str(word), list(words), 1, 0.7)
    return f'; did you mean "{close[0]}"?' if close else ""


def unknown(key: object, known: list[str]) -> tuple[str, str | None]:
    """Return what was found and what would be right for a field that does not exist."""
    hint = suggest(key, known)
    if hint:
        return f'unknown field "{key}"{hint}', None
    return f'unknown field "{key}"', f"one of {', '.join(known)}" if known else "no fields"


def listed(choices: Iterable[object]) -> str:
    """Write choices one after the other: ``local, redis``."""
    return ", ".join(str(choice) for choice in choices)
