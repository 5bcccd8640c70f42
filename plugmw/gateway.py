"""The gateway: a configuration and an app become one WSGI callable with a compiled chain per route.

app = Gateway(app, "gateway.yaml")
app = Gateway(app, plugins=[KeyAuth(key_names=["apikey"]), Entry(Cors(), route="api")])
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

import attrs

from plugmw import answer, phases
from plugmw.chain import Compiled, picker
from plugmw.documents.translated import Options
from plugmw.errors import LoadError, PlugmwError
from plugmw.exchange import Exchange
from plugmw.flow import Flow
from plugmw.generations import Generation, Mark, Retired, modules_of
from plugmw.imports import forget
from plugmw.kernel.process import LazyLock
from plugmw.kernel.user_code import is_failure
from plugmw.order import Entry, slots
from plugmw.paths import TOO_MANY, full_path, is_plain, normalise, readings
from plugmw.patterns import LONGEST
from plugmw.plan import Extras, Plan, read_plan
from plugmw.plugin import inject, without_identity, without_remote_user
from plugmw.routing import Route, Router, without_port
from plugmw.services import destination, no_app
from plugmw.target import sent
from plugmw.upstream import noting_named
from plugmw.watcher import Watcher
from plugmw.watching import Files, changed, recording
from plugmw.worker import Worker, plugins_of

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment
    from typing_extensions import Self

Dialect = Literal["kong", "krakend", "tyk", "prest"]


class Gateway(Worker):
    """A WSGI app inside a gateway.

    ``config`` is a path (JSON, YAML, TOML), a mapping or None; ``plugins`` are plugin objects, entries or
    mappings given in code. ``consumers`` (a list, a callable, the URL of a consumer store, or
    a :class:`~plugmw.identity.Directory`), ``store`` (a store
    object) and ``logger`` replace what the configuration says. Raises
    :class:`~plugmw.errors.ConfigErrors` with everything that is wrong; nothing is opened before the
    first request or the server's worker hook.

    ``config`` may also be a document of another gateway: its content says whose, or ``dialect`` does.
    ``compat`` names the gateway whose own behaviour is kept where plugmw's differs by default (see the
    pages of the dialects), ``strict`` makes an error of what that gateway would only log. Without an app
    (None) what the configuration does not answer is a 404. ``reload`` replaces the setting of that name.
    """

    def __init__(
        self,
        app: WSGIApplication | None,
        config: Any = None,
        *,
        plugins: Sequence[Any] = (),
        consumers: Any = None,
        store: Any = None,
        logger: Any = None,
        clock: Any = None,
        dialect: Dialect | None = None,
        compat: Dialect | None = None,
        strict: bool = False,
        reload: bool | None = None,
    ) -> None:
        if not callable(app) and app is not None:
            raise TypeError(f"app: got {app!r}, expected a WSGI callable or None")
        self.app: WSGIApplication = app or no_app
        options = Options(bool(compat), strict, app is not None, logger=logger)
        self._source = config
        self._extras = Extras(plugins, consumers, store, logger, clock, dialect or compat, options)
        self._watch = reload
        #: Files of a reading that was refused: what is wrong may be mended in one of them.
        self._refused: Files = {}
        self._generation: Generation | None = None
        self._mark: weakref.ref[Mark] | None = None
        self._retired: Retired | None = None
        self._watcher: Watcher | None = None
        self._reloading = LazyLock()
        self._read_in = os.getpid()
        self.plan: Plan = read_plan(config, self._extras)
        self._warn()
        super().__init__(self.plan.runtime, self.plan.entries)
        self._ready()

    def _warn(self) -> None:
        for warning in self.plan.warnings:
            self.plan.runtime.logger.warning("%s", warning)

    @classmethod
    def from_kong(cls, app: WSGIApplication | None, config: Any, **options: Any) -> Self:
        """Return a gateway round ``app`` (or None) for a Kong declarative file; options as of the class."""
        return cls(app, config, dialect="kong", **options)

    @classmethod
    def from_krakend(cls, app: WSGIApplication | None, config: Any, **options: Any) -> Self:
        """Return a gateway round ``app`` (or None) for a ``krakend.json``; options as of the class."""
        return cls(app, config, dialect="krakend", **options)

    @classmethod
    def from_tyk(cls, app: WSGIApplication | None, config: Any, **options: Any) -> Self:
        """Return a gateway round ``app`` (or None) for API definitions of Tyk: a file, a folder or a list."""
        return cls(app, config, dialect="tyk", **options)

    @classmethod
    def from_prest(cls, app: WSGIApplication | None, config: Any, **options: Any) -> Self:
        """Return a gateway round ``app`` (or None) for a ``prest.toml``; options as of the class."""
        return cls(app, config, dialect="prest", **options)

    def _compile(self, entries: Sequence[Entry]) -> WSGIApplication:
        run = _Dispatcher(self.plan, entries, self.app).run
        if self.runtime.remote_user:
            run = without_remote_user(run)
        if self.runtime.identity:
            run = without_identity(run)
        if self._forwards(entries):
            run = noting_named(run)
        if not self.sources:
            return run
        generation = Generation(
            self.runtime, plugins_of(self.entries)[::-1], modules_of(self.plan.modules.values())
        )
        run, self._mark = generation.marked(run)
        self._generation = generation
        return run

    def _forwards(self, entries: Sequence[Entry]) -> bool:
        """Say whether somebody in this gateway sends requests on to a service."""
        inside = (self.app, *plugins_of(entries))
        services = self.plan.services.values()
        return any(getattr(each, "forwards", False) for each in inside) or any(s.url for s in services)

    def stand_in(self, app: WSGIApplication) -> None:
        """Let ``app`` answer for every service, before the first request: for trying requests out."""
        for service in self.plan.services.values():
            service.stand_in = app
        self._made = None

    # -- reload -----------------------------------------------------------------------------------

    @property
    def sources(self) -> tuple[str, ...]:
        """The files of the configuration itself, absolute; a gateway without any is never reloaded."""
        return self.plan.document.files

    @property
    def files(self) -> Files:
        """All files that the configuration and its plugins were read from, with hashes of their content."""
        return {**self.plan.files, **self._refused}

    def start(self, multiprocess: bool | None = None) -> None:
        """Run ``init_worker`` of every plugin and watch the files, once per process; safe to call again."""
        if self._run == self._first and self._read_in != os.getpid() and changed(self.files):
            # Read before the fork, and changed since: the other workers have it already.
            self.reload()
        with self._locked():
            super().start(multiprocess)
            watch = self.plan.settings.reload if self._watch is None else self._watch
            if watch and self.sources and self._watcher is None:
                self._watcher = Watcher(self)
                self._watcher.start()

    def stop(self) -> None:
        """Close the plugins and the store of this process; the next request would start them again."""
        with self._locked():
            if self._watcher is not None:
                self._watcher.stop()
                self._watcher = None
            if self._retired is not None:
                self._retired.close()
            super().stop()

    def reload(self) -> bool:
        """Read the configuration again and put it in force in this process; True if that was done.

        What is running ends under the configuration it began with, which is then closed. When the new one
        is bad, or one of its plugins cannot start, the old one stays as it is and the log says why.
        """
        # A lock of its own: reading may take long, and must not keep a worker from ending.
        with self._reloading.get():
            with recording(self.plan.modules) as record:
                try:
                    plan = read_plan(self._source, self._extras.again())
                    with self._locked():
                        self._replace(plan)
                except Exception as error:
                    forget(module for key, module in record.modules.items() if key not in self.plan.modules)
                    self._refused = record.files
                    self._report_refusal(error)
                    return False
                finally:
                    self._read_in = os.getpid()
            self._refused = {}
        return True

    def _report_refusal(self, error: Exception) -> None:
        known = isinstance(error, PlugmwError)
        self.runtime.logger.error(
            "reload refused, the configuration in force stays: %s",
            str(error) if known else f"{type(error).__name__}: {error}",
            exc_info=None if known else error,
        )

    def _replace(self, plan: Plan) -> None:
        """Put a plan in force; raises before anything has changed if it cannot be."""
        before = self.plan, self.runtime, self.entries, self._made, self._generation, self._mark
        running = self._run != self._first
        old = set(map(id, plugins_of(self.entries)))
        fresh = [plugin for plugin in plugins_of(plan.entries) if id(plugin) not in old]
        self.plan, self.runtime, self.entries = plan, plan.runtime, plan.entries
        try:
            if running:
                plan.runtime.follow(before[1])
                self._init_plugins(fresh)
                broken = next((plugin for plugin in fresh if plugin.broken is not None), None)
                if broken is not None:
                    raise LoadError(broken.name, "init_worker failed") from broken.broken
            run = self._ready()
        except BaseException:
            self.plan, self.runtime, self.entries, self._made, self._generation, self._mark = before
            if running:
                Generation(plan.runtime, fresh[::-1]).close(self._living())
            raise
        self._warn()
        if not running:
            return
        self._announce(self.entries)
        self._run = run
        generation, mark = before[4:]
        if generation is not None and mark is not None:
            if self._retired is None:
                self._retired = Retired(self._living)
            self._retired.add(generation, mark)
        self.runtime.logger.info("reloaded: %s", ", ".join(self.sources))

    def _living(self) -> list[Generation]:
        return [] if self._generation is None else [self._generation]

    def after_fork(self) -> None:
        """Start anew with the first request of this process; the threads stayed with the parent."""
        super().after_fork()
        self._retired = self._watcher = None

    def register_logger(self, logger: Any) -> None:
        """Take an injected logger (see ``InjectLogger``) for the gateway, its plugins and the app."""
        self.runtime.logger = self._extras.logger = logger
        self._extras.options = attrs.evolve(self._extras.options, logger=logger)
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
        target = sent(x.environ)
        place = f"https://{without_port(x.host)}{'' if target.startswith('/') else '/'}{target}"
        try:
            return x._halt(answer.Exit(status, b"", answer.header_items([("Location", place)])))
        except ValueError:
            return self._refuse(x, 400)

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
                if not is_failure(error) or not x._chain.is_open(plugin):
                    return x._halt(error, plugin)
                x._chain.report(x, error, plugin)
        route = self._match(x)
        if route is AMBIGUOUS:
            return self._refuse(x, 400)
        if route is None and self.plan.routes and self.plan.settings.unrouted == "404":
            return self._refuse(x, 404)
        return (self.routed[id(route)] if route else self.unrouted).enter(x)

    def _match(self, x: Flow) -> Route | None:
        """Return the route; AMBIGUOUS when an app could read path or method as those of another route.

        So is a path that is too long for the patterns of routes.
        """
        if not self.plan.routes:
            return None
        method = x.environ["REQUEST_METHOD"]
        if method not in self.router.methods and method.upper() in self.router.methods:
            # Methods have a case (RFC 9110 section 9.1), which frameworks do not look at.
            return AMBIGUOUS
        path = full_path(x.environ)
        if len(path) > LONGEST and self.router.has_patterns:
            return AMBIGUOUS
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
