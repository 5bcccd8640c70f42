"""Real collectors: etsy's statsd from npm, and the Zipkin server from Maven.

with statsd(folder) as server:
    ...                                 # send to UDP server.port
    server.ask("counters")
with zipkin(folder) as url:
    ...                                 # send spans to f"{url}/api/v2/spans"
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from tests.support.fetched import maven, npm
from tests.support.servers import require_program
from tests.support.sinks import closed_port
from tests.support.waiting import until

STATSD = "statsd@0.9.0"
ZIPKIN = "io.zipkin:zipkin-server:3.4.4:jar:exec"
#: Seconds until a Java server listens on a busy machine.
_STARTING = 120.0


class StatsDServer:
    """A running statsd that flushes only at its end, so that nothing is forgotten before it is asked."""

    def __init__(self, port: int, management: int) -> None:
        self.port = port
        self._management = management

    def ask(self, command: str) -> dict[str, Any]:
        """Return what the management interface says of ``counters``, ``timers`` or ``gauges``."""
        with socket.create_connection(("127.0.0.1", self._management), timeout=10) as connection:
            connection.sendall(f"{command}\n".encode())
            answer = b""
            while b"END" not in answer:
                answer += connection.recv(65536)
        # An object as JavaScript prints it: names in single quotes or none, values numbers or lists of them.
        text = answer.decode().partition("END")[0].replace("'", '"')
        return dict(json.loads(re.sub(r"([{,]\s*)([A-Za-z_]\w*):", r'\1"\2":', text)))

    def listens(self) -> bool:
        try:
            return bool(self.ask("counters"))
        except OSError:
            return False


@contextmanager
def statsd(folder: Path) -> Iterator[StatsDServer]:
    """Run etsy's statsd until the block ends."""
    package = npm(STATSD) / "node_modules/statsd"
    server = StatsDServer(closed_port(), closed_port())
    settings = {
        "address": "127.0.0.1",
        "port": server.port,
        "mgmt_address": "127.0.0.1",
        "mgmt_port": server._management,
        "flushInterval": 3_600_000,
        "backends": ["./backends/console"],
    }
    (folder / "statsd.js").write_text(json.dumps(settings), encoding="utf-8")
    command = [require_program("node"), str(package / "stats.js"), str(folder / "statsd.js")]
    with _running(command, folder / "statsd.log"):
        until(server.listens, 30)
        yield server


@contextmanager
def zipkin(folder: Path) -> Iterator[str]:
    """Run a Zipkin server with its spans in memory until the block ends; yields its URL."""
    java, jar = require_program("java"), maven(ZIPKIN)
    port = closed_port()
    command = [java, "-Xmx256m", "-XX:TieredStopAtLevel=1", "-jar", str(jar)]
    environ = {"QUERY_PORT": str(port), "STORAGE_TYPE": "mem", "ARMERIA_OPTS": ""}
    url = f"http://127.0.0.1:{port}"
    with _running(command, folder / "zipkin.log", **environ):
        until(lambda: _is_up(url), _STARTING)
        yield url


def _is_up(url: str) -> bool:
    try:
        return requests.get(f"{url}/health", timeout=30).status_code == 200
    except requests.RequestException:
        return False


@contextmanager
def _running(command: list[str], log: Path, **environ: str) -> Iterator[None]:
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env={**os.environ, **environ}
        )
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
