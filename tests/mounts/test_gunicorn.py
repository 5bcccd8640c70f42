"""gunicorn's worker hooks: alone, and in real servers of every kind that matters."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import textwrap
import threading
from types import SimpleNamespace

import pytest

from plugmw import Gateway, Plugin
from plugmw.kernel.worker import Worker
from plugmw.mounts import gunicorn as hooks
from plugmw.testing import hello_app
from tests.support import raw
from tests.support.servers import ROOT

#: Tells in the log what is started and closed where, and answers with the process that started it.
SERVED = """
    import os
    import threading
    from plugmw import Gateway, Plugin

    class Told(Plugin):
        name = "told"

        def init_worker(self):
            self.pid = os.getpid()
            os.write(2, f"[started in {self.pid} of {os.getppid()}]\\n".encode())

        def header_filter(self, x):
            x.set_header("X-Started-In", str(self.pid))
            x.set_header("X-Multiprocess", str(self.runtime.multiprocess))

        def close(self):
            os.write(2, f"[closed in {os.getpid()}]\\n".encode())

    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [str(os.getpid()).encode()]

    app = Gateway(app, plugins=[Told()])
"""
HOOKS = ["--config", "python:plugmw.mounts.gunicorn"]
HOOK_NAMES = {"post_worker_init", "ssl_context", "when_ready", "worker_exit"}


@pytest.fixture
def instances(monkeypatch):
    """Let the hooks see only the gateways of this test."""
    import weakref

    found = weakref.WeakSet()
    monkeypatch.setattr(Worker, "instances", found)
    return found


class Told(Plugin):
    name = "told"

    def __init__(self):
        super().__init__()
        self.calls = []

    def init_worker(self):
        self.calls.append("started")

    def log(self, x):
        """Have a phase."""

    def close(self):
        self.calls.append("closed")


def worker(workers=1, pid=None):
    log = logging.getLogger("test.gunicorn")
    return SimpleNamespace(cfg=SimpleNamespace(workers=workers), log=log, pid=pid or os.getpid())


def test_gives_gunicorn_nothing_but_the_hooks():
    from gunicorn.config import Config

    assert set(vars(hooks)) & set(Config().settings) == HOOK_NAMES


def test_exports_nothing_but_the_hooks():
    names: dict[str, object] = {}
    exec("from plugmw.mounts.gunicorn import *", names)
    assert set(names) - {"__builtins__"} == HOOK_NAMES


def test_hooks_take_the_arguments_gunicorn_gives():
    from gunicorn.config import Config

    config = Config()
    config.set("post_worker_init", hooks.post_worker_init)
    config.set("worker_exit", hooks.worker_exit)


def test_starts_and_stops_every_instance(instances):
    plugins = [Told(), Told()]
    kept = [Gateway(hello_app, plugins=[plugins[0]]), Gateway(hello_app, plugins=[plugins[1]])]
    hooks.post_worker_init(worker())
    assert [plugin.calls for plugin in plugins] == [["started"], ["started"]]
    hooks.worker_exit(None, worker())
    assert [plugin.calls for plugin in plugins] == [["started", "closed"], ["started", "closed"]]
    assert kept


@pytest.mark.parametrize(("workers", "told"), [(1, False), (4, True)])
def test_tells_whether_there_are_other_workers(instances, workers, told):
    gateway = Gateway(hello_app, plugins=[Told()])
    hooks.post_worker_init(worker(workers))
    assert gateway.runtime.multiprocess is told


def test_an_instance_that_cannot_start_is_logged_and_the_others_start(instances, caplog, monkeypatch):
    good, bad = Told(), Gateway(hello_app, plugins=[Told()])
    kept = Gateway(hello_app, plugins=[good])
    monkeypatch.setattr(bad, "start", lambda **_: 1 / 0)
    hooks.post_worker_init(worker())
    assert good.calls == ["started"]
    assert "cannot start" in caplog.text
    assert "ZeroDivisionError" in caplog.text
    assert kept


def test_an_instance_that_cannot_stop_is_logged_and_the_others_stop(instances, caplog, monkeypatch):
    good, bad = Told(), Gateway(hello_app, plugins=[Told()])
    kept = Gateway(hello_app, plugins=[good])
    hooks.post_worker_init(worker())
    monkeypatch.setattr(bad, "stop", lambda: 1 / 0)
    hooks.worker_exit(None, worker())
    assert good.calls == ["started", "closed"]
    assert "cannot stop" in caplog.text
    assert kept


def test_a_close_that_hangs_ends_at_the_deadline(instances, caplog, monkeypatch):
    monkeypatch.setattr(hooks, "STOP_DEADLINE", 0.05)
    release = threading.Event()
    gateway = Gateway(hello_app, plugins=[Told()])
    gateway.start()
    monkeypatch.setattr(gateway, "stop", release.wait)
    hooks.worker_exit(None, worker())
    assert "1 not closed within 0.05 s" in caplog.text
    release.set()


def test_does_nothing_in_the_master_for_a_worker_that_is_gone(instances):
    plugin = Told()
    gateway = Gateway(hello_app, plugins=[plugin])
    gateway.start()
    hooks.worker_exit(None, worker(pid=os.getpid() + 1))
    assert plugin.calls == ["started"]


def test_reading_the_hooks_loads_neither_the_gateway_nor_gunicorn():
    loaded = "{'plugmw.gateway', 'gunicorn', 'requests'} & set(sys.modules)"
    code = f"import sys, plugmw.mounts.gunicorn; print({loaded})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "set()\n"


def test_the_flask_and_django_mounts_name_their_extra(monkeypatch):
    import importlib.util

    from plugmw.errors import LoadError
    from plugmw.mounts.extras import need

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        LoadError, match=r"flask, which is not installed, expected pip install 'plugmw\[flask\]'"
    ):
        need("flask")


# -- real servers ---------------------------------------------------------------------------------------

SLOW = pytest.mark.slow


@SLOW
@pytest.mark.parametrize("preload", [[], ["--preload"]], ids=["plain", "preload"])
@pytest.mark.parametrize(
    ("worker_class", "more"), [("sync", []), ("gthread", ["--threads", "4"]), ("gevent", [])]
)
def test_starts_in_each_worker_before_any_request_and_closes_at_the_end(
    gunicorn, worker_class, more, preload
):
    server = gunicorn(SERVED, workers=2, worker_class=worker_class, args=[*HOOKS, *more, *preload])
    log = server.wait_for("[started in", times=2)
    pids = server.worker_pids()
    assert all(f"[started in {pid} of {server.pid}]" in log for pid in pids)
    answer = raw.get(server.port)
    assert answer.header("x-started-in") == answer.body.decode()
    assert answer.header("x-multiprocess") == "True"
    server.stop()
    log = server.log()
    assert log.count("[started in") == 2
    assert all(f"[closed in {pid}]" in log for pid in pids)


@SLOW
def test_works_without_the_hooks_from_the_first_request_on(gunicorn):
    server = gunicorn(SERVED)
    assert "[started in" not in server.log()
    answer = raw.get(server.port)
    assert answer.header("x-started-in") == answer.body.decode()


@SLOW
@pytest.mark.parametrize("preload", [[], ["--preload"]], ids=["plain", "preload"])
def test_starts_in_the_workers_of_a_reload_and_closes_those_before(gunicorn, preload):
    server = gunicorn(SERVED, args=[*HOOKS, *preload])
    server.wait_for("[started in")
    (before,) = server.worker_pids()
    server.signal(signal.SIGHUP)
    server.wait_for(f"[closed in {before}]")
    server.wait_for("[started in", times=2)
    answer = raw.get(server.port)
    assert answer.header("x-started-in") == answer.body.decode() != str(before)


@SLOW
def test_starts_in_the_worker_that_replaces_a_killed_one(gunicorn):
    server = gunicorn(SERVED, args=HOOKS)
    server.wait_for("[started in")
    (before,) = server.worker_pids()
    os.kill(before, signal.SIGKILL)
    server.wait_for("[started in", times=2)
    assert raw.get(server.port).header("x-started-in") != str(before)


@SLOW
def test_a_plugin_that_cannot_start_does_not_end_the_worker(gunicorn):
    broken = textwrap.dedent(SERVED).replace(
        "self.pid = os.getpid()", "self.pid = 0; raise ValueError('no start')"
    )
    server = gunicorn(broken, args=HOOKS)
    log = server.wait_for("init_worker failed")
    assert "ValueError: no start" in log
    assert raw.get(server.port).status == 200
    assert "Booting worker" in server.log()
    assert server.log().count("Booting worker") == 1


@SLOW
def test_hooks_come_by_import_into_a_configuration_file(gunicorn, tmp_path):
    config = tmp_path / "gunicorn.conf.py"
    config.write_text("from plugmw.mounts.gunicorn import *\nproc_name = 'mine'\n")
    server = gunicorn(SERVED, args=["--config", str(config)])
    server.wait_for("[started in")
    server.stop()
    assert "[closed in" in server.log()


@SLOW
def test_a_close_that_hangs_does_not_keep_the_worker(gunicorn):
    hanging = textwrap.dedent(SERVED).replace(
        "def close(self):", "def close(self):\n        threading.Event().wait()"
    )
    server = gunicorn(hanging, args=[*HOOKS, "--graceful-timeout", "20"])
    server.wait_for("[started in")
    server.stop()
    assert "1 not closed within 5 s" in server.log()
