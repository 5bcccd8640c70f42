"""Rate limits hold exactly under real gunicorn: file store, Redis, killed workers, Redis stopped and slow."""

from __future__ import annotations

import http.client
import os
import signal
import threading
import time
from collections import Counter

import pytest

from tests.support.length import by_length
from tests.support.redis_server import RedisServer
from tests.support.servers import require_module, require_program
from tests.support.waiting import until

#: A clock that stands still keeps all requests in one window, however slow the machine is.
SOURCE = """
    from plugmw import Gateway

    def site(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "2")])
        return [b"ok"]

    config = {config!r}
    app = Gateway(site, config, clock=lambda: 1_700_000_000.0)
"""
CLIENTS, REQUESTS, LIMIT = 16, by_length(3200, 10_000), 1234
CLASSES = {
    "sync": ("sync", []),
    "gthread": ("gthread", ["--threads", "8"]),
    "gevent": ("gevent", []),
    "gevent, preloaded": ("gevent", ["--preload"]),
}


def source(store: str, **config: object) -> str:
    limit = {"name": "rate-limiting", "config": {"hour": LIMIT, "limit_by": "ip", **config}}
    return SOURCE.format(config={"store": store, "plugins": [limit]})


class Load:
    """Many clients at once, each on a connection of its own; ``counts`` says how they were answered."""

    def __init__(self, port: int, requests: int = REQUESTS, clients: int = CLIENTS) -> None:
        self.counts: Counter[int] = Counter()
        self._port = port
        self._each = requests // clients
        self._threads = [threading.Thread(target=self._client) for _ in range(clients)]
        for thread in self._threads:
            thread.start()

    def wait(self) -> Counter[int]:
        for thread in self._threads:
            thread.join()
        return self.counts

    def _client(self) -> None:
        counts: Counter[int] = Counter()
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
        for _ in range(self._each):
            try:
                connection.request("GET", "/")
                answer = connection.getresponse()
                answer.read()
                counts[answer.status] += 1
            except (OSError, http.client.HTTPException):
                connection.close()  # its worker was killed; 0 stands for no answer
                counts[0] += 1
        connection.close()
        self.counts += counts


@pytest.fixture
def redis(tmp_path):
    require_program("redis-server")
    require_module("redis")
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.stop()


@pytest.mark.parametrize(("worker_class", "args"), CLASSES.values(), ids=CLASSES)
def test_exactly_as_many_pass_as_may(gunicorn, worker_class, args):
    server = gunicorn(source("auto"), workers=4, worker_class=worker_class, args=args)
    assert Load(server.port).wait() == {200: LIMIT, 429: REQUESTS - LIMIT}


def test_exactly_as_many_pass_with_redis(gunicorn, redis):
    server = gunicorn(source(redis.url), workers=4, worker_class="gthread", args=["--threads", "8"])
    assert Load(server.port).wait() == {200: LIMIT, 429: REQUESTS - LIMIT}


@pytest.mark.parametrize("worker_class", ["sync", "gthread"])
def test_killed_workers_take_nothing_with_them(gunicorn, worker_class):
    server = gunicorn(source("auto"), workers=4, worker_class=worker_class)
    load = Load(server.port)
    killed = 0
    while killed < 10 and sum(thread.is_alive() for thread in load._threads):
        pids = server.worker_pids()
        if pids:
            os.kill(pids[killed % len(pids)], signal.SIGKILL)
            killed += 1
        time.sleep(0.05)  # between kills, while the load goes on
    counts = load.wait()
    assert killed >= 5
    assert set(counts) <= {0, 200, 429}
    # What was counted for a request that was then killed is the only thing that may be lacking.
    assert LIMIT - counts[0] <= counts[200] <= LIMIT
    assert Load(server.port, 160).wait() == {429: 160}


def get(port: int) -> tuple[int, float]:
    """Return the status and how many seconds it took."""
    begun = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", "/")
    status = connection.getresponse().status
    connection.close()
    return status, time.monotonic() - begun


@pytest.mark.parametrize(("tolerant", "down"), [(True, 200), (False, 500)], ids=["open", "closed"])
def test_redis_stopped_slow_and_back_again(gunicorn, redis, tolerant, down):
    server = gunicorn(
        source(redis.url, hour=3, fault_tolerant=tolerant), worker_class="gthread", args=["--threads", "4"]
    )
    assert [get(server.port)[0] for _ in range(5)] == [200, 200, 200, 429, 429]
    redis.stop()
    answers = [get(server.port) for _ in range(5)]
    assert [status for status, _ in answers] == [down] * 5
    assert max(seconds for _, seconds in answers) < 5
    redis.start()  # it has forgotten everything
    until(lambda: "429" in str([get(server.port)[0] for _ in range(5)]), 20)
    # A hanging server: the first wait ends by its deadline, the others at once.
    os.kill(redis._process.pid, signal.SIGSTOP)
    try:
        first, *others = [get(server.port) for _ in range(6)]
        assert [status for status, _ in (first, *others)] == [down] * 6
        assert first[1] < 5
        assert max(seconds for _, seconds in others) < 0.5
    finally:
        os.kill(redis._process.pid, signal.SIGCONT)
    until(lambda: get(server.port)[0] == 429, 20)
