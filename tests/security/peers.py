"""Log servers that are processes of their own, to be stopped, killed and started again.

with Peer(tmp_path, "http") as peer:
    peer.pause(); peer.resume(); peer.kill(); peer.start("failing")
    assert peer.got() == ["/1", "/2"]       # the paths of the requests that the entries tell of
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.support.sinks import closed_port
from tests.support.waiting import until

#: Takes a port, what it speaks (http, tcp), how it is (good, failing, closing, slow), and where it notes.
PROGRAM = r"""
import socket, sys, threading, time

port, speaks, how, notes = int(sys.argv[1]), sys.argv[2], sys.argv[3], open(sys.argv[4], "ab", buffering=0)
listener = socket.create_server(("127.0.0.1", port), backlog=128)
notes.write(b"\n")

def serve(client):
    stream = client.makefile("rb")
    while (one if speaks == "http" else line)(client, stream):
        pass
    stream.close()
    client.close()

def line(client, stream):
    data = stream.readline()
    if not data.endswith(b"\n"):
        return False
    if how == "slow":
        time.sleep(0.05)
    notes.write(data)
    return how != "closing"

def one(client, stream):
    length = 0
    while (head := stream.readline()) not in (b"\r\n", b""):
        name, _, value = head.lower().partition(b":")
        length = int(value) if name == b"content-length" else length
    if not head:
        return False
    body = stream.read(length)
    if how == "slow":
        time.sleep(0.3)
    if how != "failing":
        notes.write(body + b"\n")
    status = b"500 No" if how == "failing" else b"200 OK"
    client.sendall(b"HTTP/1.1 %s\r\nContent-Length: 2\r\n\r\nok" % status)
    return how != "closing"

while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
"""


class Peer:
    """A log server at a port of its own, which stays the same when it is started again."""

    def __init__(self, folder: Path, speaks: str) -> None:
        self.port = closed_port()
        self._speaks = speaks
        self._notes = folder / f"{speaks}.notes"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Peer:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.kill()

    def start(self, how: str = "good") -> None:
        arguments = [str(self.port), self._speaks, how, str(self._notes)]
        before = self._notes.stat().st_size if self._notes.exists() else -1
        self._process = subprocess.Popen([sys.executable, "-c", PROGRAM, *arguments])
        until(lambda: self._notes.exists() and self._notes.stat().st_size > before)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def again(self, how: str = "good") -> None:
        self.kill()
        self.start(how)

    def pause(self) -> None:
        """Make it hang: connections are made, and nothing is read any more."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)

    def got(self) -> list[str]:
        """Return the paths of the requests whose entries have come, in order."""
        found: list[str] = []
        for line in self._notes.read_text().splitlines():
            if line:
                told = json.loads(line)
                found += [entry["request"]["uri"] for entry in (told if isinstance(told, list) else [told])]
        return found
