"""What a sink that has stopped costs requests: ``python -m bench.sinks``; see ``README.md``."""

from __future__ import annotations

import argparse
import http.client
import json
import random
import socket
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.driver import table
from bench.servers import Server, gunicorn

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

CLIENTS = 4
#: Seconds between two requests of a client: latency is that of requests, not of a queue before a full server.
PAUSE = 0.005


@contextmanager
def stopped() -> Iterator[tuple[int, int]]:
    """Yield a TCP port that takes connections and then never reads, and a UDP port that never reads."""
    with (
        socket.create_server(("127.0.0.1", 0), backlog=2) as tcp,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
    ):
        udp.bind(("127.0.0.1", 0))
        yield tcp.getsockname()[1], udp.getsockname()[1]


def config(name: str, tcp: int, udp: int) -> dict[str, Any]:
    """Return a plugin's configuration with the stopped sink."""
    here = "127.0.0.1"
    return {
        "http-log": {"http_endpoint": f"http://{here}:{tcp}/log"},
        "tcp-log": {"host": here, "port": tcp},
        "udp-log": {"host": here, "port": udp},
        "statsd": {"host": here, "port": udp},
        "datadog": {"host": here, "port": udp},
        "loggly": {"host": here, "port": udp, "key": "k"},
        "syslog": {"address": f"{here}:{udp}"},
        "zipkin": {"http_endpoint": f"http://{here}:{tcp}/api/v2/spans", "sample_ratio": 1},
        "galileo": {"host": here, "port": tcp, "service_token": "t", "https": False},
    }[name]


NAMES = ("http-log", "tcp-log", "udp-log", "statsd", "datadog", "loggly", "syslog", "zipkin", "galileo")


def served(name: str, tcp: int, udp: int) -> WSGIApplication:
    """Return the app, behind one log plugin or none."""
    from bench.features import app
    from plugmw import Gateway

    plugins = [] if name == "none" else [{"name": name, "config": config(name, tcp, udp)}]
    routes = [{"name": "all", "paths": ["/"], "service": "shop"}]
    document = {"routes": routes, "services": [{"name": "shop"}], "plugins": plugins}
    return Gateway(app, document)


def load(server: Server, requests: int) -> list[float]:
    """Return the seconds of each request, sent by some clients at once over connections they keep."""
    times: list[float] = []

    def client() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        for _ in range(requests // CLIENTS):
            begun = time.perf_counter()
            connection.request("GET", "/")
            answer = connection.getresponse()
            answer.read()
            times.append(time.perf_counter() - begun)
            if answer.status != 200:
                raise AssertionError(f"got {answer.status}, expected 200")
            time.sleep(PAUSE)
        connection.close()

    threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(times) != requests // CLIENTS * CLIENTS:
        raise AssertionError("requests failed")
    return sorted(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=2000, help="per variant and round (2,000)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", metavar="FILE")
    given = parser.parse_args()
    found: dict[str, list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as directory, stopped() as (tcp, udp), ExitStack() as stack:
        servers = {}
        for name in ("none", *NAMES):
            app = f"bench.sinks:served({name!r}, {tcp}, {udp})"
            servers[name] = stack.enter_context(gunicorn(name, app, "gthread", 1, Path(directory)))
            load(servers[name], 200)
        for _ in range(given.rounds):
            for name in random.sample(list(servers), len(servers)):
                times = load(servers[name], given.requests)
                pair = times[len(times) // 2], times[len(times) * 99 // 100]
                found.setdefault(name, []).append(pair)
    p50, p99 = (
        {name: statistics.median(pair[k] for pair in pairs) for name, pairs in found.items()} for k in (0, 1)
    )
    rows = [
        [name, p50[name] * 1000, p99[name] * 1000, p50[name] / p50["none"], p99[name] / p99["none"]]
        for name in ("none", *NAMES)
    ]
    print(table(["plugin, its sink stopped", "p50 ms", "p99 ms", "p50 x", "p99 x"], rows))
    if given.json:
        Path(given.json).write_text(json.dumps(rows, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
