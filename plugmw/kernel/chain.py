"""Compile slots and an app into one WSGI callable.

A slot whose plugin has ``wrap`` cuts the list: what is above it runs outside the wrapped middleware, what
is below inside. Each stretch between two cuts becomes a class derived from
:class:`~plugmw.kernel.response_iterable.ResponseIterable` and one ``run(environ, start_response)`` function,
both written as straight-line source: one call per phase method, without loops or look-ups. The source holds
only indexes, never text from a configuration; it is compiled once per shape, so a thousand routes with the
same plugins compile once.

    [cors, key-auth] | wrap of krakend-example | [rate-limiting, log]
      run -> cors.access, key-auth.access -> the wrapping middleware -> run -> rate-limiting.access -> app
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from types import GeneratorType, TracebackType
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from plugmw.kernel import phases, refusals
from plugmw.kernel.chain_source import WRITTEN, Part, Shape, compiled, source
from plugmw.kernel.exchange import Exchange
from plugmw.kernel.order import Entry, Slot
from plugmw.kernel.response import STARTED, RespondingExchange
from plugmw.kernel.response_iterable import ResponseIterable
from plugmw.kernel.timing import Timing, plugin_of
from plugmw.kernel.user_code import is_failure, passed_through, raise_contained
from plugmw.wsgi.answer import Exit
from plugmw.wsgi.upstream_request import UpstreamRequest

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from plugmw.kernel.plugin import Plugin
    from plugmw.kernel.response import BodyFilter
    from plugmw.kernel.runtime import Runtime

_UNPICKED: Final = object()
#: Returns the app below a wrapper, in the middleware of the plugin that was picked.
Chooser: TypeAlias = "Callable[[Plugin | None], WSGIApplication]"


class Chain:
    """One compiled stretch of plugins. Immutable; shared by all threads."""

    def __init__(
        self,
        slots: Sequence[Slot],
        app: WSGIApplication | Chooser,
        runtime: Runtime,
        attributes: Mapping[str, object],
        entries: Sequence[Entry],
    ) -> None:
        self.slots = list(slots)
        #: Of all stretches: what has failed in rewrite may stand below a wrapper.
        self.entries = entries
        self.runtime = runtime
        #: The slots that have a phase of the response; with the plugin where that is known by now.
        self.header = self._members(phases.HEADER_FILTER)
        self.body = self._members(phases.BODY_FILTER)
        self.response = self._members(phases.RESPONSE)
        self.log = self._members(phases.LOG)
        measures = any(getattr(entry.plugin, "needs_timings", False) for entry in entries)
        watches = any(
            getattr(entry.plugin, "needs_upstream_response", False)
            for slot in self.slots
            for entry in slot.entries
        )
        self.timing = Timing.asked_by(entries)
        timed = self.timing is not None
        text, self._lines = source(self._shape(), runtime.answer_crashes, measures, watches, timed)
        members: dict[str, object] = {
            # `X()` without arguments is the cheapest way to make an object; `run` sets the two attributes.
            "__init__": object.__init__,
            "_chain": self,
            "_logs": any(slot.has(phases.LOG) for slot in self.slots),
            "_measures": measures,
            "_watches": watches,
            "runtime": runtime,
            **attributes,
            **{f"_p{i}": _UNPICKED for i, slot in enumerate(self.slots) if not slot.direct},
        }
        self.exchange_class: type[ResponseIterable] = type("Exchange", (ResponseIterable,), members)
        namespace = self._namespace(app)
        # Only fixed templates and indexes are in this source; see the module's docstring.
        exec(compiled(text), namespace)  # noqa: S102
        for name in ("_start", "_filter_headers", "_respond", "_log", "_pick"):
            setattr(self.exchange_class, name, namespace[name])
        self.run: WSGIApplication = namespace["run"]
        #: ``enter(x)`` continues an exchange on which the rewrite phase has run.
        self.enter: Callable[[ResponseIterable], Iterable[bytes]] = namespace["enter"]

    def exchange(self, environ: WSGIEnvironment, start_response: StartResponse) -> ResponseIterable:
        """Make the exchange of a request that :attr:`run` does not make: before routing, or unrouted."""
        x = self.exchange_class()  # type: ignore[call-arg]
        x.environ = environ
        x._server = start_response
        if x._measures:
            x._note_begin()
        return x

    def _members(self, phase: str) -> list[tuple[int, Plugin | None]]:
        """Return index and plugin of the slots that have a phase; None where a request decides."""
        return [
            (i, slot.plugin if slot.direct else None) for i, slot in enumerate(self.slots) if slot.has(phase)
        ]

    def _shape(self) -> Shape:
        """Return all that the source depends on."""
        return tuple(
            Part(
                tuple(slot.share(name) for name in WRITTEN),
                slot.direct,
                any(entry.on_error == "open" for entry in slot.entries),
                not slot.direct and slot.has(phases.WRAP),
            )
            for slot in self.slots
        )

    def _namespace(self, app: WSGIApplication | Chooser) -> dict[str, Any]:
        namespace: dict[str, Any] = {"X": self.exchange_class, "Exit": Exit, "app": app}
        namespace["unpicked"] = _UNPICKED
        namespace["started"], namespace["now"] = STARTED, time.monotonic
        namespace["timed"] = self.timing
        for i, slot in enumerate(self.slots):
            if slot.direct:
                for phase in phases.REQUEST_PHASES:
                    if getattr(slot.plugin, phase, None) is not None:
                        namespace[f"{phase}{i}"] = self._method(slot.plugin, phase)
            else:
                namespace[f"pick{i}"] = picker(slot.entries)
        return namespace

    def _method(self, plugin: object, phase: str) -> Callable[..., Any]:
        """Return a phase of a plugin, timed if somebody asks for that."""
        method: Callable[..., Any] = getattr(plugin, phase)
        return method if self.timing is None else self.timing.method(plugin, phase)

    # -- called by the exchange, never on the fast path -----------------------------------------------

    def slot_of(self, error: BaseException) -> int | None:
        """Return the index of the slot whose generated line ``error`` passed through."""
        index = None
        trace: TracebackType | None = error.__traceback__
        while trace is not None:
            if trace.tb_frame.f_globals.get("X") is self.exchange_class:
                index = self._lines.get(trace.tb_lineno, index)
            trace = trace.tb_next
        return index

    def report(self, x: RespondingExchange, error: BaseException, plugin: object = None) -> None:
        """Log a failure once, with the entry, the phase and the request."""
        plugin = plugin_of(plugin)
        index = self.slot_of(error) if plugin is None else None
        entry = self._entry(x, index, plugin)
        self.runtime.logger.error(
            "%s: %s failed in %s (request %s)",
            (entry.where if entry else None) or "plugmw",
            entry.name if entry else "the app",
            x.phase,
            x.request_id,
            exc_info=error,
        )

    def refused(self, x: RespondingExchange, refusal: Exit, plugin: object = None) -> None:
        """Log that a plugin, or the gateway itself, refuses a request."""
        index = self.slot_of(refusal) if plugin is None else None
        refusals.report(x, refusal, self._entry(x, index, plugin))

    def _entry(self, x: RespondingExchange, index: int | None, plugin: object) -> Entry | None:
        """Return the entry in question: of a plugin, or the one in force in a slot."""
        if plugin is None and index is not None:
            plugin = self._plugin(x, index) or self.slots[index].plugin
        return next((entry for entry in self.entries if entry.plugin is plugin), None)

    def thrower(self, x: RespondingExchange, error: BaseException) -> Plugin | None:
        """Return the plugin that raised ``error``, None if that was none of this chain."""
        index = self.slot_of(error)
        return None if index is None else self._plugin(x, index)

    def is_open(self, plugin: object) -> bool:
        """Say whether a failure of ``plugin`` is to be forgiven: every entry that has it says so."""
        plugin = plugin_of(plugin)
        policies = {entry.on_error for entry in self.entries if entry.plugin is plugin}
        return policies == {"open"}

    def forgive(self, x: RespondingExchange, index: int, error: BaseException) -> None:
        """Report a failure, and raise it again unless the entry in force is ``on_error: open``."""
        if not is_failure(error) or not self.is_open(self._plugin(x, index)):
            raise error
        self.report(x, error)

    def overlook(self, x: RespondingExchange, error: BaseException) -> None:
        """Report what a plugin raised where it can change nothing any more; raise what has to pass."""
        if not isinstance(error, Exit) and not is_failure(error):
            raise error
        self.report(x, error)

    def log_in_spite_of(self, x: RespondingExchange, index: int, error: BaseException) -> None:
        """Report what ``log`` of a slot raised; what has to pass (gevent's timeout) waits for the rest."""
        try:
            self.overlook(x, error)
        except BaseException:
            below = [member for member in self.log if member[0] > index]
            for plugin in self._in_force(x, below, phases.LOG):
                try:
                    self._method(plugin, phases.LOG)(x)
                except BaseException as another:
                    self.report(x, another, plugin)
            raise

    def filter_headers_below(self, x: RespondingExchange, error: BaseException) -> None:
        """Run the header filters below the slot that exited; one that exits too takes over."""
        index = self.slot_of(error)
        if index is None:
            return
        below = [member for member in self.header if member[0] > index]
        for plugin in self._in_force(x, below, phases.HEADER_FILTER):
            try:
                self._method(plugin, phases.HEADER_FILTER)(x)
            except Exit as again:
                x._answer_with(again)
            except BaseException as failure:
                if not is_failure(failure):
                    raise
                if not self.is_open(plugin):
                    return x._answer_with(failure, plugin)
                self.report(x, failure, plugin)

    def _plugin(self, x: RespondingExchange, index: int) -> Plugin | None:
        """Return the plugin in force in a slot, None if there is none."""
        slot = self.slots[index]
        if slot.direct:
            return slot.plugin
        plugin: Plugin | None = getattr(x, f"_p{index}")
        return None if plugin is _UNPICKED else plugin

    def body_filters(self, x: RespondingExchange) -> Sequence[BodyFilter]:
        """Return the plugins that filter this response's body, in order."""
        filters = self._in_force(x, self.body, phases.BODY_FILTER)
        wanting = [plugin for plugin in filters if wants_body(plugin, x)]
        return wanting if self.timing is None else [self.timing.body_filter(plugin) for plugin in wanting]

    def wants_response(self, x: RespondingExchange) -> bool:
        """Say whether this answer must be read whole: for a ``response`` handler, or because one asked."""
        if x.status_line[:1] == "1":
            # 101: what follows is no response any more, and it has no end.
            return False
        if x._watches and UpstreamRequest.of(x.environ).buffer:
            return True
        return any(wants_body(plugin, x) for plugin in self._in_force(x, self.response, phases.RESPONSE))

    def _in_force(
        self, x: RespondingExchange, members: Iterable[tuple[int, Plugin | None]], phase: str
    ) -> Iterator[Any]:
        """Yield the plugins in force of these slots; each has the phase."""
        for index, plugin in members:
            if plugin is not None:
                yield plugin
            elif hasattr(picked := self._plugin(x, index), phase):
                yield picked


def wants_body(plugin: object, x: RespondingExchange) -> bool:
    """Ask ``plugin.wants_body(x)``, which plugins may define to leave a response alone; True if not."""
    asked = getattr(plugin, "wants_body", None)
    return True if asked is None else bool(asked(x))


def picker(entries: Sequence[Entry]) -> Callable[[Exchange], Plugin | None]:
    """Return the function that chooses a slot's plugin for an exchange, or None.

    A ``when`` that raises is a failure of its own entry: an open one is passed over.
    """

    def pick(x: Exchange) -> Plugin | None:
        consumer = x.consumer
        for entry in entries:
            if entry.consumer is not None and (
                consumer is None or entry.consumer not in (consumer.id, consumer.username, consumer.custom_id)
            ):
                continue
            if entry.when is None:
                return entry.plugin
            try:
                if entry.when(x):
                    return entry.plugin
            except BaseException as error:
                if entry.on_error != "open" or not is_failure(error):
                    raise
                x.runtime.logger.error("%s: %s failed in when", entry.where, entry.name, exc_info=error)
        return None

    return pick


# -- cutting at wrappers ---------------------------------------------------------------------------------


class Compiled:
    """The whole of a route: its stretches and the one callable; ``enter`` continues after rewrite."""

    def __init__(
        self,
        slots: Sequence[Slot],
        app: WSGIApplication,
        runtime: Runtime,
        attributes: Mapping[str, object] | None = None,
    ) -> None:
        self.slots = list(slots)
        attributes = attributes or {}
        entries = [entry for slot in slots for entry in slot.entries]
        stretch: list[Slot] = []
        #: What the next chain above calls: the app so far, or its variants in a wrapper's middlewares.
        end: WSGIApplication | Chooser = app
        for slot in reversed(self.slots):
            if slot.has(phases.WRAP):
                if stretch:
                    end = app = Chain(stretch, end, runtime, attributes, entries).run
                    stretch = []
                if slot.direct:
                    end = app = _contained(getattr(slot.plugin, phases.WRAP)(app), app)
                else:
                    # Its chain picks, so that it is asked once and what is raised is answered.
                    end = _chooser(slot, app)
                    stretch.append(slot)
                    continue
            if any(slot.has(phase) for phase in phases.REQUEST_PHASES):
                stretch.insert(0, slot)
        self.first = Chain(stretch, end, runtime, attributes, entries)
        # Without phases there is nothing to do: the app (or the outermost wrapper) is the chain.
        self.run: WSGIApplication = self.first.run if stretch or runtime.answer_crashes else app
        self.enter = self.first.enter


def _chooser(slot: Slot, app: WSGIApplication) -> Chooser:
    """Nest ``app`` in the middleware of each variant of a slot; return how to find the one of a plugin."""
    nested = {
        id(entry.plugin): _contained(entry.plugin.wrap(app), app)
        for entry in slot.entries
        if hasattr(entry.plugin, phases.WRAP)
    }
    return lambda plugin: nested.get(id(plugin), app)


def _contained(middleware: WSGIApplication, app: WSGIApplication) -> WSGIApplication:
    """Return the middleware of a plugin round ``app``; what itself raises ends its own request only."""

    def run(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        try:
            iterable = middleware(environ, start_response)
        except BaseException as error:
            _raise_contained(error, app)
            raise
        return chunks(iterable) if isinstance(iterable, GeneratorType) else iterable

    def chunks(generator: Generator[bytes, None, None]) -> Generator[bytes, None, None]:
        try:
            yield from generator
        except BaseException as error:
            _raise_contained(error, app)
            raise

    return run


def _raise_contained(error: BaseException, app: WSGIApplication) -> None:
    """Raise what stands for an exception that is no Exception, unless it has to pass or is the app's."""
    if not isinstance(error, Exception) and not passed_through(error, app):
        raise_contained(error)
