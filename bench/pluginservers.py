"""Real Kong plugin servers: what our host adds to an event, and what a kill under load does.

    python -m bench.pluginservers                 both tables, for each server whose toolchain is here
    python -m bench.pluginservers --kills 10      seconds of load during which a server is killed

For each server the same event (0, 1 and 2 PDK calls) is run by a plugin of plugmw, with its exchange, and by
a hand-written client that only speaks the protocol and answers with constants, one after the other in turns
over the same socket. The kill is `kill -9` in the middle of the load of 16 clients: every answer must be
right or a 500, and none may be missing.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import signal
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgpack

from plugmw.dialects.kong.servers.pool import connect
from plugmw.kernel.exchange import Exchange
from tests.support.pluginservers import Served, go_server, js_server, python_server, serving

PLUGINS = Path(__file__).parent / "plugins"
CALLS = (0, 1, 2)
ROUNDS = 40
EVENTS = 50
CLIENTS = 16
#: What servers write and what fails is not told: the table is.
QUIET = logging.getLogger("bench.quiet")
QUIET.addHandler(logging.NullHandler())
QUIET.propagate = False


def servers() -> Iterator[tuple[str, Callable[[], Any]]]:
    """Yield the servers there are."""
    yield "python threads", lambda: python_server("bench.py", folder=PLUGINS)
    yield "python gevent", lambda: python_server("bench.py", "-g", folder=PLUGINS)
    yield "python processes", lambda: python_server("bench.py", "-m", folder=PLUGINS)
    yield "javascript", lambda: js_server(PLUGINS / "js", connect_timeout=15.0)
    yield "go", lambda: go_server(PLUGINS / "go-bench")


class BareMsgPack:
    """The least that speaks MessagePack-RPC: no deadlines, no checks."""

    def __init__(self, path: str, name: str) -> None:
        self.sock, _ = connect(path, 20.0)
        self.sock.settimeout(None)
        self.pack = msgpack.Packer().pack
        self.unpacker = msgpack.Unpacker(raw=False)
        self.instance = self.call("plugin.StartInstance", {"Name": name, "Config": "{}"})["Id"]

    def call(self, method: str, argument: Any) -> Any:
        self.sock.sendall(self.pack([0, 1, method, [argument]]))
        while True:
            self.unpacker.feed(self.sock.recv(65536))
            for answer in self.unpacker:
                return answer[3]

    def event(self, phase: str) -> None:
        reply = self.call("plugin.HandleEvent", {"InstanceId": self.instance, "EventName": phase})
        while reply["Data"] != "ret":
            value = "bench.example" if reply["Data"]["Method"].endswith("get_header") else None
            reply = self.call("plugin.Step", {"EventId": reply["EventId"], "Data": value})


class BareProtoBuf:
    """The least that speaks ProtoBuf frames."""

    def __init__(self, path: str, name: str) -> None:
        self.sock, _ = connect(path, 20.0)
        self.sock.settimeout(None)
        self.kept = b""
        encoded = b"\x0a" + bytes((len(name),)) + name.encode() + b"\x12\x02{}"
        self.send(b"\x08\x01\x8a\x02" + bytes((len(encoded),)) + encoded)
        status = self.frame()
        # RpcReturn{1 sequence, 33 status{1 name, 2 id, ...}}: the id is after the name.
        at = status.index(name.encode()) + len(name) + 1
        end = at
        while status[end] & 0x80:
            end += 1
        self.id = status[at : end + 1]

    def send(self, payload: bytes) -> None:
        self.sock.sendall(len(payload).to_bytes(4, "little") + payload)

    def frame(self) -> bytes:
        while len(self.kept) < 4 or len(self.kept) < 4 + int.from_bytes(self.kept[:4], "little"):
            self.kept += self.sock.recv(65536)
        size = int.from_bytes(self.kept[:4], "little")
        found, self.kept = self.kept[4 : 4 + size], self.kept[4 + size :]
        return found

    def event(self, phase: str) -> None:
        command = b"\x08" + self.id + b"\x12" + bytes((len(phase),)) + phase.encode()
        self.send(b"\x08\x02\xa2\x02" + bytes((len(command),)) + command)
        while method := self.frame():
            self.frame()
            self.send(b"\x0a\x0dbench.example" if method.endswith(b"get_header") else b"")
        self.frame()


def exchange(served: Served) -> Exchange:
    """Return a request in its access phase."""
    made = type("Bench", (Exchange,), {"runtime": served.plugin.runtime})
    environ = {"REQUEST_METHOD": "GET", "HTTP_HOST": "bench.example", "SCRIPT_NAME": "", "PATH_INFO": "/"}
    return made(environ, None)  # type: ignore[no-any-return]


#: Phase -> the PDK calls it makes in the bench's plugins.
PHASES = {0: "rewrite", 1: "access", 2: "response"}


def latency(served: Served, bare: Any, calls: int) -> tuple[float, float, float]:
    """Return the medians in µs of our event and the bare one, in turns, and the median of their ratios."""
    phase = PHASES[calls]
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(ROUNDS):
        # Made before: what lies between two events lets a server fall asleep, which the bare loop does not.
        exchanges = [exchange(served) for _ in range(EVENTS)]
        for x in exchanges:
            x.phase = phase
            begun = time.perf_counter()
            served.plugin.run(phase, x)
            ours.append(time.perf_counter() - begun)
        for _ in range(EVENTS):
            begun = time.perf_counter()
            bare.event(phase)
            theirs.append(time.perf_counter() - begun)
    pairs = [
        statistics.median(ours[i : i + EVENTS]) / statistics.median(theirs[i : i + EVENTS])
        for i in range(0, len(ours), EVENTS)
    ]
    return statistics.median(ours) * 1e6, statistics.median(theirs) * 1e6, statistics.median(pairs)


def kill_under_load(settings: Any, seconds: float) -> tuple[Counter[str], float]:
    """Kill the server in the middle of the load; return what clients saw and the seconds it was away."""
    told: Counter[str] = Counter()
    done = threading.Event()
    good: list[float] = []
    with serving(settings, logger=QUIET) as served:
        served.get("/")

        def ask(number: int) -> None:
            turn = 0
            while not done.is_set():
                turn += 1
                value = f"{number}-{turn}"
                answer = served.get("/", headers={"x-echo": value})
                if answer.status_code == 500:
                    told["500"] += 1
                elif answer.status_code == 200 and answer.headers.get("x-echo") == value:
                    told["right"] += 1
                    good.append(time.monotonic())
                else:
                    told["wrong"] += 1

        threads = [threading.Thread(target=ask, args=(n,), daemon=True) for n in range(CLIENTS)]
        for thread in threads:
            thread.start()
        time.sleep(seconds * 0.4)
        killed = time.monotonic()
        os.kill(served.pid or 0, signal.SIGKILL)
        time.sleep(seconds * 0.6)
        done.set()
        for thread in threads:
            thread.join(30)
        told["hung"] = sum(thread.is_alive() for thread in threads)
        # What was on its way when the signal came may still have been answered.
        after = [when for when in good if when > killed + 0.05]
        return told, (min(after) - killed if after else float("inf"))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", help="servers whose name has this in it")
    parser.add_argument("--kills", type=float, default=10.0, help="seconds of load for each kill; 0: none")
    given = parser.parse_args()
    print(f"{'server':18}{'calls':>6}{'plugmw µs':>12}{'bare µs':>10}{'ratio':>8}")
    kinds = [found for found in servers() if given.only in found[0]]
    for name, settings in kinds:
        with contextlib.ExitStack() as stack:
            served = stack.enter_context(serving(settings(), logger=QUIET))
            served.get("/")
            kind = BareProtoBuf if name == "go" else BareMsgPack
            bare = kind(served.server.socket(), served.plugin.name)
            stack.callback(bare.sock.close)
            for calls in CALLS:
                ours, theirs, ratio = latency(served, bare, calls)
                print(f"{name:18}{calls:6}{ours:12.0f}{theirs:10.0f}{ratio:8.2f}", flush=True)
    if given.kills:
        print(f"\nkill -9 under {CLIENTS} clients, {given.kills:g} s")
        print(f"{'server':18}{'right':>8}{'500':>6}{'wrong':>7}{'hung':>6}{'away s':>8}")
        for name, settings in kinds:
            told, away = kill_under_load(settings(), given.kills)
            row = "".join(
                f"{told[key]:{width}}" for key, width in (("right", 8), ("500", 6), ("wrong", 7), ("hung", 6))
            )
            print(f"{name:18}{row}{away:8.2f}", flush=True)


if __name__ == "__main__":
    main()
