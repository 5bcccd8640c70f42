"""The life of a gateway in one process: start once, serve, close.

Nothing is opened before the fork: ``init_worker`` of every plugin runs in each process before its first
request, from gunicorn's ``post_worker_init`` (:mod:`plugmw.mounts.gunicorn`) or lazily.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import attrs

from plugmw.concurrency.process import LazyLock, members, on_fork
from plugmw.errors import PlugmwError
from plugmw.kernel import phases, server_log
from plugmw.kernel.order import Entry
from plugmw.kernel.plugin import Plugin
from plugmw.kernel.user_code import contained

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from plugmw.configuration.plan import Plan
    from plugmw.kernel.exchange import Exchange
    from plugmw.kernel.runtime import Runtime
    from plugmw.reload.generations import Generation


class NotASGI(PlugmwError):
    """A server calls the gateway as an ASGI app, with a scope."""

    def __str__(self) -> str:
        return (
            "called as an ASGI app, expected WSGI: run the server with WSGI workers (gunicorn -k sync, "
            "gthread or gevent; uvicorn --interface wsgi)"
        )


@attrs.frozen(eq=False)
class _Told:
    """Who takes the configurations of all entries at once, and which one gateway has."""

    #: One of those through which it is told.
    plugin: Plugin
    audience: object
    configs: list[object] = attrs.field(factory=list)


class Worker:
    """A WSGI callable that serves with a generation; subclasses build one in :meth:`_build`."""

    #: Every live instance of this process, for the worker hooks of servers.
    instances: weakref.WeakSet[Worker] = weakref.WeakSet()

    def __init__(self, generation: Generation) -> None:
        self._started = False
        #: Who has been told of which configurations of this gateway, by their ids.
        self._announced: dict[int, _Told] = {}
        self._lock = LazyLock(reentrant=True)
        self._put_in_force(generation)
        Worker.instances.add(self)
        on_fork(self)

    @property
    def plan(self) -> Plan:
        """The configuration in force."""
        return self._current.plan

    @property
    def runtime(self) -> Runtime:
        """What the plugins in force share."""
        return self._current.plan.runtime

    @property
    def entries(self) -> list[Entry]:
        """The entries in force, those that are switched off included."""
        return self._current.entries

    def __call__(
        self, environ: WSGIEnvironment, start_response: StartResponse | None = None, send: object = None
    ) -> Iterable[bytes]:
        if start_response is None or send is not None:
            raise NotASGI
        return self._run(environ, start_response)

    def _build(self, plan: Plan, entries: list[Entry]) -> Generation:
        """Return the generation that serves requests under a plan, with these entries for the plan's own."""
        raise NotImplementedError

    def _put_in_force(self, generation: Generation) -> None:
        """Serve with ``generation`` from the next request on."""
        self._current = generation
        self._run: WSGIApplication = generation.run if self._started else self._first

    def _locked(self) -> AbstractContextManager[object]:
        """Return the lock of starting and stopping."""
        return self._lock.get()

    def _first(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serve the first request of this process: start, then hand over."""
        self.start(multiprocess=bool(environ.get("wsgi.multiprocess")))
        # Not `_run`, which may be this method still: what is missing to start is tried once for a request.
        run = self._current.run if self._started else self._run
        return run(environ, start_response)

    def start(self, multiprocess: bool | None = None) -> None:
        """Run ``init_worker`` of every plugin, once per process; safe to call again."""
        with self._locked():
            if self._started:
                return
            server_log.adopt_level()
            if multiprocess is not None:
                self.runtime.multiprocess = multiprocess
            self.runtime.warn_of_memory()
            self._init_plugins(plugins_of(self.entries))
            self._announce(self.entries)
            generation = self._current
            if in_force(generation.entries) != generation.served:
                # Built once for the same ones: `wrap` of a plugin runs in it.
                generation = self._build(generation.plan, generation.entries)
            self._started = True
            self._put_in_force(generation)

    def _init_plugins(self, plugins: Iterable[Plugin]) -> None:
        for plugin in plugins:
            plugin.broken = None
            start = getattr(plugin, phases.INIT_WORKER, None)
            if start is None:
                continue
            try:
                contained(start)
            except Exception as error:
                plugin.broken = error
                self.runtime.logger.critical(
                    "%s: init_worker failed; the worker serves on%s",
                    plugin.name,
                    ", requests that need this plugin are refused" if plugin.fail_closed else " without it",
                    exc_info=error,
                )

    def _announce(self, entries: Iterable[Entry]) -> None:
        """Tell those who want all configurations at once which are in force.

        Those that were told before and have none any more are told None, but for those that others of the
        same name replace: requests may still run on them.
        """
        before, told = self._announced, dict[int, _Told]()
        for entry in entries:
            plugin = entry.plugin
            if isinstance(plugin, Plugin) and (audience := self._audience(plugin)) is not None:
                configs = told.setdefault(id(audience), _Told(plugin, audience)).configs
                if entry.enabled:
                    configs.append(plugin.config)
        names = {each.plugin.name for each in told.values()}
        self._announced = {key: each for key, each in told.items() if each.configs}
        gone = [each for key, each in before.items() if key not in told and each.plugin.name not in names]
        for each in (*(_Told(each.plugin, each.audience) for each in gone), *told.values()):
            self._tell(each, each.configs)

    def _audience(self, plugin: Plugin) -> object:
        """Return who takes the configurations of all entries of a plugin, None if that cannot be had."""
        try:
            return contained(plugin._audience)
        except Exception as error:
            self.runtime.logger.error("%s: configure failed", plugin.name, exc_info=error)
            return None

    def _tell(self, told: _Told, own: list[object]) -> None:
        """Tell of ``own`` configurations, and of those of other gateways that have the same class."""
        others = [
            config
            for worker in members(Worker.instances)
            if worker is not self and worker._started and (other := worker._announced.get(id(told.audience)))
            for config in other.configs
        ]
        try:
            contained(told.plugin._tell_all, [*own, *others] or None)
        except Exception as error:
            self.runtime.logger.error("%s: configure failed", told.plugin.name, exc_info=error)

    def stop(self) -> None:
        """Close the plugins and the store of this process; the next request would start them again.

        What is starting is waited for, but not for longer than the process may take to end.
        """
        with self._lock.within(self.plan.settings.shutdown_timeout) as held:
            if held:
                self._stop()
            else:
                self.runtime.logger.error("plugins are still starting, nothing is closed")

    def _stop(self) -> None:
        if self._started:
            self._started = False
            self._put_in_force(self._current)
            for told in self._announced.values():
                if self._is_shared(told):
                    self._tell(told, [])
            self._current.holdings.close()

    def _is_shared(self, told: _Told) -> bool:
        """Say whether another gateway has told the same audience."""
        workers = members(Worker.instances)
        return any(worker._started and id(told.audience) in worker._announced for worker in workers)

    def after_fork(self) -> None:
        """Start anew with the first request of this process."""
        self._started = False
        self._put_in_force(self._current)


def plugins_of(entries: Iterable[Entry]) -> list[Plugin]:
    """Return the distinct plugin objects of the enabled entries, the highest priority first."""
    seen: dict[int, Plugin] = {}
    for entry in sorted(entries, key=lambda entry: -entry.rank):
        if entry.enabled:
            seen.setdefault(id(entry.plugin), entry.plugin)
    return list(seen.values())


def in_force(entries: Iterable[Entry]) -> list[Entry]:
    """Return the entries to compile: plugins that failed to start are off, or refuse if they decide."""
    entries_in_force = []
    for entry in entries:
        if getattr(entry.plugin, "broken", None) is None:
            entries_in_force.append(entry)
        elif entry.plugin.fail_closed and entry.on_error == "closed":
            entries_in_force.append(attrs.evolve(entry, plugin=Refusing.of(entry.plugin)))
    return entries_in_force


class Refusing(Plugin):
    """Stand in for a plugin that decides who may pass and could not start: nobody passes."""

    fail_closed = True

    @classmethod
    def of(cls, plugin: Plugin) -> Refusing:
        """Return the stand-in of a plugin, under its name and in its place."""
        named: type[Refusing] = type(cls.__name__, (cls,), {"name": plugin.name, "priority": plugin.priority})
        return named()

    def access(self, x: Exchange) -> None:
        x.fail(500, "An unexpected error occurred")
