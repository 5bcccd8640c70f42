"""A real Redis server, and the fixtures of the tests that need none."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.clock import Clock
from tests.support.redis_server import RedisServer
from tests.unit.stores.conftest import clock as clock
from tests.unit.stores.conftest import output as output
from tests.unit.stores.conftest import python as python
from tests.unit.stores.conftest import store as store

AGE = """
for _, key in ipairs(redis.call('KEYS', '*')) do
  local left = redis.call('PTTL', key)
  if left >= 0 then
    if left <= tonumber(ARGV[1]) then redis.call('DEL', key)
    else redis.call('PEXPIRE', key, left - ARGV[1]) end
  end
end
"""


@pytest.fixture(scope="session")
def needs_redis() -> None:
    missing = []
    if not shutil.which("redis-server"):
        missing.append("no redis-server on PATH")
    try:
        import redis  # noqa: F401
    except ImportError:
        missing.append("redis-py is not installed")
    if missing and os.environ.get("PLUGMW_REQUIRE_SERVERS") == "1":
        pytest.fail(f"PLUGMW_REQUIRE_SERVERS=1, but {', '.join(missing)}")
    if missing:
        pytest.skip(f"{', '.join(missing)}; PLUGMW_REQUIRE_SERVERS=1 makes this a failure")


@pytest.fixture(scope="session")
def shared_redis(needs_redis: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def own_redis(needs_redis: None, tmp_path: Path) -> Iterator[RedisServer]:
    """A server that the test may stop."""
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.stop()


@pytest.fixture(params=["redis"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def store_url(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if kind == "file":
        return f"file://{tmp_path}/counters?slots=4096"
    server = request.getfixturevalue("shared_redis")
    server("FLUSHALL")
    return str(server.url)


@pytest.fixture
def advance(shared_redis: RedisServer, clock: Clock) -> Callable[[float], None]:
    """Let time pass: on our clock, and in Redis, which uses its own, by ageing every key."""

    def move(seconds: float) -> None:
        clock.advance(seconds)
        shared_redis("EVAL", AGE, 0, int(seconds * 1000))

    return move
