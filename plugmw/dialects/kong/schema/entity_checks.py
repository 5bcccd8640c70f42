"""The nine entity checks of Kong's schema language: rules across the fields of a record."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, TypeAlias

from plugmw.dialects.kong.schema.typedefs import Definition
from plugmw.schema import checks

#: What is wrong with a value, nested as the value is: a text, by field, or by element (None: it is good).
Failure: TypeAlias = "str | list[Failure | None] | dict[str, Failure]"
Record: TypeAlias = Mapping[str, object]
#: (dotted path, rule like ``{"eq": "redis"}``) -> what is wrong with the value there under it, or None.
Judge: TypeAlias = "Callable[[str, Definition], Failure | None]"
#: (path or "", failure): about a field, or about the record.
Finding: TypeAlias = "tuple[str, Failure]"
#: (rule, record, judge); what a rule holds depends on its check.
Check: TypeAlias = "Callable[[Any, Record, Judge], Iterator[Finding]]"


def _simple(check: Callable[..., list[str]]) -> Check:
    def run(rule: Iterable[str], record: Record, judge: Judge) -> Iterator[Finding]:
        yield from (("", text) for text in check(record, *rule))

    return run


def _conditional_at_least_one_of(rule: Definition, record: Record, judge: Judge) -> Iterator[Finding]:
    side = "then"
    if judge(rule["if_field"], rule["if_match"]) is not None:
        if "else_match" not in rule or judge(rule["if_field"], rule["else_match"]) is not None:
            return
        side = "else_then"
    names = rule.get(f"{side}_at_least_one_of") or ()
    for text in checks.at_least_one_of(record, *names):
        yield "", _filled(rule.get(f"{side}_err"), checks.quoted(names)) or text


def _conditional(rule: Definition, record: Record, judge: Judge) -> Iterator[Finding]:
    if judge(rule["if_field"], rule["if_match"]) is not None:
        return
    failure = judge(rule["then_field"], rule["then_match"])
    if failure is not None:
        yield rule["then_field"], failure
        default = f"failed conditional validation given value of field '{rule['if_field']}'"
        yield "", _filled(rule.get("then_err"), rule["if_field"]) or default


def _mutually_exclusive_sets(rule: Definition, record: Record, judge: Judge) -> Iterator[Finding]:
    yield from (("", text) for text in checks.mutually_exclusive_sets(record, rule["set1"], rule["set2"]))


def _custom(rule: Definition, record: Record, judge: Judge) -> Iterator[Finding]:
    """Run ``fn`` over the fields in ``field_sources``; it returns a text or None. In process only."""
    problem = rule["fn"]({name: checks.value_of(record, name) for name in rule["field_sources"]})
    if problem:
        yield "", str(problem)


def _filled(text: object, names: str) -> str:
    return str(text).replace("%s", names, 1) if text else ""


ENTITY_CHECKS: Final[dict[str, Check]] = {
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
