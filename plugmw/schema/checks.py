"""More checks for configuration classes: Kong's validators of one value, and its checks across fields.

    @config
    class Config:
        policy: str = field("local", one_of("local", "redis"), help="Where counters are.")
        host: Host | None = field(None, help="Where Redis is.")
        key: str | None = field(None, length(8), help="The key.")

        def check(self):
            yield from conditional(self, "policy", one_of("redis"), "host", required=True)

Checks across fields take the object (or a mapping) and dotted names and return a list of problems, for
``check`` to ``yield from``. A field is empty if it is None, ``""``, or a list or mapping without items.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from plugmw.schema.declaring import Check

# -- one value -------------------------------------------------------------------------------------------


def length(low: int = 0, high: int | None = None) -> Check:
    """Texts, lists and mappings with ``low`` to ``high`` characters or items."""
    if high is None:
        return Check(lambda v: len(v) >= low, f"a length of at least {low}")
    expected = f"a length of {low}" if low == high else f"a length between {low} and {high}"
    return Check(lambda v: low <= len(v) <= high, expected)


def none_of(*choices: object) -> Check:
    """None of the given values."""
    return Check(lambda v: v not in choices, f"none of {', '.join(map(str, choices))}")


def starts_with(prefix: str) -> Check:
    """Texts that begin with ``prefix``."""
    return Check(lambda v: v.startswith(prefix), f"a text that starts with {prefix}")


def contains(item: object) -> Check:
    """Lists with ``item`` in them."""
    return Check(lambda v: item in v, f"a list with {item!r} in it")


def has_none(*patterns: str, expected: str) -> Check:
    """Texts in which none of the patterns is found."""
    compiled = [re.compile(pattern) for pattern in patterns]
    return Check(lambda v: not any(pattern.search(v) for pattern in compiled), expected)


def has_all(*patterns: str, expected: str) -> Check:
    """Texts in which every pattern is found."""
    compiled = [re.compile(pattern) for pattern in patterns]
    return Check(lambda v: all(pattern.search(v) for pattern in compiled), expected)


def has_any(*patterns: str, expected: str) -> Check:
    """Texts in which at least one of the patterns is found."""
    compiled = [re.compile(pattern) for pattern in patterns]
    return Check(lambda v: any(pattern.search(v) for pattern in compiled), expected)


def exclusive_subsets(*subsets: Sequence[object]) -> Check:
    """Lists with members of no more than one of the subsets."""
    names = "; ".join(", ".join(map(str, subset)) for subset in subsets)
    return Check(
        lambda v: sum(not set(subset).isdisjoint(v) for subset in subsets) < 2,
        f"members of only one of: {names}",
    )


# -- across fields ---------------------------------------------------------------------------------------


def value_of(instance: object, path: str) -> Any:
    """Return the value at a dotted path of an object or mapping, None if there is none."""
    for name in path.split("."):
        instance = instance.get(name) if isinstance(instance, Mapping) else getattr(instance, name, None)
    return instance


def is_empty(value: object) -> bool:
    """Say whether Kong takes a value for not given."""
    return value is None or (isinstance(value, (str, Sequence, set, Mapping)) and not value)


def given(instance: object, names: Iterable[str]) -> list[str]:
    """Return those of the names that are not empty."""
    return [name for name in names if not is_empty(value_of(instance, name))]


def quoted(names: Iterable[str]) -> str:
    """Write names as Kong's messages do: ``'a', 'b'``."""
    return ", ".join(f"'{name}'" for name in names)


def at_least_one_of(instance: object, *names: str) -> list[str]:
    if given(instance, names):
        return []
    return [f"at least one of these fields must be non-empty: {quoted(names)}"]


def only_one_of(instance: object, *names: str) -> list[str]:
    if len(given(instance, names)) == 1:
        return []
    return [f"exactly one of these fields must be non-empty: {quoted(names)}"]


def distinct(instance: object, *names: str) -> list[str]:
    values = [value_of(instance, name) for name in given(instance, names)]
    if all(value not in values[:place] for place, value in enumerate(values)):
        return []
    return [f"values of these fields must be distinct: {quoted(names)}"]


def mutually_required(instance: object, *names: str) -> list[str]:
    if len(given(instance, names)) in (0, len(names)):
        return []
    return [f"all or none of these fields must be set: {quoted(names)}"]


def mutually_exclusive(instance: object, *names: str) -> list[str]:
    if len(given(instance, names)) < 2:
        return []
    return [f"only one or none of these fields must be set: {quoted(names)}"]


def mutually_exclusive_sets(instance: object, first: Iterable[str], second: Iterable[str]) -> list[str]:
    one, other = given(instance, first), given(instance, second)
    if not (one and other):
        return []
    return [f"these sets are mutually exclusive: ({quoted(one)}), ({quoted(other)})"]


def conditional(
    instance: object,
    if_field: str,
    if_match: Check,
    then_field: str,
    then_match: Check | None = None,
    *,
    required: bool = False,
) -> list[tuple[str, str]]:
    """If ``if_field`` passes ``if_match``, ``then_field`` must pass ``then_match`` (and be there)."""
    value, then = value_of(instance, if_field), value_of(instance, then_field)
    if value is None or not if_match.test(value):
        return []
    if then is None:
        return [(then_field, f"missing, as {if_field} is {value!r}")] if required else []
    if then_match is None or then_match.test(then):
        return []
    return [(then_field, f"got {then!r}, expected {then_match.expected}, as {if_field} is {value!r}")]


def conditional_at_least_one_of(
    instance: object,
    if_field: str,
    if_match: Check,
    then: Sequence[str],
    else_match: Check | None = None,
    otherwise: Sequence[str] = (),
) -> list[str]:
    """If ``if_field`` passes ``if_match``, one of ``then`` is needed; if ``else_match``, ``otherwise``."""
    value = value_of(instance, if_field)
    if value is None:
        return []
    if if_match.test(value):
        return at_least_one_of(instance, *then)
    if else_match is not None and else_match.test(value):
        return at_least_one_of(instance, *otherwise)
    return []
