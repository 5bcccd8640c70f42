"""Logs that cannot be written or sent: no answer waits for them, and what was lost is told."""

from __future__ import annotations

import json
import resource
import shutil
import statistics
import time

import pytest

from tests.security.load import CLIENTS, RECOVERY, WORKERS, Load, ask, links
from tests.security.peers import Peer
from tests.support.waiting import seconds_until, until

SOURCE = """
    from plugmw import Gateway
    from plugmw.mounts.gunicorn import *

    def site(environ, start_response):
        start_response("200 OK", [("Content-Length", "2")])
        return [b"ok"]

    app = Gateway(site, {{"store": "memory://", "shutdown_timeout": 1, "plugins": {plugins!r}}})
"""
HOOKS = ["--config", "python:plugmw.mounts.gunicorn"]


class Site:
    """A server with every kind of log: two files, of which one is opened for each line, HTTP and TCP."""

    def __init__(self, gunicorn, folder, kind):
        self.logs = folder / "logs"
        self.logs.mkdir()
        self.peers = self.http, self.tcp = Peer(folder, "http"), Peer(folder, "tcp")
        for peer in self.peers:
            peer.start()
        source = SOURCE.format(plugins=[*self._files(), *self._senders()])
        self.server = gunicorn(source, workers=2, worker_class=kind, args=[*HOOKS, *WORKERS[kind]])
        # A file is opened for the first line: both workers shall have it before something happens to it.
        with Load(self.server.port, "/warm/{n}"):
            kept = str(self.logs / "kept")
            until(lambda: all(kept in links(pid) for pid in self.server.worker_pids()))

    def _files(self):
        for name in ("kept", "reopened"):
            config = {"path": str(self.logs / name), "reopen": name == "reopened"}
            yield {"name": "file-log", "instance": name, "config": config}

    def _senders(self):
        queue = {"max_batch_size": 100, "max_coalescing_delay": 0.1, "max_retry_delay": 0.5}
        url = f"http://127.0.0.1:{self.http.port}/"
        yield {"name": "http-log", "config": {"http_endpoint": url, "queue": queue}}
        yield {"name": "tcp-log", "config": {"host": "127.0.0.1", "port": self.tcp.port}}

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        for peer in self.peers:
            peer.kill()


@pytest.fixture(scope="module", params=WORKERS)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def site(kind, gunicorn_for_module, tmp_path_factory):
    with Site(gunicorn_for_module, tmp_path_factory.mktemp("site"), kind) as made:
        yield made
        assert made.server.stop() == 0


def check_unhurt(load):
    """Assert that all were answered, and none waited for a log: a busy machine may hold up some."""
    assert load.bad == []
    assert statistics.median(got.seconds for got in load.got) < 0.5


# -- files --------------------------------------------------------------------------------------------


def lines(path, begin):
    """Return the paths of the requests that the lines of a file tell of, None for what is no line."""
    found = []
    for line in path.read_bytes().split(b"\n")[:-1]:
        try:
            found.append(json.loads(line)["request"]["uri"])
        except ValueError:
            found.append(None)
    return [uri for uri in found if uri is None or uri.startswith(begin)]


@pytest.fixture
def fresh(kind, gunicorn, tmp_path):
    """A site whose files no test has moved: they are equally long."""
    with Site(gunicorn, tmp_path, kind) as made:
        yield made


def test_a_full_disk_loses_lines_and_joins_none(fresh):
    site, server = fresh, fresh.server
    with Load(server.port, "/full/{n}/" + 200 * "x") as load:
        load.wait(15)
        # As a full disk does, the limit takes the beginning of the line that crosses it.
        full = max(path.stat().st_size for path in site.logs.iterdir()) + 5000
        for pid in server.worker_pids():
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (full, resource.RLIM_INFINITY))
        load.wait(15)
        until(lambda: all(f"{path}: failed to write" in server.log() for path in site.logs.iterdir()))
        before = len(load.got)
        for pid in server.worker_pids():
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        load.wait()
    check_unhurt(load)
    sent = [got.path for got in load.got]
    for path in site.logs.iterdir():
        found = lines(path, "/full/")
        assert None not in found
        assert len(set(found)) == len(found) < len(sent)
        # What began after there was room again has its line.
        assert {*sent[before + CLIENTS :]} <= {*found} <= {*sent}
    assert "entries were lost" in server.log()


def test_a_log_that_is_taken_away_is_made_anew_once_it_can_be(site):
    old = site.logs.with_name("old")
    with Load(site.server.port, "/gone/{n}") as load:
        load.wait(15)
        shutil.move(site.logs, old)
        load.wait(15)
        before = len(load.got)
        site.logs.mkdir()
        load.wait()
    check_unhurt(load)
    sent = [got.path for got in load.got]
    assert {*sent[before + CLIENTS :]} <= {*lines(site.logs / "reopened", "/gone/")}
    # One that is kept open goes on in the file that was moved, and loses nothing.
    assert sorted(lines(old / "kept", "/gone/")) == sorted(sent)
    shutil.move(old / "kept", site.logs / "kept")


# -- log servers --------------------------------------------------------------------------------------

#: What is done to a log server, and what makes it well again.
FAULTS = {
    "killed": (Peer.kill, Peer.start),
    "stopped": (Peer.pause, Peer.resume),
    "failing": (lambda peer: peer.again("failing"), Peer.again),
    "closing": (lambda peer: peer.again("closing"), Peer.again),
    "slow": (lambda peer: peer.again("slow"), Peer.again),
}


def test_a_log_server_that_fails_holds_up_no_answer_and_gets_what_waited(site, kind):
    for fault in FAULTS if kind == "gthread" else ("killed",):
        broken, mended = FAULTS[fault]
        with Load(site.server.port, f"/{fault}/{{n}}") as load:
            load.wait(10)
            for peer in site.peers:
                broken(peer)
            load.wait(25)
            for peer in site.peers:
                mended(peer)
            before = len(load.got)
            load.wait(15)
        check_unhurt(load)
        sent = [got.path for got in load.got]
        # Nobody says that a line has come: what a server had not noted when it closed or died is lost.
        sure = sent if fault == "stopped" else sent[before + CLIENTS :]
        assert (
            seconds_until(lambda: {*sent} <= {*site.http.got()} and {*sure} <= {*site.tcp.got()}) < RECOVERY
        )


def test_the_end_of_a_worker_does_not_wait_for_a_log_server_that_hangs(gunicorn, tmp_path, kind):
    with Site(gunicorn, tmp_path, kind) as site:
        assert ask(site.server.port, "/first").status == 200
        until(lambda: all("/first" in peer.got() for peer in site.peers))
        for peer in site.peers:
            peer.pause()
        with Load(site.server.port) as load:
            load.wait()
        begun = time.monotonic()
        assert site.server.stop() == 0
        took = time.monotonic() - begun
    check_unhurt(load)
    # The second of shutdown_timeout, and what ending processes takes on a busy machine.
    assert took < 4
    assert "queue stopped with" in site.server.log()
