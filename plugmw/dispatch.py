"""Dispatch a request to the chain that serves it, for gateways with routes and without.

    noting_named -> without_overrides -> without_identity -> without_remote_user
        -> rewrite -> routing -> the chain of the route

Only what a gateway needs is there: without routes and without a rewrite phase, the chain of all requests is
called directly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import attrs

from plugmw.kernel import phases, refusals
from plugmw.kernel.chain import Compiled, picker
from plugmw.kernel.exchange import Exchange
from plugmw.kernel.identity import IDENTITY_KEYS
from plugmw.kernel.order import Entry, Slot, slots
from plugmw.kernel.timing import Timing
from plugmw.kernel.user_code import is_failure
from plugmw.routing.router import Decision, Route, Router, without_port
from plugmw.upstream.forwarding import noting_named
from plugmw.upstream.services import Service, destination
from plugmw.wsgi import answer, keys
from plugmw.wsgi.paths import is_plain
from plugmw.wsgi.readings import METHODS, OVERRIDES, mounted_path
from plugmw.wsgi.request_target import sent
from plugmw.wsgi.upstream_request import UpstreamRequest

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from plugmw.kernel.response_iterable import ResponseIterable
    from plugmw.kernel.runtime import Logger, Runtime


def compile_chain(
    entries: Sequence[Entry],
    app: WSGIApplication,
    runtime: Runtime,
    routes: Sequence[Route] = (),
    services: Mapping[str, Service] | None = None,
    unrouted: str = "pass",
) -> WSGIApplication:
    """Return the WSGI callable that serves requests under these entries; the first wrapper is the outermost.

    ``services`` are those of the routes, by name; ``unrouted`` is what happens to requests without a route:
    ``pass`` or ``404``.
    """
    services = services or {}
    run = Dispatcher(entries, app, runtime, routes, services, unrouted).run
    if runtime.remote_user:
        run = without_remote_user(run)
    if runtime.identity:
        run = without_identity(run)
    if runtime.method_override != "keep":
        run = without_overrides(run, runtime.method_override == "honour")
    forwarding = (app, *(entry.plugin for entry in entries if entry.enabled))
    if any(getattr(each, "forwards", False) for each in forwarding) or any(s.url for s in services.values()):
        run = noting_named(run)
    return run


def arrangements(
    entries: Sequence[Entry], routes: Iterable[Route], unrouted: str
) -> Iterator[tuple[Route | None, list[Slot]]]:
    """Yield every route with the slots of its chain, and at last None with those of unrouted requests."""
    for route in routes:
        yield route, slots(entries, route.name, route.service)
    # Kong answers unrouted requests 404 under the global entries; passed on, all unscoped ones run.
    yield None, slots(entry for entry in entries if unrouted == "pass" or entry.is_global)


class Dispatcher:
    """Compiled chains: one for unrouted requests, one per route; ``run`` is the way in."""

    def __init__(
        self,
        entries: Sequence[Entry],
        app: WSGIApplication,
        runtime: Runtime,
        routes: Sequence[Route],
        services: Mapping[str, Service],
        unrouted: str,
    ) -> None:
        self.runtime = runtime
        self.router = Router(routes, unrouted)
        entries = [_asked_once(entry) for entry in entries]
        self.routed: dict[int, Compiled] = {}
        for route, line in arrangements(entries, routes, unrouted):
            if route is None:
                self.unrouted = Compiled(line, app, runtime)
            else:
                self.routed[id(route)] = self._compile(line, app, route, services.get(route.service or ""))
        global_slots = slots(entry for entry in entries if entry.is_global)
        self.timing = Timing.asked_by(entries)
        self.rewrites = [picker(slot.entries) for slot in global_slots if slot.has(phases.REWRITE)]
        #: Serves a request that no route matches.
        self.no_route: WSGIApplication = self.unrouted.run if unrouted == "pass" else self._no_route
        self.run: WSGIApplication = self.unrouted.run
        if self.rewrites:
            self.run = self._rewrite
        elif routes:
            self.run = self._route

    def _compile(
        self, line: Sequence[Slot], app: WSGIApplication, route: Route, service: Service | None
    ) -> Compiled:
        attributes = {
            "route": route,
            "service": route.service,
            "service_facts": service.described() if service else None,
        }
        end = destination(app, route, service, self.runtime)
        return Compiled(line, end, self.runtime, attributes)

    def _route(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = mounted_path(environ) if environ.get("SCRIPT_NAME") else environ.get("PATH_INFO", "")
        router = self.router
        if router.simple and is_plain(path):
            # What router.decide would say, for almost every request.
            rule = router.longest(path)
            if rule is None:
                return self.no_route(environ, start_response)
            if not rule.secure or self.runtime.trusted.scheme(environ) == "https":
                return self.routed[id(rule.route)].run(environ, start_response)
        decision = router.decide(environ, self.runtime.trusted)
        chain = self._chain(decision)
        if chain is None:
            return self._refuse(self.unrouted.first.exchange(environ, start_response), decision)
        return chain.run(environ, start_response)

    def _rewrite(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        x = self.unrouted.first.exchange(environ, start_response)
        x.phase = phases.REWRITE
        for pick in self.rewrites:
            plugin = None
            try:
                plugin = pick(x)
                rewrite = getattr(plugin, phases.REWRITE, None)
                if rewrite is not None:
                    if self.timing is not None:
                        rewrite = self.timing.method(plugin, phases.REWRITE)
                    rewrite(x)
            except BaseException as error:
                if not is_failure(error) or not x._chain.is_open(plugin):
                    return x._halt(error, plugin)
                x._chain.report(x, error, plugin)
        decision = self.router.decide(environ, self.runtime.trusted)
        chain = self._chain(decision)
        return self._refuse(x, decision) if chain is None else chain.enter(x)

    def _chain(self, decision: Decision) -> Compiled | None:
        """Return the chain that takes the request, None if it is refused."""
        if decision.outcome == "matched":
            return self.routed[id(decision.route)]
        return self.unrouted if decision.outcome in ("no routes", "unrouted") else None

    # -- refusals: only global entries see them, as in Kong -----------------------------------------

    def _no_route(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        x = self.unrouted.first.exchange(environ, start_response)
        return x._halt(refusal(x, 404))

    def _refuse(self, x: ResponseIterable, decision: Decision) -> Iterable[bytes]:
        if decision.outcome == "refused":
            return x._halt(refusal(x, 404))
        if decision.outcome == "insecure" and decision.route is not None:
            return x._halt(_to_https(x, decision.route))
        bad = refusal(x, 400)
        bad.because = decision.because
        return x._halt(bad)


def _to_https(x: Exchange, route: Route) -> answer.Exit:
    status = route.https_redirect_status_code
    if status == 426:
        return refusal(x, 426)
    target = sent(x.environ)
    place = f"https://{without_port(x.host)}{'' if target.startswith('/') else '/'}{target}"
    try:
        return answer.Exit(status, b"", answer.header_items([("Location", place)]))
    except ValueError:
        return refusal(x, 400)


def refusal(x: Exchange, status: int) -> answer.Exit:
    """Return the gateway's own answer with an error status, in the format that the client accepts."""
    accept = x.environ.get("HTTP_ACCEPT", "")
    return answer.error_exit(status, _REFUSALS.get(status), None, accept, x.request_id)


_REFUSALS: Final = {404: "no Route matched with those values", 426: "Please use HTTPS protocol"}


def no_app(logger: Callable[[], Logger]) -> WSGIApplication:
    """Return what stands in for the app of a gateway that has none: as for a request without a route."""

    def run(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        UpstreamRequest.of(environ).failed = True
        no_route = refusal(Exchange(environ, start_response), 404)
        refusals.tell(environ, logger(), no_route)
        return answer.respond(no_route, environ, start_response)

    return run


# -- round the chains ---------------------------------------------------------------------------------


def without_identity(run: WSGIApplication) -> WSGIApplication:
    """Remove identity headers that a client sent before anything else sees the request.

    Those of a gateway outside of this one, in the same process, stay.
    """

    def stripped(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if not environ.keys().isdisjoint(IDENTITY_KEYS) and keys.CONSUMER not in environ:
            for key in IDENTITY_KEYS:
                environ.pop(key, None)
        return run(environ, start_response)

    return stripped


def without_remote_user(run: WSGIApplication) -> WSGIApplication:
    """Remove a REMOTE_USER that somebody before the gateway has set: only the gateway says who it is."""

    def stripped(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        environ.pop("REMOTE_USER", None)
        return run(environ, start_response)

    return stripped


def without_overrides(run: WSGIApplication, honour: bool) -> WSGIApplication:
    """Remove the headers that ask for another method; with ``honour`` a POST has the method they ask for."""

    def stripped(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if not environ.keys().isdisjoint(OVERRIDES):
            asked = [environ.pop(key, "").strip().upper() for key in OVERRIDES]
            method = next(filter(None, asked), "")
            if honour and environ["REQUEST_METHOD"] == "POST" and method in METHODS:
                environ["REQUEST_METHOD"] = method
        return run(environ, start_response)

    return stripped


# -- conditions ---------------------------------------------------------------------------------------


def _asked_once(entry: Entry) -> Entry:
    """Make the ``when`` of an entry that is chosen in rewrite and again in access be asked once."""
    when = entry.when
    if when is None or not entry.is_global or not hasattr(entry.plugin, phases.REWRITE):
        return entry
    return attrs.evolve(entry, when=_Once(when))


class _Once:
    """A question whose answer is kept for the rest of the exchange."""

    def __init__(self, ask: Callable[[Exchange], bool]) -> None:
        self._ask = ask

    def __call__(self, x: Exchange) -> bool:
        answers: dict[_Once, bool] = x.__dict__.setdefault("_answers", {})
        if self not in answers:
            answers[self] = self._ask(x)
        return answers[self]
