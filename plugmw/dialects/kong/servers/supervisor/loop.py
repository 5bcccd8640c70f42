"""The supervisor's loop: starts what is due, hears what comes, reaps what has ended, ends when alone."""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import sys
import time
from typing import Any, Final

from plugmw.concurrency.process import started_at
from plugmw.dialects.kong.servers.supervisor.child import Child, adopt_orphans
from plugmw.dialects.kong.servers.supervisor.control import Client

#: Seconds between SIGTERM and SIGKILL at the end.
GRACE: Final = 3.0
#: Seconds without a client after which everything ends, while the owner lives.
LINGER: Final = 30.0


def main() -> None:
    """Take the specification, fork away, serve; the lock is an open descriptor, inherited and kept."""
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
        #: Whether the last client to leave was the owner itself: nobody else will come.
        self.left = False
        self.alone_since = self.begun = time.monotonic()

    def run(self) -> None:
        """Serve until the end."""
        adopt_orphans()
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
        # The first client is about to connect: it shall have the first lines. Without any nothing is started.
        waited = self.alone_since == self.begun and time.monotonic() - self.begun > 1.0
        if not self.ending and (self.clients or waited):
            for server in self.servers.values():
                server.start_if_due()
        for key, _ in self.selector.select(wait):
            key.data()
        for server in self.servers.values():
            if server.lines is not None:
                server.lines.tell_dropped()
        self._reap()

    def _next_start(self) -> float:
        if not self.clients:
            return 1.0
        now = time.monotonic()
        due = [max(0.02, server.due - now) for server in self.servers.values() if server.process is None]
        return min([1.0, *due])

    def _abandoned(self) -> bool:
        """Say whether it is time to end: nobody is connected, and nobody will be."""
        if self.clients:
            self.alone_since = time.monotonic()
            return False
        alone = time.monotonic() - self.alone_since
        if self.left:
            return True
        # A second for the first client to connect, and for workers that end one after the other.
        return alone > self.linger or (alone > 1.0 and started_at(self.owner[0]) != self.owner[1])

    def _reap(self) -> None:
        """Take in which servers have ended; and what they left behind, which is ours by adoption."""
        for server in self.servers.values():
            server.poll()
        while (pid := _ended_child()) is not None:
            own = next((one for one in self.servers.values() if one.process and one.process.pid == pid), None)
            if own is None:
                os.waitpid(pid, 0)
            else:
                # It has ended since; who started it waits for it.
                own.poll()

    def _accept(self) -> None:
        try:
            connection, _ = self.control.accept()
        except OSError:
            return
        connection.setblocking(False)
        self.clients.append(Client(connection, self))
        self.left = False

    def tell(self, name: str, pid: int, text: str, event: str = "") -> None:
        """Pass a line on to a client that takes it, else to standard error.

        ``event`` is what the line itself tells of a server: ``restart``, ``trouble``; "" for all others.
        """
        line = json.dumps({"name": name, "pid": pid, "text": text, "event": event}).encode() + b"\n"
        for client in self.clients:
            if client.send(line):
                return
        try:
            os.write(2, f"[{name}:{pid}] {text}\n".encode("utf-8", "replace"))
        except OSError:
            pass

    def command(self, client: Client, asked: dict[str, object]) -> None:
        """Do what a client asks for."""
        server = self.servers.get(str(asked.get("name")))
        if asked.get("op") == "restart" and server is not None:
            server.kill(asked.get("pid"))
        elif asked.get("op") == "leave":
            self.left = True
        elif asked.get("op") == "status":
            servers = {name: server.status() for name, server in self.servers.items()}
            client.send(json.dumps({"id": asked.get("id"), "servers": servers}).encode() + b"\n")

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


def _ended_child() -> int | None:
    """Return the number of a child that nobody has waited for, None if there is none. Waits for none."""
    if not hasattr(os, "waitid"):
        return None  # a system without adoption
    try:
        ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return None
    return None if ended is None else ended.si_pid
