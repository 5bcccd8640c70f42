"""Explain one request: send it through the real chain round a stub app, and report what every entry did.

    explanation = explain("gateway.yaml", Request("GET", "/api/items", headers=[("apikey", "k")]))
    explanation["answer"]                       # {"status": 401, "by": "key-auth", "phase": "access", ...}

It is a dry run. Counters are kept in a memory store, the app is a stub that answers 200, and an entry that
is about to call out (:mod:`plugmw.kernel.dry_run`) is stopped there; the explanation says so, and the
entry counts as having done nothing. ``log`` is not called, because it records. With ``run`` they do it for
real; the store stays in memory.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_to_bytes, urlsplit

import attrs

from plugmw.configuration import translators
from plugmw.configuration.extras import Item
from plugmw.configuration.plan import Plan
from plugmw.documents import Document
from plugmw.documents.files import Source
from plugmw.documents.translated import Options
from plugmw.errors import LoadError, PlugmwError
from plugmw.gateway import Gateway
from plugmw.inspection import description
from plugmw.inspection.recorder import Step, Trace
from plugmw.inspection.reports import (
    AnswerReport,
    EntryReport,
    Explanation,
    RouteReport,
    StepReport,
)
from plugmw.kernel import phases
from plugmw.kernel.dry_run import dry_run
from plugmw.kernel.order import Entry, Slot
from plugmw.kernel.refusals import LEVEL as REFUSED
from plugmw.routing.router import Rank, Route, Router
from plugmw.wsgi import keys
from plugmw.wsgi.headers import cgi_key
from plugmw.wsgi.paths import full_path, normalise
from plugmw.wsgi.text import decode

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

#: How many bytes of an answer's body are shown.
BODY_SHOWN: Final = 200


@attrs.frozen
class Request:
    """A request to explain. ``target`` is a path with an optional query, or a whole http(s) URL."""

    method: str
    target: str
    headers: Sequence[tuple[str, str]] = ()
    #: The address of the client, as the server would see it.
    address: str = "127.0.0.1"

    def environ(self) -> WSGIEnvironment:
        """Return the WSGI environ that a server makes of it."""
        from wsgiref.util import setup_testing_defaults

        scheme, host, target = "http", "localhost", self.target
        if target.startswith(("http://", "https://")):
            parts = urlsplit(target)
            scheme, host = parts.scheme, parts.netloc
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        path, _, query = target.partition("?")
        environ: WSGIEnvironment = {
            "REQUEST_METHOD": self.method,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
            "QUERY_STRING": query,
            "RAW_URI": target,
            "REMOTE_ADDR": self.address,
            "wsgi.url_scheme": scheme,
            "HTTP_HOST": host,
            "SERVER_NAME": host.partition(":")[0],
            "SERVER_PORT": host.partition(":")[2] or ("443" if scheme == "https" else "80"),
            # The same in every run, so that two runs can be compared.
            keys.REQUEST_ID: "explain",
        }
        for name, value in self.headers:
            key = cgi_key(name)
            environ[key] = f"{environ[key]},{value}" if key in environ and key != "HTTP_HOST" else value
        setup_testing_defaults(environ)
        return environ


def explain(
    source: Source | Document,
    request: Request,
    *,
    consumer: str | None = None,
    run: bool = False,
    plugins: Sequence[Item] = (),
    dialect: str | None = None,
) -> Explanation:
    """Send ``request`` through the gateway that ``source`` (and ``plugins`` in code) configures.

    ``consumer`` (id, username or custom_id) is taken as authenticated wherever an entry would
    authenticate; ``dialect`` says whose document it is. Raises :class:`~plugmw.errors.ConfigErrors`,
    ``LookupError`` for an unknown consumer, and :class:`~plugmw.kernel.dry_run.SideEffect` when something
    calls out that is no phase (``configure``, ``when``).
    """
    app = _StubApp()
    messages = _Messages()
    document = translators.read(source, dialect, Options(offline=not run))
    from plugmw.dialects.krakend.model import APP
    from plugmw.dialects.krakend.trial import Trial
    from plugmw.inspection import endpoints

    trace = Trace(mute=frozenset() if run else frozenset((phases.LOG,)))

    def dry() -> contextlib.AbstractContextManager[object]:
        return contextlib.nullcontext() if run else dry_run()

    with dry(), messages:
        gateway = _gateway(app, document, plugins, messages)
    if consumer is not None:
        trace.consumer = gateway.plan.runtime.consumers.consumer(consumer)
        if trace.consumer is None:
            raise LookupError(f'no consumer "{consumer}"')
    served, trial = endpoints.endpoints_of(gateway.plan), Trial(live=run)
    if served is not None:
        served.trial = trial
    environ = request.environ()
    trace.routed = dict(environ)
    with dry(), messages:
        gateway.try_out(trace.entries(gateway.plan.entries), None if run else app)
        answer = _send(gateway, environ)
        gateway.stop()
    explanation = _explanation(gateway.plan, request, trace, app, answer, messages)
    if served is not None:
        explanation["endpoint"] = endpoints.tried(trial, served, trace, request.target)
        if trial.calls and not run:
            explanation["notes"].append("no backend was asked: each counts as answering with nothing in it")
            asks_app = any(call.url.startswith(APP) for call in trial.calls)
            explanation["app"]["called"] = app.called or asks_app
    return explanation


def _gateway(app: _StubApp, document: Document, plugins: Sequence[Item], messages: _Messages) -> Gateway:
    try:
        return Gateway(
            app, document, plugins=plugins, store="memory://", logger=messages.logger, reload=False
        )
    except PlugmwError:
        raise
    except Exception as error:  # a plugin's wrap, which is called when the chain is compiled
        raise LoadError("the chain cannot be compiled", f"{type(error).__name__}: {error}") from error


class _StubApp:
    """Stands in for the app: answers 200 and remembers that it was called."""

    called = False

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        self.called = True
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "8")])
        return [b"the app\n"]


class _Messages(logging.Handler):
    """Collects what the gateway and its plugins log."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.logger = logging.getLogger("plugmw.explain")
        self.logger.propagate = False
        self.logger.setLevel(logging.INFO)
        self.lines: list[str] = []

    def __enter__(self) -> None:
        self.logger.addHandler(self)

    def __exit__(self, *error: object) -> None:
        self.logger.removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno == REFUSED:
            return  # who refuses is what is explained
        cause = record.exc_info[1] if record.exc_info else None
        text = f"{record.levelname.lower()}: {record.getMessage()}"
        self.lines.append(f"{text}: {type(cause).__name__}: {cause}" if cause else text)


@attrs.define
class _Answer:
    status: str = ""
    headers: list[tuple[str, str]] = attrs.field(factory=list)
    body: bytes = b""
    error: str = ""


def _send(gateway: Gateway, environ: WSGIEnvironment) -> _Answer:
    answer = _Answer()

    def start_response(
        status: str, headers: list[tuple[str, str]], exc_info: object = None
    ) -> Callable[[bytes], object]:
        answer.status, answer.headers = status, list(headers)
        return written.append

    written: list[bytes] = []
    try:
        result = gateway(environ, start_response)
        try:
            written.extend(result)
        finally:
            close = getattr(result, "close", None)
            if close is not None:
                close()
    except Exception as error:
        answer.error = f"{type(error).__name__}: {error}"
    answer.body = b"".join(written)
    return answer


# -- the explanation ----------------------------------------------------------------------------------


def _explanation(
    plan: Plan, request: Request, trace: Trace, app: _StubApp, answer: _Answer, messages: _Messages
) -> Explanation:
    routing, route = _routing(plan, trace)
    line = _line(plan, trace, routing["outcome"], route)
    entries = [
        _row(trace, slot, app.called or _passed(trace, line[place:])) for place, slot in enumerate(line, 1)
    ]
    return {
        "source": plan.document.source,
        "request": {
            "method": request.method,
            "path": _readable(normalise(_raw_path(trace))),
            "consumer": trace.consumer.username or trace.consumer.id if trace.consumer else None,
        },
        "route": routing,
        "entries": entries,
        "app": {"called": app.called},
        "answer": _answer(trace, app, answer, routing["outcome"]),
        "steps": [_step(step) for step in trace.steps],
        "messages": messages.lines,
        "notes": list(_notes(trace, line)),
    }


def _notes(trace: Trace, line: list[Slot]) -> Iterable[str]:
    authenticating = any(entry.plugin.authenticates for slot in line for entry in slot.entries)
    if trace.consumer and not authenticating:
        yield "no entry here authenticates, so nobody is known to the others whoever is given as consumer"


def _routing(plan: Plan, trace: Trace) -> tuple[RouteReport, Route | None]:
    """Repeat the decision on the request as it was then, and say why."""
    report: RouteReport = {"outcome": "", "name": None, "service": None, "because": "", "also": []}
    if any(step.phase == phases.REWRITE and step.outcome in ("exit", "failed") for step in trace.steps):
        report |= {"outcome": "not reached", "because": "an entry answered before routing"}
        return report, None
    router, trusted = Router(plan.routes, plan.settings.unrouted), plan.runtime.trusted
    decision = router.decide(trace.routed, trusted)
    report |= {"outcome": decision.outcome, "because": decision.because}
    if decision.interpretations:
        report["readings"] = [
            {"path": way, "route": rule.route.name if rule else None}
            for way in sorted({normalise(_raw_path(trace)), *decision.interpretations})
            for rule in [router.match(trace.routed, trusted, way)]
        ]
    winner = decision.rule
    if winner is None:
        return report, None
    report |= {"name": winner.route.name, "service": winner.route.service}
    report["because"] = decision.because or winner.because
    lost = router.candidates(trace.routed, trusted, normalise(_raw_path(trace)))
    others = {id(rule.route): rule for rule in reversed(lost) if rule.route is not winner.route}
    report["also"] = [
        {"name": rule.route.name, "because": _lost(winner.rank, rule.rank)}
        for rule in reversed(others.values())
    ]
    return report, winner.route


def _raw_path(trace: Trace) -> str:
    return full_path(trace.routed)


def _readable(path: str) -> str:
    """Turn WSGI's latin-1 form into text."""
    return decode(path, "replace")


def _lost(winner: Rank, other: Rank) -> str:
    """Say by what the winner's rank (see :mod:`plugmw.routing.router`) is before the other's."""
    place = next((i for i, (one, two) in enumerate(zip(winner, other)) if one != two), len(_RANKS) - 1)
    if place == _WEIGHT and winner[_WEIGHT][0] == other[_WEIGHT][0]:
        return "has a lower regex_priority"
    return _RANKS[place]


_WEIGHT: Final = 3
_RANKS = (
    "has fewer kinds of conditions",
    "has only wildcard hosts",
    "has fewer headers",
    "has a path prefix, and regular expressions come first",
    "has a shorter path",
    "is for HEAD because it is for GET",
    "is later in the file",
)


def _line(plan: Plan, trace: Trace, outcome: str, route: Route | None) -> list[Slot]:
    """Return the slots the request met."""
    refused = outcome not in ("matched", "unrouted", "no routes")
    line = next(line for other, line in description.chains(plan) if other is (None if refused else route))
    return [slot for slot in line if not refused or trace.of(slot.entries[0], phases.REWRITE)]


def _passed(trace: Trace, below: list[Slot]) -> bool:
    """Say whether the request came as far as these slots on its way in."""
    entries = {id(entry) for slot in below for entry in slot.entries}
    return any(step.phase == phases.ACCESS and id(step.entry) in entries for step in trace.steps)


def _row(trace: Trace, slot: Slot, passed: bool) -> EntryReport:
    entry = slot.entries[0] if slot.direct else _called(trace, slot)
    chosen = entry or slot.entries[0]
    steps = [step for step in trace.steps if step.entry is entry]
    shown = [p for p in _SHOWN_PHASES if (hasattr(entry.plugin, p) if entry else slot.has(p))]
    return {
        "name": slot.name,
        # Which variant it was is known from its calls: there are none before the request gets there.
        "choice": "made" if entry else "none applies" if passed else "not reached",
        "where": chosen.where if entry else None,
        "scope": {"route": chosen.route, "service": chosen.service, "consumer": chosen.consumer}
        if entry
        else None,
        "phases": {phase: _cell(trace.of(chosen, phase) if entry else None) for phase in shown},
        "details": list(dict.fromkeys(step.detail for step in steps if step.detail)),
        "request_headers": list(dict.fromkeys(name for step in steps for name in step.request)),
        "response_headers": list(dict.fromkeys(name for step in steps for name in step.response)),
    }


_SHOWN_PHASES: Final = (*phases.REQUEST_PHASES[:2], phases.WRAP, *phases.REQUEST_PHASES[2:])


def _called(trace: Trace, slot: Slot) -> Entry | None:
    """Return the variant that was called, if one was."""
    return next((entry for entry in slot.entries if any(step.entry is entry for step in trace.steps)), None)


def _cell(step: Step | None) -> str:
    if step is None:
        return "not called"
    return f"exit {step.status}" if step.outcome == "exit" else step.outcome


def _step(step: Step) -> StepReport:
    return {
        "entry": step.entry.name,
        "where": step.entry.where,
        "phase": step.phase,
        "outcome": step.outcome,
        "status": step.status,
        "detail": step.detail,
        "request_headers": step.request,
        "response_headers": step.response,
    }


def _answer(trace: Trace, app: _StubApp, answer: _Answer, outcome: str) -> AnswerReport:
    """Say what the client gets, and from whom: the last entry that exited or failed, or the app."""
    ended = [step for step in trace.steps if _ends(step)]
    by, phase = ("the app", None) if app.called else ("plugmw", None)
    if ended:
        by, phase = ended[-1].entry.name, ended[-1].phase
    elif not app.called and outcome not in ("ambiguous", "refused", "insecure"):
        wraps = [step for step in trace.steps if step.phase == phases.WRAP]
        by, phase = (wraps[-1].entry.name, phases.WRAP) if wraps else (by, phase)
    return {
        "status": int(answer.status[:3]) if answer.status else None,
        "by": by,
        "phase": phase,
        "headers": [name for name, _ in answer.headers],
        "body": answer.body[:BODY_SHOWN].decode("utf-8", "replace"),
        "error": answer.error or None,
    }


def _ends(step: Step) -> bool:
    """Say whether this call answered, unless a later one did."""
    if step.phase == phases.LOG:
        return False
    return step.outcome == "exit" or (step.outcome == "failed" and step.entry.on_error == "closed")
