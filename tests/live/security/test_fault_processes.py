"""Workers that are replaced, ended or killed under load, forks after threads, and clocks that jump."""

from __future__ import annotations

import json
import os
import signal
import threading
import time

import pytest

from tests.security.load import CLIENTS, RECOVERY, WORKERS, Load, ask, links
from tests.support import raw
from tests.support.sinks import http_sink
from tests.support.waiting import seconds_until, until

#: Every kind of state that a process has: a store that workers share, a queue with a thread, a file.
SOURCE = """
    import os, time
    from plugmw import Gateway

    def site(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        if environ["PATH_INFO"] == "/slow":
            yield b"begin" * 1000
            time.sleep(1)
        yield b"end"

    app = Gateway(site, {{"store": {store!r}, "plugins": [
        {{"name": "rate-limiting", "config": {{"hour": 100000, "limit_by": "path", "path": "/"}}}},
        {{"name": "http-log", "config": {{"http_endpoint": {url!r},
            "queue": {{"max_batch_size": 100, "max_coalescing_delay": 0.2}}}}}},
        {{"name": "file-log", "config": {{"path": {path!r}}}}},
    ]}})
"""
#: Served once before the fork: the queue's thread, the store's and the log's files are there by then.
EARLY = """
    from plugmw.testing import get
    assert get(app, path="/early").status_code == 200
"""
HOOKS = ["--config", "python:plugmw.mounts.gunicorn"]
LEFT = "x-ratelimit-remaining-hour"


@pytest.fixture(params=WORKERS)
def kind(request):
    return request.param


class Site:
    def __init__(self, gunicorn, folder, kind, sink, *args, store="auto", early=""):
        self.log = folder / "access.json"
        self.sink = sink
        url = f"http://127.0.0.1:{sink.port}/"
        source = SOURCE.format(store=store, url=url, path=str(self.log)) + early
        args = [*HOOKS, *WORKERS[kind], *args]
        self.server = gunicorn(source, workers=2, worker_class=kind, args=args)
        self.port = self.server.port

    def logged(self):
        """Return the paths of the requests that are in the file."""
        return [json.loads(line)["request"]["uri"] for line in self.log.read_text().splitlines()]

    def sent(self):
        """Return the paths of the requests that the log server was told of."""
        return [entry["request"]["uri"] for told in list(self.sink.got) for entry in told.json]

    def left(self):
        """Ask, and return how many more requests the limit lets through."""
        return int(ask(self.port, "/").answer.header(LEFT))


@pytest.fixture
def sink():
    with http_sink() as made:
        yield made


def test_hup_under_load_fails_no_request_and_loses_no_line(gunicorn, tmp_path, sink, kind):
    site = Site(gunicorn, tmp_path, kind, sink)
    before = {*site.server.worker_pids()}
    with Load(site.port) as load:
        load.wait(15)
        site.server.signal(signal.SIGHUP)
        until(lambda: len(now := {*site.server.worker_pids()}) == 2 and not before & now)
        load.wait(15)
    assert load.bad == []
    assert site.server.stop() == 0
    sent = sorted(got.path for got in load.got)
    assert sorted(site.logged()) == sorted(site.sent()) == sent


def test_term_under_load_ends_what_runs_and_sends_what_waits(gunicorn, tmp_path, sink, kind):
    site = Site(gunicorn, tmp_path, kind, sink)
    answers = []
    running = threading.Thread(target=lambda: answers.append(raw.get(site.port, "/slow")))
    with Load(site.port) as load:
        load.wait(15)
        running.start()
        time.sleep(0.3)
        begun = time.monotonic()
        assert site.server.stop() == 0
        took = time.monotonic() - begun
    running.join()
    assert (answers[0].complete, answers[0].body) == (True, b"begin" * 1000 + b"end")
    # graceful_timeout is 3 s here; gunicorn kills what is left after it.
    assert took < 3 + RECOVERY
    # Every answer was whole, or the connection was refused: none has begun and was cut.
    assert {got.answer.raw for got in load.bad if got.answer} <= {b""}
    whole = ["/slow", *(got.path for got in load.got if got.status == 200)]
    assert sorted(site.logged()) == sorted(site.sent()) == sorted(whole)


def test_a_killed_worker_takes_only_its_own_requests_with_it(gunicorn, tmp_path, sink, kind):
    site = Site(gunicorn, tmp_path, kind, sink)
    with Load(site.port) as load:
        load.wait(15)
        first, other = site.server.worker_pids()
        os.kill(first, signal.SIGKILL)
        assert seconds_until(lambda: ask(site.port, "/").status == 200) < RECOVERY
        until(lambda: len(now := site.server.worker_pids()) == 2 and first not in now)
        load.wait(15)
        assert other in site.server.worker_pids()
    # What it had accepted is cut, so that a client can tell; everybody else is served.
    assert len(load.bad) <= CLIENTS
    assert {got.status for got in load.bad} <= {0}
    # The counter that they share goes on where it was, and the file has whole lines only.
    before = site.left()
    assert [site.left() for _ in range(4)] == [before - n for n in range(1, 5)]
    assert len({got.path for got in load.got if got.status == 200} - {*site.logged()}) <= CLIENTS
    assert site.server.stop() == 0


def test_what_ran_before_the_fork_is_made_again_in_each_worker(gunicorn, tmp_path, sink, kind):
    """The queue's thread and its connection, the store's file and its locks are there before the fork."""
    path = tmp_path / "counters"
    site = Site(gunicorn, tmp_path, kind, sink, "--preload", store=f"file://{path}", early=EARLY)
    until(lambda: site.sent() == ["/early"])
    with Load(site.port) as load:
        load.wait(30)
        until(lambda: len(site.sent()) > 20)
        one, other = map(sockets, site.server.worker_pids())
    assert load.bad == []
    # They share what the master listens on, and nothing that either has opened.
    assert one & other <= sockets(site.server.pid)
    assert site.server.stop() == 0
    assert sorted(site.sent()) == sorted(site.logged()) == sorted(["/early", *(got.path for got in load.got)])


def sockets(pid):
    """Return what stands for the sockets of a process."""
    return {link for link in links(pid) if link.startswith("socket:")}
