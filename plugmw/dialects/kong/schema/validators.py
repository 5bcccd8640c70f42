"""The validators of Kong's schema language (``kong/db/schema/init.lua``), in the order they are asked.

Each is given the rule and the value and returns what is wrong in Kong's words, or None.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence, Sized
from typing import Any, Final, TypeAlias

from plugmw.dialects.kong.schema.lua_patterns import lua_pattern
from plugmw.dialects.kong.schema.typedefs import Definition
from plugmw.schema.patterns import TooLong, problem
from plugmw.schema.typedefs import uuid_problem

#: Rule and value: of the types that the definition has been checked for.
Validator: TypeAlias = "Callable[[Any, Any], str | None]"


def shown(value: object) -> str:
    """Write a value as Lua's ``tostring`` would, for messages."""
    if value is None:
        return "null"
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def _listed(values: Iterable[object]) -> str:
    return ", ".join(map(shown, values))


def _same(one: object, other: object) -> bool:
    """Compare as Lua does: 1 is 1.0, but not true."""
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def _one_of(choices: Sequence[object], value: object) -> str | None:
    return None if any(_same(value, one) for one in choices) else f"expected one of: {_listed(choices)}"


def _not_one_of(choices: Sequence[object], value: object) -> str | None:
    return f"must not be one of: {_listed(choices)}" if any(_same(value, one) for one in choices) else None


def _length(value: Sized) -> int:
    # Lua's # counts bytes.
    return len(value.encode()) if isinstance(value, str) else len(value)


def _match_all(rules: Iterable[Definition], value: str) -> str | None:
    return next((_no_match(rule, value) for rule in rules if not _matches(rule["pattern"], value)), None)


def _match_none(rules: Iterable[Definition], value: str) -> str | None:
    return next((_no_match(rule, value) for rule in rules if _matches(rule["pattern"], value, True)), None)


def _match_any(rule: Definition, value: str) -> str | None:
    return None if any(_matches(pattern, value) for pattern in rule["patterns"]) else _no_match(rule, value)


def _matches(pattern: str, value: str, unsure: bool = False) -> bool:
    """Say whether a pattern is in a value; ``unsure`` if the value is too long for the pattern."""
    try:
        return lua_pattern(pattern).find(value) is not None
    except TooLong:
        return unsure


def _no_match(rule: Definition, value: str) -> str:
    return str(rule.get("err") or f"invalid value: {value}")


def _is_regex(rule: object, value: str) -> str | None:
    text = problem(value, "search")
    return text if text is None or text.startswith("not a safe") else f"not a valid regex: {value}"


def _subsets(subsets: Iterable[Container[object]], value: Sequence[object]) -> str | None:
    members = [[one for one in value if one in subset] for subset in subsets]
    present = [those for those in members if those]
    if len(present) < 2:
        return None
    return f"these sets are mutually exclusive: {', '.join(f'({_listed(those)})' for those in present)}"


#: In Kong's ``validators_order``.
VALIDATORS: Final[dict[str, Validator]] = {
    "eq": lambda rule, value: None if _same(value, rule) else f"value must be {shown(rule)}",
    "ne": lambda rule, value: f"value must not be {shown(value)}" if _same(value, rule) else None,
    "not_one_of": _not_one_of,
    "one_of": _one_of,
    "gt": lambda rule, value: None if value > rule else f"value must be greater than {shown(rule)}",
    "timestamp": lambda rule, value: None if value > 0 else "expected a valid timestamp",
    "uuid": lambda rule, value: uuid_problem(value),
    "is_regex": _is_regex,
    "between": lambda rule, value: (
        None if rule[0] <= value <= rule[1] else f"value should be between {rule[0]} and {rule[1]}"
    ),
    "len_eq": lambda rule, value: None if _length(value) == rule else f"length must be {rule}",
    "len_min": lambda rule, value: None if _length(value) >= rule else f"length must be at least {rule}",
    "len_max": lambda rule, value: None if _length(value) <= rule else f"length must be at most {rule}",
    "starts_with": lambda rule, value: None if value.startswith(rule) else f"should start with: {rule}",
    "not_match": lambda rule, value: f"invalid value: {value}" if _matches(rule, value) else None,
    "match_none": _match_none,
    "match": lambda rule, value: None if _matches(rule, value) else f"invalid value: {value}",
    "match_all": _match_all,
    "match_any": _match_any,
    "contains": lambda rule, value: None if rule in value else f"expected to contain: {shown(rule)}",
    "mutually_exclusive_subsets": _subsets,
    #: A function of the value that returns what is wrong, or None; in process only.
    "custom_validator": lambda rule, value: rule(value),
}


def first_failure(definition: Definition, value: object) -> str | None:
    """Return what the first failing validator of a definition says, None if all hold."""
    for name, validator in VALIDATORS.items():
        if name in definition:
            problem = validator(definition[name], value)
            if problem is not None:
                return str(definition.get("err") or problem)
    return None
