"""XML from clients and services, element by element, by a parser that cannot be made to grow or to fetch.

Refused are what a document defines for itself: entities, which can unfold to gigabytes, and default values of
attributes, which each element would have anew. Nothing is fetched, and depth is bounded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NoReturn
from xml.parsers import expat

#: Elements inside each other; far from the recursion limit of whatever goes through them.
MAX_DEPTH: Final = 200


def read(
    data: bytes | str,
    start: Callable[[str, dict[str, str]], object],
    end: Callable[[str], object],
    text: Callable[[str], object],
) -> None:
    """Call ``start`` with the name and the attributes of each element, ``end`` and ``text``, in order.

    Names have their prefixes. Raises ``ValueError``, and what the functions raise.
    """
    depth = 0

    def opened(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > MAX_DEPTH:
            raise ValueError(f"nested deeper than {MAX_DEPTH} elements")
        start(name, attributes)

    def closed(name: str) -> None:
        nonlocal depth
        depth -= 1
        end(name)

    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = opened
    parser.EndElementHandler = closed
    parser.CharacterDataHandler = text
    parser.EntityDeclHandler = parser.SkippedEntityHandler = _refuse
    parser.AttlistDeclHandler = _refuse
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, LookupError) as error:
        raise ValueError(f"no XML: {error}") from error


def local(name: str) -> str:
    """Return a name without its prefix."""
    return name.rpartition(":")[2]


def _refuse(*_: object) -> NoReturn:
    raise ValueError("no XML: an entity or an attribute of its own")
