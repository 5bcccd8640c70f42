"""Write what :mod:`plugmw.inspection` describes and explains as lines of text."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from plugmw.cli.command import columns

#: Where the text of a configuration is cut.
WIDTH: Final = 60


# -- show ---------------------------------------------------------------------------------------------


def show(told: dict[str, Any]) -> list[str]:
    """Write what :func:`plugmw.inspection.description.show` tells."""
    lines = [f"store {told['store']}", ""] if told["store"] else []
    for chain in told["chains"]:
        lines += [_title(chain, told["unrouted"]), *_chain(chain, told), ""]
    if told["disabled"]:
        rows = [("entry", "applies to", "from")]
        rows += [(one["name"], _scope(one), _place(one["where"], told)) for one in told["disabled"]]
        lines += ["disabled, in no chain", *columns(rows, "  "), ""]
    lines += [f"warning: {warning}" for warning in told["warnings"]]
    return lines[:-1] if lines and not lines[-1] else lines


def _title(chain: dict[str, Any], unrouted: str | None) -> str:
    if chain["route"] is None:
        if unrouted is None:
            return "every request"
        return "requests without a route" + (", all answered 404" if unrouted == "404" else "")
    about = [f"{kind} {_values(values)}" for kind, values in chain["conditions"].items()]
    about += [f"service {chain['service']}"] if chain["service"] else []
    return f"route {chain['route']}: {'; '.join(about)}"


def _values(values: Any) -> str:
    if isinstance(values, dict):
        return ", ".join(f"{name}: {' | '.join(one)}" for name, one in values.items())
    return ", ".join(values)


def _chain(chain: dict[str, Any], told: dict[str, Any]) -> Iterator[str]:
    if not chain["slots"]:
        yield "  no entries: the app is called as it is"
        return
    rows: list[tuple[str, ...]] = [_HEAD]
    cuts = []
    for slot in chain["slots"]:
        for variant in slot["variants"]:
            rows.append(_slot_row(slot, variant, told))
        if slot["cuts"]:
            cuts.append((len(rows), f"  -- wrap of {slot['name']}: what follows runs inside it --"))
    lines = columns(rows, "  ")
    for place, text in reversed(cuts):
        lines.insert(place, text)
    yield from lines
    for one in chain["shadowed"]:
        where = _place(one["where"], told)
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


def _slot_row(slot: dict[str, Any], variant: dict[str, Any], told: dict[str, Any]) -> tuple[str, ...]:
    first = variant is slot["variants"][0]
    lone = len(slot["variants"]) == 1
    head = (str(slot["rank"]), slot["name"], str(slot["priority"]), _order(slot), " ".join(slot["phases"]))
    return (
        *(head if first else ("", "", "", "", "")),
        _scope(variant),
        "" if lone and variant["wins"] == "always" else variant["wins"],
        variant["on_error"],
        _place(variant["where"], told),
        _config(variant["config"]),
    )


def _order(slot: dict[str, Any]) -> str:
    texts = ["class" if slot["priority_from"] == "class" else f"entry, class has {slot['class_priority']}"]
    texts += [f"{side} {', '.join(slot[side])}" for side in ("before", "after") if slot[side]]
    return "; ".join(texts)


def _scope(one: dict[str, Any]) -> str:
    named = [f"{kind} {one[kind]}" for kind in ("route", "service", "consumer") if one[kind] is not None]
    return ", ".join(named) or "all"


def _place(where: str, told: dict[str, Any]) -> str:
    """Leave the file's name out: everything here is about that file."""
    return where.removeprefix(f"{told['source']}: ")


def _config(config: dict[str, Any]) -> str:
    text = " ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in config.items())
    text = text.replace('"..."', "...")
    return text if len(text) <= WIDTH else text[: WIDTH - 3] + "..."


# -- explain ------------------------------------------------------------------------------------------


def explain(told: dict[str, Any]) -> list[str]:
    """Write what :func:`plugmw.inspection.explain.explain` tells."""
    request, answer = told["request"], told["answer"]
    who = f" as {request['consumer']}" if request["consumer"] else ""
    lines = [f"{request['method']} {request['path']}{who} -> {_outcome(answer)}", ""]
    lines += [*_route(told["route"]), ""]
    if told["entries"]:
        lines += [*_waterfall(told), ""]
    for row in told["entries"]:
        lines += _remarks(row)
    if answer["body"] and answer["by"] != "the app":
        lines.append(f"body: {answer['body'].rstrip()}")
    lines += [f"note: {note}" for note in told["notes"]]
    lines += [f"logged: {line}" for line in told["messages"]]
    return lines[:-1] if not lines[-1] else lines


def _outcome(answer: dict[str, Any]) -> str:
    if answer["error"]:
        return f"the exception {answer['error']}"
    phase = f" in {answer['phase']}" if answer["phase"] else ""
    return f"{answer['status']} by {answer['by']}{phase}"


def _route(route: dict[str, Any]) -> Iterator[str]:
    if route["outcome"] == "matched":
        service = f" of service {route['service']}" if route["service"] else ""
        yield f"route: {route['name']}{service}, because {route['because']}"
    else:
        yield f"route: {_OUTCOMES[route['outcome']]}: {route['because']}"
    for other in route["also"]:
        yield f"  {other['name']} matches too, but {other['because']}"
    for reading in route.get("readings", ()):
        yield f"  read as {reading['path']}: {reading['route'] or 'no route'}"


_OUTCOMES: Final = {
    "no routes": "none",
    "unrouted": "none, so only the entries for all requests count",
    "refused": "none, so the answer is 404",
    "insecure": "one that plain http does not get",
    "ambiguous": "ambiguous",
    "not reached": "not looked for",
}


def _waterfall(told: dict[str, Any]) -> list[str]:
    """Draw entries (down) against phases (across); an empty cell is a phase the entry does not have."""
    phases = [p for p in _ACROSS if any(p in row["phases"] for row in told["entries"])]
    rows = [("#", "entry", *phases, "applies to", "from")]
    for rank, row in enumerate(told["entries"], 1):
        cells = [_cell(row["phases"].get(phase, "")) for phase in phases]
        scope = _scope(row["scope"]) if row["scope"] else f"({row['choice']})"
        rows.append((str(rank), row["name"], *cells, scope, _place(row["where"] or "", told)))
    app = "called" if told["app"]["called"] else "not called"
    return [*columns(rows, "  "), f"  the app: {app}"]


_ACROSS: Final = ("rewrite", "access", "wrap", "response", "header_filter", "body_filter", "log")


def _cell(text: str) -> str:
    return "-" if text == "not called" else text.replace("exit ", "EXIT ")


def _remarks(row: dict[str, Any]) -> Iterator[str]:
    for kind in ("request", "response"):
        if row[f"{kind}_headers"]:
            yield f"{row['name']}: {kind} headers changed: {', '.join(row[f'{kind}_headers'])}"
    for detail in row["details"]:
        yield f"{row['name']}: {detail}"
