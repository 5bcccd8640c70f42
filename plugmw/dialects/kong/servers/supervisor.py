"""The process that keeps plugin servers running: spawns, restarts, ends them, and passes their output on.

    python -m plugmw.dialects.kong.servers.supervisor    with a specification as JSON on standard input

It is started by the first worker that needs it and shared by all workers of one server (see
:mod:`plugmw.dialects.kong.servers.overseer`). It forks away from its parent, so that neither gunicorn's
arbiter nor a worker has it or a plugin server as a child. It ends when nobody is connected any more. Only
the standard library is used, so that it stays small.

Clients connect to the socket ``control`` in its folder and send lines of JSON:

    {"op": "restart", "name": "my-plugin", "pid": 123}      kill a hung server, if that is its pid still
    {"op": "status", "id": 1}                               answered by {"id": 1, "servers": {...}}

and one of them is sent what servers write: ``{"name": ..., "pid": ..., "text": ...}``.
"""

from __future__ import annotations

import ctypes
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any, Final

#: Seconds between two starts of a server, at least, and at most when it keeps ending.
SPACING: Final = 1.0
SLOWEST: Final = 30.0
#: Seconds after which a server counts as having started well.
SETTLED: Final = 10.0
#: Seconds between SIGTERM and SIGKILL at the end.
GRACE: Final = 3.0
#: Seconds without a client after which everything ends, while the owner lives.
LINGER: Final = 30.0
#: Lines of one server passed on per second, and their length.
LINES: Final = 100
LENGTH: Final = 2000
_PIECE: Final = 65536


def main() -> None:
    """Take the specification, fork away, serve. The lock's descriptor is argument 1, if given."""
    spec = json.load(sys.stdin)
    os.umask(0o077)
    os.setsid()
    control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    path = os.path.join(spec["folder"], "control")
    if os.path.lexists(path):
        os.unlink(path)
    control.bind(path)
    control.listen(128)
    if os.fork():
        # The clients can connect from here on; nobody waits for the child but init.
        os._exit(0)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.chdir("/")
    status = 1
    try:
        Supervisor(spec, control).run()
        status = 0
    finally:
        # 3 and 4 would halt a gunicorn (up to 26.0) that inherits this process as pid 1.
        os._exit(status)


class Supervisor:
    """The servers of a specification, until nobody needs them."""

    def __init__(self, spec: dict[str, Any], control: socket.socket) -> None:
        self.folder = spec["folder"]
        self.owner: tuple[int, str] = tuple(spec["owner"])
        self.linger = float(spec.get("linger", LINGER))
        self.private = bool(spec.get("private", True))
        self.selector = selectors.DefaultSelector()
        self.clients: list[Client] = []
        self.servers = {item["name"]: Child(item, self) for item in spec["servers"]}
        self.control = control
        self.ending = False
        self.alone_since = self.begun = time.monotonic()

    def run(self) -> None:
        """Serve until the end."""
        _prctl(_SUBREAPER, 1)
        wake, woken = socket.socketpair()
        for end in (wake, woken, self.control):
            end.setblocking(False)
        signal.set_wakeup_fd(woken.fileno())
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: setattr(self, "ending", True))
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        self.selector.register(wake, selectors.EVENT_READ, lambda: wake.recv(4096))
        self.selector.register(self.control, selectors.EVENT_READ, self._accept)
        while not self.ending and not self._abandoned():
            self._turn(self._next_start())
        self._end()

    def _turn(self, wait: float) -> None:
        # The first client is about to connect: it shall have the first lines.
        if not self.ending and (self.clients or time.monotonic() - self.begun > 1.0):
            for server in self.servers.values():
                server.start_if_due()
        for key, _ in self.selector.select(wait):
            key.data()
        for server in self.servers.values():
            if server.lines is not None:
                server.lines.tell_dropped()
        self._reap()

    def _next_start(self) -> float:
        now = time.monotonic()
        due = [max(0.02, server.due - now) for server in self.servers.values() if server.process is None]
        return min([1.0, *due])

    def _abandoned(self) -> bool:
        """Say whether it is time to end: nobody is connected, and nobody will be."""
        if self.clients:
            self.alone_since = time.monotonic()
            return False
        alone = time.monotonic() - self.alone_since
        # A second for the first client to connect, and for workers that end one after the other.
        return alone > self.linger or (alone > 1.0 and started_at(self.owner[0]) != self.owner[1])

    def _reap(self) -> None:
        """Take in whatever has ended; also what the servers left behind."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            for server in self.servers.values():
                if server.process is not None and server.process.pid == pid:
                    server.ended(os.waitstatus_to_exitcode(status))

    def _accept(self) -> None:
        try:
            connection, _ = self.control.accept()
        except OSError:
            return
        connection.setblocking(False)
        self.clients.append(Client(connection, self))

    def tell(self, name: str, pid: int, text: str) -> None:
        """Pass a line on to a client that takes it, else to standard error."""
        line = json.dumps({"name": name, "pid": pid, "text": text}).encode() + b"\n"
        for client in self.clients:
            if client.send(line):
                return
        try:
            os.write(2, f"[{name}:{pid}] {text}\n".encode("utf-8", "replace"))
        except OSError:
            pass

    def command(self, client: Client, asked: dict[str, Any]) -> None:
        """Do what a client asks for."""
        server = self.servers.get(str(asked.get("name")))
        if asked.get("op") == "restart" and server is not None:
            server.kill(asked.get("pid"))
        elif asked.get("op") == "status":
            told = {name: server.status() for name, server in self.servers.items()}
            client.send(json.dumps({"id": asked.get("id"), "servers": told}).encode() + b"\n")

    def _end(self) -> None:
        """End the servers, first asking, then not; then remove what was made."""
        self.ending = True
        self.control.close()
        running = [server for server in self.servers.values() if server.process is not None]
        for server in running:
            server.signal(signal.SIGTERM)
        end = time.monotonic() + GRACE
        while any(server.process for server in running) and time.monotonic() < end:
            self._turn(0.05)
        for server in running:
            # The group too: what a server started itself ends with it.
            server.signal(signal.SIGKILL)
        for name in ("control", *(item.prefix for item in self.servers.values() if item.private)):
            _remove(os.path.join(self.folder, name))
        if self.private:
            _remove(os.path.join(self.folder, "lock"))
            _remove(self.folder)


class Child:
    """One plugin server."""

    def __init__(self, item: dict[str, Any], supervisor: Supervisor) -> None:
        self.name: str = item["name"]
        self.command: list[str] = item["command"]
        self.environment: dict[str, str] = item["environment"]
        self.cwd: str = item["cwd"]
        self.prefix: str = item["prefix"]
        self.private: bool = item["private"]
        self.supervisor = supervisor
        self.process: subprocess.Popen[bytes] | None = None
        self.group = 0
        self.due = 0.0
        self.last_start = -SLOWEST
        self.starts = self.failures = 0
        self.lines: Lines | None = None

    def start_if_due(self) -> None:
        """Start the server unless it runs or its time has not come."""
        now = time.monotonic()
        if self.process is not None or now < self.due:
            return
        self.last_start = now
        self.starts += 1
        try:
            self.process = subprocess.Popen(  # noqa: S603 - the configuration's command, without a shell
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=self.cwd,
                env=self.environment,
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )
        except (OSError, subprocess.SubprocessError) as error:
            self.supervisor.tell(self.name, 0, f"cannot start {self.command[0]!r}: {error}")
            self._failed()
            return
        self.group = self.process.pid
        if self.process.stdout is not None:
            self.lines = Lines(self.name, self.process.pid, self.process.stdout.fileno(), self.supervisor)
        self.supervisor.tell(self.name, self.process.pid, "started")

    def ended(self, status: int) -> None:
        """Take in that the server has ended."""
        process, self.process = self.process, None
        if process is None:
            return
        pid, process.returncode = process.pid, status
        self.signal(signal.SIGKILL)
        if self.lines is not None:
            self.lines.finish()
        if process.stdout is not None:
            process.stdout.close()
        if self.supervisor.ending:
            return
        how = f"signal {-status}" if status < 0 else f"status {status}"
        if status == 127:
            how += ", command not found"
        self._failed()
        wait = max(0.0, self.due - time.monotonic())
        self.supervisor.tell(self.name, pid, f"ended with {how}, next start in {wait:.1f} s")

    def _failed(self) -> None:
        """Set the time of the next start: at once after a good run, later and later otherwise."""
        now = time.monotonic()
        self.failures = 0 if now - self.last_start >= SETTLED else self.failures + 1
        delay = min(SLOWEST, SPACING * 2 ** (self.failures - 3)) if self.failures > 2 else 0.0
        self.due = max(self.last_start + SPACING, now + delay)

    def kill(self, pid: Any) -> None:
        """Kill a server that hangs, if it is the one that was seen to hang (None: whichever runs)."""
        if self.process is not None and pid in (None, self.process.pid):
            self.supervisor.tell(self.name, self.process.pid, "missed a deadline, is killed")
            self.signal(signal.SIGKILL)

    def signal(self, number: int) -> None:
        """Send a signal to the server and all that it started."""
        if not self.group:
            return
        try:
            os.killpg(self.group, number)
        except OSError:
            pass

    def status(self) -> dict[str, Any]:
        """Describe the server for a client."""
        return {"pid": self.process.pid if self.process else None, "starts": self.starts}


class Lines:
    """What one server writes, cut into lines, limited in length and number. The pipe is always drained."""

    def __init__(self, name: str, pid: int, pipe: int, supervisor: Supervisor) -> None:
        self.name, self.pid, self.pipe, self.supervisor = name, pid, pipe, supervisor
        self.rest = b""
        self.skipping = False
        self.second = 0.0
        self.told = self.dropped = 0
        os.set_blocking(pipe, False)
        supervisor.selector.register(pipe, selectors.EVENT_READ, self.read)
        self.open = True

    def read(self) -> None:
        """Take what there is, up to a mebibyte at a time."""
        for _ in range(16):
            try:
                data = os.read(self.pipe, _PIECE)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self._close()
                return
            self._take(data)

    def _take(self, data: bytes) -> None:
        *lines, rest = (self.rest + data).split(b"\n")
        for line in lines:
            if not self.skipping:
                self._line(line)
            self.skipping = False
        if len(rest) > LENGTH:
            if not self.skipping:
                self._line(rest)
            self.skipping, rest = True, b""
        self.rest = rest

    def _line(self, line: bytes) -> None:
        now = time.monotonic()
        if now - self.second >= 1.0:
            self.tell_dropped(always=True)
            self.second, self.told = now, 0
        if self.told >= LINES:
            self.dropped += 1
            return
        self.told += 1
        text = line[:LENGTH].decode("utf-8", "replace").rstrip()
        if text:
            # One line is one line, whatever control characters it has.
            shown = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)
            self.supervisor.tell(self.name, self.pid, shown)

    def tell_dropped(self, always: bool = False) -> None:
        """Say how many lines were dropped, once a second."""
        if self.dropped and (always or time.monotonic() - self.second >= 1.0):
            self.supervisor.tell(self.name, self.pid, f"{self.dropped} lines were dropped")
            self.dropped = 0

    def finish(self) -> None:
        """Take what is left when the server has ended."""
        if self.open:
            self.read()
        if self.rest and not self.skipping:
            self._line(self.rest)
        self.tell_dropped(always=True)
        self._close()

    def _close(self) -> None:
        if self.open:
            self.open = False
            self.supervisor.selector.unregister(self.pipe)


class Client:
    """A connected worker process."""

    def __init__(self, connection: socket.socket, supervisor: Supervisor) -> None:
        self.connection = connection
        self.supervisor = supervisor
        self.rest = b""
        self.lost = 0
        supervisor.selector.register(connection, selectors.EVENT_READ, self.read)

    def read(self) -> None:
        try:
            data = self.connection.recv(_PIECE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data or len(self.rest) > _PIECE:
            self.close()
            return
        *lines, self.rest = (self.rest + data).split(b"\n")
        for line in lines:
            try:
                asked = json.loads(line)
            except ValueError:
                continue
            if isinstance(asked, dict):
                self.supervisor.command(self, asked)

    def send(self, line: bytes) -> bool:
        """Send a whole line or nothing; a client that does not read does not hold anybody up."""
        try:
            # A unix stream takes a small message whole or, when its buffer is full, not at all.
            sent = self.connection.send(line)
        except BlockingIOError:
            self.lost += 1
            return True
        except OSError:
            self.close()
            return False
        if sent < len(line):
            self.close()
        return True

    def close(self) -> None:
        if self in self.supervisor.clients:
            self.supervisor.clients.remove(self)
            self.supervisor.selector.unregister(self.connection)
            self.connection.close()


def started_at(pid: int) -> str:
    """Return what tells a process from a later one with its id; "" when it has ended."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        return "" if fields[0] == b"Z" else fields[19].decode()
    except OSError:
        pass
    if os.path.isdir("/proc/self"):
        return ""
    try:
        os.kill(pid, 0)
    except PermissionError:
        pass
    except OSError:
        return ""
    return "alive"


#: prctl(2): become the parent of orphans below; get a signal when the parent ends.
_SUBREAPER: Final = 36
_PDEATHSIG: Final = 1


def _find_prctl() -> Callable[..., int] | None:
    try:
        found: Callable[..., int] = ctypes.CDLL(None, use_errno=True).prctl
    except (OSError, AttributeError):
        return None
    return found


_libc_prctl: Final = _find_prctl() if sys.platform.startswith("linux") else None


def _prctl(option: int, value: int) -> None:
    if _libc_prctl is not None:
        _libc_prctl(option, value, 0, 0, 0)


def _die_with_parent() -> None:
    """In the child: end when the supervisor is killed, so that no server is left without one."""
    _prctl(_PDEATHSIG, int(signal.SIGKILL))


def _remove(path: str) -> None:
    """Remove a file, or a folder with the sockets in it."""
    try:
        if os.path.isdir(path) and not os.path.islink(path):
            for name in os.listdir(path):
                os.unlink(os.path.join(path, name))
            os.rmdir(path)
        else:
            os.unlink(path)
    except OSError:
        pass


if __name__ == "__main__":
    main()
