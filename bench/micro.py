"""Microseconds per layer, in process: ``python -m bench.micro``; see ``README.md``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from bench import frameworks, routes, variants
from bench.driver import HEADERS, bare, calls, drive, measure, table
from bench.variants import NOTHING, REALISTIC, SCENARIOS, Variant

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

COUNTS = (0, 1, 5, 10, 30)
VARIANTS = {
    variant.name: variant
    for variant in (
        variants.CLOSURES,
        variants.COPYING,
        variants.PLUGMW,
        variants.CHECKED,
        variants.WEBOB,
        variants.WERKZEUG,
        frameworks.FLASK,
        frameworks.DJANGO,
        frameworks.PYRAMID,
        frameworks.FALCON,
        frameworks.BOTTLE,
    )
}
TITLES = {
    "nothing": "do-nothing access",
    "headers": "read one request header, set one response header",
    "phases": "do-nothing access + header_filter + log",
}
Cell = tuple[str, str, int]
BARE: Cell = ("bare", "", 0)


def prove(variant: Variant, scenario: str, n: int, app: WSGIApplication) -> None:
    """Raise unless ``app`` answers as the bare app does and each of ``n`` layers does its work once."""
    where = f"{variant.name}, {scenario}, {n} layers"
    answer = drive(app)
    expect(where, "status", answer.status[:3], "200")
    expect(where, "body", answer.body, b"ok")
    for name, value in HEADERS:
        found = [text.lower() for text in answer.values(name)]
        expect(where, name, found, [value.lower()])
    added = sorted(name.lower() for name, value in answer.headers if name.lower().startswith("x-out-"))
    expected = [f"x-out-{i}" for i in range(1, n + 1)] if scenario == REALISTIC else []
    expect(where, "added headers", added, sorted(expected))
    counted = variant.counted[scenario]
    seen = calls(app, counted)
    for name in counted:
        expect(where, f"calls of {name}", seen.count(name), n)
    if n and "log" in counted:
        expect(where, "logs last", seen[-n:], ["log"] * n)


def expect(where: str, what: str, found: object, expected: object) -> None:
    if found != expected:
        raise AssertionError(f"{where}: {what}: got {found!r}, expected {expected!r}")


def build(names: list[str], scenarios: list[str]) -> dict[Cell, Callable[[], object]]:
    """Build and prove every cell that is to be timed."""
    cells: dict[Cell, Callable[[], object]] = {BARE: partial(drive, bare)}
    for scenario in scenarios:
        for name in names:
            variant = VARIANTS[name]
            for n in COUNTS:
                app = variant.build(scenario, n)
                prove(variant, scenario, n, app)
                cells[name, scenario, n] = partial(drive, app)
    return cells


def layers(times: dict[Cell, float], name: str, scenario: str, n: int) -> float:
    """Return the microseconds per layer: over the bare app, or over a framework with no layers."""
    zero = times[name, scenario, 0] if VARIANTS[name].framework else times[BARE]
    return (times[name, scenario, n] - zero) / n


def costs(times: dict[Cell, float], name: str, scenario: str) -> list[float]:
    """Return the microseconds per layer at each count, then the slope from none to the most."""
    slope = (times[name, scenario, COUNTS[-1]] - times[name, scenario, 0]) / COUNTS[-1]
    return [*(layers(times, name, scenario, n) for n in COUNTS[1:]), slope]


def rows(times: dict[Cell, float], names: list[str], scenario: str) -> list[list[object]]:
    """Lay out one scenario: total without layers, per layer at each count, ratio to the closures."""
    result: list[list[object]] = []
    reference = costs(times, "closures", scenario) if "closures" in names else None
    for name in names:
        found = costs(times, name, scenario)
        ratios: list[object] = [None] * len(found)
        if reference:
            ratios = [mine / theirs for mine, theirs in zip(found, reference, strict=True)]
        result.append([name, times[name, scenario, 0], *found, *ratios])
    return result


HEAD = [
    "variant",
    "N=0 us",
    *(f"us/layer N={n}" for n in COUNTS[1:]),
    "slope",
    *(f"x N={n}" for n in COUNTS[1:]),
    "x slope",
]


def report(times: dict[Cell, float], names: list[str], scenarios: list[str]) -> dict[str, Any]:
    """Print the tables; return what they say for ``--json``."""
    result: dict[str, Any] = {"bare_us": times[BARE], "scenarios": {}}
    print(f"bare app: {times[BARE]:.3f} us a request\n")
    for scenario in scenarios:
        lines = rows(times, names, scenario)
        print(f"{scenario}: {TITLES[scenario]}")
        print(table(HEAD, lines), end="\n\n")
        result["scenarios"][scenario] = [dict(zip(HEAD, line, strict=True)) for line in lines]
    if "plugmw" in names and NOTHING in scenarios:
        one = times["plugmw", NOTHING, 1] - times[BARE]
        print(f"a Gateway with one empty plugin over the bare app: {one:.2f} us")
        result["one_empty_plugin_us"] = one
    return result


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.micro", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="times that every cell is visited")
    parser.add_argument("--slice", type=float, default=15.0, help="milliseconds of one visit")
    parser.add_argument("--variants", default=",".join(VARIANTS), help="comma-separated: %(default)s")
    parser.add_argument("--scenarios", default=",".join(SCENARIOS), help="comma-separated: %(default)s")
    parser.add_argument("--routes", action="store_true", help="time routing instead of layers")
    parser.add_argument("--json", metavar="FILE", help="write the results there as well")
    options = parser.parse_args(argv)
    names = [name for name in options.variants.split(",") if importable(name)]
    scenarios = options.scenarios.split(",")
    result: dict[str, Any]
    if options.routes:
        result = routes.run(options.rounds, options.slice)
    else:
        times = measure(build(names, scenarios), options.rounds, options.slice)
        result = report(times, names, scenarios)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({"python": sys.version, "rounds": options.rounds, **result}, file, indent=1)
    return 0


def importable(name: str) -> bool:
    """Say on stderr which variant is left out because its package is not installed."""
    if name not in VARIANTS:
        raise SystemExit(f"no variant {name!r}, expected some of {', '.join(VARIANTS)}")
    if name.startswith(("closures", "plugmw")) or find_spec(name):
        return True
    print(f"{name}: not installed, left out", file=sys.stderr)
    return False


if __name__ == "__main__":
    sys.exit(main())
