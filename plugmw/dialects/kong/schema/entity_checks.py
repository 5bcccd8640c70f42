"""The nine entity checks of Kong's schema language: rules across the fields of a record."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from plugmw.schema import checks

#: (dotted path, rule like ``{"eq": "redis"}``) -> what is wrong with the value there under it, or None.
Judge = Callable[[str, Mapping[str, Any]], Any]
#: (path or "", text): about a field, or about the record.
Told = tuple[str, str]


def _simple(check: Callable[..., list[str]]) -> Callable[[Any, Any, Judge], Iterator[Told]]:
    def run(rule: Any, data: Any, judge: Judge) -> Iterator[Told]:
        yield from (("", text) for text in check(data, *rule))

    return run


def _conditional_at_least_one_of(rule: Any, data: Any, judge: Judge) -> Iterator[Told]:
    side = "then"
    if judge(rule["if_field"], rule["if_match"]) is not None:
        if "else_match" not in rule or judge(rule["if_field"], rule["else_match"]) is not None:
            return
        side = "else_then"
    names = rule.get(f"{side}_at_least_one_of") or ()
    for text in checks.at_least_one_of(data, *names):
        yield "", _filled(rule.get(f"{side}_err"), checks.quoted(names)) or text


def _conditional(rule: Any, data: Any, judge: Judge) -> Iterator[Told]:
    if judge(rule["if_field"], rule["if_match"]) is not None:
        return
    told = judge(rule["then_field"], rule["then_match"])
    if told is not None:
        yield rule["then_field"], told
        default = f"failed conditional validation given value of field '{rule['if_field']}'"
        yield "", _filled(rule.get("then_err"), rule["if_field"]) or default


def _mutually_exclusive_sets(rule: Any, data: Any, judge: Judge) -> Iterator[Told]:
    yield from (("", text) for text in checks.mutually_exclusive_sets(data, rule["set1"], rule["set2"]))


def _custom(rule: Any, data: Any, judge: Judge) -> Iterator[Told]:
    """Run ``fn`` over the fields in ``field_sources``; it returns a text or None. In process only."""
    told = rule["fn"]({name: checks.value_of(data, name) for name in rule["field_sources"]})
    if told:
        yield "", str(told)


def _filled(text: Any, names: str) -> str:
    return str(text).replace("%s", names, 1) if text else ""


ENTITY_CHECKS: Final[dict[str, Callable[[Any, Any, Judge], Iterator[Told]]]] = {
    "at_least_one_of": _simple(checks.at_least_one_of),
    "conditional_at_least_one_of": _conditional_at_least_one_of,
    "only_one_of": _simple(checks.only_one_of),
    "distinct": _simple(checks.distinct),
    "conditional": _conditional,
    "custom_entity_check": _custom,
    "mutually_required": _simple(checks.mutually_required),
    "mutually_exclusive": _simple(checks.mutually_exclusive),
    "mutually_exclusive_sets": _mutually_exclusive_sets,
}
