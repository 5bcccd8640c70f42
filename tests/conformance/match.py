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
