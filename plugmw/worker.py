"""The WSGI callable that stands in front of a chain: started once per process, swappable.

Nothing is opened before the fork: ``init_worker`` of every plugin runs in each process before its first
request, from gunicorn's ``post_worker_init`` (:mod:`plugmw.mounts.gunicorn`) or lazily.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import attrs

from plugmw import phases
from plugmw.kernel.process import LazyLock, on_fork
from plugmw.kernel.user_code import contained
from plugmw.order import Entry
from plugmw.runtime import Runtime

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class Worker:
    """A WSGI callable over ``run``; subclasses give it in :meth:`_compile`."""

    #: Every live instance of this process, for the worker hooks of servers.
    instances: weakref.WeakSet[Worker] = weakref.WeakSet()

    def __init__(self, runtime: Runtime, entries: Sequence[Entry]) -> None:
        self.runtime = runtime
        self.entries = list(entries)
        self._run: WSGIApplication = self._first
        self._made: tuple[list[Entry], WSGIApplication] | None = None
        self._told: set[Any] = set()
        self._lock = LazyLock(reentrant=True)
        Worker.instances.add(self)
        on_fork(self)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return self._run(environ, start_response)

    def _compile(self, entries: Sequence[Entry]) -> WSGIApplication:
        """Return the callable that serves requests under these entries."""
        raise NotImplementedError

    def _ready(self) -> WSGIApplication:
        """Return the callable for the entries in force; ``wrap`` of a plugin runs once for the same ones."""
        entries = in_force(self.entries)
        if self._made is None or self._made[0] != entries:
            self._made = entries, self._compile(entries)
        return self._made[1]

    def _locked(self) -> Any:
        """Return the lock of starting and stopping."""
        return self._lock.get()

    def _first(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serve the first request of this process: start, then hand over."""
        self.start(multiprocess=bool(environ.get("wsgi.multiprocess")))
        return self._run(environ, start_response)

    def start(self, multiprocess: bool | None = None) -> None:
        """Run ``init_worker`` of every plugin, once per process; safe to call again."""
        with self._locked():
            if self._run != self._first:
                return
            if multiprocess is not None:
                self.runtime.multiprocess = multiprocess
            self._init_plugins(plugins_of(self.entries))
            self._announce(self.entries)
            self._run = self._ready()

    def _init_plugins(self, plugins: Iterable[Any]) -> None:
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
                    ", requests that need this plugin are refused" if plugin.decides else " without it",
                    exc_info=error,
                )

    def _announce(self, entries: Sequence[Entry]) -> None:
        """Tell plugin classes with ``configure_all`` the configurations of all their entries in force.

        Those that were told before and have none any more are told None.
        """
        told: dict[Any, list[Any]] = {cls: [] for cls in self._told}
        for entry in entries:
            if hasattr(type(entry.plugin), "configure_all"):
                configs = told.setdefault(type(entry.plugin), [])
                if entry.enabled:
                    configs.append(entry.plugin.config)
        self._told = {cls for cls, configs in told.items() if configs}
        for cls, configs in told.items():
            try:
                contained(cls.configure_all, configs or None)
            except Exception as error:
                self.runtime.logger.error("%s: configure failed", cls.name, exc_info=error)

    def stop(self) -> None:
        """Close the plugins and the store of this process; the next request would start them again."""
        with self._locked():
            if self._run == self._first:
                return
            self._run = self._first
            for plugin in reversed(plugins_of(self.entries)):
                try:
                    contained(plugin.close)
                except Exception as error:
                    self.runtime.logger.error("%s: close failed", plugin.name, exc_info=error)
            self.runtime.close()

    def after_fork(self) -> None:
        """Start anew with the first request of this process."""
        self._run = self._first


def plugins_of(entries: Iterable[Entry]) -> list[Any]:
    """Return the distinct plugin objects of the enabled entries, the highest priority first."""
    seen: dict[int, Any] = {}
    for entry in sorted(entries, key=lambda entry: -entry.rank):
        if entry.enabled:
            seen.setdefault(id(entry.plugin), entry.plugin)
    return list(seen.values())


def in_force(entries: Iterable[Entry]) -> list[Entry]:
    """Return the entries to compile: plugins that failed to start are off, or refuse if they decide."""
    kept = []
    for entry in entries:
        if getattr(entry.plugin, "broken", None) is None:
            kept.append(entry)
        elif entry.plugin.decides and entry.on_error == "closed":
            kept.append(attrs.evolve(entry, plugin=Refusing(entry.plugin)))
    return kept


class Refusing:
    """Stands in for a plugin that decides who may pass and could not start: nobody passes."""

    decides = True
    broken = None

    def __init__(self, plugin: Any) -> None:
        self.name = plugin.name
        self.priority = plugin.priority

    def access(self, x: Any) -> None:
        x.fail(500, "An unexpected error occurred")

    def close(self) -> None:
        """Hold nothing."""
