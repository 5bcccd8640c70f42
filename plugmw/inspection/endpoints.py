"""Describe the endpoints of a ``krakend.json``, and what one request would ask of their backends."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final
from urllib.parse import parse_qsl, unquote, urlencode

from plugmw.configuration.plan import Plan
from plugmw.dialects.krakend.endpoints import Endpoints
from plugmw.dialects.krakend.model import Backend
from plugmw.dialects.krakend.registry import CLIENT
from plugmw.dialects.krakend.trial import Trial, TriedCall
from plugmw.documents.document import Place, render_place
from plugmw.inspection.recorder import Trace
from plugmw.inspection.reports import BackendReport, CallReport, EndpointReport, TrialReport
from plugmw.kernel import phases

_USER: Final = re.compile(r"(?<=://)[^/@]*@")
HIDDEN: Final = "..."


def endpoints_of(plan: Plan) -> Endpoints | None:
    """Return the entry that answers the endpoints of a plan, if it has any."""
    plugins = (entry.plugin for entry in plan.entries)
    return next((plugin for plugin in plugins if isinstance(plugin, Endpoints)), None)


def listed(endpoints: Endpoints) -> list[EndpointReport]:
    """Return every endpoint with its backends, in the order of the file."""
    return [
        {
            "method": one.method,
            "endpoint": one.endpoint,
            "where": render_place(one.place),
            "backends": [_backend(backend) for backend in one.backend],
        }
        for one in endpoints.service.endpoints
    ]


def _backend(backend: Backend) -> BackendReport:
    return {
        "method": backend.method,
        "hosts": _hosts(backend),
        "url_pattern": _shown(backend.url_pattern, ()),
        "where": render_place(backend.place),
    }


def tried(trial: Trial, endpoints: Endpoints, trace: Trace, target: str) -> TrialReport:
    """Return what became of a request for ``target``; values of a query that are not its own are hidden."""
    endpoint = trial.endpoint
    if endpoint is None:
        came = any(
            isinstance(one.entry.plugin, Endpoints) and one.phase == phases.WRAP for one in trace.steps
        )
        outcome = "none" if came else "not reached"
        return {"outcome": outcome, "method": None, "endpoint": None, "where": None, "calls": []}
    calls: dict[Place, TriedCall] = {}
    for call in trial.calls:
        calls.setdefault(call.backend.place, call)
    order, given = [backend.place for backend in endpoint.backend], _values(target)
    return {
        "outcome": "matched",
        "method": endpoint.method,
        "endpoint": endpoint.endpoint,
        "where": render_place(endpoint.place),
        "calls": [_call(calls[place], endpoint.concurrent_calls, given) for place in order if place in calls],
    }


def _values(target: str) -> set[str]:
    """Return the values that a request gives: segments of its path, and of its query."""
    path, _, query = target.partition("?")
    return {*map(unquote, path.split("/")), *(value for _, value in parse_qsl(query))}


def _call(call: TriedCall, times: int, given: Collection[str]) -> CallReport:
    asked = call.backend.extra_config.get(CLIENT.namespaces[0])
    name = asked.get("name") if isinstance(asked, dict) else None
    return {
        "method": call.method,
        "url": _shown(call.url, given),
        "hosts": _hosts(call.backend),
        "times": times,
        "plugin": name if isinstance(name, str) else None,
        "headers": call.headers,
        "where": render_place(call.backend.place),
    }


def _hosts(backend: Backend) -> list[str]:
    return [_USER.sub("", host) for host in backend.host]


def _shown(url: str, given: Collection[str]) -> str:
    """Return a URL without user and password, whose query has no values but those that the request gave."""
    address, mark, query = _USER.sub("", url).partition("?")
    pairs = parse_qsl(query, keep_blank_values=True)
    shown = [(name, value if value in given or _is_parameter(value) else HIDDEN) for name, value in pairs]
    return address + mark + urlencode(shown, safe="{}.")


def _is_parameter(value: str) -> bool:
    return not value or (value.startswith("{") and value.endswith("}"))
