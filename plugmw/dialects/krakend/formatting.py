"""Filter and rename the fields of a backend's response, and merge the responses of several backends.

    target -> allow, or else deny -> mapping -> group
    target -> flatmap_filter                -> group

Names of ``allow``, ``deny`` and ``target`` may have dots for objects inside; an array is never looked into:
``allow`` drops it unless it is named itself, ``deny`` leaves it alone. The rules are Lura's
(``proxy/formatter.go``, ``proxy/merging.go``), except that ``mapping`` renames all names at once where the
original depends on the order of a hash map.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from plugmw.dialects.krakend.flatmap import manipulator
from plugmw.dialects.krakend.model import Backend

Map = dict[str, object]
#: Names with their subtrees; None stands for a name whose whole value is meant.
Tree = dict[str, "Tree | None"]


def formatter(backend: Backend) -> Callable[[Map], Map]:
    """Return the function that brings a decoded body to the shape that the backend asks for.

    It returns a new map, which may share values with the one it is given.
    """
    shaped = manipulator(backend.extra_config) or _filter(backend)

    def run(data: Map) -> Map:
        if backend.target:
            data = _inside(data, backend.target)
        data = shaped(data)
        return {backend.group: data} if backend.group else data

    return run


def merge(parts: Sequence[Map]) -> Map:
    """Return one map of several; of names that several have, the last part's value counts."""
    return {name: value for part in parts for name, value in part.items()}


def _filter(backend: Backend) -> Callable[[Map], Map]:
    allowed, denied = _allow_tree(backend.allow), _deny_tree(backend.deny)
    mapping = {old: new.partition(".")[0] for old, new in backend.mapping.items()}

    def run(data: Map) -> Map:
        if allowed:
            data = _allow(allowed, data)
        elif denied:
            data = _deny(denied, data)
        return _renamed(mapping, data) if mapping else data

    return run


def _inside(data: Map, target: str) -> Map:
    for name in target.split("."):
        below = data.get(name)
        if not isinstance(below, dict):
            return {}
        data = below
    return data


def _allow_tree(names: Iterable[str]) -> Tree:
    """Return the names as a tree; of a name and one inside it, the later counts."""
    tree: Tree = {}
    for name in names:
        *path, last = name.split(".")
        place = tree
        for step in path:
            below = place.get(step)
            if below is None:
                below = place[step] = {}
            place = below
        place[last] = None
    return tree


def _deny_tree(names: Iterable[str]) -> Tree:
    """Return the names as a tree; a name covers all names inside it."""
    tree: Tree = {}
    for name in sorted(names, key=lambda name: name.count(".")):
        *path, last = name.split(".")
        place = tree
        for step in path:
            below = place.setdefault(step, {})
            if below is None:
                break
            place = below
        else:
            place[last] = None
    return tree


def _allow(tree: Tree, data: Map) -> Map:
    result: Map = {}
    for name, value in data.items():
        below = tree.get(name, {})
        if below is None:
            result[name] = value
        elif below and isinstance(value, dict):
            inside = _allow(below, value)
            if inside:
                result[name] = inside
    return result


def _deny(tree: Tree, data: Map) -> Map:
    result: Map = {}
    for name, value in data.items():
        below = tree.get(name, {})
        if below is not None:
            result[name] = _deny(below, value) if below and isinstance(value, dict) else value
    return result


def _renamed(mapping: dict[str, str], data: Map) -> Map:
    """Return the map with new names, which replace what had them before."""
    renamed = {mapping[name]: value for name, value in data.items() if name in mapping}
    return {**{name: value for name, value in data.items() if name not in mapping}, **renamed}
