"""Servers on loopback that log entries are sent to, and a certificate for them.

with tcp_sink() as sink:
    ...                                   # send to sink.host, sink.port
    assert sink.wait(2) == [b"one", b"two"]
"""

from __future__ import annotations

import contextlib
import json
import secrets
import select
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.servers import require_program

#: Seconds until something is taken to be never coming.
PATIENCE = 15.0


class Sink:
    """What arrived, in order; ``wait(count)`` waits for it."""

    def __init__(self, host: str = "", port: int = 0) -> None:
        self.host = host
        self.port = port
        self.got: list[Any] = []
        self.connections = 0
        self._news = threading.Condition()

    def add(self, item: Any) -> None:
        with self._news:
            self.got.append(item)
            self._news.notify_all()

    def wait(self, count: int = 1, seconds: float = PATIENCE) -> list[Any]:
        """Return what arrived once there are ``count`` things; fail the test if they do not come."""
        with self._news:
            came = self._news.wait_for(lambda: len(self.got) >= count, seconds)
        assert came, f"{len(self.got)} of {count} arrived: {self.got[:3]!r}"
        return list(self.got)

    def entries(self, count: int = 1) -> list[Any]:
        """Return what arrived as JSON."""
        return [json.loads(item) for item in self.wait(count)]


class TCP(Sink):
    """Lines over TCP. ``drop()`` closes the connections, ``stop()`` the listener too."""

    def __init__(self, port: int = 0, tls: ssl.SSLContext | None = None, reads: bool = True) -> None:
        self._listener = socket.create_server(("127.0.0.1", port))
        super().__init__(*self._listener.getsockname())
        self._tls = tls
        self._reads = reads
        self._open: list[socket.socket] = []
        self._running = True
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def _accept(self) -> None:
        # A listener that is closed does not end a wait for it, and stays open as long as that lasts.
        while self._running:
            if not select.select([self._listener], [], [], 0.02)[0]:
                continue
            client, _ = self._listener.accept()
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            if self._tls is not None:
                client = self._tls.wrap_socket(client, server_side=True)
        except OSError:
            return client.close()
        self._open.append(client)
        self.connections += 1
        rest = b""
        try:
            while self._reads and (data := client.recv(65536)):
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    self.add(line)
        except OSError:
            pass
        if self._reads:
            client.close()

    def drop(self) -> None:
        for client in self._open:
            try:
                client.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            # Closed under its reader, the next connection could have its number, and lose bytes to it.
            if not self._reads:
                client.close()
        self._open.clear()

    def stop(self) -> None:
        self._running = False
        self._accepting.join()
        self._listener.close()
        self.drop()


@contextmanager
def tcp_sink(**options: Any) -> Iterator[TCP]:
    sink = TCP(**options)
    try:
        yield sink
    finally:
        sink.stop()


@contextmanager
def udp_sink(port: int = 0, family: int = socket.AF_INET) -> Iterator[Sink]:
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 * 1024 * 1024)
        sock.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", port))
        yield from _datagrams(sock, Sink(*sock.getsockname()[:2]))


@contextmanager
def unix_sink(path: Path) -> Iterator[Sink]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(path))
        yield from _datagrams(sock, Sink(str(path)))


def _datagrams(sock: socket.socket, sink: Sink) -> Iterator[Sink]:
    sock.settimeout(0.02)
    running = [True]

    def receive() -> None:
        while running:
            try:
                sink.add(sock.recv(100_000))
            except TimeoutError:
                pass

    thread = threading.Thread(target=receive, daemon=True)
    thread.start()
    try:
        yield sink
    finally:
        running.clear()
        thread.join()


class Request:
    """One request that arrived."""

    def __init__(self, head: bytes, body: bytes) -> None:
        first, *lines = head.decode("latin-1").split("\r\n")
        self.method, self.path, _ = first.split(" ")
        pairs = (line.partition(":") for line in lines)
        self.headers = {name.lower(): value.strip() for name, _, value in pairs}
        self.body = body
        self.json = json.loads(body)


Answer = int | bytes | None


class HTTPSink(TCP):
    """Requests over HTTP. Each takes the next of ``answers``; the last one is for all that follow.

    An answer is a status, the bytes to send, b"" to close without an answer, or None to never answer.
    """

    def __init__(self, *answers: Answer, **options: Any) -> None:
        self.answers: list[Answer] = list(answers or (200,))
        super().__init__(**options)

    def _serve(self, client: socket.socket) -> None:
        try:
            if self._tls is not None:
                client = self._tls.wrap_socket(client, server_side=True)
        except OSError:
            return client.close()
        self._open.append(client)
        self.connections += 1
        with client.makefile("rb") as stream:
            try:
                while self._request(client, stream):
                    pass
            except (OSError, ValueError):
                pass
        client.close()

    def _request(self, client: socket.socket, stream: Any) -> bool:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = stream.readline()
            if not line:
                return False
            head += line
        length = next(int(v[15:]) for v in head.lower().split(b"\r\n") if v.startswith(b"content-length:"))
        request = Request(head[:-4], stream.read(length))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is None:
            self.add(request)
            return bool(stream.read(1))
        if isinstance(answer, int):
            answer = b"HTTP/1.1 %d X\r\nContent-Length: 2\r\nLocation: /other\r\n\r\nok" % answer
        client.sendall(answer)
        # Told when it is answered: a test that ends then cuts nobody off.
        self.add(request)
        return bool(answer)


@contextmanager
def http_sink(*answers: Answer, **options: Any) -> Iterator[HTTPSink]:
    sink = HTTPSink(*answers, **options)
    try:
        yield sink
    finally:
        sink.stop()


def closed_port() -> int:
    """Return a port that nobody listens on, below those that the system hands out to others meanwhile."""
    while True:
        # Not by random: every process of a parallel run has the same seed.
        port = 20_000 + secrets.randbelow(12_000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


class Certificate:
    """A certificate made by openssl that is its own authority."""

    def __init__(self, folder: Path, name: str = "localhost", address: str = "127.0.0.1") -> None:
        self.file, self.key = folder / f"{name}.crt", folder / f"{name}.key"
        command = [require_program("openssl"), "req", "-x509", "-newkey", "ec", "-days", "2", "-nodes"]
        command += ["-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj", f"/CN={name}"]
        command += ["-addext", f"subjectAltName=DNS:{name},IP:{address}"]
        command += ["-out", str(self.file), "-keyout", str(self.key)]
        subprocess.run(command, check=True, capture_output=True)

    def context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.file, self.key)
        return context
