"""gunicorn's worker hooks: alone, and in real servers of every kind that matters."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from types import SimpleNamespace

import pytest

from plugmw import Gateway, Plugin
from plugmw.kernel.worker import Worker
from plugmw.mounts import gunicorn as hooks
from plugmw.testing import hello_app
from tests.support.servers import ROOT

HOOK_NAMES = {"forwarder_headers", "post_worker_init", "ssl_context", "when_ready", "worker_exit"}


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


def test_gives_gunicorn_nothing_but_the_hooks_and_its_switch():
    from gunicorn.config import Config

    assert set(vars(hooks)) & set(Config().settings) == HOOK_NAMES


def test_exports_nothing_but_the_hooks_and_its_switch():
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


@pytest.mark.slow
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
