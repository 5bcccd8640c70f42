"""The servers: how each is started on a free loopback port, and stopped by its own process id.

with serving("gunicorn-gevent", folder, sinks) as server:
    raw.get(server.port, "/bare/stream")
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.servers import PATIENCE, ROOT, Server, missing, require_module, require_program
from tests.support.waiting import until

SERVED = "tests.servers.served:application"
GUNICORN = [
    "--bind", "127.0.0.1:0", "--workers", "1", "--graceful-timeout", "3", "--no-control-socket", SERVED,
]  # fmt: skip
#: Options of gunicorn for its workers.
WORKERS = {
    "gunicorn-sync": ["--worker-class", "sync"],
    "gunicorn-gthread": ["--worker-class", "gthread", "--threads", "2"],
    "gunicorn-gevent": ["--worker-class", "gevent"],
    "gunicorn-gevent_pywsgi": ["--worker-class", "gevent_pywsgi"],
    "gunicorn-geventwebsocket": ["--worker-class", "geventwebsocket.gunicorn.workers.GeventWebSocketWorker"],
}
#: Servers that are libraries, with the package that each is in.
LIBRARIES = {
    "wsgiref": "wsgiref",
    "werkzeug": "werkzeug",
    "django": "django",
    "waitress": "waitress",
    "cheroot": "cheroot",
    "gevent_pywsgi": "gevent",
    "geventwebsocket": "geventwebsocket",
    "bjoern": "bjoern",
}
NAMES = [*WORKERS, *LIBRARIES, "uwsgi", "mod_wsgi"]
#: Servers that give an app a WebSocket, or the socket to speak it over.
WEBSOCKETS = [
    "gunicorn-sync",
    "gunicorn-gthread",
    "gunicorn-gevent",
    "gunicorn-geventwebsocket",
    "geventwebsocket",
    "werkzeug",
]
_LISTENING = re.compile(
    r"listening at (\d+)|Listening at: http://127\.0\.0\.1:(\d+)|bound to TCP address 127\.0\.0\.1:(\d+)"
)


class Running(Server):
    """A running server, with the answers of its bare apps that were asked for already."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], folder: Path) -> None:
        super().__init__(process, folder)
        self.name = name
        self.bare: dict[tuple[str, ...], Any] = {}


#: The user that Apache runs as where the tests are root's: it must not be root.
NOBODY = 65534


def command(name: str, folder: Path, own: str) -> list[str]:
    """Return the command of a server; skips the test, or fails it, where it is not installed.

    ``own`` is a folder for the server alone, which others than the user of the tests can reach.
    """
    if name in WORKERS:
        require_module("gevent" if "gevent" in name else "gunicorn")
        if "websocket" in name:
            require_module("geventwebsocket")
        return [sys.executable, "-m", "gunicorn", *WORKERS[name], *GUNICORN]
    if name in LIBRARIES:
        require_module(LIBRARIES[name])
        return [sys.executable, "-m", "tests.servers.run", name]
    if name == "uwsgi":
        program = shutil.which("uwsgi", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
        if program is None:
            missing("uwsgi is not installed")
        return [
            program, "--http-socket", "127.0.0.1:0", "--module", SERVED, "--master", "--processes", "1",
            "--enable-threads", "--need-app", "--die-on-term", "--disable-logging", "--single-interpreter",
            "--virtualenv", sys.prefix,
        ]  # fmt: skip
    return apache(folder, own)


def apache(folder: Path, own: str) -> list[str]:
    """Return the command of mod_wsgi-express, as a user other than root who may read as root does."""
    require_module("mod_wsgi")
    require_program("apache2")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (folder / "port").write_text(f"listening at {port}")
    express = [
        str(Path(sys.executable).with_name("mod_wsgi-express")), "start-server", "tests.servers.served",
        "--application-type", "module", "--host", "127.0.0.1", "--port", str(port),
        "--processes", "1", "--threads", "4", "--server-root", f"{own}/apache", "--log-to-terminal",
        "--locale", "C.UTF-8", "--working-directory", str(ROOT), "--python-path", str(ROOT),
    ]  # fmt: skip
    if os.getuid():
        return express
    for path in (folder, *folder.rglob("*"), own):
        os.chown(path, NOBODY, NOBODY)
    user = [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    reads = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    return [require_program("setpriv"), *user, *reads, *express]


@contextmanager
def serving(name: str, folder: Path, sinks: dict[str, Any]) -> Iterator[Running]:
    """Run a server of :data:`NAMES`; its log and the files of its apps are in ``folder``."""
    environ = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        "SERVED_SINKS": json.dumps({**sinks, "folder": str(folder)}),
    }
    with (
        tempfile.TemporaryDirectory(prefix="plugmw-server-") as own,
        (folder / "server.log").open("wb") as output,
    ):
        process = subprocess.Popen(
            command(name, folder, own), cwd=ROOT, env=environ, stdin=subprocess.DEVNULL, stdout=output,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        server = Running(name, process, folder)
        try:
            server.port = until(lambda: _port(server, process, folder), what=f"no {name}")
            yield server
        finally:
            stop(process)


def _port(server: Server, process: subprocess.Popen[bytes], folder: Path) -> int | None:
    assert process.poll() is None, server.log()
    chosen = folder / "port"
    told = _LISTENING.search(chosen.read_text() if chosen.exists() else server.log())
    port = int(next(filter(None, told.groups()))) if told else None
    if port is None:
        return None
    with socket.socket() as client:
        return port if client.connect_ex(("127.0.0.1", port)) == 0 else None


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a server and the processes of its group."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            pass
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()
