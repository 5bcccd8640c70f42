"""Comparing what was found with what a case expects; every function returns a list of problems."""

from __future__ import annotations

import re
from typing import Any

Headers = list[tuple[str, str]]


def values_of(headers: Headers, name: str) -> list[str]:
    """Return the values of a header, in order."""
    return [value for key, value in headers if key.lower() == name.lower()]


def header(where: str, name: str, wanted: Any, headers: Headers, upstream: Headers = ()) -> list[str]:
    """Compare a header: text, list of fields, ``{regex}``, ``{equals_upstream_header}``, ``{not_equal}``."""
    found = values_of(headers, name)
    if isinstance(wanted, list):
        joined = [part.strip() for value in found for part in value.split(",")]
        good = found == wanted or joined == wanted or sorted(joined) == sorted(map(str, wanted))
        return [] if good else [f"{where} {name}: expected {wanted!r}, found {found!r}"]
    if not found:
        return [f"{where} {name}: expected {wanted!r}, found none"]
    text = ", ".join(found)
    if not isinstance(wanted, dict):
        return [] if text == str(wanted) else [f"{where} {name}: expected {wanted!r}, found {text!r}"]
    problems = []
    for key, value in wanted.items():
        if key == "regex":
            good = re.search(value, text) is not None
        elif key == "equals_upstream_header":
            good = found == values_of(list(upstream), value)
        elif key == "not_equal":
            good = text != value
        else:
            good = False
            value = f"unknown key {key!r}"
        if not good:
            problems.append(f"{where} {name}: expected {key} {value!r}, found {text!r}")
    return problems


def json_equal(where: str, wanted: Any, found: Any) -> list[str]:
    """Compare JSON values; ``{"regex": ...}`` stands for any text that matches."""
    if isinstance(wanted, dict) and set(wanted) == {"regex"}:
        good = isinstance(found, str) and re.search(wanted["regex"], found) is not None
        return [] if good else [f"{where}: expected {wanted!r}, found {found!r}"]
    if isinstance(wanted, dict) and isinstance(found, dict):
        problems = [f"{where}.{key}: not expected" for key in found if key not in wanted]
        for key, value in wanted.items():
            if key not in found:
                problems.append(f"{where}.{key}: expected {value!r}, found none")
            else:
                problems += json_equal(f"{where}.{key}", value, found[key])
        return problems
    if isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        pairs = enumerate(zip(wanted, found, strict=True))
        return [p for index, (a, b) in pairs for p in json_equal(f"{where}[{index}]", a, b)]
    same = wanted == found and isinstance(wanted, bool) == isinstance(found, bool)
    return [] if same else [f"{where}: expected {wanted!r}, found {found!r}"]


def at_path(value: Any, path: str) -> Any:
    """Return the value at a dotted path, raising KeyError if there is none."""
    for piece in path.split("."):
        if isinstance(value, list):
            value = value[int(piece)]
        elif isinstance(value, dict):
            value = value[piece]
        else:
            raise KeyError(path)
    return value


#: Stands for a key that is not there.
MISSING: Any = type("Missing", (), {"__repr__": lambda self: "none"})()
_TYPES: dict[str, Any] = {
    "string": str,
    "number": (int, float),
    "boolean": bool,
    "object": dict,
    "array": list,
    "null": type(None),
}


def matched(where: str, wanted: Any, found: Any = MISSING) -> list[str]:
    """Compare with the matchers of log cases; objects are compared as subsets unless ``$exact``."""
    if isinstance(wanted, dict):
        rules = {key: value for key, value in wanted.items() if key.startswith("$") and key != "$exact"}
        problems = [p for key, value in rules.items() for p in _rule(where, key, value, found)]
        plain = {key: value for key, value in wanted.items() if not key.startswith("$")}
        if plain or len(rules) == len(wanted) == 0 or "$exact" in wanted:
            problems += _object(where, plain, found, wanted.get("$exact", False))
        return problems
    if isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        pairs = enumerate(zip(wanted, found, strict=True))
        return [p for index, (a, b) in pairs for p in matched(f"{where}[{index}]", a, b)]
    same = wanted == found and isinstance(wanted, bool) == isinstance(found, bool)
    return [] if same else [_unlike(where, wanted, found)]


def _unlike(where: str, wanted: Any, found: Any) -> str:
    text = repr(found)
    return f"{where}: expected {wanted!r}, found {text if len(text) < 400 else text[:400] + '...'}"


def _object(where: str, wanted: dict[str, Any], found: Any, exact: bool) -> list[str]:
    if not isinstance(found, dict):
        return [_unlike(where, wanted, found)]
    problems = [f"{where}.{key}: not expected" for key in found if exact and key not in wanted]
    for key, value in wanted.items():
        problems += matched(f"{where}.{key}", value, found.get(key, MISSING))
    return problems


def _rule(where: str, rule: str, wanted: Any, found: Any) -> list[str]:
    number = isinstance(found, (int, float)) and not isinstance(found, bool)
    if rule == "$re":
        good = isinstance(found, str) and re.fullmatch(wanted, found, re.DOTALL) is not None
    elif rule == "$absent":
        good = (found is MISSING) == wanted
    elif rule == "$type":
        kind = _TYPES.get(wanted, ())
        good = isinstance(found, kind) and (kind is bool or not isinstance(found, bool))
    elif rule == "$gte":
        good = number and found >= wanted
    elif rule == "$lte":
        good = number and found <= wanted
    elif rule == "$lt":
        good = number and found < wanted
    elif rule == "$contains":
        good = isinstance(found, (str, list, dict)) and _contains(found, wanted)
    elif rule == "$contains_value":
        good = isinstance(found, dict) and wanted in found.values()
    elif rule == "$not":
        good = bool(matched(where, wanted, found))
    else:
        return [f"{where}: unknown matcher {rule!r}"]
    return [] if good else [_unlike(where, {rule: wanted}, found)]


def _contains(found: Any, wanted: Any) -> bool:
    if isinstance(found, str):
        return isinstance(wanted, str) and wanted in found
    return any(not matched("", wanted, item) for item in found)


def any_order(where: str, wanted: list[Any], found: list[Any]) -> list[str]:
    """Give each wanted thing a found one of its own; return what got none. Plain values choose first."""
    left, problems = list(found), []
    for one in sorted(wanted, key=lambda one: isinstance(one, dict)):
        place = next((i for i, item in enumerate(left) if not matched(where, one, item)), None)
        if place is None:
            problems.append(_unlike(where, one, left))
        else:
            del left[place]
    return problems
