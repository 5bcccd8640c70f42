"""Lua patterns (``match``, ``match_any`` ...) as regular expressions."""

from __future__ import annotations

import functools
import re
from typing import Final

from plugmw.schema.patterns import Pattern, compiled

_CLASSES: Final = {
    "a": "a-zA-Z",
    "c": r"\x00-\x1f\x7f",
    "d": "0-9",
    "g": "!-~",
    "l": "a-z",
    "p": r"!-/:-@\[-`{-~",
    "s": r" \t\n\r\f\v",
    "u": "A-Z",
    "w": "a-zA-Z0-9",
    "x": "0-9a-fA-F",
}


@functools.lru_cache(maxsize=512)
def lua_pattern(pattern: str) -> Pattern:
    """Translate a Lua pattern; ``ValueError`` if it is none, or has ``%b`` or ``%f``: no counterpart."""
    out, at, inside = "", 0, False
    while at < len(pattern):
        char = pattern[at]
        at += 1
        if char == "%":
            if at >= len(pattern):
                raise ValueError(f"{pattern!r} ends with %")
            out += _escaped(pattern[at], inside)
            at += 1
        elif char == "[" and not inside:
            inside, out = True, out + "["
            if pattern[at : at + 1] == "^":
                out, at = out + "^", at + 1
            if pattern[at : at + 1] == "]":
                members, at = _members(pattern, at)
                out += members
        elif char == "]" and inside:
            inside, out = False, out + "]"
        elif inside:
            members, at = _members(pattern, at - 1)
            out += members
        elif char == "-":
            out += "*?"
        elif char == "$" and at == len(pattern):
            out += r"\Z"
        elif char == "^" and at == 1:
            out += r"\A"
        elif char in "()*+?.":
            out += char
        else:
            out += re.escape(char)
    return compiled(out, "found", re.DOTALL)


def _members(pattern: str, at: int) -> tuple[str, int]:
    """Return the character at a place of a set, or the range from it on, and where the next one is."""
    first, dash, last = pattern[at], pattern[at + 1 : at + 2], pattern[at + 2 : at + 3]
    if dash == "-" and last not in ("", "]"):
        return f"{re.escape(first)}-{re.escape(last)}", at + 3
    return re.escape(first), at + 1


def _escaped(char: str, inside: bool) -> str:
    if char.lower() in _CLASSES:
        members = _CLASSES[char.lower()]
        if char.islower():
            return members if inside else f"[{members}]"
        if inside:
            raise ValueError(f"%{char} inside of a set has no counterpart")
        return f"[^{members}]"
    if char.isalnum():
        raise ValueError(f"%{char} has no counterpart")
    return re.escape(char)
