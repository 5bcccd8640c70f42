"""What streaming and many requests do to a worker's memory: ``python -m bench.memory``; see ``README.md``."""

from __future__ import annotations

import argparse
import json
import socket
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.driver import table
from bench.features import KEY, ORIGIN, by_plugmw
from bench.servers import Server, forget_peak, gunicorn, memory

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

CHUNK = 64 * 1024
HEADERS = f"Host: 127.0.0.1\r\napikey: {KEY}\r\nOrigin: {ORIGIN}\r\n"


def streaming(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """GET ``?<bytes>`` streams that many; POST reads the body in chunks and answers with its length."""
    size = 0
    if environ["REQUEST_METHOD"] == "POST":
        while chunk := environ["wsgi.input"].read(CHUNK):
            size += len(chunk)
        body = str(size).encode()
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
        return [body]
    size = int(environ.get("QUERY_STRING") or 2)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(size))])
    return stream(size)


def stream(size: int) -> Iterator[bytes]:
    block = bytes(CHUNK)
    for _ in range(size // CHUNK):
        yield block[:-1] + b"\n"  # a new object each time, as a real app makes
    if size % CHUNK:
        yield block[: size % CHUNK]


def plugged(directory: str) -> WSGIApplication:
    """Return the streaming app behind the five plugins."""
    return by_plugmw(directory, streaming)


class Client:
    """A keep-alive connection that keeps nothing of what it reads."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=120)
        self.file = self.socket.makefile("rb")
        self.block = memoryview(bytearray(CHUNK))

    def get(self, size: int) -> None:
        self.socket.sendall(f"GET /?{size} HTTP/1.1\r\n{HEADERS}\r\n".encode())
        found = self.read()
        if found != size:
            raise AssertionError(f"got {found} bytes, expected {size}")

    def post(self, size: int) -> None:
        self.socket.sendall(f"POST / HTTP/1.1\r\n{HEADERS}Content-Length: {size}\r\n\r\n".encode())
        for _ in range(size // CHUNK):
            self.socket.sendall(self.block)
        found = self.read()
        if found != len(str(size)):
            raise AssertionError(f"got {found} bytes, expected {len(str(size))}")

    def read(self) -> int:
        """Read one answer; return the bytes of its body."""
        status = self.file.readline()
        if b" 200 " not in status:
            raise AssertionError(f"got {status!r}, expected 200")
        length, plugins = 0, 0
        while (line := self.file.readline()) not in (b"\r\n", b""):
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
            plugins += name.lower() in (b"x-bench", b"ratelimit-remaining", b"x-correlation-id")
        self.plugins = plugins
        left = length
        while left and (got := self.file.readinto(self.block[:left])):
            left -= got
        return length - left

    def close(self) -> None:
        self.file.close()
        self.socket.close()


def grown(server: Server, name: str, size: int, requests: int) -> dict[str, Any]:
    """Stream ``size`` bytes down and up, then make many requests; return the growth of each in KiB."""
    worker = server.pids()[-1]
    client = Client(server.port)
    try:
        for _ in range(500):
            client.get(2)
        for warm in (client.get, client.post):
            warm(4 * CHUNK)
        if client.plugins != (3 if name == "plugmw" else 0):
            raise AssertionError(f"{name}: {client.plugins} headers of the plugins")
        result: dict[str, Any] = {"app": name, "RSS MiB": memory(worker, "VmRSS") / 1024}
        for title, send in (("peak growth down KiB", client.get), ("peak growth up KiB", client.post)):
            before = memory(worker, "VmRSS")
            forget_peak(worker)
            send(size)
            result[title] = memory(worker, "VmHWM") - before
        marks = [max(1, requests // 10), max(2, requests // 2), requests]
        before = memory(worker, "RssAnon")  # pages of the file store are the system's, not the worker's
        for done in range(1, requests + 1):
            client.get(2)
            if done in marks:
                after = memory(worker, "RssAnon")
                result[f"growth by request {done} KiB"] = after - before
                before = after
    finally:
        client.close()
    return result


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.memory", description=__doc__)
    parser.add_argument("--mib", type=int, default=1024, help="MiB streamed each way")
    parser.add_argument("--requests", type=int, default=100000)
    parser.add_argument("--only", default="bare,plugmw", help="comma-separated: %(default)s")
    parser.add_argument("--json", metavar="FILE", help="write the results there as well")
    options = parser.parse_args(argv)
    apps = {"bare": "bench.memory:streaming", "plugmw": "bench.memory:plugged('DIR')"}
    results = []
    with tempfile.TemporaryDirectory(prefix="plugmw-bench-") as directory:
        for name in options.only.split(","):
            app = apps[name].replace("DIR", directory)
            with gunicorn(name, app, "gthread", 1, Path(directory)) as server:
                results.append(grown(server, name, options.mib * 2**20, options.requests))
    print(table(list(results[0]), [list(result.values()) for result in results]))
    if options.json:
        Path(options.json).write_text(json.dumps({"python": sys.version, "memory": results}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
