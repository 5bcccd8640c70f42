"""http-log: configuration, requests to a real server, and through an app; at the end real gunicorn."""

from __future__ import annotations

import signal
import time

import pytest
import requests
from werkzeug.test import Client

from plugmw.contrib.http_log import HTTPLog
from plugmw.telemetry.queues import Queues
from plugmw.testing import get
from tests.support.length import by_length
from tests.support.sinks import HTTPSink, closed_port, http_sink
from tests.support.waiting import until
from tests.unit.contrib.test_http_log import to


def test_a_server_that_never_answers_delays_no_answer_and_the_oldest_give_way(serve, caplog):
    with http_sink(None) as sink:
        wrapped = serve(to(sink, queue={"max_entries": 10}))
        Queues.of(wrapped.runtime).shutdown_timeout = 0.05
        spent = []
        for _ in range(500):
            begun = time.monotonic()
            assert get(wrapped).status_code == 200
            spent.append(time.monotonic() - begun)
        [queue] = Queues.of(wrapped.runtime).all()
        assert len(queue) == 10
        assert queue.dropped >= 480
        wrapped.stop()
    assert sorted(spent)[494] < 0.2
    assert "http-log: queue full, dropping old entries until processing is successful again" in caplog.text
    assert "queue stopped with 11 entries not sent" in caplog.text


def test_memory_stays_flat_while_the_server_is_down(serve):
    import tracemalloc

    wrapped = serve(HTTPLog(http_endpoint=f"http://127.0.0.1:{closed_port()}/", queue={"max_entries": 500}))
    Queues.of(wrapped.runtime).shutdown_timeout = 0

    def ask(count):
        client = Client(wrapped)
        for _ in range(count):
            client.get("/", headers={"X-Big": "x" * 500}, buffered=True)
        return tracemalloc.get_traced_memory()[0]

    ask(1)
    tracemalloc.start()
    try:
        full = ask(600)
        later = ask(1400)
    finally:
        tracemalloc.stop()
    # The 1400 entries that were dropped are larger than 700 bytes each.
    assert later - full < 300_000


SERVED = """
    from plugmw import Gateway
    from plugmw.contrib.http_log import HTTPLog

    def app(environ, start_response):
        start_response("200 OK", [("Content-Length", "2")])
        return [b"ok"]

    plugins = [HTTPLog(http_endpoint={url!r}, queue={queue!r})]
    app = Gateway(app, {{"shutdown_timeout": 2}}, plugins=plugins)
"""


@pytest.mark.parametrize("hooks", [[], ["-c", "python:plugmw.mounts.gunicorn"]], ids=["atexit", "hooks"])
@pytest.mark.parametrize("kind", ["sync", "gthread", "gevent"])
def test_what_waits_is_sent_when_a_worker_ends(gunicorn, kind, hooks):
    with http_sink() as sink:
        queue = {"max_batch_size": 1000, "max_coalescing_delay": 1000}
        source = SERVED.format(url=f"http://127.0.0.1:{sink.port}/", queue=queue)
        server = gunicorn(source, workers=2, worker_class=kind, args=hooks)
        for number in range(20):
            assert requests.get(f"{server.url}/{number}", timeout=10).status_code == 200
        assert sink.got == []
        assert server.stop() == 0
        found = [entry["request"]["uri"] for request in sink.wait(1) for entry in request.json]
        assert sorted(found, key=lambda uri: int(uri[1:])) == [f"/{number}" for number in range(20)]


def test_a_name_without_an_address_does_not_hang_the_end(gunicorn):
    queue = {"max_batch_size": 10, "max_coalescing_delay": 10}
    source = SERVED.format(url="http://this-does-not-exist.example.test:80/x", queue=queue)
    server = gunicorn(source)
    assert requests.get(server.url, timeout=10).status_code == 200
    begun = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - begun < 30
    assert "failed request to this-does-not-exist.example.test:80" in server.log()


def test_a_server_that_was_down_gets_everything_once_it_is_up(gunicorn):
    port = closed_port()
    source = SERVED.format(
        url=f"http://127.0.0.1:{port}/", queue={"max_batch_size": 100, "max_retry_delay": 0.5}
    )
    server = gunicorn(source, workers=2)
    begun = time.monotonic()
    for number in range(60):
        assert requests.get(f"{server.url}/{number}", timeout=10).status_code == 200
    server.wait_for("handler could not process entries: failed request to 127.0.0.1")
    time.sleep(max(0.0, 3 - (time.monotonic() - begun)))
    sink = HTTPSink(port=port)
    try:
        until(lambda: sum(len(request.json) for request in sink.got) >= 60)
        found = [entry["request"]["uri"] for request in sink.got for entry in request.json]
        assert sorted(found) == sorted(f"/{number}" for number in range(60))
        assert server.stop() == 0
    finally:
        sink.stop()


def test_entries_for_a_server_that_is_down_cost_no_more_memory_than_its_queue(gunicorn):
    # The sizes are such that the entries are more than the memory that is allowed.
    most, first, then, size = by_length((500, 1500, 5000, 4000), (2000, 4000, 16_000, 1000))
    url = f"http://127.0.0.1:{closed_port()}/"
    source = SERVED.format(url=url, queue={"max_entries": most})
    server = gunicorn(source, worker_class="gthread", args=["--threads", "4"])
    [pid] = server.worker_pids()

    def ask(count):
        """Send requests down one connection, all at once."""
        from tests.support.raw import connect, request

        with connect(server.port) as client:
            for _ in range(count // 100):
                client.sendall(request("/", "X-Big: " + "x" * size, close=False) * 100)
                got = b""
                while got.count(b"HTTP/1.1 200") < 100 or not got.endswith(b"ok"):
                    got += client.recv(65536)

    def resident():
        with open(f"/proc/{pid}/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))

    ask(first)
    full = resident()
    ask(then)
    assert resident() < full + 10_000  # kB
    assert server.worker_pids() == [pid]
    server.signal(signal.SIGTERM)
    assert "queue full, dropping old entries" in server.wait_for("queue stopped with")
