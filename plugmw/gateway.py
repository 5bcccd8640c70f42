"""The gateway: a configuration and an app become one WSGI callable with a compiled chain per route.

app = Gateway(app, "gateway.yaml")
app = Gateway(app, plugins=[KeyAuth(key_names=["apikey"]), Entry(Cors(), route="api")])
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

import attrs

from plugmw import answer, phases
from plugmw.chain import Compiled, picker
from plugmw.exchange import Exchange
from plugmw.flow import Flow
from plugmw.order import Entry, slots
from plugmw.paths import TOO_MANY, full_path, is_plain, normalise, readings
from plugmw.plan import Extras, Plan, read_plan
from plugmw.plugin import inject, without_identity, without_remote_user
from plugmw.record import raw_target
from plugmw.routing import Route, Router, without_port
from plugmw.services import destination
from plugmw.worker import Worker

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class Gateway(Worker):
    """A WSGI app inside a gateway.

    ``config`` is a path (JSON, YAML, TOML), a mapping or None; ``plugins`` are plugin objects, entries or
    mappings given in code. ``consumers`` (a list, a callable, the URL of a consumer store, or
    a :class:`~plugmw.identity.Directory`), ``store`` (a store
    object) and ``logger`` replace what the configuration says. Raises
    :class:`~plugmw.errors.ConfigErrors` with everything that is wrong; nothing is opened before the
    first request or the server's worker hook.
    """

    def __init__(
        self,
        app: WSGIApplication,
        config: Any = None,
        *,
        plugins: Sequence[Any] = (),
        consumers: Any = None,
        store: Any = None,
        logger: Any = None,
        clock: Any = None,
    ) -> None:
        if not callable(app):
            raise TypeError(f"app: got {app!r}, expected a WSGI callable")
        self.app = app
        self.plan: Plan = read_plan(config, Extras(plugins, consumers, store, logger, clock))
        for warning in self.plan.warnings:
            self.plan.runtime.logger.warning("%s", warning)
        super().__init__(self.plan.runtime, self.plan.entries)
        self._ready()

    def _compile(self, entries: Sequence[Entry]) -> WSGIApplication:
        run = _Dispatcher(self.plan, entries, self.app).run
        if self.runtime.remote_user:
            run = without_remote_user(run)
        return without_identity(run) if self.runtime.identity else run

    def register_logger(self, logger: Any) -> None:
        """Take an injected logger (see ``InjectLogger``) for the gateway, its plugins and the app."""
        self.runtime.logger = logger
        for entry in self.entries:
            entry.plugin.bind(self.runtime)
        inject(self.app, logger)


class _Dispatcher:
    """Compiled chains: one for unrouted requests, one per route; ``run`` is the way in."""

    def __init__(self, plan: Plan, entries: Sequence[Entry], app: WSGIApplication) -> None:
        self.plan = plan
        self.router = Router(plan.routes)
        entries = [_asked_once(entry) for entry in entries]
        globals_ = [entry for entry in entries if entry.scope == (None, None, None)]
        # Kong answers unrouted requests 404 under the global entries; passed on, all unscoped ones run.
        passed = plan.settings.unrouted == "pass"
        self.unrouted = self._compile(entries if passed else globals_, app, None)
        self.routed = {id(route): self._compile(entries, app, route) for route in plan.routes}
        self.rewrites = [picker(slot.entries) for slot in slots(globals_) if slot.has(phases.REWRITE)]
        self.run: WSGIApplication = self.unrouted.run
        if self.rewrites:
            self.run = self._rewrite
        elif plan.routes:
            self.run = self._route

    def _compile(self, entries: Sequence[Entry], app: WSGIApplication, route: Route | None) -> Compiled:
        if route is None:
            return Compiled(slots(entries), app, self.plan.runtime)
        service = self.plan.services.get(route.service or "")
        attributes = {
            "route": route,
            "service": route.service,
            "service_facts": service.described() if service else None,
        }
        arranged = slots(entries, route.name, route.service)
        made = Compiled(
            arranged,
            destination(app, route, service, self.plan.runtime.trusted),
            self.plan.runtime,
            attributes,
        )
        if "http" not in route.protocols:
            made.run, made.enter = self._https_only(made, route)
        return made

    def _https_only(self, made: Compiled, route: Route) -> tuple[WSGIApplication, Any]:
        """Let https through and tell http where to go; only global entries see that answer, as in Kong."""
        run, enter = made.run, made.enter

        def secure_run(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            x = self.unrouted.first.exchange(environ, start_response)
            return run(environ, start_response) if x.scheme == "https" else self._insecure(x, route)

        def secure_enter(x: Flow) -> Iterable[bytes]:
            return enter(x) if x.scheme == "https" else self._insecure(x, route)

        return secure_run, secure_enter

    def _insecure(self, x: Flow, route: Route) -> Iterable[bytes]:
        status = route.https_redirect_status_code
        if status == 426:
            return self._refuse(x, 426)
        target = raw_target(x)
        # A target may be a whole URL, of another host (RFC 9112 section 3.2.2).
        place = f"https://{without_port(x.host)}{target if target.startswith('/') else x.path}"
        return x._halt(answer.Exit(status, b"", [("Location", place)]))

    def _route(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
        router = self.router
        if router.simple and is_plain(path):
            route = router.longest(path)
        else:
            x = self.unrouted.first.exchange(environ, start_response)
            route = self._match(x)
            if route is AMBIGUOUS:
                return self._refuse(x, 400)
        if route is None:
            if self.plan.settings.unrouted == "404":
                return self._refuse(self.unrouted.first.exchange(environ, start_response), 404)
            return self.unrouted.run(environ, start_response)
        return self.routed[id(route)].run(environ, start_response)

    def _rewrite(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        x = self.unrouted.first.exchange(environ, start_response)
        x.phase = phases.REWRITE
        for pick in self.rewrites:
            plugin = None
            try:
                plugin = pick(x)
                if hasattr(plugin, phases.REWRITE):
                    plugin.rewrite(x)
            except BaseException as error:
                if not isinstance(error, Exception) or not x._chain.is_open(plugin):
                    return x._halt(error, plugin)
                x._chain.report(x, error, plugin)
        route = self._match(x)
        if route is AMBIGUOUS:
            return self._refuse(x, 400)
        if route is None and self.plan.routes and self.plan.settings.unrouted == "404":
            return self._refuse(x, 404)
        return (self.routed[id(route)] if route else self.unrouted).enter(x)

    def _match(self, x: Flow) -> Route | None:
        """Return the route; AMBIGUOUS when an app could read the path as one of another route."""
        if not self.plan.routes:
            return None
        path = full_path(x.environ)
        route = self.router.match(x, normalise(path))
        if not is_plain(path):
            ways = readings(path)
            if len(ways) >= TOO_MANY or any(self.router.match(x, way) is not route for way in ways):
                return AMBIGUOUS
        return route

    def _refuse(self, x: Flow, status: int) -> Iterable[bytes]:
        message = _REFUSALS.get(status)
        accept = x.environ.get("HTTP_ACCEPT", "")
        return x._halt(answer.error_exit(status, message, None, accept, x.request_id))


def _asked_once(entry: Entry) -> Entry:
    """Make the ``when`` of an entry that is chosen in rewrite and again in access be asked once."""
    when = entry.when
    if when is None or entry.scope != (None, None, None) or not hasattr(entry.plugin, phases.REWRITE):
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


_REFUSALS: Final = {404: "no Route matched with those values", 426: "Please use HTTPS protocol"}

#: Stands for "no single route": different readings of the path match different routes.
AMBIGUOUS = Route("ambiguous")
