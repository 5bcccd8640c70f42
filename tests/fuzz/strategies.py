"""Changed inputs: good ones whose parts are exchanged, repeated, cut and spelled otherwise.

A text is changed by its pieces (words, numbers, blanks, single signs), a tree by its nodes, bytes by runs
and by numbers in them. Some changes keep the structure (another number for a number), some break it. One
input in some is not changed at all.
"""

from __future__ import annotations

import copy
import random
import re
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import strategies as st

#: Characters of a changed text, and bytes of changed bytes.
LONGEST = 8192
#: Bytes of a target or a header; gunicorn lets no longer request line through unless told to.
LONGEST_LINE = 4094
_PIECES = re.compile(r"\d+|[^\W\d_]+|\s+|.", re.DOTALL)

#: What is a digit, a letter, a blank, an end of a line or a capital to some readers and not to others.
SIGNS = (
    *("\0", "\r", "\n", "\r\n", "\r\n ", "\t", "\v", "\x1b", "\x7f", "\x80", "\x85", "\xa0", "\xb2", "\xff"),
    *("é", "ß", "İ", "ſ", "٣", "７", "𝟘", "\u200b", "\u2028", "\ufeff", "\ufffd"),
    *("\ud800", "\udcff", "\U0010ffff"),
    *(" ", "", ",", ";", "=", '"', "'", "\\", "/", "%", "%00", "%2f", "%252e", "+", "&", "#", "?", ":", "@"),
    *("..", "$(", "${", "{{", "%s", "{}", "[", "(", "<", "-", "_", "~", "*", "|", "."),
)  # fmt: skip
NUMBERS = (
    *("0", "-0", "00", "1", "-1", "+1", "1_0", "0x1", "1e3", "1e400", "NaN", "Infinity", "256", "65535"),
    *("65536", "2147483648", "4294967296", "9223372036854775808", "1" * 25, "9" * 5000, "٣", "\xb2", "1.5"),
)
WORDS = ("", "a", "A", "null", "true", "none", "None", "GET", "localhost", "__class__", "x" * 300, "é", "ｘ")
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2**31, 2**63, 10**400, 1.5, -0.0, 1e308, "", " ", "a", "é", "\0"),
    *("\ud800", "0", "1s", "/", "..", "http://", "http://[", "http://a:b", "*", "(", "(a+)+b", "$(", "{"),
    *("%", "x" * 300),
    *([], {}, [[]], [None], [{}], {"": None}, {"a": {}}, ["a", 1], {"name": "a"}, [["a"] * 3] * 3),
)  # fmt: skip
BYTES = (
    b"",
    b"\0",
    b"\xff",
    b"\x80",
    b"\xc3",
    b"\r\n",
    b"\xed\xa0\x80",
    b"\xff" * 9,
    b"\0" * 9,
    b"<",
    b"&a;",
)
SIZES = (0, 1, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0xFFFFFFFF, 2**63, 2**64 - 1)

# Hypothesis makes the choices, so that what it finds is cut down to the few that matter.
_choices = st.randoms(use_true_random=False)


def _changes(change: Callable[[random.Random, Any], Any], good: Sequence[Any]) -> Any:
    def made(rng: random.Random) -> Any:
        found = copy.deepcopy(rng.choice(good))
        for _ in range(rng.choice((0, 1, 1, 2, 3, 5))):
            found = change(rng, found)
        return found

    return _choices.map(made)


# -- text --------------------------------------------------------------------------------------------------


def texts(*good: str, words: Sequence[str] = ()) -> Any:
    """Return changed texts; ``words`` are those of the language, put anywhere."""
    pool = [piece for text in good for piece in _PIECES.findall(text)] or [""]
    own = [*words, *pool]

    def change(rng: random.Random, text: str) -> str:
        pieces = _PIECES.findall(text) or [""]
        at = rng.randrange(len(pieces))
        other = rng.randrange(len(pieces))
        kind = rng.randrange(12)
        if kind == 0:
            pieces[at] = _alike(rng, pieces[at], own)
        elif kind == 1:
            pieces[at] = rng.choice((str.upper, str.lower, str.title))(pieces[at])
        elif kind == 2:
            pieces[at] = "".join(f"%{byte:02x}" for byte in pieces[at].encode("utf-8", "surrogatepass"))
        elif kind == 3:
            del pieces[at:other]
        elif kind == 4:
            pieces[at], pieces[other] = pieces[other], pieces[at]
        elif kind == 5:
            pieces[at:at] = pieces[min(at, other) : max(at, other) + 1]
        elif kind == 6:
            run = pieces[at : at + rng.choice((1, 1, 2, 3, 8))]
            pieces[at:at] = run * rng.choice((2, 10, 100, 1000, 5000))
        elif kind == 7:
            pieces.insert(at, rng.choice(SIGNS))
        elif kind == 8:
            pieces[at] = rng.choice(SIGNS)
        elif kind == 9:
            pieces.insert(at, rng.choice(own))
        elif kind == 10:
            del pieces[at:]
        else:
            place = rng.randrange(len(pieces[at]) + 1)
            sign = chr(rng.choice((rng.randrange(32), rng.randrange(256), rng.randrange(0x10000))))
            pieces[at] = pieces[at][:place] + sign + pieces[at][place + rng.randrange(2) :]
        return "".join(pieces)[:LONGEST]

    return _changes(change, good)


def _alike(rng: random.Random, piece: str, words: Sequence[str]) -> str:
    """Return another piece of the same sort."""
    if piece.isdigit():
        return rng.choice(NUMBERS)
    if piece.isalpha():
        return rng.choice((*WORDS, *words))
    return rng.choice((" ", "  ", "\t", "\v", "\x1c", "\xa0")) if piece.isspace() else rng.choice(words)


def on_the_wire(strategy: Any) -> Any:
    """Return texts as a server hands on header values: UTF-8 as Latin-1, no line ends, no NUL."""
    return strategy.map(wire_text)


def wire_text(text: str) -> str:
    return re.sub("[\r\n\0]", "", text.encode("utf-8", "surrogatepass").decode("latin-1"))[:LONGEST_LINE]


def headers(*good: str, words: Sequence[str] = ()) -> Any:
    """Return changed header values."""
    return on_the_wire(texts(*good, words=words))


# -- trees -------------------------------------------------------------------------------------------------


def trees(*good: Any, keys: Sequence[str] = (), values: Sequence[Any] = ()) -> Any:
    """Return changed JSON documents; ``keys`` and ``values`` are those of the language, put anywhere."""
    known = [
        *keys,
        *{str(place[-1]) for tree in good for place in _places(tree) if place},
        "",
        "é",
        "a.b",
        "0",
    ]
    odd = (*VALUES, *values)

    def change(rng: random.Random, tree: Any) -> Any:
        root = [copy.deepcopy(tree)]
        place = (0, *rng.choice(_places(tree)))
        above = _at(root, place[:-1])
        last: Any = place[-1]
        here = above[last]
        kind = rng.randrange(9)
        if kind <= 1:
            above[last] = _another(rng, here, odd)
        elif kind == 2:
            above[last] = copy.deepcopy(rng.choice(odd))
        elif kind == 3 and len(place) > 1:
            del above[last]
        elif kind == 4 and isinstance(above, dict):
            above[rng.choice(known)] = above.pop(last)
        elif kind == 5:
            target = here if isinstance(here, dict) else above
            if isinstance(target, dict):
                target[rng.choice(known)] = copy.deepcopy(rng.choice(odd))
            else:
                target.append(copy.deepcopy(here))
        elif kind == 6:
            above[last] = copy.deepcopy(_at([tree], (0, *rng.choice(_places(tree)))))
        elif kind == 7:
            above[last] = rng.choice(([here], {rng.choice(known): here}, [here, here]))
        elif isinstance(here, list):
            rng.shuffle(here)
        return root[0]

    return _changes(change, good)


def _another(rng: random.Random, value: Any, odd: Sequence[Any]) -> Any:
    """Return another value of the same kind."""
    if isinstance(value, str):
        pieces = _PIECES.findall(value) or [""]
        pieces[rng.randrange(len(pieces))] = rng.choice((*SIGNS, *WORDS, *NUMBERS))
        return "".join(pieces)
    alike = [one for one in odd if type(one) is type(value)]
    return copy.deepcopy(rng.choice(alike or [value]))


def _places(tree: Any) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = [()]
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, child in items:
        found += [(key, *place) for place in _places(child)]
    return found


def _at(tree: Any, place: Sequence[Any]) -> Any:
    for step in place:
        tree = tree[step]
    return tree


# -- bytes -------------------------------------------------------------------------------------------------


def blobs(*good: bytes, parts: Sequence[bytes] = ()) -> Any:
    """Return changed bytes; ``parts`` are put anywhere."""
    pool = (*BYTES, *parts)

    def change(rng: random.Random, data: bytes) -> bytes:
        made = bytearray(data)
        at, end = sorted((rng.randint(0, len(made)), rng.randint(0, len(made))))
        kind = rng.randrange(8)
        if kind == 0 and made:
            made[at % len(made)] ^= 1 << rng.randrange(8)
        elif kind == 1 and made:
            made[at % len(made)] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
        elif kind == 2:
            del made[at:end]
        elif kind == 3:
            made[at:at] = bytes(made[at:end]) * rng.choice((1, 2, 50))
        elif kind == 4:
            made[at:at] = rng.choice(pool)
        elif kind == 5:
            del made[at:]
        elif kind == 6:
            size = rng.choice((1, 2, 4, 8))
            number = rng.choice(SIZES) % (1 << 8 * size)
            made[at : at + size] = number.to_bytes(size, rng.choice(("big", "little")))
        else:
            made[at:end] = rng.choice(good)
        return bytes(made[:LONGEST])

    return _changes(change, good)
