"""Stand-ins for plugins that note every call: which entry, which phase, what came of it.

A traced entry has exactly the phases of its plugin, so a chain of traced entries is compiled like the
chain itself. Names of changed headers are noted, never their values: those may be secrets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, cast

import attrs

from plugmw.kernel import phases
from plugmw.kernel.dry_run import SideEffect
from plugmw.kernel.exchange import Exchange
from plugmw.kernel.identity import Consumer
from plugmw.kernel.order import Entry
from plugmw.wsgi.answer import Exit
from plugmw.wsgi.headers import headers_in

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from plugmw.kernel.plugin import Plugin

#: ``skipped``: would call out or log for real; ``stood in``: the consumer was given instead.
Outcome = Literal["ran", "exit", "failed", "skipped", "stood in"]


@attrs.define(eq=False)
class Step:
    """One call of one plugin."""

    entry: Entry
    phase: str
    outcome: Outcome = "ran"
    #: Status of an exit.
    status: int | None = None
    #: What failed, or what would have been done.
    detail: str = ""
    #: Names of request and response headers that the call set, changed or removed.
    request: list[str] = attrs.field(factory=list)
    response: list[str] = attrs.field(factory=list)


@attrs.define(eq=False)
class Trace:
    """The calls of one request, in order. Not for use by several threads."""

    #: Who is taken to be authenticated where an entry would authenticate.
    consumer: Consumer | None = None
    #: Phases to note but not to call.
    mute: frozenset[str] = frozenset()
    steps: list[Step] = attrs.field(factory=list)
    #: The request as it was when its route was chosen.
    routed: WSGIEnvironment = attrs.field(factory=dict)
    #: The plugins (by id) whose ``init_worker`` was called, and what kept it from being called.
    started: dict[int, str] = attrs.field(factory=dict)

    def entries(self, entries: Iterable[Entry]) -> list[Entry]:
        """Return the same entries with traced plugins."""
        # Whatever it does not note itself, a traced plugin answers as the plugin does.
        return [attrs.evolve(entry, plugin=cast("Plugin", _Traced(entry, self))) for entry in entries]

    def of(self, entry: Entry, phase: str) -> Step | None:
        """Return the last call of this entry in this phase, None if there was none."""
        calls = (step for step in reversed(self.steps) if step.entry is entry and step.phase == phase)
        return next(calls, None)


class _Traced:
    """A plugin with each of its calls noted; everything else is the plugin's own."""

    def __init__(self, entry: Entry, trace: Trace) -> None:
        self._plugin = entry.plugin
        self._entry = entry
        self._trace = trace
        calls: dict[str, Callable[..., object]] = dict.fromkeys(phases.REQUEST_PHASES, self._call)
        calls |= {phases.BODY_FILTER: self._filter, phases.WRAP: self._wrap, phases.INIT_WORKER: self._start}
        for phase, call in calls.items():
            if hasattr(self._plugin, phase):
                setattr(self, phase, partial(call, phase, getattr(self._plugin, phase)))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._plugin, name)

    def _note(self, phase: str) -> Step:
        step = Step(self._entry, phase)
        self._trace.steps.append(step)
        return step

    def _call(self, phase: str, method: Callable[[Exchange], None], x: Exchange) -> None:
        step = self._note(phase)
        if self._left_alone(step, x):
            return
        request, response = list(headers_in(x.environ, str.title)), list(x.header_list or ())
        try:
            method(x)
        except SideEffect as error:
            step.outcome, step.detail = "skipped", f"would {error.what}"
        except BaseException as error:
            _note_failure(step, error)
            raise
        finally:
            step.request = _changed(request, list(headers_in(x.environ, str.title)))
            step.response = _changed(response, list(x.header_list or ()))
            if phase == phases.REWRITE:
                self._trace.routed = dict(x.environ)

    def _left_alone(self, step: Step, x: Exchange) -> bool:
        """Say whether the plugin is not to be called, and note why."""
        stopped = self._trace.started.get(id(self._plugin), "")
        if step.phase in self._trace.mute:
            step.outcome, step.detail = "skipped", "has effects outside the request"
        elif stopped:
            step.outcome, step.detail = "skipped", stopped
        elif self._trace.consumer and self._plugin.authenticates and step.phase == phases.ACCESS:
            x.authenticate(self._trace.consumer, None)
            step.outcome, step.detail = "stood in", "the given consumer is taken as authenticated"
        return step.outcome != "ran"

    def _filter(
        self, phase: str, method: Callable[..., bytes], x: Exchange, chunk: bytes, eof: bool
    ) -> bytes:
        step = self._trace.of(self._entry, phase) or self._note(phase)
        if self._left_alone(step, x):
            return chunk
        try:
            return method(x, chunk, eof)
        except SideEffect as error:
            step.outcome, step.detail = "skipped", f"would {error.what}"
            return chunk
        except BaseException as error:
            _note_failure(step, error)
            raise

    def _wrap(
        self, phase: str, method: Callable[[WSGIApplication], WSGIApplication], app: WSGIApplication
    ) -> WSGIApplication:
        wrapped = method(app)

        def traced(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            step = self._note(phase)
            stopped = self._trace.started.get(id(self._plugin), "")
            if stopped:
                step.outcome, step.detail = "skipped", stopped
                return app(environ, start_response)
            try:
                return wrapped(environ, start_response)
            except SideEffect as error:
                step.outcome, step.detail = "skipped", f"would {error.what}"
                return app(environ, start_response)

        return traced

    def _start(self, phase: str, method: Callable[[], None]) -> None:
        # Two entries may share one plugin object, which starts once.
        if id(self._plugin) in self._trace.started:
            return
        self._trace.started[id(self._plugin)] = ""
        try:
            method()
        except SideEffect as error:
            self._trace.started[id(self._plugin)] = f"would {error.what} in init_worker"
        except BaseException as error:
            _note_failure(self._note(phase), error)
            raise

    def close(self) -> None:
        try:
            self._plugin.close()
        except SideEffect:
            pass


def _note_failure(step: Step, error: BaseException) -> None:
    if isinstance(error, Exit):
        step.outcome, step.status = "exit", error.status
    else:
        step.outcome, step.detail = "failed", f"{type(error).__name__}: {error}"


def _changed(before: list[tuple[str, str]], after: list[tuple[str, str]]) -> list[str]:
    """Return the names of what is on one side only."""
    different = [item for item in after if item not in before] + [
        item for item in before if item not in after
    ]
    return list(dict.fromkeys(name for name, _ in different))
