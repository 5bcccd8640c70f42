"""Debian's rsyslog on a private unix socket and a UDP port of loopback.

with rsyslog(folder) as daemon:
    ...                                     # send to daemon.socket or daemon.port
    assert daemon.wait(1)[0].tag == "kong:"
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.support.servers import only_live, require_program
from tests.support.sinks import closed_port
from tests.support.waiting import until

_CONFIG = """
module(load="imuxsock" SysSock.Use="off")
module(load="imudp")
input(type="imuxsock" Socket="{folder}/socket" RateLimit.Interval="0")
input(type="imudp" address="127.0.0.1" port="{port}" rcvbufSize="8m")
template(name="all" type="string" string="%pri%\\t%hostname%\\t%programname%\\t%structured-data%\\t%msg%\\n")
*.* action(type="omfile" file="{folder}/written" template="all")
"""


class Message(NamedTuple):
    """A message as rsyslog understood it."""

    pri: int
    host: str
    program: str
    data: str
    text: str


class Rsyslog:
    """A running daemon. Unix sockets have short paths, so ``folder`` should be one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = f"{folder}/socket"
        self.port = closed_port()
        (folder / "conf").write_text(_CONFIG.format(folder=folder, port=self.port))
        (folder / "written").touch()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        program = require_program("rsyslogd")
        only_live(program)
        with (self.folder / "errors").open("ab") as errors:
            self._process = subprocess.Popen(
                [program, "-n", "-f", f"{self.folder}/conf", "-i", f"{self.folder}/pid"],
                stdout=errors,
                stderr=errors,
            )
        until(lambda: Path(self.socket).exists())
        until(lambda: self._listens())

    def _listens(self) -> bool:
        """Whether the UDP port is open, the last thing that the daemon opens."""
        port = f":{self.port:04X} "
        return port in Path("/proc/net/udp").read_text()

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)
            self._process = None

    def wait(self, count: int) -> list[Message]:
        """Return what was written once there are so many messages; rsyslog's own are left out."""
        return until(lambda: found if len(found := self.messages()) >= count else None)

    def messages(self) -> list[Message]:
        lines = (self.folder / "written").read_text(encoding="utf-8", errors="replace").split("\n")[:-1]
        fields = [line.split("\t", 4) for line in lines]
        found = [Message(int(pri), *rest) for pri, *rest in fields]
        return [message for message in found if not message.program.startswith("rsyslog")]


@contextmanager
def rsyslog(folder: Path) -> Iterator[Rsyslog]:
    daemon = Rsyslog(folder)
    daemon.start()
    try:
        yield daemon
    finally:
        daemon.stop()
