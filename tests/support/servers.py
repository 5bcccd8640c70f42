"""Real gunicorn on a free loopback port, its log captured, stopped by its own process id.

Use the ``gunicorn`` fixture of ``tests/conftest.py``; everything it starts is stopped after the test:

    def test_serves(gunicorn):
        server = gunicorn("mysite.wsgi:app", workers=2, worker_class="gthread", args=["--threads", "8"])
        assert requests.get(server.url).status_code == 200
        assert "Booting worker" in server.log()

    def test_serves_source(gunicorn):
        server = gunicorn('''
            from plugmw import Gateway
            def app(environ, start_response):
                start_response("200 OK", [])
                return [b"hi"]
            app = Gateway(app)
        ''')
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).parents[2]
#: Seconds a real server may take to start or stop; generous, because tests share the machine.
PATIENCE = 20.0
_LISTENING = re.compile(r"Listening at: (?:http|https)://[\d.]+:(\d+)[ ,]")


def missing(reason: str) -> NoReturn:
    """Skip the test with ``reason``, or fail it when ``PLUGMW_REQUIRE_SERVERS=1`` (as ``.ci/run`` sets)."""
    if os.environ.get("PLUGMW_REQUIRE_SERVERS") == "1":
        pytest.fail(f"PLUGMW_REQUIRE_SERVERS=1, but {reason}")
    pytest.skip(f"{reason}; PLUGMW_REQUIRE_SERVERS=1 makes this a failure")


def only_live(program: str) -> None:
    """Fail a test that starts a server and is not in ``tests/live``: the others run at every change."""
    test = os.environ.get("PYTEST_CURRENT_TEST", "")
    if test.startswith(("tests/unit/", "tests/security/")):
        pytest.fail(f"{program} is started by a test outside of tests/live: {test}")


def require_program(name: str) -> str:
    """Return the path of a program (``nginx``, ``strace``), or skip; see :func:`missing`."""
    found = shutil.which(name)
    return found if found else missing(f"no {name} on PATH")


def require_module(name: str) -> None:
    """Go on if a library (``gunicorn``, ``gevent``) is installed, else skip; see :func:`missing`."""
    if importlib.util.find_spec(name) is None:
        missing(f"{name} is not installed")


class Server:
    """A running gunicorn. ``folder`` is where it runs: its log, and the source it was given."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path) -> None:
        self._process = process
        self.folder = folder
        #: Process id of the master.
        self.pid = process.pid
        #: ``http://127.0.0.1:<port>``, without a slash at the end.
        self.url = ""
        self.port = 0

    def log(self) -> str:
        """Return all that the server wrote so far: its log, its access log and its output."""
        return (self.folder / "server.log").read_text(encoding="utf-8", errors="replace")

    def wait_for(self, text: str, times: int = 1, seconds: float = PATIENCE) -> str:
        """Wait until ``text`` is in the log ``times`` times; return the log, fail the test if it never is."""
        end = time.monotonic() + seconds
        while self.log().count(text) < times:
            if time.monotonic() > end:
                pytest.fail(f"{text!r} not {times} times in the log within {seconds} s:\n{self.log()}")
            if self._process.poll() is not None and self.log().count(text) < times:
                pytest.fail(f"the server ended ({self._process.returncode}) before {text!r}:\n{self.log()}")
            time.sleep(0.01)
        return self.log()

    def worker_pids(self) -> list[int]:
        """Return the process ids of the workers that are alive (read from /proc)."""
        pids = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == self.pid and fields[0] != "Z":
                pids.append(int(stat.parent.name))
        return sorted(pids)

    def signal(self, number: int) -> None:
        """Send a signal to the master: ``signal.SIGHUP`` reloads."""
        os.kill(self.pid, number)

    def stop(self, seconds: float = PATIENCE) -> int:
        """Stop gracefully, killing the whole process group if that takes too long; return the exit status."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(seconds)
            except subprocess.TimeoutExpired:
                os.killpg(self.pid, signal.SIGKILL)
                self._process.wait()
        return self._process.returncode


def start_gunicorn(
    folder: Path,
    app: str,
    *,
    workers: int = 1,
    worker_class: str = "sync",
    args: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    prefix: Sequence[str] = (),
) -> Server:
    """Start gunicorn in ``folder`` and return when it listens; fails the test with the log if it does not.

    ``app`` is ``module:attribute`` (looked for in ``folder``, then in the repository), a call such as
    ``plugmw:wrap('a:app', 'gateway.yaml')``, or, when it has more than one line, the source of a module
    that defines ``app``. ``args`` are more options of gunicorn, ``env`` more environment variables,
    ``prefix`` a command to run it under (``["strace", "-f"]``).
    """
    only_live("gunicorn")
    require_module("gunicorn")
    if worker_class == "gevent":
        require_module("gevent")
    if "\n" in app:
        (folder / "served.py").write_text(textwrap.dedent(app), encoding="utf-8")
        app = "served:app"
    command = [*prefix, sys.executable, "-m", "gunicorn", app]
    command += ["--bind", "127.0.0.1:0", "--workers", str(workers), "--worker-class", worker_class]
    command += ["--no-control-socket"] if _has_control_socket() else []
    command += ["--graceful-timeout", "3", *args]
    environ = {
        **os.environ,
        "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}",
        "PYTHONUNBUFFERED": "1",
        **(env or {}),
    }
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    server = Server(process, folder)
    try:
        found = _LISTENING.search(server.wait_for("Listening at: http"))
        server.wait_for("Booting worker", workers)
    except BaseException:
        server.stop()
        raise
    assert found
    server.port = int(found[1])
    server.url = f"http://127.0.0.1:{server.port}"
    return server


def _has_control_socket() -> bool:
    """gunicorn 26 and later open one in the home folder unless told not to."""
    from gunicorn.config import KNOWN_SETTINGS

    return any(setting.name == "control_socket_disable" for setting in KNOWN_SETTINGS)
