"""Reloads of real servers under load: no request fails, none sees two configurations."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support import raw
from tests.support.servers import ROOT
from tests.support.waiting import until

SOURCE = """
    import os, time
    from plugmw import Gateway

    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain"), ("X-Pid", str(os.getpid()))])
        if environ["PATH_INFO"] == "/slow":
            yield b"a" * 70000
            time.sleep(2)
        if environ["PATH_INFO"] == "/slowly":
            time.sleep(0.1)
        yield b"end"

    app = Gateway(app, "gateway.json")
"""
PLUGIN = """
from plugmw import Plugin

class Tell(Plugin):
    name, priority = "tell", 5

    def access(self, x):
        x.set_header("X-In", {text!r})

    def header_filter(self, x):
        x.set_header("X-Out", {text!r})
"""
DOCUMENT = {"store": "memory://", "folders": [{"path": "plugins"}], "plugins": [{"name": "tell"}]}
HOOKS = ["--config", "python:plugmw.mounts.gunicorn"]
CLASSES = {"sync": [], "gthread": ["--threads", "4"], "gevent": []}


class Site:
    """The files of one server."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "plugins").mkdir()
        self.tell("0")
        self.config(DOCUMENT)

    def tell(self, text: str) -> None:
        replace(self.folder / "plugins/tell.py", PLUGIN.format(text=text))

    def config(self, document) -> None:
        text = document if isinstance(document, str) else json.dumps(document)
        replace(self.folder / "gateway.json", text)


def replace(path: Path, text: str) -> None:
    new = path.with_suffix(".new")
    new.write_text(text)
    new.replace(path)


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


def start(gunicorn, site, worker_class="sync", workers=2, args=()):
    args = [*HOOKS, "--chdir", str(site.folder), *CLASSES[worker_class], *args]
    server = gunicorn(SOURCE, workers=workers, worker_class=worker_class, args=args)
    # Each has loaded the app: what is changed now is a change for all.
    until(lambda: len(answering(server.port)) == workers)
    return server


def answering(port):
    """Return the process ids of the workers that answer several clients at once."""
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: raw.get(port, "/slowly"), range(8)))
    assert {answer.header("x-out") for answer in answers} == {"0"}
    return {answer.header("x-pid") for answer in answers}


def tells(port, path="/"):
    answer = raw.get(port, path)
    return answer.status, answer.header("x-in"), answer.header("x-out")


class Load:
    """Clients in threads, until the end of the block; ``wrong`` are answers of no single configuration."""

    def __init__(self, port, clients=8):
        self.port = port
        self.wrong, self.seen = [], set()
        self._done = threading.Event()
        self._threads = [threading.Thread(target=self._client) for _ in range(clients)]

    def _client(self):
        while not self._done.is_set():
            try:
                status, first, last = tells(self.port)
            except Exception as error:
                self.wrong.append(repr(error))
                return
            if status != 200 or first != last:
                self.wrong.append((status, first, last))
            self.seen.add(last)
            time.sleep(0.01)

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc_info):
        self._done.set()
        for thread in self._threads:
            thread.join()


def in_force(port, text):
    """Say whether every worker that answered of twenty tells ``text``."""
    return all(tells(port)[2] == text for _ in range(20))


@pytest.mark.parametrize("worker_class", CLASSES)
def test_changes_under_load_fail_no_request(gunicorn, site, worker_class):
    server = start(gunicorn, site, worker_class)
    with Load(server.port) as load:
        for turn in range(1, 4):
            site.tell(str(turn))
            until(lambda turn=turn: in_force(server.port, str(turn)))
        site.config({**DOCUMENT, "plugins": 5})
        server.wait_for("reload refused, the configuration in force stays: ", times=2)
        assert in_force(server.port, "3")
        site.config(DOCUMENT)
        site.tell("4")
        until(lambda: in_force(server.port, "4"))
    assert load.wrong == []
    assert load.seen == {"0", "1", "2", "3", "4"}
    assert server.stop() == 0


def test_a_running_stream_ends_under_the_configuration_it_began_with(gunicorn, site):
    server = start(gunicorn, site, "gthread", workers=1)
    answers = []
    thread = threading.Thread(target=lambda: answers.append(raw.get(server.port, "/slow")))
    thread.start()
    time.sleep(0.3)
    site.tell("1")
    until(lambda: in_force(server.port, "1"))
    thread.join()
    assert answers[0].header("x-out") == "0"
    assert answers[0].body.endswith(b"aend")


def test_the_command_checks_and_makes_every_worker_reload(gunicorn, site):
    server = start(gunicorn, site)
    command = [sys.executable, "-m", "plugmw", "reload", "gateway.json"]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=site.folder, env=environ, capture_output=True, text=True, timeout=60)
    assert done.stdout.startswith("gateway.json: good")
    assert done.returncode == 0
    until(lambda: in_force(server.port, "0"))
    site.config("{")
    bad = subprocess.run(command, cwd=site.folder, env=environ, capture_output=True, text=True, timeout=60)
    assert bad.returncode == 1
    assert "not JSON" in bad.stderr


def test_hup_replaces_the_workers_and_fails_no_request(gunicorn, site):
    server = start(gunicorn, site, args=["--graceful-timeout", "10"])
    before = server.worker_pids()
    with Load(server.port) as load:
        server.signal(signal.SIGHUP)
        until(lambda: len(server.worker_pids()) == 2 and not set(before) & set(server.worker_pids()))
    assert load.wrong == []


def test_hup_with_a_bad_configuration_leaves_the_workers_alone(gunicorn, site):
    server = start(gunicorn, site)
    before = server.worker_pids()
    site.config({"plugins": [{"name": "none"}]})
    server.signal(signal.SIGHUP)
    server.wait_for("plugmw: reload refused, the running workers stay")
    assert 'gateway.json: plugins[0].name: no plugin "none"' in server.log()
    assert server.worker_pids() == before
    assert in_force(server.port, "0")
    site.config(DOCUMENT)
    server.signal(signal.SIGHUP)
    until(lambda: not set(before) & set(server.worker_pids()))
    assert in_force(server.port, "0")


def test_under_preload_a_worker_takes_what_changed_since_the_master_started(gunicorn, site):
    server = start(gunicorn, site, workers=1, args=["--preload"])
    site.tell("1")
    [pid] = server.worker_pids()
    os.kill(pid, signal.SIGKILL)
    until(lambda: server.worker_pids() not in ([], [pid]))
    assert tells(server.port)[2] == "1"
