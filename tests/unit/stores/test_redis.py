"""The Redis store and a server that trickles, or answers what is none: one deadline, one kind of error."""

from __future__ import annotations

import socket
import threading

import pytest

from plugmw.concurrency.deadline import Deadline
from plugmw.errors import StoreError
from plugmw.kernel.runtime import Runtime
from plugmw.stores import open_store
from tests.support.clock import Clock
from tests.support.events import listening
from tests.support.servers import require_module
from tests.support.waiting import until

require_module("redis")

from plugmw.stores.redis import _deadline, _Socket  # noqa: E402


class Dribbling:
    """A socket that gives a byte each 0.3 seconds; ``times`` are the times it was given to do so."""

    def __init__(self, clock):
        self.clock = clock
        self.times = []

    def settimeout(self, seconds):
        self.times.append(seconds)

    def recv(self, most):
        self.clock.advance(0.3)
        return b"x"


def test_every_read_of_a_call_has_what_is_left_of_its_time():
    clock = Clock()
    under = Dribbling(clock)
    token = _deadline.set(Deadline.after(1.0, clock))
    try:
        with pytest.raises(TimeoutError):
            for _ in range(10):
                _Socket(under).recv(1)
    finally:
        _deadline.reset(token)
    assert under.times == pytest.approx([1.0, 0.7, 0.4, 0.1], abs=0.001)


class Server:
    """Sends ``data`` to every command, in pieces if it is a list; counts what it sent of it."""

    def __init__(self, data):
        self.data = [data] if isinstance(data, bytes) else data
        self.sent = 0
        self.ended = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        with client:
            try:
                while request := client.recv(65536):
                    if b"SETINFO" in request:
                        client.sendall(b"+OK\r\n" * request.count(b"SETINFO"))
                        continue
                    for piece in self.data:
                        client.sendall(piece)
                        self.sent += 1
                        if len(self.data) > 1 and self.ended.wait(0.02):
                            return
            except OSError:
                return

    def __enter__(self):
        return self

    def __exit__(self, *args):
        self.ended.set()
        self.listener.close()


CALLS = {
    "take": lambda store: store.take([("a", 5, 60)]),
    "incr": lambda store: store.incr("a"),
    "count": lambda store: store.count("a"),
    "get": lambda store: store.get("a"),
    "set": lambda store: store.set("a", b"b"),
    "add": lambda store: store.add("a", b"b"),
}


@pytest.mark.parametrize("name", CALLS)
def test_an_answer_that_trickles_is_given_up_at_the_calls_deadline(name):
    # 2,000 pieces, one each 0.02 s: a limit for each read would wait for all of them.
    with Server([b"$2000\r\n", *[b"x"] * 2000]) as server:
        store = open_store(f"redis://127.0.0.1:{server.port}", timeout=0.2)
        with pytest.raises(StoreError, match=r"failed within 0\.2 s"):
            CALLS[name](store)
        assert server.sent < 1000
        with pytest.raises(StoreError, match="is down"):
            CALLS[name](store)
        store.close()


WRONG = {
    "a text": b"+hello\r\n",
    "a number": b":-5\r\n",
    "nothing": b"$-1\r\n",
    "a list": b"*1\r\n$1\r\na\r\n",
    "a list of texts": b"*2\r\n$1\r\na\r\n$1\r\nb\r\n",
    "a list of two numbers and more": b"*3\r\n:1\r\n:2\r\n:3\r\n",
    "an empty list": b"*0\r\n",
    "another protocol": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "a length that is none": b"$x\r\n",
    "a count that is none": b"*x\r\n",
    "a number that is none": b":x\r\n",
    "a nesting without an end": b"*1\r\n" * 20_000,
}
#: What the commands are answered in truth.
RIGHT = {("get", "nothing"), ("get", "a text"), ("count", "nothing"), ("add", "nothing")}


@pytest.mark.parametrize("shape", WRONG)
@pytest.mark.parametrize("name", CALLS)
def test_whatever_is_no_proper_answer_is_a_store_error(name, shape):
    if (name, shape) in RIGHT:
        return
    with Server(WRONG[shape]) as server:
        store = open_store(f"redis://127.0.0.1:{server.port}", timeout=2)
        with pytest.raises(StoreError):
            CALLS[name](store)
        store.close()


def test_an_outage_is_told_when_it_begins_and_when_it_ends_and_each_failed_call_is_counted(caplog):
    runtime = Runtime()
    taken = listening(runtime.events)
    with Server(b":5\r\n") as server:
        url = f"redis://127.0.0.1:{server.port}/0"
        runtime.store_url = url
        for _ in range(3):
            with pytest.raises(StoreError):
                runtime.store.get("a")
        server.data = [b"+OK\r\n"]
        until(lambda: "works again" in caplog.text)
        runtime.close()
    assert taken == [("store_errors", "", 1)] * 3
    begins, ends = caplog.records
    assert begins.getMessage().startswith(f"store {url} fails: ")
    assert ends.getMessage().startswith(f"store {url} works again, after ")


def test_a_command_that_redis_refuses_is_an_error_and_a_script_that_it_does_not_know_is_none(caplog):
    runtime = Runtime()
    taken = listening(runtime.events)
    with Server(b"-NOSCRIPT none\r\n") as server:
        runtime.store_url = f"redis://127.0.0.1:{server.port}/0"
        with pytest.raises(StoreError):
            runtime.store._call("EVALSHA", "x", 0)
        assert taken == []
        server.data = [b"-OOM command not allowed\r\n"]
        with pytest.raises(StoreError, match="refused: command not allowed"):
            runtime.store.get("a")
        runtime.close()
    assert taken == [("store_errors", "", 1)]
    assert [record.getMessage() for record in caplog.records] == [
        f"store {runtime.store_url} fails: refused: command not allowed"
    ]
