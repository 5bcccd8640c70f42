"""The other end of a log case: servers on loopback, a file, or a scrape, as the case's ``sink`` says."""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from unittest import mock

#: Seconds that a sink waits for what is on its way.
PATIENCE = 2.0
#: The keys a sink may have, by type.
KEYS = {
    "http": {"statuses", "accept_and_never_answer", "status", "headers", "body_gzip_of", "name"},
    "http-echo": {"name"},
    "lambda": {"function", "delay_s", "status", "headers", "payload"},
    **{key: set() for key in ("tcp", "udp", "syslog", "file", "scrape", "zipkin", "none")},
}
_END = b"\0end of case"


def unknown(given: dict[str, Any]) -> list[str]:
    """Return what of a sink's description is not understood."""
    kind = given.get("type", "none")
    if kind not in KEYS:
        return [f"unknown sink {kind!r}"]
    return [f"unknown sink key {key!r}" for key in sorted(set(given) - KEYS[kind] - {"type"})]


class Sink:
    """What arrived: ``messages`` (bytes) or ``requests``; ``wait`` waits for news."""

    host, port = "127.0.0.1", 0
    path = ""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.requests: list[Request] = []
        self.news = threading.Condition()
        #: How many messages there were when it was started again.
        self.restarted_at = 0

    def wait(self, seconds: float) -> None:
        with self.news:
            self.news.wait(seconds)

    def add(self, item: Any) -> None:
        with self.news:
            (self.messages if isinstance(item, bytes) else self.requests).append(item)
            self.news.notify_all()

    def settle(self) -> None:
        """Return when all that was sent has arrived; nothing is sent any more."""

    def restart(self) -> None:
        raise ValueError("this sink cannot be started again")

    def close(self) -> None:
        """Stop."""


class File(Sink):
    """A file, read when it is asked for."""

    def __init__(self, path: Path) -> None:
        self._file = path
        super().__init__()

    @property
    def messages(self) -> list[bytes]:
        return self._file.read_bytes().splitlines(keepends=True) if self._file.exists() else []

    @messages.setter
    def messages(self, value: list[bytes]) -> None:
        assert not value


class Datagrams(Sink):
    """Messages over UDP, or over a unix socket at ``path``."""

    def __init__(self, path: str = "") -> None:
        super().__init__()
        self.path = path
        family = socket.AF_UNIX if path else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 * 1024 * 1024)
        self._socket.bind(path or (self.host, 0))
        self._address = self._socket.getsockname()
        if not path:
            self.port = self._address[1]
        self._thread = threading.Thread(target=self._receive, daemon=True)
        self._thread.start()

    def _receive(self) -> None:
        while (data := self._socket.recv(100_000)) != _END:
            self.add(data)

    def settle(self) -> None:
        if self._thread.is_alive():
            with socket.socket(self._socket.family, socket.SOCK_DGRAM) as sock:
                # It is read after all that was sent before.
                sock.sendto(_END, self._address)
            self._thread.join(PATIENCE)

    def close(self) -> None:
        self.settle()
        self._socket.close()


class _Server(socketserver.ThreadingTCPServer):
    """Tells how many connections are open."""

    allow_reuse_address = daemon_threads = True
    block_on_close = False

    def __init__(self, port: int, sink: Sink) -> None:
        self.sink = sink
        self.open: list[Any] = []
        self.ended = threading.Event()
        super().__init__(("127.0.0.1", port), _Lines)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.open.append(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        self.open.remove(request)
        with self.sink.news:
            self.sink.news.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: the connection is gone."""


class _Lines(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        server: Any = self.server
        for line in self.rfile:
            if line == _END:
                server.ended.set()
            else:
                server.sink.add(line)


class TCP(Sink):
    """Lines over TCP, with what ends them."""

    def __init__(self) -> None:
        super().__init__()
        self._start(0)

    def _start(self, port: int) -> None:
        self._server = _Server(port, self)
        self.port = self._server.server_address[1]
        self._thread = _serve(self._server)

    def settle(self) -> None:
        # Accepted after all that were made before.
        with socket.create_connection((self.host, self.port)) as last:
            last.sendall(_END)
        end = time.monotonic() + PATIENCE
        while not self._server.ended.is_set() or self._server.open:
            if time.monotonic() > end:
                return
            self.wait(0.02)

    def restart(self) -> None:
        self.close()
        self.restarted_at = len(self.messages)
        self._start(self.port)

    def close(self) -> None:
        _stop(self._server, self._thread)
        for sock in list(self._server.open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


class Request:
    """A request as an HTTP sink got it; header names in lower case."""

    def __init__(self, method: str, path: str, headers: dict[str, str], body: bytes) -> None:
        self.method, self.path, self.headers, self.body = method, path, headers, body

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class HTTP(Sink):
    """Requests over HTTP, answered as the case says."""

    def __init__(self, given: dict[str, Any]) -> None:
        super().__init__()
        self.given = given
        self.closing = threading.Event()
        sink = self

        class Handler(_Handler):
            pass

        Handler.sink = sink
        self._server = ThreadingHTTPServer((self.host, 0), Handler)
        self._server.daemon_threads, self._server.block_on_close = True, False
        self.port = self._server.server_address[1]
        self._thread = _serve(self._server)

    def answer(self, request: Request) -> tuple[int, dict[str, str], bytes] | None:
        """Return status, headers and body; None to close without an answer."""
        given = self.given
        if given.get("accept_and_never_answer"):
            self.closing.wait()
            return None
        self.closing.wait(given.get("delay_s", 0))
        with self.news:
            count = len(self.requests)
        statuses = given.get("statuses") or [given.get("status", 200)]
        status = statuses[min(count, len(statuses)) - 1]
        body = str(given.get("payload", "")).encode()
        if given["type"] == "http-echo" or given.get("function") == "echo payload":
            body = request.body
        elif "body_gzip_of" in given:
            body = gzip.compress(given["body_gzip_of"].encode())
        return status, given.get("headers") or {}, body

    def close(self) -> None:
        self.closing.set()
        _stop(self._server, self._thread)


class _Handler(BaseHTTPRequestHandler):
    """Hands requests to the sink; connections stay open."""

    protocol_version = "HTTP/1.1"
    sink: HTTP

    def handle_one_request(self) -> None:
        with contextlib.suppress(OSError):
            return super().handle_one_request()
        self.close_connection = True

    def _do(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, self.path, headers, body)
        self.sink.add(request)
        answer = self.sink.answer(request)
        if answer is None:
            self.close_connection = True
            return
        self.send_response(answer[0])
        for name, value in {**answer[1], "Content-Length": str(len(answer[2]))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer[2])

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _do

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def _serve(server: socketserver.BaseServer) -> threading.Thread:
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    return thread


def _stop(server: socketserver.BaseServer, thread: threading.Thread) -> None:
    server.shutdown()
    thread.join()
    server.server_close()


def _made(given: dict[str, Any], folder: Path) -> Sink:
    kind = given.get("type", "none")
    if kind == "file":
        return File(folder / "file.log")
    if kind in ("udp", "syslog"):
        return Datagrams(str(folder / "log.socket") if kind == "syslog" else "")
    if kind == "tcp":
        return TCP()
    return Sink() if kind in ("scrape", "none") else HTTP(given)


@contextlib.contextmanager
def opened(given: dict[str, Any], folder: Path) -> Iterator[Sink]:
    """Start the sink; while it runs its ``name``, if it has one, leads to it, whatever the port."""
    sink = _made(given, folder)
    routes = {given["name"]: [sink.port]} if "name" in given else {}
    try:
        with leading(routes):
            yield sink
    finally:
        sink.close()


@contextlib.contextmanager
def leading(ports: dict[Any, list[int]]) -> Iterator[None]:
    """Lead a host, or a (host, port), to loopback: to the next of its ports each time, then to the last."""
    real = socket.getaddrinfo

    def look_up(host: Any, port: Any, *args: Any, **options: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        found = ports.get(name) or ports.get((name, port))
        if found is None:
            return real(host, port, *args, **options)
        place = found.pop(0) if len(found) > 1 else found[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("127.0.0.1", place))]

    with mock.patch("socket.getaddrinfo", look_up):
        yield
