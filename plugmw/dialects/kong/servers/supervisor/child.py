"""One plugin server as a child process: started, spaced out when it keeps ending, killed."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypedDict

from plugmw.dialects.kong.servers.supervisor.lines import Lines

if TYPE_CHECKING:
    from plugmw.dialects.kong.servers.supervisor.loop import Supervisor

#: Seconds between two starts of a server, at least, and at most when it keeps ending.
SPACING: Final = 1.0
SLOWEST: Final = 30.0
#: Seconds after which a server counts as having started well.
SETTLED: Final = 10.0


class ServerSpec(TypedDict):
    """How a plugin server is run; ``prefix`` is the folder of its socket, None to have one chosen."""

    name: str
    command: list[str]
    environment: dict[str, str]
    cwd: str
    prefix: str | None


class PlacedServer(TypedDict):
    """A server whose folder is chosen; a ``private`` one is the supervisor's, made and removed by it."""

    name: str
    command: list[str]
    environment: dict[str, str]
    cwd: str
    prefix: str
    private: bool


class Child:
    """One plugin server."""

    def __init__(self, item: PlacedServer, supervisor: Supervisor) -> None:
        self.name = item["name"]
        self.command = item["command"]
        self.environment = item["environment"]
        self.cwd = item["cwd"]
        self.prefix = item["prefix"]
        self.private = item["private"]
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
                preexec_fn=die_with_parent,
            )
        except (OSError, subprocess.SubprocessError) as error:
            self.supervisor.tell(self.name, 0, f"cannot start {self.command[0]!r}: {error}", "trouble")
            self._failed()
            return
        self.group = self.process.pid
        if self.process.stdout is not None:
            self.lines = Lines(self.name, self.process.pid, self.process.stdout.fileno(), self.supervisor)
        again = self.starts > 1
        text = f"started again, the {self.starts - 1}. time" if again else "started"
        self.supervisor.tell(self.name, self.process.pid, text, "restart" if again else "")

    def poll(self) -> None:
        """Take in that the server has ended, if it has."""
        process = self.process
        status = None if process is None else process.poll()
        if process is None or status is None:
            return
        self.process, pid = None, process.pid
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
        self.supervisor.tell(self.name, pid, f"ended with {how}, next start in {wait:.1f} s", "trouble")

    def _failed(self) -> None:
        """Set the time of the next start: at once after a good run, later and later otherwise."""
        now = time.monotonic()
        self.failures = 0 if now - self.last_start >= SETTLED else self.failures + 1
        delay = min(SLOWEST, SPACING * 2 ** (self.failures - 3)) if self.failures > 2 else 0.0
        self.due = max(self.last_start + SPACING, now + delay)

    def kill(self, pid: object) -> None:
        """Kill a server that hangs, if it is the one that was seen to hang (None: whichever runs)."""
        if self.process is not None and pid in (None, self.process.pid):
            self.supervisor.tell(self.name, self.process.pid, "missed a deadline, is killed", "trouble")
            self.signal(signal.SIGKILL)

    def signal(self, number: int) -> None:
        """Send a signal to the server and all that it started."""
        if not self.group:
            return
        try:
            os.killpg(self.group, number)
        except OSError:
            pass

    def status(self) -> dict[str, object]:
        """Describe the server for a client."""
        return {"pid": self.process.pid if self.process else None, "starts": self.starts}


#: prctl(2): become the parent of orphans below; get a signal when the parent ends.
_SUBREAPER: Final = 36
_PDEATHSIG: Final = 1


def _find_prctl() -> Callable[..., int] | None:
    try:
        prctl: Callable[..., int] = ctypes.CDLL(None, use_errno=True).prctl
    except (OSError, AttributeError):
        return None
    return prctl


_libc_prctl: Final = _find_prctl() if sys.platform.startswith("linux") else None


def adopt_orphans() -> None:
    """Become the parent of processes below whose own parent ends; on Linux only."""
    _prctl(_SUBREAPER, 1)


def _prctl(option: int, value: int) -> None:
    if _libc_prctl is not None:
        _libc_prctl(option, value, 0, 0, 0)


def die_with_parent() -> None:
    """In the child: end when the supervisor is killed, so that no server is left without one."""
    _prctl(_PDEATHSIG, int(signal.SIGKILL))
