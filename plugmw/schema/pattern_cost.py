"""What a regular expression can cost at most: Python's engine goes back and tries again.

A loop that can end at many places, each of which lets the rest of the pattern begin, multiplies the cost of
the rest by the length of the text; in a loop that is itself repeated it does so with every turn. The engine
cannot be stopped, so the parse tree is read instead: for each part, the steps it takes, and the number of
ways in which it can match from one place. Both are polynomials in the length of the text. What can follow a
part decides: ``[^/]*/`` ends in one way only, ``.*/`` at every slash.

The result is an upper bound: a pattern may well be cheaper than it is taken for, never dearer by far.
"""

from __future__ import annotations

import functools
import importlib
import itertools
import re
import sys
from collections.abc import Sequence
from itertools import zip_longest
from math import factorial
from typing import Any, Final, TypeAlias

# Private since 3.11, but the only parser of exactly the language that is run.
parser: Final[Any] = importlib.import_module("re._parser" if sys.version_info >= (3, 11) else "sre_parse")

#: Steps by the power of the length: ``(3, 2)`` is 3 + 2n, ``(0, 0, 1)`` each pair of places, n²/2.
Steps: TypeAlias = tuple[float, ...]
#: Characters that can come next, a bit for each of :func:`_alphabet`; the last bit is the end of the text.
Signs: TypeAlias = int

_ONE: Steps = (1.0,)
_NONE: Steps = (0.0,)
#: No pattern with a power above this is of use.
_POWERS: Final = 6
#: In steps: to look at a character, and one more turn of a group.
_LOOK, _TURN = 0.1, 4.0
_CATEGORIES: Final = {
    "CATEGORY_DIGIT": r"\d",
    "CATEGORY_NOT_DIGIT": r"\D",
    "CATEGORY_SPACE": r"\s",
    "CATEGORY_NOT_SPACE": r"\S",
    "CATEGORY_WORD": r"\w",
    "CATEGORY_NOT_WORD": r"\W",
}
#: Characters that are looked at of a text that has to come next.
_LITERAL: Final = 64
_SIGNS: Final = ("LITERAL", "NOT_LITERAL", "ANY", "IN")
#: A letter, a digit, a blank and a sign beyond latin-1: enough to tell classes apart.
_BEYOND: Final = "\u0101\u0663\u2003\u20ac"


class TooMany(Exception):
    """There is no bound that a text of any use keeps to."""


def steps(tree: Any, length: int, how: str) -> float:
    """Return the most steps it takes to look for a match; raises :class:`TooMany`.

    A loop at the end costs its steps once, save in ``fullmatch``: whatever it takes, it is a match.
    """
    reader = _Reader(_alphabet(tree), length)
    flags = tree.state.flags
    once: Steps = _NONE
    if how == "fullmatch":
        own, _ = reader.sequence(list(tree), 0, flags)
    else:
        own, once = reader.ending(list(tree), flags)
    if how in ("search", "found") and not _is_anchored(tree, flags):
        own = _product(own, (1.0, 1 / _period(_text(tree))))
    factors = _sum(own, once)
    return sum(factor * float(length) ** power / factorial(power) for power, factor in enumerate(factors))


def beginning(tree: Any) -> str:
    """Return a text that all that the pattern matches begins with."""
    literals = itertools.takewhile(lambda node: str(node[0]) == "LITERAL", tree)
    return "" if tree.state.flags & re.IGNORECASE else "".join(chr(value) for _, value in literals)


def member(operator: str, arguments: Any) -> str:
    """Return the class of characters that a node of the tree stands for, in Python's spelling."""
    if operator == "ANY":
        return "."
    if operator == "NOT_LITERAL":
        return f"[^{re.escape(chr(arguments))}]"
    if operator == "LITERAL":
        return f"[{re.escape(chr(arguments))}]"
    text = ""
    for kind, value in arguments:
        name = str(kind)
        if name == "NEGATE":
            text += "^"
        elif name == "LITERAL":
            text += re.escape(chr(value))
        elif name == "RANGE":
            text += f"{re.escape(chr(value[0]))}-{re.escape(chr(value[1]))}"
        else:
            text += _CATEGORIES[str(value)]
    return f"[{text}]"


@functools.lru_cache(maxsize=4096)
def _signs(text: str, flags: int, alphabet: str) -> Signs:
    match = re.compile(text, flags & ~re.VERBOSE).match
    return sum(1 << place for place, sign in enumerate(alphabet) if match(sign))


def _alphabet(tree: Any) -> str:
    """Return characters of which two classes of the pattern share one if they share any."""
    own = {sign for sign in _ends(tree) if sign > "\xff"}
    return "".join(map(chr, range(256))) + _BEYOND + "".join(sorted(own))


def _ends(node: Any) -> set[str]:
    """Return every character that is named in a pattern."""
    if isinstance(node, int):
        return {chr(node)} if 0xFF < node <= sys.maxunicode else set()
    if isinstance(node, (parser.SubPattern, list, tuple)):
        return set().union(*(_ends(child) for child in node))
    return set()


class _Reader:
    """Reads one tree for texts of one length."""

    def __init__(self, alphabet: str, length: int) -> None:
        self.alphabet = alphabet
        self.length = length
        self.all: Signs = (1 << len(alphabet)) - 1
        self.end: Signs = 1 << len(alphabet)
        self._begins: dict[tuple[str, int, int], tuple[tuple[Signs, bool], object]] = {}

    def sequence(self, nodes: Sequence[Any], follow: Signs, flags: int) -> tuple[Steps, Steps]:
        """Return the steps of parts in a row, and the ways in which they can match."""
        own, ways = _NONE, _ONE
        follows = self.follows(nodes, follow, flags)
        for place, (operator, arguments) in enumerate(nodes):
            name = str(operator)
            repeats = name.endswith("_REPEAT")
            literal = _text(nodes[place + 1 : place + 1 + _LITERAL]) if repeats else ""
            mine, more = self.node(name, arguments, follows[place], flags, literal)
            own = _sum(own, _product(ways, mine))
            ways = _product(ways, more)
        return own, ways

    def ending(self, nodes: Sequence[Any], flags: int) -> tuple[Steps, Steps]:
        """Return the steps of the parts that a pattern ends with: for each way to get there, and once."""
        if not nodes:
            return _NONE, _NONE
        before, (operator, arguments) = nodes[:-1], nodes[-1]
        if str(operator) == "SUBPATTERN":
            _, add, remove, body = arguments
            inner = (flags | add) & ~remove
            last, once = self.ending(list(body), inner)
            follow = self.first(body, 0, inner)
        elif str(operator) in ("MAX_REPEAT", "MIN_REPEAT"):
            low, high, body = arguments
            again = [(operator, (0, high - low if high < self.length else high, body))]
            last = self.sequence([(operator, (low, low, body))], 0, flags)[0] if low else _NONE
            once = self.sequence(again, 0, flags)[0]
            follow = self.first(nodes[-1:], 0, flags)
        else:
            return self.sequence(nodes, 0, flags)[0], _NONE
        own, ways = self.sequence(list(before), follow, flags)
        return _sum(own, _product(ways, last)), once

    def node(
        self, operator: str, arguments: Any, follow: Signs, flags: int, literal: str
    ) -> tuple[Steps, Steps]:
        """Return the steps and the ways of one part; ``literal`` is the text that has to come next."""
        if operator.endswith("_REPEAT"):
            low, high, body = arguments
            return self.repeat(low, high, body, operator, follow, flags, literal)
        if operator == "BRANCH":
            return self.branch(arguments[1], follow, flags)
        if operator == "SUBPATTERN":
            _, add, remove, body = arguments
            return self.sequence(list(body), follow, (flags | add) & ~remove)
        if operator in ("ASSERT", "ASSERT_NOT"):
            return self.sequence(list(arguments[1]), 0, flags)[0], _ONE
        if operator == "ATOMIC_GROUP":
            return self.sequence(list(arguments), 0, flags)[0], _ONE
        if operator == "GROUPREF":
            return (0.0, _LOOK), _ONE
        if operator == "GROUPREF_EXISTS":
            both = [self.sequence(list(part), follow, flags) for part in arguments[1:] if part]
            return functools.reduce(_sum, (own for own, _ in both)), _largest([ways for _, ways in both])
        return (_LOOK,), _ONE

    def repeat(
        self, low: int, high: int, body: Any, operator: str, follow: Signs, flags: int, literal: str
    ) -> tuple[Steps, Steps]:
        first = self.first(body, follow, flags)
        if _is_one_sign(body):
            size, inner, turn = 1, self.first(body, 0, flags), 1.0
            own, ways = self.sequence(list(body), 0, flags)
        else:
            size, inner, turn = max(1, body.getwidth()[0]), self.first(body, self.end, flags), _TURN
            # A turn is followed by another one, or by what follows the last.
            own, ways = self.sequence(list(body), inner | follow, flags)
        own = _sum(own, (turn,))
        turns: Steps = (0.0, 1 / size) if high * size >= self.length else (float(high),)
        if operator.startswith("POSSESSIVE"):
            return self.turned(turns, own, body), _ONE
        if max(ways) > 1 or len(ways) > 1:
            if len(turns) > 1:
                raise TooMany("a repeated part can match one text in several ways")
            total: Steps = _ONE if low == 0 else _NONE
            before: Steps = _NONE
            power: Steps = _ONE
            for turn_number in range(1, high + 1):
                before = _sum(before, power)
                power = _product(power, ways)
                total = _sum(total, power) if turn_number >= low else total
            return _product(before, own), total
        if not first & follow & ~self.end and not (inner & self.end):
            return self.turned(turns, own, body), _ONE
        if len(turns) == 1:
            return self.turned(turns, own, body), (float(high - low + 1),)
        # Of all the places where it can end, those count where the text that has to come next is.
        return self.turned(turns, own, body), (1.0, turns[1] / _period(literal))

    def turned(self, turns: Steps, own: Steps, body: Any) -> Steps:
        """Return the steps of all turns together, of which each matches in one way.

        What one has looked at it has taken, so that the next begins behind it, if nothing in there looks
        ahead or tries another alternative.
        """
        if len(own) == 2 and _is_straight(body):
            return _sum(_product(turns, own[:1]), (0.0, 2 * own[1]))
        return _product(turns, own)

    def branch(self, branches: Sequence[Any], follow: Signs, flags: int) -> tuple[Steps, Steps]:
        """Of alternatives those are tried that begin with the same character."""
        # Of a thousand words there are as many costs, but few characters that they begin with.
        costs: dict[Signs, tuple[Steps, Steps]] = {}
        for part in branches:
            first = self.first(part, follow | self.end, flags)
            own, ways = self.sequence(list(part), follow, flags)
            before = costs.get(first, (_NONE, _NONE))
            costs[first] = _sum(before[0], own), _sum(before[1], ways)
        together = [[cost for other, cost in costs.items() if other & mine] for mine in costs]
        own = _largest([functools.reduce(_sum, [own for own, _ in group], _NONE) for group in together])
        ways = _largest([functools.reduce(_sum, [ways for _, ways in group], _NONE) for group in together])
        return _sum(own, (_LOOK * len(branches),)), ways

    def follows(self, nodes: Sequence[Any], follow: Signs, flags: int) -> list[Signs]:
        """Return for each of several parts in a row what can come behind it."""
        behind = []
        for operator, arguments in reversed(nodes):
            behind.append(follow)
            mine, empty = self.begins(str(operator), arguments, flags)
            follow = mine | follow if empty else mine
        return behind[::-1]

    def first(self, nodes: Sequence[Any], follow: Signs, flags: int) -> Signs:
        """Return what parts in a row can begin with; with ``follow`` if they can be empty."""
        signs = 0
        for operator, arguments in nodes:
            mine, empty = self.begins(str(operator), arguments, flags)
            signs |= mine
            if not empty:
                return signs
        return signs | follow

    def begins(self, operator: str, arguments: Any, flags: int) -> tuple[Signs, bool]:
        """Return what one part can begin with, and whether it can be empty."""
        # Parts within parts are asked for by all those round them. What is kept with each keeps its id.
        key = operator, id(arguments), flags
        if key not in self._begins:
            self._begins[key] = self._begins_of(operator, arguments, flags), arguments
        return self._begins[key][0]

    def _begins_of(self, operator: str, arguments: Any, flags: int) -> tuple[Signs, bool]:
        if operator in _SIGNS:
            return _signs(member(operator, arguments), flags, self.alphabet), False
        if operator == "AT":
            if str(arguments) == "AT_END":
                return 1 << ord("\n"), False
            return 0, str(arguments) != "AT_END_STRING"
        if operator.endswith("_REPEAT"):
            low, _, body = arguments
            signs = self.first(body, self.end, flags)
            return signs & ~self.end, low == 0 or bool(signs & self.end)
        if operator == "BRANCH":
            firsts = [self.first(part, self.end, flags) for part in arguments[1]]
            signs = functools.reduce(int.__or__, firsts, 0)
            return signs & ~self.end, bool(signs & self.end)
        if operator == "SUBPATTERN":
            _, add, remove, body = arguments
            signs = self.first(body, self.end, (flags | add) & ~remove)
            return signs & ~self.end, bool(signs & self.end)
        if operator == "ATOMIC_GROUP":
            signs = self.first(arguments, self.end, flags)
            return signs & ~self.end, bool(signs & self.end)
        if operator in ("ASSERT", "ASSERT_NOT"):
            return 0, True
        return self.all, True


def _is_anchored(nodes: Sequence[Any], flags: int) -> bool:
    """Say whether a match can only begin where the text does."""
    if not len(nodes):
        return False
    operator, arguments = str(nodes[0][0]), nodes[0][1]
    if operator == "AT":
        return str(arguments) == "AT_BEGINNING_STRING" or (
            str(arguments) == "AT_BEGINNING" and not flags & re.MULTILINE
        )
    if operator == "SUBPATTERN":
        return _is_anchored(arguments[3], (flags | arguments[1]) & ~arguments[2])
    return operator == "BRANCH" and all(_is_anchored(part, flags) for part in arguments[1])


def _is_one_sign(body: Any) -> bool:
    """Say whether a part is one character, of whatever class."""
    return len(body) == 1 and str(body[0][0]) in _SIGNS


def _is_straight(nodes: Sequence[Any]) -> bool:
    """Say whether there is one way through the parts only."""
    for operator, arguments in nodes:
        name = str(operator)
        if name in ("BRANCH", "ASSERT", "ASSERT_NOT", "GROUPREF", "GROUPREF_EXISTS"):
            return False
        if name.endswith("_REPEAT") and not _is_one_sign(arguments[2]):
            return False
        if name == "SUBPATTERN" and not _is_straight(arguments[3]):
            return False
    return True


def _text(nodes: Sequence[Any]) -> str:
    """Return the text that parts in a row begin with, in small letters."""
    text = ""
    for operator, arguments in nodes:
        if str(operator) != "LITERAL":
            break
        text += chr(arguments).casefold()
    return text


def _period(text: str) -> int:
    """Return the least distance of two places where ``text`` can be found."""
    return next((shift for shift in range(1, len(text)) if text.startswith(text[shift:])), max(1, len(text)))


def _sum(one: Steps, other: Steps) -> Steps:
    return tuple(a + b for a, b in zip_longest(one, other, fillvalue=0.0))


def _product(one: Steps, other: Steps) -> Steps:
    result = [0.0] * (len(one) + len(other) - 1)
    for low, a in enumerate(one):
        for high, b in enumerate(other):
            result[low + high] += a * b
    if len(result) > _POWERS or max(result) > 1e12:
        raise TooMany("its loops can share out a text in too many ways")
    return tuple(result)


def _largest(all_: Sequence[Steps]) -> Steps:
    return tuple(max(factors) for factors in zip_longest(*all_, fillvalue=0.0))
