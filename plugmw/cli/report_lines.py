"""Write what :mod:`plugmw.inspection` describes and explains as lines of text."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

from plugmw.cli.command import columns
from plugmw.inspection.reports import (
    AnswerReport,
    ChainReport,
    EndpointReport,
    EntryReport,
    Explanation,
    PlanReport,
    RouteReport,
    Scope,
    SlotReport,
    SlotVariant,
    TrialReport,
)

#: Where the text of a configuration is cut.
WIDTH: Final = 60


# -- show ---------------------------------------------------------------------------------------------


def show(report: PlanReport) -> list[str]:
    """Write what :func:`plugmw.inspection.description.show` reports."""
    lines = [f"store {report['store']}", ""] if report["store"] else []
    for chain in report["chains"]:
        lines += [_title(chain, report["unrouted"]), *_chain(chain, report), ""]
    if report.get("endpoints"):
        lines += ["endpoints", *columns(list(_endpoints(report["endpoints"])), "  "), ""]
    if report["disabled"]:
        rows = [("entry", "applies to", "from")]
        for entry in report["disabled"]:
            rows.append((entry["name"], _scope(entry), _place(entry["where"], report["source"])))
        lines += ["disabled, in no chain", *columns(rows, "  "), ""]
    lines += [f"warning: {warning}" for warning in report["warnings"]]
    return lines[:-1] if lines and not lines[-1] else lines


def _endpoints(endpoints: list[EndpointReport]) -> Iterator[tuple[str, ...]]:
    yield "method", "endpoint", "backend", "from"
    for one in endpoints:
        head = one["method"], one["endpoint"]
        for backend in one["backends"]:
            others = f" (or {', '.join(backend['hosts'][1:])})" if backend["hosts"][1:] else ""
            url = f"{backend['method']} {backend['hosts'][0]}{backend['url_pattern']}{others}"
            yield *head, url, backend["where"]
            head = "", ""


def _title(chain: ChainReport, unrouted: str | None) -> str:
    if chain["route"] is None:
        if unrouted is None:
            return "every request"
        return "requests without a route" + (", all answered 404" if unrouted == "404" else "")
    about = [f"{kind} {_values(values)}" for kind, values in chain["conditions"].items()]
    about += [f"service {chain['service']}"] if chain["service"] else []
    return f"route {chain['route']}: {'; '.join(about)}"


def _values(values: list[str] | dict[str, list[str]]) -> str:
    if isinstance(values, dict):
        return ", ".join(f"{name}: {' | '.join(one)}" for name, one in values.items())
    return ", ".join(values)


def _chain(chain: ChainReport, report: PlanReport) -> Iterator[str]:
    if not chain["slots"]:
        yield "  no entries: the app is called as it is"
        return
    rows: list[tuple[str, ...]] = [_HEAD]
    cuts = []
    for slot in chain["slots"]:
        for variant in slot["variants"]:
            rows.append(_slot_row(slot, variant, report["source"]))
        if slot["cuts"]:
            cuts.append((len(rows), f"  -- wrap of {slot['name']}: what follows runs inside it --"))
    lines = columns(rows, "  ")
    for place, text in reversed(cuts):
        lines.insert(place, text)
    yield from lines
    for one in chain["shadowed"]:
        where = _place(one["where"], report["source"])
        yield f"  never: {one['name']} for {_scope(one)} ({where}), another always wins here"


_HEAD: Final = (
    "#",
    "entry",
    "priority",
    "order by",
    "phases",
    "applies to",
    "wins",
    "on_error",
    "from",
    "config",
)


def _slot_row(slot: SlotReport, variant: SlotVariant, source: str | None) -> tuple[str, ...]:
    first = variant is slot["variants"][0]
    lone = len(slot["variants"]) == 1
    head = (str(slot["rank"]), slot["name"], str(slot["priority"]), _order(slot), " ".join(slot["phases"]))
    return (
        *(head if first else ("", "", "", "", "")),
        _scope(variant),
        "" if lone and variant["wins"] == "always" else variant["wins"],
        variant["on_error"],
        _place(variant["where"], source),
        _config(variant["config"]),
    )


def _order(slot: SlotReport) -> str:
    texts = ["class" if slot["priority_from"] == "class" else f"entry, class has {slot['class_priority']}"]
    texts += [f"{side} {', '.join(slot[side])}" for side in ("before", "after") if slot[side]]
    return "; ".join(texts)


def _scope(scope: Scope) -> str:
    limits = {"route": scope["route"], "service": scope["service"], "consumer": scope["consumer"]}
    named = [f"{kind} {name}" for kind, name in limits.items() if name is not None]
    return ", ".join(named) or "all"


def _place(where: str, source: str | None) -> str:
    """Leave the file's name out: everything here is about that file."""
    return where.removeprefix(f"{source}: ")


def _config(config: dict[str, object]) -> str:
    text = " ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in config.items())
    text = text.replace('"..."', "...")
    return text if len(text) <= WIDTH else text[: WIDTH - 3] + "..."


# -- explain ------------------------------------------------------------------------------------------


def explain(report: Explanation) -> list[str]:
    """Write what :func:`plugmw.inspection.explain.explain` reports."""
    request, answer = report["request"], report["answer"]
    who = f" as {request['consumer']}" if request["consumer"] else ""
    lines = [f"{request['method']} {request['path']}{who} -> {_outcome(answer)}", ""]
    lines += [*_route(report["route"]), ""]
    if "endpoint" in report:
        lines += [*_trial(report["endpoint"]), ""]
    if report["entries"]:
        lines += [*_waterfall(report), ""]
    for row in report["entries"]:
        lines += _remarks(row)
    if answer["body"] and answer["by"] != "the app":
        lines.append(f"body: {answer['body'].rstrip()}")
    lines += [f"note: {note}" for note in report["notes"]]
    lines += [f"logged: {line}" for line in report["messages"]]
    return lines[:-1] if not lines[-1] else lines


def _outcome(answer: AnswerReport) -> str:
    if answer["error"]:
        return f"the exception {answer['error']}"
    phase = f" in {answer['phase']}" if answer["phase"] else ""
    return f"{answer['status']} by {answer['by']}{phase}"


def _route(route: RouteReport) -> Iterator[str]:
    if route["outcome"] == "matched":
        service = f" of service {route['service']}" if route["service"] else ""
        yield f"route: {route['name']}{service}, because {route['because']}"
    else:
        yield f"route: {_OUTCOMES[route['outcome']]}: {route['because']}"
    for other in route["also"]:
        yield f"  {other['name']} matches too, but {other['because']}"
    for reading in route.get("readings", ()):
        yield f"  read as {reading['path']}: {reading['route'] or 'no route'}"


def _trial(trial: TrialReport) -> Iterator[str]:
    if trial["outcome"] != "matched":
        why = "not looked for" if trial["outcome"] == "not reached" else "none has this method and path"
        yield f"endpoint: {why}"
        return
    yield f"endpoint: {trial['method']} {trial['endpoint']} ({trial['where']})"
    for call in trial["calls"]:
        text = f"  asks {call['method']} {call['url']} ({call['where']})"
        text += f", {call['times']} times at once" if call["times"] > 1 else ""
        text += f", at this host or {', '.join(call['hosts'][1:])}" if call["hosts"][1:] else ""
        yield text + (f", through the client plugin {call['plugin']}" if call["plugin"] else "")


_OUTCOMES: Final = {
    "no routes": "none",
    "unrouted": "none, so only the entries for all requests count",
    "refused": "none, so the answer is 404",
    "insecure": "one that plain http does not get",
    "ambiguous": "ambiguous",
    "not reached": "not looked for",
}


def _waterfall(report: Explanation) -> list[str]:
    """Draw entries (down) against phases (across); an empty cell is a phase the entry does not have."""
    phases = [p for p in _ACROSS if any(p in row["phases"] for row in report["entries"])]
    rows = [("#", "entry", *phases, "applies to", "from")]
    for rank, row in enumerate(report["entries"], 1):
        cells = [_cell(row["phases"].get(phase, "")) for phase in phases]
        scope = _scope(row["scope"]) if row["scope"] else f"({row['choice']})"
        rows.append((str(rank), row["name"], *cells, scope, _place(row["where"] or "", report["source"])))
    app = "called" if report["app"]["called"] else "not called"
    return [*columns(rows, "  "), f"  the app: {app}"]


_ACROSS: Final = ("rewrite", "access", "wrap", "response", "header_filter", "body_filter", "log")


def _cell(text: str) -> str:
    return "-" if text == "not called" else text.replace("exit ", "EXIT ")


def _remarks(row: EntryReport) -> Iterator[str]:
    for kind, names in (("request", row["request_headers"]), ("response", row["response_headers"])):
        if names:
            yield f"{row['name']}: {kind} headers changed: {', '.join(names)}"
    for detail in row["details"]:
        yield f"{row['name']}: {detail}"
