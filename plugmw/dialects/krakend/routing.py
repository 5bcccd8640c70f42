"""Which endpoint a path belongs to: gin's rules, as far as KrakenD uses them.

A ``{name}`` takes one segment, which is not empty; a ``*`` at the end takes all the rest. What is spelled
out goes before ``{name}``, and that before ``*``. Paths are decoded ones: an encoded slash is a slash, so
it never gets into a parameter.

A path that nobody has is looked for again, first with or without its last slash, then cleaned and in any
case (``RedirectTrailingSlash`` and ``RedirectFixedPath`` of gin). Everything here is pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

import attrs

from plugmw.wsgi.paths import normalise

T = TypeVar("T")
#: (what was added for a path, its parameters by name).
Found = tuple[T, dict[str, str]]

_PARAMETER = re.compile(r"[:{]([^{}/]+)\}?")


@attrs.define
class _Node(Generic[T]):
    """What may follow on a path up to here."""

    names: dict[str, _Node[T]] = attrs.field(factory=dict)
    #: Below a parameter.
    any: _Node[T] | None = None
    #: (parameters' names, value) of a path that ends here, or that ends here with ``*``.
    here: tuple[list[str], T] | None = None
    rest: tuple[list[str], T] | None = None


class Routes(Generic[T]):
    """Values by method and path."""

    def __init__(self) -> None:
        self._trees: dict[str, _Node[T]] = {}

    def add(self, method: str, path: str, value: T) -> None:
        """Add a path such as ``/users/{id}/*``; of two equal ones the first stays."""
        names: list[str] = []
        node = self._trees.setdefault(method, _Node())
        for segment in path.split("/")[1:]:
            parameter = _PARAMETER.fullmatch(segment)
            if segment.startswith("*"):
                node.rest = node.rest or (names, value)
                return
            if parameter:
                names.append(parameter[1])
                node.any = node = node.any or _Node()
            else:
                node = node.names.setdefault(segment, _Node())
        node.here = node.here or (names, value)

    def find(self, method: str, path: str) -> Found[T] | None:
        """Return what was added for exactly this path, with its parameters."""
        tree = self._trees.get(method)
        for _, values, (names, value) in _ends(tree, path.split("/")[1:]) if tree else ():
            return value, dict(zip(names, values))
        return None

    def methods(self, path: str) -> list[str]:
        """Return the methods that a path has."""
        return [method for method in self._trees if self.find(method, path)]

    def toggled(self, method: str, path: str) -> str | None:
        """Return the path with or without its last slash, if that is one."""
        other = path[:-1] if path.endswith("/") else path + "/"
        return other if len(path) > 1 and self.find(method, other) else None

    def fixed(self, method: str, path: str) -> str | None:
        """Return the path cleaned and in the case it has here, if there is one like it."""
        clean = normalise(path)
        for text in (clean, clean[:-1] if clean.endswith("/") else clean + "/"):
            for spelled, _, _ in _ends(self._trees.get(method, _Node()), text.split("/")[1:], str.lower):
                return "/" + "/".join(spelled)
        return None


End = tuple[list[str], list[str], tuple[list[str], T]]


def _ends(node: _Node[T], segments: list[str], fold: Callable[[str], str] = str) -> Iterator[End[T]]:
    """Yield (the path's own spelling, parameters, end) of each way to take the segments, the best first."""
    if not segments:
        if node.here:
            yield [], [], node.here
        return
    segment, *rest = segments
    if fold is str:
        same = [segment] if segment in node.names else []
    else:
        same = [name for name in node.names if fold(name) == fold(segment)]
    for name in same:
        for spelled, values, end in _ends(node.names[name], rest, fold):
            yield [name, *spelled], values, end
    if node.any and segment:
        for spelled, values, end in _ends(node.any, rest, fold):
            yield [segment, *spelled], [segment, *values], end
    if node.rest:
        yield segments, [], node.rest
