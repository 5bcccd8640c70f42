"""The Redis store when the server is away, slow, loading, read-only or back, and what it sends."""

from __future__ import annotations

import importlib
import re
import shutil
import socket
import socketserver
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from plugmw.errors import StoreError
from plugmw.stores import Store, open_store
from tests.support.redis_server import RedisServer
from tests.support.waiting import seconds_until, until

pytestmark = pytest.mark.usefixtures("needs_redis")

SECRET = "s3cret-p4ss"


class FakeServer(socketserver.ThreadingUnixStreamServer):
    """Answers every command with ``reply(name)``; b'' closes the connection, None is silence."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, path: Path) -> None:
        self.commands: list[bytes] = []
        self.reply: Callable[[bytes], bytes | None] = lambda name: b"+OK\r\n"
        self.ended = threading.Event()
        super().__init__(str(path), FakeConnection)


class FakeConnection(socketserver.StreamRequestHandler):
    server: FakeServer

    def handle(self) -> None:
        while line := self.rfile.readline():
            words = []
            for _ in range(int(line[1:])):
                size = int(self.rfile.readline()[1:])
                words.append(self.rfile.read(size + 2)[:-2])
            name = words[0]
            if name == b"CLIENT":
                self.wfile.write(b"+OK\r\n")
                continue
            self.server.commands.append(name)
            answer = self.server.reply(name)
            if answer is None:
                self.server.ended.wait(10)
            if not answer:
                return
            self.wfile.write(answer)


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeServer]:
    with FakeServer(tmp_path / "fake.sock") as server:
        thread = threading.Thread(target=lambda: server.serve_forever(0.01))
        thread.start()
        yield server
        server.ended.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def opened() -> Iterator[Callable[..., Store]]:
    stores: list[Store] = []

    def start(url: str, timeout: float = 2.0) -> Store:
        stores.append(open_store(url, timeout=timeout))
        return stores[-1]

    yield start
    for store in stores:
        store.close()
    # A server that dies in the middle of a TLS connect makes Python's ssl module leave a socket open.
    until(lambda: probing() == 0, 5)


#: Probes that stores of other tests, left open, had going before this one.
_foreign: set[threading.Thread] = set()


@pytest.fixture(autouse=True)
def _only_own_probes() -> None:
    _foreign.clear()
    _foreign.update(thread for thread in threading.enumerate() if thread.name == "plugmw-probe")


def probing() -> int:
    return sum(t.name == "plugmw-probe" and t not in _foreign for t in threading.enumerate())


def works(store: Store) -> bool:
    try:
        store.incr("a")
    except StoreError:
        return False
    return True


def failure(store: Store) -> tuple[StoreError, float]:
    """Return how a call fails and after how many seconds."""
    start = time.perf_counter()
    with pytest.raises(StoreError) as caught:
        store.take([("a", 1, 60)])
    return caught.value, time.perf_counter() - start


def fails_fast(store: Store) -> bool:
    """Say whether calls fail within 5 ms; one in four may take longer on a busy machine."""
    took = sorted(failure(store)[1] for _ in range(40))
    return took[30] < 0.005


def of(server: FakeServer) -> str:
    return f"unix://{server.server_address}"


def test_nothing_is_connected_before_the_first_use(fake: FakeServer, opened: Callable[..., Store]) -> None:
    opened(of(fake))
    assert (fake.commands, probing()) == ([], 0)


def test_a_known_script_is_one_command(fake: FakeServer, opened: Callable[..., Store]) -> None:
    store = opened(of(fake))
    fake.reply = lambda name: b"*2\r\n:1\r\n:1\r\n"
    store.take([("a", 1, 60)])
    assert fake.commands == [b"EVALSHA"]


def test_an_unknown_script_is_sent_once_and_known_from_then_on(
    shared_redis: RedisServer, opened: Callable[..., Store]
) -> None:
    store = opened(shared_redis.url)
    shared_redis("FLUSHALL")
    for n in range(1, 3):
        shared_redis("SCRIPT", "FLUSH")
        assert store.incr("a") == n
        assert store.take([("t", 9, 60)]) == (True, [n])


def test_a_command_whose_answer_is_lost_is_not_sent_again(
    fake: FakeServer, opened: Callable[..., Store]
) -> None:
    fake.reply = lambda name: b""
    error, _ = failure(opened(of(fake)))
    assert error.__cause__ is not None
    assert fake.commands.count(b"EVALSHA") == 1


def test_a_server_that_is_down_from_the_start_is_a_store_error(
    tmp_path: Path, opened: Callable[..., Store]
) -> None:
    error, took = failure(opened(f"unix://{tmp_path}/none.sock"))
    assert str(error).startswith(f"unix://{tmp_path}/none.sock?db=0: failed within 2.0 s: Error 2 connecting")
    assert isinstance(error.__cause__, Exception)
    assert took < 1


def test_a_refused_tcp_connection_is_a_store_error(opened: Callable[..., Store]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        error, _ = failure(opened(f"redis://user:{SECRET}@127.0.0.1:{free.getsockname()[1]}"))
    assert "Connection refused" in str(error)


def test_calls_fail_at_once_while_the_server_is_known_to_be_down(
    own_redis: RedisServer, opened: Callable[..., Store]
) -> None:
    store = opened(own_redis.url)
    assert works(store)
    own_redis.stop()
    assert not works(store)
    assert fails_fast(store)
    assert "is down: " in str(failure(store)[0])


def test_a_server_that_is_back_is_used_again_within_two_seconds(
    own_redis: RedisServer, opened: Callable[..., Store]
) -> None:
    store = opened(own_redis.url)
    own_redis.stop()
    assert not works(store)
    own_redis.start()
    assert seconds_until(lambda: works(store), 5) < 2


def test_a_server_that_restarted_between_two_calls_is_not_an_error(
    own_redis: RedisServer, opened: Callable[..., Store]
) -> None:
    store = opened(own_redis.url)
    store.incr("a")
    own_redis.stop()
    own_redis.start()
    assert store.incr("a") == 1


def test_a_silent_server_costs_one_timeout_and_then_nothing(
    fake: FakeServer, opened: Callable[..., Store]
) -> None:
    fake.reply = lambda name: None
    store = opened(of(fake), timeout=0.2)
    error, took = failure(store)
    assert re.search(r"failed within 0.2 s: Timeout (reading|writing)", str(error))
    assert 0.15 < took < 1
    assert fails_fast(store)


def test_a_silent_server_holds_twenty_threads_for_one_timeout(
    fake: FakeServer, opened: Callable[..., Store]
) -> None:
    fake.reply = lambda name: None
    store = opened(of(fake), timeout=1.0)
    threads = [threading.Thread(target=works, args=[store]) for _ in range(20)]
    start = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # One after the other they would take twenty.
    assert time.monotonic() - start < 10
    assert probing() == 1


def test_a_server_that_was_silent_is_used_again_within_two_seconds(
    fake: FakeServer, opened: Callable[..., Store]
) -> None:
    fake.reply = lambda name: None
    store = opened(of(fake), timeout=0.2)
    failure(store)
    fake.reply = lambda name: b":1\r\n" if name == b"EVALSHA" else b"+OK\r\n"
    assert seconds_until(lambda: works(store), 5) < 2


def test_a_backlog_that_nobody_accepts_is_bounded(tmp_path: Path, opened: Callable[..., Store]) -> None:
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(tmp_path / "deaf.sock"))
        deaf.listen(1)
        store = opened(f"unix://{tmp_path}/deaf.sock", timeout=0.2)
        assert failure(store)[1] < 1
        assert fails_fast(store)


@pytest.mark.parametrize(
    "answer",
    [
        b"-LOADING Redis is loading the dataset in memory\r\n",
        b"-READONLY You can't write against a read only replica.\r\n",
    ],
    ids=["loading", "readonly"],
)
def test_a_server_that_takes_no_writes_yet_counts_as_down_until_it_does(
    answer: bytes, fake: FakeServer, opened: Callable[..., Store]
) -> None:
    fake.reply = lambda name: answer
    store = opened(of(fake))
    failure(store)
    assert "is down: " in str(failure(store)[0])
    assert fails_fast(store)
    fake.reply = lambda name: b":1\r\n" if name == b"EVALSHA" else b"+OK\r\n"
    assert seconds_until(lambda: works(store), 5) < 2


def test_a_server_made_a_replica_counts_as_down_until_it_is_a_master_again(
    own_redis: RedisServer, opened: Callable[..., Store]
) -> None:
    store = opened(own_redis.url)
    own_redis("REPLICAOF", "127.0.0.1", "1")
    assert "read only" in str(failure(store)[0])
    own_redis("REPLICAOF", "NO", "ONE")
    assert seconds_until(lambda: works(store), 5) < 2


def test_a_refused_command_is_a_store_error_and_no_outage(
    shared_redis: RedisServer, opened: Callable[..., Store]
) -> None:
    shared_redis("FLUSHALL")
    shared_redis("RPUSH", "plugmw:c:list", "x")
    store = opened(shared_redis.url)
    with pytest.raises(StoreError, match=r"refused: WRONGTYPE|refused: .*wrong kind"):
        store.incr("list")
    assert store.incr("a") == 1


def test_a_wrong_password_is_a_store_error_without_the_password(
    tmp_path: Path, opened: Callable[..., Store]
) -> None:
    server = RedisServer(tmp_path, "--requirepass", "right")
    server.answers = lambda: server.socket.exists()  # type: ignore[method-assign]
    server.start()
    try:
        store = opened(f"unix://:{SECRET}@{server.socket}")
        error, _ = failure(store)
        texts = [str(error), repr(error), str(error.__cause__), repr(store), str(failure(store)[0])]
        assert "password" in str(error)
        assert not any(SECRET in text for text in texts)
        assert works(opened(f"unix://:right@{server.socket}"))
    finally:
        server.stop()


def test_keys_begin_with_the_prefix(shared_redis: RedisServer, opened: Callable[..., Store]) -> None:
    shared_redis("FLUSHALL")
    store = opened(shared_redis.url + "?prefix=mine:")
    store.incr("a")
    store.set("b", b"v")
    assert sorted(shared_redis("KEYS", "*")) == [b"mine:c:a", b"mine:v:b"]  # type: ignore[call-overload]


@pytest.mark.parametrize(("ttl", "most"), [(0.0001, 1), (60, 60_000), (1e300, 10**15)])
def test_a_ttl_is_sent_in_milliseconds(
    ttl: float, most: int, shared_redis: RedisServer, opened: Callable[..., Store]
) -> None:
    shared_redis("FLUSHALL")
    opened(shared_redis.url).take([("a", 9, ttl)])
    left = shared_redis("PTTL", "plugmw:c:a")
    assert isinstance(left, int)
    assert most - 5_000 < left <= most


FORKED = """
import os, sys
from plugmw.stores import open_store
store = open_store(sys.argv[1], timeout=5.0)
store.incr("forked")
children = []
for _ in range(3):
    child = os.fork()
    if not child:
        for _ in range(100):
            store.incr("forked")
        os._exit(0)
    children.append(child)
for _ in range(100):
    store.incr("forked")
failed = [os.waitpid(child, 0)[1] for child in children]
print(any(failed), store.count("forked"))
store.close()
"""


def test_forked_children_use_connections_of_their_own(
    shared_redis: RedisServer, output: Callable[..., str]
) -> None:
    shared_redis("FLUSHALL")
    assert output(FORKED, shared_redis.url) == "False 401"


@pytest.fixture
def tls(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A server that shows a certificate made by itself for localhost; its address and the certificate."""
    if not shutil.which("openssl"):
        pytest.skip("no openssl on PATH to make a certificate with")
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    make = f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -keyout {key}"
    make += f" -out {certificate} -subj /CN=localhost -addext subjectAltName=DNS:localhost"
    subprocess.run(make.split(), check=True, stderr=subprocess.DEVNULL)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = f"--bind 127.0.0.1 --tls-port {port} --tls-auth-clients no --tls-cert-file {certificate}"
    options += f" --tls-key-file {key} --tls-ca-cert-file {certificate}"
    server = RedisServer(tmp_path, *options.split())
    server.start()
    yield f"localhost:{port}", certificate
    server.stop()


def test_tls_is_verified_unless_told_otherwise(tls: tuple[str, Path], opened: Callable[..., Store]) -> None:
    place, certificate = tls
    error, _ = failure(opened(f"rediss://{place}"))
    assert "certificate verify failed" in str(error)
    assert works(opened(f"rediss://{place}?ssl_ca_certs={certificate}"))
    assert works(opened(f"rediss://{place}?ssl_cert_reqs=none"))


def test_tls_checks_the_name_too(tls: tuple[str, Path], opened: Callable[..., Store]) -> None:
    place, certificate = tls
    other = place.replace("localhost", "127.0.0.1")
    error, _ = failure(opened(f"rediss://{other}?ssl_ca_certs={certificate}"))
    assert "IP address mismatch" in str(error)


def test_a_hundred_and_fifty_calls_at_once_are_no_outage(
    fake: FakeServer, opened: Callable[..., Store]
) -> None:
    """redis-py bounds its pools to 100 connections and calls the rest a connection error."""
    together = threading.Barrier(150, timeout=60)

    def reply(name: bytes) -> bytes:
        together.wait()
        return b":1\r\n"

    fake.reply = reply
    fake.request_queue_size = 200
    fake.socket.listen(200)
    store = opened(of(fake), timeout=60.0)
    worked: list[bool] = []
    threads = [threading.Thread(target=lambda: worked.append(works(store))) for _ in range(150)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert worked == [True] * 150


def test_the_module_is_not_mistaken_for_redis_py() -> None:
    module = importlib.import_module("plugmw.stores.redis")
    assert module.redis is importlib.import_module("redis")


REPEATING = {
    "a refusal": (b"-ERR unknown command, with args beginning with: %s\r\n", "refused"),
    "an outage": (b"-READONLY %s\r\n", "failed"),
}


@pytest.mark.parametrize(("reply", "told"), REPEATING.values(), ids=REPEATING)
def test_what_a_server_repeats_is_told_without_the_password(fake, opened, reply, told) -> None:
    fake.reply = lambda name: reply % SECRET.encode()
    store = opened(f"unix://user:{SECRET}@{fake.server_address}")
    with pytest.raises(StoreError, match=told) as raised:
        store.incr("a")
    assert "REDACTED" in str(raised.value)
    assert SECRET not in str(raised.value) + repr(raised.value.__cause__)
    if told == "failed":
        # The probe's own failure, which later calls tell, is as quiet.
        until(lambda: len(fake.commands) > 2, 5)
        with pytest.raises(StoreError, match="is down") as raised:
            store.incr("a")
        assert SECRET not in str(raised.value) + repr(raised.value.__cause__)


def test_a_store_closed_while_it_is_used_is_a_store_error_and_leaves_no_connection(
    own_redis: RedisServer,
) -> None:
    store = open_store(own_redis.url, timeout=5.0)
    errors: list[BaseException] = []
    threads = [threading.Thread(target=count_until_closed, args=[store, errors]) for _ in range(8)]
    for thread in threads:
        thread.start()
    until(lambda: store.count("a") > 200)
    store.close()
    for thread in threads:
        thread.join(20)
    assert {str(error) for error in errors} == {f"{store.url}: is closed"}
    until(lambda: own_redis("INFO", "clients")["connected_clients"] == 1)  # the one that asks


def count_until_closed(store: Store, errors: list[BaseException]) -> None:
    try:
        while True:
            store.incr("a")
    except BaseException as error:
        errors.append(error)
