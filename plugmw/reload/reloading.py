"""Reload: read the configuration again, build a generation of it apart, put it in force at once.

    files change -> read a plan -> start its plugins -> build -> in force -> the old one drains, and is closed

Until the last step nothing has changed, so a configuration that is bad, or whose plugins cannot start, leaves
the one in force as it is.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from plugmw.concurrency.process import LazyLock
from plugmw.configuration.extras import Extras
from plugmw.configuration.plan import Plan, read_plan
from plugmw.errors import LoadError, PlugmwError
from plugmw.events import RELOADS
from plugmw.kernel import server_log
from plugmw.kernel.user_code import is_failure
from plugmw.kernel.worker import Worker, plugins_of
from plugmw.loading.imports import forget
from plugmw.loading.watching import Files, changed, recording
from plugmw.reload.generations import Draining, Generation, Holdings, modules_of
from plugmw.reload.watcher import Watcher

if TYPE_CHECKING:
    from plugmw.documents import Document
    from plugmw.documents.files import Source
    from plugmw.kernel.plugin import Plugin


class Reloading(Worker):
    """A worker whose configuration comes from files, and is taken anew when they change.

    ``source`` and ``extras`` are what the plan was read from; ``watch`` replaces the setting ``reload``.
    """

    def __init__(self, source: Source | Document, extras: Extras, watch: bool | None) -> None:
        self._source = source
        self._extras = extras
        self._watch = watch
        #: Files of the last refused reload; still watched, so that mending one of them is a new try.
        self._refused: Files = {}
        self._watcher: Watcher | None = None
        #: Whether there was no thread for the watcher at the last try.
        self._unwatched = False
        self._draining: Draining | None = None
        #: During a reload, what is about to be in force (its plugins are starting) and what is replaced.
        self._passing: list[Holdings] = []
        # A lock of its own: reading may take long, and must not keep a worker from ending.
        self._reloading = LazyLock()
        self._read_in = os.getpid()
        server_log.adopt()
        try:
            plan = read_plan(source, extras)
            _warn(plan)
            super().__init__(self._build(plan, plan.entries))
        except BaseException:
            extras.owner.gone = True
            raise

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
        if self._is_behind():
            with self._reloading.get():
                # Of several first requests one reads it.
                if self._is_behind() and changed(self.files):
                    self._reload()
                self._read_in = os.getpid()
        with self._locked():
            super().start(multiprocess)
            watch = self.plan.settings.reload if self._watch is None else self._watch
            if watch and self.sources and self._watcher is None:
                self._watch_files()

    def _watch_files(self) -> None:
        """Start the thread that watches the files; where there is none, the next request tries again."""
        watcher = Watcher(self)
        try:
            watcher.start()
        except RuntimeError as error:
            if not self._unwatched:
                self.runtime.logger.error("no thread to watch the files in, tried again: %s", error)
            self._unwatched = True
            self._run = self._first
            return
        self._watcher, self._unwatched = watcher, False
        self._put_in_force(self._current)

    def _is_behind(self) -> bool:
        """Say whether the files were read before a fork: the other workers may have later ones already."""
        return not self._started and self._read_in != os.getpid()

    def _stop(self) -> None:
        if self._watcher is not None:
            self._watcher.stop()
            self._watcher = None
        if self._draining is not None:
            self._draining.close()
        super()._stop()

    def reload(self) -> bool:
        """Read the configuration again and put it in force in this process; True if that was done.

        What is running ends under the configuration it began with, which is then closed. When the new one
        is bad, or one of its plugins cannot start, the old one stays as it is and the log says why.
        """
        with self._reloading.get():
            return self._reload()

    def _reload(self) -> bool:
        with recording(self.plan.modules) as record:
            try:
                plan = read_plan(self._source, self._extras.again())
                with self._locked():
                    self._replace(plan)
            except BaseException as error:
                forget(module for key, module in record.modules.items() if key not in self.plan.modules)
                self._refused = record.files
                if not is_failure(error):
                    raise
                self._report_refusal(error)
                return False
            finally:
                self._read_in = os.getpid()
            self._refused = {}
        return True

    def _report_refusal(self, error: BaseException) -> None:
        known = isinstance(error, PlugmwError)
        self.runtime.events.count(RELOADS, "refused")
        # One line, whatever there is of it.
        said = "; ".join(str(error).splitlines())
        self.runtime.logger.error(
            "reload refused, the configuration in force stays: %s",
            said if known else f"{type(error).__name__}: {said}",
            exc_info=None if known else error,
        )

    def _replace(self, plan: Plan) -> None:
        """Build a generation of ``plan`` and put it in force; raises before anything has changed."""
        old = self._current
        known = set(map(id, old.holdings.plugins))
        fresh = [plugin for plugin in plugins_of(plan.entries) if id(plugin) not in known]
        coming = Holdings(plan.runtime, fresh[::-1], modules_of(plan.modules.values()))
        self._passing = [coming, old.holdings]
        try:
            try:
                if self._started:
                    self._start_fresh(fresh, plan)
                new = self._build(plan, plan.entries)
            except BaseException:
                if self._started:
                    coming.close([old.holdings])
                raise
            _warn(plan)
            plan.bind_shared()
            if self._started:
                self._announce(new.entries)
            self._put_in_force(new)
            if self._started:
                self._drain(old)
        finally:
            self._passing = []
        if self._started:
            self.runtime.events.count(RELOADS, "applied")
            self.runtime.logger.info("reloaded: %s", ", ".join(self.sources))

    def _start_fresh(self, plugins: list[Plugin], plan: Plan) -> None:
        """Start what was not in force before, plugins and store; raise if it cannot."""
        plan.runtime.follow(self.runtime)
        if plan.runtime.store_key != self.runtime.store_key:
            plan.runtime.store.count("")
        self._init_plugins(plugins)
        for plugin in plugins:
            if plugin.broken is not None:
                raise LoadError(plugin.name, "init_worker failed") from plugin.broken

    def _drain(self, old: Generation) -> None:
        if self._draining is None:
            self._draining = Draining(self._living)
        self._draining.add(old.holdings, old.lease)

    def _living(self) -> list[Holdings]:
        # In this order: what comes into force between the two is in one of them at least.
        passing = self._passing
        return [self._current.holdings, *passing]

    def after_fork(self) -> None:
        """Start anew with the first request of this process; the threads stayed with the parent."""
        super().after_fork()
        self._draining = self._watcher = None
        self._unwatched = False


def _warn(plan: Plan) -> None:
    for warning in plan.warnings:
        plan.runtime.logger.warning("%s", warning)
