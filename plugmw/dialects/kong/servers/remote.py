"""A plugin that lives in a plugin server, as a plugin like any other.

Each phase is one event: HandleEvent, then the PDK calls the server makes, answered from the allow-list
(:mod:`plugmw.dialects.kong.servers.pdk_table`), until it is done. Failures are
:class:`~plugmw.errors.RemoteError`, which ``on_error`` of the entry judges; "closed" is the default.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import ClassVar, NamedTuple

from plugmw.concurrency.deadline import Deadline
from plugmw.concurrency.process import on_fork
from plugmw.dialects.kong.schema import as_table, config_class
from plugmw.dialects.kong.servers.dump import PluginInfo
from plugmw.dialects.kong.servers.log_phase import past
from plugmw.dialects.kong.servers.pdk_calls import Calls
from plugmw.dialects.kong.servers.pool import Pool
from plugmw.dialects.kong.servers.server import Server
from plugmw.dialects.kong.servers.wire import Closed, Connection, Garbled, Late, ServerError
from plugmw.errors import RemoteError
from plugmw.kernel import context
from plugmw.kernel.exchange import Exchange
from plugmw.kernel.plugin import Plugin
from plugmw.kernel.runtime import Runtime
from plugmw.telemetry.queue import Queue
from plugmw.telemetry.queue_config import QueueConfig
from plugmw.wsgi import answer

#: Seconds that what waits in the log queue may take when the worker ends.
_FLUSH = 1.0
#: Connections on which starting an instance is tried, and the seconds between.
_TRIES = 3
_PAUSE = 0.05
#: Kong's names for what an entry is limited to, in the configuration that a server is given.
_SCOPE = ("plugin_instance_name", "route_id", "service_id", "consumer_id")


class Instance(NamedTuple):
    """An entry's instance in its plugin server, good for the pool's connections of that epoch only."""

    pool: Pool
    epoch: int
    id: int


class RemotePlugin(Plugin[object]):
    """A plugin of a plugin server; :func:`remote_class` derives a class for each."""

    server: ClassVar[Server]
    #: What a plugin server decides, nobody can decide while it is down.
    fail_closed = True
    #: It may call kong.service.response.
    needs_upstream_response: ClassVar[bool] = True
    _instance: Instance | None = None
    #: Whether this process has entered the plugin servers and not left them.
    _entered: bool = False

    def _init(self, config: object) -> None:
        super()._init(config)
        self._starting = threading.Lock()
        self._queue: Queue | None = None
        self._json = ""
        on_fork(self)

    def after_fork(self) -> None:
        """Enter anew; the queue and the instance are left to what else the fork renews."""
        self._entered = False

    def configure(self) -> None:
        """Write the configuration as the server gets it."""
        scope = {name: value for name, value in zip(_SCOPE, self.scope) if value is not None}
        self._json = answer.to_json({**as_table(self.config), **scope}).decode()

    def bind(self, runtime: Runtime) -> None:
        super().bind(runtime)
        self.server.group.logger, self.server.group.events = runtime.logger, runtime.events

    def init_worker(self) -> None:
        """Start the server, or find it started; a request waits for it if it must."""
        self._starting = threading.Lock()
        self._enter()
        try:
            self.server.pool()
        except Closed as error:
            self.logger.error("%s: %s; requests try again", self.name, error)

    def _enter(self) -> None:
        if not self._entered:
            self._entered = True
            self.server.group.enter()

    def close(self) -> None:
        """Let go of the instance and, with the last plugin object, of the server."""
        queue, self._queue = self._queue, None
        if queue is not None:
            queue.stop(time.monotonic() + _FLUSH)
            self.server.counts.add("log_dropped", queue.dropped + queue.lost)
        if self._entered:
            self._stop_instance()
            self._entered = False
            self.server.group.leave()

    # -- events ---------------------------------------------------------------------------------------

    def run(self, phase: str, x: Exchange | None) -> None:
        """Run one phase; raises Exit or :class:`RemoteError` (unless the server is ``on_error: open``)."""
        calls = Calls()
        try:
            if x is None:
                self._event(phase, calls)
            else:
                context.running(x, self, self._event, phase, calls)
        except RemoteError as error:
            self.server.counts.add("failures")
            if self.server.settings.on_error != "open":
                raise
            self.logger.error("%s; the request goes on (on_error: open)", error)

    def _event(self, phase: str, calls: Calls) -> None:
        """Run an event; once more if the server was gone and nothing was done that shows."""
        deadline = Deadline.after(self.server.settings.event_timeout)
        if not self._try(phase, calls, deadline, last=False):
            self.server.counts.add("retries")
            self._try(phase, calls, deadline, last=True)

    def _try(self, phase: str, calls: Calls, deadline: Deadline, last: bool) -> bool:
        """Run an event once; False if it shall be tried again."""
        server = self.server
        try:
            pool = server.pool()
            connection, instance = self._ready(pool, deadline)
        except Closed as error:
            raise RemoteError(self.name, phase, f"no plugin server: {error}") from None
        except (ServerError, Garbled, Late) as error:
            raise RemoteError(self.name, phase, f"no instance could be started: {error}") from None
        try:
            connection.event(instance, phase, calls.ask, deadline)
        except answer.Exit:
            (pool.give if connection.survives_exit else pool.discard)(connection)
            raise
        except ServerError as error:
            pool.discard(connection)
            if "no plugin instance" in str(error):
                self._instance = None
                if not last and not calls.effect:
                    return False
            raise RemoteError(self.name, phase, f"the plugin server said: {error}") from None
        except Closed as error:
            pool.fail(connection)
            if not last and not calls.effect:
                return False
            raise RemoteError(self.name, phase, f"the plugin server {error}") from None
        except Late as error:
            pool.fail(connection)
            server.hung(connection.wire.peer)
            raise RemoteError(self.name, phase, f"the plugin server {error} in time") from None
        except Garbled as error:
            pool.fail(connection)
            raise RemoteError(self.name, phase, f"the plugin server broke the protocol: {error}") from None
        except BaseException:
            # A worker's timeout or a greenlet's end: what is on its way would be read by the next event.
            pool.fail(connection)
            raise
        pool.give(connection)
        return True

    # -- the instance ---------------------------------------------------------------------------------

    def _ready(self, pool: Pool, deadline: Deadline) -> tuple[Connection, int]:
        """Return a connection and the id of this entry's instance behind it.

        A server that is just dying still takes connections: as nothing has run yet, others are tried.
        """
        for left in reversed(range(_TRIES)):
            connection = pool.take(deadline)
            try:
                return connection, self._instance_for(pool, connection, deadline)
            except ServerError:
                pool.discard(connection)
                raise
            except Closed:
                pool.fail(connection)
                if not left:
                    raise
            except Late:
                pool.fail(connection)
                self.server.hung(connection.wire.peer)
                raise
            except BaseException:
                pool.fail(connection)
                raise
            time.sleep(_PAUSE)
        raise Closed("is gone")

    def _instance_for(self, pool: Pool, connection: Connection, deadline: Deadline) -> int:
        """Return the id of this entry's instance behind ``connection``, starting one if needed."""
        epoch = connection.wire.epoch
        instance = self._instance
        if instance is not None and instance.epoch == epoch and instance.pool is pool:
            return instance.id
        if not self._starting.acquire(timeout=deadline.left()):
            raise Late("did not start an instance")
        try:
            instance = self._instance
            if instance is None or instance.epoch != epoch or instance.pool is not pool:
                started = connection.start(self.name, self._json, deadline)
                instance = self._instance = Instance(pool, epoch, started)
            return instance.id
        finally:
            self._starting.release()

    def _stop_instance(self) -> None:
        """Close the instance where that does no harm; a server that is gone has none."""
        instance, self._instance = self._instance, None
        if instance is None or instance.pool is not self.server._pool:
            return
        deadline, pool = Deadline.after(_FLUSH), instance.pool
        if instance.epoch != pool.epoch:
            return
        try:
            connection = pool.take(deadline)
            try:
                if connection.closes_instances and connection.wire.epoch == instance.epoch:
                    connection.stop(instance.id, deadline)
            finally:
                pool.discard(connection)
        except (Closed, Late, Garbled, ServerError):
            pass

    # -- log ------------------------------------------------------------------------------------------

    def put_log(self, x: Exchange) -> None:
        """Queue the log event of an exchange, with what it was; the oldest is dropped when too many wait."""
        queue = self._queue
        if queue is None:
            self._enter()
            most = self.server.settings.log_entries
            settings = QueueConfig(max_entries=most, max_retry_time=-1)
            queue = self._queue = Queue(f"{self.name} log", settings, self._send_logs, self.logger)
            queue.events = self.runtime.events
        queue.put(past(x))

    def _send_logs(self, batch: list[Exchange]) -> None:
        for x in batch:
            if not self._entered:
                return  # closed meanwhile: nothing may be opened again
            try:
                self.run("log", x)
            except answer.Exit:
                self.logger.error(
                    "%s: called kong.response.exit in log, where there is no response", self.name
                )


def _phase(name: str) -> Callable[[RemotePlugin, Exchange], None]:
    def call(self: RemotePlugin, x: Exchange) -> None:
        self.run(name, x)

    call.__name__ = name
    return call


def _certificate(self: RemotePlugin, hello: object) -> None:
    """Tell the server of a TLS handshake; there is no request, so only functions without one work."""
    self.run("certificate", None)


def _log(self: RemotePlugin, x: Exchange) -> None:
    self.put_log(x)


def remote_class(server: Server, info: PluginInfo) -> type[RemotePlugin]:
    """Return the plugin class for a plugin of a server; raises :class:`~plugmw.errors.LoadError`."""
    members: dict[str, object] = {
        "name": info.name,
        "priority": info.priority,
        "version": info.version,
        "Config": config_class(info.name, info.schema),
        "server": server,
        "__doc__": f"{info.name} {info.version} of the plugin server {server.name}.",
    }
    for phase in ("rewrite", "access", "response"):
        if phase in info.phases:
            members[phase] = _phase(phase)
    if "certificate" in info.phases:
        members["certificate"] = _certificate
    if "log" in info.phases:
        # The log entry has times in it.
        members["log"], members["needs_timings"] = _log, True
    return type(info.name, (RemotePlugin,), members)
