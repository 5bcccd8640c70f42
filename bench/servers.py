"""Start servers on loopback, read what CPU and memory they used, stop them by their own process ids."""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TICK = os.sysconf("SC_CLK_TCK")
PATIENCE = 20.0  # seconds a server may take to answer for the first time, or to stop


def free_port() -> int:
    """Return a loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """One running server: its root process and the port it answers on."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], port: int) -> None:
        self.name = name
        self.process = process
        self.port = port

    def pids(self) -> list[int]:
        """Return the ids of the process and all its descendants."""
        return family(self.process.pid)

    def cpu(self) -> float:
        """Return the seconds of CPU, user and system, of the family, its dead children included."""
        return sum(map(process_cpu, self.pids()))


@contextlib.contextmanager
def running(
    name: str,
    command: Sequence[str],
    port: int,
    log: Path,
    env: Mapping[str, str] | None = None,
    path: str = "/",
) -> Iterator[Server]:
    """Run ``command`` until the block ends; enter it when the server answers on ``port``."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            cwd=ROOT,
            env={**os.environ, **(env or {})},
        )
    server = Server(name, process, port)
    try:
        wait(server, log, path)
        yield server
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def gunicorn(
    name: str, app: str, kind: str, workers: int, directory: Path
) -> contextlib.AbstractContextManager[Server]:
    """Run gunicorn with ``workers`` of a worker class, four threads each where it has threads."""
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "--no-control-socket", "-b", f"127.0.0.1:{port}"]
    command += ["-w", str(workers), "-k", kind, "--keep-alive", "60", "--log-level", "warning"]
    command += ["--worker-tmp-dir", str(directory), "--timeout", "120"]
    if kind == "gthread":
        command += ["--threads", "4"]
    return running(name, [*command, app], port, directory / f"{name}-{kind}-{workers}.log")


def wait(server: Server, log: Path, path: str) -> None:
    """Return when the server answers any request at all."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if server.process.poll() is not None:
            break
        try:
            ask(server.port, path)
        except (OSError, http.client.HTTPException):
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"{server.name} did not start:\n{log.read_text(errors='replace')[-3000:]}")


class Reply:
    """One answer, read whole."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()


def ask(port: int, path: str = "/", method: str = "GET", **headers: str) -> Reply:
    """Make one request; an underscore in a header's name stands for a dash."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    fields = {name.replace("_", "-"): text for name, text in headers.items()}
    try:
        connection.request(method, path, headers=fields)
        return Reply(connection.getresponse())
    finally:
        connection.close()


def family(root: int) -> list[int]:
    """Return ``root`` and its descendants."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                children.setdefault(int(stat(int(entry))[1]), []).append(int(entry))
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found


def stat(pid: int) -> list[str]:
    """Return the fields of ``/proc/PID/stat`` from the state on: field 3 of proc(5) is item 0 here."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def process_cpu(pid: int) -> float:
    """Return utime + stime + cutime + cstime in seconds; 0 for a process that has gone."""
    try:
        fields = stat(pid)
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / TICK


def memory(pid: int, field: str) -> int:
    """Return ``VmRSS``, ``VmHWM`` or ``RssAnon`` of a process, in KiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1])
    raise LookupError(field)


def forget_peak(pid: int) -> None:
    """Make ``VmHWM`` start again from the present size: proc(5), clear_refs, value 5."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
