"""A Redis that is not there, dies, hangs, loads, takes no writes or has forgotten the scripts, under load."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.security.load import CLIENTS, RECOVERY, WORKERS, Load, ask
from tests.support.redis_server import RedisServer
from tests.support.servers import require_module, require_program
from tests.support.waiting import seconds_until, until

#: The same limits twice: once without counters nobody passes, once everybody does.
SOURCE = """
    from plugmw import Gateway

    def site(environ, start_response):
        start_response("200 OK", [("Content-Length", "2")])
        return [b"ok"]

    def limit(name):
        config = {{"hour": 1000000, "limit_by": "path", "path": "/" + name, "fault_tolerant": name == "open"}}
        return {{"name": "rate-limiting", "instance": name, "route": name, "config": config}}

    app = Gateway(site, {{
        "store": {url!r},
        "routes": [{{"name": name, "paths": ["/" + name]}} for name in ("open", "closed")],
        "plugins": [limit("open"), limit("closed")],
    }})
"""
LEFT = "x-ratelimit-remaining-hour"
#: Seconds: the store waits 1 s for an answer, and a busy machine may take its time beside that.
BOUND = 15.0


@contextmanager
def down(redis: RedisServer) -> Iterator[None]:
    redis.stop()
    yield
    redis.start()


@contextmanager
def hanging(redis: RedisServer) -> Iterator[None]:
    """Connections are made and commands taken, and no answer comes: half-open, as after a lost network."""
    assert redis._process
    os.kill(redis._process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(redis._process.pid, signal.SIGCONT)


@contextmanager
def read_only(redis: RedisServer) -> Iterator[None]:
    redis("REPLICAOF", "127.0.0.1", "1")
    yield
    redis("REPLICAOF", "NO", "ONE")


@contextmanager
def no_memory(redis: RedisServer) -> Iterator[None]:
    """Every write is refused with -OOM; reads are answered."""
    redis("CONFIG", "SET", "maxmemory", "1")
    yield
    redis("CONFIG", "SET", "maxmemory", "0")


FAULTS = {"killed": down, "stopped": hanging, "read-only": read_only, "out of memory": no_memory}


@pytest.fixture
def redis(tmp_path):
    require_program("redis-server")
    require_module("redis")
    made = RedisServer(tmp_path)
    yield made
    made.stop()


def counts(got):
    """Say whether a request was counted; what was counted is never below zero."""
    left = got.answer.header(LEFT) if got.answer else None
    assert left is None or 0 <= int(left) <= 1_000_000, got
    return left is not None


def serves(port):
    """Say whether both workers count again, as far as twenty requests can tell."""
    return all(counts(ask(port, "/closed")) for _ in range(20))


@pytest.mark.parametrize("kind", WORKERS)
def test_a_redis_that_fails_costs_one_timeout_and_is_used_again_within_two_seconds(gunicorn, redis, kind):
    source = SOURCE.format(url=redis.url)
    server = gunicorn(source, workers=2, worker_class=kind, args=WORKERS[kind])
    check_absence_at_the_start(server, redis)
    for fault in FAULTS if kind == "gthread" else ("killed", "stopped"):
        check_fault(server, redis, fault)
    check_forgotten_scripts(server, redis)


def check_absence_at_the_start(server, redis):
    with Load(server.port, "/open") as load, Load(server.port, "/closed", rate=20) as strict:
        load.wait(20)
        redis.start()
        assert seconds_until(lambda: serves(server.port)) < RECOVERY
        until(lambda: all(counts(got) for got in load.got[-15:]) and 200 in strict.statuses)
    assert load.statuses == {200}
    assert strict.statuses == {500, 200}
    assert not counts(load.got[0])
    assert max(got.seconds for got in load.got + strict.got) < BOUND


def check_fault(server, redis, fault):
    threads = {pid: threads_of(pid) for pid in server.worker_pids()}
    with Load(server.port, "/open") as load, Load(server.port, "/closed", rate=20) as strict:
        load.wait(10)
        begun = len(strict.got)
        with FAULTS[fault](redis):
            until(lambda: ask(server.port, "/closed").status == 500)
            load.wait(25)
            # One thread looks for the server, whoever waits; gthread's own four come when they are needed.
            assert all(threads_of(pid) <= count + 1 + 4 for pid, count in threads.items()), fault
        assert seconds_until(lambda: serves(server.port)) < RECOVERY, fault
        # The worker that none of these has asked counts soon, too.
        until(lambda: all(counts(got) for got in load.got[-15:]))
    assert load.statuses == {200}, fault
    assert strict.statuses == {200, 500}, fault
    assert {got.status for got in strict.got[:begun]} == {200}, fault
    slow = [got for got in load.got + strict.got if got.seconds > 0.5]
    # Those that were under way when a worker noticed have waited; nobody has after them.
    assert len(slow) <= 2 * (2 * CLIENTS + 1), (fault, slow)
    assert all(got.seconds < BOUND for got in slow), (fault, slow)


def check_forgotten_scripts(server, redis):
    with Load(server.port, "/closed") as load:
        for _ in range(3):
            load.wait(5)
            redis("SCRIPT", "FLUSH")
        load.wait(5)
    assert load.statuses == {200}


def threads_of(pid):
    return len(os.listdir(f"/proc/{pid}/task"))
