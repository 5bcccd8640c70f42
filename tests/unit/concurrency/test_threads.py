"""Threads of plugmw's own have nothing of a request."""

from __future__ import annotations

import contextvars
import threading

from plugmw import Gateway, Plugin
from plugmw.concurrency.threads import Daemon
from plugmw.kernel import context
from plugmw.schema import read
from plugmw.telemetry.queue import Queue
from plugmw.telemetry.queue_config import QueueConfig
from plugmw.testing import hello_app
from tests.support.wsgi import serve

MARK = contextvars.ContextVar("mark", default="none")


def inheriting(monkeypatch):
    """Let threads take over the context of whoever starts them, as a Python without a global lock does."""
    plain = threading.Thread.start

    def start(self):
        run, taken = self.run, contextvars.copy_context()
        self.run = lambda: taken.run(run)
        plain(self)

    monkeypatch.setattr(threading.Thread, "start", start)


def test_a_thread_has_nothing_of_the_context_it_is_started_in(monkeypatch):
    inheriting(monkeypatch)
    seen = []
    token = MARK.set("request")
    try:
        for thread in (
            threading.Thread(target=lambda: seen.append(MARK.get())),
            Daemon("plugmw-test", lambda: seen.append(MARK.get())),
        ):
            thread.start()
            thread.join()
    finally:
        MARK.reset(token)
    assert seen == ["request", "none"]
    assert (thread.name, thread.daemon) == ("plugmw-test", True)


def test_a_queue_that_a_request_has_started_keeps_no_exchange(monkeypatch, caplog):
    inheriting(monkeypatch)
    seen, sent = [], threading.Event()
    settings, _ = read(QueueConfig, {})

    def send(batch):
        seen.append((batch, context.exchange(), context.plugin()))
        sent.set()

    class Sends(Plugin):
        name = "sends"

        def log(self, x):
            context.running(x, self, queue.put, "entry")

    queue = Queue("test", settings, send, Sends().logger)
    serve(Gateway(hello_app, {"store": "memory://"}, plugins=[Sends()]))
    assert sent.wait(20)
    assert seen == [(["entry"], None, None)]
    assert queue.stop(queue.clock() + 20) == 0
