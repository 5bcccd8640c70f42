"""Reloads under load, and what many leave behind: ``python -m bench.reload``; see ``README.md``."""

from __future__ import annotations

import argparse
import gc
import http.client
import json
import os
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.driver import drive, table
from bench.servers import Server, gunicorn, memory

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

CLIENTS, WORKERS = 16, 4
PLUGIN = """
from plugmw import Plugin

class Tell(Plugin):
    name, priority = "tell", 5

    def access(self, x):
        x.set_header("X-In", "{number}")

    def header_filter(self, x):
        x.set_header("X-Out", "{number}")
"""


def write(directory: Path, number: int) -> None:
    """Write a configuration whose answers carry a number, from the configuration and from a plugin's code."""
    (directory / "plugins").mkdir(exist_ok=True)
    replace(directory / "plugins" / "tell.py", PLUGIN.format(number=number))
    entries = [
        {"name": "tell"},
        {"name": "rate-limiting", "config": {"minute": 10_000_000, "policy": "local"}},
        {"name": "response-transformer", "config": {"add": {"headers": [f"X-Config:{number}"]}}},
    ]
    document = {"folders": [{"path": "plugins"}], "plugins": entries}
    replace(directory / "gateway.json", json.dumps(document))


def replace(path: Path, text: str) -> None:
    new = path.with_suffix(".new")
    new.write_text(text, encoding="utf-8")
    new.replace(path)


def served(directory: str) -> WSGIApplication:
    """Return the app that the load is run against."""
    from bench.features import app
    from plugmw import Gateway

    return Gateway(app, Path(directory) / "gateway.json")


class Load:
    """Clients with a connection each; every answer is checked to be of one configuration."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.failed: Counter[str] = Counter()
        self.times: list[float] = []
        self.latest = [""] * CLIENTS
        self._done = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(n,)) for n in range(CLIENTS)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join()

    def _run(self, number: int) -> None:
        while not self._done.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
            try:
                begun = time.perf_counter()
                connection.request("GET", "/")
                answer = connection.getresponse()
                answer.read()
                self.times.append(time.perf_counter() - begun)
                self._check(answer, number)
            except (OSError, http.client.HTTPException) as error:
                self.failed[type(error).__name__] += 1
            finally:
                connection.close()
            time.sleep(0.02)

    def _check(self, answer: http.client.HTTPResponse, number: int) -> None:
        told = {answer.getheader("X-In"), answer.getheader("X-Out")}
        if answer.status != 200:
            self.failed[f"status {answer.status}"] += 1
        elif len(told) != 1 or answer.getheader("X-Config") is None:
            self.failed["half a chain"] += 1
        self.latest[number] = f"{answer.getheader('X-Out')} {answer.getheader('X-Config')}"


def under_load(server: Server, directory: Path, reloads: int) -> dict[str, Any]:
    """Change the files under load again and again, each time when the last change is in force everywhere."""
    with Load(server.port) as load:
        for number in range(1, reloads + 1):
            write(directory, number)
            wanted, quiet, end = f"{number} {number}", 0, time.monotonic() + 30
            while quiet < 5:
                if time.monotonic() > end:
                    raise AssertionError(f"reload {number} is not in force everywhere after 30 s")
                time.sleep(0.05)
                quiet = quiet + 1 if set(load.latest) == {wanted} else 0
    times = sorted(load.times)
    return {
        "reloads": reloads,
        "requests": len(times),
        "failed": sum(load.failed.values()),
        "of half a chain": load.failed["half a chain"],
        "p50 ms": round(times[len(times) // 2] * 1000, 2),
        "p99 ms": round(times[len(times) * 99 // 100] * 1000, 2),
        "slowest ms": round(times[-1] * 1000, 1),
    }


def in_process(directory: Path, reloads: int) -> list[dict[str, Any]]:
    """Reload one gateway again and again, with changed files each time; return the memory along the way."""
    gateway: Any = served(str(directory))
    rows = []
    for number in range(1, reloads + 1):
        write(directory, number)
        drive(gateway)
        if not gateway.reload():
            raise AssertionError("refused")
        if number in (10, 100, reloads):
            while len(gateway._draining):
                time.sleep(0.01)
            gc.collect()
            loaded = sum(name.startswith("plugmw_loaded_") for name in sys.modules)
            rows.append(
                {
                    "reloads": number,
                    "MiB": round(memory(os.getpid(), "VmRSS") / 1024, 1),
                    "objects": len(gc.get_objects()),
                    "loaded modules": loaded,
                    "threads": threading.active_count(),
                }
            )
    gateway.stop()
    return rows


def show(rows: list[dict[str, Any]]) -> None:
    print(table(list(rows[0]), [list(row.values()) for row in rows]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reloads", type=int, default=200, help="under load (200)")
    parser.add_argument("--leak", type=int, default=1000, help="in one process (1,000)")
    parser.add_argument("--json", metavar="FILE")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        write(directory, 0)
        rows = []
        for kind in ("sync", "gthread"):
            app = f"bench.reload:served({str(directory)!r})"
            with gunicorn(f"reload-{kind}", app, kind, WORKERS, directory) as server:
                rows.append({"workers": f"{WORKERS} {kind}", **under_load(server, directory, given.reloads)})
        show(rows)
        left = in_process(directory, given.leak)
        show(left)
    if given.json:
        Path(given.json).write_text(json.dumps({"load": rows, "memory": left}, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
