"""gunicorn's worker hooks: alone, and in real servers of every kind that matters."""

from __future__ import annotations

import os
import signal
import textwrap

import pytest

from tests.support import raw

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


def test_works_without_the_hooks_from_the_first_request_on(gunicorn):
    server = gunicorn(SERVED)
    assert "[started in" not in server.log()
    answer = raw.get(server.port)
    assert answer.header("x-started-in") == answer.body.decode()


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


def test_starts_in_the_worker_that_replaces_a_killed_one(gunicorn):
    server = gunicorn(SERVED, args=HOOKS)
    server.wait_for("[started in")
    (before,) = server.worker_pids()
    os.kill(before, signal.SIGKILL)
    server.wait_for("[started in", times=2)
    assert raw.get(server.port).header("x-started-in") != str(before)


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


def test_hooks_come_by_import_into_a_configuration_file(gunicorn, tmp_path):
    config = tmp_path / "gunicorn.conf.py"
    config.write_text("from plugmw.mounts.gunicorn import *\nproc_name = 'mine'\n")
    server = gunicorn(SERVED, args=["--config", str(config)])
    server.wait_for("[started in")
    server.stop()
    assert "[closed in" in server.log()


def test_a_close_that_hangs_does_not_keep_the_worker(gunicorn):
    hanging = textwrap.dedent(SERVED).replace(
        "def close(self):", "def close(self):\n        threading.Event().wait()"
    )
    server = gunicorn(hanging, args=[*HOOKS, "--graceful-timeout", "20"])
    server.wait_for("[started in")
    server.stop()
    assert "1 not closed within 5 s" in server.log()
