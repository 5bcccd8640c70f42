"""A worker's side of the supervisor: start it if nobody has, stay connected, pass on what servers write.

All workers of one gunicorn share a supervisor: it is found by the arbiter's process id and what it runs.
Whoever comes first starts it; a lock, which the supervisor keeps for as long as it lives, tells the others.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from plugmw.concurrency.deadline import Deadline
from plugmw.concurrency.locking import acquire
from plugmw.concurrency.process import started_at
from plugmw.concurrency.threads import Daemon
from plugmw.concurrency.throttle import Throttle
from plugmw.dialects.kong.servers.folders import key_of, make_shared, private_folder

if TYPE_CHECKING:
    from plugmw.dialects.kong.servers.supervisor.child import PlacedServer, ServerSpec

#: What is run as the supervisor.
_SUPERVISOR: Final = os.path.join(os.path.dirname(__file__), "supervisor", "__main__.py")
#: Seconds between two tries to start a supervisor.
_SPACING: Final = 1.0
#: Seconds that starting one may take.
_STARTING: Final = 10.0


class SupervisorClient:
    """The connection of one process to its supervisor. Thread-safe; of one process, after the fork.

    ``mark`` is anything that shall make another supervisor (file times). ``said(name, pid, text, event)`` is
    given the lines of the servers, with what they tell of one (``restart``, ``trouble``, or nothing).
    """

    def __init__(
        self, servers: Sequence[ServerSpec], mark: object, said: Callable[[str, int, str, str], None]
    ) -> None:
        self._said = said
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None
        owner = owner_of_this()
        self._owner = [owner, started_at(owner)]
        self.folder = private_folder(key_of([self._owner, [dict(item) for item in servers], mark]))
        self._servers = [self._placed(index, item) for index, item in enumerate(servers)]
        #: Server name -> the folder its socket is in.
        self.prefixes = {item["name"]: item["prefix"] for item in self._servers}

    def _placed(self, index: int, item: ServerSpec) -> PlacedServer:
        chosen = item.get("prefix")
        prefix = chosen or os.path.join(self.folder, str(index))
        return {
            "name": item["name"],
            "cwd": item["cwd"],
            "prefix": prefix,
            "private": chosen is None,
            "command": [word.replace("{prefix}", prefix) for word in item["command"]],
            "environment": {**item["environment"], "KONG_PREFIX": prefix},
        }

    def start(self) -> None:
        """Make sure that a supervisor runs and connect to it; raises OSError."""
        with self._lock:
            if self._thread is not None:
                return
            self._socket = self._connect()
            thread = Daemon("plugmw-supervisor", self._listen)
            try:
                thread.start()
            except RuntimeError as error:
                connection, self._socket = self._socket, None
                connection.close()
                raise OSError(f"no thread for the supervisor: {error}") from error
            self._thread = thread

    def restart(self, name: str, pid: int | None) -> None:
        """Have a hung server killed and started again; one that is another process already is left alone."""
        self._tell({"op": "restart", "name": name, "pid": pid})

    def stop(self) -> None:
        """Disconnect; the supervisor ends when the last of its clients has.

        Of a gunicorn it waits a while: another worker may be about to come.
        """
        self._stopped.set()
        if self._owner[0] == os.getpid():
            self._tell({"op": "leave"})
        with self._lock:
            connection, self._socket = self._socket, None
        if connection is not None:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            connection.close()

    def forget(self) -> None:
        """In a forked child: give back the descriptor; a shutdown would be the parent's, too."""
        self._stopped.set()
        if self._socket is not None:
            self._socket.close()

    def _tell(self, asked: dict[str, object]) -> None:
        with self._lock:
            if self._socket is not None:
                try:
                    self._socket.sendall(json.dumps(asked).encode() + b"\n")
                except OSError:
                    pass  # the listening thread sees to it

    # -- in the thread --------------------------------------------------------------------------------

    def _listen(self) -> None:
        """Pass lines on until told to stop; a supervisor that was killed is replaced."""
        failing = Throttle()
        while not self._stopped.is_set():
            connection = self._socket
            if connection is not None:
                self._lines(connection)
            if self._stopped.wait(_SPACING):
                return
            try:
                again = self._connect()
            except OSError as error:
                if failing():
                    self._said("supervisor", 0, f"cannot be started: {error}", "trouble")
                continue
            with self._lock:
                if connection is not None:
                    connection.close()
                self._socket = again
            if self._stopped.is_set():
                again.close()

    def _lines(self, connection: socket.socket) -> None:
        rest = b""
        while True:
            try:
                data = connection.recv(65536)
            except OSError:
                return
            if not data:
                return
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                try:
                    message = json.loads(line)
                    name, text, event = (str(message[key]) for key in ("name", "text", "event"))
                    self._said(name, int(message["pid"]), text, event)
                except (ValueError, KeyError, TypeError):
                    continue

    # -- starting -------------------------------------------------------------------------------------

    def _connect(self) -> socket.socket:
        """Connect to the supervisor, starting one if none runs."""
        deadline = Deadline.after(_STARTING)
        while True:
            try:
                self._start_if_none()
                return self._open()
            except OSError:
                # One that was ending, or that another process is just starting.
                if deadline.expired:
                    raise
                time.sleep(0.02)

    def _open(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(os.path.join(self.folder, "control"))
        except BaseException:
            connection.close()
            raise
        return connection

    def _start_if_none(self) -> None:
        private_folder(os.path.basename(self.folder))
        for item in self._servers:
            make_shared(item["prefix"])
        path = os.path.join(self.folder, "lock")
        try:
            lock = acquire(path, wait=0)
        except BlockingIOError:
            return
        try:
            if not os.path.samestat(os.fstat(lock), os.stat(path)):
                raise FileNotFoundError(2, "the folder of the supervisor was just removed")
            self._spawn(lock)
        finally:
            os.close(lock)

    def _spawn(self, lock: int) -> None:
        """Start a supervisor that keeps the lock."""
        spec = {"owner": self._owner, "folder": self.folder, "servers": self._servers}
        # By its path and isolated: it needs the standard library only, whatever this process has on sys.path.
        command = [sys.executable, "-I", "-S", _SUPERVISOR]
        started = subprocess.run(  # noqa: S603 - this Python
            command,
            input=json.dumps(spec).encode(),
            stdout=subprocess.DEVNULL,
            pass_fds=(lock,),
            cwd="/",
            timeout=_STARTING,
        )
        if started.returncode:
            raise OSError(f"the supervisor ended with status {started.returncode}")


def owner_of_this() -> int:
    """Return the process whose end means the end: gunicorn's arbiter in a worker, else this one."""
    if "gunicorn.arbiter" in sys.modules and os.environ.get("SERVER_SOFTWARE", "").startswith("gunicorn"):
        return os.getppid()
    return os.getpid()
