"""Plugins that hang, run out of memory or files, end the process, or answer what is no answer."""

from __future__ import annotations

import os
import resource

import pytest

from tests.security.load import WORKERS, Load, ask
from tests.support import raw
from tests.support.waiting import until

SOURCE = """
    import os, time
    from plugmw import Gateway
    from tests.support.plugins import made

    def site(environ, start_response):
        start_response("200 OK", [("Content-Length", "2")])
        return [b"ok"]

    def hang():
        while True:
            time.sleep(3600)

    def files():
        held = []
        while True:
            held.append(open("/dev/null"))

    def stop(error):
        raise error

    def greenlet():
        from greenlet import GreenletExit
        raise GreenletExit

    def timeout():
        from gevent import Timeout
        raise Timeout(1)

    DO = {
        "/hang": hang,
        "/files": files,
        "/memory": lambda: bytearray(1 << 62),
        "/exit": lambda: stop(SystemExit()),
        "/interrupt": lambda: stop(KeyboardInterrupt()),
        "/greenlet": greenlet,
        "/timeout": timeout,
    }

    def log(x):
        if x.path in DO:
            os.write(1, f"NOTE {x.path} {x.status} {x.source}\\n".encode())

    app = Gateway(site, {"store": "memory://"}, plugins=[
        made("trouble", 2, access=lambda x: DO.get(x.path, int)()),
        made("noting", 1, log=log),
    ])
"""
ENDINGS = ("/exit", "/interrupt", "/greenlet", "/timeout")


@pytest.fixture(params=WORKERS)
def kind(request):
    return request.param


def start(gunicorn, kind, *args):
    return gunicorn(SOURCE, workers=2, worker_class=kind, args=[*WORKERS[kind], *args])


def test_a_plugin_that_hangs_holds_up_nobody_else(gunicorn, kind):
    """A sync worker is ended by its timeout; threads and greenlets go on beside the one that hangs."""
    server = start(gunicorn, kind, "--graceful-timeout", "1", *(["--timeout", "2"] if kind == "sync" else []))
    before = server.worker_pids()
    with raw.connect(server.port) as client:
        client.sendall(raw.request("/hang"))
        with Load(server.port) as load:
            load.wait(50)
            if kind == "sync":
                server.wait_for("WORKER TIMEOUT")
                assert raw.Answer(raw.read_all(client)).status in (0, 500)
                until(lambda: len(server.worker_pids()) == 2 and server.worker_pids() != before)
                server.wait_for("NOTE /hang 500 error")
                load.wait(25)
    assert load.bad == []
    assert server.stop() == 0


def test_what_ends_a_process_or_a_greenlet_passes_through_and_is_logged_once(gunicorn, kind):
    server = start(gunicorn, kind)
    with Load(server.port) as load:
        for path in ENDINGS:
            ask(server.port, path)
            server.wait_for(f"NOTE {path} 500 error")
            load.wait(10)
    # gunicorn's threaded worker ends with what one thread lets through, and takes with it what runs there.
    assert len(load.bad) <= (3 * 4 if kind == "gthread" else 0), load.bad
    assert all(server.log().count(f"NOTE {path} ") == 1 for path in ENDINGS)
    until(lambda: len(server.worker_pids()) == 2)
    assert {ask(server.port, "/after").status for _ in range(10)} == {200}


def test_one_request_suffers_when_memory_runs_out(gunicorn, kind):
    server = start(gunicorn, kind)
    with Load(server.port) as load:
        found = [ask(server.port, "/memory") for _ in range(10)]
        load.wait(10)
    assert [got.status for got in found] == [500] * 10
    assert b"An unexpected error occurred" in found[0].answer.body
    assert load.bad == []
    assert server.log().count("MemoryError") == server.log().count("NOTE /memory 500 error") == 10


def test_one_request_suffers_when_files_run_out_and_they_are_given_back_at_once(gunicorn, kind):
    server = start(gunicorn, kind)
    assert {ask(server.port, "/").status for _ in range(10)} == {200}
    before = {pid: files_of(pid) for pid in server.worker_pids()}
    for pid in before:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (before[pid] + 20, before[pid] + 20))
    assert {ask(server.port, "/files").status for _ in range(20)} == {500}
    assert {ask(server.port, "/").status for _ in range(10)} == {200}
    until(lambda: all(abs(files_of(pid) - count) <= 2 for pid, count in before.items()))
    assert "Too many open files" in server.log()


def files_of(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))
