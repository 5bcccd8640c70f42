"""Configurations that cannot be read, under load: the one in force stays, and the next good one is taken."""

from __future__ import annotations

import signal

import pytest

from tests.security.load import WORKERS, Load, ask
from tests.security.test_fault_configuration import BAD, REFUSED, document, write
from tests.security.test_fault_configuration import path as path
from tests.support.waiting import seconds_until, until

SOURCE = """
    import os
    from plugmw import Gateway

    def site(environ, start_response):
        start_response("200 OK", [("Content-Length", "2"), ("X-In", environ.get("HTTP_X_VERSION", ""))])
        return [b"ok"]

    app = Gateway(site, "gateway.json")
    os.write(1, b"READY\\n")
"""


def told(got):
    """Return the version that a request has seen before the app and after it."""
    return got.answer.header("x-in"), got.answer.header("x-out")


# -- under load ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", WORKERS)
def test_bad_configurations_under_load_fail_no_request_and_the_next_good_one_is_taken(
    gunicorn, tmp_path, path, kind
):
    args = ["--config", "python:plugmw.mounts.gunicorn", "--chdir", str(tmp_path), *WORKERS[kind]]
    server = gunicorn(SOURCE, workers=2, worker_class=kind, args=args)
    # A worker that starts with a bad configuration ends, and gunicorn with it.
    server.wait_for("READY", 2)
    turns = ["half-written", "unknown plugin"]
    with Load(server.port) as load:
        for turn, bad in enumerate(turns, start=1):
            write(path, BAD[bad][0])
            server.wait_for(REFUSED, 2 * turn)
        write(path, document("2"))
        took = seconds_until(lambda: all(told(ask(server.port, "/")) == ("2", "2") for _ in range(10)))
        write(path, document("3"))
        if kind == "gthread":
            # Two at once: both workers notice the file, and the server makes new workers.
            server.signal(signal.SIGHUP)
        until(lambda: all(told(ask(server.port, "/")) == ("3", "3") for _ in range(10)))
    assert load.bad == []
    assert {told(got) for got in load.got} == {("1", "1"), ("2", "2"), ("3", "3")}
    # Two looks of the watcher, and the reading on a busy machine.
    assert took < 2
    assert server.stop() == 0
