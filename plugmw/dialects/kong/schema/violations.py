"""Kong's error object for configurations that are wrong (``kong/db/errors.lua``)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from plugmw.dialects.kong.schema.definitions import record
from plugmw.dialects.kong.schema.engine import ENTITY, REQUIRED, UNKNOWN, failures, filled
from plugmw.dialects.kong.schema.tables import Record
from plugmw.schema import read


def violation(config: Any, data: Mapping[str, Any], name: str = "config") -> dict[str, Any] | None:
    """Return Kong's error object for ``data``, None if nothing is wrong with it.

    ``config`` is a configuration class, or a schema table; ``name`` is what the data is called.

        violation(RateLimiting.Config, {"minute": "5"})["message"]
        # "schema violation (config.minute: expected a number)"
    """
    if isinstance(config, Mapping):
        definition = record(config, ("schema",))
        found: dict[str, Any] = failures(definition, filled(definition, data))
    elif issubclass(config, Record):
        found = failures(config.definition, filled(config.definition, data))
    else:
        found = _of_class(config, data)
    if name and found:
        found = {name: found}
    return schema_violation(found) if found else None


def schema_violation(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the error object for failures nested as the data is; Kong answers it with status 400."""
    told = [f"{path}: {text}" if path else text for path, text in _flat(found, "")]
    head = "schema violation" if len(told) == 1 else f"{len(told)} schema violations"
    message = f"{head} ({'; '.join(told)})"
    return {"code": 2, "name": "schema violation", "message": message, "fields": dict(found)}


def _flat(found: Any, path: str) -> Iterator[tuple[str, str]]:
    """Yield (path, text), what is about a whole record first, then by name; elements count from 1."""
    if isinstance(found, str):
        yield path, found
    elif isinstance(found, list):
        for place, inner in enumerate(found, 1):
            if inner is not None:
                yield from _flat(inner, f"{path}[{place}]")
    else:
        yield from ((path, text) for text in found.get(ENTITY, ()))
        for name in sorted(found):
            if name != ENTITY:
                yield from _flat(found[name], f"{path}.{name}" if path else name)


def _of_class(config: type, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the problems of a native configuration class in Kong's form."""
    found: dict[str, Any] = {}
    for path, problem, expected in read(config, data)[1]:
        if problem == "missing":
            text = REQUIRED
        elif problem.startswith("unknown field"):
            text = UNKNOWN
        else:
            text = f"expected {expected}" if expected else problem
        _place(found, path, text)
    return found


def _place(found: dict[str, Any], path: tuple[Any, ...], text: str) -> None:
    if not path:
        found.setdefault(ENTITY, []).append(text)
        return
    for step in path[:-1]:
        inner = found.setdefault(str(step), {})
        if not isinstance(inner, dict):
            return
        found = inner
    found[str(path[-1])] = text
