"""A clock that tests move, Python in other processes, and a real Redis server where there is one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from plugmw.stores import Store, open_store
from tests.support.clock import Clock
from tests.support.servers import ROOT
from tests.support.waiting import until

AGE = """
for _, key in ipairs(redis.call('KEYS', '*')) do
  local left = redis.call('PTTL', key)
  if left >= 0 then
    if left <= tonumber(ARGV[1]) then redis.call('DEL', key)
    else redis.call('PEXPIRE', key, left - ARGV[1]) end
  end
end
"""


class RedisServer:
    """A redis-server on a unix socket, which tests may stop and start."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.socket = folder / "redis.sock"
        self.url = f"unix://{self.socket}"
        self._command = ["redis-server", "--port", "0", "--unixsocket", str(self.socket), "--save", ""]
        self._command += ["--dir", str(folder), *options]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        until(self.answers, 5.0)

    def stop(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def answers(self) -> bool:
        try:
            return bool(self("PING"))
        except OSError:
            return False

    def __call__(self, *command: object) -> object:
        import redis

        try:
            with redis.Redis(unix_socket_path=str(self.socket)) as client:
                return client.execute_command(*command)
        except redis.ConnectionError as error:
            raise OSError(str(error)) from error


@pytest.fixture
def clock() -> Clock:
    return Clock()


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


@pytest.fixture(params=["memory", "file", "redis"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def store_url(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if kind == "memory":
        return "memory://"
    if kind == "file":
        return f"file://{tmp_path}/counters?slots=4096"
    server = request.getfixturevalue("shared_redis")
    server("FLUSHALL")
    return str(server.url)


@pytest.fixture
def store(store_url: str, clock: Clock) -> Iterator[Store]:
    opened = open_store(store_url, clock=clock, timeout=5.0)
    yield opened
    opened.close()


@pytest.fixture
def advance(kind: str, clock: Clock, request: pytest.FixtureRequest) -> Callable[[float], None]:
    """Let time pass: on our clock, and in Redis, which uses its own, by ageing every key."""

    def move(seconds: float) -> None:
        clock.advance(seconds)
        if kind == "redis":
            request.getfixturevalue("shared_redis")("EVAL", AGE, 0, int(seconds * 1000))

    return move


@pytest.fixture
def python() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start Python with some code and arguments, warnings being errors; killed at the end of the test."""
    started: list[subprocess.Popen[str]] = []

    def start(code: str, *args: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-X", "dev", "-W", "error", "-c", code, *map(str, args)]
        environ = {**os.environ, "PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environ,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def output(python: Callable[..., subprocess.Popen[str]]) -> Callable[..., str]:
    """Run Python to its end and return what it printed; its failure is the test's."""

    def run(code: str, *args: object) -> str:
        process = python(code, *args)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        return out.strip()

    return run
