"""A server of bundles that is down, hangs, trickles, or has no good bundle: at the start, and at a reload."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from plugmw.bundles import Bundles
from plugmw.errors import LoadError
from tests.security.load import WORKERS, Load, ask
from tests.support.bundles import bundle
from tests.support.sinks import closed_port
from tests.support.waiting import until

#: Serves one bundle from a file; beside it stands how. Every answer is told whole by its length.
PROGRAM = r"""
import socket, sys, threading, time

port, path = int(sys.argv[1]), sys.argv[2]
listener = socket.create_server(("127.0.0.1", port), backlog=64)

def serve(client):
    with client:
        client.recv(65536)
        how, data = open(path + ".how").read(), open(path, "rb").read()
        status = "404 Not Found" if how == "missing" else "200 OK"
        head = f"HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {len(data)}\r\n\r\n"
        client.sendall(head.encode())
        if how == "cut":
            data = data[: len(data) // 2]
        for at in range(0, len(data), 1 if how == "trickling" else len(data)):
            client.sendall(data[at : at + (1 if how == "trickling" else len(data))])
            time.sleep(0.2 if how == "trickling" else 0)

def run(client):
    try:
        serve(client)
    except OSError:
        pass

while True:
    threading.Thread(target=run, args=(listener.accept()[0],), daemon=True).start()
"""
HOOK = """
from tyk.decorators import Hook

@Hook
def PreHook(request, session, spec):
    request.add_header("X-Version", "{version}")
    return request, session
"""


class Server:
    """The server of bundles, a process of its own; :meth:`has` says what it answers from now on."""

    def __init__(self, folder):
        self.folder = folder
        self.port = closed_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = None
        self.has("1")

    def start(self):
        command = [sys.executable, "-c", PROGRAM, str(self.port), str(self.folder / "one.zip")]
        self.process = subprocess.Popen(command)
        until(lambda: ask(self.port, "/").status)

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def pause(self):
        os.kill(self.process.pid, signal.SIGSTOP)

    def resume(self):
        os.kill(self.process.pid, signal.SIGCONT)

    def has(self, version, how="good"):
        """Have a version, ``missing``, ``cut`` or ``trickling``; or one whose checksum is of another."""
        other = {"checksum": "0" * 32} if how == "forged" else {}
        data = bundle({"middleware.py": HOOK.format(version=version).encode()}, **other)
        (self.folder / "one.zip").write_bytes(data[: len(data) // 2] if how == "half" else data)
        (self.folder / "one.zip.how").write_text(how)


@pytest.fixture
def server(tmp_path):
    folder = tmp_path / "served"
    folder.mkdir()
    made = Server(folder)
    made.start()
    yield made
    made.stop()


#: What is done to the server, and what is told of it.
FAULTS = {
    "down": (Server.stop, "cannot be fetched: Connection refused"),
    "hanging": (Server.pause, "no whole answer within|TimeoutError"),
    "trickling": (lambda server: server.has("2", "trickling"), "no whole answer within|TimeoutError"),
    "missing": (lambda server: server.has("2", "missing"), "answered 404"),
    "cut": (lambda server: server.has("2", "cut"), "cannot be fetched: |ended after"),
    "half an archive": (lambda server: server.has("2", "half"), "archive|zip"),
    "forged": (lambda server: server.has("2", "forged"), "checksum"),
}


def bundles(server, folder):
    """Return bundles that are asked for without the usual pauses."""
    return Bundles(folder, server.url, deadline=0.3, sleep=lambda seconds: None)


@pytest.mark.parametrize("fault", FAULTS)
def test_at_the_start_each_fault_has_its_name_and_leaves_nothing(server, tmp_path, fault):
    do, told = FAULTS[fault]
    do(server)
    with pytest.raises(LoadError, match=told) as caught:
        bundles(server, tmp_path).get("one.zip")
    assert "one.zip" in str(caught.value)
    assert not [*tmp_path.rglob("middleware.py")]
    assert not [*tmp_path.rglob("manifest.json")]


@pytest.mark.parametrize("fault", FAULTS)
def test_later_the_last_good_one_stays_until_there_is_a_better_one(server, tmp_path, fault, caplog):
    good = bundles(server, tmp_path).get("one.zip")
    before = (good.folder / "middleware.py").read_text()
    FAULTS[fault][0](server)
    found = bundles(server, tmp_path).get("one.zip")
    assert (found.folder / "middleware.py").read_text() == before
    assert "the last good one stays" in caplog.text
    if fault == "down":
        server.start()
    if fault == "hanging":
        server.resume()
    server.has("3")
    again = bundles(server, tmp_path).get("one.zip")
    assert 'X-Version", "3"' in (again.folder / "middleware.py").read_text()


SOURCE = """
    import os
    from plugmw import Gateway
    from plugmw.mounts.gunicorn import *

    def site(environ, start_response):
        version = environ.get("HTTP_X_VERSION", "none")
        start_response("200 OK", [("Content-Length", "0"), ("X-Version", version)])
        return []

    app = Gateway.from_tyk(site, {path!r})
    os.write(1, b"READY\\n")
"""


# -- under load ---------------------------------------------------------------------------------------


def definition(folder, server):
    """Write an API whose hooks are in the bundle, and return the file's path."""
    conf = {
        "enable_bundle_downloader": True,
        "allow_unsigned_bundles": True,
        "bundle_base_url": server.url,
        "middleware_path": str(folder / "middleware"),
    }
    path = folder / "api.json"
    fields = {
        "name": "Test",
        "api_id": "7",
        "active": True,
        "use_keyless": True,
        "proxy": {"listen_path": "/"},
        "version_data": {"not_versioned": True, "versions": {}},
        "custom_middleware_bundle": "one.zip",
        "plugmw": {"store": "memory://", "tyk_conf": conf},
    }
    path.write_text(json.dumps(fields))
    return path


#: Every fault once, and under every kind of worker the one in which somebody has to wait.
CASES = [("sync", ["hanging"]), ("gevent", ["hanging"])]
CASES += [("gthread", ["missing", "forged", "hanging"])]


@pytest.mark.parametrize(("kind", "faults"), CASES, ids=[kind for kind, _ in CASES])
def test_a_reload_while_the_server_fails_blocks_no_request(gunicorn, tmp_path, server, kind, faults):
    path = definition(tmp_path, server)
    args = ["--config", "python:plugmw.mounts.gunicorn", *WORKERS[kind]]
    served = gunicorn(SOURCE.format(path=str(path)), workers=2, worker_class=kind, args=args)
    served.wait_for("READY", 2)
    with Load(served.port) as load:
        for fault in faults:
            told = served.log().count("the last good one stays")
            FAULTS[fault][0](server)
            os.utime(path)  # asks for a reload
            load.wait(30)
            if fault == "hanging":
                server.resume()
            else:
                reload_until_told(served, path, told + 2)
            server.has("1")
        assert versions(served.port) == {"1"}
        server.has("4")
        os.utime(path)
        until(lambda: versions(served.port) == {"4"})
    assert load.bad == []
    assert {got.answer.header("x-version") for got in load.got} == {"1", "4"}
    assert served.stop() == 0


def reload_until_told(served, path, count):
    """Ask again where it takes long: of what is asked during a reload, the fault may have seen nothing."""

    def is_told():
        try:
            served.wait_for("the last good one stays", count, 5)
        except pytest.fail.Exception:
            os.utime(path)
            return False
        return True

    until(is_told, 60)


def versions(port):
    return {ask(port, "/").answer.header("x-version") for _ in range(10)}
