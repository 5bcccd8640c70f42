"""The shapes of what ``show``, ``plugins`` and ``explain`` report, as ``--json`` prints it."""

from __future__ import annotations

from typing import TypedDict

#: Kinds of conditions of a route, with their values; of headers by name.
Conditions = dict[str, list[str] | dict[str, list[str]]]
#: A priority; infinite ones are text, as JSON has no number for them.
Number = float | int | str


# -- show ---------------------------------------------------------------------------------------------


class Scope(TypedDict):
    """What an entry is limited to; None is no limit."""

    route: str | None
    service: str | None
    consumer: str | None


class Variant(Scope):
    """One entry. ``config`` has the fields that differ from their defaults."""

    name: str
    where: str
    on_error: str
    config: dict[str, object]


class SlotVariant(Variant):
    """An entry in its slot, and when it is the one that runs."""

    wins: str


class SlotReport(TypedDict):
    """The entries of one name in a chain."""

    rank: int
    name: str
    plugin: str
    priority: Number
    class_priority: Number
    priority_from: str
    before: list[str]
    after: list[str]
    phases: list[str]
    cuts: bool
    variants: list[SlotVariant]


class ChainReport(TypedDict):
    """The chain of one route, or of requests without a route."""

    route: str | None
    service: str | None
    conditions: Conditions
    slots: list[SlotReport]
    shadowed: list[Variant]


class BackendReport(TypedDict):
    """A backend of an endpoint; of its URL without user, password and the values of its query."""

    method: str
    hosts: list[str]
    url_pattern: str
    where: str


class EndpointReport(TypedDict):
    """An endpoint of a ``krakend.json``."""

    method: str
    endpoint: str
    where: str
    backends: list[BackendReport]


class _PlanReport(TypedDict):
    source: str | None
    store: str | None
    unrouted: str | None
    chains: list[ChainReport]
    disabled: list[Variant]
    warnings: list[str]


class PlanReport(_PlanReport, total=False):
    """The order in force."""

    #: Of a ``krakend.json`` only.
    endpoints: list[EndpointReport]


# -- plugins ------------------------------------------------------------------------------------------


class PluginReport(TypedDict):
    """One plugin that can be named; ``problem`` is why it cannot be used."""

    name: str
    priority: Number | None
    version: str | None
    phases: list[str]
    source: str
    summary: str
    problem: str | None
    remedy: str | None


# -- explain ------------------------------------------------------------------------------------------


class RequestReport(TypedDict):
    """The request that was tried."""

    method: str
    path: str
    consumer: str | None


class OtherRoute(TypedDict):
    """A route that matches as well, and why another came first."""

    name: str
    because: str


class Interpretation(TypedDict):
    """One way to read an ambiguous path, and the route it would take."""

    path: str
    route: str | None


class _RouteReport(TypedDict):
    outcome: str
    name: str | None
    service: str | None
    because: str
    also: list[OtherRoute]


class RouteReport(_RouteReport, total=False):
    """Which route the request took, and why."""

    readings: list[Interpretation]


class EntryReport(TypedDict):
    """What one slot of the chain did."""

    name: str
    choice: str
    where: str | None
    scope: Scope | None
    #: Outcomes by phase.
    phases: dict[str, str]
    details: list[str]
    request_headers: list[str]
    response_headers: list[str]


class AppReport(TypedDict):
    """Whether the app was called."""

    called: bool


class AnswerReport(TypedDict):
    """What the client gets, and from whom."""

    status: int | None
    by: str
    phase: str | None
    headers: list[str]
    body: str
    error: str | None


class StepReport(TypedDict):
    """One call of one plugin."""

    entry: str
    where: str
    phase: str
    outcome: str
    status: int | None
    detail: str
    request_headers: list[str]
    response_headers: list[str]


class CallReport(TypedDict):
    """A call to a backend: its URL with the values that the request gave, and names of headers."""

    method: str
    url: str
    hosts: list[str]
    #: How many such calls are made at once.
    times: int
    #: The client plugin that answers in the backend's place.
    plugin: str | None
    headers: list[str]
    where: str


class TrialReport(TypedDict):
    """Which endpoint of a ``krakend.json`` took the request, and its calls in the order of the file."""

    #: ``matched``, ``none`` or ``not reached``.
    outcome: str
    method: str | None
    endpoint: str | None
    where: str | None
    calls: list[CallReport]


class _Explanation(TypedDict):
    source: str | None
    request: RequestReport
    route: RouteReport
    entries: list[EntryReport]
    app: AppReport
    answer: AnswerReport
    steps: list[StepReport]
    messages: list[str]
    notes: list[str]


class Explanation(_Explanation, total=False):
    """One request, and what every entry did with it."""

    #: Of a ``krakend.json`` only.
    endpoint: TrialReport
