"""Regular expressions of a configuration that are matched against what clients send: one engine for all.

    pattern = compiled("/users/[^/]+$", "match")
    pattern.find(path)  # a match, or None; raises TooLong

What a pattern can cost is known before it is used (:mod:`plugmw.schema.pattern_cost`): each has a greatest
length of the text, :attr:`Pattern.longest`, at which the worst text takes some milliseconds. Most patterns
have :data:`LONGEST`; one whose loops multiply has less, and one that has to have less than :data:`SHORTEST`
is refused when the configuration is read.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from typing import Final, Literal

from plugmw.schema import pattern_cost
from plugmw.schema.pattern_cost import TooMany

#: Where a match has to be: at the beginning of the text, all of it, or anywhere; ``found`` is anywhere too,
#: for who asks only whether there is one.
How = Literal["match", "fullmatch", "search", "found"]

#: Characters of a path, a header or an argument that a pattern is matched against.
LONGEST: Final = 8192
#: The least that a pattern has to be good for: user agents and paths have up to so many.
SHORTEST: Final = 256
_LENGTHS: Final = (LONGEST, 4096, 3072, 2048, 1536, 1024, 768, 512, 384, SHORTEST)
#: Steps of the engine that one text may cost: some ten milliseconds.
_MOST: Final = 1_000_000
#: Any text before a match: without it there is one as well.
_BEFORE: Final = re.compile(r"((?:\(\?[aiLmsux]+\))?)(?:\.\*\??(?![?+*{]))+")
_RIGHT: Final = "a loop ends best where what follows begins, as in [^/]*/, or after a number, as in .{0,50}"


class TooLong(ValueError):
    """The text has more characters than the pattern can be tried on."""


@dataclasses.dataclass(frozen=True)
class Pattern:
    """A pattern, the way in which it is asked, and what it may be asked about."""

    regex: re.Pattern[str]
    how: How
    #: Characters of a text that it is tried on.
    longest: int
    #: As it stands in the configuration.
    pattern: str
    #: What every text begins with that it matches.
    begins: str = ""

    def find(self, text: str) -> re.Match[str] | None:
        """Return the match, None if there is none; raises :class:`TooLong`."""
        if len(text) > self.longest:
            if not text.startswith(self.begins):
                return None
            raise TooLong(f"got {len(text)} characters, expected at most {self.longest}")
        if self.how == "match":
            return self.regex.match(text)
        return self.regex.fullmatch(text) if self.how == "fullmatch" else self.regex.search(text)

    def find_all(self, text: str) -> Iterator[re.Match[str]]:
        """Return all matches in a text; raises :class:`TooLong`."""
        if len(text) > self.longest:
            raise TooLong(f"got {len(text)} characters, expected at most {self.longest}")
        return self.regex.finditer(text)


def compiled(text: str, how: How, flags: int = 0) -> Pattern:
    """Return a pattern that may be used; raises ``ValueError`` with the reason for any other."""
    try:
        regex = re.compile(text, flags)
        if how == "found" and _BEFORE.match(text):
            return dataclasses.replace(compiled(_BEFORE.sub(r"\1", text, count=1), how, flags), pattern=text)
        tree = pattern_cost.parser.parse(text, flags)
        longest = _longest(tree, how)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(str(error)) from error
    except TooMany as error:
        raise ValueError(f"{error}; {_RIGHT}") from None
    begins = pattern_cost.beginning(tree) if how in ("match", "fullmatch") else ""
    return Pattern(regex, how, longest, text, begins)


def problem(pattern: str, how: How) -> str | None:
    """Say what is wrong with a pattern, None if it may be used."""
    try:
        compiled(pattern, how)
    except ValueError as error:
        kind = "safe" if error.__cause__ is None else "valid"
        return f"not a {kind} regex: {pattern} ({error})"
    return None


def _longest(tree: object, how: How) -> int:
    for length in _LENGTHS:
        if pattern_cost.steps(tree, length, how) <= _MOST:
            return length
    raise TooMany("its loops can share out a text in too many ways")
