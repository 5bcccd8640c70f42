"""Operations on whole structures, arrays included: ``flatmap_filter`` of the namespace ``proxy``.

    "flatmap_filter": [
      {"type": "del", "args": ["users.*.password", "internal"]},
      {"type": "move", "args": ["users.*.name.first", "users.*.first"]},
      {"type": "append", "args": ["more", "users"]}
    ]

A path has names, and in arrays the numbers that elements had at first; ``*`` stands for all of one level.
``del`` takes away; ``append`` puts the elements of one array after those of another; ``move`` to a path of
the same length renames, to a shorter one brings up, to a longer one puts deeper, next to where the value was.

On a backend the operations take the place of allow, deny and mapping; on an endpoint of several backends
they work on what these gave together. The rules are those of Lura and its flatmap library, except that
what was emptied stays an empty object or array, where the original has null. An operation that cannot be
read is passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

Map = dict[str, object]
#: Objects and arrays inside a map, to be changed in place.
Tree = dict[str, object]
Path = list[str]

ALL: Final = "*"
_KEY: Final = "flatmap_filter"
#: How many paths an operation needs.
_PATHS: Final = {"move": 2, "append": 2, "del": 0}


#: Changes a tree in place; its arguments are the tree and the paths.
Operation = Callable[[Tree, list[Path]], None]


class _Array(dict[str, object]):
    """An array as elements by the numbers they had at first, which others keep when one goes."""


def manipulator(extra_config: Mapping[str, object]) -> Callable[[Map], Map] | None:
    """Return the function that carries out an ``extra_config``'s operations, None if it has none.

    The function does not change its argument.
    """
    proxy = extra_config.get("proxy")
    wanted = proxy.get(_KEY) if isinstance(proxy, Mapping) else None
    operations = [one for one in map(_operation, wanted) if one] if isinstance(wanted, list) else []
    if not operations:
        return None

    def run(data: Map) -> Map:
        root = {name: _tree(item) for name, item in data.items()}
        for operate, paths in operations:
            operate(root, paths)
        return {name: _untree(item) for name, item in root.items()}

    return run


def _operation(wanted: object) -> tuple[Operation, list[Path]] | None:
    if not isinstance(wanted, Mapping) or wanted.get("type") not in _PATHS:
        return None
    args = wanted.get("args")
    paths = [arg.split(".") for arg in args if isinstance(arg, str)] if isinstance(args, list) else []
    kind = wanted["type"]
    return (_OPERATIONS[kind], paths) if len(paths) >= _PATHS[kind] else None


def _tree(value: object) -> object:
    if isinstance(value, dict):
        return {name: _tree(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return _Array((str(index), _tree(item)) for index, item in enumerate(value))
    return value


def _untree(node: object) -> object:
    if isinstance(node, _Array):
        return [_untree(item) for item in node.values()]
    return {name: _untree(item) for name, item in node.items()} if isinstance(node, dict) else node


def _below(node: object, step: str) -> list[tuple[str, object]]:
    """Return what a step leads to, with its name."""
    if not isinstance(node, dict):
        return []
    if step == ALL:
        return list(node.items())
    return [(step, node[step])] if step in node else []


def _delete(root: Tree, paths: list[Path]) -> None:
    for path in paths:
        _delete_one(root, path)


def _delete_one(node: object, path: Path) -> None:
    if not isinstance(node, dict):
        return
    for name, child in _below(node, path[0]):
        if len(path) == 1:
            del node[name]
        else:
            _delete_one(child, path[1:])


def _append(root: Tree, paths: list[Path]) -> None:
    source, target = _at(root, paths[0]), _at(root, paths[1])
    if isinstance(source, _Array) and isinstance(target, _Array) and source is not target:
        for item in source.values():
            _insert(target, "", item)
        _delete_one(root, paths[0])


def _at(root: Tree, path: Path) -> object:
    node: object = root
    for step in path:
        node = node.get(step) if isinstance(node, dict) else None
    return node


def _move(root: Tree, paths: list[Path]) -> None:
    source, target = paths[0], paths[1]
    places: list[tuple[object, Path]] = [(root, [])]
    for step in source[:-1]:
        places = [(child, [*way, name]) for node, way in places for name, child in _below(node, step)]
    last = source[-1]
    moves = [(node, way, node[last]) for node, way in places if isinstance(node, dict) and last in node]
    if len(source) == len(target):
        moves = [move for move in moves if not isinstance(move[0], _Array)]
    for holder, _, _ in moves:
        del holder[last]
    for holder, way, value in moves:
        if len(target) < len(source):
            place = _above(root, target[:-1], way)
        else:
            place = _deeper(holder, target[len(source) - 1 : -1])
        _insert(place, target[-1], value)


def _above(root: Tree, path: Path, way: Path) -> Tree:
    """Follow a path from the root as far as it goes; ``*`` is what it was on the way down."""
    for step, taken in zip(path, way, strict=False):
        child = root.get(taken if step == ALL else step)
        if not isinstance(child, dict):
            break
        root = child
    return root


def _deeper(node: Tree, path: Path) -> Tree:
    """Follow a path, making objects where there are none."""
    for step in path:
        below = node.get(step)
        if not isinstance(below, dict):
            below = node[step] = {}
        node = below
    return node


def _insert(node: Tree, name: str, value: object) -> None:
    """Put a value under its name; in an array, at the end."""
    if isinstance(node, _Array):
        number = len(node)
        while str(number) in node:
            number += 1
        name = str(number)
    node[name] = value


_OPERATIONS: Final[dict[str, Operation]] = {
    "move": _move,
    "append": _append,
    "del": _delete,
}
