"""Plugins that hang, run out of memory or files, end the process, or answer what is no answer."""

from __future__ import annotations

import gc
import logging
import os
import resource
import weakref

import pytest

from plugmw import Gateway
from plugmw.testing import hello_app
from tests.security.load import WORKERS, Load, ask
from tests.support import raw
from tests.support.plugins import made, noting
from tests.support.waiting import until
from tests.support.wsgi import serve

slow = pytest.mark.slow

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


@slow
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


@slow
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


@slow
def test_one_request_suffers_when_memory_runs_out(gunicorn, kind):
    server = start(gunicorn, kind)
    with Load(server.port) as load:
        found = [ask(server.port, "/memory") for _ in range(10)]
        load.wait(10)
    assert [got.status for got in found] == [500] * 10
    assert b"An unexpected error occurred" in found[0].answer.body
    assert load.bad == []
    assert server.log().count("MemoryError") == server.log().count("NOTE /memory 500 error") == 10


@slow
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


@pytest.mark.parametrize("others", [[], ["log"]], ids=["alone", "with a log phase"])
@pytest.mark.parametrize("phase", ["access", "header_filter", "body_filter", "response"])
def test_what_a_failed_plugin_had_open_is_given_back_without_the_garbage_collector(phase, others, no_gc):
    held = []

    def fail(*args):
        thing = Held()
        held.append(weakref.ref(thing))
        raise MemoryError

    plugins = [made("bad", 2, **{phase: fail}), noting("noting", [], "access", *others)]
    # A logger without handlers: nobody keeps the trace.
    app = Gateway(hello_app, {"store": "memory://"}, plugins=plugins, logger=logging.Logger("nobody"))
    assert serve(app).status.startswith("500")
    assert [ref() for ref in held] == [None]


class Held:
    """Stands for an open file, or a gigabyte."""


@pytest.fixture
def no_gc():
    gc.disable()
    yield
    gc.enable()


#: (phase, what the plugin does there); each raises where it is done, or is found when it is sent.
GARBAGE = {
    "status 99 in exit": ("access", lambda x: x.exit(99)),
    "status as text in exit": ("access", lambda x: x.exit("200")),
    "body of no known type in exit": ("access", lambda x: x.exit(200, object())),
    "headers that are no pairs in exit": ("access", lambda x: x.exit(200, "a", [("A",)])),
    "headers that are a number in exit": ("access", lambda x: x.exit(200, "a", 5)),
    "header set to a number": ("access", lambda x: x.set_header("X", 5)),
    "header added as a number": ("access", lambda x: x.add_header("X", 5)),
    "header put in as a number": ("access", lambda x: x.headers.update({"X": 5})),
    "header put in as bytes": ("response", lambda x: x.headers.__setitem__("X", b"5")),
    "header put in with a line break": ("header_filter", lambda x: x.headers.add("X", "a\r\nb: c")),
    "header with a line break": ("header_filter", lambda x: x.set_header("X", "a\r\nb: c")),
    "header of no name": ("header_filter", lambda x: x.set_header("", "a")),
    "status 99": ("header_filter", lambda x: setattr(x, "status", 99)),
    "status that is a text": ("header_filter", lambda x: setattr(x, "status", "200 OK")),
    "body that is a text": ("header_filter", lambda x: setattr(x, "body", "text")),
    "body that is nothing": ("response", lambda x: setattr(x, "body", None)),
    "status 1000": ("response", lambda x: setattr(x, "status", 1000)),
    "chunk that is a text": ("body_filter", lambda x, chunk, eof: "text"),
    "chunk that is nothing": ("body_filter", lambda x, chunk, eof: None),
    "chunk that is a list": ("body_filter", lambda x, chunk, eof: [chunk]),
    "chunk that can change": ("body_filter", lambda x, chunk, eof: bytearray(chunk)),
    "app that answers nothing": ("access", lambda x: x.hand_over(lambda environ, start: None)),
    "app that is none": ("access", lambda x: x.hand_over(5)),
}


@pytest.mark.parametrize("garbage", GARBAGE)
def test_garbage_of_a_plugin_is_a_500_and_the_log_names_it(garbage, caplog):
    phase, do = GARBAGE[garbage]
    logged = []
    plugins = [made("garbler", 2, **{phase: do}), made("noting", 1, log=lambda x: logged.append(x.status))]
    found = serve(Gateway(hello_app, {"store": "memory://"}, plugins=plugins))
    assert (found.status, found.raised) == ("500 Internal Server Error", None)
    assert b"An unexpected error occurred" in found.body
    [record] = caplog.records
    assert f"garbler failed in {phase}" in record.getMessage()
    assert logged == [500]
