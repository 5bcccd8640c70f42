"""One configured plugin server: its dump, its processes' supervisor, and this process's connections to it."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from plugmw.concurrency.counting import Counts
from plugmw.concurrency.process import on_fork
from plugmw.dialects.kong.servers.dump import PROTOBUF, Dump, query
from plugmw.dialects.kong.servers.folders import fingerprint, only_socket
from plugmw.dialects.kong.servers.pool import Pool
from plugmw.dialects.kong.servers.settings import KONG_BIN, ServerConfig, words
from plugmw.dialects.kong.servers.supervisor_client import SupervisorClient
from plugmw.dialects.kong.servers.wire import Closed, Connection, Wire
from plugmw.events import SERVER_RESTARTS, Events

if TYPE_CHECKING:
    from plugmw.dialects.kong.servers.supervisor.child import ServerSpec
    from plugmw.kernel.runtime import Logger

#: What a server's environment has of ours: nothing that could be a secret.
_PASSED: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR")


class Server:
    """One entry of ``pluginservers``. Made before the fork; opens nothing until it is used."""

    def __init__(self, settings: ServerConfig, folder: str, group: ServerGroup) -> None:
        self.settings = settings
        self.name = settings.name
        self.folder = os.path.abspath(folder)
        self.group = group
        #: What happened, by name: timeouts, failures, retries, dropped log events.
        self.counts = Counts()
        self.start_command = self._command(settings.start_cmd)
        self.query_command = self._command(settings.query_cmd)
        program = f"{KONG_BIN}/{self.name}"
        if not self.query_command:
            self.query_command = [program, "-dump"]
            self.start_command = self.start_command or [program]
        self._dump: Dump | None = None
        self._pool: Pool | None = None
        self._lock = threading.Lock()

    def _command(self, command: str | list[str] | None) -> list[str]:
        known = {"{python}": sys.executable, "{folder}": self.folder}
        parts = words(command)
        for name, value in known.items():
            parts = [word.replace(name, value) for word in parts]
        return parts

    def environment(self) -> dict[str, str]:
        """Return the environment of the server's commands."""
        ours = {name: os.environ[name] for name in _PASSED if name in os.environ}
        return {**ours, **self.settings.environment}

    def dump(self) -> Dump:
        """Ask the server which plugins it has, once; raises :class:`~plugmw.errors.LoadError`."""
        if self._dump is None:
            timeout = self.settings.query_timeout
            self._dump = query(self.name, self.query_command, self.environment(), self.folder, timeout)
        return self._dump

    # -- running it -----------------------------------------------------------------------------------

    def specification(self) -> ServerSpec | None:
        """Return what the supervisor needs to know; None for a server that is run by somebody else."""
        command = list(self.start_command)
        if not command:
            return None
        if not any("{prefix}" in word or word.lstrip("-").startswith("kong-prefix") for word in command):
            command += ["--kong-prefix", "{prefix}"]
        settings = self.settings
        prefix = settings.prefix or (os.path.dirname(settings.socket) if settings.socket else None)
        return {
            "name": self.name,
            "command": command,
            "environment": self.environment(),
            "cwd": self.folder,
            "prefix": os.path.join(self.folder, prefix) if prefix else None,
        }

    def mark(self) -> list[object]:
        """Return what changes when the server's files do."""
        return fingerprint(self.start_command, self.folder)

    def socket(self) -> str:
        """Return the path of the server's socket; raises OSError while there is none."""
        settings = self.settings
        if settings.socket:
            return os.path.join(self.folder, settings.socket)
        if self.start_command:
            prefix = self.group.supervisor().prefixes[self.name]
        else:
            prefix = os.path.join(self.folder, settings.prefix or "")
        dump = self._dump
        names = [dump.socket] if dump is not None and dump.socket else []
        return only_socket(prefix, [*names, f"{self.name}.socket"])

    # -- talking to it --------------------------------------------------------------------------------

    def pool(self) -> Pool:
        """Return this process's connections to the server."""
        pool = self._pool
        if pool is not None:
            return pool
        with self._lock:
            if self._pool is None:
                if self.start_command:
                    try:
                        self.group.supervisor().start()
                    except OSError as error:
                        raise Closed(f"the supervisor cannot be started: {error}") from None
                settings = self.settings
                self._pool = Pool(
                    self.socket, self._protocol(), settings.step_timeout, settings.connect_timeout
                )
            return self._pool

    def _protocol(self) -> Callable[[Wire], Connection]:
        if self.dump().protocol == PROTOBUF:
            from plugmw.dialects.kong.servers.protobuf_rpc import ProtoBufRPC

            return ProtoBufRPC
        from plugmw.dialects.kong.servers.msgpack_rpc import MsgPackRPC

        return MsgPackRPC

    def hung(self, peer: object) -> None:
        """Have the process behind a connection killed and started again: it missed a deadline.

        kong-pdk for Python holds a lock while a handler runs up to its first call, and for ever if that
        fails: without this no later request would be answered.
        """
        self.counts.add("timeouts")
        if self.start_command:
            self.group.supervisor().restart(self.name, peer[0] if isinstance(peer, tuple) else None)

    def after_fork(self) -> None:
        """Forget the parent's locks and connections."""
        self._lock = threading.Lock()
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.forget()

    def close(self) -> None:
        """Close this process's connections."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.close()


class ServerGroup:
    """All plugin servers of one gateway, under one supervisor."""

    def __init__(self, settings: Sequence[ServerConfig], folder: str) -> None:
        self.logger: Logger = logging.getLogger("plugmw.kong.servers")
        self.events = Events()
        self.servers = [Server(item, folder, self) for item in settings]
        self._supervisor: SupervisorClient | None = None
        self._lock = threading.Lock()
        self._users = 0
        on_fork(self)

    def supervisor(self) -> SupervisorClient:
        """Return this process's side of the supervisor; raises OSError."""
        with self._lock:
            if self._supervisor is None:
                specs = [server.specification() for server in self.servers]
                running = [spec for spec in specs if spec is not None]
                marks = [server.mark() for server in self.servers]
                self._supervisor = SupervisorClient(running, marks, self._said)
            return self._supervisor

    def _said(self, name: str, pid: int, text: str, event: str) -> None:
        """Log a line; of all workers one is given it, so a restart is counted once."""
        if event == "restart":
            self.events.count(SERVER_RESTARTS)
        log = self.logger.error if event == "trouble" else self.logger.info
        log("[%s:%d] %s", name, pid, text)

    def enter(self) -> None:
        """Count a plugin object that uses the servers in this process."""
        with self._lock:
            self._users += 1

    def leave(self) -> None:
        """Close everything when the last plugin object has left."""
        with self._lock:
            self._users -= 1
            if self._users > 0:
                return
            supervisor, self._supervisor = self._supervisor, None
        for server in self.servers:
            server.close()
        if supervisor is not None:
            supervisor.stop()

    def after_fork(self) -> None:
        """Forget what belongs to the parent."""
        self._lock = threading.Lock()
        self._users = 0
        supervisor, self._supervisor = self._supervisor, None
        if supervisor is not None:
            supervisor.forget()
        for server in self.servers:
            server.after_fork()
