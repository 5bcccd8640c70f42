"""Kong's error object for configurations that are wrong (``kong/db/errors.lua``)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from plugmw.dialects.kong.schema.definitions import record
from plugmw.dialects.kong.schema.engine import (
    ENTITY,
    REQUIRED,
    UNKNOWN,
    failures,
    filled_record,
    put_failure,
)
from plugmw.dialects.kong.schema.entity_checks import Failure
from plugmw.dialects.kong.schema.tables import Record
from plugmw.dialects.kong.schema.typedefs import Definition
from plugmw.schema import read


def violation(
    config: type | Definition, data: Mapping[str, object], name: str = "config"
) -> dict[str, object] | None:
    """Return Kong's error object for ``data``, None if nothing is wrong with it.

    ``config`` is a configuration class, or a schema table; ``name`` is what the data is called.

        violation(RateLimiting.Config, {"minute": "5"})["message"]
        # "schema violation (config.minute: expected a number)"
    """
    if isinstance(config, Mapping):
        definition = record(config, ("schema",))
        problems = failures(definition, filled_record(definition, data))
    elif issubclass(config, Record):
        problems = failures(config.definition, filled_record(config.definition, data))
    else:
        problems = _of_class(config, data)
    if name and problems:
        problems = {name: problems}
    return schema_violation(problems) if problems else None


def schema_violation(problems: Mapping[str, Failure]) -> dict[str, object]:
    """Return the error object for failures nested as the data is; Kong answers it with status 400."""
    texts = [f"{path}: {text}" if path else text for path, text in _flat(dict(problems), "")]
    head = "schema violation" if len(texts) == 1 else f"{len(texts)} schema violations"
    message = f"{head} ({'; '.join(texts)})"
    return {"code": 2, "name": "schema violation", "message": message, "fields": dict(problems)}


def _flat(failure: Failure, path: str) -> Iterator[tuple[str, str]]:
    """Yield (path, text), what is about a whole record first, then by name; elements count from 1."""
    if isinstance(failure, str):
        yield path, failure
    elif isinstance(failure, list):
        for place, inner in enumerate(failure, 1):
            if inner is not None:
                yield from _flat(inner, f"{path}[{place}]")
    else:
        yield from ((path, str(text)) for text in failure.get(ENTITY, ()))
        for name in sorted(failure):
            if name != ENTITY:
                yield from _flat(failure[name], f"{path}.{name}" if path else name)


def _of_class(config: type, data: Mapping[str, object]) -> dict[str, Failure]:
    """Return the problems of a native configuration class in Kong's form."""
    problems: dict[str, Failure] = {}
    for path, problem, expected in read(config, data)[1]:
        if problem == "missing":
            text = REQUIRED
        elif problem.startswith("unknown field"):
            text = UNKNOWN
        else:
            text = f"expected {expected}" if expected else problem
        put_failure(problems, [str(step) for step in path], text)
    return problems
