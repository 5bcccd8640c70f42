"""Describe a configuration as plain data: the order in force, the known plugins, the JSON Schema.

    show(read_plan("gateway.yaml"))["chains"][0]["slots"][0]["name"]     # "ip-restriction"

Nothing here opens or changes anything. Secrets are not in the data: values of secret fields and values from
the environment are ``...``, URLs are without user, password and query.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import attrs

from plugmw import schema
from plugmw.auth.consumers import ConsumerConfig
from plugmw.configuration.plan import Plan
from plugmw.configuration.settings import Settings
from plugmw.dispatch import arrangements
from plugmw.documents import Document
from plugmw.documents.document import Place
from plugmw.errors import LoadError
from plugmw.inspection.reports import (
    ChainReport,
    Conditions,
    Number,
    PlanReport,
    PluginReport,
    SlotReport,
    SlotVariant,
    Variant,
)
from plugmw.kernel import phases
from plugmw.kernel.order import Entry, Slot
from plugmw.kernel.plugin import Plugin
from plugmw.routing.router import Route
from plugmw.schema.describing import JSONSchema
from plugmw.schema.patterns import Pattern
from plugmw.sources import Catalogue
from plugmw.stores.urls import redact

#: What stands for a value that is not shown.
HIDDEN = "..."


# -- the order in force -------------------------------------------------------------------------------


def chains(plan: Plan) -> list[tuple[Route | None, list[Slot]]]:
    """Return the slots of every route's chain, and at the end of the one for requests without a route."""
    return list(arrangements(plan.entries, plan.routes, plan.settings.unrouted))


def show(plan: Plan, route: str | None = None) -> PlanReport:
    """Return the order in force, per route, and why; of one route if it is named."""
    reports = [
        _chain(plan, taken, line)
        for taken, line in chains(plan)
        if route is None or (taken and taken.name == route)
    ]
    report: PlanReport = {
        "source": plan.document.source,
        "store": redact(plan.runtime.store_url) if isinstance(plan.runtime.store_url, str) else None,
        "unrouted": plan.settings.unrouted if plan.routes else None,
        "chains": reports,
        "disabled": [_variant(plan, entry) for entry in plan.entries if not entry.enabled],
        "warnings": [str(warning) for warning in plan.warnings],
    }
    if any(entry.plugin.name == "krakend" for entry in plan.entries):
        # Imported here, as in explain: KrakenD's modules need WebOb, which most commands do without.
        from plugmw.inspection import endpoints

        served = endpoints.endpoints_of(plan)
        if served is not None:
            report["endpoints"] = endpoints.listed(served)
    return report


def _chain(plan: Plan, route: Route | None, line: list[Slot]) -> ChainReport:
    used = {id(entry) for slot in line for entry in slot.entries}
    names = {slot.name for slot in line}
    shadowed = [
        _variant(plan, entry)
        for entry in plan.entries
        if entry.enabled and entry.name in names and id(entry) not in used and _applies(plan, entry, route)
    ]
    return {
        "route": route.name if route else None,
        "service": route.service if route else None,
        "conditions": conditions(route) if route else {},
        "slots": [_slot(plan, rank, slot) for rank, slot in enumerate(line, 1)],
        "shadowed": shadowed,
    }


def _applies(plan: Plan, entry: Entry, route: Route | None) -> bool:
    if route is None:
        return not plan.routes or entry.is_global
    return entry.route in (None, route.name) and entry.service in (None, route.service)


def conditions(route: Route) -> Conditions:
    """Return the conditions of a route that has any."""
    kinds = {name: getattr(route, name) for name in ("hosts", "methods", "paths")}
    present: Conditions = {name: list(values) for name, values in kinds.items() if values}
    return present | ({"headers": dict(route.headers)} if route.headers else {})


def _slot(plan: Plan, rank: int, slot: Slot) -> SlotReport:
    first = slot.entries[0]
    variants: list[SlotVariant] = [
        {**_variant(plan, entry), "wins": _wins(slot, entry)} for entry in slot.entries
    ]
    return {
        "rank": rank,
        "name": slot.name,
        "plugin": str(first.plugin.name),
        "priority": number(first.rank),
        "class_priority": number(first.plugin.priority),
        "priority_from": "class" if first.priority is None else "entry",
        "before": sorted({name for entry in slot.entries for name in entry.before}),
        "after": sorted({name for entry in slot.entries for name in entry.after}),
        "phases": [phase for phase in phases.PHASES if phase != phases.CONFIGURE and slot.has(phase)],
        "cuts": slot.has(phases.WRAP),
        "variants": variants,
    }


def _variant(plan: Plan, entry: Entry) -> Variant:
    return {
        "name": entry.name,
        "where": entry.where,
        "route": entry.route,
        "service": entry.service,
        "consumer": entry.consumer,
        "on_error": entry.on_error,
        "config": shown_config(plan.document, entry),
    }


def _wins(slot: Slot, entry: Entry) -> str:
    """Say when this variant is the one that runs."""
    tests = [f"the consumer is {entry.consumer}"] if entry.consumer else []
    tests += ["its `when` says so"] if entry.when else []
    if tests:
        return "if " + " and ".join(tests)
    return "always" if entry is slot.entries[0] else "otherwise"


def number(value: float) -> Number:
    """Write a priority the shortest way that JSON can hold."""
    if value != value or value in (float("inf"), float("-inf")):
        return str(value)
    return int(value) if value == int(value) else value


# -- configurations without their secrets -------------------------------------------------------------


def shown_config(document: Document, entry: Entry) -> dict[str, object]:
    """Return the fields of an entry that differ from their defaults, as plain data without secrets."""
    if not attrs.has(type(entry.plugin.config)):
        return {}
    return _shown_fields(document, entry.plugin.config, (*entry.path, "config"))


def _shown_fields(document: Document, config: object, place: Place) -> dict[str, object]:
    fields: dict[str, object] = {}
    for field in schema.fields_of(type(config)):
        value = getattr(config, field.name)
        if value == field.default:
            continue
        aliased = any(document.is_secret((*place, alias)) for alias in field.aliases)
        secret = field.secret and value is not None
        shown = HIDDEN if secret or aliased else _shown(document, value, (*place, field.name))
        fields[field.name] = shown
    return fields


def _shown(document: Document, value: object, place: Place) -> object:
    if document.is_secret(place):
        return HIDDEN
    if isinstance(value, Pattern):
        return value.pattern
    if attrs.has(type(value)):
        return _shown_fields(document, value, place)
    if isinstance(value, Mapping):
        return {str(key): _shown(document, item, (*place, key)) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_shown(document, item, (*place, index)) for index, item in enumerate(value)]
    if isinstance(value, str):
        return redact(value) if re.match(r"[a-z][a-z0-9+.-]*://", value) else value
    return value if value is None or isinstance(value, (bool, int, float)) else str(value)


# -- the known plugins --------------------------------------------------------------------------------


def plugins(catalogue: Catalogue) -> list[PluginReport]:
    """Return every plugin that can be named, in running order; those that cannot be loaded come last."""
    reports = [_plugin(catalogue, name, source) for name, source in catalogue.names().items()]
    good = [one for one in reports if not one["problem"]]
    good.sort(key=lambda one: one["name"], reverse=True)
    good.sort(key=lambda one: float(one["priority"] or 0), reverse=True)
    return good + sorted((one for one in reports if one["problem"]), key=lambda one: str(one["name"]))


def _plugin(catalogue: Catalogue, name: str, source: str) -> PluginReport:
    report: PluginReport = {
        "name": name,
        "priority": None,
        "version": None,
        "phases": [],
        "source": source,
        "summary": "",
        "problem": None,
        "remedy": None,
    }
    try:
        plugin = catalogue.find(name)
    except LoadError as error:
        return {**report, "problem": error.what, "remedy": error.expected}
    report |= {"priority": number(plugin.priority), "version": plugin.version, "phases": plugin.phases()}
    return {**report, "summary": summary(plugin)}


def summary(plugin: type[Plugin]) -> str:
    """Return the first line about a plugin: of its class, or of its module where that only names phases."""
    module = sys.modules.get(plugin.__module__)
    for text in (plugin.__dict__.get("__doc__"), getattr(module, "__doc__", None)):
        line = (text or "").strip().partition("\n")[0].rstrip()
        if line and not line.startswith("Phases:"):
            return line
    return ""


# -- JSON Schema --------------------------------------------------------------------------------------

_PLACEHOLDER = {"$ref": "#/$defs/placeholder"}


def file_schema(catalogue: Catalogue) -> JSONSchema:
    """Return the JSON Schema (2020-12) of a gateway file, with the fields of every plugin that loads."""
    whole = _open(schema.json_schema(Settings))
    properties = whole["properties"]
    properties["consumers"]["items"] = _open(schema.json_schema(ConsumerConfig))
    entry = properties["plugins"]["items"]
    names = sorted(catalogue.names())
    entry["properties"]["name"] |= {"anyOf": [{"enum": names}, {"type": "string"}]}
    definitions: JSONSchema = {
        "placeholder": {
            "type": "string",
            "pattern": r"\$\{",
            "description": "Filled in from the environment.",
        }
    }
    entry["allOf"] = []
    for name in names:
        try:
            config = _open(schema.json_schema(catalogue.find(name).Config))
        except LoadError:
            continue
        definitions[f"plugin {name}"] = config
        entry["allOf"].append(_where_named(name, bool(config.get("required"))))
    if not entry["allOf"]:
        del entry["allOf"]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "plugmw gateway file",
        "description": "Plugins round a WSGI app: entries, routes and consumers.",
        **whole,
        "$defs": definitions,
    }


def _where_named(name: str, required: bool) -> JSONSchema:
    then: JSONSchema = {"properties": {"config": {"$ref": f"#/$defs/{quote(f'plugin {name}')}"}}}
    if required:
        then["required"] = ["config"]
    return {"if": {"properties": {"name": {"const": name}}, "required": ["name"]}, "then": then}


def _open(closed: JSONSchema) -> JSONSchema:
    """Let ``${NAME}`` stand wherever a file may have one: for all values but free text, lists and maps."""
    opened = {key: _open_part(key, value) for key, value in closed.items()}
    about = {key: opened.pop(key) for key in ("description", "default") if key in opened}
    kind = opened.get("type")
    if kind in ("integer", "number", "boolean") or {"enum", "pattern", "format"} & opened.keys():
        opened = {"anyOf": [opened, _PLACEHOLDER]}
    return opened | about


def _open_part(key: str, value: Any) -> Any:
    if key == "properties":
        return {name: _open(part) for name, part in value.items()}
    if key in ("items", "additionalProperties") and isinstance(value, dict):
        return _open(value)
    if key == "anyOf":
        opened = [_open(part) for part in value]
        nested = [inner for part in opened for inner in (part["anyOf"] if [*part] == ["anyOf"] else [part])]
        return [part for place, part in enumerate(nested) if part not in nested[:place]]
    return value
