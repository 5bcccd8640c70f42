"""Metrics as numbers by key, and those numbers as the text that Prometheus scrapes. Pure functions.

The text is Kong's: labels in the order of their declaration, ``le="1"`` instead of ``le="1.0"``, and a
counter is called what it is called.
"""

from __future__ import annotations

import functools
import json
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, Literal

import attrs

_SURROGATE: Final = re.compile("[\ud800-\udfff]")


@attrs.frozen
class Metric:
    """A metric: its whole name, kind, help and labels; ``buckets`` are the bounds of a histogram."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


def clean(text: str) -> str:
    """Return a label's value up to the first character that cannot be sent as UTF-8."""
    return _SURROGATE.split(text, maxsplit=1)[0]


@functools.lru_cache(maxsize=16_384)
def _key(metric: str, labels: tuple[str, ...], part: str) -> str:
    return json.dumps([metric, labels, part])


def amounts(metric: Metric, labels: tuple[str, ...], value: float) -> list[tuple[str, float]]:
    """Return (key, what is added to its number) for one observation, or for a counter's growth."""
    if metric.kind != "histogram":
        return [(_key(metric.name, labels, ""), value)]
    place = str(bisect_left(metric.buckets, value))
    return [(_key(metric.name, labels, place), 1.0), (_key(metric.name, labels, "sum"), value)]


def text(metrics: Iterable[Metric], numbers: Mapping[str, float]) -> str:
    """Return the exposition of ``metrics``; those without a number are left out."""
    series: dict[str, dict[tuple[str, ...], dict[str, float]]] = {}
    for key, value in numbers.items():
        name, labels, part = json.loads(key)
        series.setdefault(name, {}).setdefault(tuple(labels), {})[part] = value
    lines: list[str] = []
    for metric in metrics:
        found = series.get(metric.name)
        if found:
            lines += [f"# HELP {metric.name} {metric.help}", f"# TYPE {metric.name} {metric.kind}"]
            for labels in sorted(found):
                lines += _samples(metric, labels, found[labels])
    return "".join(f"{line}\n" for line in lines)


def _samples(metric: Metric, labels: tuple[str, ...], parts: Mapping[str, float]) -> Iterator[str]:
    pairs = [f'{name}="{_escaped(value)}"' for name, value in zip(metric.labels, labels)]
    if metric.kind != "histogram":
        yield _line(metric.name, pairs, parts[""])
        return
    count = 0.0
    for place, bound in enumerate((*map(str, metric.buckets), "+Inf")):
        count += parts.get(str(place), 0.0)
        yield _line(f"{metric.name}_bucket", [*pairs, f'le="{bound}"'], count)
    yield _line(f"{metric.name}_count", pairs, count)
    yield _line(f"{metric.name}_sum", pairs, parts.get("sum", 0.0))


def _line(name: str, pairs: list[str], value: float) -> str:
    shown = str(int(value)) if float(value).is_integer() else repr(value)
    return f"{name}{{{','.join(pairs)}}} {shown}" if pairs else f"{name} {shown}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
